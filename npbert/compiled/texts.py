"""Texts of any lengths in one batch, without padding: which tokens belong to which text.

All tokens of the batch stand in one row, [1, N, D]. What treats tokens by themselves (linear maps,
norms, activations) runs on all of them at once. An operation that mixes tokens (attention, a
convolution) declares the token axes of its arguments and results, and is called text by text:
texts of one length that stand next to each other, a run, in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

Axes = tuple[int | None, ...]  # the token axis of each array, None for one without


class Keep(NamedTuple):
    """What is wanted of an encoder beside the output of its last layer."""

    states: bool = False  # the outputs of all layers
    attentions: bool = False


ALL = Keep(states=True, attentions=True)


class Run(NamedTuple):
    """Texts of one length that stand next to each other."""

    start: int  # the first token
    texts: int
    length: int  # tokens of each

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + self.texts * self.length)


_runs: ContextVar[tuple[Run, ...]] = ContextVar("npbert_texts", default=())


@contextmanager
def texts_of(lengths: Sequence[int]) -> Iterator[tuple[Run, ...]]:
    """Let operations of this thread take their tokens for those of texts of these lengths."""
    runs, start = [], 0
    for length, group in groupby(lengths):
        runs.append(Run(start, len([*group]), length))
        start += runs[-1].texts * length
    before = _runs.set(tuple(runs))
    try:
        yield tuple(runs)
    finally:
        _runs.reset(before)


def current_runs() -> tuple[Run, ...]:
    """Return the runs of the batch that is being computed, none for one of padded rows."""
    return _runs.get()


def text_by_text(
    function: Callable[..., Any], arguments: Sequence[Any], inputs: Axes, outputs: Axes
) -> Any:
    """Call a function for every run of texts, and put its results together again.

    inputs, outputs: the token axis of every argument and of every result. A result without one is
    None: it would be different for every text.
    """
    found = []
    for run in _runs.get():
        given = [cut(a, axis, run) for a, axis in zip(arguments, inputs, strict=True)]
        results = function(*given)
        found.append(results if isinstance(results, tuple) else (results,))
    whole = tuple(
        None if axis is None else joined([results[i] for results in found], axis)
        for i, axis in enumerate(outputs)
    )
    return whole if len(outputs) > 1 else whole[0]


def cut(array: Any, axis: int | None, run: Run) -> Any:
    """Return the tokens of a run with the texts on the first axis: [1, .., N, ..] -> a batch."""
    if axis is None:
        return array
    part = array[(slice(None),) * axis + (run.tokens,)]
    shape = (*part.shape[1:axis], run.texts, run.length, *part.shape[axis + 1 :])
    return np.moveaxis(part[0].reshape(shape), axis - 1, 0)


def joined(parts: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Put the tokens of all texts in one row again, the inverse of `cut`."""
    rows = []
    for part in parts:
        turned = np.moveaxis(part, 0, axis - 1)  # texts right before their tokens
        shape = (*turned.shape[: axis - 1], -1, *turned.shape[axis + 1 :])
        rows.append(turned.reshape(shape)[None])
    return rows[0] if len(rows) == 1 else np.concatenate(rows, axis)
