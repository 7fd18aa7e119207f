"""A checkpoint in any readable format, rewritten as safetensors: `npbert convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from npbert.auto import AutoConfig, family_ties
from npbert.checkpoints.directory import read_json, read_weights, write_json, write_weights
from npbert.checkpoints.saving import contents, reading, saving
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.checkpoints.writing import atomic_write, output_directory
from npbert.model.config import FILE
from npbert.model.fingerprint import fingerprint

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
    it. The files change together: checkpoints/saving.py says how.

    dtype  float16, float32 or float64: what floating-point tensors are turned into. By default they
           stay as they are, except for bfloat16, which npbert reads as float32.
    force  write into a directory that is not empty, over the files of the same names

    Raises FileNotFoundError, and ValueError for a damaged file, a target that is the source or not
    empty, and values beyond the range of the dtype; nothing is written then.
    """
    source, target = checkpoint_directory(source), Path(output_directory(target))
    wanted = _float_dtype(dtype)
    _check_target(source, target, force)
    with reading(source):
        config = read_json(source, FILE)
        tensors = read_weights(source)
        names = [name for name in (FILE, *COPIED) if (source / name).is_file()]
        copies = {name: (source / name).read_bytes() for name in names}
        ties, metadata = _of_family(source)
    for name in _repeated(tensors, ties):
        del tensors[name]
    if wanted is not None:
        tensors = {name: _cast(name, array, wanted) for name, array in tensors.items()}
        config.pop("torch_dtype", None)  # its name in older releases
        config["dtype"] = wanted.name
    with saving(target) as new:
        write_weights(new, tensors, metadata)
        if wanted is not None:
            write_json(new, FILE, config)
            del copies[FILE]
        for name, content in copies.items():
            with atomic_write(new / name) as file:
                file.write(content)
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
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the checkpoint itself, expected another directory")
    if target.exists() and not force and contents(target):
        raise ValueError(f"{target}: is not empty; --force replaces the files of the same names")


def _of_family(source: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return which tensors are another tensor, and the fingerprint of the config.

    Nothing of either for a family that npbert lacks, whose files can be converted all the same.
    """
    try:
        return family_ties(source), fingerprint(AutoConfig.from_pretrained(source))
    except ValueError:
        return {}, {}


def _repeated(tensors: dict[str, np.ndarray], ties: dict[str, str]) -> list[str]:
    """Return the tensors that only repeat the one that they are tied to."""
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
