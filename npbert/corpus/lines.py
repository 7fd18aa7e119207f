"""Text: the lines of a file or a pipe, as they come, and what each of them asks.

A line ends at a line feed, and a carriage return before it belongs to the end. A byte order mark at
the start of a file is none of its text. What is no UTF-8, or not what a command takes, is an error
of its line and of no other.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from npbert.corpus.jobs import LISTS, OPTIONAL, Entry
from npbert.terminal import counted

BATCH = 1 << 13  # bytes of lines that are answered together: some thousand tokens
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PARTS_OF_MARK = (BYTE_ORDER_MARK[:1], BYTE_ORDER_MARK[:2])


class Line(NamedTuple):
    """A row of a file and what it asks, or what is wrong with it."""

    number: int  # in the file, from 1
    text: str
    entry: Entry
    error: str = ""
    row: Entry | None = None  # its columns, where it has any

    @property
    def shown(self) -> Entry:
        """What stands beside the result in a line of JSON; a result of an earlier run does not."""
        if self.row is None:
            return self.entry
        return {name: self.row[name] for name in self.row if name not in ("result", "error")}


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """Open a file ("-": standard input) to be read; an error that names no file gets its name."""
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
            yield file
    except OSError as error:
        if error.strerror and error.filename is None:
            error.filename = input_name(path)
        raise


Span = tuple[int, int, int]  # of a file: where it begins and ends, and the number of its first row


@contextmanager
def open_span(path: str, span: Span | None) -> Iterator[BinaryIO]:
    """Open a file, or a part of it."""
    with open_input(path) as file:
        if span is None:
            yield file
            return
        file.seek(span[0])
        yield io.BytesIO(file.read(span[1] - span[0]))


def spans(path: str, size: int) -> Iterator[Span]:
    """Yield the parts of a file that have so many lines; the last one may have fewer."""
    start = end = number = 0
    with open_input(path) as file:
        for line in file:
            end += len(line)
            number += 1
            if number % size == 0:
                yield start, end, number - size + 1
                start = end
        if start < end:
            yield start, end, number // size * size + 1


def input_name(path: str) -> str:
    return "standard input" if path == "-" else path


class TextLines:
    """The lines of a file ("-": standard input), each of which is a row.

    fields: the names of what an entry has.
    """

    unit = "line"
    span: Span | None = None  # where it is a part of a file

    def __init__(self, path: str, fields: tuple[str, ...]) -> None:
        self.path = path
        self.name = input_name(path)
        self.fields = fields

    def check(self) -> None:
        """Any line will do."""

    def kinds(self) -> dict[str, Any]:
        """Return the names and the kinds of the columns that a table of the rows has."""
        return {name: ["string"] if name == "choices" else "string" for name in self.fields}

    def rows(self, whole: bool = True) -> Iterator[list[Line | None]]:
        """Yield lines, some at a time, without waiting for more; a blank one is None."""
        with open_span(self.path, self.span) as file:
            yield from batches(file, parser(self.fields), self.span)

    def asked(self, line: Line) -> Line:
        """Return a line as it was asked: all of it."""
        return line

    def count(self) -> int:
        """Return how many lines are not blank."""
        with open_input(self.path) as file:
            return sum(1 for line in file if line.strip())

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield lines that are not blank, so many at a time, each with the columns of its row."""
        found = filter(None, chain.from_iterable(self.rows()))
        yield from chunked((line._replace(row=line.entry) for line in found), size, self.fields[0])


Chunk = tuple[list[Line], Any]  # rows, and a list of their columns, or a pyarrow.RecordBatch


def chunked(found: Iterator[Line], size: int, column: str) -> Iterator[Chunk]:
    """Yield so many rows at a time; what could not be read as one is text of that column."""
    while chunk := [*islice(found, size)]:
        yield chunk, [line.row or {column: line.text} for line in chunk]


def batches(
    file: BinaryIO, parse: Callable[[str], Entry], span: Span | None = None
) -> Iterator[list[Line | None]]:
    """Yield lines, some at a time: those that are there, without waiting.

    parse: makes an entry of a line, or raises a ValueError. span: what part of a file it is. A
    blank line is None.
    """
    number = span[2] - 1 if span else 0
    for batch in raw_batches(file):
        yield [_line(number + place, data, parse) for place, data in enumerate(batch, 1)]
        number += len(batch)


def raw_batches(file: BinaryIO) -> Iterator[list[bytes]]:
    """Yield lines as bytes, without their line feeds and the byte order mark of the file.

    At a time at most BATCH bytes, or a single line.
    """
    parts: list[bytes] = []  # of a line whose end has not been read yet
    is_start = True
    while data := file.read1(1 << 16):  # type: ignore[attr-defined]
        if is_start:
            while data in PARTS_OF_MARK and (more := file.read1(1)):  # type: ignore[attr-defined]
                data += more
            data, is_start = data.removeprefix(BYTE_ORDER_MARK), False
        first, *others = data.split(b"\n")
        parts.append(first)
        if others:
            lines = [b"".join(parts), *others[:-1]]
            parts = others[-1:]
            yield from _apart(lines)
    if any(parts):
        yield [b"".join(parts)]


def _apart(lines: list[bytes]) -> Iterator[list[bytes]]:
    some: list[bytes] = []
    size = 0
    for line in lines:
        if some and size + len(line) > BATCH:
            yield some
            some, size = [], 0
        some.append(line)
        size += len(line)
    yield some


def _line(number: int, data: bytes, parse: Callable[[str], Entry]) -> Line | None:
    data = data.removesuffix(b"\r")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "backslashreplace")
        return Line(number, text, {}, f"not UTF-8 at byte {error.start}")
    if not text.strip():
        return None
    try:
        return Line(number, text, parse(text))
    except ValueError as error:
        return Line(number, text, {}, str(error))


# ---- what a line holds ---------------------------------------------------------------------


def parser(fields: tuple[str, ...]) -> Callable[[str], Entry]:
    """Return a function that makes an entry with these fields of a line.

    A single field is all of the line. Several are columns with tabs between, where a list takes all
    further ones; or the line begins with "{" and is a JSON object with these names.
    """
    rest = fields[-1] if fields[-1] in LISTS else ""
    names = fields[:-1] if rest else fields
    expected = ", ".join(fields)

    def from_columns(line: str) -> Entry:
        if line.startswith("{"):
            return from_object(line)
        columns = line.split("\t")
        if len(columns) < len(names) or (len(columns) > len(names) and not rest):
            given = counted(len(columns), "column")
            raise ValueError(f"{given}, expected {expected} with tabs between, or a JSON object")
        entry: Entry = dict(zip(names, columns))
        return entry | {rest: columns[len(names) :]} if rest else entry

    def from_object(line: str) -> Entry:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if not {*fields} - {*OPTIONAL} <= entry.keys() <= {*fields}:
            raise ValueError(
                f"the object has {', '.join(entry) or 'no names'}, expected {expected}"
            )
        return entry

    return from_columns if len(fields) > 1 else lambda line: {fields[0]: line}
