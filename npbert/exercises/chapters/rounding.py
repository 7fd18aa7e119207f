"""Exercises of the chapter on rounding: gaps, sums, the variance, bfloat16, errors."""

from __future__ import annotations

import numpy as np

from npbert.exercises.exercise import Exercise, Mistake


def gap_above(x):  # [N] -> [N]
    """Return for each normal float32 number how far the next larger magnitude is, in float32:
    epsilon times the power of two that is not above |x|.
    """
    _, exponent = np.frexp(x)  # x is a fraction from 0.5 to 1, times 2 to the exponent
    return np.ldexp(np.float32(2.0**-23), exponent - 1)


def inputs_of_gaps(rng):
    yield (rng.normal(size=6).astype(np.float32) * np.float32(100),)
    yield (np.array([1, 1.999, 2, 3e-6, -7], np.float32),)


def compensated_sum(x):  # [N] -> []
    """Sum float32 numbers one after another in float32, as Kahan does: keep what an addition has
    lost, and subtract it from the next number.
    """
    total = lost = np.float32(0)
    for number in x:
        corrected = number - lost
        larger = total + corrected
        lost = (larger - total) - corrected
        total = larger
    return total


def inputs_of_sums(rng):
    for _ in range(2):
        small = rng.uniform(0.5, 1.5, 400).round(2)
        yield (np.array([1e8, *small, -1e8], np.float32),)


def plain_sum(x):
    total = np.float32(0)
    for number in x:
        total = total + number
    return total


def sum_with_the_wrong_sign(x):
    total = lost = np.float32(0)
    for number in x:
        corrected = number + lost
        larger = total + corrected
        lost = (larger - total) - corrected
        total = larger
    return total


def variance_in_two_passes(x):  # [..., D] -> [...]
    """Compute the variance over the last axis, by D, in the dtype of x and without cancellation
    also where the mean is large.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    return (centred * centred).mean(axis=-1)


def inputs_of_variances(rng):
    yield ((rng.normal(size=(2, 50)) + 3000).astype(np.float32),)
    yield (rng.normal(size=(2, 3, 8)).astype(np.float32),)


def round_to_bfloat16(x):  # [N] -> [N]
    """Round float32 numbers to the nearest that has 16 zeros at the end of its 32 bits, on a tie to
    the one with an even last bit; the result is float32 again.
    """
    bits = x.view(np.uint32)
    even = (bits >> 16) & 1
    return ((bits + 0x7FFF + even) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def inputs_of_bfloat16(rng):
    yield (rng.normal(size=20).astype(np.float32),)
    ties = (rng.integers(0x3F80, 0x4000, 8).astype(np.uint32) << 16) | 0x8000
    yield (ties.astype(np.uint32).view(np.float32),)


def cut_to_bfloat16(x):
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def ties_away(x):
    return ((x.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def relative_error(got, expected):  # [...], [...] -> []
    """Return the largest difference between two arrays, relative to the largest magnitude of the
    expected one.
    """
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def inputs_of_errors(rng):
    for shape in ((7,), (3, 4)):
        expected = rng.normal(size=shape)
        yield expected + rng.normal(-0.1, 0.05, shape), expected


EXERCISES = (
    Exercise(
        gap_above,
        inputs_of_gaps,
        (
            Mistake(
                "Epsilon times the number itself: the gaps change at powers of two only.",
                lambda x: np.abs(x) * np.float32(2.0**-23),
            ),
            Mistake(
                "Epsilon is the gap above 1; it grows with the number.",
                lambda x: np.full_like(x, 2.0**-23),
            ),
            Mistake(
                "Twice as large: `np.frexp` gives a fraction below 1, so its exponent is one more.",
                lambda x: np.ldexp(np.float32(2.0**-23), np.frexp(x)[1]),
            ),
        ),
        "`np.frexp` takes a number apart, `np.ldexp` puts it together.",
        lambda x: np.abs(np.spacing(x)),
    ),
    Exercise(
        compensated_sum,
        inputs_of_sums,
        (
            Mistake("Nothing is kept of what an addition loses.", plain_sum),
            Mistake(
                "What was lost is added with the wrong sign.",
                sum_with_the_wrong_sign,
            ),
        ),
        "`(larger - total)` is what has arrived of the number that was added.",
    ),
    Exercise(
        variance_in_two_passes,
        inputs_of_variances,
        (
            Mistake(
                "The mean of the squares minus the square of the mean: two large numbers cancel.",
                lambda x: (x * x).mean(axis=-1) - x.mean(axis=-1) ** 2,
            ),
            Mistake("Divided by D - 1; here by D.", lambda x: x.var(axis=-1, ddof=1)),
            Mistake(
                "The root is the deviation; the variance was asked for.", lambda x: x.std(axis=-1)
            ),
        ),
        "Subtract the mean before you square.",
    ),
    Exercise(
        round_to_bfloat16,
        inputs_of_bfloat16,
        (
            Mistake("The last 16 bits are cut off; they should be rounded.", cut_to_bfloat16),
            Mistake("On a tie always up; to the even one.", ties_away),
            Mistake(
                "float16 has other bits: more digits and a smaller range.",
                lambda x: x.astype(np.float16).astype(np.float32),
            ),
        ),
        "`x.view(np.uint32)` shows the bits. Add half of the last kept bit, or one less, then cut.",
    ),
    Exercise(
        relative_error,
        inputs_of_errors,
        (
            Mistake(
                "Each difference is divided by its own value, so one value near 0 decides.",
                lambda got, expected: float(np.abs((got - expected) / expected).max()),
            ),
            Mistake(
                "Without the magnitude of the differences the negative ones are lost.",
                lambda got, expected: float((got - expected).max() / np.abs(expected).max()),
            ),
            Mistake(
                "The mean of the differences, not the largest.",
                lambda got, expected: float(np.abs(got - expected).mean() / np.abs(expected).max()),
            ),
        ),
        "Two maxima and one division.",
    ),
)
