"""`npbert golden`: make golden kits, and check a port by one."""

from __future__ import annotations

import argparse
from typing import Any

from npbert.commands.golden_reports import add_demands, add_out, add_output, print_report
from npbert.commands.golden_tokenizer import add_check_tokenizer, add_make_tokenizer
from npbert.commands.parsing import add, file_path, path
from npbert.commands.places import add_model, find_model
from npbert.terminal import counted


def add_golden(commands: Any) -> None:
    """Add the command with its own commands; each is a parser, with its function as `run`."""
    command = add(
        commands,
        "golden",
        None,
        "make golden kits, and check a port by one",
        "Make golden kits, and check a port by one. A golden kit is a directory with\n"
        "a model, inputs, and the expected value of every step of a forward pass.",
        "  npbert golden make bert-tiny my-kit --cases short,padded_end\n"
        "  npbert golden check weights/golden/bert-model mine.safetensors",
    )
    below = command.add_subparsers(metavar="COMMAND", required=True)
    for add_one in (add_make, add_check, add_make_tokenizer, add_check_tokenizer):
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
    add_model(command, "model", "MODEL")
    add_out(command)
    command.add_argument(
        "--inputs",
        metavar="FILE",
        type=file_path,
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

    find_model(arguments)
    cases = None if arguments.cases is None else arguments.cases.split(",")
    kit = make_kit(arguments.model, arguments.out, cases, arguments.inputs)
    size = sum(file.stat().st_size for file in kit.directory.iterdir())
    named = ", ".join(kit.cases)
    tensors = counted(len(kit.tensors), "tensor")
    print(f"{arguments.out}: {tensors}, {size / 1e6:.1f} MB, cases {named}")


def add_check(commands: Any) -> None:
    command = add(
        commands,
        "check",
        "golden.check",
        "check a port's arrays by a golden kit",
        "Compare the arrays that a port wrote with a golden kit, in computing order. Each gets\n"
        "two verdicts: against the kit, and against what npbert computes in that step from the\n"
        "port's own values before it. So a mistake is found where it is made; the classic ones\n"
        "are named.\n"
        "Names are CASE/NAME, or NAME for a kit of one case; any of them may be missing.\n"
        "The exit status is 0 where all is right, 1 where something is wrong or required and\n"
        "missing, 2 where nothing could be judged: a file that cannot be read, a damaged kit,\n"
        "no name that the kit knows.",
        "  npbert golden check weights/golden/bert-model mine.safetensors\n"
        "  npbert golden check weights/golden/bert-model mine.npz --require 'short/*' --missing",
    )
    command.add_argument("kit", metavar="KIT", type=path, help="the directory of a golden kit")
    command.add_argument(
        "mine",
        metavar="MINE",
        type=path,
        help="a port's arrays: a .safetensors or .npz file, or a folder of CASE/NAME.npy files",
    )
    command.add_argument("--case", metavar="NAME", help="only this case; NAMEs may then be bare")
    command.add_argument(
        "--all", action="store_true", help="show every tensor, not only those around a mistake"
    )
    add_demands(command, "tensors", ", in any case: 'encoder.layer.*', 'short/*'")
    command.add_argument(
        "--precision",
        choices=("float16", "bfloat16"),
        help="what the port computed in, where it wrote something wider (default: found by the "
        "dtype, or by the numbers, of what it wrote)",
    )
    command.add_argument(
        "--missing", action="store_true", help="list the names that were not given, case by case"
    )
    command.add_argument(
        "--html",
        metavar="FILE",
        type=file_path,
        help="write a page with your values and their differences beside npbert's, step by step, "
        "of --case, or of the largest case in which the first wrong step is wrong",
    )
    add_output(command)


def check(arguments: argparse.Namespace) -> int:
    """Print the report of a check and return the exit status."""
    from npbert.checkpoints.writing import atomic_write, output_file
    from npbert.golden import check_kit, report_page

    if arguments.html is not None:
        output_file(arguments.html)  # what is wrong with it is said before any work
    report = check_kit(
        arguments.kit,
        arguments.mine,
        arguments.case,
        arguments.strict,
        arguments.require,
        arguments.precision,
    )
    if arguments.html is not None:
        page = report_page(report).encode("utf-8")
        with atomic_write(arguments.html) as file:
            file.write(page)
    return print_report(arguments, report)
