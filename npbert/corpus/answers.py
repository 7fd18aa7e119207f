"""The results of some rows, as JSON; of a row that cannot be answered, what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from npbert.corpus.jobs import Entry, Job
from npbert.corpus.json_results import error_line, line_of, shortest
from npbert.corpus.lines import Line


class Answer(NamedTuple):
    """The result of a row as JSON, or what is wrong with the row."""

    result: str
    error: str = ""


def row_line(line: Line, answer: Answer) -> str:
    """Return the line of JSON of a row and its answer, or what is wrong with the row."""
    if not answer.error:
        return line_of(line.shown, answer.result)
    if line.row is not None and line.shown:
        return json.dumps(line.shown | {"error": answer.error})
    return error_line(line.number, line.text, answer.error)


def answered(job: Job, batch: list[Line]) -> list[tuple[Line, Answer]]:
    """Answer rows together; those that are wrong already are not asked."""
    return merged(batch, answers(job, asked(batch)))


def asked(batch: list[Line]) -> list[Entry]:
    return [line.entry for line in batch if not line.error]


def merged(batch: list[Line], found: list[Answer]) -> list[tuple[Line, Answer]]:
    rest = iter(found)
    return [(line, Answer("", line.error) if line.error else next(rest)) for line in batch]


def answers(job: Job, entries: list[Entry]) -> list[Answer]:
    """Answer entries together; one that is refused has its error, and no other has."""
    return [*_answers(job, entries)]


def _answers(job: Job, entries: list[Entry]) -> Iterator[Answer]:
    """Whose fault an error is, is found by halves: most are answered in company nevertheless."""
    try:
        found = iter(job.answer(entries))
    except ValueError as error:
        if len(entries) == 1:
            yield Answer("", str(error))
            return
        middle = len(entries) // 2
        yield from _answers(job, entries[:middle])
        yield from _answers(job, entries[middle:])
        return
    for _ in entries:
        try:
            yield Answer(json.dumps(shortest(next(found))))
        except ValueError as error:
            yield Answer("", str(error))
