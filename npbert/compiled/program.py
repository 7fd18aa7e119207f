"""A model's layers as a list of steps, written once and then run by threads in compiled code.

What a layer costs beside its products is Python's calls, arrays made anew, and threads that wait to
be woken: a layer of MobileBERT has thirty operations of some millionths of a second. So the twins
of the layers write down what they would call, as a `Program`, and `run` does it in one compiled
call, with all threads inside. The weights are read where they lie, in the checkpoint's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from npbert.compiled import steps
from npbert.compiled.steps import FIELDS, PANEL
from npbert.compiled.texts import current_runs
from npbert.compiled.threads import count_threads, together

CHUNK = 256  # tokens that run together: whole texts, until there are so many
FEW = 4_000_000  # multiplications, for which waking another thread does not pay
ACTIVATIONS = {  # those that a product applies while its results are in registers
    "gelu": steps.GELU,
    "gelu_python": steps.GELU,
    "linear": steps.NO_ACTIVATION,
    "relu": steps.RELU,
}


class NotCovered(Exception):
    """The compiled steps do not have something that a config or a parameter asks for."""


class Channels(NamedTuple):
    """Channels of a buffer: all of them, or some."""

    buffer: int
    width: int  # channels of the whole buffer
    first: int = 0

    def after(self, channels: int) -> Channels:
        """Return the channels that begin so many later."""
        return self._replace(first=self.first + channels)


class Program:
    """The steps from rows of tokens [N, D] to rows of tokens, written by its methods in order.

    The methods raise NotCovered for parameters that are no float32 numbers in rows.
    """

    def __init__(self, width: int):
        self.rows, self.eps = [], []
        self.widths: list[int] = [0, 0]  # of the buffers; the first two are the rows themselves
        self.width = width  # of what enters
        self.scratch = [0, PANEL * steps.BLOCK]  # numbers that a thread needs for itself: for each token, and beside
        self.kept: list[Any] = []  # parameters whose addresses the steps hold
        self.multiplications = 0  # for each token

    def buffer(self, width: int) -> Channels:
        """Return a new buffer for so many channels."""
        self.widths.append(width)
        return Channels(len(self.widths) - 1, width)

    def enter(self) -> Channels:
        """Read the tokens; return the buffer that they are in."""
        target = self.buffer(self.width)
        self._add(steps.ENTER, Channels(0, self.width), target, rows=self.width)
        return target

    def leave(self, source: Channels) -> None:
        """Give all channels of a buffer as the result."""
        self.widths[1] = source.width
        self._add(steps.LEAVE, source, Channels(1, source.width), rows=source.width)
        self.wait()

    def wait(self) -> None:
        """Let the threads wait for each other before the next step."""
        self.rows[-1][steps.WAIT] = 1

    def linear(
        self,
        source: Channels,
        p: Any,
        target: Channels,
        activation: str = "linear",
        add: Channels | None = None,
        multiply: Channels | None = None,
        scale: Any = None,
        weight: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        groups: int = 1,
        transposed: bool = False,
    ) -> None:
        """Multiply, add the bias, activate, add or multiply by other channels, scale and shift.

        weight [O, I/G]: p.weight unless given, or [G, I/G, O/G] if `transposed`. scale: the
        parameters of a NoNorm, or None.
        """
        if activation not in ACTIVATIONS:
            raise NotCovered(activation)
        weight = p.weight if weight is None else weight
        bias = p.bias if bias is None else bias
        if transposed:
            groups, terms, results = weight.shape
            strides = 4, 4 * results, 4 * terms * results
        else:
            results, terms = weight.shape[0] // groups, weight.shape[1]
            strides = 4 * terms, 4, 4 * terms * results
        combine = add or multiply
        self._add(
            steps.PRODUCT,
            source,
            target,
            combine,
            weight=weight,
            bias=bias,
            scale=None if scale is None else scale.weight,
            shift=None if scale is None else scale.bias,
            rows=results,
            terms=terms,
            groups=groups,
            strides=strides,
            activation=ACTIVATIONS[activation],
            combine=steps.ADD if add else steps.MULTIPLY if multiply else steps.NOTHING,
        )
        self.multiplications += groups * results * terms

    def convolution(
        self,
        source: Channels,
        p: Any,
        target: Channels,
        activation: str = "linear",
        add: Channels | None = None,
    ) -> None:
        """Convolve one token wide, in groups of channels: weight [O, I/G, 1]."""
        weight = p.weight[:, :, 0]
        groups = source.width // weight.shape[1]
        self.linear(source, p, target, activation, add, weight=weight, groups=groups)

    def norm(self, source: Channels, p: Any, eps: float, target: Channels) -> None:
        """Normalise each token over its channels."""
        D = source.width
        self._add(steps.NORM, source, target, scale=p.weight, shift=p.bias, rows=D, eps=eps)

    def attention(self, source: Channels, H: int, target: Channels) -> None:
        """Attend: the source has the channels of the queries, of the keys and of the values."""
        A = source.width // 3
        self._add(steps.ATTENTION, source, target, rows=A, heads=H)
        self._reserve(2 * A // H + 1 + PANEL, PANEL * (2 * A // H + 4))

    def depthwise(self, source: Channels, weight: np.ndarray, target: Channels) -> None:
        """Convolve each channel by a filter of its own, weight [D, 1, K]."""
        D, _, K = weight.shape
        self._add(steps.DEPTHWISE, source, target, weight=weight, rows=D, terms=K)
        self._reserve(2, 4 * PANEL + 4 * K)

    def dynamic(
        self, source: Channels, filters: Channels, H: int, K: int, target: Channels
    ) -> None:
        """Convolve the channels of H heads by filters of K weights, given by their scores."""
        A = source.width
        self._add(steps.DYNAMIC, source, target, filters, rows=A, terms=K, heads=H)
        self._reserve(K + 2, (K + 4) * (PANEL + 4) + 4 * K)

    def _reserve(self, for_each_token: int, beside: int) -> None:
        """Note the scratch memory of a step."""
        self.scratch = [max(self.scratch[0], for_each_token), max(self.scratch[1], beside)]

    def _add(
        self,
        kind: int,
        source: Channels,
        target: Channels,
        other: Channels | None = None,
        weight: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        shift: np.ndarray | None = None,
        rows: int = 0,
        terms: int = 0,
        groups: int = 1,
        strides: tuple[int, int, int] = (0, 0, 0),
        activation: int = steps.NO_ACTIVATION,
        combine: int = steps.NOTHING,
        heads: int = 0,
        eps: float = 0.0,
    ) -> None:
        places = []
        for channels in (source, target, other or Channels(0, 0)):
            places += [channels.buffer, channels.width, channels.first]
        addresses = [self._address(array) for array in (weight, bias, scale, shift)]
        fields = [kind, 0, *places, *addresses, rows, terms, groups, *strides, activation, combine]
        self.rows.append([*fields, heads])
        self.eps.append(eps)

    def _address(self, array: np.ndarray | None) -> int:
        if array is None:
            return 0
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            raise NotCovered("a parameter that is no row of float32 numbers")
        self.kept.append(array)
        return address(array)

    def finished(self) -> Program:
        """Return the program itself, its steps as arrays."""
        self.table = np.array(self.rows, np.int64).reshape(-1, FIELDS)
        self.epsilons = np.array(self.eps)
        return self

    def run(
        self, x: np.ndarray, width: int, lengths: Sequence[int], mask_bias: np.ndarray | None
    ) -> np.ndarray:
        """Run the steps on rows of tokens [N, D] of texts of these lengths: [N, width].

        mask_bias: what is added to the scores of each token as a key, [N], or None.
        """
        x = np.ascontiguousarray(x)
        out = np.empty((len(x), width), np.float32)
        first = start = 0
        for i in range(len(lengths)):  # whole texts, until there are CHUNK tokens
            tokens = sum(lengths[first : i + 1])
            if i + 1 == len(lengths) or tokens + lengths[i + 1] > CHUNK:
                chunk = slice(start, start + tokens)
                bias = None if mask_bias is None else np.ascontiguousarray(mask_bias[chunk])
                self._run(x[chunk], out[chunk], lengths[first : i + 1], bias)
                first, start = i + 1, start + tokens
        return out

    def _run(
        self, x: np.ndarray, out: np.ndarray, lengths: Sequence[int], bias: np.ndarray | None
    ) -> None:
        panels = (len(x) + PANEL - 1) // PANEL
        sizes = [0, 0, *(PANEL * panels * width for width in self.widths[2:])]
        threads = count_threads() if self.multiplications * len(x) > FEW else 1
        alone = self.scratch[0] * (max(lengths) + PANEL) + self.scratch[1]
        alone = (alone + PANEL) // PANEL * PANEL
        memory = np.zeros(sum(sizes) + threads * alone + PANEL, np.float32)
        begin = (address(memory) + 127) // 128 * 128  # where a vector of 64 bytes begins, too
        places = begin + 4 * np.concatenate([[0], np.cumsum([*sizes, *[alone] * threads])])
        buffers = places[: len(sizes)]
        buffers[:2] = address(x), address(out)
        texts = np.empty((len(lengths), 2), np.int64)
        texts[:, 1] = lengths
        texts[:, 0] = np.cumsum(texts[:, 1]) - texts[:, 1]
        counters = np.zeros(len(self.table) + 1, np.int64)
        kept = (x, out, memory, bias, counters)
        together(
            steps.run, threads, kept, self.table, self.epsilons, buffers, texts, len(x),
            0 if bias is None else address(bias), places[len(sizes) :], address(counters),
        )  # fmt: skip


def address(array: np.ndarray) -> int:
    """Return where an array's numbers begin in memory."""
    return array.__array_interface__["data"][0]


# ---- what the twins of the families' layers have in common ---------------------------------


def layers(
    write: Callable[[Program, Channels, Any, Any], Channels], x: np.ndarray, p: Any, config: Any,
    inputs: Any,
) -> Any:
    """Run all layers of an encoder at once; NotImplemented where the definition has to.

    write: adds the steps of all layers to a program and returns where the result is.
    """
    bias = inputs.mask_bias
    if inputs.every_layer or x.dtype != np.float32 or bias.shape[1:3] != (1, 1):
        return NotImplemented
    program = prepared(write, x.shape[-1], p, config)
    if program is None:
        return NotImplemented
    B, T, D = x.shape
    lengths = [run.length for run in current_runs() for _ in range(run.texts)] or [T] * B
    masked = np.broadcast_to(bias[:, 0, 0], (B, T)).reshape(-1) if bias.any() else None
    out = program.run(x.reshape(-1, D), program.widths[1], lengths, masked)
    return iter([(out.reshape(B, T, -1), None)])


def prepared(write: Any, width: int, p: Any, config: Any) -> Program | None:
    """Return the program of an encoder's layers, None where they are not covered.

    It is kept beside the parameters until one of them is replaced by another array.
    """
    key = (write, type(p).changes)
    kept = vars(p).get("_program")
    if kept and kept[0] == key:
        return kept[1]
    program: Program | None = Program(width)
    try:
        source = program.enter()
        program.wait()
        program.leave(write(program, source, p, config))
        program.finished()
    except NotCovered:
        program = None
    vars(p)["_program"] = key, program
    return program
