"""What a check has found: every tensor's verdicts, and the mistakes in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from npbert.golden.as_json import finding_as_dict, row_as_dict, tensor_as_dict
from npbert.golden.diagnosis import Finding
from npbert.golden.judging import Row
from npbert.golden.kit import Kit
from npbert.golden.precision import LARGEST, NARROW
from npbert.golden.tables import case_lines, decisive, does_matter
from npbert.terminal import counted

LISTED = 8  # names that a sentence lists


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

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        return {
            **tensor_as_dict(self.row.tensor),
            "cases": self.cases,
            "given_before": self.given,
            "not_given_between": self.between,
        }


@dataclass
class Report:
    """The outcome of a check.

    rows       for every case that arrays were given for, every tensor in computing order
    blames     the tensors in which mistakes are made, in computing order
    findings   the classic mistakes that the port's values show
    unknown    names in the file that the kit does not know, with what may have been meant
    elsewhere  how many arrays were left out, of cases that were not asked for
    missing    for every case the tensors that had to be given and were not
    strict     whether unknown names are a failure, too
    precision  the narrower dtype that all arrays are judged in, whatever they were written in; ""
    """

    kit: Kit
    rows: dict[str, list[Row]]
    blames: list[Blame] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    elsewhere: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)
    strict: bool = False
    precision: str = ""

    @property
    def given(self) -> list[Row]:
        return [row for rows in self.rows.values() for row in rows if row.given]

    @property
    def failures(self) -> list[Row]:
        """Return every tensor that is not as it should be, case by case, in computing order."""
        return [row for row in self.given if row.fails]

    @property
    def passed(self) -> bool:
        """Tell whether anything was judged, all of it is right, and nothing required is missing."""
        if self.failures or self.missing or (self.strict and self.unknown):
            return False
        return any(row.tolerance for row in self.given)

    @property
    def first(self) -> Row | None:
        """Return the first tensor in computing order that leaves its tolerance in any case."""
        place = {tensor.name: number for number, tensor in enumerate(self.kit.tensors)}
        return min(self.failures, key=lambda row: place[row.name], default=None)

    def not_given(self) -> dict[str, list[str]]:
        """Return for every case of the kit the tensors that were not given."""
        names = [tensor.name for tensor in self.kit.tensors]
        given = {case: {row.name for row in rows if row.given} for case, rows in self.rows.items()}
        return {
            case: [name for name in names if name not in given.get(case, ())]
            for case in self.kit.cases
        }

    def render(self, whole: bool = False) -> str:
        """Return the report as aligned text; `whole`: with every row of the tables."""
        return render(self, whole)

    def annotations(self) -> list[str]:
        """Return what is wrong as workflow commands of GitHub, a line each."""
        return workflow_commands(self)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold; numbers that it cannot are texts."""
        first = self.first
        return {
            "kit": self.kit.name,
            "passed": self.passed,
            "precision": self.precision or None,
            "first": None if first is None else {"case": first.case, "name": first.name},
            "mistakes": [blame.as_dict() for blame in self.blames],
            "diagnosis": [finding_as_dict(finding) for finding in self.findings],
            "unknown": self.unknown,
            "required_but_not_given": self.missing,
            "arrays_of_other_cases": self.elsewhere,
            "cases": {case: [row_as_dict(row) for row in rows] for case, rows in self.rows.items()},
        }


# ---- as text -------------------------------------------------------------------------------


def render(report: Report, whole: bool = False) -> str:
    """Return the report as lines of text; `whole`: with every row of the tables."""
    lines: list[str] = []
    shown: set[tuple[str, str]] = set()  # what is wrong in tables so far
    for case, rows in report.rows.items():
        wrong = {(row.name, row.verdict) for row in rows if does_matter(row)}
        first = report.first is not None and report.first.case == case
        lines += [*case_lines(case, rows, whole, first or bool(wrong - shown)), ""]
        shown |= wrong
    return "\n".join([*lines, *summary(report)])


# ---- sentences ------------------------------------------------------------------------------


def summary(report: Report) -> list[str]:
    """Say what the check comes to."""
    lines = []
    first = report.first
    if first is None:
        lines.append(what_is_right(report))
        lines += what_was_narrow(report)
    else:
        if report.precision:
            lines.append(f"Judged at the precision of {report.precision}.")
        lines += about_first(report, first)
        others = [blame for blame in report.blames if blame.row.name != first.name]
        if others:
            names = [place_of(blame) for blame in others]
            lines.append(f"also wrong by {'itself' if len(names) == 1 else 'themselves'}:")
            lines += [f"  {name}" for name in names[:LISTED]]
            if len(names) > LISTED:
                lines.append(f"  and {len(names) - LISTED} more")
        inherited = sum(row.verdict == "inherited" for row in report.given)
        if inherited:
            lines.append(
                f"{counted(inherited, 'array')} off only because of what came before: npbert "
                f"computes the same from your values."
            )
        lines += diagnosis(report)
    lines += what_does_not_fit(report)
    lines += leftovers(report)
    return lines


def what_is_right(report: Report) -> str:
    judged = [row for row in report.given if row.tolerance]
    if not judged:
        return "Nothing could be judged: these values do not fit into the dtype they are in."
    names = {row.name for row in judged}
    missing = len(report.kit.tensors) - len(names)
    rest = f"; {counted(missing, 'other')} {'was' if missing == 1 else 'were'} not given"
    many = f"all {len(names)} tensors given are within their tolerances"
    what = "the tensor given is within its tolerance" if len(names) == 1 else many
    right = f"Right at the precision of {report.precision}" if report.precision else "Right"
    return f"{right}: {what}, in {counted(len(report.rows), 'case')}{rest if missing else ''}."


def about_first(report: Report, first: Row) -> list[str]:
    """Say what is wrong first, what it was made of, and where npbert computes it."""
    where = f"{first.name} {list(first.shape)} in case {first.case}"
    if first.problem:
        return [f"First wrong: {where}: it {first.problem}.", *origin(first)]
    right_by_itself = first.expected_right
    difference = first.local if right_by_itself else first.expected
    tolerance = first.local_tolerance if right_by_itself else first.tolerance
    error, most = decisive(difference, tolerance, "local" if right_by_itself else "expected")
    worst = f" at {list(difference.worst)}" if difference and difference.worst else ""
    lines = [f"First wrong: {where}: largest error {error}{worst}, tolerance {most}."]
    if first.remark:
        lines.append(f"  {first.remark}")
    if right_by_itself:
        lines.append(
            "  It is near the kit's value, but is not what your own values before it give."
        )
    blame = next((blame for blame in report.blames if blame.row.name == first.name), None)
    if blame:
        lines += about_inputs(blame)
    elif first.unjudged:
        lines.append(f"  It comes after {first.unjudged}, which could not be followed.")
    else:
        lines.append("  No step by itself is wrong: errors have built up to here.")
    return lines + origin(first)


def about_inputs(blame: Blame) -> list[str]:
    """Say which of a tensor's inputs were right, and what else lies between them and it."""
    right = [name for name, is_right in blame.given.items() if is_right]
    wrong = [name for name, is_right in blame.given.items() if not is_right]
    lines = []
    if right:
        lines.append(f"  Its input{verb(right)} right: {listed(right)}.")
    if wrong:
        lines.append(f"  Not right before it: {listed(wrong)}; it is judged by these values.")
    if not blame.given:
        lines.append("  Nothing before it was given: it is judged by the inputs alone.")
    if blame.between:
        lines.append(f"  The mistake may also be in what was not given: {listed(blame.between)}.")
    return lines


def origin(row: Row) -> list[str]:
    """Say where npbert computes a tensor, and how."""
    tensor = row.tensor
    lines = [f"  Computed in {tensor.file}:{tensor.line}: {tensor.code or tensor.function}"]
    if tensor.equation:
        lines.append(f"  Equation: {tensor.equation}")
    if tensor.section:
        lines.append(f"  See {tensor.section}")
    return lines


def place_of(blame: Blame) -> str:
    row = blame.row
    error, most = decisive(row.local, row.local_tolerance, "local")
    off = f": error {error}, tolerance {most}" if error else ""
    if row.local and row.local.unmasked:
        off = f": {counted(row.local.unmasked, 'masked score')} above -1e4"
    return f"{row.name}{off} ({row.tensor.file}:{row.tensor.line})"


def diagnosis(report: Report) -> list[str]:
    """Name the mistakes that give these very values."""
    if not report.blames:
        return []
    if not report.findings:
        return ["None of the classic mistakes that npbert knows gives these values."]
    lines = []
    if len([finding for finding in report.findings if finding.complete]) > 1:
        lines.append("Several mistakes give these very values; more tensors would tell them apart.")
    for finding in report.findings:
        lines += about_finding(finding)
    explained = {name for finding in report.findings for name in finding.explained}
    rest = [blame.row.name for blame in report.blames if blame.row.name not in explained]
    if rest and not any(finding.complete for finding in report.findings):
        lines.append(f"What this does not explain: {listed(rest)}.")
    return lines


def about_finding(finding: Finding) -> list[str]:
    about = finding.mistake.about
    if finding.complete:
        lines = [f"Your values match this model with {about}."]
    else:
        lines = [f"In {listed(finding.parts)} your values match this model with {about}."]
    if finding.elsewhere:
        lines.append(f"  Not so in {listed(finding.elsewhere)}.")
    for file, old, new in finding.differences:
        lines.append(f"  {file}: {old}  ->  {new}")
    return lines


def what_was_narrow(report: Report) -> list[str]:
    """Say what was judged by the tolerances of a narrower dtype, and how near it comes to them."""
    lines = []
    if report.precision:
        lines += nearest_to_its_tolerance(report)
    for dtype in () if report.precision else NARROW:
        count = sum(row.dtype == dtype and row.tolerance is not None for row in report.given)
        if count:
            verbs = "is" if count == 1 else "are"
            lines.append(f"{counted(count, 'array')} {verbs} {dtype}, and judged as such.")
    return lines


def nearest_to_its_tolerance(report: Report) -> list[str]:
    """Name the array whose error is the largest share of its tolerance."""
    rows = [row for row in report.given if row.expected and row.tolerance]
    if not rows:
        return []
    row = max(rows, key=lambda row: row.expected.excess(row.tolerance))  # type: ignore
    error, most = decisive(row.expected, row.tolerance, "expected")
    return [f"  Nearest to its tolerance: {row.name} in case {row.case}: {error} of {most}."]


def what_does_not_fit(report: Report) -> list[str]:
    """Say which arrays overflow in their dtype, and were not judged."""
    names = {row.name: row for row in report.given if row.tolerance is None and row.remark}
    if not names or not any(row.tolerance for row in report.given):
        return []
    lines = []
    for dtype in NARROW:
        of_dtype = [n for n, row in names.items() if row.dtype == dtype and row.expected is None]
        if of_dtype:
            lines.append(
                f"Not judged, for its values do not fit into {dtype} (up to {LARGEST[dtype]:g}): "
                f"{listed(of_dtype)}"
            )
    return lines


def leftovers(report: Report) -> list[str]:
    """Say what had to be there and was not, and what was in the file and was not used."""
    lines = []
    for case, names in report.missing.items():
        lines.append(f"Not given, but required: case {case}: {listed(names)}")
    for name, remark in list(report.unknown.items())[:LISTED]:
        lines.append(f"Not in the kit: {name}" + (f": {remark}" if remark else ""))
    if len(report.unknown) > LISTED:
        lines.append(f"Not in the kit: {len(report.unknown) - LISTED} more")
    if report.elsewhere:
        lines.append(f"Left out: {counted(report.elsewhere, 'array')} of other cases")
    return lines


# ---- as annotations of a continuous integration -----------------------------------------------


def workflow_commands(report: Report) -> list[str]:
    """Return workflow commands: an error for each step that is wrong, and for what is missing."""
    messages = []
    if report.first is not None:
        messages.append(" ".join(line.strip() for line in about_first(report, report.first)))
        others = [blame for blame in report.blames if blame.row.name != report.first.name]
        messages += [f"Wrong by itself: {place_of(blame)}" for blame in others[:LISTED]]
        messages += [line.strip() for line in diagnosis(report)[:LISTED]]
    elif not any(row.tolerance for row in report.given):
        messages.append(what_is_right(report))
    for case, names in report.missing.items():
        messages.append(f"Not given, but required: case {case}: {listed(names)}")
    if report.strict and report.unknown:
        messages.append(f"Not in the kit: {listed([*report.unknown])}")
    if not messages:
        return [workflow_command("notice", "golden check", what_is_right(report))]
    return [workflow_command("error", "golden check", message) for message in messages]


def workflow_command(kind: str, title: str, message: str) -> str:
    """Return a message as a workflow command; kind: "error" or "notice"."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{kind} title={title}::{escaped}"


def listed(names: Sequence[str]) -> str:
    """Return names as a list, cut where it would grow long."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def verb(names: Sequence[str]) -> str:
    return " was" if len(names) == 1 else "s were"
