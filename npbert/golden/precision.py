"""Rounding to float16 and bfloat16, which NumPy has only one of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from npbert.golden.comparing import MASKED

NARROW = ("float16", "bfloat16")
FEWEST = 24  # numbers, no whole ones, that tell a precision
LARGEST = {"float16": 65504.0, "bfloat16": float(np.float32(3.3895314e38))}


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 values rounded to float16 or bfloat16, in float32.

    What overflows is infinite, but for what stands for a masked place: that is the smallest number.
    """
    masked = array < MASKED
    array = np.where(masked, -LARGEST[dtype], array).astype(np.float32)
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return array.astype(np.float16).astype(np.float32)
    bits = array.view(np.uint32)
    # To the nearest, ties to even: half of the last place that is kept is added, or one bit less.
    half = ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
    nearest = ((bits + half) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isfinite(array), nearest, array)


def precision_of(arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> str:
    """Return the narrower dtype in which a port computed, by the numbers that it wrote; or "".

    It is the one of which all numbers are that were written as float32 or float64; few of them,
    ones and zeros say, are such by chance.
    """
    wide = [array for name, array in arrays.items() if dtypes[name] == "float32"]
    wide = [array for array in wide if array.dtype.kind == "f"]
    if sum((np.abs(array) != np.rint(np.abs(array))).sum() for array in wide) < FEWEST:
        return ""
    for dtype in ("bfloat16", "float16"):  # most numbers of the first are such of the second
        if all(is_rounded(array, dtype) for array in wide):
            return dtype
    return ""


def is_rounded(array: np.ndarray, dtype: str) -> bool:
    """Tell whether all numbers of an array are such of a narrower dtype, masked scores aside."""
    counted = array[array >= MASKED].astype(np.float32)
    return np.array_equal(rounded(counted, dtype), counted)
