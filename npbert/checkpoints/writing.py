"""Writing one file whole or not at all, and saying in words why a file cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from npbert.checkpoints.temporary import TEMPORARY, temporary

REASONS: dict[int | None, str] = {
    errno.ENOENT: "there is no such file",
    errno.ENOSPC: "no space left on the disk",
    errno.EFBIG: "the file grows larger than is allowed",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "the symbolic links lead in a circle",
    getattr(errno, "EDQUOT", None): "the quota of the disk is used up",
}


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a binary file that replaces `path` when the block ends without an error.

    Until then the bytes go to a hidden file beside it. An exception removes that file; a crash at
    any moment leaves the old `path` as it was, and the next writer removes the hidden file. Arrays
    mapped from the old file stay valid. The new file has the mode of the old one.

    Symbolic links are followed to their end, and what is no regular file, as a pipe or a device,
    is written to directly. Errors name `path`, in words: those of `output_file`, and OSError.
    """
    name = os.fspath(path)
    target = output_file(path)
    with errors_in_words(f"cannot write {name}", name):
        if target is None:
            with open(name, "wb") as file:
                yield file
            return
        with temporary(os.path.dirname(target), lambda new: open(new, "xb").close()) as new:
            with open(new, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # the bytes reach the disk before the name does
            keep_mode(target, new)
            os.replace(new, target)


def output_file(path: str | os.PathLike[str]) -> str | None:
    """Return the regular file that writing to `path` replaces or makes; None for a pipe or device.

    Links are followed. An empty path is a ValueError, the path of a directory, by its end or in
    fact, an IsADirectoryError; FileNotFoundError for a directory that is missing, PermissionError
    for one that is read-only, or a file.
    """
    name = os.fspath(path)
    if not name:
        raise ValueError("the path is empty, expected the name of a file to write")
    if name.endswith(("/", os.sep)) or os.path.isdir(name):
        raise IsADirectoryError(f"{name} is a directory, expected the name of a file to write")
    with errors_in_words(f"cannot write {name}", name):
        try:
            found = os.stat(name)
        except (FileNotFoundError, NotADirectoryError):
            found = None
    if found and not stat.S_ISREG(found.st_mode):
        return None
    target = os.path.realpath(name)
    folder = os.path.dirname(target if os.path.islink(name) else name) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: there is no directory {folder} to write it to")
    if found and not os.access(target, os.W_OK):
        raise PermissionError(f"cannot write {name}: the file is read-only")
    check_folder(folder, name)
    return target


def check_folder(folder: str, name: str) -> None:
    """Raise PermissionError for a folder that is read-only; `name` is what was to be written."""
    if not os.access(folder, os.W_OK | os.X_OK):
        which = "the folder" if folder == name else f"the folder {folder}"
        raise PermissionError(f"cannot write {name}: {which} is read-only")


def output_directory(path: str | os.PathLike[str]) -> str:
    """Return a path that files can be saved into; a ValueError if it is empty or that of a file."""
    folder = os.fspath(path)
    if not folder:
        raise ValueError("the path is empty, expected a directory to write to")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise ValueError(f"{folder}: is a file, expected a directory to write to")
    return folder


def keep_mode(old: str, new: str) -> None:
    """Give the file `new` the mode of `old`, and its owner and group where that is allowed."""
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(old)
        if hasattr(os, "chown"):
            with contextlib.suppress(PermissionError):
                os.chown(new, found.st_uid, found.st_gid)
        os.chmod(new, stat.S_IMODE(found.st_mode))


@contextmanager
def errors_in_words(what: str, path: str | None = None) -> Iterator[None]:
    """Let an OSError in the block that only has a number say in words what could not be done.

    path  the file that the block writes: an error that names another one stays as it is
    """
    try:
        yield
    except OSError as error:
        named = error.filename
        ours = path is None or named in (None, path) or TEMPORARY.fullmatch(Path(named).name)
        if error.strerror is None or not ours:  # without a number it is in words
            raise
        raise in_words(error, f"{what}: {reason(error)}") from None


def in_words(error: OSError, message: str) -> OSError:
    """Return an error of the same kind and number whose text is the message alone."""
    worded = type(error)(message)
    worded.errno = error.errno
    return worded


def reason(error: OSError) -> str:
    """Return in words why the operating system refused."""
    text = error.strerror or str(error)
    return REASONS.get(error.errno) or text[:1].lower() + text[1:]
