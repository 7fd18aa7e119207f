"""What the parsers of all commands share: errors of one line, paths, a function that runs later."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

WRONG_INPUT = 2  # the exit status of every error
NOT_RIGHT = 1  # that of a check which finds something wrong


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and say what may have been meant."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser: Parser = getattr(arguments, "parser", self)
            meant = did_you_mean(unknown[0].partition("=")[0], parser._option_string_actions)
            parser.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return arguments

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [*action.choices]
            meant = did_you_mean(value, names) or f", expected one of {', '.join(names)}"
            raise argparse.ArgumentError(action, f"there is no {value!r}{meant}")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return "; did you mean A?" where one of the known names is like the given one, else ""."""
    from difflib import get_close_matches

    found = get_close_matches(given, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def path(text: str) -> str:
    """Take the path of a directory, or of what may be one: any but an empty one."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty (a variable that is not set?)")
    return text


def file_path(text: str) -> str:
    """Take the path of a file, or "-": a path that ends in a slash is that of a directory."""
    if path(text).endswith(tuple(filter(None, (os.sep, os.altsep)))):
        raise argparse.ArgumentTypeError(f"{text} is a directory, expected the name of a file")
    return text


def count(text: str) -> int:
    """Take a number of something: 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1")
    return int(text)


def add(
    commands: Any,
    name: str,
    run: str | None,
    help: str,
    description: str,
    example: str,
) -> Parser:
    """Add a command; `run` names its function, "module.function" in npbert.commands.

    It is None where one of the commands below runs. The examples are shown as they are typed, each
    on a line of its own.
    """
    title = "examples" if "\n" in example else "example"
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"{title}:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run and later(run), parser=command)
    return command


def add_json(command: Any) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def later(name: str) -> Callable[[argparse.Namespace], int | None]:
    """Return a function that imports the one of this name when it is called, and calls it.

    It returns the exit status, or None for 0.
    """

    def run(arguments: argparse.Namespace) -> int | None:
        import importlib

        module, function = name.split(".")
        return getattr(importlib.import_module(f"npbert.commands.{module}"), function)(arguments)

    return run
