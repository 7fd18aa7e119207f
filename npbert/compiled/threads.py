"""How a twin is compiled, and how threads share its work.

numba's own pools of threads are not used. That of OpenMP spins while it waits, and so takes the
cores from the threads of the matrix products: forward passes up to 30 times slower. The one that
does not, workqueue, ends the process when two Python threads call it at once. The threads here
sleep while they wait, and any number of callers may share them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from npbert.compiled.cache import guard

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from threading import BoundedSemaphore

SMALLEST_PART = 2**15  # so many results at least: for fewer, waking a thread does not pay


def compile_loops(loops: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function compiled by numba, without the GIL, its machine code kept on disk.

    Sums may be taken in any order, as in a matrix product, and so be made many terms at a time, and
    quotients are not checked for 0. NaN and infinities stay what they are.
    """
    import numba

    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"reassoc", "contract"},
        "error_model": "numpy",
    }
    try:
        return guard(numba.njit(cache=True, **options)(loops))
    except RuntimeError:  # no folder that the machine code could be kept in
        return numba.njit(**options)(loops)


def compile_part(loops: Callable[..., Any], copied: bool = False) -> Callable[..., Any]:
    """Return a function for other compiled functions only, compiled in less time than for Python.

    copied: whether its code is written out wherever it is called.
    """
    import numba

    without: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(nogil=True, error_model="numpy", forceinline=copied, **without)(loops)


def compile_copied(loops: Callable[..., Any]) -> Callable[..., Any]:
    """Return a small function for other compiled functions, written out where it is called."""
    return compile_part(loops, copied=True)


def share(loops: Callable[..., Any], size: int, *arguments: Any) -> None:
    """Call `loops(part, parts, *arguments)` for every part from 0 to parts - 1, in threads.

    size: how many results there are to compute, which decides how many threads are worth waking.
    """
    parts = max(1, min(count_threads(), size // SMALLEST_PART))
    others = [_helpers().submit(loops, part, parts, *arguments) for part in range(1, parts)]
    loops(0, parts, *arguments)
    for other in others:
        other.result()


def together(loops: Callable[..., Any], parts: int, kept: Any, *arguments: Any) -> None:
    """Call `loops(part, parts, *arguments)` for every part at the same time, in threads.

    For loops in which the parts wait for each other: there are as many parts, at most `parts`, as
    threads are idle, and one where another pass has taken them all. kept: arrays whose addresses
    are among the arguments, so that they outlive the call in every thread.
    """
    helpers = 0
    while helpers + 1 < parts and _idle().acquire(blocking=False):
        helpers += 1

    def help_with(part: int, kept: Any) -> None:
        try:
            loops(part, helpers + 1, *arguments)
        finally:
            _idle().release()

    others = [_helpers().submit(help_with, part, kept) for part in range(1, helpers + 1)]
    loops(0, helpers + 1, *arguments)
    for other in others:
        other.result()


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
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max(1, count_threads() - 1), thread_name_prefix="npbert")


@functools.cache
def _idle() -> BoundedSemaphore:
    """Return the count of helping threads that no other call of `together` has taken."""
    from threading import BoundedSemaphore

    return BoundedSemaphore(max(1, count_threads() - 1))


def _forget() -> None:
    _helpers.cache_clear()
    _idle.cache_clear()


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: a child starts its own
    os.register_at_fork(after_in_child=_forget)
