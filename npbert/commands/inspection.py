"""What a checkpoint directory holds, and whether it is what a head needs: `npbert inspect`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from npbert.auto import class_for, family_of, family_ties
from npbert.checkpoints import safetensors, torch_weights
from npbert.checkpoints.directory import READERS, modern_names, read_json, read_shards, weights_file
from npbert.checkpoints.files import naming, shown
from npbert.checkpoints.hub_cache import hub_name
from npbert.checkpoints.saving import reading
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.model import params
from npbert.model.base import PreTrainedModel
from npbert.model.config import FILE
from npbert.model.params import Shapes
from npbert.terminal import aligned

Stored = dict[str, tuple[str, tuple[int, ...]]]  # name -> dtype, shape


def inspect(directory: str | Path, head: str | None = None) -> dict[str, Any]:
    """Describe a checkpoint, as JSON can hold it, without reading more of it than is needed.

    head  what the tensors are compared with: "ForMaskedLM", "Model", ... or a whole class name;
          by default the class in the config's `architectures`, or else the bare model

    Returned are directory, weights (the file), config, parameters (how many numbers there are,
    tied ones once), modules (the same for each), tensors (dtype and shape as stored, under the
    names in the file), class, and for the class missing, unexpected and misshapen tensors, under
    their current names. For a family that npbert does not have, class is None and `reason` says so.

    Raises FileNotFoundError, and ValueError for a damaged file, a config that describes no model,
    and a head that the family does not have.
    """
    directory = checkpoint_directory(directory)
    with reading(directory):
        return _describe(directory, head)


def _describe(directory: Path, head: str | None) -> dict[str, Any]:
    config = read_json(directory, FILE)
    file = weights_file(directory)
    stored = stored_tensors(file)
    with naming(file):
        modern = modern_names({name: _stand_in(*info) for name, info in stored.items()})
    report: dict[str, Any] = {"directory": str(directory), "weights": file.name, "config": config}
    comparison: dict[str, Any] = {"class": None}
    prefix, ties = "", {}
    try:
        family_of(directory)
    except ValueError as error:
        if head is not None:
            raise
        comparison["reason"] = str(error)
    else:
        chosen = class_for(directory, head)
        prefix, ties = chosen.base_model_prefix, family_ties(directory)
        comparison = _compare(modern, chosen, directory)
    modules: dict[str, int] = {}
    for name, array in modern.items():
        if array.dtype.kind == "f" and not (name in ties and ties[name] in modern):
            module = _module(name, prefix)
            modules[module] = modules.get(module, 0) + array.size
    report |= {"parameters": sum(modules.values()), "modules": modules}
    report["tensors"] = {
        name: {"dtype": dtype, "shape": list(shape)} for name, (dtype, shape) in stored.items()
    }
    return report | comparison


def stored_tensors(file: Path) -> Stored:
    """Return dtype and shape of every tensor as the file has them, bfloat16 included."""
    headers: dict[str, Callable[[Path], Stored]] = {
        ".safetensors": _safetensors_header,
        ".bin": torch_weights.header,
    }
    name = file.name.removesuffix(".index.json")
    read = headers.get(Path(name).suffix)
    if read is None:
        arrays = READERS[file.name](file)
        return {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    return read(file) if name == file.name else read_shards(file, read)


def _safetensors_header(file: Path) -> Stored:
    tensors = safetensors.header(file).tensors
    return {name: (_dtype_name(info.dtype), info.shape) for name, info in tensors.items()}


def _dtype_name(name: str) -> str:
    if name == "BF16":
        return "bfloat16"
    return np.dtype(safetensors.DTYPES[name]).name


def _stand_in(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of this shape that takes no memory, for names and layouts to be told from."""
    return np.broadcast_to(np.zeros((), "float32" if dtype == "bfloat16" else dtype), shape)


# ---- against the classes of the family -------------------------------------------------------


def _compare(
    tensors: dict[str, np.ndarray], cls: type[PreTrainedModel], directory: Path
) -> dict[str, Any]:
    config = cls.config_class.from_pretrained(directory)
    shapes, ties = cls.parameter_shapes(config), cls.tied(config)
    found: Shapes = {name: array.shape for name, array in tensors.items()}
    found = params.fit_prefix(found, shapes | dict.fromkeys(ties), cls.base_model_prefix)
    for name, source in ties.items():  # one of the two is enough
        if name in found:
            shape = found.pop(name)
            found.setdefault(source, shape)
    return {
        "class": cls.__name__,
        "missing": {name: list(shapes[name]) for name in shapes if name not in found},
        "unexpected": [name for name in found if name not in shapes],
        "misshapen": {
            name: {"stored": list(found[name]), "expected": list(shapes[name])}
            for name in shapes
            if name in found and found[name] != shapes[name]
        },
    }


def _module(name: str, prefix: str) -> str:
    """Return the part of a model that a tensor belongs to; every layer is a part."""
    steps = name.split(".")[:-1]
    for i, step in enumerate(steps):
        if step.isdigit():
            return ".".join(steps[: i + 1])
    return ".".join(steps[: 2 if steps[:1] in ([prefix], ["cls"]) else 1]) or name


# ---- as text ---------------------------------------------------------------------------------


def render(report: dict[str, Any]) -> str:
    """Return the report of `inspect` as the lines that the command prints."""
    return "\n".join(_lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    place, name = report["directory"], hub_name(report["directory"])
    place = f"{name} ({place})" if name else place
    yield f"{place}: {report['weights']}, {report['parameters']:,} parameters"
    yield "\nconfig"
    for key, value in report["config"].items():
        yield f"  {shown(key)}: {json.dumps(value)}"
    yield "\nparameters by module"
    yield from _table(_module_rows(report["modules"]))
    yield f"\ntensors as stored ({len(report['tensors'])})"
    yield from _table(
        (shown(name), info["dtype"], str(info["shape"])) for name, info in report["tensors"].items()
    )
    if report["class"] is None:
        yield f"\nnot compared with a model: {report['reason']}"
        return
    for what in ("missing", "unexpected", "misshapen"):
        names = report[what]
        yield f"\n{what} for {report['class']}: {len(names) or 'nothing'}"
        for name in names:
            more = ""
            if what == "missing":
                more = f"  {names[name]}"
            elif what == "misshapen":
                more = f"  is {names[name]['stored']}, expected {names[name]['expected']}"
            yield f"  {shown(name)}{more}"


def _module_rows(modules: dict[str, int]) -> Iterator[tuple[str, ...]]:
    """Yield name and size of each module; layers of one size that follow each other are one row."""

    def kind(item: tuple[str, int]) -> tuple[str, int]:
        stem, _, number = item[0].rpartition(".")
        return (stem if number.isdigit() else item[0], item[1])

    for (_, size), group in groupby(modules.items(), kind):
        names = [shown(name) for name, _ in group]
        if len(names) == 1:
            yield names[0], f"{size:,}"
        else:
            yield f"{names[0]} to {names[-1].rpartition('.')[2]}", f"{len(names)} x {size:,}"


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for line in aligned(rows):
        yield f"  {line}"
