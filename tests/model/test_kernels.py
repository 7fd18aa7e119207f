"""npbert/kernels.py held to definitions written as loops, and so is each twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operations import (
    assert_close,
    call,
    dtypes,
    each_dtype,
    each_version,
    layouts,
    node,
    normal,
    seeds,
)

from npbert import convbert, kernels

ULPS = 45  # relative to the largest value of a result
sizes = st.integers(1, 6)
odd_sizes = st.sampled_from([1, 3, 5, 9])


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


def check_dynamic_convolution(version, B, T, H, S, K, dtype, layout, seed):
    values = layout(normal(seed, B, T, H * S, dtype=dtype))
    filters = layout(normal(seed + 1, B, T, H, K, dtype=dtype))
    before = values.copy(), filters.copy()
    got = call(kernels.dynamic_convolution, version, values, filters)
    assert_close(got, dynamic_convolution_by_definition(values, filters), dtype, ULPS)
    assert np.array_equal(values, before[0]) and np.array_equal(filters, before[1])


@each_version
@given(B=sizes, T=sizes, H=sizes, S=sizes, K=odd_sizes, dtype=dtypes, layout=layouts, seed=seeds)
def test_dynamic_convolution(version, **options):
    check_dynamic_convolution(version, **options)


@each_version
@pytest.mark.parametrize("T, K", [(1, 1), (1, 9), (2, 9), (4, 9), (9, 9), (10, 9), (300, 3)])
def test_dynamic_convolution_of_short_and_long_texts(version, T, K):
    check_dynamic_convolution(version, 2, T, 2, 3, K, "float64", np.copy, seed=0)


@each_version
def test_the_neighbour_that_each_tap_looks_at(version):
    """By numbers that can be read: five tokens 1, 10, ..., a filter with one tap at a time."""
    values = 10.0 ** np.arange(5).reshape(1, 5, 1)
    for k, expected in enumerate(
        ([0, 0, 1, 10, 100], [0, 1, 10, 100, 1000], [1, 10, 100, 1000, 10000],
         [10, 100, 1000, 10000, 0], [100, 1000, 10000, 0, 0])
    ):  # fmt: skip
        filters = np.zeros((1, 5, 1, 5))
        filters[..., k] = 1
        got = call(kernels.dynamic_convolution, version, values, filters)
        assert got.ravel().tolist() == expected


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
    assert_close(convbert.span_summary(x, p), expected, dtype, ULPS)


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
    got = kernels.grouped_linear(x, node(weight=weight, bias=bias))
    assert_close(got, grouped_linear_by_definition(x, weight, bias), dtype, ULPS)


# ---- grouped convolution -------------------------------------------------------------------


def grouped_convolution_by_definition(x, weight, bias):
    """out[n, o] = bias[o] + sum over i of x[n, g*I/G + i] * weight[o, i, 0], o in group g"""
    O, width, _ = weight.shape
    rows = x.reshape(-1, x.shape[-1])
    filters = O // (x.shape[-1] // width)  # of one group
    out = np.zeros((len(rows), O))
    for n, o in np.ndindex(out.shape):
        first = o // filters * width
        out[n, o] = float(bias[o])
        for i in range(width):
            out[n, o] += float(rows[n, first + i]) * float(weight[o, i, 0])
    return out.reshape(*x.shape[:-1], O)


def check_grouped_convolution(version, leading, G, I, O, dtype, layout, seed):
    x = layout(normal(seed, *leading, G * I, dtype=dtype))
    weight = layout(normal(seed + 1, G * O, I, 1, dtype=dtype))
    bias = layout(normal(seed + 2, G * O, dtype=dtype))
    before = x.copy(), weight.copy(), bias.copy()
    got = call(kernels.grouped_convolution, version, x, node(weight=weight, bias=bias))
    assert_close(got, grouped_convolution_by_definition(x, weight, bias), dtype, ULPS)
    assert all(map(np.array_equal, (x, weight, bias), before))


@each_version
@given(
    leading=st.lists(sizes, max_size=3),
    G=sizes,
    I=st.sampled_from([1, 2, 5, 17]),
    O=sizes,
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_grouped_convolution(version, **options):
    check_grouped_convolution(version, **options)


@each_dtype
@pytest.mark.parametrize("version", ["plain", "twin"])
@pytest.mark.parametrize("G, I, O", [(4, 48, 48), (1, 100, 60), (3, 31, 33), (48, 2, 1)])
def test_grouped_convolution_of_many_channels(G, I, O, dtype, version):
    check_grouped_convolution(version, (2, 13), G, I, O, dtype, np.copy, seed=0)


@each_version
def test_which_channels_each_filter_sees(version):
    """By numbers that can be read: channels 1, 10, 100, 1000 in two groups."""
    x, weight = 10.0 ** np.arange(4).reshape(1, 1, 4), np.array([[1, 2], [3, 4], [5, 6], [7, 8.0]])
    p = node(weight=weight[..., None], bias=np.zeros(4))
    got = call(kernels.grouped_convolution, version, x, p)
    assert got.ravel().tolist() == [21, 43, 6500, 8700]
