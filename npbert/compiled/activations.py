"""The twins of the activation functions in npbert/activations.py."""

from __future__ import annotations

import math

import numpy as np

from npbert.compiled.threads import compile_loops, share

# ERFC_SERIES of npbert/activations.py as far as float32 tells its terms apart, by powers of u.
ERFC_FLOAT32 = tuple(map(np.float32, [
    -0.6717941, 0.6726431, 0.047343887, -0.04689364, -0.009880019, 0.008808825, 0.0017940663,
    -0.0022887653, -0.00022791096, 0.00057376636, 8.0007385e-06, -8.728381e-05,
]))  # fmt: skip
TAYLOR = tuple(np.float32(1 / math.factorial(n)) for n in range(7))
LN_2_HIGH = np.float32(0.693359375)  # few digits: its products with whole numbers are exact
LN_2_LOW = np.float32(math.log(2) - 0.693359375)
LOG2_E = np.float32(math.log2(math.e))
ROOT_HALF = np.float32(math.sqrt(0.5))


def gelu(x):
    """Fast because it is one loop without a call: NumPy makes a new array at every step of the
    series. float32 takes e^x from the bits of a power of 2 and Taylor's series of the rest; float64
    calls the C library's erfc, where the definition takes the whole series."""
    x = np.asarray(x, order="C")
    out = np.empty_like(x)
    share(gelu_loops, x.size, out, x)
    return out


@compile_loops
def gelu_loops(part, parts, out, x):
    start, stop = part * x.size // parts, (part + 1) * x.size // parts
    values, results = x.reshape(-1)[start:stop], out.reshape(-1)[start:stop]
    half, one, two = np.float32(0.5), np.float32(1), np.float32(2)
    if x.itemsize == 4:
        for i in range(len(values)):
            v = np.float32(values[i])
            z = abs(v) * ROOT_HALF
            t = two / (two + z)
            u = two * t - one
            exponent = np.float32(0)
            for coefficient in ERFC_FLOAT32[::-1]:
                exponent = exponent * u + coefficient
            exponent = max(exponent - z * z, np.float32(-87))  # or 2^n underflows
            n = np.float32(math.floor(exponent * LOG2_E + half))
            rest = exponent - n * LN_2_HIGH - n * LN_2_LOW
            power = np.float32(0)
            for coefficient in TAYLOR[::-1]:
                power = power * rest + coefficient
            power *= np.int32((np.int32(n) + 127) << 23).view(np.float32)
            tail = half * t * power
            results[i] = v * (one - tail if v > 0 else tail)
    else:
        for i in range(len(values)):
            results[i] = 0.5 * values[i] * math.erfc(-values[i] * math.sqrt(0.5))
