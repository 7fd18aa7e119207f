"""Checks a port's arrays against a golden kit: against the kit, and step by step.

    report = check_kit("weights/golden/convbert-model", "mine.safetensors")
    print(report.render())

*Expected* compares an array with the kit's value. *Local* compares it with what npbert computes in
this step from the port's own earlier values, so that a mistake is found where it is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from npbert.golden.comparing import Difference, compare
from npbert.golden.diagnosis import Followed, diagnose
from npbert.golden.dumping import misdumped, what_was_written
from npbert.golden.following import follow
from npbert.golden.given import read_given, sort_out
from npbert.golden.judging import (
    Row,
    inputs_in,
    judge_expected,
    judge_locally,
    span_of,
    usable_arrays,
)
from npbert.golden.kit import MANIFEST, Kit
from npbert.golden.manifest import Case, Tensor
from npbert.golden.precision import NARROW, precision_of
from npbert.golden.report import Blame, Report
from npbert.tracing.quantities import Trace
from npbert.tracing.recording import trace


def check_kit(
    kit: Kit | str | os.PathLike[str],
    given: Mapping[str, Any] | str | os.PathLike[str],
    case: str | None = None,
    strict: bool = False,
    require: Sequence[str] = (),
    precision: str | None = None,
) -> Report:
    """Check a port's arrays against a kit, and say which of the classic mistakes they show.

    given    a .safetensors or .npz file, a folder of .npy files, or arrays by name:
             "<case>/<name>", or {case: {name: array}}, or the bare name where `case` says for which
             one or the kit has but one. Any of them may be missing, but
    require  patterns of names, such as "encoder.layer.*.output.LayerNorm" or "short/*": these must
             be given, in every case, or the check fails
    strict   fail as well where any tensor was not given, or any array is none of the kit's
    precision
             "float16" or "bfloat16": what the port computed in, whatever it wrote; None: float32,
             or the dtype of the file, or the one of which all numbers are that were written
    Raises ValueError if none of them is a tensor of the kit, for a pattern that no tensor has, and
    for a damaged kit or file.
    """
    if precision not in (None, *NARROW):
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(NARROW)}")
    kit = kit if isinstance(kit, Kit) else Kit.read(kit)
    arrays, dtypes = read_given(given)
    precision = precision or precision_of(arrays, dtypes)
    if precision:
        dtypes = {name: precision if dtype else "" for name, dtype in dtypes.items()}
    ports, unknown, elsewhere = sort_out(kit, arrays, dtypes, case)
    wanted = required(kit, [case] if case else [*kit.cases], ["*"] if strict else require)
    model = kit.model()
    followed: list[Followed] = []
    sources: dict[str, tuple[str, ...]] = {}
    with np.errstate(all="ignore"):  # a port may be wrong by any measure
        for port in ports.values():
            inputs: Any = kit.inputs(port.case.name)
            own = trace(model, **inputs)
            expected = kit.expected(port.case.name)
            check_kit_itself(kit, port.case, own, expected)
            sources = sources or inputs_in(kit, {q.name: q.inputs for q in own})
            rows = {
                each.name: judge_expected(port, each, expected[each.name], sources[each.name])
                for each in kit.tensors
            }
            usable = usable_arrays(port, rows)
            judge_locally(rows, follow(model, inputs, usable), port.case)
            while found := misdumped(rows):
                for row in found:
                    written = what_was_written(kit, model, port.case, row, usable.pop(row.name))
                    leave_out(row, written)
                judge_locally(rows, follow(model, inputs, usable), port.case)
            followed.append(Followed(port.case, inputs, usable, rows))
        findings = diagnose(model, followed)
    by_case = {each.case.name: list(each.rows.values()) for each in followed}
    missing = {
        name: [tensor for tensor in tensors if tensor not in given_names(by_case.get(name, []))]
        for name, tensors in wanted.items()
    }
    missing = {name: tensors for name, tensors in missing.items() if tensors}
    return Report(
        kit, by_case, blames(followed), findings, unknown, elsewhere, missing, strict, precision
    )


def leave_out(row: Row, written: str) -> None:
    """Note that a port computed with other values than it wrote, and what it wrote instead."""
    row.problem = "is not what you computed with, for what you made of it is right"
    row.problem += f": it holds {written}" if written else ""
    row.misdumped, row.local_right, row.local, row.local_tolerance = True, None, None, None


def required(kit: Kit, cases: Sequence[str], patterns: Sequence[str]) -> dict[str, list[str]]:
    """Return for each case the tensors that must be given; raise ValueError for a vain pattern."""
    found: dict[str, list[str]] = {case: [] for case in cases}
    for pattern in patterns:
        of_pattern = [
            (case, tensor.name)
            for case in cases
            for tensor in kit.tensors
            for name in (tensor.name, *tensor.aliases)
            if fnmatchcase(name, pattern) or fnmatchcase(f"{case}/{name}", pattern)
        ]
        if not of_pattern:
            raise ValueError(f"no tensor of the kit {kit.name} has a name like {pattern!r}")
        for case, name in of_pattern:
            found[case] += [name] if name not in found[case] else []
    return found


def given_names(rows: Sequence[Row]) -> set[str]:
    return {row.name for row in rows if row.given}


def check_kit_itself(kit: Kit, case: Case, own: Trace, expected: Mapping[str, Any]) -> None:
    """Raise ValueError unless npbert's own float64 pass gives the values that a kit expects.

    Otherwise a port would be blamed for damage to the kit: to its config, say, or its weights.
    """
    for tensor in kit.tensors:
        part = tensor.cases[case.name]
        tolerance = part.tolerance["float32"]
        if tensor.name not in own.by_name or own[tensor.name].shape != part.shape:
            problem = "npbert's own pass does not have it"
        elif tolerance is None:
            continue
        else:
            found = compare(tensor, case, own[tensor.name].value, expected[tensor.name])
            numbers = [number for number in vars(tolerance).values() if number is not None]
            if found.is_within(tolerance) and (min(numbers) > 0 or not is_computed(tensor, found)):
                continue
            problem = "npbert's own pass is not within its tolerances"
        raise ValueError(
            f"{kit.directory}: the kit is damaged or was made for another version of npbert "
            f"({tensor.name}, case {case.name}: {problem}); nothing was judged. Its {MANIFEST}, "
            "config and tolerances included, and its arrays belong together"
        )


def is_computed(tensor: Tensor, found: Difference) -> bool:
    """Tell whether rounding can show in a tensor, so that a tolerance of 0 makes no sense."""
    return tensor.kind != "input" and found.scale > 0


def blames(followed: list[Followed]) -> list[Blame]:
    """Return the tensors in which a mistake is made, in computing order, each in its worst case."""
    worst: dict[str, tuple[float, Blame]] = {}
    for each in followed:
        for row in each.rows.values():
            if row.local_right is not False:
                continue
            excess = np.inf
            if row.local and row.local_tolerance:
                excess = row.local.excess(row.local_tolerance, "local")
            cases = worst[row.name][1].cases if row.name in worst else []
            cases.append(row.case)
            if row.name not in worst or excess > worst[row.name][0]:
                span = span_of(row, each.rows)
                given = {name: not each.rows[name].fails for name in span if each.rows[name].given}
                between = [name for name in span if is_between(each.rows[name])]
                worst[row.name] = excess, Blame(row, given, between, cases)
    order = [name for each in followed[:1] for name in each.rows]
    return [worst[name][1] for name in order if name in worst]


def is_between(row: Row) -> bool:
    return not row.given and row.tensor.kind != "input"
