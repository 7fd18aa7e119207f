"""Records: files whose rows have columns, .jsonl, .csv and .parquet, and what each row asks.

One column, or two, hold the texts; all others are kept. What is wrong with a row is its own error
and no other row's. The methods are those of lines.TextLines.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
from collections.abc import Iterator
from itertools import accumulate, chain
from typing import Any

from npbert.corpus import lines
from npbert.corpus.columns import check_names
from npbert.corpus.formats import CSV, JSON_LINES, PARQUET, format_of, import_pyarrow
from npbert.corpus.jobs import LISTS, OPTIONAL, Entry
from npbert.corpus.lines import (
    Chunk,
    Line,
    Span,
    TextLines,
    chunked,
    open_input,
    open_span,
)

READ = 1000  # rows of a Parquet file that are in memory at once


def open_source(
    path: str,
    fields: tuple[str, ...],
    text_column: str | None = None,
    pair_column: str | None = None,
) -> TextLines | Records:
    """Return the rows of a file, whose format its name says.

    fields: the names of what an entry has, which are also those of the columns that hold it where
    text_column, for the first, and pair_column say nothing else.
    """
    columns = {field: name or field for field, name in zip(fields, (text_column, pair_column))}
    kinds = {JSON_LINES: JsonLines, CSV: Csv, PARQUET: Parquet}
    for name in columns.values():
        if name in ("result", "error"):
            raise ValueError(
                f"texts cannot be in a column {name!r}, which is what results are called"
            )
    found = kinds.get(format_of(path))
    return found(path, columns) if found else TextLines(path, fields)


class Records:
    """The rows of a file of records.

    columns: what an entry has -> the name of the column that holds it.
    """

    unit = "row"

    def __init__(self, path: str, columns: dict[str, str]) -> None:
        self.path = self.name = path
        self.columns = columns
        self.column = next(iter(columns.values()))  # that of the text

    def kinds(self) -> dict[str, Any]:
        """Return the names and the kinds of all columns (columns.py says which kinds there are).

        Raises ValueError where a column is missing that holds the texts.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Raise ValueError where lines of JSON cannot be made of the rows and their results."""
        check_names([*self.kinds()], ["result"], self.name)

    def read(self, whole: bool) -> Iterator[Line | None]:
        """Yield the rows, with all columns or with those that hold the texts; None for a blank."""
        raise NotImplementedError

    def rows(self, whole: bool = True) -> Iterator[list[Line | None]]:
        """Yield rows, some at a time: as much text together as lines.BATCH says, or one row."""
        some: list[Line | None] = []
        size = 0
        for line in self.read(whole):
            added = sum(len(str(value)) for value in line.entry.values()) if line else 0
            if some and size + added > lines.BATCH:
                yield some
                some, size = [], 0
            some.append(line)
            size += added
        if some:
            yield some

    def count(self) -> int:
        """Return how many rows there are that are not blank."""
        return sum(line is not None for line in self.read(whole=False))

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield rows that are not blank, so many at a time, each with its columns."""
        yield from chunked(filter(None, self.read(whole=True)), size, self.column)

    def line(self, number: int, row: Entry, whole: bool, text: str = "", error: str = "") -> Line:
        """Return a row with what it asks, or with what is wrong with it."""
        entry: Entry = {}
        try:
            entry = {} if error else self._entry(row)
        except ValueError as wrong:
            error = str(wrong)
        found = Line(number, text, entry, error, row)
        return found if whole else self.asked(found)

    def asked(self, line: Line) -> Line:
        """Return a row with no other columns than those that hold the texts."""
        row = line.row and {n: line.row[n] for n in self.columns.values() if n in line.row}
        return line._replace(row=row)

    def _entry(self, row: Entry) -> Entry:
        entry = {}
        for field, column in self.columns.items():
            value = row.get(column)
            if value is None and field not in OPTIONAL:
                raise ValueError(
                    f"the column {column!r} {'is empty' if column in row else 'is missing'}"
                )
            if field in LISTS and isinstance(value, str):
                value = _list_of(value, column)
            if value is not None:
                entry[field] = value
        return entry

    def check_columns(self, names: list[str]) -> None:
        """Raise ValueError where one of the columns is not there, or where two have one name."""
        for place, (field, column) in enumerate(self.columns.items()):
            if column not in names and field not in OPTIONAL:
                raise ValueError(
                    f"{self.name} has no column {column!r} but {', '.join(names) or 'none'}; "
                    f"--{'pair' if place else 'text'}-column says which to read"
                )
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{self.name} has two columns {name!r}")


def _list_of(text: str, column: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"the column {column!r} is no list of texts in JSON") from None


class JsonLines(Records):
    """Lines that are JSON objects: a key is a column, which some rows may lack."""

    unit = "line"
    span: Span | None = None  # where it is a part of a file

    def kinds(self) -> dict[str, Any]:
        kinds: dict[str, Any] = {}
        for line in filter(None, self.read(whole=True)):
            for name, value in (line.row or {}).items():
                kinds[name] = _either(kinds.get(name, ""), _kind_of(value))
        if kinds:  # of an empty file nothing is asked
            self.check_columns([*kinds])
        return {name: kind or "string" for name, kind in kinds.items()} or {self.column: "string"}

    def check(self) -> None:
        """Raise ValueError for a file of which no row has the columns that hold the texts."""
        if not os.path.isfile(self.path):  # a pipe is read once
            return
        names: list[str] = []
        for line in filter(None, self.read(whole=True)):
            names = names or [*(line.row or {})]
            if line.row and all(
                n in line.row for f, n in self.columns.items() if f not in OPTIONAL
            ):
                return
        if names:
            self.check_columns(names)

    def rows(self, whole: bool = True) -> Iterator[list[Line | None]]:
        """Yield rows, some at a time, without waiting for more."""
        with open_span(self.path, self.span) as file:
            for batch in lines.batches(file, _object, self.span):
                yield [line and self._row(line, whole) for line in batch]

    def _row(self, line: Line, whole: bool) -> Line:
        return line if line.error else self.line(line.number, line.entry, whole, line.text)

    def read(self, whole: bool) -> Iterator[Line | None]:
        return chain.from_iterable(self.rows(whole))


def _object(line: str) -> Entry:
    try:
        found = json.loads(line, parse_constant=lambda name: None)  # NaN, which is none of JSON's
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{type(found).__name__} in JSON, expected an object")
    return found


def _kind_of(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is int and not -(2**63) <= value < 2**63:
        return "json"
    return {bool: "boolean", int: "integer", float: "double", str: "string"}.get(
        type(value), "json"
    )


def _either(one: str, other: str) -> str:
    """Return the kind of a column that has values of both kinds; "" is that of no value."""
    if one == other or not one or not other:
        return one or other
    return "double" if {one, other} == {"integer", "double"} else "json"


class Csv(Records):
    """Rows with commas between, quoted as Excel and Python do; the first one has the names."""

    def kinds(self) -> dict[str, Any]:
        names = next(self._records(), [])
        self.check_columns(names)
        return dict.fromkeys(names, "string")

    def read(self, whole: bool) -> Iterator[Line | None]:
        records = self._records()
        names = next(records, [])
        for number, record in enumerate(records, 1):
            if not record:
                yield None
                continue
            error = ""
            if len(record) != len(names):
                error = f"the row has {len(record)} columns, the first one {len(names)}"
            row = dict(zip(names, record))
            for name, value in row.items():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    error = error or f"the column {name!r} is not UTF-8"
                    row[name] = value.encode(errors="surrogateescape").decode(
                        errors="backslashreplace"
                    )
            yield self.line(number, row, whole, error=error)

    def _records(self) -> Iterator[list[str]]:
        csv.field_size_limit(2**31 - 1)  # the most that Windows takes
        with open_input(self.path) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(text, strict=True)
            try:
                yield from reader
            except csv.Error as error:
                raise ValueError(f"{self.name}, line {reader.line_num}: {error}") from None


class Parquet(Records):
    """A Parquet file, read some rows at a time."""

    part: tuple[int, int] | None = None  # the numbers of the first row and the last, from 1

    def _open(self) -> Any:
        import_pyarrow(self.path)
        import pyarrow.parquet

        try:
            return pyarrow.parquet.ParquetFile(self.path)
        except pyarrow.ArrowException as error:
            raise ValueError(f"{self.path}: {error}") from None

    def kinds(self) -> dict[str, Any]:
        from pyarrow import types

        with self._open() as file:
            schema = file.schema_arrow
        self.check_columns(schema.names)
        for field, column in self.columns.items():
            kind = schema.field(column).type if column in schema.names else None
            kind = kind.value_type if kind and types.is_dictionary(kind) else kind
            is_text = [types.is_string, types.is_large_string, types.is_string_view]
            if kind and field not in LISTS and not any(check(kind) for check in is_text):
                raise ValueError(f"{self.name}: the column {column!r} is {kind}, expected text")
        return {field.name: field for field in schema}

    def count(self) -> int:
        with self._open() as file:
            return file.metadata.num_rows

    def read(self, whole: bool) -> Iterator[Line | None]:
        number = self.part[0] if self.part else 1
        for batch in self._batches(READ, whole):
            for place, row in enumerate(batch.to_pylist()):
                row = {name: for_json(value) for name, value in row.items()}
                yield self.line(number + place, row, whole)
            number += batch.num_rows

    def chunks(self, size: int) -> Iterator[Chunk]:
        number = self.part[0] if self.part else 1
        for batch in self._batches(size, whole=True):
            asked = [name for name in self.columns.values() if name in batch.schema.names]
            rows = batch.select(asked).to_pylist()
            yield [self.line(number + place, row, True) for place, row in enumerate(rows)], batch
            number += batch.num_rows

    def _batches(self, size: int, whole: bool) -> Iterator[Any]:
        import pyarrow

        with self._open() as file:
            names = file.schema_arrow.names
            asked = None if whole else [each for each in self.columns.values() if each in names]
            groups, first, last = self._groups(file)
            try:
                found = file.iter_batches(size, groups, columns=asked, use_threads=False)
                for batch in found:
                    start, stop = max(first, 0), min(last, batch.num_rows)
                    if start < stop:
                        yield batch.slice(start, stop - start)
                    first, last = first - batch.num_rows, last - batch.num_rows
            except pyarrow.ArrowException as error:
                raise ValueError(f"{self.path}: {error}") from None

    def _groups(self, file: Any) -> tuple[list[int], int, int]:
        """Return which row groups hold the part, and where in these it begins and ends."""
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        if self.part is None:
            return [*range(len(sizes))], 0, sum(sizes)
        first, last = self.part[0] - 1, self.part[1]
        ends = [*accumulate(sizes)]
        groups = [i for i, end in enumerate(ends) if end > first and end - sizes[i] < last]
        before = ends[groups[0]] - sizes[groups[0]] if groups else 0
        return groups, first - before, last - before


def for_json(value: Any) -> Any:
    """Return a value as JSON has it: dates in ISO 8601, bytes in base 64, NaN null."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): for_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [for_json(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
