"""The commands about what a checkpoint holds: tokenize, convert, inspect, models."""

from __future__ import annotations

import argparse
import json


def tokenize(arguments: argparse.Namespace) -> None:
    from shutil import get_terminal_size

    from npbert.checkpoints.shipped import DEFAULTS
    from npbert.tokenizer.bert_tokenizer import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model or DEFAULTS["fill_mask"])
    explanation = tokenizer.explain(arguments.text, arguments.pair)
    if arguments.json:
        print(json.dumps(explanation.as_dict(), indent=2))
    else:
        print(explanation.render(get_terminal_size().columns))


def convert(arguments: argparse.Namespace) -> None:
    from npbert.commands.conversion import convert

    tensors = convert(arguments.source, arguments.target, arguments.dtype, arguments.force)
    size = sum(array.nbytes for array in tensors.values())
    print(f"{arguments.target}: {len(tensors)} tensors, {size / 1e6:.1f} MB")


def inspect(arguments: argparse.Namespace) -> None:
    from npbert.commands.inspection import inspect, render

    report = inspect(arguments.model, arguments.head)
    print(json.dumps(report, indent=2) if arguments.json else render(report))


def models(arguments: argparse.Namespace) -> None:
    from npbert.commands.catalogue import shipped_models
    from npbert.commands.tables import aligned

    found = shipped_models()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    rows = [("name", "family", "head", "parameters", "MB", "commands")]
    for model in found:
        size = f"{model['parameters']:,}", f"{model['megabytes']:.1f}"
        rows.append((model["name"], model["family"], model["head"], *size,
                     ", ".join(model["commands"])))  # fmt: skip
    for line in aligned(rows, right=(3, 4)):
        print(line)
