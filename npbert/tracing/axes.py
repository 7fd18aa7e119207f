"""The letters of every quantity's axes: ("B", "T", "D") and the like.

They are those of the shape comments in the source, where each line says what it makes. A function
for any size, such as `linear` with [..., I] -> [..., O], takes the letters of its call instead of
its own: those of x and of the parameters.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from npbert.model.base import PreTrainedModel
from npbert.tracing.letters import Letters, parameter_letters, size_of, sizes
from npbert.tracing.recording import Quantity, Trace
from npbert.tracing.shape_comments import Axes, Either, Function, read_comments, shapes_in
from npbert.tracing.statements import statements_of

PACKAGE = Path(__file__).parent.parent

# What a model is called with: the fields of npbert.model.inputs.Inputs.
INPUTS = {
    "inputs.input_ids": "[B, T]",
    "inputs.inputs_embeds": "[B, T, E] or [B, T, D]",
    "inputs.token_type_ids": "[B, T]",
    "inputs.position_ids": "[B, T] or [1, T]",
    "inputs.mask_bias": "[B, 1, 1, T] or [B, H, T, T]",
}


def axes_of(trace: Trace, model: PreTrainedModel) -> dict[str, Letters | None]:
    """Return the axes of every quantity of a trace, by its name; None where nothing says them."""
    reader = Reader(trace, model)
    for quantity in trace:
        reader.found[quantity.name] = reader.read(quantity)
    return reader.found


class Reader:
    """Reads the axes of a trace's quantities, one after the other."""

    def __init__(self, trace: Trace, model: PreTrainedModel) -> None:
        self.trace = trace
        B, T = trace[0].shape[:2]  # of the ids, or of the embeddings given instead
        self.sizes = sizes(model) | {"B": B, "T": T}
        self.parameters = parameter_letters(model)
        self.found: dict[str, Letters | None] = {}

    def read(self, quantity: Quantity) -> Letters | None:
        if quantity.name in INPUTS:
            (either,) = shapes_in(INPUTS[quantity.name])
            return self.that_fits(either, quantity.shape)
        function = function_of(quantity)
        comment = comment_on(quantity, function) if function else None
        if function is None or comment is None:
            return self.of_same_shape(quantity)
        if not function.any_size:
            return self.that_fits(comment, quantity.shape)
        if isinstance(statement_of(quantity), ast.FunctionDef):  # x itself, made for this call
            return self.of_same_shape(quantity)
        return self.by_the_call(comment[0], quantity, function)

    def that_fits(self, either: Either, shape: tuple[int, ...]) -> Letters | None:
        """Return those axes that a shape has; if there are none, with 1 where it has a 1."""
        for axes in either:
            if [size_of(axis, self.sizes) for axis in axes] == [*shape]:
                return tuple(axes)
        axes = either[-1]
        if len(axes) != len(shape):
            return None
        known = [size_of(axis, self.sizes) is not None for axis in axes]
        return tuple("1" if n == 1 and k else axis for axis, n, k in zip(axes, shape, known))

    def of_same_shape(self, quantity: Quantity) -> Letters | None:
        """Return the axes of what a quantity is the sum of, or a function of entry by entry."""
        sources = [self.trace[name] for name in quantity.inputs if name in self.trace]
        same = [source.name for source in sources if source.shape == quantity.shape]
        return self.found[same[0]] if same else None

    def by_the_call(self, axes: Axes, quantity: Quantity, function: Function) -> Letters | None:
        """Put the letters of what a function was called with in the place of its own."""
        assert function.on_def
        own: dict[str, str] = {}  # its own letter -> what that is in the call
        leading: Letters = ()
        for argument, either in zip(function.arguments, function.on_def.inputs):
            given = self.given(quantity.arguments[argument])
            if given is None:
                return None
            named = either[0]
            if named[:1] == ["..."]:
                named = named[1:]
                leading, given = given[: len(given) - len(named)], given[len(given) - len(named) :]
            own |= {axis: letters for axis, letters in zip(named, given) if axis.isalpha()}
        own["N"] = "*".join(leading)
        bias = self.parameters.get(f"{quantity.arguments.get('p')}.bias")
        if bias:
            own.setdefault("O", bias[-1])
        for axis, size in zip(reversed(axes), reversed(quantity.shape)):
            if axis == "G":
                own["G"] = "G" if size == self.sizes.get("G") else str(size)
        within = [re.sub("[A-Z]", lambda m: own.get(m[0], m[0]), axis) for axis in axes]
        within = [axis.removesuffix("/1") for axis in within]
        return (*leading, *within[1:]) if axes[:1] == ["..."] else tuple(within)

    def given(self, name: str) -> Letters | None:
        return self.found[name] if name in self.found else self.parameters.get(name)


# ---- what the source says ------------------------------------------------------------------


def statement_of(quantity: Quantity) -> ast.stmt:
    """Return the statement that made a quantity; for an argument, the def that it entered."""
    return statements_of(str(PACKAGE / quantity.file))[quantity.line]


def function_of(quantity: Quantity) -> Function | None:
    """Return the function that made a quantity, if there are shape comments in it."""
    found = None
    for function in read_comments(PACKAGE / quantity.file):
        if function.name == quantity.function and function.line <= quantity.line:
            found = function
    return found


def comment_on(quantity: Quantity, function: Function) -> Either | None:
    """Return the shapes that the source says a quantity may have."""
    statement, name = statement_of(quantity), quantity.name.rpartition(".")[2]
    if isinstance(statement, ast.FunctionDef):
        inputs = function.on_def.inputs if function.on_def else []
        return dict(zip(function.arguments, inputs)).get(name)
    if isinstance(statement, ast.Return):
        return function.on_def.outputs[0] if function.on_def else None
    either = None
    for comment in function.on_lines:  # that of the last assignment so far
        if name in comment.names and comment.first <= quantity.line:
            either = comment.outputs[comment.names.index(name)]
    return either
