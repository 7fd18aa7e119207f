"""A checkpoint directory: its JSON files, and its weights under the names of today.

A reader takes a path and returns {name: array}; a further weight format is one more entry in
READERS. Whether names and shapes fit the config is params.py's question, not this file's.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npbert import safetensors
from npbert.safetensors import atomic_write

READERS = {"model.safetensors": safetensors.read}  # in the order in which they are looked for
UNREADABLE = (  # other weights of the field, named when they are all that lies there
    "model.safetensors.index.json",
    "weights.npz",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
)

# Ends of names as the first BERT checkpoints spell them (TensorFlow's words), and as torch does.
LEGACY_ENDINGS = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}
NO_PARAMETER = "embeddings.position_ids"  # 0, 1, 2, ...: old releases saved it as a buffer


def read_json(directory: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """Read one JSON object, such as `config.json`, from a checkpoint directory.

    Raises FileNotFoundError, and ValueError that says where in the file the JSON breaks.
    """
    path = Path(directory, name)
    if not path.is_file():
        raise FileNotFoundError(_absence(directory, f"no {name}"))
    try:
        value = json.loads(path.read_bytes().decode())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path}: not JSON at {where}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:  # an endless number, endless nesting
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: holds a {type(value).__name__}, expected a JSON object")
    return value


def write_json(directory: str | os.PathLike[str], name: str, value: Mapping[str, Any]) -> None:
    """Write one JSON object into a checkpoint directory, atomically; keys stay in their order.

    The directory is made where it is missing. Raises ValueError or TypeError, before anything
    is written, for a value that JSON does not have (NaN, an array).
    """
    text = json.dumps(dict(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    Path(directory).mkdir(parents=True, exist_ok=True)
    with atomic_write(Path(directory, name)) as file:
        file.write(text.encode())


def read_weights(directory: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the weights of a checkpoint directory: name -> array, legacy spellings renamed.

    The first of READERS that lies there is read. Raises FileNotFoundError where there is none,
    and ValueError for a damaged file.
    """
    for name, read in READERS.items():
        path = Path(directory, name)
        if path.is_file():
            tensors = read(path)
            try:
                return modern_names(tensors)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
    what = f"no weights: looked for {', '.join(READERS)}"
    if found := [name for name in UNREADABLE if Path(directory, name).is_file()]:
        what += f"; npbert cannot read the {', '.join(found)} that is there"
    raise FileNotFoundError(_absence(directory, what))


def write_weights(directory: str | os.PathLike[str], tensors: Mapping[str, np.ndarray]) -> None:
    """Write `model.safetensors` as transformers loads it into a directory, made where missing.

    Raises ValueError, before anything is written, for a dtype that the format does not have.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    safetensors.write(Path(directory, "model.safetensors"), tensors, {"format": "pt"})


def modern_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename the legacy spellings of a checkpoint's tensors and drop what is no parameter.

    Raises ValueError where a tensor is there under both of its names.
    """
    renamed: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        if f".{name}".endswith(f".{NO_PARAMETER}"):
            continue
        for old, new in LEGACY_ENDINGS.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if name in renamed:
            raise ValueError(f"{name} is there twice, once under its legacy name")
        renamed[name] = array
    return renamed


def _absence(directory: str | os.PathLike[str], what: str) -> str:
    if not Path(directory).is_dir():
        return f"{os.fspath(directory)}: no such directory ({what})"
    return f"{os.fspath(directory)}: {what}"
