"""A corpus on many machines: a task over the partitions of a file, by Dask (extra `dask`).

Every worker reads its partitions of the input itself and writes a Parquet file for each, so both
have to lie where all machines see them under one path. A file is there whole or not at all: what a
worker that died had not written is done again by another, and `resume` does what is missing.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from npbert.checkpoints.hub_cache import hub_name, snapshot_of
from npbert.checkpoints.shipped import HubOptions, checkpoint_directory, hub_options
from npbert.checkpoints.writing import atomic_write, output_directory
from npbert.corpus.columns import check_names, result_kinds
from npbert.corpus.formats import CSV, JSON_LINES, PARQUET, TEXT, format_of, import_pyarrow
from npbert.corpus.jobs import FUNCTIONS, Job, fields_of, parts_of
from npbert.corpus.lines import spans
from npbert.corpus.records import open_source
from npbert.corpus.tables import Source, write_part

PARTITION = 1000  # rows of the input in a file of the output
ABOUT = "_npbert.json"  # what was asked, so that no other run goes on with it
SUCCESS = "_SUCCESS"  # an empty file, as of Hadoop and Spark: all others are there
MEANS = ("cache_dir", "token", "local_files_only")  # how a model is had: not what is asked
RETRIES = 3  # of a partition whose worker raises an error; Dask itself counts those that die


class Report(NamedTuple):
    """What a run has done, those before it that it resumed included."""

    partitions: int
    rows: int
    errors: int  # of the rows


def run(
    task: str,
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    client: Any,
    *,
    model: str | os.PathLike[str] | None = None,
    text_column: str | None = None,
    pair_column: str | None = None,
    partition_rows: int = PARTITION,
    resume: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Report:
    """Answer every row of a file on a cluster, and write a directory with a file a partition.

    task: a command, "embed", or its function, "feature_extraction".
    input: a .parquet, .jsonl or .txt. output: a directory, which is made. It gets
        part-00000.parquet, ..., whose columns are those of `npbert embed --output FILE.parquet`, in
        the order of the input, and at last `_SUCCESS`.
    client: a distributed.Client.
    model: a directory or a shipped name, that all workers have, or a name on the Hub, which each
        finds in its own cache or fetches: the commit that it stands for here. None means the one
        that ships.
    text_column, pair_column: the columns of the texts, as of the command.
    partition_rows: how many rows of the input a partition has.
    resume: go on with an output of the same run: partitions that are there are not done again.
    progress: show a bar; None: after a second, where standard error is a terminal.
    options: of the task (pooling="mean", top_k=3), by default those of the command, and of the Hub
        (revision, cache_dir, token, local_files_only).

    A row that cannot be answered has its error in the column `error`. Raises ValueError for what
    does not fit before anything is done; ChildProcessError where a partition ends every worker that
    tries it.
    """
    from npbert.terminal import progress as bar

    import_distributed()
    from distributed import Client

    if not isinstance(client, Client):
        raise TypeError(f"client is {client!r}, expected a Client of distributed")
    job = _job(task, model, options, pair_column)
    source = _source(job, os.path.abspath(input), text_column, pair_column)
    import_pyarrow(source.name)
    if not isinstance(partition_rows, int) or partition_rows < 1:
        raise ValueError(f"partition_rows is {partition_rows!r}, expected a number of at least 1")
    kinds = source.kinds()
    check_names([*kinds], [*result_kinds(job)], source.name)
    job.answer([])  # what is wrong with an option or the model is said here, and not by a worker
    folder = Path(os.path.abspath(output_directory(output)))
    parts = [*partitions(source, partition_rows)]
    _begin(folder, _about(job, source, partition_rows), resume)
    paths = [folder / f"part-{number:05}.parquet" for number in range(len(parts))]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if missing:
        (folder / SUCCESS).unlink(missing_ok=True)
    waiting = {
        client.submit(
            write_part, job, parts[number], kinds, str(paths[number]), retries=RETRIES, pure=False
        ): number
        for number in missing
    }
    try:
        for future in bar(_completed([*waiting], client), len(missing), "partitions", progress):
            _check(future, waiting[future], paths)
    finally:
        client.cancel([*waiting])
    report = _report(paths)
    with atomic_write(folder / SUCCESS):
        pass
    return report


def import_distributed() -> None:
    """Raise ImportError, in words, where there is no Dask."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"a cluster needs Dask (python -m pip install 'npbert[dask]'): {error}"
        ) from None


def partitions(source: Source, size: int) -> Iterator[Source]:
    """Yield the parts of an input that have so many rows (of a file of lines, with blank ones)."""
    if format_of(source.path) == PARQUET:
        count = source.count()
        for first in range(1, count + 1, size):
            part: Any = copy.copy(source)
            part.part = first, min(first + size - 1, count)
            yield part
        return
    for span in spans(source.path, size):
        part = copy.copy(source)
        part.span = span
        yield part


# ---- what is wrong before anything is done -------------------------------------------------


def _job(task: str, model: Any, options: dict[str, Any], pair_column: str | None) -> Job:
    from npbert.tasks.loading import TASKS

    found = [each.command for each in TASKS if task in (each.command, each.name)]
    if not found or found[0] not in FUNCTIONS:
        raise ValueError(f"there is no task {task!r}, expected one of {', '.join(FUNCTIONS)}")
    if model is not None:
        model, revision = _place(model, parts_of(found[0]), hub_options({**options}))
        options = {**options, **revision}
    return Job(found[0], model, options)


def _place(model: Any, parts: Any, hub: HubOptions) -> tuple[str, dict[str, str]]:
    """Return what a checkpoint is called on all machines, and its commit if it is of the Hub.

    A branch may move while workers fetch it.
    """
    directory = checkpoint_directory(model, parts, **hub)
    if os.path.isdir(model):
        return os.path.abspath(model), {}
    name, snapshot = hub_name(directory), snapshot_of(directory)
    return (name, {"revision": snapshot.name}) if name and snapshot else (os.fspath(model), {})


def _source(job: Job, path: str, text_column: str | None, pair_column: str | None) -> Source:
    form = format_of(path)
    if form not in (TEXT, JSON_LINES, PARQUET):
        what = "cannot be read in parts" if form == CSV else "has no ending"
        raise ValueError(f"{path} {what}, expected .parquet, .jsonl or .txt")
    if form == TEXT and (text_column or pair_column):
        raise ValueError(f"{path} has no columns: text_column and pair_column are for others")
    fields = fields_of(job.command, pair_column is not None)
    return open_source(path, fields, text_column, pair_column)


def _about(job: Job, source: Source, partition_rows: int) -> dict[str, Any]:
    """Return what makes two runs the same: what is asked, and of which file."""
    status = os.stat(source.path)
    return {
        "task": job.command,
        "model": job.model,
        "options": {n: repr(value) for n, value in sorted(job.options.items()) if n not in MEANS},
        "input": source.path,
        "bytes": status.st_size,
        "changed": status.st_mtime_ns,
        "columns": getattr(source, "columns", None),
        "partition_rows": partition_rows,
    }


def _begin(folder: Path, about: dict[str, Any], resume: bool) -> None:
    """Make a directory, or raise a ValueError for one that holds anything but what is resumed."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / ABOUT
    if any(not path.name.startswith(".npbert-") for path in folder.iterdir()):
        if not known.exists():
            raise ValueError(f"{folder} is not empty, and not the output of an earlier run")
        if not resume:
            raise ValueError(f"{folder} is not empty; resume (--resume) does what is missing there")
        before = json.loads(known.read_text("utf-8"))
        for name, value in about.items():
            if before.get(name) != value:
                raise ValueError(
                    f"{folder} is the output of another run: {name} was {before.get(name)!r}, and "
                    f"is {value!r}"
                )
        return
    with atomic_write(known) as file:
        file.write(json.dumps(about, indent=2).encode())


# ---- the cluster ---------------------------------------------------------------------------


def _completed(futures: list[Any], client: Any) -> Iterator[Any]:
    from distributed import as_completed

    yield from as_completed(futures, loop=client.loop)


def _check(future: Any, number: int, paths: list[Path]) -> None:
    error = future.exception()
    if error is None:
        return
    if type(error).__name__ == "KilledWorker":
        raise ChildProcessError(
            f"partition {number} ended every worker that tried it: is there too little memory? "
            f"A smaller partition_rows needs less ({error})"
        ) from error
    raise error


def _report(paths: list[Path]) -> Report:
    """Count what is in the files: a row without an error has null in the last column."""
    from pyarrow import parquet

    rows = errors = 0
    for path in paths:
        about = parquet.read_metadata(path)
        rows += about.num_rows
        for group in range(about.num_row_groups):
            found = about.row_group(group).column(about.num_columns - 1).statistics
            errors += found.num_values  # those that are not null
    return Report(len(paths), rows, errors)
