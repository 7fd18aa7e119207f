"""Mistakes of dumping: an array that is not what a port computed with, though the port is right.

A step that was computed wrongly spoils what is made of it. Where that is right, and would be wrong
if it had been made of the array that was given, the port computed with other values than it wrote:
the fault is in the writing. What was written instead is looked for among what often is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from npbert.golden.comparing import MASKED, entries_of, sample
from npbert.golden.judging import Row, back_to
from npbert.golden.kit import Kit
from npbert.golden.manifest import Case
from npbert.model.base import PreTrainedModel

LONGEST = 512  # places along an axis up to which an order of them is looked for


def misdumped(rows: Mapping[str, Row]) -> list[Row]:
    """Return the arrays that are wrong though what was made of the right ones is right."""
    makes: dict[str, list[Row]] = {}
    for row in rows.values():
        if row.is_usable:
            for source in usable_sources(row, rows):
                makes.setdefault(source, []).append(row)
    return [
        row
        for name, row in rows.items()
        if row.local_right is False and row.expected_right is False
        if is_unused(row, makes.get(name, []))
    ]


def usable_sources(row: Row, rows: Mapping[str, Row]) -> list[str]:
    """Return the nearest usable arrays that a tensor is computed from."""
    found = back_to(row.name, lambda name: rows[name].inputs, lambda name: rows[name].is_usable)
    return [name for name in found if rows[name].is_usable]


def is_unused(row: Row, made_of_it: list[Row]) -> bool:
    """Tell whether all that was made of an array is right, and not as something made of it.

    What comes after a NaN cannot be computed from it; to be right it was made of something else.
    """
    return all(other.expected_right for other in made_of_it) and any(
        other.local_right is False or other.unjudged == row.name for other in made_of_it
    )


# ---- what was written instead ------------------------------------------------------------------


@dataclass(frozen=True)
class Suspect:
    """An array and what it should be, both as the kit samples them.

    counted  which entries are compared    share  how far off equal arrays may be, relatively
    """

    kit: Kit
    parameters: Mapping[str, np.ndarray]
    case: Case
    row: Row
    given: np.ndarray
    expected: np.ndarray
    counted: np.ndarray
    share: float

    def is_like(self, given: np.ndarray, other: np.ndarray) -> bool:
        """Tell whether two arrays are equal up to rounding, where they are compared."""
        if given.shape != other.shape:
            return False
        counted = np.broadcast_to(self.counted, other.shape) & (other > MASKED)
        values = other[counted]
        largest = float(np.abs(values).max(initial=0))
        if not largest > 0:
            return False
        return bool(np.abs(given[counted] - values).max() <= self.share * largest)


def what_was_written(
    kit: Kit, model: PreTrainedModel, case: Case, row: Row, given: np.ndarray
) -> str:
    """Say what an array holds instead of its tensor; "" where nothing known is like it."""
    assert row.tolerance is not None
    expected = kit.expected(case.name)[row.name]
    counted = sample(entries_of(row.tensor, case, given.shape).compared, row.tensor.sampled)
    largest = float(np.abs(expected[counted & (expected > MASKED)]).max(initial=0)) or 1.0
    most = max(row.tolerance.expected, row.tolerance.expected_padded or 0.0)
    part = sample(given.astype(np.float64), row.tensor.sampled)
    share = 4 * most / largest
    suspect = Suspect(kit, model.state_dict(), case, row, part, expected, counted, share)
    with np.errstate(all="ignore"):  # a port may be wrong by any measure
        return next((said for find in FINDERS for said in find(suspect)), "")


def nothing_written(suspect: Suspect) -> Iterator[str]:
    values = suspect.given[suspect.counted]
    if not values.any():
        yield "all zeros, as in a buffer that was never filled"
    elif (values == values.flat[0]).all() and values.size > 1:
        yield f"{values.flat[0]:g} everywhere, as in a buffer that was never filled"


def another_tensor(suspect: Suspect) -> Iterator[str]:
    """A layer late, before a norm instead of after it, a buffer that was reused."""
    arrays = suspect.kit.expected(suspect.case.name)
    names = [*arrays]
    here = names.index(suspect.row.name)
    for name in sorted(names, key=lambda name: abs(names.index(name) - here)):
        if name != suspect.row.name and suspect.is_like(suspect.given, arrays[name]):
            when = "before" if names.index(name) < here else "after"
            yield f"the values of {name}, which is computed {when} it"


def another_case(suspect: Suspect) -> Iterator[str]:
    for name in suspect.kit.cases:
        if name != suspect.case.name:
            other = suspect.kit.expected(name)[suspect.row.name]
            if suspect.is_like(suspect.given, other):
                yield f"the right values in case {name}"


def part_of_it(suspect: Suspect) -> Iterator[str]:
    """Filled in part, or every row the same."""
    given, expected = suspect.given, suspect.expected
    for axis in range(given.ndim):
        name = axis_name(suspect, axis)
        places = given.shape[axis]
        if places < 2:
            continue
        first, rest = np.take(given, [0], axis), np.delete(given, 0, axis)
        if (rest == first).all():
            for place in range(places):
                repeated = np.broadcast_to(np.take(expected, [place], axis), given.shape)
                if suspect.is_like(given, repeated):
                    yield f"the right values at {place} of axis {name}, repeated"
        for end in range(places - 1, 0, -1):
            beyond = given[(slice(None),) * axis + (slice(end, None),)]
            if not beyond.any():
                filled = expected.copy()
                filled[(slice(None),) * axis + (slice(end, None),)] = 0
                if suspect.is_like(given, filled):
                    where = f"up to {end} of {places} on axis {name}"
                    yield f"the right values {where}, and zeros behind"


def other_order(suspect: Suspect) -> Iterator[str]:
    """Rows, heads or channels in another order."""
    given, expected = suspect.given, suspect.expected
    for axis in range(given.ndim):
        places = given.shape[axis]
        if not 2 <= places <= LONGEST:
            continue
        mine = np.moveaxis(given, axis, 0).reshape(places, -1)
        theirs = np.moveaxis(expected, axis, 0).reshape(places, -1)
        counted = np.isfinite(mine) & np.isfinite(theirs) & (theirs > MASKED)
        mine, theirs = np.where(counted, mine, 0), np.where(counted, theirs, 0)
        order = [int(np.abs(theirs - row).max(axis=1).argmin()) for row in mine]
        is_order = sorted(order) == [*range(places)] and order != [*range(places)]
        if is_order and suspect.is_like(given, np.take(expected, order, axis)):
            yield f"the right values with axis {axis_name(suspect, axis)} {order_in_words(order)}"


def order_in_words(order: list[int]) -> str:
    places = len(order)
    if order == [*range(places)][::-1]:
        return "from the end to the beginning"
    for shift in range(1, places):
        if order == [(place - shift) % places for place in range(places)]:
            by = shift if shift <= places // 2 else shift - places
            return f"shifted by {by}"
    shown = str(order) if places <= 8 else f"{str(order[:8])[:-1]}, ...]"
    return f"in the order {shown}"


def other_memory(suspect: Suspect) -> Iterator[str]:
    """Axes that are not in the order in memory that somebody took them to be in."""
    expected = suspect.expected
    if expected.ndim > 5:  # too many orders
        return
    for turn in itertools.permutations(range(expected.ndim)):
        if turn == tuple(range(expected.ndim)):
            continue
        written = expected.transpose(turn).reshape(expected.shape)
        sizes = [expected.shape[axis] for axis in turn]
        read = expected.reshape(sizes).transpose(np.argsort(turn))
        axes = ", ".join(axis_name(suspect, axis) for axis in turn)
        if suspect.is_like(suspect.given, written):
            yield f"the right numbers, written in the order of axes {axes}"
        elif suspect.is_like(suspect.given, read):
            yield f"the right numbers, read as if they were in the order of axes {axes}"


def times_or_plus(suspect: Suspect) -> Iterator[str]:
    """Scaled, negated, or moved by a constant."""
    given, expected = suspect.given, suspect.expected
    counted = suspect.counted & (expected > MASKED)
    mine, theirs = given[counted], expected[counted]
    if not np.isfinite(mine).all() or theirs.size < 2:
        return
    factor = float(mine @ theirs) / (float(theirs @ theirs) or 1.0)
    if abs(factor) > 1e-6 and suspect.is_like(given, factor * expected):
        yield f"the right values times {factor:.4g}"
    offset = float(np.median(mine - theirs))
    if suspect.is_like(given - offset, expected):
        yield f"the right values plus {offset:.4g}"


def more_or_less(suspect: Suspect) -> Iterator[str]:
    """Something added that does not belong to it, or left out that does."""
    rest = suspect.given - suspect.expected
    arrays = suspect.kit.expected(suspect.case.name)
    near = [*suspect.row.inputs, *[name for name in arrays if name not in suspect.row.inputs]]
    share = suspect.share * float(np.abs(suspect.expected).max())
    for name, array in addends(suspect, near, arrays):
        largest = float(np.abs(array).max(initial=0))
        if largest < 50 * share or array.shape != np.broadcast_shapes(array.shape, rest.shape):
            continue
        counted = suspect.counted & (suspect.expected > MASKED) & (array > MASKED)
        for sign, word in ((1, "plus"), (-1, "without")):
            if np.abs(rest - sign * array)[counted].max(initial=0) <= 2 * share:
                yield f"the right values {word} {name}"


def addends(
    suspect: Suspect, names: list[str], arrays: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may have been added: other tensors, and the parameters of this very step."""
    shape = suspect.given.shape
    for name in names:
        if name in arrays and name != suspect.row.name and arrays[name].shape == shape:
            yield name, arrays[name]
    if suspect.row.tensor.sampled is None:
        for name in suspect.row.tensor.inputs:
            array = suspect.parameters.get(name)
            if array is not None and array.shape == shape[-1:]:
                yield name, np.broadcast_to(array, shape)


def few_digits(suspect: Suspect) -> Iterator[str]:
    for digits in range(5):
        if np.array_equal(np.round(suspect.given, digits).astype(np.float32),
                          suspect.given.astype(np.float32)):  # fmt: skip
            if np.abs(suspect.given - suspect.expected)[suspect.counted].max() <= 10.0**-digits:
                yield f"the right values rounded to {digits} decimal places"
            return


def axis_name(suspect: Suspect, axis: int) -> str:
    axes = suspect.row.tensor.axes
    return str(axis) if axes is None else f"{axis} ({axes[axis]})"


FINDERS = (
    nothing_written, another_tensor, another_case, part_of_it, few_digits, times_or_plus,
    more_or_less, other_order, other_memory,
)  # fmt: skip
