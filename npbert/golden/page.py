"""A report as a page: the trace page, with a port's values and how they differ beside npbert's.

    page = report_page(kit.check("mine.safetensors"))

A page shows one case. npbert's values are those of its float64 pass, which is the kit's.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from npbert.golden.judging import Row
from npbert.golden.kit import Kit
from npbert.golden.manifest import Case
from npbert.golden.report import Report, summary
from npbert.golden.tables import decisive
from npbert.tokenizer.bert_tokenizer import AutoTokenizer
from npbert.tracing.page.collecting import describe
from npbert.tracing.page.listing import list_pass
from npbert.tracing.page.reading import Reading
from npbert.tracing.page.rendering import More, render
from npbert.tracing.page.values import kept_places, packed, statistics
from npbert.tracing.quantities import counted

HERE = Path(__file__).parent


def report_page(report: Report, case: str | None = None) -> str:
    """Return the page of one case as HTML: the largest in which the first wrong tensor is wrong.

    Raises ValueError for a case that the kit does not have, or that nothing was given for.
    """
    kit = report.kit
    case = case or telling_case(report)
    kit.case(case)
    if case not in report.rows:
        raise ValueError(f"nothing was given for the case {case}, but for {', '.join(report.rows)}")
    reading = reading_of(kit, kit.cases[case])
    listing = list_pass(reading.model, **reading.inputs)
    data = describe(listing, reading)
    data["check"] = about(report, case)
    rows = {row.name: row for row in report.rows[case] if row.given}
    own = {quantity.name: quantity.value for quantity in listing.trace}
    for quantity in data["quantities"]:
        if row := rows.get(quantity["name"]):
            quantity["check"] = beside(row, own[row.name], quantity)
    style, script = ((HERE / f"comparison.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return render(data, More(styles=(style,), scripts=(script,)))


def telling_case(report: Report) -> str:
    """Return the case to show: the largest of those in which the first wrong tensor is wrong."""
    first = report.first
    shows = {
        case: [row for row in rows if first is None or (row.name == first.name and row.fails)]
        for case, rows in report.rows.items()
    }
    return max(
        (c for c, rows in shows.items() if rows), key=lambda c: report.kit.cases[c].real.size
    )


# ---- what the page is of -----------------------------------------------------------------------


def reading_of(kit: Kit, case: Case) -> Reading:
    """Return a kit's model and the inputs of a case, as what a page shows."""
    ids = kit.inputs(case.name)["input_ids"].reshape(case.real.shape)
    tokens: Any = case.tokens or ids.astype(str).tolist()
    texts = [text if isinstance(text, str) else " | ".join(text) for text in case.texts or ()]
    return Reading(
        f"{kit.name}, case {case.name}",
        kit.model(),
        tokenizer_of(kit),
        texts or [case.about],
        kit.inputs(case.name),
        [[str(token) for token in row] for row in tokens],
    )


class Ids:
    """Stands for the tokenizer of a model that has no vocabulary: a piece is its number."""

    mask_token = pad_token = cls_token = ""
    all_special_tokens = ()

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [str(number) for number in ids]

    def decode(self, ids: list[int]) -> str:
        return " ".join(self.convert_ids_to_tokens(ids))


def tokenizer_of(kit: Kit) -> Any:
    """Return the tokenizer of the checkpoint that a kit's weights lie in, if that is one."""
    directory = Path(kit.weights_path()).parent
    if not (directory / "vocab.txt").is_file():
        return Ids()
    return AutoTokenizer.from_pretrained(directory)


# ---- verdicts ----------------------------------------------------------------------------------


def about(report: Report, case: str) -> dict[str, Any]:
    """Return what the page says of the whole check, and of one case."""
    rows = report.rows[case]
    counts = Counter(row.verdict for row in rows if row.given)
    return {
        "kit": report.kit.name,
        "case": case,
        "passed": report.passed,
        "first": next((row.name for row in rows if row.fails), None),
        "summary": summary(report),
        "counts": dict(counts.most_common()),
        "given": [sum(row.given for row in rows), len(rows)],
        "others": {
            name: sum(row.fails for row in others)
            for name, others in report.rows.items()
            if name != case
        },
        "wrong": [row.name for row in rows if row.fails and row.verdict != "inherited"],
    }


def beside(row: Row, own: np.ndarray, quantity: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict on a tensor, and its values and differences as the page holds numbers."""
    found: dict[str, Any] = {"verdict": row.verdict, "fails": row.fails, "said": sentences(row)}
    given = row.value
    if given is None or given.shape != own.shape or given.dtype.kind not in "iufb":
        return found
    kept = kept_places(quantity, quantity["shape"])
    given, own = given.astype(np.float64), own.astype(np.float64)
    both = counted(given) & counted(own)
    difference = np.where(both, np.where(both, given, 0.0) - np.where(both, own, 0.0), np.nan)
    for name, array in (("port", given), ("difference", difference)):
        found[name] = {**statistics(array), **packed(array, kept)}
    return found


def sentences(row: Row) -> list[str]:
    """Say what is to be said of a tensor: what is wrong with it, and its errors."""
    said = [f"It {row.problem}." if row.problem else "", row.remark]
    for difference, tolerance, which, title in (
        (row.expected, row.tolerance, "expected", "from the kit's value"),
        (row.local, row.local_tolerance, "local", "from npbert's step on your values before it"),
    ):
        error, most = decisive(difference, tolerance, which)
        if error:
            said.append(f"{error} {title}, tolerance {most}")
    return [sentence for sentence in said if sentence]
