"""Saving files into a directory so that they change together: a model, a tokenizer, a kit.

A save writes its files into a hidden folder inside the directory. When all are complete, the folder
is renamed to say so, and they are moved to their places; all the while the directory is locked
against other saves and against readers. A save that is killed before the renaming has changed
nothing, and the next one removes what it left. One that is killed after it is finished by whoever
opens the directory next, before anything is read. So npbert never sees the files of two saves side
by side; other programs may, for as long as the moves take or until npbert opens the directory.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from npbert.checkpoints.temporary import TEMPORARY, locked, temporaries, temporary
from npbert.checkpoints.writing import (
    atomic_write,
    check_folder,
    errors_in_words,
    in_words,
    keep_mode,
    output_directory,
    output_file,
    reason,
)

COMPLETE = re.compile(rf"{TEMPORARY.pattern}-complete")


@contextmanager
def saving(directory: str | os.PathLike[str], obsolete: Iterable[str] = ()) -> Iterator[Path]:
    """Give an empty folder, whose files move into `directory` together when the block ends.

    The directory is made where it is missing, and unmade where the block fails. Other files in it
    stay, but for those named `obsolete`, which are removed unless they were written anew. Each file
    is replaced as `writing.atomic_write` does it: links are followed, modes kept.
    Raises the errors of `output_file` before anything is changed, ValueError for an empty path, and
    OSError, in words and with the name of the file.
    """
    folder = str(Path(output_directory(directory)))
    new = folder
    try:
        with _made(folder), temporary(folder, lambda path: os.mkdir(path, 0o700)) as new:
            yield Path(new)
            _move_in(new, folder, obsolete)
    except OSError as error:
        what = str(error)
        if error.strerror is not None:
            what = f"cannot write {error.filename or folder}: {reason(error)}"
        raise in_words(error, what.replace(new, folder)) from None
    except ValueError as error:  # it may name the file that was to be written
        if new in str(error):
            error.args = (str(error).replace(new, folder),)
        raise


@contextmanager
def reading(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Hold off saves into a directory while its files are opened, and finish one that was killed.

    Arrays that are mapped from a file stay what they are after the block. Raises OSError where a
    save cannot be finished: then there is no whole set of files to read.
    """
    folder = os.fspath(directory)
    while True:
        with locked(folder, shared=True):
            if not temporaries(folder, COMPLETE):
                yield
                return
        with locked(folder):
            _finish(folder)


def contents(directory: str | os.PathLike[str]) -> list[str]:
    """Return the names of what lies in a directory, but for what writers have not finished."""
    with reading(directory):
        return sorted(name for name in os.listdir(directory) if not TEMPORARY.fullmatch(name))


def _move_in(new: str, folder: str, obsolete: Iterable[str]) -> None:
    names = sorted(os.listdir(new))
    for name in names:
        output_file(os.path.join(folder, name))
    complete = f"{new}-complete"
    with locked(folder):
        _finish(folder)
        _sync(new)
        os.rename(new, complete)  # from here on the files are saved
        try:
            _move(complete, folder, follow_links=True)
        except BaseException:
            if sorted(os.listdir(complete)) == names:  # but none was moved
                os.rename(complete, new)
            raise
        for name in {*obsolete} - {*names}:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
        _sync(folder)


def _finish(folder: str) -> None:
    """Move the files of saves that were killed in the middle of that.

    Links are not followed here: who reads a directory wants nothing outside of it to be written.
    """
    for complete in temporaries(folder, COMPLETE):
        with errors_in_words(f"{folder}: a save was cut short, and cannot be finished"):
            _move(complete, folder, follow_links=False)


def _move(complete: str, folder: str, follow_links: bool) -> None:
    for name in sorted(os.listdir(complete)):
        file, target = os.path.join(complete, name), os.path.join(folder, name)
        if follow_links and (os.path.islink(target) or output_file(target) is None):
            with open(file, "rb") as source, atomic_write(target) as copy:
                while block := source.read(2**20):
                    copy.write(block)
            os.unlink(file)
            continue
        if not os.path.islink(target):
            keep_mode(target, file)
        try:
            os.replace(file, target)
        except FileNotFoundError:  # without locks, another may have moved it
            if not os.path.isdir(folder):
                raise
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(complete)


@contextmanager
def _made(folder: str) -> Iterator[None]:
    """Make a directory, and unmake it if the block fails, with those above that were missing."""
    missing = []
    path = folder
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path) or "."
    check_folder(path, folder)
    try:
        os.makedirs(folder, exist_ok=True)
        yield
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):  # another uses it by now
                os.rmdir(path)
        raise


def _sync(folder: str) -> None:
    """Let the names in a folder reach the disk, where the system can be asked for that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
