"""Tables: the columns of an input, and beside them those of the results, as .txt, .csv or .parquet.

Results are first lines of JSON, one by one, in a file beside the output, so that nothing of them is
lost whatever ends a run. When the last one is there, the input is read once more, and the table is
written from both, whole or not at all. A row's texts are compared with what was answered.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from npbert.checkpoints.writing import atomic_write
from npbert.corpus.answers import answered, row_line
from npbert.corpus.columns import ERROR, Kind, result_columns, result_kinds
from npbert.corpus.formats import CSV, PARQUET, format_of
from npbert.corpus.jobs import Job
from npbert.corpus.lines import Line, TextLines
from npbert.corpus.records import Records, for_json

Source = TextLines | Records
SOME = 5000  # rows that are in memory at once, and in a row group of a Parquet file


def write_part(job: Job, source: Source, kinds: dict[str, Kind], path: str) -> None:
    """Answer the rows of an input, a few, and write a Parquet file of them where there is none.

    Dask does again what a worker that died had finished, too.
    """
    if os.path.exists(path):
        return
    lines = (
        line for batch in source.rows(whole=False) for line in answered(job, [*filter(None, batch)])
    )
    journal = (row_line(*line).encode() for line in lines)
    with atomic_write(path) as file:
        _write_parquet(
            file, _chunks(job, source, journal), kinds, result_kinds(job) | {ERROR: "string"}
        )


def write_table(job: Job, source: Source, kinds: dict[str, Kind], journal: str, path: str) -> None:
    """Write the table of an input and of the lines of JSON that answer it.

    kinds: those of the input's columns. Raises ValueError where the two do not belong together.
    """
    write = {CSV: _write_csv, PARQUET: _write_parquet}.get(format_of(path), _write_text)
    with atomic_write(path) as file, open(journal, "rb") as answered:
        write(file, _chunks(job, source, answered), kinds, result_kinds(job) | {ERROR: "string"})


Columns = dict[str, list[Any]]
Found = Iterator[tuple[Any, Columns]]  # columns of some rows, and the columns of their results


def _chunks(job: Job, source: Source, journal: Iterator[bytes]) -> Found:
    names = [*result_kinds(job), ERROR]
    for lines, rows in source.chunks(SOME):
        columns: Columns = {name: [] for name in names}
        for line in lines:
            found = json.loads(next(journal, b"null"))
            if not is_answer(source.asked(line), found):
                where = f"{source.unit} {line.number} of {source.name}"
                raise ValueError(f"{where} is not what was answered: the file has changed")
            values = {} if ERROR in found else result_columns(job, found["result"])
            for name in names:
                columns[name].append(found.get(ERROR) if name == ERROR else values.get(name))
        yield rows, columns
    if next(journal, b""):
        raise ValueError(f"{source.name} has fewer rows than were answered: it has changed")


def is_answer(line: Line, found: Any) -> bool:
    """Return whether a line of JSON, as it was read, is what was written for this row."""
    if not isinstance(found, dict):
        return False
    place = {"line": line.number, "text": line.text}  # of what could not be read as a row
    if found.keys() == {*place, ERROR} and place.items() <= found.items():
        return True
    return {name: found[name] for name in found if name not in ("result", ERROR)} == line.shown


# ---- text: one result a line ---------------------------------------------------------------


def _write_text(file: BinaryIO, chunks: Found, kinds: dict[str, Kind], results: Any) -> None:
    """Write the first column of the results alone; of a row with an error an empty line."""
    name = next(iter(results))
    for _, columns in chunks:
        file.write("".join(f"{_on_one_line(value)}\n" for value in columns[name]).encode())


def _on_one_line(value: Any) -> str:
    if value is None or isinstance(value, str):
        return " ".join((value or "").splitlines())
    if isinstance(value, list) and not any(isinstance(each, (list, dict, str)) for each in value):
        return " ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


# ---- .csv ----------------------------------------------------------------------------------


def _write_csv(file: BinaryIO, chunks: Found, kinds: dict[str, Kind], results: Any) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*kinds, *results])
    for rows, columns in chunks:
        found = zip(*columns.values())
        for row, values in zip(_as_dicts(rows), found):
            writer.writerow([_cell(each) for each in (*map(row.get, kinds), *values)])
        file.write(text.getvalue().encode())
        text.seek(text.truncate(0))


def _cell(value: Any) -> Any:
    """Return what a cell holds: a text or number as it is, null empty, all else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _as_dicts(rows: Any) -> list[dict[str, Any]]:
    if isinstance(rows, list):
        return rows
    return [{name: for_json(row[name]) for name in row} for row in rows.to_pylist()]


# ---- .parquet ------------------------------------------------------------------------------


def _write_parquet(file: BinaryIO, chunks: Found, kinds: dict[str, Kind], results: Any) -> None:
    import pyarrow
    from pyarrow import parquet

    kept = [
        kind if isinstance(kind, pyarrow.Field) else pyarrow.field(name, arrow_type(kind))
        for name, kind in kinds.items()
    ]
    added = [pyarrow.field(name, arrow_type(kind)) for name, kind in results.items()]
    schema = pyarrow.schema([*kept, *added])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows, columns in chunks:
            if isinstance(rows, list):
                arrays = [
                    pyarrow.array([fitting(row.get(f.name), kinds[f.name]) for row in rows], f.type)
                    for f in kept
                ]
            else:
                arrays = [*rows.columns]
            arrays += [pyarrow.array(columns[field.name], field.type) for field in added]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))


def arrow_type(kind: Kind) -> Any:
    """Return the type that a column of a kind has in a Parquet file."""
    import pyarrow

    if isinstance(kind, list):
        return pyarrow.list_(arrow_type(kind[0]))
    if isinstance(kind, dict):
        return pyarrow.struct([(name, arrow_type(each)) for name, each in kind.items()])
    types = {"boolean": "bool", "integer": "int64", "json": "string", "double": "float64"}
    return pyarrow.type_for_alias(types.get(kind, "float32" if kind == "number" else kind))


def fitting(value: Any, kind: Kind) -> Any:
    """Return a value of an input as a column of a kind has it: as JSON what is of another one."""
    if value is None or kind not in ("string", "json", ["string"]):
        return value
    if isinstance(kind, list):
        return (
            [fitting(each, "string") for each in value if each] if isinstance(value, list) else None
        )
    return value if isinstance(value, str) and kind == "string" else json.dumps(value)
