"""`npbert golden check-tokenizer` and `make-tokenizer`: a port's tokenizer, and its kit."""

from __future__ import annotations

import argparse
from typing import Any

from npbert.commands.golden_reports import add_demands, add_out, add_output, print_report
from npbert.commands.parsing import add, file_path, path


def add_make_tokenizer(commands: Any) -> None:
    command = add(
        commands,
        "make-tokenizer",
        "golden_tokenizer.make_tokenizer",
        "make a golden kit of the tokenizer",
        "Tokenize texts in many scripts, with all traps, and write what every stage gives into a\n"
        "directory.",
        "  npbert golden make-tokenizer my-kit --vocabulary path/to/vocab.txt",
    )
    add_out(command)
    command.add_argument(
        "--vocabulary",
        metavar="FILE",
        type=file_path,
        help="a vocab.txt (default: one made of the texts, in which ids show every mistake)",
    )


def make_tokenizer(arguments: argparse.Namespace) -> None:
    from npbert.golden.wordpiece.kit import TokenizerKit
    from npbert.golden.wordpiece.making import make_tokenizer_kit

    directory = make_tokenizer_kit(arguments.out, arguments.vocabulary)
    kit = TokenizerKit.read(directory)
    size = sum(file.stat().st_size for file in directory.iterdir())
    tokens = len(kit.vocabulary)
    print(f"{arguments.out}: {len(kit.cases)} cases, {tokens} tokens, {size / 1e3:.0f} kB")


def add_check_tokenizer(commands: Any) -> None:
    command = add(
        commands,
        "check-tokenizer",
        "golden_tokenizer.check_tokenizer",
        "check a port's tokenizer by a golden kit",
        "Compare what a port's tokenizer gives with a golden kit: ids, and whatever else of the\n"
        "stages and offsets it gives. The first stage that differs is named, and the mistake,\n"
        "where it is a known one.\n"
        'A line of MINE is {"name": "uncased/greek", "ids": [...], ...}, for a line of the kit\'s\n'
        "inputs.jsonl; any of them may be missing, and any field.\n"
        "The exit status is 0 where all is right, 1 where something is wrong or required and\n"
        "missing, 2 where nothing could be judged: a file that cannot be read, a damaged kit,\n"
        "no name that the kit knows.",
        "  npbert golden check-tokenizer weights/golden/wordpiece mine.jsonl --settings uncased",
    )
    command.add_argument(
        "kit", metavar="KIT", type=path, help="the directory of a golden kit of the tokenizer"
    )
    command.add_argument(
        "mine", metavar="MINE", type=file_path, help="what a port gives, in JSON lines"
    )
    command.add_argument(
        "--settings", metavar="NAME", help="only cases in these settings: uncased, cased, accents"
    )
    command.add_argument("--all", action="store_true", help="list every case that is wrong")
    add_demands(command, "cases", ": 'uncased/*'")
    command.add_argument(
        "--missing", action="store_true", help="list the cases that were not given"
    )
    add_output(command)


def check_tokenizer(arguments: argparse.Namespace) -> int:
    """Print the report of a check and return the exit status."""
    from npbert.golden.wordpiece import checking

    report = checking.check_tokenizer(
        arguments.kit, arguments.mine, arguments.settings, arguments.strict, arguments.require
    )
    return print_report(arguments, report)
