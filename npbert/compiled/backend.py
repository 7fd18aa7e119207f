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
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

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


def chosen_backend() -> str | None:
    """Return what `set_backend` was last given, so that it can be put back."""
    return _chosen


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


# ---- threads -------------------------------------------------------------------------------

# numba's own pools of threads are not used. That of OpenMP spins while it waits, and so takes the
# cores from the threads of the matrix products: forward passes up to 30 times slower. The one that
# does not, workqueue, ends the process when two Python threads call it at once. The threads below
# sleep while they wait, and any number of callers may share them.

SMALLEST_PART = 2**15  # so many results at least: for fewer, waking a thread does not pay


@functools.cache
def count_threads() -> int:
    """Return how many threads share a twin: NUMBA_NUM_THREADS, OMP_NUM_THREADS or all cores."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        if (said := os.environ.get(name, "")).isdecimal():
            return max(1, int(said))
    if hasattr(os, "sched_getaffinity"):  # the cores that this process may use, on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _helpers() -> ThreadPoolExecutor:
    """Return the threads that help the caller's own; they start when they are first wanted."""
    from concurrent.futures import ThreadPoolExecutor  # the plain path can do without it

    return ThreadPoolExecutor(max(1, count_threads() - 1), thread_name_prefix="npbert")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: a child starts its own
    os.register_at_fork(after_in_child=_helpers.cache_clear)


# ---- operations ----------------------------------------------------------------------------


class Operation:
    """A function with a plain definition and, by `@operation.twin`, loops for numba to compile."""

    def __init__(self, plain: Callable):
        functools.update_wrapper(self, plain)
        self.plain = plain
        self.loops: Callable = plain
        self.make_out: Callable | None = None

    def twin(self, loops: Callable) -> Callable:
        """Register the loops that numba compiles; they take the same arguments."""
        self.loops = loops
        return loops

    def shared_twin(self, make_out: Callable) -> Callable:
        """Register loops that threads share: `loops(out, part, parts, *arguments)`.

        `make_out(*arguments)` allocates the result, and each call of the loops fills one part of
        it, 0 to parts - 1. The arrays they get are contiguous, whatever the caller's are.
        """

        def register(loops: Callable) -> Callable:
            self.loops, self.make_out = loops, make_out
            return loops

        return register

    @functools.cached_property
    def compiled(self) -> Callable:
        import numba

        options: dict[str, Any] = {}
        if self.make_out:
            # Sums in any order, as in a matrix product, can be made many terms at a time, and so
            # can quotients that nobody checks for 0. NaN and infinities stay what they are.
            options = {"nogil": True, "fastmath": {"reassoc", "contract"}, "error_model": "numpy"}
        try:
            return numba.njit(cache=True, **options)(self.loops)
        except RuntimeError:  # no folder that the machine code could be kept in
            return numba.njit(self.loops, **options)

    def __call__(self, *arguments: Any) -> Any:
        if get_backend() == "numpy":
            return self.plain(*arguments)
        if self.make_out is None:
            return self.compiled(*arguments)
        contiguous = [np.asarray(a, order="C") if isinstance(a, np.ndarray) else a
                      for a in arguments]  # fmt: skip
        out = self.make_out(*contiguous)
        if out.ndim == 0:  # a single number
            return self.plain(*arguments)
        parts = max(1, min(count_threads(), out.size // SMALLEST_PART))
        run, call = self.compiled, (parts, *contiguous)
        others = [_helpers().submit(run, out, part, *call) for part in range(1, parts)]
        run(out, 0, *call)
        for other in others:
            other.result()
        return out
