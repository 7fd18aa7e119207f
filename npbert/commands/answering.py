"""`--input`: a line in, a line of JSON out, in order; what is wrong with one stands in its place.

They are read as they come (lines.py), answered some at a time, and written one by one (writing.py).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from npbert.commands.json_results import error_line, line_of, shortest
from npbert.commands.lines import Entry, Line, batches, input_name, open_input
from npbert.commands.writing import Output, note, open_output
from npbert.terminal import counted, progress

SOME_WRONG = 1  # the exit status where some lines have an error for a result
SHOWN = 5  # numbers of lines in a note

Answer = Callable[[list[Entry]], list[Any]]


def answer_lines(
    arguments: argparse.Namespace, parse: Callable[[str], Entry], answer: Answer
) -> int:
    """Answer every line of a file ("-": standard input) with a line of JSON; return the status.

    arguments: input, output, resume, strict. parse: makes an entry of a line. answer: gives the
    results of several entries. A line of output is the entry with its "result". Where either
    function raises a ValueError the line of output has the number of the line, the line and the
    error; with `strict` it is the end, and what came before is written.
    """
    answer([])  # a wrong option is no line's fault
    source, target = arguments.input, arguments.output
    is_there = target is not None and source != "-" and os.path.exists(target)
    if is_there and os.path.samefile(source, target):
        raise ValueError(f"{target} is both --input and --output")
    name = input_name(source)
    with open_input(source) as file, open_output(target, arguments.resume) as output:
        if output.earlier.lines:
            had = counted(output.earlier.lines, "whole line")
            note(f"{target} has {had}: going on after that")
        done = Done(name, output, arguments.strict)
        lines = done.skip(batches(file, parse))
        answered = (found for batch in lines for found in results(batch, answer))
        count, label, show = _length(source, target)
        for line, result in progress(answered, count - output.earlier.lines, label, show):
            if line.error and arguments.strict:
                raise ValueError(f"{name}, line {line.number}: {line.error}")
            if line.error:
                output.write(error_line(line.number, line.text, line.error))
                done.wrong.append(line.number)
            else:
                output.write(line_of(line.entry, result))
    return done.report()


class Done:
    """What has been done: lines that need no answer any more, blank ones, wrong ones."""

    def __init__(self, name: str, output: Output, strict: bool) -> None:
        self.name = name
        self.output = output
        self.strict = strict
        self.blank: list[int] = []
        self.wrong: list[int] = []

    def skip(self, batches: Iterator[list[Line | None]]) -> Iterator[list[Line]]:
        """Leave out blank lines, and those whose answers the output has already."""
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
                f"{self.output.name} has {counted(had, 'line')} and {self.name} only {had - left}: "
                "they do not belong together"
            )

    def _check_beginning(self) -> None:
        """Cut off the beginning of a first line, or raise a ValueError if it cannot be one."""
        rest = self.output.earlier.rest
        if rest[:2] != b'{"'[: len(rest)]:
            raise ValueError(f"{self.output.name} is not the output of an earlier run")
        self.output.cut_rest()

    def _check_last(self, line: Line) -> None:
        """Go on after this line, or raise a ValueError if the output ends with another's answer."""
        try:
            last = json.loads(self.output.earlier.last)
        except ValueError:
            last = None
        if not isinstance(last, dict):
            same = False
        elif "error" in last:
            same = last.get("line") == line.number and last.get("text") == line.text
        else:
            same = {key: last[key] for key in last if key != "result"} == line.entry
        if not same:
            raise ValueError(
                f"the last line of {self.output.name} does not answer line {line.number} of "
                f"{self.name}: they do not belong together"
            )
        self.output.cut_rest()

    def report(self) -> int:
        """Say which lines were blank and which wrong, and return the exit status."""
        if self.blank:
            note(f"{self.name}: {_listed(self.blank, 'blank line')} skipped")
        wrong = len(self.wrong) + self.output.earlier.errors
        if self.wrong:
            note(f'{self.name}: {_listed(self.wrong, "line")} could not be answered; see "error"')
        return SOME_WRONG if wrong else 0


def results(lines: list[Line], answer: Answer) -> Iterator[tuple[Line, Any]]:
    """Yield lines with their results as JSON has them, and those that are refused with their error.

    Whose fault an error is, is found by halves: most lines are answered in company nevertheless.
    """
    try:
        found = iter(answer([line.entry for line in lines if not line.error]))
    except ValueError as error:
        if len(lines) == 1:
            yield lines[0]._replace(error=str(error)), None
            return
        middle = len(lines) // 2
        yield from results(lines[:middle], answer)
        yield from results(lines[middle:], answer)
        return
    for line in lines:
        result = None
        if not line.error:
            try:
                result = shortest(next(found))
            except ValueError as error:
                line = line._replace(error=str(error))
        yield line, result


def _length(source: str, target: str | None) -> tuple[int, str, bool | None]:
    """Return how many lines there are, in what, and whether a bar can be shown of them."""
    on_screen = target is None and sys.stdout.isatty()
    if source == "-" or on_screen or not sys.stderr.isatty():
        return 0, "lines", False
    with open_input(source) as file:
        return sum(1 for line in file if line.strip()), "lines", None


def _listed(numbers: list[int], what: str) -> str:
    """Return "2 lines (4, 7)"."""
    more = ", ..." if len(numbers) > SHOWN else ""
    return f"{counted(len(numbers), what)} ({', '.join(map(str, numbers[:SHOWN]))}{more})"
