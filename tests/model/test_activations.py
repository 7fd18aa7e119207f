"""npbert/activations.py held to definitions written with the math module, and so is the twin."""

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
    normal,
    seeds,
)

from npbert import activations
from npbert.activations import ACTIVATIONS, normal_cdf

pytestmark = pytest.mark.filterwarnings("error")  # no overflow, no invalid value


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


@each_version
@given(
    leading=st.lists(st.integers(1, 6), max_size=3),
    D=st.integers(2, 40),
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_gelu(version, leading, D, dtype, layout, seed):
    x = normal(seed, *leading, D, dtype=dtype, spread=3)
    expected = np.vectorize(gelu)(x.astype(np.float64))
    assert_close(call(activations.gelu, version, layout(x)), expected, dtype, ulps=45)


@each_dtype
@pytest.mark.parametrize("version", ["twin", "twin in 3 parts"])
def test_gelu_where_numbers_end(version, dtype):
    """NaN, infinities, both zeros are what the definition gives, and nothing overflows."""
    edge = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, edge, -edge, 14, -14, 40, -40], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = activations.gelu.plain(x)
    got = call(activations.gelu, version, x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-36)
    assert np.array_equal(np.signbit(got[3:5]), [False, True])


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
