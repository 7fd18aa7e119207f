"""What the checks by golden kits share: what may be demanded, and how a report is printed."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from npbert.commands.parsing import NOT_RIGHT, Parser, add_json, path

if TYPE_CHECKING:
    from npbert.golden import Report
    from npbert.golden.wordpiece.report import TokenizerReport


def add_out(command: Parser) -> None:
    """Add the directory that a new kit goes to."""
    command.add_argument(
        "out", metavar="OUT", type=path, help="the directory to write; an older kit is replaced"
    )


def add_demands(command: Parser, what: str, where: str) -> None:
    """Add what a check may demand beyond right values.

    what: the plural of what a kit holds. where: the end of the help of --require, with examples.
    """
    command.add_argument(
        "--strict",
        action="store_true",
        help=f"fail as well for {what} that were not given, and for names that the kit lacks",
    )
    command.add_argument(
        "--require",
        metavar="PATTERN",
        action="append",
        default=[],
        help=f"fail where {what} with such names were not given{where}; may be repeated",
    )


def add_output(command: Parser) -> None:
    """Add how the report is printed."""
    output = command.add_mutually_exclusive_group()
    add_json(output)
    output.add_argument(
        "--github", action="store_true", help="print annotations for a workflow of GitHub as well"
    )


def print_report(arguments: argparse.Namespace, report: Report | TokenizerReport) -> int:
    """Print a report as the options say, and return the exit status of the check."""
    not_given = report.not_given() if arguments.missing else {}
    if arguments.json:
        values = report.as_dict()
        print(json.dumps({**values, "not_given": not_given} if not_given else values, indent=2))
    else:
        print(report.render(arguments.all))
        lists = not_given if isinstance(not_given, dict) else {"": not_given}
        for case, names in lists.items():
            where = f" in case {case}" if case else ""
            print(f"Not given{where}:", *(names or ["nothing"]), sep="\n  ")
    if arguments.github:
        print(*report.annotations(), sep="\n")
    return 0 if report.passed else NOT_RIGHT
