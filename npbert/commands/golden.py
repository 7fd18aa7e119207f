"""`npbert golden`: make golden kits, and check a port by one."""

from __future__ import annotations

import argparse
from typing import Any

from npbert.commands.golden_check import add_check
from npbert.commands.parsing import Parser, add


def add_golden(commands: Any) -> None:
    """Add the command with its own commands; each is a parser, with its function as `run`."""
    command: Parser = commands.add_parser(
        "golden",
        help="make golden kits, and check a port by one",
        description="Make golden kits, and check a port by one. A golden kit is a directory with\n"
        "a model, inputs, and the expected value of every step of a forward pass.",
        epilog="examples:\n  npbert golden make bert-tiny my-kit --cases short,padded_end\n"
        "  npbert golden check weights/golden/bert-model mine.safetensors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = command.add_subparsers(metavar="COMMAND", required=True)
    for add_one in (add_make, add_check):
        add_one(below)


def add_make(commands: Any) -> None:
    command = add(
        commands,
        "make",
        "golden.make",
        "make a golden kit of a checkpoint",
        "Run a checkpoint on a few inputs, and write every step of the forward pass with\n"
        "tolerances into a directory. Needs the reference library:\n"
        '  python -m pip install "npbert[reference]"',
        "  npbert golden make bert-tiny my-kit --cases short,padded_end",
    )
    command.add_argument("model", metavar="MODEL", help="a checkpoint: directory or shipped name")
    command.add_argument(
        "out", metavar="OUT", help="the directory to write; an older kit is replaced"
    )
    command.add_argument(
        "--inputs",
        metavar="FILE",
        help="run these inputs: .safetensors with CASE/input_ids and so on, or .json with "
        '{"CASE": {"input_ids": [[...]], ...}, ...}',
    )
    command.add_argument(
        "--cases",
        metavar="A,B",
        help="only these cases: of the file, or of single, short, full, padded_end, padded_front, "
        "wholly_padded, pair, batch, same_text_alone (ConvBERT); default: all of the file, or all "
        "but for full where a model has more than 64 positions",
    )


def make(arguments: argparse.Namespace) -> None:
    from npbert.golden import make_kit

    cases = None if arguments.cases is None else arguments.cases.split(",")
    kit = make_kit(arguments.model, arguments.out, cases, arguments.inputs)
    size = sum(file.stat().st_size for file in kit.directory.iterdir())
    named = ", ".join(kit.cases)
    print(f"{arguments.out}: {len(kit.tensors)} tensors, {size / 1e6:.1f} MB, cases {named}")
