"""The command line: `npbert COMMAND ...`, or `python -m npbert COMMAND ...`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from typing import Any, NoReturn

WRONG_INPUT = 2  # the exit status of every error


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = make_parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.showwarning = _show_warning
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"npbert: error: {_one_line(error)}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return 130
    return 0


def make_parser() -> Parser:
    """Return the parser of all commands; a command's function is its default `run`."""
    from npbert import __version__

    parser = Parser(prog="npbert", description="Efficient BERTs in plain NumPy.")
    parser.add_argument("--version", action="version", version=f"npbert {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser(
        "fill-mask",
        help="say which words fill the [MASK] in a text",
        description="Say which words best fill the [MASK] in a text, with their probabilities.",
        epilog='example: npbert fill-mask "The capital of France is [MASK]." --top-k 3',
    )
    command.add_argument("text", metavar="TEXT", help="a text with one [MASK] or more")
    command.add_argument("--model", metavar="DIR", help="a checkpoint: directory or shipped name")
    command.add_argument("--top-k", type=int, default=5, metavar="N", help="candidates (default 5)")
    command.add_argument("--targets", metavar="A,B", help="consider only these word pieces")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_fill_mask)

    command = commands.add_parser(
        "tokenize",
        help="show stage by stage how a text becomes tokens",
        description="Show what each stage of the tokenizer makes of a text or a pair, the tokens "
        "with their ids, and the characters that each token stands for.",
        epilog='example: npbert tokenize "The unaffable man, 東京!" --model convbert-tiny',
    )
    command.add_argument("text", metavar="TEXT", help="a text; [MASK] and its like may be in it")
    command.add_argument("pair", metavar="PAIR", nargs="?", help="a second text")
    command.add_argument("--model", metavar="DIR", help="a checkpoint: directory or shipped name")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_tokenize)

    command = commands.add_parser(
        "convert",
        help="rewrite a checkpoint of any readable format as safetensors",
        description="Write a checkpoint into a new directory as safetensors, with its config.json "
        "and tokenizer files; every tensor is kept, tied ones once.",
        epilog="example: npbert convert old-model new-model --dtype float32",
    )
    command.add_argument("source", metavar="SRC", help="a checkpoint: directory or shipped name")
    command.add_argument("target", metavar="DST", help="the directory to write, made if missing")
    command.add_argument("--dtype", help="float16, float32 or float64 (default: as it is)")
    command.add_argument("--force", action="store_true", help="write into a directory in use")
    command.set_defaults(run=run_convert)

    command = commands.add_parser(
        "inspect",
        help="show what a checkpoint holds, and what it lacks for a head",
        description="Show a checkpoint's config, parameters by module, tensors as they are stored, "
        "and what is missing or unexpected for a model class.",
        epilog="example: npbert inspect convbert-tiny --head ForMaskedLM",
    )
    command.add_argument("model", metavar="DIR", help="a checkpoint: directory or shipped name")
    command.add_argument("--head", help="Model, ForMaskedLM, ... (default: what the config says)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_inspect)
    return parser


def run_fill_mask(arguments: argparse.Namespace) -> None:
    # For one text, importing numba would take longer than all of the work in plain NumPy.
    os.environ.setdefault("NPBERT_BACKEND", "numpy")
    from npbert.tasks import fill_mask

    targets = arguments.targets.split(",") if arguments.targets is not None else None
    result = fill_mask(arguments.text, arguments.model, arguments.top_k, targets)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    masks = result if isinstance(result[0], list) else [result]
    for number, candidates in enumerate(masks, 1):
        if len(masks) > 1:
            print(f"[MASK] {number} of {len(masks)}")
        width = max(len(candidate["token_str"]) for candidate in candidates)
        for candidate in candidates:
            share, piece = candidate["score"], candidate["token_str"]
            print(f"{share:7.2%}  {piece:{width}}  {candidate['sequence']}")


def run_tokenize(arguments: argparse.Namespace) -> None:
    from shutil import get_terminal_size

    from npbert.tokenizer import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model or "convbert-tiny")
    explanation = tokenizer.explain(arguments.text, arguments.pair)
    if arguments.json:
        print(json.dumps(explanation.as_dict(), indent=2))
    else:
        print(explanation.render(get_terminal_size().columns))


def run_convert(arguments: argparse.Namespace) -> None:
    from npbert.conversion import convert

    tensors = convert(arguments.source, arguments.target, arguments.dtype, arguments.force)
    size = sum(array.nbytes for array in tensors.values())
    print(f"{arguments.target}: {len(tensors)} tensors, {size / 1e6:.1f} MB")


def run_inspect(arguments: argparse.Namespace) -> None:
    from npbert.inspection import inspect, render

    report = inspect(arguments.model, arguments.head)
    print(json.dumps(report, indent=2) if arguments.json else render(report))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"npbert: warning: {_one_line(message)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
