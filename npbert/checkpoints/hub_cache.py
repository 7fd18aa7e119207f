"""The cache of the Hugging Face Hub on this machine, read without its library and any request.

    CACHE/models--org--name/refs/main              the commit that a branch or a tag stands for
    CACHE/models--org--name/snapshots/COMMIT/...   the files of a commit, mostly links to blobs/
    CACHE/models--org--name/.no_exist/COMMIT/...   empty files: names that the commit lacks

huggingface_hub writes it for all programs: what one has fetched is there for the others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

# A repository: `org/name`, or `name` alone for some of the oldest.
HUB_NAME = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
MAIN = "main"  # the branch that is meant when none is named


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return where the cache is: cache_dir, or what HF_HUB_CACHE and HF_HOME say, or the default.

    The variables are read as the library reads them; an empty one counts as not set.
    """
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    env = os.environ.get
    home = env("HF_HOME") or os.path.join(env("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    folder = env("HF_HUB_CACHE") or env("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(folder)))


def repository_folder(repository: str, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of a repository in the cache, whether it is there or not."""
    return cache_folder(cache_dir) / f"models--{repository.replace('/', '--')}"


def check_revision(revision: str | None) -> str:
    """Return the name of a revision; raise a ValueError for what would lead out of a folder."""
    revision = MAIN if revision is None else revision
    steps = revision.split("/") if isinstance(revision, str) else [""]
    if any(step in ("", ".", "..") or "\\" in step or "\0" in step for step in steps):
        raise ValueError(f"revision is {revision!r}, expected a branch, a tag or a commit")
    return revision


def cached_snapshot(
    repository: str, revision: str | None = None, cache_dir: str | os.PathLike[str] | None = None
) -> Path | None:
    """Return the folder with the files of a revision in the cache, or None."""
    folder = repository_folder(repository, cache_dir)
    commit = revision = check_revision(revision)
    if not COMMIT.fullmatch(revision):
        try:
            commit = (folder / "refs" / revision).read_text("utf-8").strip()
        except (OSError, ValueError):
            return None
    found = folder / "snapshots" / commit
    return found if COMMIT.fullmatch(commit) and found.is_dir() else None


def write_ref(snapshot: Path, revision: str) -> None:
    """Note that a branch or a tag stands for the commit of a snapshot."""
    if COMMIT.fullmatch(revision):
        return
    from npbert.checkpoints.writing import atomic_write

    ref = snapshot.parent.parent / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(ref) as file:
        file.write(snapshot.name.encode())


def files_in(snapshot: Path) -> set[str]:
    """Return the files of a snapshot, as the Hub names them; a link to nothing is none."""
    return {
        Path(folder, name).relative_to(snapshot).as_posix()
        for folder, _, names in os.walk(snapshot)
        for name in names
        if os.path.isfile(os.path.join(folder, name))
    }


def is_known_absent(snapshot: Path, name: str) -> bool:
    """Return whether somebody has asked for a file, and the Hub did not have it."""
    return _absence(snapshot, name).is_file()


def note_absent(snapshot: Path, names: Iterable[str]) -> None:
    """Note files that the Hub does not have, so that nobody needs to ask again."""
    for name in names:
        path = _absence(snapshot, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _absence(snapshot: Path, name: str) -> Path:
    return snapshot.parent.parent / ".no_exist" / snapshot.name / PurePosixPath(name)


def snapshot_of(directory: str | os.PathLike[str]) -> Path | None:
    """Return the snapshot that a directory is, or lies in, None for another one."""
    for path in (Path(directory), *Path(directory).parents):
        is_one = path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--")
        if is_one and COMMIT.fullmatch(path.name):
            return path
    return None


def hub_name(directory: str | os.PathLike[str]) -> str | None:
    """Return the name of the repository that a directory is of, None for another one."""
    snapshot = snapshot_of(directory)
    if snapshot is None:
        return None
    return snapshot.parent.parent.name.removeprefix("models--").replace("--", "/")


class Cached(NamedTuple):
    """A repository in the cache at one commit, and the branches and tags that stand for it."""

    repository: str
    revisions: tuple[str, ...]
    snapshot: Path


def cached_snapshots(cache_dir: str | os.PathLike[str] | None = None) -> Iterator[Cached]:
    """Yield every commit of every repository that lies in the cache, by name."""
    for folder in sorted(cache_folder(cache_dir).glob("models--*")):
        refs: dict[str, list[str]] = {}
        for ref in sorted(files_in(folder / "refs")):
            commit = (folder / "refs" / ref).read_text("utf-8", "replace").strip()
            refs.setdefault(commit, []).append(ref)
        for snapshot in sorted((folder / "snapshots").glob("*")):
            if name := hub_name(snapshot):
                yield Cached(name, tuple(refs.get(snapshot.name, ())), snapshot)
