"""A checkpoint directory: its JSON files, and its weights under current names.

A reader takes a path and returns {name: array}; another weight format is another entry in
READERS. Weights in several files, shards, have an index that says which tensor is where. Whether
names and shapes fit the config is params.py's question, not this file's.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

import numpy as np

from npbert.checkpoints import numpy_weights, safetensors, tensorflow_weights, torch_weights
from npbert.checkpoints.files import naming, short, shown, warn
from npbert.checkpoints.writing import atomic_write

T = TypeVar("T")

# Where one of these stands in a JSON file, it may hold what Python reads and JSON does not have.
UNWRITABLE = re.compile(r"NaN|Infinity|[eE]\+?\d{3}|\d{300}|\\u[dD][89a-fA-F]")

READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {  # in the order of preference
    "model.safetensors": safetensors.read,
    "model.safetensors.index.json": lambda index: read_shards(index, safetensors.read),
    "weights.npz": numpy_weights.read,
    "pytorch_model.bin": torch_weights.read,
    "pytorch_model.bin.index.json": lambda index: read_shards(index, torch_weights.read),
    "tf_model.h5": tensorflow_weights.read,
}
UNREADABLE = (  # other weights of the field, named when they are all that lies there
    "tf_model.h5.index.json",
    "flax_model.msgpack",
)

# Ends of names as the first BERT checkpoints spell them (TensorFlow's words), and as torch does.
LEGACY_ENDINGS = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}
# What stands before every name where a model was saved from inside another one: torch's
# DataParallel, and classes of training scripts.
WRAPPERS = ("module.", "model.")
NO_PARAMETER = "embeddings.position_ids"  # 0, 1, 2, ...: old releases saved it as a buffer


def read_json(directory: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """Read one JSON object, such as `config.json`, from a checkpoint directory.

    Raises FileNotFoundError, and ValueError that says where in the file the JSON breaks, or which
    key has what could not be written again: NaN, a number beyond float64, half of a surrogate pair.
    """
    path = Path(directory, name)
    if not path.is_file():
        raise FileNotFoundError(_absence(directory, f"no {name}"))
    try:
        text = path.read_bytes().decode()
        value = json.loads(text)
        if UNWRITABLE.search(text):
            _check_values(value)
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


def _check_values(value: Any) -> None:
    """Raise a ValueError for what Python reads in JSON and JSON does not have; it names the key."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            for name, below in value.items():
                if not _is_text(name):
                    raise ValueError(f"the key {short.repr(name)} has half of a surrogate pair")
                waiting.append((f"{key}.{name}"[:200] if key else name, below))
        elif isinstance(value, list):
            waiting += [(key, below) for below in value]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{shown(key)} is {value}, expected a finite number")
        elif isinstance(value, str) and not _is_text(value):
            raise ValueError(f"{shown(key)} has half of a surrogate pair: {short.repr(value)}")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    path = weights_file(directory)
    tensors = READERS[path.name](path)
    with naming(path):
        return modern_names(tensors)


def weights_file(directory: str | os.PathLike[str]) -> Path:
    """Return the first of READERS that lies in a checkpoint directory, or its index of shards.

    Raises FileNotFoundError where there is none.
    """
    for name in READERS:
        path = Path(directory, name)
        if path.is_file():
            return path
    what = f"no weights: looked for {', '.join(READERS)}"
    if found := [name for name in UNREADABLE if Path(directory, name).is_file()]:
        what += f"; npbert cannot read the {', '.join(found)} that is there"
    raise FileNotFoundError(_absence(directory, what))


def read_shards(index: Path, read: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    """Read the tensors of several files, whose index has {"weight_map": {tensor: file}}.

    `read` reads one of the files. Raises FileNotFoundError for a shard that is missing, ValueError
    for a path that leaves the index's directory, a tensor that is not in its shard, and a tensor
    that is in two.
    """
    weight_map = _weight_map(index)
    names: dict[str, list[str]] = {}  # file -> the tensors that it should have
    for name, file in weight_map.items():
        names.setdefault(file, []).append(name)
    tensors: dict[str, T] = {}
    found_in: dict[str, str] = {}
    for file in sorted(names):
        path = index.parent / file
        if not os.path.isfile(path):  # which is False, too, for what can be no file's name
            raise FileNotFoundError(f"{index}: the shard {short.repr(file)} is missing")
        for name, tensor in read(path).items():
            if name in tensors:
                both = f"{short.repr(found_in[name])} and in {short.repr(file)}"
                raise ValueError(f"{index}: tensor {short.repr(name)} is in {both}")
            tensors[name], found_in[name] = tensor, file
        for name in names[file]:  # at once: one file without tensors could have many spellings
            if found_in.get(name) != file:
                what = f"tensor {short.repr(name)} is not in its shard {short.repr(file)}"
                raise ValueError(f"{index}: {what}")
    return tensors


def shard_names(index: Path) -> list[str]:
    """Return the files that an index says the tensors are in; errors as those of `read_shards`."""
    return sorted(set(_weight_map(index).values()))


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_json(index.parent, index.name).get("weight_map")
    with naming(index):
        if not isinstance(weight_map, dict):
            raise ValueError(f"weight_map is {short.repr(weight_map)}, expected a JSON object")
        for name, file in weight_map.items():
            if not stays_below(file):
                what = f"tensor {short.repr(name)}: its shard is {short.repr(file)}"
                raise ValueError(f"{what}, expected a file beside the index")
    return weight_map


def stays_below(file: Any) -> bool:
    """Return whether a name in a file is a path that does not leave the file's folder."""
    # By the rules of Windows, where both slashes separate and drives exist: they forbid all that
    # POSIX would, and a checkpoint that is safe here must not be dangerous there.
    if not isinstance(file, str) or "\0" in file:
        return False
    path = PureWindowsPath(file)
    return bool(path.parts) and not path.anchor and ".." not in path.parts


def weights_metadata(directory: str | os.PathLike[str]) -> dict[str, str]:
    """Return what the weights of a checkpoint directory say about themselves; {} in most formats.

    Raises what `read_weights` raises.
    """
    path = weights_file(directory)
    return safetensors.header(path).metadata if path.suffix == ".safetensors" else {}


def write_weights(
    directory: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write `model.safetensors` as transformers loads it; the directory is made if missing.

    metadata: text -> text, beside what transformers wants.
    Raises ValueError, before anything is written, for a dtype that the format does not have.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt", **(metadata or {})}
    safetensors.write(Path(directory, "model.safetensors"), tensors, metadata)


def modern_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename legacy spellings of tensors and drop tensors that are no parameters.

    One or two of WRAPPERS that all names begin with are taken away, with a warning that names them.
    Raises ValueError where a tensor is there under both of its names.
    """
    if any("/" in name for name in tensors):  # a model.safetensors that a TF class wrote
        tensors = tensorflow_weights.from_tensorflow(tensors)
    dropped = ""
    for prefix in 2 * WRAPPERS:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): array for name, array in tensors.items()}
            dropped += prefix
    if dropped:
        warn(f"the names of all {len(tensors)} tensors began with {dropped!r}, which was dropped")
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
