"""An array in few bytes for a page: its statistics, exactly, and its values to three digits."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from npbert.tracing.recording import counted

LARGEST = 32768.0  # of the numbers that are written: close to the largest that float16 has
WIDEST = 512  # entries of one axis that are kept
OUTLIERS = 99.5  # per cent of the values have colours of their own, if the rest is far away


def statistics(value: np.ndarray) -> dict[str, Any]:
    """Return mean, standard deviation, extremes and what the colours span, without masked places.

    masked: how many places are masked, or no finite number. signed: whether there are negative
    values. limit: the magnitude that has the strongest colour; rare values may be beyond it.
    """
    numbers = value.astype(np.float64).ravel()
    numbers = numbers[counted(numbers)]
    found: dict[str, Any] = {"masked": value.size - numbers.size}
    if not numbers.size:
        return found | {"mean": None, "std": None, "min": None, "max": None, "signed": False,
                        "limit": 1.0}  # fmt: skip
    magnitudes = np.abs(numbers)
    largest, usual = magnitudes.max(), np.percentile(magnitudes, OUTLIERS)
    limit = usual if 0 < usual < largest / 2 else largest
    return found | {
        "mean": shortened(numbers.mean()),
        "std": shortened((numbers / (largest or 1)).std() * largest),  # squares might overflow
        "min": shortened(numbers.min()),
        "max": shortened(numbers.max()),
        "signed": bool(numbers.min() < 0),
        "limit": shortened(limit) or 1.0,
    }


def shortened(number: float) -> float:
    """Return a number to seven digits: float32 has no more."""
    return float(f"{number:.7g}")


def packed(value: np.ndarray, steps: tuple[int, ...]) -> dict[str, Any]:
    """Return every `steps`-th entry of each axis as text.

    Whole numbers are int32. Others are float16 after a division by `scale`, which makes the largest
    fit, so that a small one beside a large one keeps its digits, too; NaN stands for a masked one.
    """
    kept = value[tuple(slice(None, None, step) for step in steps)]
    if kept.dtype.kind in "iub":
        return {"data": as_text(kept.astype("<i4")), "scale": 0}
    numbers = kept.astype(np.float64)
    is_counted = counted(numbers)
    largest = np.abs(numbers[is_counted]).max(initial=0)
    scale = float(largest) / LARGEST or 1.0
    numbers = np.where(is_counted, numbers, np.nan) / scale
    return {"data": as_text(numbers.astype("<f2")), "scale": scale}


def as_text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def steps_for(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return which entries of each axis to keep, every n-th, so that there are at most so many."""
    steps = [-(-length // WIDEST) if length > 2 * WIDEST else 1 for length in shape]

    def left(axis: int) -> int:
        return -(-shape[axis] // steps[axis])

    while np.prod([left(axis) for axis in range(len(shape))], dtype=float) > most:
        longest = max(left(axis) for axis in range(len(shape)))
        for axis in range(len(shape)):  # both axes of tokens by tokens alike
            steps[axis] += left(axis) == longest
    return tuple(steps)


def most_for(shapes: list[tuple[int, ...]], budget: int) -> int:
    """Return how many values an array may keep, if all of them together keep to a budget."""
    most = budget
    while most > 64:
        sizes = [np.prod([-(-n // step) for n, step in zip(shape, steps_for(shape, most))])
                 for shape in shapes]  # fmt: skip
        if sum(sizes) <= budget:
            break
        most = int(most * 0.7)
    return most
