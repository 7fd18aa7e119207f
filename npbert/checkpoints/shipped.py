"""Where a checkpoint is: a directory of the user's, or one that ships with npbert, by its name.

npbert can be installed without the checkpoints that ship with it. The environment variable
NPBERT_WEIGHTS then names a folder that holds them, such as weights/ of a clone.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

# In an installed wheel the checkpoints lie inside the package, in a clone beside it.
PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")
VARIABLE = "NPBERT_WEIGHTS"

# What to do where npbert was installed without the checkpoints.
WITHOUT = f"and {VARIABLE} can name a folder that holds them, such as weights/ of a clone"

# What a checkpoint needs at least, and how the Hugging Face Hub calls one.
NEEDED = "config.json vocab.txt model.safetensors"
HUB_NAME = re.compile(r"(?:\w[\w.-]*/)?(\w[\w.-]*)")


def shipped_checkpoints() -> dict[str, Path]:
    """Return the checkpoints that ship with npbert: name -> directory.

    Those in the folder that NPBERT_WEIGHTS names precede those of the package. Raises
    FileNotFoundError where there is no such folder.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen and not os.path.isdir(chosen):
        raise FileNotFoundError(
            f"{VARIABLE} is {chosen}, which is no directory; expected a folder with checkpoints"
        )
    folders = (Path(chosen), *FOLDERS) if chosen else FOLDERS
    found = {
        file.parent.name: file.parent
        for folder in reversed(folders)
        for file in sorted(folder.glob("[!.]*/config.json"))  # no save that is under way
    }
    return dict(sorted(found.items()))


def checkpoint_directory(name: str | Path) -> Path:
    """Return the directory of a checkpoint; an existing one precedes a shipped name.

    Raises FileNotFoundError that lists the shipped names where there is neither and says how to
    fetch another checkpoint, ValueError for the path of a file and for an empty one.
    """
    if name == "":  # Path("") is the current directory
        raise ValueError("the path of the checkpoint is empty")
    directory = Path(name)
    if directory.is_dir():
        return directory
    shipped = shipped_checkpoints()
    if str(name) in shipped:
        return shipped[str(name)]
    if directory.exists():
        raise ValueError(f"{name} is a file, expected the directory of a checkpoint")
    known = ", ".join(shipped) or f"none found: npbert is installed without them, {WITHOUT}"
    where = HUB_NAME.fullmatch(str(name))
    fetch = f", as `hf download {name} {NEEDED} --local-dir {where[1]}` does" if where else ""
    raise FileNotFoundError(
        f"no directory {name}, and no shipped checkpoint of that name ({known}). npbert fetches "
        f"nothing: put {NEEDED.replace(' ', ', ')} of a checkpoint into a directory{fetch}, and "
        "give its path"
    )
