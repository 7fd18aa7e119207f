"""What readers of files share: errors that name the file, and limits."""

import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

MAX_SIZE = 2**63 - 1  # the largest index that NumPy can hold
MAX_DIMENSIONS = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32  # NumPy's

short = reprlib.Repr()  # whatever a damaged file holds, its error stays one readable line
short.maxstring = short.maxother = 200
short.maxlong, short.maxlist = 40, 33


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let the message of every ValueError in the block begin with a file's path."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None
