"""Checkpoints of the Hugging Face Hub: from the cache, or fetched by huggingface_hub (extra `hub`).

What the cache has is used without a request. For the rest the library does the fetching: one
request asks which files there are, and of those only what npbert reads is downloaded
(hub_files.py), small files first, and held to the hashes that the Hub says. All errors are one
line with what to do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npbert.checkpoints.files import warn
from npbert.checkpoints.hub_cache import (
    cache_folder,
    cached_snapshot,
    check_revision,
    note_absent,
    repository_folder,
    write_ref,
)
from npbert.checkpoints.hub_files import (
    deciding_files,
    in_doubt,
    lacking,
    next_files,
)

PUBLIC_HUB = "https://huggingface.co"
YES = ("1", "ON", "YES", "TRUE")  # how the library's variables are switched on
INSTALL = 'python -m pip install "npbert[hub]"'
LOG_IN = "`hf auth login`, the variable HF_TOKEN or token= (--token) logs in"
# Packages whose errors mean that no answer came, in all versions of the library.
NETWORK = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}


def hub_directory(
    repository: str,
    parts: Collection[str],
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return the folder in the cache with what is needed of a repository, fetched where it is not.

    parts: of hub_files.py. revision: a branch, a tag or a commit, by default `main`. The other
    arguments are those of the library.
    Raises FileNotFoundError for a repository, a revision or a file that is not there, not even in
    the cache where nothing can be fetched; PermissionError for one that wants somebody logged in;
    ConnectionError where the Hub gives no answer; ValueError for a family that npbert lacks;
    OSError for a file that came damaged.
    """
    revision = check_revision(revision)
    found = cached_snapshot(repository, revision, cache_dir)
    with _naming(repository):
        lacks = "" if found is None else lacking(found, parts)
    doubtful = [] if found is None or lacks else in_doubt(found, parts)
    if found is not None and not lacks and not doubtful:
        return found
    hindrance = _hindrance(local_files_only)
    if not hindrance:
        try:
            return _fetch(repository, parts, revision, cache_dir, token)
        except OSError as error:
            if found is None or lacks:
                if isinstance(error, ConnectionError):
                    words = f"{error}, and {repository} is not in the cache (or not whole)"
                    raise ConnectionError(words) from None
                raise
            hindrance = str(error)
    if found is not None and not lacks:
        warn(
            f"{repository}: whether it has {', '.join(doubtful)} is not known, so nothing of it is "
            f"used ({hindrance})"
        )
        return found
    where = f"{repository} is not in the cache of the Hub ({cache_folder(cache_dir)})"
    if found is not None:
        where = f"{repository} is not complete in the cache of the Hub ({found}): {lacks}"
    raise FileNotFoundError(f"{where}, and {hindrance}")


def _hindrance(local_files_only: bool) -> str:
    """Return why nothing can be fetched, "" where it can be tried."""
    if local_files_only:
        return "local_files_only=True (--local-files-only) forbids to fetch it"
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in YES:
            return f"{name}={os.environ[name]} forbids to fetch it"
    if importlib.util.find_spec("huggingface_hub") is None:
        return f"to fetch it npbert needs its extra `hub`: {INSTALL}"
    return ""


def _fetch(
    repository: str,
    parts: Collection[str],
    revision: str,
    cache_dir: str | os.PathLike[str] | None,
    token: str | bool | None,
) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    from npbert import __version__

    about: dict[str, Any] = {"library_name": "npbert", "library_version": __version__}
    place: dict[str, Any] = {"endpoint": endpoint(), "token": token}
    with _errors_in_words(repository, revision):
        info = HfApi(**place, **about).model_info(
            repository, revision=revision, files_metadata=True
        )
    files = {file.rfilename: file for file in info.siblings or ()}
    snapshot = repository_folder(repository, cache_dir) / "snapshots" / str(info.sha)
    place |= {"revision": info.sha, "cache_dir": cache_folder(cache_dir)}
    while names := _to_fetch(repository, snapshot, files, parts):
        for name in names:
            with _errors_in_words(repository, revision):
                path = Path(hf_hub_download(repository, name, **place, **about))
            _check_hash(repository, name, path, files[name])
            if not (snapshot / name).is_file():
                raise OSError(f"{repository}: {name} went to {path}, expected it below {snapshot}")
    note_absent(snapshot, (name for name in deciding_files(snapshot, parts) if name not in files))
    write_ref(snapshot, revision)
    return snapshot


def endpoint() -> str:
    """Return the address of the Hub: what HF_ENDPOINT says, or the public one."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC_HUB


def _to_fetch(
    repository: str, snapshot: Path, files: Collection[str], parts: Collection[str]
) -> list[str]:
    with _naming(repository):
        names = next_files(snapshot, files, parts)
    needs_h5py = any(name.endswith(".h5") for name in names)
    if needs_h5py and importlib.util.find_spec("h5py") is None:
        raise ImportError(
            f"{repository} has {names[0]} only, and reading it takes h5py: "
            'python -m pip install "npbert[tf]"'
        )
    return names


def _check_hash(repository: str, name: str, path: Path, file: Any) -> None:
    """Delete a file that is not what the Hub says, and raise an OSError."""
    if file.lfs is not None:
        expected, digest = file.lfs.sha256, hashlib.sha256()
    elif file.blob_id is not None:  # of git: of its length and contents
        expected, digest = file.blob_id, hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % path.stat().st_size)
    else:
        return
    with open(path, "rb") as content:
        while block := content.read(2**20):
            digest.update(block)
    if digest.hexdigest() != expected:
        blob = path.resolve()
        path.unlink()
        blob.unlink(missing_ok=True)
        raise OSError(
            f"{repository}: {name} came with another hash than the Hub says, so it was "
            "damaged on the way; it was deleted: try again"
        )


@contextmanager
def _naming(repository: str) -> Iterator[None]:
    """Let the message of an error begin with the name of a repository."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{repository}: {error}") from None


@contextmanager
def _errors_in_words(repository: str, revision: str) -> Iterator[None]:
    """Say in one line, and in Python's own classes, what the library's errors mean."""
    from huggingface_hub import utils

    where = endpoint()
    try:
        yield
    except Exception as raised:
        error: Any = raised
        if isinstance(error, utils.LocalEntryNotFoundError) and error.__cause__ is not None:
            error = error.__cause__  # it says that the cache has no such file either
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, utils.GatedRepoError):
            words: OSError = PermissionError(
                f"{repository} is gated: ask for access at {where}/{repository}, then {LOG_IN}"
            )
        elif isinstance(error, utils.RepositoryNotFoundError):
            words = FileNotFoundError(
                f"the Hub ({where}) has no repository {repository}, or a private one; {LOG_IN}"
            )
        elif isinstance(error, utils.RevisionNotFoundError):
            words = FileNotFoundError(
                f"{repository} has no revision {revision}: {where}/{repository}/tree/main lists "
                "its branches and tags"
            )
        elif isinstance(error, utils.HFValidationError):
            words = FileNotFoundError(f"{repository} cannot be a repository's name on the Hub")
        elif status in (401, 403):
            words = PermissionError(
                f"the Hub ({where}) refuses {repository} to this token ({status}); {LOG_IN}"
            )
        elif status is not None:
            words = ConnectionError(
                f"the Hub ({where}) fails with {status} for {repository}: try again later"
            )
        elif _is_of_network(error):
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            words = ConnectionError(f"the Hub ({where}) cannot be reached ({reason})")
        else:
            raise
        raise words from None


def _is_of_network(error: BaseException) -> bool:
    from huggingface_hub import utils

    modules = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return bool(modules & NETWORK) or isinstance(error, utils.OfflineModeIsEnabled)
