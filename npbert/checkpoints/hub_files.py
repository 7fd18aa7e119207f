"""Which files of a repository npbert reads, and whether a copy of it has them all.

A repository often holds the same weights several times: for torch, TensorFlow, JAX, ONNX. Of those
one is read, the first of directory.READERS; of the rest what a caller has use for, its parts.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from npbert.checkpoints.directory import READERS, read_json, shard_names
from npbert.checkpoints.files import short
from npbert.checkpoints.hub_cache import files_in, is_known_absent
from npbert.checkpoints.sentence_files import (
    BODY_CONFIG,
    CONFIG_FILE,
    MODULES,
    SENTENCE_CONFIG,
    module_folders,
)

# What a caller may have use for.
CONFIG, TOKENIZER, WEIGHTS, SENTENCE = "config", "tokenizer", "weights", "sentence"
MODEL = (CONFIG, WEIGHTS)
WHOLE = (CONFIG, TOKENIZER, WEIGHTS)

VOCABULARIES = ("vocab.txt", "tokenizer.json")  # either will do
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = (
    *VOCABULARIES,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
)

# The families that npbert has, as `model_type` names them: weights of others are not fetched.
FAMILIES = ("bert", "convbert", "mobilebert", "squeezebert")
# How files of weights end that npbert does not read; named when there is nothing else.
OTHER_WEIGHTS = (".msgpack", ".onnx", ".h5", ".ckpt", ".ot", ".gguf", ".tflite", ".pb", ".pt",
                 ".safetensors", ".bin", ".index")  # fmt: skip
MAX_NAMED = 5


def next_files(snapshot: Path, files: Collection[str], parts: Collection[str]) -> list[str]:
    """Return the files to fetch next into a snapshot, none where it has all that the parts need.

    files: all that the repository has. Small files come first, since they say which others are
    needed, and whether they are worth it.
    Raises FileNotFoundError for what the repository lacks, ValueError for a damaged small file and
    for another family.
    """
    if SENTENCE in parts and (missing := _missing(snapshot, files, (MODULES, SENTENCE_CONFIG))):
        return missing
    body = ""
    others: list[str] = []
    if MODULES in files and (SENTENCE in parts or CONFIG_FILE not in files):  # as body_folder says
        if missing := _missing(snapshot, files, [MODULES]):
            return missing
        body, others = module_folders(snapshot)
        others = others if SENTENCE in parts else []
    small: list[str] = []
    large: list[str] = []
    if WEIGHTS in parts:
        large.append(weights_name(files, body))
        large += [weights_name(files, folder) for folder in others if _has_weights(files, folder)]
    if CONFIG in parts:
        config = _required(files, body + CONFIG_FILE)
        if missing := _missing(snapshot, files, [config]):
            return missing
        check_family(read_json(snapshot, config))  # which says more than what else is missing
    if TOKENIZER in parts:
        if not any(body + name in files for name in VOCABULARIES):
            raise FileNotFoundError(f"it has no {body}{VOCABULARIES[0]} and no {VOCABULARIES[1]}")
        small += [body + name for name in TOKENIZER_FILES]
    if SENTENCE in parts:
        small.append(body + BODY_CONFIG)
    small += [folder + CONFIG_FILE for folder in others]
    small += [name for name in large if name.endswith(".index.json")]
    if missing := _missing(snapshot, files, small):
        return missing
    for name in large[:]:
        if name.endswith(".index.json"):
            folder = name.rpartition("/")[0]
            shards = shard_names(snapshot / name)
            large += [_required(files, f"{folder}/{shard}".lstrip("/")) for shard in shards]
    return _missing(snapshot, files, large)


def weights_name(files: Collection[str], folder: str = "") -> str:
    """Return the first file of weights in a folder ("", "1_Dense/") that npbert can read.

    Raises FileNotFoundError that names those which it cannot.
    """
    for name in READERS:
        if folder + name in files:
            return folder + name
    others = sorted(name for name in files if name.endswith(OTHER_WEIGHTS))
    more = ", ..." if len(others) > MAX_NAMED else ""
    only = f"only {', '.join(others[:MAX_NAMED])}{more}" if others else "and no others"
    where = f" in {folder}" if folder else ""
    raise FileNotFoundError(
        f"it has no weights that npbert reads{where} ({', '.join(READERS)}), {only}: another "
        "revision or repository may have some"
    )


def check_family(values: dict[str, Any]) -> None:
    """Raise a ValueError for the config.json of a family that npbert does not have."""
    found = values.get("model_type")
    if found is not None and str(found).replace("_", "") not in FAMILIES:  # some say conv_bert
        raise ValueError(
            f"its model_type is {short.repr(found)}, and npbert has {', '.join(FAMILIES)} only"
        )


def lacking(snapshot: Path, parts: Collection[str]) -> str:
    """Return what a snapshot lacks of what its parts need, "" for nothing.

    Raises ValueError for a damaged small file and for another family.
    """
    try:
        next_files(snapshot, files_in(snapshot), parts)
    except FileNotFoundError as error:
        return str(error)
    return ""


def deciding_files(snapshot: Path, parts: Collection[str]) -> list[str]:
    """Return the files that a repository need not have, but that change results where it does."""
    names, body = [], ""
    has_modules = (snapshot / MODULES).is_file()
    if has_modules and (SENTENCE in parts or not (snapshot / CONFIG_FILE).is_file()):
        body = module_folders(snapshot)[0]
    if SENTENCE in parts:
        names.append(MODULES)
        names += [SENTENCE_CONFIG, body + BODY_CONFIG] if has_modules else []
    return [*names, body + TOKENIZER_CONFIG] if TOKENIZER in parts else names


def in_doubt(snapshot: Path, parts: Collection[str]) -> list[str]:
    """Return the deciding files of which a snapshot does not say if the repository has them."""
    return [
        name
        for name in deciding_files(snapshot, parts)
        if not (snapshot / name).is_file() and not is_known_absent(snapshot, name)
    ]


def _missing(snapshot: Path, files: Collection[str], names: Collection[str]) -> list[str]:
    return [name for name in names if name in files and not (snapshot / name).is_file()]


def _required(files: Collection[str], name: str) -> str:
    if name not in files:
        raise FileNotFoundError(f"it has no {name}")
    return name


def _has_weights(files: Collection[str], folder: str) -> bool:
    return any(folder + name in files for name in READERS)
