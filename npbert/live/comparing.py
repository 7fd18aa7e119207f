"""What an edit has changed: every quantity of the edited pass beside that of the right one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from npbert.tracing.page.values import kept_places, packed, statistics
from npbert.tracing.quantities import MASKED, Trace

ROUNDING = 1e-5  # of the largest value: less, in float32, is another order of the same sums


def difference(new: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return new minus right in float64; 0 where both are masked or are the same infinity or NaN.

    Of unlike shapes there is none: ValueError.
    """
    if new.shape != right.shape:
        raise ValueError(f"shape {list(new.shape)}, expected {list(right.shape)}")
    new, right = new.astype(np.float64), right.astype(np.float64)
    same = ((new < MASKED) & (right < MASKED)) | (np.isnan(new) & np.isnan(right)) | (new == right)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(same, 0.0, new - right)


def size_of(change: np.ndarray) -> float:
    """Return the largest magnitude of a difference, infinite where one side is no number."""
    sizes = np.abs(change)
    return float(np.where(np.isnan(sizes), np.inf, sizes).max(initial=0.0))


def scale_of(right: np.ndarray) -> float:
    """Return the largest magnitude of the right values, of those that say something."""
    values = right.astype(np.float64)
    values = values[np.isfinite(values) & (values > MASKED)]
    return float(np.abs(values).max(initial=0.0))


def changes(new: Trace, right: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return for every quantity of an edited pass in what it differs, by name, in computing order.

    Only those that differ are there:
    size      the largest absolute difference, None where it is infinite
    relative  the same in relation to the largest right value, None where that is no number
    at        where it is
    shape     the right shape, where that is another; then there is nothing else
    missing   where the right pass has no such quantity
    """
    found: dict[str, dict[str, Any]] = {}
    for quantity in new:
        if quantity.name not in right:
            found[quantity.name] = {"missing": True}
            continue
        value = right[quantity.name]
        if value.shape != quantity.shape:
            found[quantity.name] = {"shape": [*value.shape]}
            continue
        change = difference(quantity.value, value)
        size, scale = size_of(change), scale_of(value)
        if size == 0:
            continue
        place = np.where(np.isnan(change), np.inf, np.abs(change)).argmax()
        relative = size / scale if scale else np.inf
        found[quantity.name] = {
            "size": size if np.isfinite(size) else None,
            "relative": relative if np.isfinite(relative) else None,
            "at": [int(i) for i in np.unravel_index(place, change.shape)],
        }
    return found


def picture(entry: Mapping[str, Any], new: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Return the difference of two arrays as a page shows a quantity: values and statistics.

    entry: what the page has of the quantity, whose `steps` and `kept` say which entries it shows.
    """
    change = difference(new, right)
    change = np.where(np.isfinite(change), change, np.nan)
    return {**statistics(change), **packed(change, kept_places(entry, new.shape)), "signed": True}


def first_of(found: Mapping[str, dict[str, Any]]) -> str | None:
    """Return the first quantity that differs by more than rounding, else the first that differs."""
    for name, change in found.items():
        if not change.get("missing") and is_more_than_rounding(change):
            return name
    return next((name for name, change in found.items() if not change.get("missing")), None)


def is_more_than_rounding(change: Mapping[str, Any]) -> bool:
    relative = change.get("relative", np.inf)
    return relative is None or relative > ROUNDING
