"""What a check has found: every tensor's verdicts, the mistakes, and what to call them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npbert.golden.comparing import Difference
from npbert.golden.diagnosis import Finding
from npbert.golden.judging import Row
from npbert.golden.kit import Kit
from npbert.golden.manifest import Tolerance


@dataclass
class Blame:
    """A tensor in which a mistake is made: right values went in, wrong ones came out.

    row      the tensor, in the case where it is off most      cases  all in which it is off
    given    the nearest given tensors before it, and whether they were right
    between  steps in between that were not given, and may be where the mistake is
    """

    row: Row
    given: dict[str, bool]
    between: list[str]
    cases: list[str]


@dataclass
class Report:
    """The outcome of a check.

    rows       for every case that arrays were given for, every tensor in computing order
    blames     the tensors in which mistakes are made, in computing order
    findings   the classic mistakes that the port's values show
    unknown    names in the file that the kit does not know, with the nearest it does
    elsewhere  how many arrays were left out, of cases that were not asked for
    """

    kit: Kit
    rows: dict[str, list[Row]]
    blames: list[Blame] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, str | None] = field(default_factory=dict)
    elsewhere: int = 0

    @property
    def given(self) -> list[Row]:
        return [row for rows in self.rows.values() for row in rows if row.given]

    @property
    def failures(self) -> list[Row]:
        """Return every tensor that is not as it should be, case by case, in computing order."""
        return [row for row in self.given if row.fails]

    @property
    def passed(self) -> bool:
        """Tell whether something was judged, and all of it is right."""
        return not self.failures and any(row.tolerance for row in self.given)

    @property
    def first(self) -> Row | None:
        """Return the first tensor in computing order that leaves its tolerance in any case."""
        place = {tensor.name: number for number, tensor in enumerate(self.kit.tensors)}
        return min(self.failures, key=lambda row: place[row.name], default=None)

    def render(self, whole: bool = False) -> str:
        """Return the report as aligned text; `whole`: with every row of the tables."""
        from npbert.golden.rendering import render

        return render(self, whole)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold; numbers that it cannot are texts."""
        first = self.first
        return {
            "kit": self.kit.name,
            "passed": self.passed,
            "first": None if first is None else {"case": first.case, "name": first.name},
            "mistakes": [blame_as_dict(blame) for blame in self.blames],
            "diagnosis": [finding_as_dict(finding) for finding in self.findings],
            "unknown": self.unknown,
            "arrays_of_other_cases": self.elsewhere,
            "cases": {case: [row_as_dict(row) for row in rows] for case, rows in self.rows.items()},
        }


def row_as_dict(row: Row) -> dict[str, Any]:
    if not row.given:
        return {"name": row.name, "shape": list(row.shape), "verdict": "not given"}
    return {
        "name": row.name,
        "written": row.written,
        "shape": list(row.shape),
        "dtype": row.dtype,
        "verdict": row.verdict,
        "problem": row.problem or None,
        "remark": row.remark or None,
        "axes_in_order": None if row.turn is None else list(row.turn),
        "expected": verdict_as_dict(row.expected, row.tolerance, "expected", row.expected_right),
        "local": verdict_as_dict(row.local, row.local_tolerance, "local", row.local_right),
        "not_judged_because_of": row.unjudged or None,
    }


def verdict_as_dict(
    difference: Difference | None, tolerance: Tolerance | None, which: str, right: bool | None
) -> dict[str, Any] | None:
    if difference is None or tolerance is None:
        return None
    padded = getattr(tolerance, f"{which}_padded")
    return {
        "right": right,
        "error": number(difference.real),
        "error_padded": number(difference.padded),
        "relative": number(difference.relative),
        "tolerance": number(getattr(tolerance, which)),
        "tolerance_padded": number(padded),
        "unmasked": difference.unmasked,
        "worst": None if difference.worst is None else list(difference.worst),
    }


def number(value: float | None) -> float | str | None:
    if value is None or np.isfinite(value):
        return None if value is None else float(value)
    return str(float(value))


def blame_as_dict(blame: Blame) -> dict[str, Any]:
    tensor = blame.row.tensor
    return {
        "name": tensor.name,
        "cases": blame.cases,
        "given_before": blame.given,
        "not_given_between": blame.between,
        "file": tensor.file,
        "line": tensor.line,
        "function": tensor.function,
        "code": tensor.code,
        "equation": tensor.equation,
        "section": tensor.section,
    }


def finding_as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "mutation": finding.mutation.name,
        "about": finding.mutation.about,
        "edits": [dict(file=f, old=old, new=new) for f, old, new in finding.differences],
        "complete": finding.complete,
        "explains": finding.explained,
        "parts": finding.parts,
        "not_in": finding.elsewhere,
    }
