"""Finds the classic mistakes of a port's tokenizer: those that give the port's values.

Each mistake is made in turn, and the cases that were wrong are tokenized with it. One that gives
what the port gave, and changes nothing that the port has right, is one that the port makes. With it
in place the next is looked for, until every case is explained or no mistake helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from npbert.golden.wordpiece.exchanging import TokenizerMistake
from npbert.golden.wordpiece.kit import TokenizerKit
from npbert.golden.wordpiece.mistakes import MISTAKES
from npbert.golden.wordpiece.rows import PLACES, Row
from npbert.golden.wordpiece.steps import RIGHT, Values, run

MOST = 8  # mistakes that are looked for together
SCREENED = 40  # cases on which a mistake is tried before all


@dataclass
class Finding:
    """A mistake that the port makes, or several that its values do not tell apart.

    explained  the names of the cases that are wrong by it, and by no other that was not found yet
    """

    mistakes: list[TokenizerMistake]
    explained: list[str]

    @property
    def kind(self) -> str:
        return self.mistakes[0].kind


def diagnose(kit: TokenizerKit, rows: Sequence[Row]) -> list[Finding]:
    """Return the mistakes that a port makes, those that explain most first."""
    of_texts = [mistake for mistake in MISTAKES if mistake.stage not in PLACES]
    findings = search(kit, rows, (), of_texts, places=False)
    made = tuple(finding.mistakes[0] for finding in findings)
    for place in PLACES:
        of_place = [mistake for mistake in MISTAKES if mistake.stage == place]
        # Places are judged where the text was read as npbert, with those mistakes, reads it.
        read = [
            row.only(place)
            for row in rows
            if place in row.given and row.gives(values_with(kit, made, row))
        ]
        findings += search(kit, read, made, of_place, places=True)
    return findings


def values_with(kit: TokenizerKit, mistakes: tuple[TokenizerMistake, ...], row: Row) -> Values:
    """Return what a tokenizer with some mistakes gives for a case."""
    if not mistakes:
        return row.expected
    key = tuple(mistake.name for mistake in mistakes), row.name
    if key not in kit.made:
        steps = RIGHT
        for mistake in mistakes:
            steps = mistake.change(steps)
        settings = kit.settings[row.case.settings]
        kit.made[key] = run(steps, kit.vocabulary, settings, row.case)
    return kit.made[key]


def search(
    kit: TokenizerKit,
    rows: Sequence[Row],
    made: tuple[TokenizerMistake, ...],
    mistakes: Iterable[TokenizerMistake],
    places: bool,
) -> list[Finding]:
    """Look for mistakes besides those that were found, one after another; return what helps.

    made    the mistakes that were found before
    places  compare the offsets, and nothing else, or everything else
    """

    def gives(row: Row, together: tuple[TokenizerMistake, ...]) -> bool:
        return row.gives(values_with(kit, together, row), places)

    findings: list[Finding] = []
    waiting = [*mistakes]
    is_wrong = {row.name: not gives(row, made) for row in rows}
    while any(is_wrong.values()) and len(findings) < MOST:
        wrong = [row for row in rows if is_wrong[row.name]]
        right = [row for row in rows if not is_wrong[row.name]]
        best: dict[str, list[str]] = {}
        for screened in (wrong[:: len(wrong) // SCREENED + 1], wrong):
            for mistake in waiting:
                more = (*made, mistake)
                helps = any(gives(row, more) for row in screened)
                if helps and all(gives(row, more) for row in right):
                    best[mistake.name] = [row.name for row in wrong if gives(row, more)]
            if best:
                break
        if not best:
            break
        explained = max(best.values(), key=len)
        findings.append(Finding([m for m in waiting if best.get(m.name) == explained], explained))
        is_wrong |= dict.fromkeys(explained, False)
        made = (*made, findings[-1].mistakes[0])
        waiting = [mistake for mistake in waiting if mistake not in findings[-1].mistakes]
    return findings


def likely_kind(kit: TokenizerKit, rows: Sequence[Row], findings: Sequence[Finding]) -> str:
    """Return the kind of what no mistake explains: that of the texts in which it shows; or "".

    Every text is there for some kind of mistake. The kind is the one whose texts are most nearly
    those that are wrong.
    """
    explained = {name for finding in findings for name in finding.explained}
    wrong = {row.name for row in rows if row.wrong} - explained
    if not wrong:
        return ""
    texts: dict[str, set[str]] = {}
    for row in rows:
        script = row.case.script
        for trap in row.case.traps or (f"{script} script",):
            texts.setdefault(trap, set()).add(row.name)

    def likeness(trap: str) -> float:
        return len(texts[trap] & wrong) / len(texts[trap] | wrong)

    best = max(texts, key=likeness, default="")
    return best if best and texts[best] & wrong else ""
