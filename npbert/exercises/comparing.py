"""The first difference between what a function gave and what was expected, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

# Relative to the value itself and to the largest of its array: a sum may be taken in any order.
TOLERANCES = {np.dtype(np.float16): 2e-3, np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-9}
LARGEST_SCALE = 1e3  # an array may hold the smallest float beside 0, as the mask does


def difference(got: Any, expected: Any, place: str = "the result") -> str | None:
    """Say in what two results differ first: type, length or shape, dtype, value. None if nowhere.

    Lists and tuples count as alike, and so do numbers of Python and of NumPy.
    """
    if isinstance(expected, np.ndarray):
        return difference_of_arrays(got, expected, place)
    if isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)):
            return f"{place} is {kind(got)}, expected {kind(expected)}"
        for number, (one, other) in enumerate(zip(got, expected)):
            if found := difference(one, other, f"{place}[{number}]"):
                return found
        if len(got) != len(expected):
            return f"{place} has {len(got)} elements, expected {len(expected)}: {short(expected)}"
        return None
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return f"{place} is {kind(got)}, expected {kind(expected)}"
        if got.keys() != expected.keys():
            return f"{place} has the keys {short([*got])}, expected {short([*expected])}"
        places = ((key, f"{place}[{key!r}]") for key in expected)
        found_ones = (difference(got[key], expected[key], where) for key, where in places)
        return next(filter(None, found_ones), None)
    if callable(expected):
        return None if got is expected else f"{place} is {kind(got)}"
    if isinstance(expected, (str, set)):
        alike = isinstance(got, type(expected))
    elif isinstance(expected, (bool, np.bool_)):
        alike = isinstance(got, (bool, np.bool_))
    else:
        alike = np.isscalar(got) or (isinstance(got, np.ndarray) and got.ndim == 0)
        alike = alike and np.asarray(got).dtype.kind in "iuf"
    if not alike:
        return f"{place} is {kind(got)}, expected {kind(expected)}"
    if isinstance(expected, (float, np.floating)):
        tolerance = TOLERANCES.get(np.asarray(expected).dtype, 1e-9)
        if np.isclose(float(got), float(expected), rtol=tolerance, atol=1e-300, equal_nan=True):
            return None
    elif got == expected:
        return None
    return f"{place} is {short(got)}, expected {short(expected)}"


def difference_of_arrays(got: Any, expected: np.ndarray, place: str) -> str | None:
    if not isinstance(got, (np.ndarray, np.generic)):
        return f"{place} is {kind(got)}, expected {kind(expected)}"
    got = np.asarray(got)
    if got.shape != expected.shape:
        return f"{place} has the shape {[*got.shape]}, expected {[*expected.shape]}"
    if got.dtype != expected.dtype:
        return f"{place} is {got.dtype}, expected {expected.dtype}"
    wrong = got != expected
    if expected.dtype.kind == "f":
        size = np.abs(expected[np.isfinite(expected)])
        scale = min(float(size.max(initial=0)), LARGEST_SCALE)
        tolerance = TOLERANCES.get(expected.dtype, 1e-9)
        with np.errstate(all="ignore"):
            near = np.isclose(got, expected, tolerance, tolerance * scale, equal_nan=True)
        wrong = ~near
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"{place}[{', '.join(map(str, first))}]" if first else place
    count = "" if expected.size == 1 else f" ({int(wrong.sum())} of {expected.size} values differ)"
    return f"{where} is {short(got[first])}, expected {short(expected[first])}{count}"


def kind(value: Any) -> str:
    """Say what a value is."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, {[*value.shape]}"
    return "None" if value is None else f"of type {type(value).__name__}"


def short(value: Any) -> str:
    """Write a value in few characters."""
    if isinstance(value, np.ndarray):
        return kind(value)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.7g}"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
