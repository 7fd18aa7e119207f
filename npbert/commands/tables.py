"""Results as aligned lines for a terminal: one function for each kind of result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from npbert import terminal

SNIPPET = 30  # characters that are shown on either side of an answer
PER_LINE = 8  # numbers of a vector on one line


def printable(text: str) -> str:
    """Return a text without control characters: the vocabulary comes from a file."""
    return "".join([" " if c.isspace() else terminal.shown(c) for c in text])


def aligned(rows: Iterable[Sequence[str]], right: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield rows as aligned lines without control characters; `right`: columns set to the right."""
    return terminal.aligned([[printable(cell) for cell in row] for row in rows], right)


def percent(score: float) -> str:
    return f"{score:7.2%}"


def candidates(result: Any, entry: Any = None) -> Iterator[str]:
    """The candidates for a mask, or for each of several."""
    masks = result if isinstance(result[0], list) else [result]
    for number, rows in enumerate(masks, 1):
        if len(masks) > 1:
            yield f"[MASK] {number} of {len(masks)}"
        yield from aligned(
            (percent(row["score"]), row["token_str"], row["sequence"]) for row in rows
        )


def labels(result: Any, entry: Any = None, probabilities: bool = True) -> Iterator[str]:
    """Labels with their scores, which are probabilities, or numbers of any size."""
    return aligned(
        ((percent(row["score"]) if probabilities else f"{row['score']:.4f}", row["label"])
         for row in result),
        right=(0,),
    )  # fmt: skip


def relations(result: Any, entry: Any = None) -> Iterator[str]:
    """Whether a text follows another, in words."""
    meaning = {"IsNext": "the second text follows the first", "NotNext": "it does not"}
    return aligned((percent(row["score"]), row["label"], meaning[row["label"]]) for row in result)


def choices(result: Any, entry: Any = None) -> Iterator[str]:
    return aligned((percent(row["score"]), row["choice"]) for row in result)


def entities(result: Any, entry: Any = None) -> Iterator[str]:
    """Tokens, or groups of them, with label and place."""
    if not result:
        yield "nothing found"
    name = "entity" if result and "entity" in result[0] else "entity_group"
    yield from aligned(
        (percent(row["score"]), row[name], row["word"], f"{row['start']}-{row['end']}")
        for row in result
    )


def answers(result: Any, entry: Any) -> Iterator[str]:
    """Answers, each with what stands around it."""
    rows = [result] if isinstance(result, dict) else result
    return aligned(
        (percent(row["score"]), row["answer"] or "no answer", around(row, entry["context"]))
        for row in rows
    )


def around(answer: Any, context: str) -> str:
    """Return an answer in brackets, within the text that surrounds it."""
    start, end = answer["start"], answer["end"]
    if start == end:
        return ""
    before, after = context[max(0, start - SNIPPET) : start], context[end : end + SNIPPET]
    before = "..." + before.partition(" ")[2] if start > SNIPPET else before
    after = after.rpartition(" ")[0] + " ..." if end + SNIPPET < len(context) else after
    return f"{before}[{context[start:end]}]{after}"


def vector(numbers: list[float]) -> Iterator[str]:
    """The numbers of a vector, eight a line."""
    for start in range(0, len(numbers), PER_LINE):
        yield "".join(f"{number:10.4f}" for number in numbers[start : start + PER_LINE])


def matrix(result: Any, tokens: list[str]) -> Iterator[str]:
    """The first numbers of each token's vector, and how many there are."""
    rows = [[*(f"{number:.4f}" for number in row[: PER_LINE - 2]), "..."] for row in result]
    yield from aligned(
        ([token, *row] for token, row in zip(tokens, rows)), right=tuple(range(1, PER_LINE))
    )
    yield f"{len(result)} tokens, {len(result[0])} numbers each: --json prints them all"


def similarities(vectors: Any, texts: list[str]) -> Iterator[str]:
    """How alike the vectors of several texts are: the cosines of the angles between them."""
    import numpy as np

    unit = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [["", *map(str, range(1, len(texts) + 1)), ""]]
    for i, (line, text) in enumerate(zip(unit @ unit.T, texts), 1):
        rows.append([str(i), *(f"{number:.3f}" for number in line), text])
    yield from aligned(rows, right=tuple(range(len(texts) + 1)))
