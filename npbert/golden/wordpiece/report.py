"""What a check of a tokenizer has found, as sentences, as JSON and as annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from npbert.golden.report import listed, workflow_command
from npbert.golden.wordpiece.diagnosis import Finding
from npbert.golden.wordpiece.kit import TokenizerKit
from npbert.golden.wordpiece.rows import Row
from npbert.golden.wordpiece.steps import FIELDS
from npbert.terminal import counted, shown

EXAMPLES = 3  # cases that are shown of one finding
LONGEST = 60  # characters that are shown of a text


@dataclass
class TokenizerReport:
    """The outcome of a check.

    rows      every case that was given, in the order of the kit
    findings  the mistakes that the port's values show
    unknown   names that the kit does not know
    missing   cases that had to be given and were not
    strict    whether unknown names are a failure, too
    kind      what the rest is about that no known mistake explains; "" where there is none
    """

    kit: TokenizerKit
    rows: list[Row]
    findings: list[Finding]
    unknown: list[str]
    missing: list[str]
    strict: bool
    kind: str

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if row.wrong]

    @property
    def passed(self) -> bool:
        """Tell whether all that was given is right, and nothing required is missing."""
        return not (self.failures or self.missing or (self.strict and self.unknown))

    @property
    def first(self) -> Row | None:
        """Return the case in which the earliest stage differs."""
        return min(self.failures, key=lambda row: FIELDS.index(row.wrong[0]), default=None)

    @property
    def unexplained(self) -> list[Row]:
        """Return the cases that are wrong by no mistake that was found."""
        explained = {name for finding in self.findings for name in finding.explained}
        return [row for row in self.failures if row.name not in explained]

    def not_given(self) -> list[str]:
        """Return the cases of the kit that were not given."""
        given = {row.name for row in self.rows}
        return [name for name in self.kit.cases if name not in given]

    def render(self, whole: bool = False) -> str:
        """Return the report as text; `whole`: with every case that is wrong."""
        return "\n".join([*self.counts(), *self.sentences(), *self.details(whole)])

    def counts(self) -> list[str]:
        lines = []
        for settings in self.kit.settings:
            rows = [row for row in self.rows if row.case.settings == settings]
            if rows:
                right = sum(not row.wrong for row in rows)
                lines.append(f"{settings}: {right} of {counted(len(rows), 'case')} right")
        return lines

    def sentences(self) -> list[str]:
        """Say what the check comes to."""
        lines = []
        first = self.first
        if first is None:
            fields = [field for field in FIELDS if any(field in row.given for row in self.rows)]
            lines.append(f"Right: {', '.join(fields)}, in {counted(len(self.rows), 'case')}.")
        else:
            lines += [f"First wrong: {first.name}: {difference(self.kit, first)}."]
            lines.append(f"  The text: {' / '.join(map(quoted, first.case.texts))}")
        for number, finding in enumerate(self.findings):
            lines += about(finding, again=number > 0)
        if self.kind:
            rest = self.unexplained
            many = counted(len(rest), "wrong case")
            none = "No mistake that npbert knows explains"
            where = listed([row.name for row in rest])
            lines += [f"{none} {many}; most likely: {self.kind}.", f"  {where}"]
        return lines + self.leftovers()

    def leftovers(self) -> list[str]:
        lines = []
        if self.missing:
            lines.append(f"Not given, but required: {listed(self.missing)}")
        if self.unknown:
            lines.append(f"Not in the kit: {listed([quoted(name) for name in self.unknown])}")
        return lines

    def details(self, whole: bool) -> list[str]:
        if not whole or not self.failures:
            return []
        return ["Wrong cases:", *(f"  {r.name}: {difference(self.kit, r)}" for r in self.failures)]

    def annotations(self) -> list[str]:
        """Return what is wrong as workflow commands of GitHub, a line each."""
        messages = [line.strip() for line in self.sentences()]
        if self.passed:
            return [workflow_command("notice", "golden check-tokenizer", messages[0])]
        return [workflow_command("error", "golden check-tokenizer", text) for text in messages]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        first = self.first
        return {
            "kit": self.kit.name,
            "passed": self.passed,
            "first": first and {"case": first.name, "field": first.wrong[0]},
            "diagnosis": [finding_as_dict(finding) for finding in self.findings],
            "unexplained": [row.name for row in self.unexplained],
            "likely_kind": self.kind,
            "unknown": self.unknown,
            "required_but_not_given": self.missing,
            "cases": {row.name: row.as_dict() for row in self.rows},
        }


def finding_as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "mistakes": [
            {"name": m.name, "kind": m.kind, "field": m.stage, "about": m.about}
            for m in finding.mistakes
        ],
        "explained": finding.explained,
    }


def about(finding: Finding, again: bool) -> list[str]:
    """Name a mistake and the cases that it explains."""
    first, *others = finding.mistakes
    many = counted(len(finding.explained), "wrong case")
    begin = "With that, a further mistake" if again else "Mistake"
    lines = [
        f"{begin} ({first.kind}; first field {first.stage}): your values are those of a tokenizer "
        f"{first.about}."
    ]
    lines += [f"  Or of one {other.about}: these cases do not tell." for other in others]
    examples = listed(finding.explained[:EXAMPLES])
    rest = len(finding.explained) - EXAMPLES
    lines.append(f"  It explains {many}: {examples}{f' and {rest} more' if rest > 0 else ''}")
    return lines


def difference(kit: TokenizerKit, row: Row) -> str:
    """Say where a case differs first: the field, the place in it, what is expected and given."""
    field, index, expected, given = row.first_difference()

    def said(values: list[Any]) -> str:
        if not values:
            return "nothing"
        (value,) = values
        if field == "ids":
            tokens = {number: token for token, number in kit.vocabulary.items()}
            return f"{value} ({quoted(tokens.get(value, 'no such token'))})"
        return quoted(value) if isinstance(value, str) else str(value)

    return f"{field} differs at {index}: expected {said(expected)}, given {said(given)}"


def quoted(text: str) -> str:
    """Return a text as it can be printed, in quotes and cut where it is long."""
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return '"' + "".join(map(shown, cut)) + '"'
