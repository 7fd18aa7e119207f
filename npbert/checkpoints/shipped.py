"""Where a checkpoint is: a directory of the user's, or one that ships with npbert, by its name."""

from __future__ import annotations

from pathlib import Path

# In an installed wheel the checkpoints lie inside the package, in a clone beside it.
PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")


def shipped_checkpoints() -> dict[str, Path]:
    """Return the checkpoints that ship with npbert: name -> directory."""
    found = {
        file.parent.name: file.parent
        for folder in reversed(FOLDERS)
        for file in sorted(folder.glob("[!.]*/config.json"))  # no save that is under way
    }
    return dict(sorted(found.items()))


def checkpoint_directory(name: str | Path) -> Path:
    """Return the directory of a checkpoint; an existing one precedes a shipped name.

    Raises FileNotFoundError that lists the shipped names where there is neither, ValueError for
    the path of a file.
    """
    directory = Path(name)
    if directory.is_dir():
        return directory
    shipped = shipped_checkpoints()
    if str(name) in shipped:
        return shipped[str(name)]
    if directory.exists():
        raise ValueError(f"{name} is a file, expected the directory of a checkpoint")
    known = ", ".join(shipped) or "none found"
    raise FileNotFoundError(
        f"no directory {name}, and no shipped checkpoint of that name ({known})"
    )
