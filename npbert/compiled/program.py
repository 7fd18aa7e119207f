"""A model's layers as a list of steps, written once and then run by threads in compiled code.

What a layer costs beside its products is Python's calls, arrays made anew, and threads that wait to
be woken: a layer of MobileBERT has thirty operations of some millionths of a second. So the twins
of the layers write down what they would call, as a `Program`, and `run` does it in one compiled
call, with all threads inside. The weights are read where they lie, in the checkpoint's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

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
        self.rows: list[list[int]] = []
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
        epsilon = np.array([eps], np.float32)
        self.rows.append([*fields, heads, self._address(epsilon)])

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
        return self

    def run(
        self, x: np.ndarray, width: int, lengths: Sequence[int], mask_bias: np.ndarray | None
    ) -> np.ndarray:
        """Run the steps on rows of tokens [N, D] of texts of these lengths: [N, width].

        mask_bias: what is added to the scores of each token as a key, [N], or None.
        """
        x = np.ascontiguousarray(x)
        out = np.empty((len(x), width), np.float32)
        start = 0
        for some in in_chunks(lengths):
            chunk = slice(start, start + sum(some))
            bias = None if mask_bias is None else np.ascontiguousarray(mask_bias[chunk])
            self._run(x[chunk], out[chunk], some, bias)
            start = chunk.stop
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
        kept = (x, out, memory, bias, places, texts, counters)
        together(
            steps.run, threads, kept, address(self.table), len(self.table), address(buffers),
            address(texts), len(texts), len(x), 0 if bias is None else address(bias),
            address(places[len(sizes) :]), address(counters),
        )  # fmt: skip


def address(array: np.ndarray) -> int:
    """Return where an array's numbers begin in memory."""
    return array.__array_interface__["data"][0]


def in_chunks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the lengths of texts that run together: until there are CHUNK tokens."""
    some: list[int] = []
    for length in lengths:
        if some and sum(some) + length > CHUNK:
            yield some
            some = []
        some.append(length)
    if some:
        yield some


# ---- what the twins of the families' layers have in common ---------------------------------


Writer = Callable[[Program, Channels, Any, Any], Channels]
_programs: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # of each node of parameters


def layers(write: Writer, x: np.ndarray, p: Any, config: Any, inputs: Any) -> Any:
    """Run all layers of an encoder at once; NotImplemented where the definition has to.

    write: adds the steps of all layers to a program and returns where the result is.
    """
    bias = inputs.mask_bias
    if inputs.every_layer or bias.shape[1:3] != (1, 1):
        return NotImplemented
    B, T, D = x.shape
    lengths = [run.length for run in current_runs() for _ in range(run.texts)] or [T] * B
    masked = np.broadcast_to(bias[:, 0, 0], (B, T)).reshape(-1) if bias.any() else None
    out = compute(write, x.reshape(-1, D), p, config, lengths, masked)
    return NotImplemented if out is None else iter([(out.reshape(B, T, -1), None)])


def linear(x: np.ndarray, p: Any) -> Any:
    """Map rows [..., I] by a matrix and a bias; NotImplemented where the definition has to."""
    rows = x.reshape(-1, x.shape[-1])
    lengths = [CHUNK] * (len(rows) // CHUNK) + [len(rows) % CHUNK] * (len(rows) % CHUNK > 0)
    out = compute(write_linear, rows, p, None, lengths)
    return NotImplemented if out is None else out.reshape(*x.shape[:-1], -1)


def write_linear(steps: Program, x: Channels, p: Any, config: Any) -> Channels:
    """Write the one step of a linear map."""
    out = steps.buffer(len(p.weight))
    steps.linear(x, p, out)
    steps.wait()
    return out


def compute(
    write: Writer,
    rows: np.ndarray,
    p: Any,
    config: Any,
    lengths: Sequence[int],
    mask_bias: np.ndarray | None = None,
) -> np.ndarray | None:
    """Run the program of some parameters on rows of tokens, None where it does not cover them.

    The program is kept until an array is put in another's place in the tree of parameters.
    """
    if rows.dtype != np.float32 or rows.size == 0:
        return None
    key = write, rows.shape[1], type(p).changes
    known, program = _programs.get(p, (None, None))
    if known != key:
        try:
            program = Program(rows.shape[1])
            source = program.enter()
            program.wait()
            program.leave(write(program, source, p, config))
            program.finished()
        except NotCovered:
            program = None
        _programs[p] = key, program
    return None if program is None else program.run(rows, program.widths[1], lengths, mask_bias)
