"""The activation functions that checkpoints name in `hidden_act`, all elementwise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from npbert.compiled.backend import operation

# ln(erfc(z) / t) + z² as a Chebyshev series in 2t - 1 with t = 2 / (2 + z), for z >= 0: the form of
# Numerical Recipes (3rd ed., section 6.2.2). One formula for all z, at full precision even where
# erfc is tiny. The terms fall off quickly, so each dtype stops where its own precision ends.
ERFC_SERIES = [
    -1.3026537197817094342, 6.4196979235649026e-1, 1.9476473204185836e-2, -9.5615147868086316e-3,
    -9.4659534448203684e-4, 3.6683949785276145e-4, 4.2523324806907772e-5, -2.0278578112534243e-5,
    -1.6242900046470255e-6, 1.3036558355805232e-6, 1.5626441722066143e-8, -8.5238095914926543e-8,
    6.5290544390988515e-9, 5.0593434955514690e-9, -9.9136415649303308e-10, -2.2736512229318358e-10,
    9.6467911020155268e-11, 2.3940380830391147e-12, -6.8860275264975534e-12, 8.9448792730907257e-13,
    3.1309213993429581e-13, -1.1270822361367252e-13, 3.8109052551892321e-16, 7.1060976136092370e-15,
    -1.5230282014571043e-15, -9.4574945712912340e-17, 1.2102371892242790e-16,
]  # fmt: skip


@functools.cache
def erfc_polynomial(dtype) -> list[float]:
    """Return the series as plain coefficients of u⁰, u¹, ..., as many as the dtype tells apart."""
    chebyshev = [c for c in ERFC_SERIES if abs(c) > np.finfo(dtype).eps / 8]
    chebyshev[0] /= 2
    return np.polynomial.chebyshev.cheb2poly(chebyshev).tolist()


def normal_cdf(x):  # [...] -> [...]
    """The probability that a standard normal variable lies below x: (1 + erf(x / √2)) / 2."""
    z = np.abs(x) * math.sqrt(0.5)
    t = 2 / (2 + z)
    u = 2 * t - 1
    *lower, highest = erfc_polynomial(x.dtype)
    exponent = np.full_like(u, highest)
    for coefficient in reversed(lower):  # Horner's scheme, in place
        exponent *= u
        exponent += coefficient
    tail = 0.5 * t * np.exp(exponent - z * z)  # the probability beyond |x|, on one side
    return np.where(x > 0, 1 - tail, tail)


@operation()  # its twin: npbert/compiled/activations.py
def gelu(x):
    """Weight x by the probability that a normal variable lies below it (Hendrycks and Gimpel 2016).

    This is the exact form, by erf; the reference calls approximations gelu_new and the like.
    """
    return x * normal_cdf(x)


def gelu_tanh(x):
    """The authors' approximation of GELU by a tanh, off by up to 5e-4."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


def gelu_fast(x):
    """gelu_tanh with √(2/π) cut after ten digits, as the reference writes it."""
    return 0.5 * x * (1 + np.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)))


def quick_gelu(x):
    """The approximation of GELU by a logistic function, off by up to 2e-2."""
    return x * sigmoid(1.702 * x)


def sigmoid(x):
    """The logistic function 1 / (1 + e⁻ˣ), written so that no exponential overflows."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def silu(x):
    """x times its logistic function, also called swish (Elfwing et al. 2017)."""
    return x * sigmoid(x)


def softplus(x):
    """ln(1 + eˣ), written so that no exponential overflows."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def laplace(x):
    """The normal CDF with mean 0.707107 and deviation 0.282095, as the reference rounds them."""
    return normal_cdf((x - 0.707107) / 0.282095)


ACTIVATIONS: dict[str, Callable] = {
    "gelu": gelu,
    "gelu_10": lambda x: np.clip(gelu(x), -10, 10),
    "gelu_accurate": gelu_tanh,
    "gelu_fast": gelu_fast,
    "gelu_new": gelu_tanh,
    "gelu_python": gelu,
    "gelu_python_tanh": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "laplace": laplace,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "linear": lambda x: x,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "quick_gelu": quick_gelu,
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.square(np.maximum(x, 0)),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": sigmoid,
    "silu": silu,
    "sqrtsoftplus": lambda x: np.sqrt(softplus(x)),
    "swish": silu,
    "tanh": np.tanh,
}
