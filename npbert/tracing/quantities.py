"""Quantities, the arrays of a forward pass with their names and places, and traces of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npbert.tracing.source import path_in_package, statements_of

INPUTS = "inputs."  # the names of what the model was called with begin so
MASKED = -1e30  # values below this are masked scores: they say nothing about a quantity
Place = tuple[str, str, int]  # a function, its file, and the first line of a statement in it


def counted(value: np.ndarray) -> np.ndarray:
    """Tell which entries count in statistics: all but masked scores and what is not finite."""
    return np.isfinite(value) & (value > MASKED)


@dataclass
class Quantity:
    """One array of a forward pass.

    name       the path of its parameters and the name that it has in the source
    value      the array, a copy
    function   the function whose statement computed it; file (a path in the package) and line say
               where that statement begins. For an input of the model it is the def of the encoder
    inputs     names of the quantities and parameters that it was computed from
    named_in   the function that it has its name from, and the line there. That is the place where
               it was computed, but for two kinds: an argument that had no name yet is computed by
               the caller and named on the def of the function called; what a function with
               parameters of its own only hands on is computed by the function that it calls
    arguments  what that function was called with: an argument's name -> the name of the quantity or
               of the parameter that it was given, for `p` that of the node
    caller     the statement that called that function
    aliases    other names that the same array goes by
    """

    name: str
    value: np.ndarray
    function: str
    file: str
    line: int
    inputs: tuple[str, ...]
    named_in: Place
    arguments: dict[str, str]
    caller: Place | None
    aliases: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def is_input(self) -> bool:
        """Tell whether the model was called with it."""
        return self.name.startswith(INPUTS)

    @property
    def is_argument(self) -> bool:
        """Tell whether it has its name from an argument of a function."""
        _, file, line = self.named_in
        return isinstance(statements_of(path_in_package(file))[line], ast.FunctionDef)

    def __repr__(self) -> str:
        place = f"{self.function}, {self.file}:{self.line}"
        return f"Quantity({self.name}: {self.dtype} {list(self.shape)}, {place})"


class Trace(Sequence[Quantity]):
    """The quantities of one forward pass, in the order in which they were computed.

    `trace[name]` finds a quantity by its name or an alias, `trace[i]` by its number; `output` is
    the model's output.

    `print(trace)` shows a table: name, shape, mean, largest absolute value, and the function and
    line that computed it. Masked scores do not count; a quantity with nothing else has a dash. The
    middle of a long table is left out.
    """

    SHOWN = 12  # lines at the beginning of the table, and as many at its end

    def __init__(self) -> None:
        self.quantities: list[Quantity] = []
        self.by_name: dict[str, Quantity] = {}
        self.output: Any = None

    def __len__(self) -> int:
        return len(self.quantities)

    def __iter__(self) -> Iterator[Quantity]:
        return iter(self.quantities)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self.quantities[key]
        if key not in self.by_name:
            last = key.rpartition(".")[2]
            similar = [name for name in self.by_name if name.rpartition(".")[2] == last][:5]
            hint = f"; there are {', '.join(similar)}" if similar else ""
            raise KeyError(f"no quantity is called {key!r}{hint}")
        return self.by_name[key]

    def __contains__(self, key: object) -> bool:
        return key in self.by_name

    def __repr__(self) -> str:
        return f"Trace({len(self)} quantities)"

    def __str__(self) -> str:
        rows = [("quantity", "shape", "mean", "largest", "computed in")]
        left = len(self) - 2 * self.SHOWN
        for number, q in enumerate(self):
            if left > 1 and self.SHOWN <= number < len(self) - self.SHOWN:
                if number == self.SHOWN:
                    rows.append((f"... {left} more", "", "", "", ""))
                continue
            numbers = q.value[counted(q.value)].astype(np.float64)
            mean, largest = "-", "-"
            if numbers.size:
                mean, largest = f"{numbers.mean():.3g}", f"{np.abs(numbers).max():.3g}"
            place = f"{q.function}, {q.file}:{q.line}"
            rows.append((q.name, str([*q.shape]), mean, largest, place))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(text.ljust(w) for text, w in zip(row, widths)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def names(self) -> list[str]:
        """Return the name of every quantity, in computing order."""
        return [quantity.name for quantity in self.quantities]
