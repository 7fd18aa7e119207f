"""`npbert golden check`: hold a port's arrays against a golden kit."""

from __future__ import annotations

import argparse
import json
from typing import Any

from npbert.commands.parsing import add

NOT_RIGHT = 1  # the exit status where a tensor leaves its tolerance


def add_check(commands: Any) -> None:
    command = add(
        commands,
        "check",
        "golden_check.check",
        "check a port's arrays by a golden kit",
        "Compare the arrays that a port wrote with a golden kit, in computing order. Each gets\n"
        "two verdicts: against the kit, and against what npbert computes in that step from the\n"
        "port's own values before it. So a mistake is found where it is made; the classic ones\n"
        "are named.\n"
        "Names are CASE/NAME, or NAME for a kit of one case; any of them may be missing.\n"
        "The exit status is 0 where all is right, 1 where it is not, 2 for an error.",
        "  npbert golden check weights/golden/bert-model mine.safetensors",
    )
    command.add_argument("kit", metavar="KIT", help="the directory of a golden kit")
    command.add_argument("mine", metavar="MINE", help="a .safetensors file with a port's arrays")
    command.add_argument("--case", metavar="NAME", help="only this case; NAMEs may then be bare")
    command.add_argument(
        "--all", action="store_true", help="show every tensor, not only those around a mistake"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def check(arguments: argparse.Namespace) -> int:
    """Print the report of a check and return the exit status."""
    from npbert.golden import check_kit

    report = check_kit(arguments.kit, arguments.mine, arguments.case)
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print(report.render(arguments.all))
    return 0 if report.passed else NOT_RIGHT
