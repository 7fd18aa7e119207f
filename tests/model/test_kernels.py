"""npbert/kernels.py and its like, held to definitions written as loops; threads that share them."""

import math
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert import activations, convbert, kernels, ops
from npbert.compiled import backend
from npbert.model.params import Node

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


def check_grouped_convolution(convolution, leading, G, I, O, dtype, layout, seed):
    x = layout(normal(seed, *leading, G * I, dtype=dtype))
    weight = layout(normal(seed + 1, G * O, I, 1, dtype=dtype))
    bias = layout(normal(seed + 2, G * O, dtype=dtype))
    before = x.copy(), weight.copy(), bias.copy()
    got = convolution(x, weight, bias)
    assert_close(got, grouped_convolution_by_definition(x, weight, bias), dtype)
    assert all(map(np.array_equal, (x, weight, bias), before))


def as_loops(operation, parts):
    """The loops themselves, as Python runs them, one part after another."""

    def call(*arguments):
        contiguous = [np.asarray(a, order="C") for a in arguments]
        out = operation.make_out(*contiguous)
        out.fill(np.nan)  # what no part fills shows
        for part in range(parts):
            operation.loops(out, part, parts, *contiguous)
        return out

    return call


def compiled(operation):
    """The operation as it is called, on the backend numba, however little there is to do."""

    def call(*arguments):
        pytest.importorskip("numba", reason="the twins need numba")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend, "_chosen", "numba")
            patch.setattr(backend, "SMALLEST_PART", 1)
            patch.setattr(backend, "count_threads", lambda: 3)
            return operation(*arguments)

    return call


versions = pytest.mark.parametrize("version", ["plain", "loops", "loops in parts", "compiled"])


def version_of(operation, version):
    if version == "plain":
        return operation.plain
    if version == "compiled":
        return compiled(operation)
    return as_loops(operation, parts=3 if "parts" in version else 1)


any_groups = given(
    leading=st.lists(sizes, max_size=3),
    G=sizes,
    I=st.sampled_from([1, 2, 5, 17]),
    O=sizes,
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)


@versions
@any_groups
def test_grouped_convolution(version, **call):
    check_grouped_convolution(version_of(kernels.grouped_convolution, version), **call)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("version", ["plain", "compiled"])
@pytest.mark.parametrize("G, I, O", [(4, 48, 48), (1, 100, 60), (3, 31, 33), (48, 2, 1)])
def test_grouped_convolution_of_many_channels(G, I, O, dtype, version):
    convolution = version_of(kernels.grouped_convolution, version)
    check_grouped_convolution(convolution, (2, 13), G, I, O, dtype, contiguous, seed=0)


@pytest.mark.parametrize("version", ["plain", "compiled"])
def test_which_channels_each_filter_sees(version):
    """By numbers that can be read: channels 1, 10, 100, 1000 in two groups."""
    x, weight = 10.0 ** np.arange(4).reshape(1, 1, 4), np.array([[1, 2], [3, 4], [5, 6], [7, 8.0]])
    convolution = version_of(kernels.grouped_convolution, version)
    assert convolution(x, weight[..., None], np.zeros(4)).ravel().tolist() == [21, 43, 6500, 8700]


# ---- the other twins that threads share ----------------------------------------------------


def gelu_by_definition(x):
    return np.vectorize(lambda v: v * math.erfc(-v * math.sqrt(0.5)) / 2)(x.astype(np.float64))


def norm_by_definition(x, weight, bias, eps):
    out = np.empty(x.shape)
    for place in np.ndindex(x.shape[:-1]):
        row = [float(v) for v in x[place]]
        mean = math.fsum(row) / len(row)
        variance = math.fsum((v - mean) ** 2 for v in row) / len(row)
        for d, v in enumerate(row):
            out[(*place, d)] = (v - mean) / math.sqrt(variance + eps) * float(weight[d]) + bias[d]
    return out


any_array = given(
    leading=st.lists(sizes, max_size=3),
    D=st.integers(2, 40),
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)


@versions
@any_array
def test_gelu(version, leading, D, dtype, layout, seed):
    x = layout(3 * normal(seed, *leading, D, dtype=dtype))
    got = version_of(activations.gelu, version)(x)
    assert_close(got, gelu_by_definition(x), dtype)


@versions
@any_array
def test_layer_norm(version, leading, D, dtype, layout, seed):
    x = layout(normal(seed, *leading, D, dtype=dtype) + 2 * np.arange(D, dtype=dtype))
    weight = layout(normal(seed + 1, D, dtype=dtype))
    bias = layout(normal(seed + 2, D, dtype=dtype))
    got = version_of(ops.normalise, version)(x, weight, bias, 1e-5)
    assert_close(got, norm_by_definition(x, weight, bias, 1e-5), dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_twin_of_gelu_where_numbers_end(dtype):
    """NaN, infinities, both zeros: as the plain version has them. And nothing overflows."""
    edge = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, edge, -edge, 14, -14, 40, -40], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = activations.gelu.plain(x)
    got = compiled(activations.gelu)(x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-36)
    assert np.array_equal(np.signbit(got[3:5]), [False, True])


# ---- threads -------------------------------------------------------------------------------


def work(seed):
    """Enough for several parts of each twin; return their results and the plain ones."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 128, 256)).astype(np.float32)
    weight = rng.standard_normal((512, 64, 1)).astype(np.float32)
    norm = rng.standard_normal((2, 256)).astype(np.float32)
    calls = [
        (kernels.grouped_convolution, (x, weight, weight[:, 0, 0].copy())),
        (activations.gelu, (x,)),
        (ops.normalise, (x, *norm, 1e-5)),
    ]
    return [(call(*arguments), call.plain(*arguments)) for call, arguments in calls]


def all_close(results):
    return all(np.abs(got - expected).max() < 1e-3 for got, expected in results)


@pytest.fixture
def four_threads(monkeypatch):
    pytest.importorskip("numba", reason="the twins need numba")
    monkeypatch.setattr(backend, "_chosen", "numba")
    monkeypatch.setattr(backend, "count_threads", lambda: 4)
    backend._helpers.cache_clear()
    yield
    backend._helpers().shutdown()
    backend._helpers.cache_clear()


def test_many_callers_at_once(four_threads):
    """Each of eight Python threads calls twins that four threads share."""
    with ThreadPoolExecutor(8) as callers:
        assert all(map(all_close, callers.map(work, range(40))))


def test_an_error_in_a_helper_reaches_the_caller(four_threads):
    operation = backend.Operation(lambda x: x)

    @operation.shared_twin(np.empty_like)
    def fails(out, part, parts, x):
        if part == 3:
            raise ZeroDivisionError("in part 3")

    operation.compiled = operation.loops
    with pytest.raises(ZeroDivisionError, match="in part 3"):
        operation(np.zeros(10**6))


def _in_a_child(connection):
    connection.send(all_close(work(1)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(four_threads):
    assert all_close(work(0))
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_a_child, args=(there,))
    child.start()
    try:
        assert here.poll(60) and here.recv()
    finally:
        child.terminate()
        child.join()


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "0"}, 1),
        ({"OMP_NUM_THREADS": "2,1"}, None),
        ({}, None),
    ],
)
def test_how_many_threads(variables, expected, monkeypatch):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    counted = backend.count_threads.__wrapped__()
    assert counted == expected if expected else 1 <= counted <= os.cpu_count()
