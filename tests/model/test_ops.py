"""npbert/ops.py and npbert/activations.py, held to definitions written with the math module."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert import ops
from npbert.activations import ACTIVATIONS, normal_cdf
from npbert.model.params import Node

pytestmark = pytest.mark.filterwarnings("error")  # no overflow, no invalid value

DTYPES = ["float64", "float32"]
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in DTYPES}

each_dtype = pytest.mark.parametrize("dtype", DTYPES)
dtypes = st.sampled_from(DTYPES)
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def normal(seed, *shape, dtype="float64", spread=1):
    return (spread * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def node(**arrays):
    made = Node("p")
    vars(made).update(arrays)
    return made


def over_rows(function, x):
    """Apply a function of a list of floats to every row along the last axis, in float64."""
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    return np.array([function(row.tolist()) for row in rows]).reshape(*x.shape[:-1], -1)


def assert_close(got, expected, dtype, ulps=8, scale=None):
    """Assert the dtype, and that got is within some units in the last place of the scale."""
    assert got.dtype == dtype and got.shape == expected.shape
    scale = max(1.0, np.abs(expected).max()) if scale is None else scale
    assert (np.abs(got.astype(np.float64) - expected) <= ulps * EPS[dtype] * scale).all()


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


@given(
    leading=shapes,
    D=st.integers(2, 9),
    eps=st.sampled_from([1e-12, 1e-5, 0.1]),
    dtype=dtypes,
    seed=seeds,
)
def test_layer_norm(leading, D, eps, dtype, seed):
    x = normal(seed, *leading, D, dtype=dtype) + np.asarray(1, dtype)
    weight, bias = normal(seed + 1, D, dtype=dtype), normal(seed + 2, D, dtype=dtype)
    expected = over_rows(layer_norm_by_definition(eps, weight, bias), x)
    got = ops.layer_norm(x, node(weight=weight, bias=bias), eps)
    # Rounding in x counts as much more as the values of a row lie closer together.
    closeness = 1 + 4 / x.std(axis=-1).min()
    assert_close(got, expected, dtype, ulps=8 * closeness)


@each_dtype
@pytest.mark.parametrize("magnitude", [1e-4, 1.0, 1e4, 1e7])
def test_layer_norm_of_large_and_small_values(dtype, magnitude):
    x = normal(0, 4, 20, dtype=dtype, spread=magnitude)
    p = node(weight=np.ones(20, dtype), bias=np.zeros(20, dtype))
    expected = over_rows(layer_norm_by_definition(1e-12, p.weight, p.bias), x)
    assert_close(ops.layer_norm(x, p, 1e-12), expected, dtype, ulps=32)


@each_dtype
def test_layer_norm_of_a_constant_is_its_bias(dtype):
    p = node(weight=np.full(5, 3, dtype), bias=np.arange(5, dtype=dtype))
    got = ops.layer_norm(np.full((2, 5), 7, dtype), p, 1e-12)
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


# ---- activations ---------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def gelu(x):
    return x * 0.5 * math.erfc(-x / math.sqrt(2))


def gelu_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


DEFINITIONS = {
    "gelu": gelu,
    "gelu_10": lambda x: min(max(gelu(x), -10), 10),
    "gelu_accurate": gelu_tanh,
    "gelu_fast": lambda x: 0.5 * x * (1 + math.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x))),
    "gelu_new": gelu_tanh,
    "gelu_python": gelu,
    "gelu_python_tanh": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "laplace": lambda x: 0.5 * (1 + math.erf((x - 0.707107) / (0.282095 * math.sqrt(2)))),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "linear": lambda x: x,
    "mish": lambda x: x * math.tanh(softplus(x)),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: max(x, 0),
    "relu2": lambda x: max(x, 0) ** 2,
    "relu6": lambda x: min(max(x, 0), 6),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "sqrtsoftplus": lambda x: math.sqrt(softplus(x)),
    "swish": lambda x: x * sigmoid(x),
    "tanh": math.tanh,
}

each_activation = pytest.mark.parametrize("name", sorted(ACTIVATIONS))


def test_every_activation_has_a_definition():
    assert DEFINITIONS.keys() == ACTIVATIONS.keys()


@each_activation
@each_dtype
def test_activation(name, dtype):
    x = np.concatenate([np.linspace(-12, 12, 4801), [0, -0.0, 1e-30, -1e-30, 1e4, -1e4, 40, -40]])
    x = x.astype(dtype)
    expected = np.array([DEFINITIONS[name](value) for value in x.tolist()])
    got = ACTIVATIONS[name](x.reshape(3, -1)).reshape(-1)
    # The scale of each value: of x where the function multiplies x by a share of it.
    scale = np.maximum(np.maximum(1, np.abs(expected)), np.minimum(np.abs(x), 12))
    assert_close(got, expected, dtype, ulps=8, scale=scale)


@each_activation
@each_dtype
def test_activation_at_infinity(name, dtype):
    """Where the limit is a number or an infinity that the formula can reach without 0 * inf."""
    if name in ("relu", "relu2", "leaky_relu", "linear"):
        assert ACTIVATIONS[name](np.array([math.inf], dtype)) == math.inf
    if name in ("sigmoid", "tanh", "laplace", "relu6"):
        limit = 6 if name == "relu6" else 1
        assert ACTIVATIONS[name](np.array([math.inf], dtype)) == limit
    if name in ("sigmoid", "laplace", "relu", "relu2", "relu6", "sqrtsoftplus"):
        assert ACTIVATIONS[name](np.array([-math.inf], dtype)) == 0


@each_dtype
def test_gelu_has_every_digit_even_in_its_tail(dtype):
    """Relative to the value itself, which an error function rounded near -1 would not give."""
    x = np.linspace(-8, 8, 3201).astype(dtype)
    expected = np.array([gelu(value) for value in x.tolist()])
    # The exponent, half of x², is rounded to the dtype, and the result is as far off as that.
    got = ACTIVATIONS["gelu"](x)
    assert_close(got, expected, dtype, scale=np.abs(expected) * (1 + x.astype(np.float64) ** 2))


@each_dtype
def test_normal_cdf_is_symmetric(dtype):
    x = np.linspace(0, 30, 301).astype(dtype)
    upper, lower = normal_cdf(x), normal_cdf(-x)
    assert (np.abs(upper + lower - 1) <= 2 * EPS[dtype]).all() and lower[-1] < 1e-30
    assert (np.diff(upper) >= -EPS[dtype]).all() and (np.diff(lower) <= 0).all()


@each_activation
def test_activations_keep_shape_and_leave_their_input_alone(name):
    for x in (normal(0, 2, 3, 4), normal(0, 0, 4), normal(0, 3, 8)[:, ::2], normal(0, 1)[0]):
        before = np.copy(x)
        assert np.shape(ACTIVATIONS[name](x)) == np.shape(x)
        assert np.array_equal(x, before)


@pytest.mark.reference
@each_activation
@each_dtype
def test_activation_is_that_of_the_reference(name, dtype):
    torch = pytest.importorskip("torch", reason="needs the extra `reference`")
    transformers = pytest.importorskip("transformers", reason="needs the extra `reference`")
    x = np.concatenate([np.linspace(-12, 12, 1201), [0, 1e4, -1e4, 40, -40]]).astype(dtype)
    expected = transformers.activations.ACT2FN[name](torch.from_numpy(x)).numpy()
    got = ACTIVATIONS[name](x)
    assert got.dtype == expected.dtype
    scale = np.maximum(np.maximum(1, np.abs(expected)), np.minimum(np.abs(x), 12))
    assert_close(got, expected.astype(np.float64), dtype, ulps=8, scale=scale)


@pytest.mark.reference
def test_no_activation_of_the_reference_is_missing():
    pytest.importorskip("torch", reason="needs the extra `reference`")
    transformers = pytest.importorskip("transformers", reason="needs the extra `reference`")
    with_parameters = {"prelu", "xielu"}  # learnt ones, which a name alone does not give
    assert transformers.activations.ACT2FN.keys() - with_parameters == ACTIVATIONS.keys()
