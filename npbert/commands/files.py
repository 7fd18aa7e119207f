"""The commands about a checkpoint's files: tokenize, convert, inspect, models, trace."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def tokenize(arguments: argparse.Namespace) -> None:
    from shutil import get_terminal_size

    from npbert.tasks.loading import FILL_MASK
    from npbert.tokenizer.bert_tokenizer import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model or FILL_MASK.default)
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


def shipped_models() -> list[dict[str, Any]]:
    """Return what ships: name, family, head, parameters, megabytes on disk, commands, directory.

    The commands are those that the head can do, first those that use this checkpoint when none is
    named.
    """
    from npbert.checkpoints.shipped import shipped_checkpoints

    return [_describe(name, directory) for name, directory in shipped_checkpoints().items()]


def _describe(name: str, directory: Path) -> dict[str, Any]:
    from npbert.checkpoints.directory import weights_file
    from npbert.commands.inspection import inspect
    from npbert.tasks.loading import RESTORE, TASKS
    from npbert.tasks.restoration import LABELS

    report = inspect(directory)
    config = report["config"]
    class_name = str(report["class"])
    family, _, head = class_name.partition("For")
    tasks = [task for task in TASKS if class_name.endswith(task.heads)]
    if not {*(config.get("id2label") or {"": ""}).values()} <= {*LABELS}:
        tasks = [task for task in tasks if task is not RESTORE]
    tasks.sort(key=lambda task: task.default != name)
    return {
        "name": name,
        "family": family.removesuffix("Model"),
        "head": f"For{head}" if head else "Model",
        "parameters": report["parameters"],
        "megabytes": round(weights_file(directory).stat().st_size / 1e6, 2),
        "commands": [task.command for task in tasks],
        "directory": str(directory),
    }


def trace(arguments: argparse.Namespace) -> None:
    from npbert.checkpoints.writing import atomic_write, output_file
    from npbert.tracing.page import make_page

    model = arguments.model
    output = arguments.output
    if output is None:
        output = f"{Path(model).resolve().name}-trace.html"
    output_file(output)  # what is wrong with it is said before any work
    texts = [arguments.text, *arguments.more]
    page = make_page(model, texts, arguments.head, arguments.truncation).encode("utf-8")
    with atomic_write(output) as file:
        file.write(page)
    print(f"{output}: {len(page) / 1e6:.1f} MB")
