"""Other layouts of an array: its axes in another order, one too many, one too few."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """An array as it was given, laid out as it is expected.

    about   what was found, to follow "it"
    turn    the order of its axes that is the expected one; () where their number was another
    array   the array in the expected shape
    """

    about: str
    turn: tuple[int, ...]
    array: np.ndarray


def other_layouts(given: np.ndarray, shape: tuple[int, ...]) -> Iterator[Layout]:
    """Yield an array in every other layout that has the expected shape, the likeliest first."""
    if given.ndim > 6:
        return
    if given.ndim == len(shape):
        for turn, turned in turns(given, shape):
            if turn != tuple(range(given.ndim)):
                order = list(turn)
                yield Layout(
                    f"is transposed: right with its axes in the order {order}", turn, turned
                )
        return
    if given.size != np.prod(shape, dtype=int) or given.size < 2:
        return
    sizes = list(given.shape)
    if given.ndim + 1 == len(shape) and shape[0] == 1:
        for turn, turned in turns(given, shape[1:]):
            about = f"has shape {sizes}, without the axis of the batch: right with it"
            yield Layout(about + and_turned(turn), (), turned[None])
    elif given.ndim == len(shape) + 1 and 1 in given.shape:
        for axis in [axis for axis, size in enumerate(given.shape) if size == 1]:
            for turn, turned in turns(given.squeeze(axis), shape):
                about = f"has shape {sizes}, with an axis of length 1 too many: right without it"
                yield Layout(about + and_turned(turn), (), turned)
    about = f"has shape {sizes}: right when reshaped to {list(shape)}"
    yield Layout(about, (), given.reshape(shape))


def turns(
    array: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Yield every order of axes in which an array has this shape, its own first."""
    for turn in itertools.permutations(range(array.ndim)):
        if tuple(array.shape[axis] for axis in turn) == shape:
            yield turn, array.transpose(turn)


def and_turned(turn: tuple[int, ...]) -> str:
    if turn == tuple(range(len(turn))):
        return ""
    return f", and its other axes in the order {list(turn)}"
