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
    from concurrent.futures import Future, ThreadPoolExecutor

    import numpy as np

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
    part = numba.njit(nogil=True, error_model="numpy", forceinline=copied, **without)(loops)
    # numba would compile it anew for every constant that it is called with.
    with_constants = part.get_call_template

    def get_call_template(given: Any, named: Any) -> Any:
        return with_constants([numba.types.unliteral(kind) for kind in given], named)

    part.get_call_template = get_call_template
    return part


def compile_copied(loops: Callable[..., Any]) -> Callable[..., Any]:
    """Return a small function for other compiled functions, written out where it is called."""
    return compile_part(loops, copied=True)


def is_native(*arrays: np.ndarray) -> bool:
    """Return whether loops take arrays as they are: all float32, or all float64.

    Loops that mix dtypes would round where the definition does not.
    """
    return len({array.dtype.str for array in arrays}) == 1 and arrays[0].dtype in ("f4", "f8")


def share(loops: Callable[..., Any], size: int, *arguments: Any) -> None:
    """Call `loops(part, parts, *arguments)` for every part from 0 to parts - 1, in threads.

    size: how many results there are to compute, which decides how many threads are worth waking.
    """
    parts = max(1, min(count_threads(), size // SMALLEST_PART))
    calls = [functools.partial(loops, part, parts, *arguments) for part in range(parts)]
    others = [(call, _start(call)) for call in calls[1:]]
    calls[0]()
    for call, other in others:
        if other is None or other.cancel():  # nobody has begun with it
            call()
        else:
            other.result()


def together(loops: Callable[..., Any], parts: int, kept: Any, *arguments: Any) -> None:
    """Call `loops(part, parts, *arguments)` for every part at the same time, in threads.

    For loops that take their work piece by piece from a common store, part 0 all of it if need be:
    a part whose thread is busy elsewhere begins late, or not at all. kept: arrays whose addresses
    are among the arguments, so that they outlive the call in every thread, even where the caller is
    interrupted.
    """

    def help_with(part: int, kept: Any) -> None:
        loops(part, parts, *arguments)

    others = [_start(help_with, part, kept) for part in range(1, parts)]
    loops(0, parts, *arguments)
    for other in others:
        if other is not None and not other.cancel():
            other.result()


def _start(function: Callable[..., Any], *arguments: Any) -> Future[None] | None:
    """Let another thread call a function; None where there is no other thread.

    No thread starts where the process may have no more of them, or when the interpreter is ending
    while a thread of the caller's still works.
    """
    try:
        return _helpers().submit(function, *arguments)
    except RuntimeError:
        return None


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


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: a child starts its own
    os.register_at_fork(after_in_child=_helpers.cache_clear)
