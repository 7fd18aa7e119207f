"""The commands about a checkpoint's files: tokenize, convert, inspect, models, trace."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from npbert.commands.places import find_model


def tokenize(arguments: argparse.Namespace) -> None:
    from shutil import get_terminal_size

    from npbert.checkpoints.hub_files import TOKENIZER
    from npbert.tasks.loading import FILL_MASK
    from npbert.tokenizer.bert_tokenizer import AutoTokenizer

    find_model(arguments, parts=(TOKENIZER,))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model or FILL_MASK.default)
    explanation = tokenizer.explain(arguments.text, arguments.pair)
    if arguments.json:
        print(json.dumps(explanation.as_dict(), indent=2))
    else:
        print(explanation.render(get_terminal_size().columns))


def convert(arguments: argparse.Namespace) -> None:
    from npbert.commands.conversion import convert

    find_model(arguments, "source")
    tensors = convert(arguments.source, arguments.target, arguments.dtype, arguments.force)
    size = sum(array.nbytes for array in tensors.values())
    print(f"{arguments.target}: {len(tensors)} tensors, {size / 1e6:.1f} MB")


def inspect(arguments: argparse.Namespace) -> None:
    from npbert.checkpoints.hub_files import MODEL
    from npbert.commands.inspection import inspect, render

    find_model(arguments, parts=MODEL)
    report = inspect(arguments.model, arguments.head)
    print(json.dumps(report, indent=2) if arguments.json else render(report))


def models(arguments: argparse.Namespace) -> None:
    from npbert.commands.tables import aligned

    if arguments.cache_dir and not arguments.cached:
        arguments.parser.error("--cache-dir needs --cached")
    found = cached_models(arguments.cache_dir) if arguments.cached else shipped_models()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        print("no checkpoint of the four families is in the cache of the Hub")
        return
    rows = [("name", "family", "head", "parameters", "MB", "commands")]
    for model in found:
        name = "@".join(filter(None, (model["name"], model.get("revision"))))
        size = f"{model['parameters']:,}", f"{model['megabytes']:.1f}"
        use = model.get("lacks") or ", ".join(model["commands"])
        rows.append((name, model["family"], model["head"], *size, use))
    for line in aligned(rows, right=(3, 4)):
        print(line)


def shipped_models() -> list[dict[str, Any]]:
    """Return what ships: name, family, head, parameters, megabytes on disk, commands, directory.

    The commands are those that the head can do, first those that use this checkpoint when none is
    named.
    """
    from npbert.checkpoints.shipped import shipped_checkpoints

    return [_describe(name, directory) for name, directory in shipped_checkpoints().items()]


def cached_models(cache_dir: str | None = None) -> list[dict[str, Any]]:
    """Return what is in the cache of the Hub of the four families, as `shipped_models` does.

    Besides, revision is the name of a branch or tag, or the commit itself, and lacks is "" or says
    what is missing for the tasks.
    """
    from npbert.checkpoints.hub_cache import cached_snapshots
    from npbert.checkpoints.hub_files import WHOLE, lacking
    from npbert.checkpoints.sentence_files import body_folder

    found = []
    for cached in cached_snapshots(cache_dir):
        try:
            lacks = lacking(cached.snapshot, WHOLE)
            directory = body_folder(cached.snapshot)
            family = _family(directory)
            model = {"name": cached.repository, "family": family, "head": "", "parameters": 0,
                     "megabytes": 0.0, "commands": [], "directory": str(directory)}  # fmt: skip
            if not lacks:
                model = _describe(cached.repository, directory)
        except (ValueError, OSError, ImportError):  # of another family, or damaged
            continue
        revision = cached.revisions[0] if cached.revisions else cached.snapshot.name
        found.append({**model, "revision": revision, "lacks": lacks})
    return found


def _family(directory: Path) -> str:
    from npbert.auto import family_of

    return family_of(directory)[1]


def _describe(name: str, directory: Path) -> dict[str, Any]:
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
        "megabytes": round(_size_of_weights(directory) / 1e6, 2),
        "commands": [task.command for task in tasks],
        "directory": str(directory),
    }


def _size_of_weights(directory: Path) -> int:
    from npbert.checkpoints.directory import shard_names, weights_file

    file = weights_file(directory)
    names = shard_names(file) if file.name.endswith(".index.json") else [file.name]
    return sum((directory / name).stat().st_size for name in names)


def trace(arguments: argparse.Namespace) -> None:
    from npbert.checkpoints.writing import atomic_write, output_file
    from npbert.tracing.page import make_page

    if arguments.live:
        return trace_live(arguments)
    if arguments.engine is not None:
        raise ValueError("--engine is for --live alone")
    output = arguments.output
    if output is None:
        output = f"{Path(arguments.model).resolve().name}-trace.html"
    output_file(output)  # what is wrong with it is said before any work
    find_model(arguments)
    texts = [arguments.text, *arguments.more]
    page = make_page(arguments.model, texts, arguments.head, arguments.truncation).encode("utf-8")
    with atomic_write(output) as file:
        file.write(page)
    print(f"{output}: {len(page) / 1e6:.1f} MB")


def trace_live(arguments: argparse.Namespace) -> None:
    from npbert.checkpoints.writing import output_directory
    from npbert.live.engine import ADDRESS
    from npbert.live.folder import write_folder

    folder = arguments.output or f"{Path(arguments.model).name}-live"
    output_directory(folder)
    size = write_folder(
        folder,
        arguments.model,
        [arguments.text, *arguments.more],
        arguments.head,
        arguments.truncation,
        ADDRESS if arguments.engine is None else arguments.engine,
    )
    print(f"{folder}: {size / 1e6:.1f} MB. Serve it, as `python -m http.server -d {folder}` does")
