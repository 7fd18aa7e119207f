"""The results of some rows, as JSON; of a row that cannot be answered, what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from npbert.corpus.jobs import Entry, Job
from npbert.corpus.json_results import shortest


class Answer(NamedTuple):
    """The result of a row as JSON, or what is wrong with the row."""

    result: str
    error: str = ""


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
