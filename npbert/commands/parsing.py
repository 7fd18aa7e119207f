"""What the parsers of all commands share: errors of one line, and a function that runs later."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

WRONG_INPUT = 2  # the exit status of every error


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def add(
    commands: Any,
    name: str,
    run: str,
    help: str,
    description: str,
    example: str,
) -> Parser:
    """Add a command; `run` names its function, "module.function" in npbert.commands.

    The examples are shown as they are typed, each on a line of its own.
    """
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=later(run), parser=command)
    return command


def later(name: str) -> Callable[[argparse.Namespace], int | None]:
    """Return a function that imports the one of this name when it is called, and calls it.

    It returns the exit status, or None for 0.
    """

    def run(arguments: argparse.Namespace) -> int | None:
        import importlib

        module, function = name.split(".")
        return getattr(importlib.import_module(f"npbert.commands.{module}"), function)(arguments)

    return run
