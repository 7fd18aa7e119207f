"""The twins of the activation functions in npbert/activations.py."""

from __future__ import annotations

import math

import numpy as np

from npbert.compiled import prepared
from npbert.compiled.threads import compile_loops, is_native, share


def gelu(x):
    """Fast because it is one loop: NumPy makes a new array at every step of the series.

    float32 takes the series, in the vectors of the layers; float64 calls the C library's erfc.
    """
    x = np.asarray(x, order="C")
    if x.dtype == np.float32:
        return prepared.gelu(x)
    if not is_native(x):
        return NotImplemented
    out = np.empty_like(x)
    share(gelu_loops, x.size, out, x)
    return out


@compile_loops
def gelu_loops(part, parts, out, x):
    values, results = x.reshape(-1), out.reshape(-1)
    for i in range(part * x.size // parts, (part + 1) * x.size // parts):
        results[i] = 0.5 * values[i] * math.erfc(-values[i] * math.sqrt(0.5))
