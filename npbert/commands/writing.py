"""What commands write: whole lines to standard output or a file, and notes on standard error."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npbert.corpus.json_results import is_error_line

STANDARD_OUTPUT = "standard output"


def note(message: str) -> None:
    """Say something on standard error that is no error."""
    with suppress(OSError):
        print(f"npbert: note: {message}", file=sys.stderr)


@dataclass
class Earlier:
    """What a file had before: whole lines, and perhaps the beginning of one more."""

    lines: int = 0
    errors: int = 0  # how many of the lines
    last: bytes = b""  # the last of the lines
    rest: bytes = b""  # what comes after it


class Output:
    """Takes lines, and writes each of them whole, at once.

    name: for errors. earlier: what the file had when it was opened.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self.earlier = Earlier()
        self._descriptor = descriptor
        self._is_writing = self._is_interrupted = False

    def cut_rest(self) -> None:
        """Cut off what the file had after its last whole line."""
        if self.earlier.rest:
            end = os.fstat(self._descriptor).st_size - len(self.earlier.rest)
            os.ftruncate(self._descriptor, end)
            os.lseek(self._descriptor, end, os.SEEK_SET)

    def write(self, line: str) -> None:
        """Write a line. A file that has no room for it ends with the line before."""
        data = memoryview(line.encode() + b"\n")
        self._is_writing = True
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            self._take_back(written)
            error.filename = self.name
            raise
        finally:
            self._is_writing = False
        if self._is_interrupted:
            raise KeyboardInterrupt

    @contextmanager
    def whole_lines(self) -> Iterator[Output]:
        """Let Ctrl-C in the middle of a line wait for its end, unless it comes a second time."""
        before = signal.getsignal(signal.SIGINT)
        if not callable(before) or threading.current_thread() is not threading.main_thread():
            yield self  # then it is ignored, or interrupts another thread
            return

        def interrupt(number: int, frame: Any) -> None:
            if self._is_writing and not self._is_interrupted:
                self._is_interrupted = True
            else:
                before(number, frame)

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    def _take_back(self, count: int) -> None:
        """Cut the last bytes off a file that they were just written to."""
        status = os.fstat(self._descriptor)
        if count and stat.S_ISREG(status.st_mode):
            end = status.st_size - count
            if os.lseek(self._descriptor, 0, os.SEEK_CUR) == status.st_size:  # nobody wrote since
                os.ftruncate(self._descriptor, end)
                os.lseek(self._descriptor, end, os.SEEK_SET)


@contextmanager
def open_output(path: str | None, resume: bool = False, force: bool = False) -> Iterator[Output]:
    """Give what writes lines to a file, or to standard output.

    resume: go on where the file ends; nothing of it is changed before `cut_rest`. force: begin
    anew, whatever it holds. Otherwise a file that is not empty is a ValueError: what it holds may
    have taken hours. So is one that another process writes to in this way.
    """
    if path is None or path == "-":
        if resume:
            raise ValueError("--resume needs the --output of the earlier run, which is a file")
        sys.stdout.flush()
        with Output(sys.stdout.fileno(), STANDARD_OUTPUT).whole_lines() as output:
            yield output
        return
    if not Path(path).parent.is_dir():
        folder = Path(path).parent
        raise FileNotFoundError(f"{path}: there is no directory {folder} to write it to")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        output = Output(descriptor, path)
        _claim(descriptor, path)
        if force and stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, 0)
        status = os.fstat(descriptor)
        if resume:
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{path} is no regular file: there is no end to resume at")
            output.earlier = _earlier(descriptor)
        elif stat.S_ISREG(status.st_mode) and status.st_size:
            raise ValueError(
                f"{path} is not empty; --resume goes on where it ends, --force begins anew"
            )
        with output.whole_lines():
            yield output
    finally:
        os.close(descriptor)


def _claim(descriptor: int, path: str) -> None:
    """Keep other runs from writing to a file, until it is closed; raise ValueError for the second.

    The lock is one that processes which are started meanwhile do not share.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise ValueError(f"{path}: another run is writing to it") from None
    except OSError:  # a file system without locks, a pipe
        pass


def _earlier(descriptor: int) -> Earlier:
    """Read what a file holds, to its end."""
    earlier = Earlier()
    with open(descriptor, "rb", closefd=False) as file:
        for line in file:
            if line.endswith(b"\n"):
                earlier.lines += 1
                earlier.errors += is_error_line(line)
                earlier.last = line
            else:
                earlier.rest = line
    os.lseek(descriptor, 0, os.SEEK_END)
    return earlier
