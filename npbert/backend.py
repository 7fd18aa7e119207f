"""Which version of an operation runs: the plain one in NumPy, or its twin compiled by numba.

The plain version is the definition and the twin computes the same, faster. Forward passes call the
operation by its one name; what is called is chosen here, from outside, by `set_backend` or by the
environment variable NPBERT_BACKEND:

    numpy   the plain versions; numba is never imported
    numba   the twins; an error if numba cannot be imported
    auto    the twins where numba can be imported, else the plain versions (the default)

numba is looked for when a twin is first wanted, and a twin is compiled when it is first called; the
machine code is kept on disk for the next process.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

BACKENDS = ("auto", "numpy", "numba")

_chosen: str | None = None  # by set_backend; None leaves it to the environment


def set_backend(name: str | None) -> None:
    """Choose "numpy", "numba" or "auto" for this process; None gives NPBERT_BACKEND its say again.

    Raises ValueError for another name, ImportError where numba is chosen and cannot be imported.
    """
    global _chosen
    if name is not None:
        _check(name, "set_backend was given")
    _chosen = name


def get_backend() -> str:
    """Return the version that runs now: "numpy" or "numba"."""
    name = _chosen or os.environ.get("NPBERT_BACKEND") or "auto"
    _check(name, "the environment variable NPBERT_BACKEND is")
    if name == "auto":
        return "numpy" if _trouble_with_numba() else "numba"
    return name


def _check(name: str, origin: str) -> None:
    if name not in BACKENDS:
        raise ValueError(f"{origin} {name!r}, expected one of {', '.join(BACKENDS)}")
    if name == "numba" and (trouble := _trouble_with_numba()):
        raise ImportError(f"{origin} 'numba', which cannot be imported: {trouble}")


@functools.cache
def _trouble_with_numba() -> str:
    """Return why numba cannot be used, "" where it can."""
    try:  # that it is installed is not enough: it may refuse this NumPy, or lack its library
        importlib.import_module("numba")
    except (ImportError, OSError) as error:
        return str(error)
    return ""


class Operation:
    """A function with a plain definition and, by `@operation.twin`, loops for numba to compile."""

    def __init__(self, plain: Callable):
        functools.update_wrapper(self, plain)
        self.plain = plain
        self.loops: Callable = plain

    def twin(self, loops: Callable) -> Callable:
        """Register the loops that numba compiles; they take the same arguments."""
        self.loops = loops
        return loops

    @functools.cached_property
    def compiled(self) -> Callable:
        import numba

        # The twins use one thread each. A second pool of threads beside that of the matrix
        # products makes both wait for each other: forward passes up to 30 times slower.
        try:
            return numba.njit(cache=True)(self.loops)
        except RuntimeError:  # no folder that the machine code could be kept in
            return numba.njit(self.loops)

    def __call__(self, *arguments: Any) -> Any:
        run = self.compiled if get_backend() == "numba" else self.plain
        return run(*arguments)
