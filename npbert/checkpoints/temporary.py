"""Temporary files and folders of writers, and locks: both end with the process that has them.

A writer makes its file or folder under a hidden name beside the place where it shall stand, and
holds a lock on it. A process that is killed leaves it there, unlocked: so the next writer can tell
what belongs to nobody, and removes it. Where there are no locks (Windows, some network file
systems) nothing is removed and nobody waits.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TEMPORARY = re.compile(r"\.npbert-[0-9a-f]{8}")
# Seconds to wait for a lock: who has it longer is not saving, and is not waited for.
PATIENCE = 10.0


def lock(descriptor: int, shared: bool = False, patience: float = 0.0) -> bool:
    """Lock an open file or folder until it is closed; tell whether that was possible.

    It is not where another process has it still after `patience` seconds, and without locks.
    """
    if fcntl is None:
        return False
    how = fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, how)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.002)
        except OSError:  # a file system without locks
            return False


@contextmanager
def locked(folder: str, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, alone or with others who share it.

    Nothing is written for that: the lock is on the folder itself. Where it cannot be had, the block
    runs without it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # no such folder, or Windows, which opens none
        descriptor = None
    try:
        if descriptor is not None:
            lock(descriptor, shared, PATIENCE)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def temporary(folder: str, make: Callable[[str], Any]) -> Iterator[str]:
    """Let `make` make a file or a folder in `folder`; it is removed after the block if still there.

    Before that, what writers left in `folder` that are no longer alive is removed.
    """
    remove_abandoned(folder)
    path, claim = _claimed(folder, make)
    try:
        yield path
    finally:
        _remove(path)
        if claim is not None:
            os.close(claim)


def _claimed(folder: str, make: Callable[[str], Any]) -> tuple[str, int | None]:
    while True:
        path = str(Path(folder, f".npbert-{os.urandom(4).hex()}"))
        make(path)
        claim = _open(path)
        if claim is None:
            if fcntl is None:
                return path, None
            continue
        lock(claim, patience=PATIENCE)
        if os.path.lexists(path):
            return path, claim
        os.close(claim)  # between making and locking, another took it for abandoned


def remove_abandoned(folder: str) -> None:
    """Remove temporary files and folders in `folder` whose makers are dead."""
    for path in temporaries(folder):
        claim = _open(path)
        if claim is not None:
            if lock(claim):
                _remove(path)
            os.close(claim)


def temporaries(folder: str, pattern: re.Pattern[str] = TEMPORARY) -> list[str]:
    """Return the paths of what lies in a folder under a name of this pattern, but for links."""
    paths = []
    with contextlib.suppress(OSError):
        paths = [os.path.join(folder, n) for n in os.listdir(folder) if pattern.fullmatch(n)]
    return [path for path in paths if not os.path.islink(path)]


def _open(path: str) -> int | None:
    """Open a file or folder to lock it; return None for a link, and for what cannot be opened."""
    if fcntl is None:
        return None
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    return None


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
