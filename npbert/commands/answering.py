"""`--input`: a row in, a result out, in order; what is wrong with a row stands in its place.

Rows are read as they come, answered some at a time, here or in workers, and written one by one, as
lines of JSON. Where another format is asked for, these lines go to a file beside the output, and
the output is made of them when the last one is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from npbert.checkpoints.writing import output_file
from npbert.commands.writing import Output, note, open_output
from npbert.corpus.answers import Answer, row_line
from npbert.corpus.columns import check_names, result_kinds
from npbert.corpus.formats import JSON_LINES, LINES, PARQUET, format_of, import_pyarrow
from npbert.corpus.jobs import Entry, Job, fields_of
from npbert.corpus.lines import Line, TextLines
from npbert.corpus.records import open_source
from npbert.corpus.tables import Source, is_answer, write_table
from npbert.corpus.workers import answering
from npbert.terminal import counted, progress

SOME_WRONG = 1  # the exit status where some rows have an error for a result
SHOWN = 5  # numbers of rows in a note
UNFINISHED = ".unfinished"  # the end of the name of the lines that a table is made of


def answer_rows(
    arguments: argparse.Namespace,
    job: Job,
    look_at: Callable[[Entry], None],
) -> int:
    """Answer every row of a file ("-": standard input), and return the exit status.

    arguments: input, output, text_column, pair_column, resume, force, strict, workers.
    look_at: sees every entry before it is answered. Where a row cannot be answered its error stands
    in the place of its result; with `strict` it is the end, and what came before is written.
    """
    source, target = _source(arguments, job), arguments.output
    is_there = target is not None and source.path != "-" and os.path.exists(target)
    if is_there and os.path.samefile(source.path, target):
        raise ValueError(f"{target} is both --input and --output")
    is_table = target is not None and format_of(target) not in (LINES, JSON_LINES)
    journal = target + UNFINISHED if is_table else target
    if is_table and not _is_needed(arguments, journal):
        note(f"{target} is complete")
        return 0
    job.answer([])  # a wrong option is no row's fault
    with answering(job, arguments.workers) as answered:
        kinds = _check(source, target, job, is_table)
        with open_output(journal, arguments.resume, arguments.force) as output:
            earlier = output.earlier.lines
            if earlier:
                note(f"{journal} has {counted(earlier, 'whole line')}: going on after that")
            done = Done(source, output, arguments.strict)
            batches = done.skip(_seen(source.rows(whole=not is_table), look_at))
            found = chain.from_iterable(answered(batches))
            count, show = _length(source, target)
            done.write(progress(found, count - earlier, f"{source.unit}s", show))
            if is_table:
                write_table(job, source, kinds, journal, target)
    if is_table:
        os.unlink(journal)
    return done.report()


# ---- what is wrong before any row is read --------------------------------------------------


def _source(arguments: argparse.Namespace, job: Job) -> Source:
    said = arguments.text_column, getattr(arguments, "pair_column", None)
    is_pair = getattr(arguments, "pairs", False) or said[1] is not None
    fields = fields_of(job.command, is_pair)
    source = open_source(arguments.input, fields, *said)
    if isinstance(source, TextLines) and any(said):
        option = "--text-column" if said[0] else "--pair-column"
        raise ValueError(f"{option} needs an --input with columns: .jsonl, .csv or .parquet")
    return source


def _check(source: Source, target: str | None, job: Job, is_table: bool) -> dict[str, Any]:
    """Raise ValueError for an input and an output that do not go; return the kinds of columns."""
    if not is_table:
        source.check()
        return {}
    if source.path != "-":
        os.stat(source.path)  # raises FileNotFoundError
    if source.path == "-" or not os.path.isfile(source.path):
        raise ValueError(
            f"{source.name} cannot be read a second time, as {target} asks for: "
            f"give an --input that is a file, or an --output in {JSON_LINES}"
        )
    assert target is not None
    if format_of(target) == PARQUET:
        import_pyarrow(target)
    output_file(target)
    kinds = source.kinds()
    check_names([*kinds], [*result_kinds(job)], source.name)
    return kinds


def _is_needed(arguments: argparse.Namespace, journal: str) -> bool:
    """Return whether there is something left to do for a table, or raise a ValueError."""
    target = arguments.output
    if arguments.force or not os.path.exists(target) or not os.path.getsize(target):
        return True
    if not arguments.resume:
        raise ValueError(f"{target} is not empty; --force replaces it when the new one is complete")
    return os.path.exists(journal)


def _length(source: Source, target: str | None) -> tuple[int, bool | None]:
    """Return how many rows there are, and whether a bar can be shown of them."""
    on_screen = target is None and sys.stdout.isatty()
    if source.path == "-" or on_screen or not sys.stderr.isatty():
        return 0, False
    return source.count(), None


# ---- row by row ----------------------------------------------------------------------------


def _seen(
    batches: Iterator[list[Line | None]], look_at: Callable[[Entry], None]
) -> Iterator[list[Line | None]]:
    for batch in batches:
        for line in batch:
            if line is not None:
                look_at(line.entry)
        yield batch


class Done:
    """What has been done: rows that need no answer any more, blank ones, wrong ones."""

    def __init__(self, source: Source, output: Output, strict: bool) -> None:
        self.source = source
        self.output = output
        self.strict = strict
        self.blank: list[int] = []
        self.wrong: list[int] = []

    def skip(self, batches: Iterator[list[Line | None]]) -> Iterator[list[Line]]:
        """Leave out blank lines, and rows whose answers the output has already."""
        left, number = self.output.earlier.lines, 0
        if not left:
            self._check_beginning()
        for batch in batches:
            kept = []
            for line in batch:
                number += 1
                if line is None and left == 0:
                    self.blank.append(number)
                    if self.strict:
                        kept.append(Line(number, "", {}, "the line is blank"))
                elif line is not None and left == 0:
                    kept.append(line)
                elif line is not None:
                    left -= 1
                    if left == 0:
                        self._check_last(line)
            if kept:
                yield kept
        if left:
            had = self.output.earlier.lines
            raise ValueError(
                f"{self.output.name} has {counted(had, 'line')} and {self.source.name} only "
                f"{had - left}: they do not belong together"
            )

    def _check_beginning(self) -> None:
        """Cut off the beginning of a first line, or raise a ValueError if it cannot be one."""
        rest = self.output.earlier.rest
        if rest[:2] != b'{"'[: len(rest)]:
            raise ValueError(f"{self.output.name} is not the output of an earlier run")
        self.output.cut_rest()

    def _check_last(self, line: Line) -> None:
        """Go on after this row, or raise a ValueError if the output ends with another's answer."""
        try:
            last = json.loads(self.output.earlier.last)
        except ValueError:
            last = None
        if not is_answer(line, last):
            raise ValueError(
                f"the last line of {self.output.name} does not answer {self.source.unit} "
                f"{line.number} of {self.source.name}: they do not belong together"
            )
        self.output.cut_rest()

    def write(self, found: Iterable[tuple[Line, Answer]]) -> None:
        """Write a line for every row; with `strict` raise a ValueError for the first wrong one."""
        for line, answer in found:
            if answer.error and self.strict:
                where = f"{self.source.name}, {self.source.unit} {line.number}"
                raise ValueError(f"{where}: {answer.error}")
            self.output.write(row_line(line, answer))
            if answer.error:
                self.wrong.append(line.number)

    def report(self) -> int:
        """Say which rows were blank and which wrong, and return the exit status."""
        name, unit = self.source.name, self.source.unit
        if self.blank:
            note(f"{name}: {_listed(self.blank, f'blank {unit}')} skipped")
        wrong = len(self.wrong) + self.output.earlier.errors
        if self.wrong:
            note(f'{name}: {_listed(self.wrong, unit)} could not be answered; see "error"')
        return SOME_WRONG if wrong else 0


def _listed(numbers: list[int], what: str) -> str:
    """Return "2 lines (4, 7)"."""
    more = ", ..." if len(numbers) > SHOWN else ""
    return f"{counted(len(numbers), what)} ({', '.join(map(str, numbers[:SHOWN]))}{more})"
