"""The two verdicts on a port's array: against the kit, and against npbert's own step.

A row of the report is one tensor in one case; this file fills it in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from npbert.golden.comparing import Difference, compare
from npbert.golden.following import Step
from npbert.golden.given import Port
from npbert.golden.kit import Kit
from npbert.golden.layouts import Layout, other_layouts
from npbert.golden.manifest import Case, Tensor, Tolerance
from npbert.golden.precision import is_rounded
from npbert.terminal import counted

FAR_OFF = 10.0  # tolerances: from here on a tensor has little to do with the kit's
ALLOWANCE = 4.0  # how many local tolerances a step may then be off


@dataclass
class Row:
    """One tensor in one case: what was given, and the verdicts on it.

    inputs          the tensors of the kit that it is computed from
    written         its name in the port's file, "" where it was not given
    value           the array itself, as it was given
    dtype           what it is judged as
    problem         what is wrong with it as an array, such as its shape
    remark          what else there is to say
    layout          the other layout in which it is what was expected
    misdumped       whether the port computed with other values than these
    expected, ...   how far it is from the kit's value, and whether within tolerance
    local, ...      how far from npbert's step; local_right is None where that cannot be judged,
                    because of what came before: `unjudged`
    """

    tensor: Tensor
    case: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...] = ()
    written: str = ""
    value: np.ndarray | None = field(default=None, repr=False)
    dtype: str = ""
    problem: str = ""
    remark: str = ""
    layout: Layout | None = None
    misdumped: bool = False
    tolerance: Tolerance | None = None
    expected: Difference | None = None
    expected_right: bool | None = None
    local: Difference | None = None
    local_tolerance: Tolerance | None = None
    local_right: bool | None = None
    unjudged: str = ""

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def given(self) -> bool:
        return bool(self.written)

    @property
    def is_usable(self) -> bool:
        """Tell whether there is an array, of the right kind and shape."""
        return self.given and not self.problem

    @property
    def fails(self) -> bool:
        return bool(self.problem) or self.expected_right is False or self.local_right is False

    @property
    def verdict(self) -> str:
        """Return the verdict in one word."""
        if not self.given:
            return "not given"
        if self.misdumped:
            return "misdumped"
        if self.layout is not None and self.problem:
            return "transposed" if self.layout.turn else "misshapen"
        if self.problem:
            return "misshapen" if "shape" in self.problem else "unusable"
        if self.tolerance is None:
            return "unjudgeable"
        if self.local_right is False:
            return "WRONG"
        if self.expected_right:
            return "right"
        return "inherited" if self.local_right else "not judged"


# ---- against the kit -----------------------------------------------------------------------


def inputs_in(kit: Kit, graph: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return for each tensor of a kit the nearest ones in it that it is computed from.

    graph: for every quantity of a pass those that it is computed from. A kit may hold fewer.
    """
    known = {tensor.name for tensor in kit.tensors}

    def inputs_of(name: str) -> Sequence[str]:
        return graph.get(name, ())

    return {
        name: tuple(n for n in back_to(name, inputs_of, known.__contains__) if n in known)
        for name in known
    }


def back_to(
    name: str, inputs_of: Callable[[str], Sequence[str]], is_near: Callable[[str], bool]
) -> list[str]:
    """Return what something is computed from, step by step back to whatever is near enough."""
    found = [*inputs_of(name)]
    for source in found:
        if not is_near(source):
            found += [other for other in inputs_of(source) if other not in found]
    return found


def judge_expected(
    port: Port, tensor: Tensor, expected: np.ndarray, inputs: tuple[str, ...]
) -> Row:
    """Compare a port's array with the kit's value of a tensor, a sample of a sampled one."""
    given, case = port.arrays.get(tensor.name), port.case
    row = Row(tensor, case.name, tuple(tensor.cases[case.name].shape), inputs)
    if given is None:
        return row
    given = port.arrays[tensor.name] = without_repeats(given, row.shape)
    row.written, row.dtype = port.written[tensor.name], port.dtypes[tensor.name]
    row.value = given
    if tensor.kind == "input" and not row.dtype:
        row.dtype = "float32"  # ids are whole numbers
    if not row.dtype:
        row.problem = f"is {given.dtype}, expected floating-point numbers"
        return row
    row.tolerance = tensor.cases[case.name].tolerance[row.dtype]
    if row.tolerance is None:
        row.remark = f"its values do not fit into {row.dtype}"
        return row
    if given.shape != row.shape:
        row.problem = f"has shape {list(given.shape)}, expected {list(row.shape)}"
        row.problem += rows_alone(row, case, given, expected)
    else:
        row.expected = compare(tensor, case, given, expected)
        row.expected_right = row.expected.is_within(row.tolerance)
        if not row.expected_right:
            row.remark = what_is_no_number(row.expected, given) or what_was_narrower(
                row, case, given, expected
            )
    if not row.expected_right:
        row.layout = layout_that_fits(row, case, given, expected)
    return row


def without_repeats(given: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array with axes of size 1 where the kit has them and a port repeats what is there.

    Where all texts have the same positions the kit holds their embeddings once; a port may well
    have them for every text.
    """
    if given.ndim == len(shape):
        for axis, size in enumerate(shape):
            first = given.take([0], axis) if given.shape[axis] > size == 1 else given
            if given.dtype.kind != "O" and (given == first).all():
                given = first
    return given


def what_is_no_number(difference: Difference, given: np.ndarray) -> str:
    """Say what is plainly wrong with the values of an array, if anything is."""
    if np.isnan(given).any():
        return f"{_share(np.isnan(given))} NaN"
    if difference.unmasked:
        are = "score is" if difference.unmasked == 1 else "scores are"
        return f"not masked: {difference.unmasked} masked {are} above -1e4"
    if np.isinf(difference.largest):
        return f"{_share(np.isinf(given))} infinite"
    return ""


def _share(which: np.ndarray) -> str:
    """Return "2 of its 16 numbers are", for as many as are true."""
    is_or_are = "is" if which.sum() == 1 else "are"
    return f"{which.sum()} of its {counted(which.size, 'number')} {is_or_are}"


def what_was_narrower(row: Row, case: Case, given: np.ndarray, expected: np.ndarray) -> str:
    """Say so where float32 numbers are all float16 or bfloat16 ones, and right as such."""
    if row.dtype != "float32" or given.dtype.kind != "f":
        return ""
    for dtype in ("bfloat16", "float16"):  # most numbers of the first are such of the second
        tolerance = row.tensor.cases[case.name].tolerance[dtype]
        if not tolerance or not is_rounded(given, dtype):
            continue
        if compare(row.tensor, case, given, expected).is_within(tolerance):
            return f"right at the precision of {dtype}, which these numbers have: write them as it"
    return ""


def layout_that_fits(
    row: Row, case: Case, given: np.ndarray, expected: np.ndarray
) -> Layout | None:
    """Return the layout in which an array has the expected values, if there is one."""
    assert row.tolerance is not None
    for layout in other_layouts(given, row.shape):
        if compare(row.tensor, case, layout.array, expected).is_within(row.tolerance):
            return layout
    return None


def rows_alone(row: Row, case: Case, given: np.ndarray, expected: np.ndarray) -> str:
    """Say which row of a batch an array is, if it is the values of one alone."""
    assert row.tolerance is not None
    one = given.reshape(given.shape[1:]) if given.shape[:1] == (1,) else given
    if row.tensor.axes is None or row.tensor.axes[0] != "B" or one.shape != row.shape[1:]:
        return ""
    if row.tensor.sampled is not None or row.shape[0] < 2:
        return ""
    for number in range(row.shape[0]):
        whole = expected.copy()
        whole[number] = one
        found = compare(row.tensor, case, whole, expected)
        if found.is_within(row.tolerance) and not found.unmasked:
            return f": these are the values of row {number} alone, of {row.shape[0]}"
    return ""


def usable_arrays(port: Port, rows: Mapping[str, Row]) -> dict[str, np.ndarray]:
    """Return the arrays that a pass can follow, their axes reordered if that makes them right.

    A square array that is wrong as it is may truly be computed so. Then all that is made of it is
    wrong, too; and if any of that is right, the array was only written in another order.
    """
    usable = {}
    for name, given in port.arrays.items():
        row = rows[name]
        if row.layout is not None:
            if given.shape != row.shape or is_meant_turned(row, rows):
                row.problem, given = row.layout.about, row.layout.array
            else:
                order = list(row.layout.turn)
                row.remark = f"right with its axes in the order {order}: transposed?"
        if row.tolerance is not None and given.shape == row.shape:
            usable[name] = given
    return usable


def is_meant_turned(row: Row, rows: Mapping[str, Row]) -> bool:
    """Tell whether anything that was made of an array shows that only its axes are in disorder."""
    made_of_it = [r for r in rows.values() if r.given and row.name in given_sources(r, rows)]
    return any(
        r.expected_right or (r.layout and r.layout.turn and is_meant_turned(r, rows))
        for r in made_of_it
    )


def given_sources(row: Row, rows: Mapping[str, Row]) -> list[str]:
    """Return the nearest given tensors that a tensor is computed from."""
    return [name for name in span_of(row, rows) if rows[name].given]


def span_of(row: Row, rows: Mapping[str, Row]) -> list[str]:
    """Return the tensors between a tensor and the nearest given ones before it, with these."""
    found = back_to(row.name, lambda name: rows[name].inputs, lambda name: rows[name].given)
    return [name for name in rows if name in found]  # in computing order


# ---- against the port's own values ---------------------------------------------------------


@dataclass
class Outcome:
    """The local verdict on one tensor; `right` is None where nothing can be said."""

    right: bool | None = None
    difference: Difference | None = None
    tolerance: Tolerance | None = None
    unjudged: str = ""


@dataclass
class Past:
    """The names of what a pass that follows a port has computed so far.

    exact  quantities whose value is the port's own
    lost   those computed from something that the pass could not follow: its name
    """

    exact: set[str] = field(default_factory=set)
    lost: dict[str, str] = field(default_factory=dict)


def judge_locally(rows: Mapping[str, Row], steps: list[Step], case: Case) -> None:
    """Compare each tensor with npbert's step from the port's values before it."""
    for name, outcome in local_outcomes(rows, steps, case).items():
        row = rows[name]
        row.local, row.local_tolerance = outcome.difference, outcome.tolerance
        row.local_right, row.unjudged = outcome.right, outcome.unjudged


def local_outcomes(
    rows: Mapping[str, Row], steps: list[Step], case: Case, only: Collection[str] | None = None
) -> dict[str, Outcome]:
    """Judge every given tensor of a pass that followed the port, or `only` some.

    What comes after an array that is wrong and could not be followed (a NaN, a view) is not judged:
    npbert went on with another value than the port.
    """
    outcomes: dict[str, Outcome] = {}
    past = Past()
    for step in steps:
        name = step.quantity.name
        sources = [past.lost[source] for source in step.quantity.inputs if source in past.lost]
        right = None
        wanted = only is None or name in only or not step.followed
        if step.given is not None and wanted:
            outcome = outcomes[name] = judge(step, rows, case, past)
            right = outcome.right
            if sources:
                outcome.right, outcome.unjudged = None, sources[0]
        if step.followed or right or (name in rows and rows[name].tensor.kind == "input"):
            past.exact.add(name)
        if step.given is not None and not step.followed and not right:
            past.lost[name] = name
        elif sources and not step.followed:
            past.lost[name] = sources[0]
    return outcomes


def judge(step: Step, rows: Mapping[str, Row], case: Case, past: Past) -> Outcome:
    """Compare one given tensor with what was computed in its place."""
    row = rows[step.quantity.name]
    assert step.given is not None and row.tolerance is not None
    if step.given.shape != step.computed.shape:
        return Outcome(False)
    difference = compare(row.tensor, case, step.given, step.computed, sampled=False)
    # The tolerance was measured for this one step, at the kit's values. Several steps together may
    # be off by as much as all since the beginning, larger values by more, and values that have
    # nothing to do with the kit's may be conditioned worse.
    several = any(name not in past.exact for name in row.inputs)
    usual = row.expected.scale if row.expected else 0.0
    growth = max(1.0, difference.scale / usual) if usual else 1.0
    growth = growth if np.isfinite(growth) else 1.0
    if row.expected and row.expected.excess(row.tolerance) > FAR_OFF:
        growth *= ALLOWANCE
    tolerance = widened(row.tolerance, several, growth)
    return Outcome(difference.is_within(tolerance, "local"), difference, tolerance)


def widened(tolerance: Tolerance, several: bool, growth: float) -> Tolerance:
    """Return a tolerance for several steps together, and for values that have grown."""

    def local(of_step: float | None, of_all: float | None) -> float | None:
        if of_step is None:
            return None
        return growth * (max(of_step, of_all or 0.0) if several else of_step)

    one = local(tolerance.local, tolerance.expected)
    assert one is not None
    padded = local(tolerance.local_padded, tolerance.expected_padded)
    return Tolerance(tolerance.expected, one, tolerance.expected_padded, padded)
