"""`--input`: texts from a file or a pipe, line by line, and their results as JSON lines.

Lines are read as they come and answered some at a time; every result is a whole line, written at
once and not held back. Whoever reads them sees whole lines, even if the command is interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

CHUNK = 32  # lines that are answered together
LARGEST_LINE = 1 << 20  # bytes of output that one write takes

Entry = dict[str, Any]


def answer_lines(
    path: str,
    parse: Callable[[str], Entry],
    answer: Callable[[list[Entry]], list[Any]],
) -> None:
    """Answer every line of a file ("-": standard input) with a line of JSON on standard output.

    parse: makes an entry of a line. answer: gives the results of several entries. A line of output
    is the entry with its "result". A line that either of them refuses is a ValueError that names
    its number; what comes before it is written.
    """
    from npbert.terminal import progress

    answer([])  # a wrong option is no line's fault
    sys.stdout.flush()
    # A buffer of its own, as large as any line, is emptied by one write at the end of each.
    with open(sys.stdout.fileno(), "wb", buffering=LARGEST_LINE, closefd=False) as out:
        for entry, result in progress(_answers(path, parse, answer), *_length(path)):
            out.write(json.dumps(entry | {"result": result}).encode() + b"\n")
            out.flush()


def _length(path: str) -> tuple[int, str, bool | None]:
    """Return how many lines there are, in what, and whether a bar can be shown of them."""
    if path == "-" or sys.stdout.isatty() or not sys.stderr.isatty():
        return 0, "lines", False
    with Path(path).open("rb") as file:
        return sum(1 for _ in file), "lines", None


def _answers(
    path: str, parse: Callable[[str], Entry], answer: Callable[[list[Entry]], list[Any]]
) -> Iterator[tuple[Entry, Any]]:
    source = "standard input" if path == "-" else path
    done = 0
    for lines in chunks(path):
        yield from _answered(lines, parse, answer, source, done + 1)
        done += len(lines)


def _answered(
    lines: list[bytes],
    parse: Callable[[str], Entry],
    answer: Callable[[list[Entry]], list[Any]],
    source: str,
    first: int,
) -> Iterator[tuple[Entry, Any]]:
    """Yield entries with their results, up to the first line that is refused."""
    try:
        entries = [parse(_text(line)) for line in lines]
        results = answer(entries)
    except ValueError:  # which one? One by one they tell
        for number, line in enumerate(lines, first):
            try:
                entry = parse(_text(line))
                result = answer([entry])[0]
            except ValueError as error:
                raise ValueError(f"{source}, line {number}: {error}") from None
            yield entry, result
    else:
        yield from zip(entries, results, strict=True)


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def chunks(path: str) -> Iterator[list[bytes]]:
    """Yield the lines of a file, at most CHUNK at a time: those that are there, without waiting."""
    if path == "-":
        yield from _chunks(sys.stdin.buffer)
    else:
        with Path(path).open("rb") as file:
            yield from _chunks(file)


def _chunks(file: BinaryIO) -> Iterator[list[bytes]]:
    rest = b""
    while data := file.read1(1 << 16):  # type: ignore[attr-defined]
        *lines, rest = (rest + data).split(b"\n")
        for start in range(0, len(lines), CHUNK):
            yield lines[start : start + CHUNK]
    if rest:
        yield [rest]


# ---- what a line holds ---------------------------------------------------------------------


def parse_text(line: str) -> Entry:
    """A line is a text."""
    return {"text": line}


def parse_columns(*names: str, rest: str = "", optional: tuple[str, ...] = ()) -> Any:
    """Return a function that makes an entry of a line: columns with tabs between, or an object.

    names: of the columns. rest: the name of a list that takes all further columns. optional: names
    that an object may lack. A line that begins with "{" is a JSON object with these names.
    """
    expected = ", ".join([*names, rest] if rest else names)

    def parse(line: str) -> Entry:
        if line.startswith("{"):
            return from_object(line)
        columns = line.split("\t")
        if len(columns) < len(names) or (len(columns) > len(names) and not rest):
            raise ValueError(
                f"{len(columns)} columns, expected {expected} with tabs between, or a JSON object"
            )
        entry: Entry = dict(zip(names, columns))
        return entry | {rest: columns[len(names) :]} if rest else entry

    def from_object(line: str) -> Entry:
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        known = {*names, rest} if rest else {*names}
        if not known - {*optional} <= entry.keys() <= known:
            raise ValueError(
                f"the object has {', '.join(entry) or 'no names'}, expected {expected}"
            )
        return entry

    return parse
