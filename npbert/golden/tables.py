"""The tables of a report: a case's tensors with their errors, folded around what matters."""

from __future__ import annotations

from collections.abc import Sequence

from npbert.golden.comparing import Difference
from npbert.golden.judging import Row
from npbert.golden.manifest import Tolerance
from npbert.terminal import aligned

AROUND = 2  # rows that are shown before and after one that matters
HEADER = ("tensor", "shape", "error", "relative", "tolerance", "local", "tolerance", "verdict")
NUMBERS = range(2, 7)  # the columns of these, aligned to the right


def case_lines(case: str, rows: list[Row], whole: bool, with_table: bool) -> list[str]:
    """Return a line on one case, and its table, folded around what matters.

    A case that is wrong in no other way than those before needs no table.
    """
    given = [row for row in rows if row.given]
    failing = sum(row.fails for row in given)
    state = f"{failing} not right" if failing else "all right"
    lines = [f"case {case}: {len(given)} of {len(rows)} tensors given, {state}"]
    if not (with_table or whole):
        return [lines[0] + (", in the same tensors" if failing else "")]
    shown = rows if whole else given
    matters = {number for number, row in enumerate(shown) if does_matter(row)}
    matters |= {next((n for n, row in enumerate(shown) if row.fails), 0)}
    table: list[Sequence[str]] = [HEADER]
    folded: list[Row] = []
    for number, row in enumerate(shown):
        if whole or any(abs(number - other) <= AROUND for other in matters):
            table += [*fold(folded), cells(row)]
            folded = []
        else:
            folded.append(row)
    return lines + as_lines([*table, *fold(folded)])


def does_matter(row: Row) -> bool:
    return bool(row.problem or row.remark) or row.local_right is False


def fold(rows: list[Row]) -> list[Sequence[str]]:
    """Return the line that stands for rows that are not shown."""
    if not rows:
        return []
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    return [[f"... {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}"]]


def cells(row: Row) -> list[str]:
    first = [row.name, str(list(row.shape))]
    if not row.given:
        return [*first, *[""] * 5, row.verdict]
    error, tolerance = decisive(row.expected, row.tolerance, "expected")
    local, local_tolerance = decisive(row.local, row.local_tolerance, "local")
    relative = f"{row.expected.relative:.1e}" if row.expected else ""
    said = "; ".join(text for text in (row.verdict, row.problem, row.remark) if text)
    return [*first, error, relative, tolerance, local, local_tolerance, said]


def decisive(
    difference: Difference | None, tolerance: Tolerance | None, which: str
) -> tuple[str, str]:
    """Return the error that comes closest to its tolerance, and that, as texts."""
    if difference is None or tolerance is None:
        return "", ""
    errors = difference.errors(tolerance, which)
    if not errors:
        return "", ""
    error, most = max(errors, key=lambda pair: pair[0] / pair[1] if pair[1] else pair[0])
    return f"{error:.1e}", f"{most:.1e}"


def as_lines(rows: list[Sequence[str]]) -> list[str]:
    """Return rows of texts as lines in columns; a row of one text stands across them."""
    full = aligned([row for row in rows if len(row) > 1], NUMBERS)
    return [f"  {next(full) if len(row) > 1 else row[0]}" for row in rows]
