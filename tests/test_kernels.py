"""npbert/kernels.py and ConvBERT's other convolutions, held to definitions written as loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert import backend, convbert, kernels
from npbert.params import Node

TOLERANCES = {"float64": 1e-14, "float32": 1e-5}  # relative to the sum of all magnitudes

sizes = st.integers(1, 6)
odd_sizes = st.sampled_from([1, 3, 5, 9])
dtypes = st.sampled_from(sorted(TOLERANCES))
seeds = st.integers(0, 2**32 - 1)


def contiguous(array):
    return array


def read_only(array):
    """As arrays mapped from a checkpoint are."""
    array.flags.writeable = False
    return array


def strided(array):
    """The same values, but no axis steps by one element."""
    roomy = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    roomy[..., ::2] = array
    return roomy[..., ::2]


layouts = st.sampled_from([contiguous, read_only, strided])


def normal(seed, *shape, dtype):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def node(**arrays):
    made = Node("p")
    vars(made).update(arrays)
    return made


def assert_close(got, expected, dtype):
    """Expected is computed in float64; got must have the dtype and its precision."""
    assert got.dtype == dtype and got.shape == expected.shape
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(got - expected).max() <= TOLERANCES[dtype] * scale


# ---- dynamic convolution -------------------------------------------------------------------


def dynamic_convolution_by_definition(values, filters):
    """out[b, t, h, s] = sum over k of filters[b, t, h, k] * values[b, t + k - K//2, h*S + s]"""
    B, T, H, K = filters.shape
    S = values.shape[2] // H
    out = np.zeros((B, T, H, S))
    for b, t, h, s in np.ndindex(out.shape):
        for k in range(K):
            if 0 <= t + k - K // 2 < T:
                out[b, t, h, s] += float(filters[b, t, h, k]) * float(
                    values[b, t + k - K // 2, h * S + s]
                )
    return out


def check_dynamic_convolution(convolution, B, T, H, S, K, dtype, layout, seed):
    values = layout(normal(seed, B, T, H * S, dtype=dtype))
    filters = layout(normal(seed + 1, B, T, H, K, dtype=dtype))
    before = values.copy(), filters.copy()
    got = convolution(values, filters)
    assert_close(got, dynamic_convolution_by_definition(values, filters), dtype)
    assert np.array_equal(values, before[0]) and np.array_equal(filters, before[1])


any_call = given(
    B=sizes, T=sizes, H=sizes, S=sizes, K=odd_sizes, dtype=dtypes, layout=layouts, seed=seeds
)


@any_call
def test_dynamic_convolution(**call):
    check_dynamic_convolution(kernels.dynamic_convolution.plain, **call)


@any_call
def test_dynamic_convolution_as_loops(**call):
    """The loops themselves, as Python runs them."""
    check_dynamic_convolution(kernels.dynamic_convolution_loops, **call)


@any_call
def test_dynamic_convolution_compiled(**call):
    pytest.importorskip("numba", reason="the twins need numba")
    check_dynamic_convolution(kernels.dynamic_convolution.compiled, **call)


@pytest.mark.parametrize("T, K", [(1, 1), (1, 9), (2, 9), (4, 9), (9, 9), (10, 9), (300, 3)])
@pytest.mark.parametrize("chosen", ["numpy", "numba"])
def test_dynamic_convolution_of_short_and_long_texts(T, K, chosen):
    if chosen == "numba":
        pytest.importorskip("numba", reason="the twins need numba")
    backend.set_backend(chosen)
    try:
        check_dynamic_convolution(
            kernels.dynamic_convolution, 2, T, 2, 3, K, "float64", contiguous, seed=0
        )
    finally:
        backend.set_backend(None)


def test_the_neighbour_that_each_tap_looks_at():
    """By numbers that can be read: five tokens 1, 10, ..., a filter with one tap at a time."""
    values = 10.0 ** np.arange(5).reshape(1, 5, 1)
    for k, expected in enumerate(
        ([0, 0, 1, 10, 100], [0, 1, 10, 100, 1000], [1, 10, 100, 1000, 10000],
         [10, 100, 1000, 10000, 0], [100, 1000, 10000, 0, 0])
    ):  # fmt: skip
        filters = np.zeros((1, 5, 1, 5))
        filters[..., k] = 1
        assert kernels.dynamic_convolution(values, filters).ravel().tolist() == expected


# ---- span summary --------------------------------------------------------------------------


def span_summary_by_definition(x, depthwise, pointwise, bias):
    """out[b, t, a] = bias[a] + sum over d of pointwise[a, d] times
    the sum over k of depthwise[d, k] * x[b, t + k - K//2, d]"""
    B, T, D = x.shape
    K = depthwise.shape[-1]
    span = np.zeros((B, T, D))
    for b, t, d in np.ndindex(span.shape):
        for k in range(K):
            if 0 <= t + k - K // 2 < T:
                span[b, t, d] += float(depthwise[d, 0, k]) * float(x[b, t + k - K // 2, d])
    out = np.zeros((B, T, len(pointwise)))
    for b, t, a in np.ndindex(out.shape):
        out[b, t, a] = float(bias[a, 0])
        for d in range(D):
            out[b, t, a] += float(pointwise[a, d, 0]) * span[b, t, d]
    return out


@given(B=sizes, T=sizes, D=sizes, A=sizes, K=odd_sizes, dtype=dtypes, layout=layouts, seed=seeds)
def test_span_summary(B, T, D, A, K, dtype, layout, seed):
    x = layout(normal(seed, B, T, D, dtype=dtype))
    depthwise = layout(normal(seed + 1, D, 1, K, dtype=dtype))
    pointwise = layout(normal(seed + 2, A, D, 1, dtype=dtype))
    bias = layout(normal(seed + 3, A, 1, dtype=dtype))
    p = node(depthwise=node(weight=depthwise), pointwise=node(weight=pointwise), bias=bias)
    expected = span_summary_by_definition(x, depthwise, pointwise, bias)
    assert_close(convbert.span_summary(x, p), expected, dtype)


# ---- grouped linear ------------------------------------------------------------------------


def grouped_linear_by_definition(x, weight, bias):
    """out[..., g*O + o] = bias[g*O + o] + sum over i of x[..., g*I + i] * weight[g, i, o]"""
    G, I, O = weight.shape
    rows = x.reshape(-1, G * I)
    out = np.zeros((len(rows), G * O))
    for n, row in enumerate(rows):
        for g, o in np.ndindex(G, O):
            out[n, g * O + o] = float(bias[g * O + o])
            for i in range(I):
                out[n, g * O + o] += float(row[g * I + i]) * float(weight[g, i, o])
    return out.reshape(*x.shape[:-1], G * O)


@given(
    leading=st.lists(sizes, max_size=3),
    G=sizes,
    I=sizes,
    O=sizes,
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_grouped_linear(leading, G, I, O, dtype, layout, seed):
    x = layout(normal(seed, *leading, G * I, dtype=dtype))
    weight = layout(normal(seed + 1, G, I, O, dtype=dtype))
    bias = layout(normal(seed + 2, G * O, dtype=dtype))
    got = convbert.grouped_linear(x, node(weight=weight, bias=bias))
    assert_close(got, grouped_linear_by_definition(x, weight, bias), dtype)
