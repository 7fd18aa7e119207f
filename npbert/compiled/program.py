"""A model's layers as a list of steps, written once and then run by threads in compiled code.

What a layer costs beside its products is Python's calls, arrays made anew, and threads that wait to
be woken: a layer of MobileBERT has thirty operations of some millionths of a second. So the twins
of the layers write down what they would call, as a `Program`, and `run` does it in one compiled
call, with all threads inside. The weights are read where they lie, in the checkpoint's own file.

table.py says what a step, a buffer and a panel of tokens are. Whatever the compiled steps do not
have, another dtype or activation, is left to the definitions, whole layers at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from npbert.compiled import products, steps, table, threads
from npbert.compiled.table import FIELDS
from npbert.compiled.texts import Keep
from npbert.compiled.vectors import PANEL

CHUNK = 512  # tokens that run together: whole texts, until there are so many
FEW = 4_000_000  # multiplications, for which waking another thread does not pay
ACTIVATIONS = {  # those that a product applies while its results are in registers
    "gelu": table.GELU,
    "gelu_python": table.GELU,
    "linear": table.NO_ACTIVATION,
    "relu": table.RELU,
}


class NotCovered(Exception):
    """The compiled steps do not have something that a config or a parameter asks for."""


class Channels(NamedTuple):
    """Channels of a buffer: all of them, or some."""

    buffer: int
    of_buffer: int  # how many the whole buffer has
    first: int
    width: int  # how many there are from the first one on

    def some(self, first: int, width: int) -> Channels:
        """Return `width` of these channels, from the one at `first` on."""
        return self._replace(first=self.first + first, width=width)


class Program:
    """The steps from rows of tokens [N, D] to rows of tokens, written by its methods in order.

    Steps between one `wait` and the next run at the same time, as threads find time for them: none
    of them may read, or write, what another one writes.

    The methods raise NotCovered for parameters that are not float32, or that do not have the shape
    that the widths of the channels ask for. Compiled code would read past their ends; a definition
    broadcasts them, or says what does not fit.
    """

    def __init__(self, width: int, keep: Keep):
        self.rows: list[list[int]] = []
        self.widths: list[int] = [0]  # of the buffers; the first is the rows of tokens themselves
        self.results: dict[int, tuple[int, str]] = {}  # buffers that are results: width, kind
        self.width = width  # of what enters
        self.keep = keep
        # Numbers that a thread needs for itself: for each token of the longest text, and beside.
        self.scratch = (0, PANEL * products.BLOCK)
        self.kept: list[Any] = []  # parameters whose addresses the steps hold
        self.multiplications = 0  # for each token

    def buffer(self, width: int) -> Channels:
        """Return a new buffer for so many channels."""
        self.widths.append(width)
        return Channels(len(self.widths) - 1, width, 0, width)

    def enter(self) -> Channels:
        """Read the tokens; return the buffer that they are in."""
        target = self.buffer(self.width)
        self._add(table.ENTER, Channels(0, self.width, 0, self.width), target, rows=self.width)
        return target

    def leave(self, source: Channels) -> None:
        """Give all channels of a buffer as a result, [N, width]."""
        target = self._result(source.width, "rows")
        self._add(table.LEAVE, source, target, rows=source.width)
        self.wait()

    def state(self, x: Channels, is_last: bool) -> None:
        """Give the output of a layer, where those of all layers are wanted or it is the last."""
        if is_last or self.keep.states:
            self.leave(x)

    def _result(self, width: int, kind: str) -> Channels:
        self.widths.append(0)
        self.results[len(self.widths) - 1] = width, kind
        return Channels(len(self.widths) - 1, width, 0, width)

    def wait(self) -> None:
        """Let the threads wait for each other before the next step."""
        self.rows[-1][table.WAIT] = 1

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
    ) -> None:
        """Multiply, add the bias, activate, add or multiply by other channels, scale and shift.

        weight [O, I], or [G, O/G, I/G] in groups, however it lies in memory, and bias [O]: those
        of p unless given. scale: the parameters of a NoNorm, or None.
        """
        if activation not in ACTIVATIONS:
            raise NotCovered(activation)
        weight = p.weight if weight is None else weight
        if weight.ndim == 2:
            weight = weight[None]
        groups, results, terms = weight.shape if weight.ndim == 3 else (0, 0, 0)
        if (groups * results, groups * terms) != (target.width, source.width):
            raise NotCovered("a matrix that does not fit")
        group_step, row_step, column_step = weight.strides
        combine, other = table.NOTHING, add or multiply
        if other:
            combine = table.ADD if add else table.MULTIPLY
            assert other.width == target.width
        O = target.width
        self._add(
            table.PRODUCT,
            source,
            target,
            other,
            weight=self._address(weight),
            bias=self._numbers(p.bias if bias is None else bias, O),
            scale=0 if scale is None else self._numbers(scale.weight, O),
            shift=0 if scale is None else self._numbers(scale.bias, O),
            rows=results,
            terms=terms,
            groups=groups,
            strides=(row_step, column_step, group_step),
            activation=ACTIVATIONS[activation],
            combine=combine,
        )
        self.multiplications += O * terms

    def convolution(
        self,
        source: Channels,
        p: Any,
        target: Channels,
        activation: str = "linear",
        add: Channels | None = None,
    ) -> None:
        """Convolve one token wide, in groups of channels: weight [O, I/G, 1]."""
        O, group_width, _ = p.weight.shape
        groups = max(1, source.width // group_width)
        if p.weight.shape != (target.width, source.width // groups, 1) or O % groups:
            raise NotCovered("filters that do not fit")
        weight = p.weight.reshape(groups, O // groups, group_width)
        self.linear(source, p, target, activation, add, weight=weight)

    def norm(self, source: Channels, p: Any, eps: float, target: Channels) -> None:
        """Normalise each token over its channels."""
        D = source.width
        assert target.width == D
        scale, shift = self._numbers(p.weight, D), self._numbers(p.bias, D)
        self._add(table.NORM, source, target, scale=scale, shift=shift, rows=D, eps=eps)

    def attention(
        self, source: Channels, H: int, target: Channels, gives_scores: bool = False
    ) -> None:
        """Attend: the source has the channels of the queries, of the keys and of the values.

        Where attentions are wanted, the probabilities are a result, or the masked scores.
        """
        A = source.width // 3
        assert source.first == 0 and A % H == 0
        kept, combine = None, table.NOTHING
        if self.keep.attentions:
            kept = self._result(H, "attentions")
            combine = table.SCORES if gives_scores else table.PROBS
        self._add(table.ATTENTION, source, target, kept, rows=A, heads=H, combine=combine)
        self._reserve(2 * A // H + 1 + PANEL, PANEL * (2 * A // H + 4))

    def depthwise(self, source: Channels, weight: np.ndarray, target: Channels) -> None:
        """Convolve each channel by a filter of its own, weight [D, 1, K]."""
        D, K = source.width, weight.shape[-1]
        assert (source.of_buffer, target.of_buffer) == (D, D)
        filters = self._numbers(weight, D, 1, K)
        self._add(table.DEPTHWISE, source, target, weight=filters, rows=D, terms=K)
        self._reserve(2, 4 * PANEL + 4 * K)

    def dynamic(
        self, source: Channels, filters: Channels, H: int, K: int, target: Channels
    ) -> None:
        """Convolve the channels of H heads by filters of K weights, given by their scores."""
        A = source.width
        assert filters.width == H * K and A % H == 0
        self._add(table.DYNAMIC, source, target, filters, rows=A, terms=K, heads=H)
        self._reserve(K + 2, (K + 4) * (PANEL + 4) + 4 * K)

    def _reserve(self, for_each_token: int, beside: int) -> None:
        """Note the scratch memory of a step."""
        self.scratch = max(self.scratch[0], for_each_token), max(self.scratch[1], beside)

    def _add(
        self,
        kind: int,
        source: Channels,
        target: Channels,
        other: Channels | None = None,
        weight: int = 0,
        bias: int = 0,
        scale: int = 0,
        shift: int = 0,
        rows: int = 0,
        terms: int = 0,
        groups: int = 1,
        strides: tuple[int, int, int] = (0, 0, 0),
        activation: int = table.NO_ACTIVATION,
        combine: int = table.NOTHING,
        heads: int = 0,
        eps: float = 0.0,
    ) -> None:
        """Add a row to the table: the fields of table.py, in their order."""
        places: list[int] = []
        for channels in (source, target, other or Channels(0, 0, 0, 0)):
            places += [channels.buffer, channels.of_buffer, channels.first]
        addresses = [weight, bias, scale, shift]
        fields = [kind, 0, *places, *addresses, rows, terms, groups, *strides, activation, combine]
        self.rows.append([*fields, heads, self._address(np.array([eps], np.float32))])

    def _numbers(self, array: np.ndarray, *shape: int) -> int:
        """Return the address of a parameter whose numbers follow each other in memory."""
        if array.shape != shape or not array.flags.c_contiguous:
            raise NotCovered("a parameter of another shape, or with gaps between its numbers")
        return self._address(array)

    def _address(self, array: np.ndarray) -> int:
        """Return the address of a parameter, and keep it alive."""
        if array.dtype != np.float32 or not array.flags.aligned:
            raise NotCovered("a parameter that is not float32")
        self.kept.append(array)
        return address(array)

    def finish(self) -> None:
        """Turn the steps into the table that compiled code reads."""
        self.table = np.array(self.rows, np.int64).reshape(-1, FIELDS)

    def run(
        self, x: np.ndarray, lengths: Sequence[int], mask_bias: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Run the steps on rows of tokens [N, D] of texts of these lengths; return all results.

        mask_bias: what is added to the scores, [texts, H, T, T], or None. Attentions are results
        only of texts of one length.
        """
        x = np.ascontiguousarray(x)
        results = {}
        for buffer, (width, kind) in self.results.items():
            T = lengths[0]
            shape = (len(x), width) if kind == "rows" else (len(lengths), width, T, T)
            results[buffer] = np.empty(shape, np.float32)
        token = text = 0
        for some in in_chunks(lengths):
            texts, tokens = slice(text, text + len(some)), slice(token, token + sum(some))
            parts = {
                buffer: result[tokens if self.results[buffer][1] == "rows" else texts]
                for buffer, result in results.items()
            }
            self._run(x[tokens], parts, some, None if mask_bias is None else mask_bias[texts])
            text, token = texts.stop, tokens.stop
        return [*results.values()]

    def _run(
        self,
        x: np.ndarray,
        results: dict[int, np.ndarray],
        lengths: Sequence[int],
        mask_bias: np.ndarray | None,
    ) -> None:
        panels = (len(x) + PANEL - 1) // PANEL
        sizes = [PANEL * panels * width for width in self.widths]
        parts = threads.count_threads() if self.multiplications * len(x) > FEW else 1
        alone = self.scratch[0] * (max(lengths) + PANEL) + self.scratch[1]
        alone = (alone + PANEL) // PANEL * PANEL
        memory = np.zeros(sum(sizes) + parts * alone + PANEL, np.float32)
        begin = (address(memory) + 127) // 128 * 128  # where a vector of 64 bytes begins, too
        places = begin + 4 * np.cumsum([0, *sizes, *[alone] * parts], dtype=np.int64)
        for buffer, array in {0: x, **results}.items():
            places[buffer] = address(array)
        texts = np.empty((len(lengths), 2), np.int64)
        texts[:, 1] = lengths
        texts[:, 0] = np.cumsum(texts[:, 1]) - texts[:, 1]
        mask = np.zeros(5, np.int64)
        if mask_bias is not None:
            mask[:] = address(mask_bias), *mask_bias.strides
        counters = np.zeros(1 + parts * len(self.table), np.int64)
        kept = (x, results, memory, mask_bias, places, texts, mask, counters)
        threads.together(
            steps.run, parts, kept, address(self.table), len(self.table), address(places),
            address(texts), len(texts), len(x), address(mask),
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
