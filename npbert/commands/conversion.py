"""A checkpoint in any readable format, rewritten as safetensors: `npbert convert`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from npbert.auto import family_ties
from npbert.checkpoints.directory import read_json, read_weights, write_json, write_weights
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.model.config import FILE

DTYPES = ("float16", "float32", "float64")
COPIED = (
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
)


def convert(
    source: str | Path, target: str | Path, dtype: Any = None, force: bool = False
) -> dict[str, np.ndarray]:
    """Write the checkpoint `source` into the directory `target` as safetensors; return its tensors.

    It converts files, not models: every tensor of the checkpoint is kept, whatever head it belongs
    to, under its current name. Tied tensors that are stored twice are written once. config.json and
    the tokenizer's files are copied as they are; only where a dtype is asked for, config.json names
    it. All files are complete before the first of them takes its place.

    dtype  float16, float32 or float64: what floating-point tensors are turned into. By default they
           stay as they are, except for bfloat16, which npbert reads as float32.
    force  write into a directory that is not empty, over the files of the same names

    Raises FileNotFoundError, and ValueError for a damaged file, a target that is the source or not
    empty, and values beyond the range of the dtype; nothing is written then.
    """
    source, target = checkpoint_directory(source), Path(target)
    wanted = _float_dtype(dtype)
    _check_target(source, target, force)
    config = read_json(source, FILE)
    tensors = read_weights(source)
    for name in _repeated(tensors, source):
        del tensors[name]
    if wanted is not None:
        tensors = {name: _cast(name, array, wanted) for name, array in tensors.items()}
        config.pop("torch_dtype", None)  # its name in older releases
        config["dtype"] = wanted.name
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".saving-", dir=target) as new:
        write_weights(new, tensors)
        if wanted is None:
            shutil.copyfile(source / FILE, Path(new, FILE))
        else:
            write_json(new, FILE, config)
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, Path(new, name))
        for file in sorted(Path(new).iterdir()):
            os.replace(file, target / file.name)
    return tensors


def _float_dtype(dtype: Any) -> np.dtype | None:
    if dtype is None:
        return None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.name not in DTYPES:
        raise ValueError(f"dtype is {dtype}, expected one of {', '.join(DTYPES)}")
    return found


def _check_target(source: Path, target: Path, force: bool) -> None:
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: is a file, expected a directory to write to")
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the checkpoint itself, expected another directory")
    if target.exists() and not force and any(target.iterdir()):
        raise ValueError(f"{target}: is not empty; --force replaces the files of the same names")


def _repeated(tensors: dict[str, np.ndarray], source: Path) -> list[str]:
    """Return the tensors that only repeat the one that they are tied to."""
    try:
        ties = family_ties(source)
    except ValueError:  # a family that npbert lacks: its files can be converted all the same
        return []
    return [
        name
        for name, other in ties.items()
        if name in tensors and other in tensors and np.array_equal(tensors[name], tensors[other])
    ]


def _cast(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(dtype, copy=False)
    if dtype.itemsize < array.itemsize:
        lost = np.isfinite(array) & ~np.isfinite(cast)
        if lost.any():
            largest = np.abs(array[lost]).max()
            raise ValueError(f"tensor {name!r}: {largest:g} is beyond the range of {dtype.name}")
    return cast
