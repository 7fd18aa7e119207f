"""Where a checkpoint is, by its name: a directory, one that ships with npbert, one of the Hub.

npbert can be installed without the checkpoints that ship with it. The environment variable
NPBERT_WEIGHTS then names a folder that holds them, such as weights/ of a clone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypedDict, cast

from npbert.checkpoints.hub_cache import HUB_NAME, MAIN, hub_name
from npbert.checkpoints.hub_files import SENTENCE, WHOLE
from npbert.checkpoints.sentence_files import body_folder

# In an installed wheel the checkpoints lie inside the package, in a clone beside it.
PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")
VARIABLE = "NPBERT_WEIGHTS"

# What to do where npbert was installed without the checkpoints.
WITHOUT = f"and {VARIABLE} can name a folder that holds them, such as weights/ of a clone"


class HubOptions(TypedDict, total=False):
    """Which files are meant by a name on the Hub, and how they are had.

    revision: a branch, a tag or a commit. cache_dir: where the cache is, by default where the
    library has it. token: whom to be, True for who logged in, False for nobody. local_files_only:
    take what is in the cache, and ask nobody.
    """

    revision: str | None
    cache_dir: str | os.PathLike[str] | None
    token: str | bool | None
    local_files_only: bool


def hub_options(options: dict[str, Any]) -> HubOptions:
    """Take the options of the Hub out of others."""
    names = HubOptions.__annotations__.keys() & options.keys()
    return cast(HubOptions, {name: options.pop(name) for name in names})


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


def checkpoint_directory(
    name: str | os.PathLike[str],
    parts: Collection[str] = WHOLE,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return the directory of a checkpoint: an existing one, a shipped one, or one of the Hub.

    In an old sentence-embedding folder the checkpoint is below it; the folder itself is returned
    where all of it is needed, which SENTENCE among the parts says.
    name: a path, the name of a shipped checkpoint, or a repository on the Hub (`org/name`, `name`);
    the first of these that is there is meant. parts: what of it is needed, of hub_files.py; no more
    is fetched. The other arguments are those of HubOptions.
    Raises FileNotFoundError where there is none of them, with the shipped names where one of those
    may be meant; ValueError for the path of a file, for an empty one, and for a revision of what is
    not on the Hub; and what `hub_directory` raises.
    """
    if name == "":  # Path("") is the current directory
        raise ValueError("the path of the checkpoint is empty")
    directory, shipped = Path(name), shipped_checkpoints()
    here = directory if directory.is_dir() else shipped.get(str(name))
    if here is not None:
        if revision not in (None, MAIN):
            kind = "a directory" if here is directory else "a checkpoint that ships with npbert"
            raise ValueError(f"{name} is {kind}, which has no revision {revision!r}")
        return here if SENTENCE in parts else body_folder(here)
    if directory.exists():
        raise ValueError(f"{name} is a file, expected the directory of a checkpoint")
    known = ", ".join(shipped) or f"none found: npbert is installed without them, {WITHOUT}"
    absent = f"no directory {name}, and no shipped checkpoint of that name ({known}"
    if not isinstance(name, str) or not HUB_NAME.fullmatch(name):
        raise FileNotFoundError(f"{absent})")
    from npbert.checkpoints.hub import hub_directory

    try:
        found = hub_directory(name, parts, revision, cache_dir, token, local_files_only)
    except OSError as error:
        if "/" in name or error.errno is not None:
            raise
        meant = "; did you mean {}?".format(*close) if (close := _close(name, shipped)) else ""
        raise type(error)(f"{absent}{meant}); {error}") from None
    return found if SENTENCE in parts else body_folder(found)


def checkpoint_name(directory: Path) -> str:
    """Return what to call the checkpoint in a directory: its name on the Hub, or the folder's."""
    return hub_name(directory) or directory.resolve().name


def _close(name: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, known, n=1)
