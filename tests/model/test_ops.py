"""npbert/ops.py held to definitions written with the math module, and so is each twin."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operations import (
    EPS,
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

from npbert import ops

pytestmark = pytest.mark.filterwarnings("error")  # no overflow, no invalid value

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def over_rows(function, x):
    """Apply a function of a list of floats to every row along the last axis, in float64."""
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    return np.array([function(row.tolist()) for row in rows]).reshape(*x.shape[:-1], -1)


# ---- linear, layer norm --------------------------------------------------------------------


@given(leading=shapes, I=st.integers(1, 6), O=st.integers(1, 6), dtype=dtypes, seed=seeds)
def test_linear(leading, I, O, dtype, seed):
    x, weight = normal(seed, *leading, I, dtype=dtype), normal(seed + 1, O, I, dtype=dtype)
    bias = normal(seed + 2, O, dtype=dtype)

    def by_definition(row):
        return [
            bias[o] + math.fsum(row[i] * float(weight[o, i]) for i in range(I)) for o in range(O)
        ]

    got = ops.linear(x, node(weight=weight, bias=bias))
    assert_close(got, over_rows(by_definition, x), dtype, ulps=16)


def layer_norm_by_definition(eps, weight, bias):
    def row_by_row(row):
        D = len(row)
        mean = math.fsum(row) / D
        variance = math.fsum((value - mean) ** 2 for value in row) / D
        root = math.sqrt(variance + eps)
        return [(row[d] - mean) / root * float(weight[d]) + float(bias[d]) for d in range(D)]

    return row_by_row


@each_version
@given(
    leading=shapes,
    D=st.integers(2, 40),
    slope=st.sampled_from([0, 2]),
    eps=st.sampled_from([1e-12, 1e-5, 0.1]),
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_layer_norm(version, leading, D, slope, eps, dtype, layout, seed):
    x = normal(seed, *leading, D, dtype=dtype) + (1 + slope * np.arange(D)).astype(dtype)
    weight, bias = normal(seed + 1, D, dtype=dtype), normal(seed + 2, D, dtype=dtype)
    expected = over_rows(layer_norm_by_definition(eps, weight, bias), x)
    p = node(weight=layout(weight), bias=layout(bias))
    got = call(ops.layer_norm, version, layout(x), p, eps)
    # Rounding in x counts as much more as the values of a row lie closer together.
    closeness = 1 + 4 / x.std(axis=-1).min()
    assert_close(got, expected, dtype, ulps=8 * closeness)


@each_version
@each_dtype
@pytest.mark.parametrize("magnitude", [1e-4, 1.0, 1e4, 1e7])
def test_layer_norm_of_large_and_small_values(version, dtype, magnitude):
    x = normal(0, 4, 20, dtype=dtype, spread=magnitude)
    p = node(weight=np.ones(20, dtype), bias=np.zeros(20, dtype))
    expected = over_rows(layer_norm_by_definition(1e-12, p.weight, p.bias), x)
    assert_close(call(ops.layer_norm, version, x, p, 1e-12), expected, dtype, ulps=32)


@each_version
@each_dtype
def test_layer_norm_of_a_constant_is_its_bias(version, dtype):
    p = node(weight=np.full(5, 3, dtype), bias=np.arange(5, dtype=dtype))
    got = call(ops.layer_norm, version, np.full((2, 5), 7, dtype), p, 1e-12)
    assert np.array_equal(got, [range(5), range(5)]) and got.dtype == dtype


# ---- softmax and the loss ------------------------------------------------------------------


def softmax_by_definition(row):
    exponentials = [math.exp(value - max(row)) for value in row]
    return [value / math.fsum(exponentials) for value in exponentials]


def log_softmax_by_definition(row):
    total = math.fsum(math.exp(value - max(row)) for value in row)
    return [value - max(row) - math.log(total) for value in row]


@given(shape=shapes, spread=st.sampled_from([0.01, 1, 50]), dtype=dtypes, seed=seeds)
def test_softmax(shape, spread, dtype, seed):
    x = normal(seed, *shape, dtype=dtype, spread=spread)
    assert_close(ops.softmax(x), over_rows(softmax_by_definition, x), dtype)
    assert_close(ops.log_softmax(x), over_rows(log_softmax_by_definition, x), dtype)


@each_dtype
def test_softmax_of_extreme_scores(dtype):
    smallest = float(np.finfo(dtype).min)
    x = np.array(
        [[1e4, 0, -1e4], [1e4, 1e4, -1e4], [-math.inf, 0, 0], [smallest] * 3, [0, smallest, 0]],
        dtype,
    )
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [1 / 3] * 3, [0.5, 0, 0.5]]
    assert_close(ops.softmax(x), np.array(expected), dtype)
    logs, half = ops.log_softmax(x[:2]), math.log(2)
    assert_close(logs, np.array([[0, -1e4, -2e4], [-half, -half, -2e4 - half]]), dtype)


@given(
    N=st.integers(1, 8),
    V=st.integers(1, 9),
    spread=st.sampled_from([1, 100]),
    dtype=dtypes,
    seed=seeds,
)
def test_cross_entropy(N, V, spread, dtype, seed):
    logits = normal(seed, N, V, dtype=dtype, spread=spread)
    labels = np.random.default_rng(seed).integers(-1, V, N)
    labels[labels == -1] = -100
    counted = [
        -log_softmax_by_definition(row.tolist())[label]
        for row, label in zip(logits.astype(np.float64), labels, strict=True)
        if label != -100
    ]
    got = ops.cross_entropy(logits, labels)
    assert got.dtype == dtype and np.shape(got) == ()
    if counted:
        scale = max(1.0, np.abs(logits).max())
        assert abs(float(got) - math.fsum(counted) / len(counted)) <= 8 * EPS[dtype] * scale
    else:
        assert np.isnan(got)


@each_dtype
def test_cross_entropy_of_certainties(dtype):
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype)
    assert ops.cross_entropy(logits, np.array([0, 1])) == 0
    assert ops.cross_entropy(logits, np.array([1, -100])) == 2e4


# ---- attention -----------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_mask_bias(dtype, kind):
    smallest = np.finfo(dtype).min
    got = ops.mask_bias(np.array([[1, 1, 0], [0, 0, 0]], kind), dtype)
    assert got.dtype == dtype and got.shape == (2, 1, 1, 3)
    assert got[:, 0, 0].tolist() == [[0, 0, smallest], [smallest] * 3]


@given(
    B=st.integers(1, 4), T=st.integers(1, 4), H=st.integers(1, 4), S=st.integers(1, 4), dtype=dtypes
)
def test_split_heads(B, T, H, S, dtype):
    x = np.arange(B * T * H * S, dtype=dtype).reshape(B, T, H * S)
    got = ops.split_heads(x, H)
    assert got.shape == (B, H, T, S) and got.dtype == dtype
    for b, h, t, s in np.ndindex(got.shape):
        assert got[b, h, t, s] == x[b, t, h * S + s]


def attend_by_definition(query, key, value, mask):
    """Without a bias: where the mask is 0, the score is not in the sum at all."""
    B, H, T, S = query.shape
    context, probs = np.zeros((B, T, H, S)), np.zeros((B, H, T, T))
    for b, h, t in np.ndindex(B, H, T):
        seen = [u for u in range(T) if mask[b, u]] or list(range(T))
        dots = [math.fsum(query[b, h, t, s] * key[b, h, u, s] for s in range(S)) for u in seen]
        if not mask[b].any():  # the smallest float swallows the scores
            dots = [0.0] * T
        shares = softmax_by_definition([dot / math.sqrt(S) for dot in dots])
        for u, share in zip(seen, shares, strict=True):
            probs[b, h, t, u] = share
            context[b, t, h] += share * value[b, h, u].astype(np.float64)
    return context, probs


@given(
    B=st.integers(1, 3),
    T=st.integers(1, 5),
    H=st.integers(1, 3),
    S=st.integers(1, 4),
    dtype=dtypes,
    seed=seeds,
)
def test_attend(B, T, H, S, dtype, seed):
    query, key, value = (normal(seed + i, B, H, T, S, dtype=dtype, spread=2) for i in range(3))
    mask = np.random.default_rng(seed).random((B, T)) < 0.7
    bias = ops.mask_bias(mask, dtype)
    context, probs, masked_scores = ops.attend(query, key, value, bias)
    wide = (array.astype(np.float64) for array in (query, key, value))
    expected_context, expected_probs = attend_by_definition(*wide, mask)
    assert_close(probs, expected_probs, dtype, ulps=64)
    assert_close(context, expected_context, dtype, ulps=64)
    np.testing.assert_array_equal(masked_scores, query @ key.swapaxes(-1, -2) / S**0.5 + bias)
