"""Which format a file of a corpus has: the ending of its name says so."""

from __future__ import annotations

import os
import stat

TEXT, JSON_LINES, CSV, PARQUET = ".txt", ".jsonl", ".csv", ".parquet"
ENDINGS = (TEXT, JSON_LINES, CSV, PARQUET)
LINES = ""  # of a name without an ending, and of a pipe


def format_of(path: str) -> str:
    """Return which of ENDINGS a file has, or LINES for "-" and a name without an ending.

    Raises ValueError for another ending, and for a .csv or .parquet that is a pipe: these are read
    more than once.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending and ending not in ENDINGS:
        raise ValueError(
            f"{path} ends in {ending}, expected {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} "
            "(- takes lines of any file, and gives lines of JSON)"
        )
    if ending in (CSV, PARQUET) and not _may_be_regular(path):
        raise ValueError(f"{path} is no regular file, as a {ending} has to be")
    return ending


def _may_be_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # said when it is opened
        return True


def import_pyarrow(path: str) -> None:
    """Raise ImportError, in words, where a Parquet file cannot be read or written."""
    try:
        import pyarrow.parquet  # noqa: F401  # which is not in every pyarrow
    except ImportError as error:
        raise ImportError(
            f"{path}: Parquet needs pyarrow (python -m pip install 'npbert[data]'): {error}"
        ) from None
