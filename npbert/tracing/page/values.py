"""Packs an array for a page: exact statistics, and values to three digits in few bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npbert.tracing.quantities import counted

Places = tuple[np.ndarray, ...]  # of each axis the entries that are kept, in order
Wanted = dict[int, list[int]]  # axis -> entries that are kept in any case

LARGEST = 32768.0  # of the numbers that are written; float16 ends at 65504
WIDEST = 512  # entries of an axis that are kept, where it has more than twice as many
OUTLIERS = 99.5  # percentile at which the colours end, where the largest value is far above it


def statistics(value: np.ndarray) -> dict[str, Any]:
    """Return mean, standard deviation, extremes and the limit of the colours.

    Masked entries, and those that are not finite, do not count.
    masked: the number of those. signed: whether there are negative
    values. limit: the magnitude with the strongest colour; a few values may lie beyond it.
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
    """Return a number rounded to seven digits, as many as float32 has."""
    return float(f"{number:.7g}")


def packed(value: np.ndarray, places: Places) -> dict[str, Any]:
    """Return the entries at these places of each axis as text.

    Integers are int32. Other numbers are divided by `scale`, so that the largest is about LARGEST,
    and are float16; NaN stands for a masked entry.
    """
    is_whole = all(len(kept) == n for kept, n in zip(places, value.shape))
    kept = value if is_whole else value[np.ix_(*places)]
    if kept.dtype.kind in "iub":
        return {"data": as_text(kept.astype("<i4")), "scale": 0}
    numbers = kept.astype(np.float64)
    is_counted = counted(numbers)
    largest = np.abs(numbers[is_counted]).max(initial=0)
    scale = float(largest) / LARGEST or 1.0
    numbers = np.where(is_counted, numbers, np.nan) / scale
    return {"data": as_text(numbers.astype("<f2")), "scale": scale}


def kept_places(entry: Mapping[str, Any], shape: Sequence[int]) -> Places:
    """Return the entries of each axis that a page has of a quantity; entry: what it has of it."""
    steps = entry.get("steps", [1] * len(shape))
    chosen = entry.get("kept", [None] * len(shape))
    return tuple(
        np.arange(0, length, step) if kept is None else np.array(kept)
        for length, step, kept in zip(shape, steps, chosen)
    )


def as_text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def steps_for(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return for each axis the step n of the entries to keep, so that at most `most` remain."""
    steps = [-(-length // WIDEST) if length > 2 * WIDEST else 1 for length in shape]

    def left(axis: int) -> int:
        return -(-shape[axis] // steps[axis])

    while np.prod([left(axis) for axis in range(len(shape))], dtype=float) > most:
        longest = max(left(axis) for axis in range(len(shape)))
        for axis in range(len(shape)):  # both axes of tokens by tokens alike
            steps[axis] += left(axis) == longest
    return tuple(steps)


def places_for(shape: tuple[int, ...], most: int, wanted: Wanted) -> Places:
    """Return for each axis the entries to keep: every n-th, and those that are wanted anyway."""
    return tuple(
        np.arange(length)
        if step == 1
        else np.union1d(np.arange(0, length, step), np.array(wanted.get(axis, ()), np.int64))
        for axis, (length, step) in enumerate(zip(shape, steps_for(shape, most)))
    )


def most_for(arrays: list[tuple[tuple[int, ...], Wanted]], budget: int) -> int:
    """Return how many values each array may keep, so that all together stay within a budget.

    arrays: the shape of each, and the entries of its axes that are wanted anyway.
    """
    most = budget
    while most > 64:
        sizes = [np.prod([len(kept) for kept in places_for(shape, most, wanted)])
                 for shape, wanted in arrays]  # fmt: skip
        if sum(sizes) <= budget:
            break
        most = int(most * 0.7)
    return most
