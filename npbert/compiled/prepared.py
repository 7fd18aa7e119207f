"""The programs of nodes of parameters, written when they are first wanted, and run by the twins.

A program holds the addresses of its parameters. It is kept beside their node, as long as the node
is, and written anew when something else than numbers in their arrays has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from itertools import zip_longest
from operator import is_
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from npbert.compiled import curves, threads
from npbert.compiled.program import CHUNK, Channels, NotCovered, Program, address
from npbert.compiled.texts import Keep, current_runs

Writer = Callable[[Program, Channels, Any, Any], None]
_programs: WeakKeyDictionary[Any, dict[Any, Prepared]] = WeakKeyDictionary()  # of nodes


def layers(write: Writer, x: np.ndarray, p: Any, config: Any, inputs: Any) -> Any:
    """Run all layers of an encoder at once; NotImplemented where the definition has to.

    write: adds the steps of all layers to a program. Yields what `inputs.keep` asks for, the last
    layer's output in any case.
    """
    B, T, D = x.shape
    lengths = [run.length for run in current_runs() for _ in range(run.texts)] or [T] * B
    bias, keep = inputs.mask_bias, inputs.keep
    if not x.dtype == bias.dtype == np.float32:
        return NotImplemented
    if bias.any():
        bias = np.broadcast_to(bias, (B, config.heads, T, T))
    else:
        bias = None
    program = prepared(write, D, p, config, keep)
    if program is None:
        return NotImplemented
    results = program.run(x.reshape(-1, D), lengths, bias)
    attentions = [array for array in results if array.ndim == 4]
    states = [array.reshape(B, T, -1) for array in results if array.ndim == 2]
    missing = [None] * (len(attentions) - len(states))
    return zip_longest([*missing, *states], attentions)


def linear(x: np.ndarray, p: Any) -> Any:
    """Map rows [..., I] by a matrix and a bias; NotImplemented where the definition has to."""
    return row_by_row(write_linear, x, p, None)


def grouped_convolution(x: np.ndarray, p: Any) -> Any:
    """Convolve rows [..., I] one token wide; NotImplemented where the definition has to."""
    return row_by_row(write_convolution, x, p, None)


def layer_norm(x: np.ndarray, p: Any, eps: float) -> Any:
    """Normalise vectors [..., D]; NotImplemented where the definition has to."""
    return row_by_row(write_norm, x, p, eps)


def gelu(x: np.ndarray) -> np.ndarray:
    """Apply GELU to float32 numbers, whatever their shape, that follow each other in memory."""
    out = np.empty_like(x)

    def loops(part: int, parts: int) -> None:  # holds the arrays while any thread works on them
        curves.gelu_numbers(part, parts, address(x), address(out), x.size)

    threads.share(loops, x.size)
    return out


def row_by_row(write: Writer, x: np.ndarray, p: Any, options: Any) -> Any:
    """Run a program of steps that look at no other tokens on rows [..., I]."""
    if x.dtype != np.float32 or x.size == 0:
        return NotImplemented
    rows = x.reshape(-1, x.shape[-1])
    program = prepared(write, rows.shape[1], p, options, Keep())
    if program is None:
        return NotImplemented
    whole, rest = divmod(len(rows), CHUNK)
    [result] = program.run(rows, [CHUNK] * whole + [rest] * (rest > 0))
    return result.reshape(*x.shape[:-1], -1)


def write_norm(steps: Program, x: Channels, p: Any, eps: float) -> None:
    """Write the one step of a layer normalization."""
    steps.norm(x, p, eps, x)
    steps.wait()
    steps.leave(x)


def write_linear(steps: Program, x: Channels, p: Any, config: Any) -> None:
    """Write the one step of a linear map, weight [O, I]."""
    if p.weight.ndim != 2:
        raise NotCovered("no matrix")
    out = steps.buffer(len(p.weight))
    steps.linear(x, p, out)
    steps.wait()
    steps.leave(out)


def write_convolution(steps: Program, x: Channels, p: Any, config: Any) -> None:
    """Write the one step of a convolution, weight [O, I/G, 1]."""
    out = steps.buffer(len(p.weight))
    steps.convolution(x, p, out)
    steps.wait()
    steps.leave(out)


class Prepared(NamedTuple):
    """A program, and what it was written for: where that has changed, it is written anew."""

    changes: object  # the state of all nodes of parameters (params.Node)
    options: Any  # the config, as it was, or an epsilon
    lists: list[tuple[list[Any], list[Any]]]  # those of the tree, each with what it held
    program: Program | None  # None where the steps do not cover it

    def is_for(self, changes: object, options: Any) -> bool:
        """Return whether nothing has changed but numbers in the arrays of parameters."""
        return (
            self.changes is changes
            and self.options == options
            and all(len(now) == len(then) and all(map(is_, now, then)) for now, then in self.lists)
        )


def lists_below(p: Any) -> Iterator[list[Any]]:
    """Yield the lists of nodes in a tree of parameters."""
    for child in p if isinstance(p, list) else vars(p).values():
        if isinstance(child, list):
            yield child
        if isinstance(child, list) or hasattr(type(child), "changes"):
            yield from lists_below(child)


def written(write: Writer, width: int, p: Any, options: Any, keep: Keep) -> Program | None:
    """Write the program of a node of parameters; None where the steps do not cover it."""
    program = Program(width, keep)
    try:
        source = program.enter()
        program.wait()
        write(program, source, p, options)
    except NotCovered:
        return None
    program.finish()
    return program


def prepared(write: Writer, width: int, p: Any, options: Any, keep: Keep) -> Program | None:
    """Return the program of a node of parameters, kept as long as the node is."""
    known = _programs.setdefault(p, {})
    found = known.get((write, width, keep))
    if found is None or not found.is_for(type(p).changes, options):
        changes = type(p).changes  # before anything is read that may change meanwhile
        lists = [(each, [*each]) for each in lists_below(p)]
        program = written(write, width, p, options, keep)
        found = known[write, width, keep] = Prepared(changes, copy(options), lists, program)
    return found.program
