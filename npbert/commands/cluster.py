"""`--scheduler`: the rows of --input on a Dask cluster, into a directory of Parquet files."""

from __future__ import annotations

import argparse

from npbert.commands.answering import SOME_WRONG
from npbert.commands.places import given_options
from npbert.commands.writing import note
from npbert.corpus.jobs import Job
from npbert.terminal import counted

PATIENCE = 10  # seconds to wait for the scheduler


def answer_on_cluster(arguments: argparse.Namespace, job: Job) -> int:
    """Answer every row of a file on a cluster, and return the exit status.

    arguments: scheduler, input, output, text_column, pair_column, resume, the options of the Hub.
    """
    for name in ("force", "strict", "workers"):
        if getattr(arguments, name) not in (False, 1):
            arguments.parser.error(f"--{name} does not go with --scheduler")
    if arguments.output is None:
        arguments.parser.error("--scheduler needs --output, a directory")
    hub = given_options(arguments)
    from npbert import distributed

    distributed.import_distributed()
    from distributed import Client
    from distributed.comm import resolve_address

    try:  # a Client that cannot be made waits for itself to end, and says so at length
        address = resolve_address(arguments.scheduler)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"--scheduler is {arguments.scheduler!r}, expected an address as tcp://host:8786 "
            f"({error})"
        ) from None
    pair = getattr(arguments, "pair_column", None)
    if pair is None and getattr(arguments, "pairs", False):
        pair = "text_pair"
    with Client(address, timeout=PATIENCE, set_as_default=False) as client:
        if not client.scheduler_info()["workers"]:  # some clusters start them for what there is
            note(f"{address} has no worker yet: waiting for one")
        report = distributed.run(
            job.command,
            arguments.input,
            arguments.output,
            client,
            model=job.model,
            text_column=arguments.text_column,
            pair_column=pair,
            resume=arguments.resume,
            **job.options,
            **hub,
        )
    if report.errors:
        rows = counted(report.errors, "row")
        note(f'{arguments.output}: {rows} could not be answered; see the column "error"')
    return SOME_WRONG if report.errors else 0
