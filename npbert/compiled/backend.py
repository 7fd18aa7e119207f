"""Which version of an operation runs: its definition in NumPy, or its twin compiled by numba.

The definition says what is computed and the twin computes the same, faster. Forward passes call an
operation by its one name; which version that is, is chosen from outside, by `set_backend` or by the
environment variable NPBERT_BACKEND:

    numpy   the definitions; numba is never imported
    numba   the twins; an error if numba cannot be imported
    auto    the twins where numba can be imported, else the definitions (the default)

The choice is made once for a forward pass, at its start, and holds to its end (`using`). A twin is
compiled when it is first called; the machine code is kept on disk for the next process.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from npbert.compiled.texts import Axes, current_runs, text_by_text

BACKENDS = ("auto", "numpy", "numba")

_chosen: str | None = None  # by set_backend; None leaves it to the environment
# What the forward pass that runs in this thread was begun with; None outside of one.
_running: ContextVar[str | None] = ContextVar("npbert_backend", default=None)


def set_backend(name: str | None) -> None:
    """Choose "numpy", "numba" or "auto" for this process.

    None falls back to the environment variable NPBERT_BACKEND. Forward passes that are running, in
    whatever thread, finish with what they began with.
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
    running = _running.get()
    if running is not None:
        return running
    name = _chosen or os.environ.get("NPBERT_BACKEND") or "auto"
    _check(name, "the environment variable NPBERT_BACKEND is")
    if name == "auto":
        return "numpy" if _trouble_with_numba() else "numba"
    return name


@contextmanager
def using(name: str) -> Iterator[None]:
    """Let operations that this thread calls run as "numpy" or "numba", whatever else is chosen."""
    before = _running.set(name)
    try:
        yield
    finally:
        _running.reset(before)


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


# ---- operations ----------------------------------------------------------------------------

Function = TypeVar("Function", bound=Callable[..., Any])
OPERATIONS: list[Operation] = []  # every operation that has a twin


class Operation:
    """A function with two versions: its definition, `plain`, and the twin of the same name.

    The twin of npbert.ops.softmax is npbert.compiled.ops.softmax.

    has_twin  False for a definition without a twin
    tokens    the token axes of the arguments and of the results, of an operation that mixes tokens:
              in a batch of texts without padding it is called text by text
    """

    def __init__(
        self,
        plain: Callable[..., Any],
        has_twin: bool = True,
        tokens: tuple[Axes, Axes] | None = None,
    ):
        functools.update_wrapper(self, plain)
        self.plain, self.has_twin, self.tokens = plain, has_twin, tokens
        OPERATIONS.append(self)

    @functools.cached_property
    def twin(self) -> Callable[..., Any]:
        if not self.has_twin:
            return self.plain
        room = self.plain.__module__.rpartition(".")[2]
        return getattr(importlib.import_module(f"npbert.compiled.{room}"), self.plain.__name__)

    def __call__(self, *arguments: Any) -> Any:
        if get_backend() != "numpy" and self.has_twin:
            if self.tokens and current_runs():
                result = text_by_text(self.twin, arguments, *self.tokens)
            else:
                result = self.twin(*arguments)
            if result is not NotImplemented:
                return result
        if self.tokens and current_runs():
            return text_by_text(self.plain, arguments, *self.tokens)
        return self.plain(*arguments)


def operation(has_twin: bool = True, tokens: tuple[Axes, Axes] | None = None) -> Any:
    """Mark a definition that has a compiled twin in npbert/compiled, in a file of the same name.

    `@operation()`; the arguments are those of `Operation`.
    """

    def mark(definition: Function) -> Function:
        return cast(Function, Operation(definition, has_twin, tokens))

    return mark
