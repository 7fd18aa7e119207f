"""`npbert exercises`: list the exercises of the book, and judge a file of answers."""

from __future__ import annotations

import argparse
from typing import Any

from npbert.commands.parsing import NOT_RIGHT, add, file_path
from npbert.terminal import counted


def add_exercises(commands: Any) -> None:
    """Add the command, which lists, with its own command, which judges."""
    command = add(
        commands,
        "exercises",
        "exercises.show",
        "list the exercises of the book, and judge answers",
        "List the exercises of the book by chapter: functions to fill in, each with\n"
        "its arguments and what it is to do. In a notebook,\n"
        '`exercises.check("NAME", function)` judges one.',
        "  npbert exercises\n  npbert exercises --stubs > answers.py\n"
        "  npbert exercises check answers.py",
    )
    command.add_argument(
        "--stubs",
        action="store_true",
        help="print Python in which the functions are to be filled in",
    )
    add_check(command.add_subparsers(metavar="COMMAND"))


def add_check(commands: Any) -> None:
    command = add(
        commands,
        "check",
        "exercises.check",
        "judge a file of answers",
        "Run a Python file, and judge every function in it that has the name of an exercise:\n"
        "on random inputs, against the solution. A likely mistake is named.\n"
        "The exit status is 0 where all of them are right, 1 where one is wrong or not done\n"
        "yet, 2 where nothing could be judged: a file that cannot be read or raises, or one\n"
        "without an exercise.",
        "  npbert exercises check answers.py",
    )
    command.add_argument("file", metavar="FILE", type=file_path, help="a Python file")
    command.add_argument(
        "--limit",
        metavar="SECONDS",
        type=seconds,
        default=10.0,
        help="the longest that one answer may take (default: 10)",
    )


def seconds(text: str) -> float:
    """Take a time: a positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, expected a positive number")
    return value


def show(arguments: argparse.Namespace) -> None:
    """Print all exercises, or Python to fill in."""
    from npbert.exercises import CHAPTERS, EXERCISES

    if arguments.stubs:
        imports = {line for exercise in EXERCISES.values() for line in exercise.imports()}
        print("\n".join(sorted(imports, key=lambda line: ("npbert" in line, line))))
        for exercise in EXERCISES.values():
            print(f"\n\n{exercise.stub()}")
        return
    for chapter, chosen in CHAPTERS.items():
        number, _, title = chapter.partition("_")
        print(f"{number} {title.replace('_', ' ')}")
        for exercise in chosen:
            print(f"  {exercise.signature}")
            print(f"      {exercise.statement}")
    print(f"{counted(len(EXERCISES), 'exercise')} in tutorials/")


def check(arguments: argparse.Namespace) -> int:
    """Print the verdict on every exercise in a file and return the exit status."""
    from npbert.exercises.answers import judge_file
    from npbert.exercises.judging import RIGHT

    number = right = 0
    for verdict in judge_file(arguments.file, arguments.limit):
        print(verdict, flush=True)
        number += 1
        right += verdict.status == RIGHT
    print(f"{right} of {counted(number, 'answer')} right")
    return 0 if right == number else NOT_RIGHT
