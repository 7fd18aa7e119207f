"""What readers of files share: errors that name the file, warnings, and limits."""

import os
import reprlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

MAX_SIZE = 2**63 - 1  # the largest index that NumPy can hold
MAX_DIMENSIONS = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32  # NumPy's


class _Short(reprlib.Repr):
    """`short.repr` of whatever JSON can hold is one readable line, and quickly made."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxlong = 2, 33, 40
        self.maxstring = self.maxother = 200

    def repr(self, x: object) -> str:
        text = super().repr(x)
        return text if len(text) <= 400 else f"{text[:400]}..."

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= 50 else f"{x[:50]!r}..."


short = _Short()


def shown(name: str) -> str:
    """Return a name from a file as it is, or in short where it is long or not printable."""
    return name if name.isprintable() and len(name) <= 200 else short.repr(name)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let the message of every ValueError in the block begin with a path, or another place."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def warn(message: str) -> None:
    """Warn at the line that called npbert, through whatever file of it."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "npbert":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
