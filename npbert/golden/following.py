"""Recomputes every step of a forward pass from a port's own values.

A port's mistake shows in every array that comes after it. To see where it was made, each step is
computed again from the port's own earlier values: one pass of npbert in float64, in which every
array is kept for comparison as soon as it is computed, and then replaced by the port's. An array
that differs is itself wrong; one that only inherited a mistake is right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbert.golden.comparing import MASKED, SMALL_ENOUGH
from npbert.model.base import PreTrainedModel
from npbert.tracing.recording import Quantity, trace


@dataclass
class Step:
    """One quantity of a pass that followed a port.

    quantity   its name, place and inputs; its value is what the pass went on with
    computed   what npbert computes here from the port's values before it
    given      the port's value, or None
    followed   whether the pass went on with the port's value. A view of an array that the port
               gave, too, is only compared: to write into it would change that array as well
    """

    quantity: Quantity
    computed: np.ndarray
    given: np.ndarray | None
    followed: bool


class EnoughSeen(Exception):
    """Ends a pass of which nothing more is wanted."""


def follow(
    model: PreTrainedModel,
    inputs: Mapping[str, np.ndarray],
    given: Mapping[str, np.ndarray],
    until: Collection[str] = (),
) -> list[Step]:
    """Run a float64 model on `inputs` along a port's values, and return the steps in order.

    given: the port's arrays, under the first names of their quantities. One of another shape than
        its quantity, or with a NaN in it, is compared but not followed.
    until: quantities after which the pass may end, if they have all been computed.
    Raises ValueError for a model in another precision.
    """
    if model.dtype != np.float64:
        raise ValueError(f"a {model.dtype} model given, expected one in float64")
    waiting = set(until)
    steps: list[Step] = []
    memory = Memory()

    def visit(quantity: Quantity, array: np.ndarray) -> None:
        theirs = given.get(quantity.name)
        step = Step(quantity, array.copy(), theirs, False)
        steps.append(step)
        if theirs is not None and is_like(theirs, array) and memory.may_be_replaced(array):
            # Where both are masked npbert's value stays; otherwise the port's counts.
            masked = (step.computed < MASKED) & (theirs <= SMALL_ENOUGH)
            array[...] = np.where(masked, step.computed, theirs)
            step.followed = True
        memory.note(array, step.followed)
        waiting.discard(quantity.name)
        if until and not waiting:
            raise EnoughSeen

    passed: Any = dict(inputs)
    with np.errstate(all="ignore"), suppress(EnoughSeen):  # a port may be wrong by any measure
        trace(model, **passed, visit=visit)
    return steps


def is_like(theirs: np.ndarray, array: np.ndarray) -> bool:
    """Tell whether a port's array can stand for one of npbert's."""
    fits = array.dtype.kind == "f" and theirs.shape == array.shape
    return fits and not np.isnan(theirs).any()


class Memory:
    """The arrays of a pass so far, by the memory that they are views of."""

    def __init__(self) -> None:
        self.arrays: dict[int, list[tuple[np.ndarray, bool]]] = {}

    def note(self, array: np.ndarray, has_their_values: bool) -> None:
        self.arrays.setdefault(owner_of(array), []).append((array, has_their_values))

    def may_be_replaced(self, array: np.ndarray) -> bool:
        """Tell whether writing into an array changes nothing but what the port has not given."""
        if not array.flags.writeable:
            return False
        # A view of a part would change the rest of what other views of the same array show.
        return not any(
            has_their_values or other.size != array.size
            for other, has_their_values in self.arrays.get(owner_of(array), [])
            if np.may_share_memory(array, other)
        )


def owner_of(array: Any) -> int:
    """Return the id of the object whose memory an array shows."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return id(array)
