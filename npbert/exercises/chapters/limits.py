"""Exercises of the chapter on the machine's limits: intensity, the roof, in place, in blocks."""

from __future__ import annotations

import numpy as np

from npbert import ops
from npbert.exercises.exercise import Exercise, Mistake


def intensity_of_product(n, k, m, itemsize):
    """Return the operations for each byte of a product [n, k] @ [k, m]: both are read and the
    result is written once.
    """
    return 2 * n * k * m / (itemsize * (n * k + k * m + n * m))


def inputs_of_intensity(rng):
    for itemsize in (4, 8):
        yield *(int(size) for size in rng.integers(1, 500, 3)), itemsize


def under_the_roof(intensity, peak, bandwidth):
    """Return the most operations a second that a step of this intensity (operations a byte) can
    reach on a machine of this peak (operations a second) and bandwidth (bytes a second).
    """
    return min(peak, intensity * bandwidth)


def inputs_of_roof(rng):
    for intensity in (0.25, 100.0):
        yield intensity, float(rng.uniform(5e10, 1e11)), float(rng.uniform(1e10, 2e10))


def softmax_in_place(x):  # [..., K] -> [..., K]
    """Compute the softmax over the last axis in the memory of x, and return x."""
    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def inputs_of_softmax(rng):
    yield (rng.normal(size=(3, 4)),)
    yield (rng.normal(size=(2, 3, 5)) * 1000,)


def softmax_half_in_place(x):
    x -= x.max(axis=-1, keepdims=True)
    exponentials = np.exp(x)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def softmax_in_place_unshifted(x):
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def product_in_blocks(a, b, size):  # [n, k], [k, m] -> [n, m]
    """Compute a @ b by products of blocks of size x size; the last ones may be smaller."""
    (n, k), m = a.shape, b.shape[1]
    out = np.zeros((n, m), a.dtype)
    for i in range(0, n, size):
        for j in range(0, m, size):
            for l in range(0, k, size):
                block = a[i : i + size, l : l + size] @ b[l : l + size, j : j + size]
                out[i : i + size, j : j + size] += block
    return out


def inputs_of_blocks(rng):
    for n, k, m, size in ((5, 6, 7, 3), (4, 9, 2, 4)):
        yield rng.normal(size=(n, k)), rng.normal(size=(k, m)), size


def last_block_only(a, b, size):
    start = (a.shape[1] - 1) // size * size
    return a[:, start:] @ b[start:]


def whole_blocks_only(a, b, size):
    n, k, m = (length // size * size for length in (*a.shape, b.shape[1]))
    out = np.zeros((len(a), b.shape[1]), a.dtype)
    out[:n, :m] = a[:n, :k] @ b[:k, :m]
    return out


EXERCISES = (
    Exercise(
        intensity_of_product,
        inputs_of_intensity,
        (
            Mistake(
                "Multiplications only: each comes with an addition.",
                lambda n, k, m, itemsize: n * k * m / (itemsize * (n * k + k * m + n * m)),
            ),
            Mistake(
                "Divided by numbers, not by bytes.",
                lambda n, k, m, itemsize: 2 * n * k * m / (n * k + k * m + n * m),
            ),
            Mistake(
                "The result has to be written, too.",
                lambda n, k, m, itemsize: 2 * n * k * m / (itemsize * (n * k + k * m)),
            ),
        ),
        "Three arrays move, each once.",
    ),
    Exercise(
        under_the_roof,
        inputs_of_roof,
        (
            Mistake(
                "The larger of the two limits; the smaller one holds.",
                lambda intensity, peak, bandwidth: max(peak, intensity * bandwidth),
            ),
            Mistake(
                "The peak is reached only where memory keeps up.",
                lambda intensity, peak, bandwidth: peak,
            ),
            Mistake(
                "Bytes a second are multiplied by operations a byte, not divided.",
                lambda intensity, peak, bandwidth: min(peak, bandwidth / intensity),
            ),
        ),
        "Which unit has intensity times bandwidth?",
    ),
    Exercise(
        softmax_in_place,
        inputs_of_softmax,
        (
            Mistake("A new array is returned, and x is as it was.", ops.softmax),
            Mistake(
                "Only the first step is in place; the exponentials take new memory.",
                softmax_half_in_place,
            ),
            Mistake("The maximum is not subtracted: e^x overflows.", softmax_in_place_unshifted),
        ),
        "`-=`, `/=` and `out=x` write where x lies.",
    ),
    Exercise(
        product_in_blocks,
        inputs_of_blocks,
        (
            Mistake(
                "Each block of the result holds the last product alone; they should be added.",
                last_block_only,
            ),
            Mistake("The smaller blocks at the ends are left out.", whole_blocks_only),
        ),
        "Three loops with the step `size`. A slice that goes past the end is cut by itself.",
        lambda a, b, size: a @ b,
    ),
)
