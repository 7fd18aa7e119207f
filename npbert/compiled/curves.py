"""e^x and GELU of float32 numbers, 16 at once."""

from __future__ import annotations

import numpy as np

from npbert.compiled.threads import compile_copied, compile_loops
from npbert.compiled.vectors import (
    LANES,
    VECTOR_BYTES,
    absolute,
    first_of,
    fma,
    load,
    number_at,
    put_number,
    shifted_bits,
    splat,
    store,
    where_less,
)

LOG2_E = np.float32(1.4426950408889634)
LN_2_HIGH = np.float32(0.693359375)  # few digits: its products with whole numbers are exact
LN_2_LOW = np.float32(-2.1219444005469057e-4)
ROUNDING = np.float32(1.5 * 2**23)  # added and taken away again, it rounds to a whole number
C_HIGH = np.float32(0.3989422804014327)
C_LOW = np.float32(0.3989422804014327 - np.float64(C_HIGH))
LOWEST = np.float32(-87.33654)  # e to this is the smallest number that has all digits

FAR = np.float32(16)  # no normal variable of float32 lies beyond it, and its square is finite


@compile_copied
def exponential(x):
    """e^x for x <= 0, off by less than a unit in the last place; 0 where it is below 2^-126.

    A power of 2 from its bits, times a polynomial on what is left of x, from -ln 2 / 2 to ln 2 / 2:
    1 + r + r^2 (...) with the least possible of largest relative errors, 3e-9.
    """
    rounding = splat(ROUNDING)
    bounded = where_less(x, splat(LOWEST), splat(LOWEST), x)
    n = fma(bounded, splat(LOG2_E), rounding) - rounding
    rest = fma(n, splat(-LN_2_LOW), fma(n, splat(-LN_2_HIGH), bounded))
    series = splat(np.float32(0.0013813145))
    series = fma(series, rest, splat(np.float32(0.008369419)))
    series = fma(series, rest, splat(np.float32(0.041668456)))
    series = fma(series, rest, splat(np.float32(0.16666515)))
    series = fma(series, rest, splat(np.float32(0.49999994)))
    series = fma(series, rest, splat(np.float32(1)))
    series = fma(series, rest, splat(np.float32(1)))
    power = series * shifted_bits(n + splat(ROUNDING + np.float32(127)))
    return where_less(x, splat(LOWEST), splat(np.float32(0)), power)


@compile_copied
def normal_gelu(x):
    """x times the probability that a normal variable lies below x: the twin of `gelu`.

    Up to |x| = 1 the probability is 1/2 + x (c + f(x^2)), and near -1, where these cancel each
    other, (1/2 + x c) + x f(x^2); c is 1 / sqrt(2 pi), and f has what float32 loses of it. The one
    beyond a larger |x| is t g(2t - 1) e^(-x^2 / 2) with t = 2 / (2 + z), z = |x| / sqrt(2). The
    polynomials f and g are made as that of `exponential` is: they are off by 2e-8 at most.
    """
    half, one, end = splat(np.float32(0.5)), splat(np.float32(1)), splat(FAR)
    size = where_less(absolute(x), end, absolute(x), end)
    square = size * size
    f = splat(np.float32(-0.000007462893))
    f = fma(f, square, splat(np.float32(0.00011295217)))
    f = fma(f, square, splat(np.float32(-0.0011857849)))
    f = fma(f, square, splat(np.float32(0.009973078)))
    f = fma(f, square, splat(np.float32(-0.066490315)))
    f = fma(f, square, splat(C_LOW))
    c = splat(C_HIGH)
    near = where_less(x, splat(np.float32(-0.5)), fma(x, f, fma(x, c, half)), fma(x, f + c, half))
    t = splat(np.float32(2)) / fma(size, splat(np.float32(0.70710678)), splat(np.float32(2)))
    u = t + t - one
    g = splat(np.float32(-0.00011101015))
    g = fma(g, u, splat(np.float32(0.00021254495)))
    g = fma(g, u, splat(np.float32(0.0007522752)))
    g = fma(g, u, splat(np.float32(-0.0016222348)))
    g = fma(g, u, splat(np.float32(-0.0053749047)))
    g = fma(g, u, splat(np.float32(0.009110871)))
    g = fma(g, u, splat(np.float32(0.069867894)))
    g = fma(g, u, splat(np.float32(0.17179017)))
    g = fma(g, u, splat(np.float32(0.25539568)))
    power = exponential(square * splat(np.float32(-0.5)))
    lost = fma(size, size, splat(np.float32(0)) - square)  # when x^2 was rounded
    beyond = t * g * fma(power, lost * splat(np.float32(-0.5)), power)
    below = where_less(splat(np.float32(0)), x, one - beyond, beyond)
    return x * where_less(size, one, near, below)


@compile_loops
def gelu_numbers(part, parts, numbers, out, count):
    """Apply GELU to `count` numbers at one address, and write the results to another."""
    vectors = count // LANES
    for v in range(part * vectors // parts, (part + 1) * vectors // parts):
        store(out + v * VECTOR_BYTES, normal_gelu(load(numbers + v * VECTOR_BYTES)))
    if part == 0:
        for n in range(vectors * LANES, count):
            put_number(out + 4 * n, first_of(normal_gelu(splat(number_at(numbers + 4 * n)))))
