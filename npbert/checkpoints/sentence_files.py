"""What a sentence-embedding folder consists of, as sentence-transformers writes it: modules.json.

    [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
     {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]

The first module is a checkpoint, at the top of the folder or, in old ones, in 0_Transformer/. Each
of the others has a folder with a config.json, some with weights.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from npbert.checkpoints.directory import stays_below
from npbert.checkpoints.files import naming, short

MODULES = "modules.json"
CONFIG_FILE = "config.json"  # of the checkpoint, and of every other module that has a folder
SENTENCE_CONFIG = "config_sentence_transformers.json"  # beside modules.json
BODY_CONFIG = "sentence_bert_config.json"  # beside the checkpoint
TRANSFORMER = "Transformer"


class Module(NamedTuple):
    """One step from a text to its vector: its class, such as "Pooling", and its folder."""

    kind: str
    folder: str  # "" for the top, else ending in a slash: "1_Pooling/"


def read_modules(directory: str | os.PathLike[str]) -> list[Module]:
    """Read the modules of a folder, in their order; none where there is no modules.json.

    Raises ValueError, which begins with the path, for a file that is no list of modules, whose
    first is no Transformer, or that leads out of the folder.
    """
    path = Path(directory, MODULES)
    if not path.is_file():
        return []
    with naming(path):
        try:
            entries = json.loads(path.read_bytes().decode())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(entries, list) or not entries:
            raise ValueError(f"holds {short.repr(entries)}, expected a list of modules")
        modules = [_module(entry) for entry in entries]
        if modules[0].kind != TRANSFORMER:
            raise ValueError(f"the first module is a {modules[0].kind}, expected a {TRANSFORMER}")
    return modules


def module_folders(directory: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """Return the folder of the Transformer, and those of the other modules that have one."""
    first, *others = read_modules(directory)
    return first.folder, [module.folder for module in others if module.folder]


def body_folder(directory: Path) -> Path:
    """Return where the checkpoint of a folder is: at its top, or in old ones in 0_Transformer/."""
    if (directory / CONFIG_FILE).is_file():
        return directory
    modules = read_modules(directory)
    return directory / modules[0].folder if modules else directory


def _module(entry: Any) -> Module:
    if not isinstance(entry, dict):
        raise ValueError(f"a module is {short.repr(entry)}, expected a JSON object")
    kind, folder = entry.get("type"), entry.get("path", "")
    if not isinstance(kind, str) or not kind:
        raise ValueError(
            f"the type of a module is {short.repr(kind)}, expected the name of a class"
        )
    if folder != "" and not stays_below(folder):
        raise ValueError(
            f"the path of a module is {short.repr(folder)}, expected a folder below it"
        )
    folder = folder.replace("\\", "/").strip("/")
    return Module(kind.rpartition(".")[2], f"{folder}/" if folder else "")
