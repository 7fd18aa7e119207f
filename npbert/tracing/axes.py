"""The letters of every quantity's axes, such as ("B", "T", "D"); their meanings and sizes.

The letters are those of the shape comments in the source, which each line has for its result. A
function for any size, such as `linear` with [..., I] -> [..., O], takes the letters of its call
instead of its own: those of x, and those that the caller's line says of the result.
"""

from __future__ import annotations

import ast
import inspect
import re
from types import ModuleType
from typing import Any

from npbert.model import heads
from npbert.model.base import PreTrainedModel
from npbert.tracing.quantities import Place, Quantity, Trace
from npbert.tracing.recording import family_of
from npbert.tracing.source import (
    PACKAGE,
    Axes,
    Either,
    Function,
    path_in_package,
    read_comments,
    shapes_in,
    statements_of,
)

Letters = tuple[str, ...]

# The letter of a config entry in shape comments. Of entries for one letter the last counts.
OF_CONFIG = {
    "vocab_size": "V", "hidden_size": "D", "embedding_size": "E", "intermediate_size": "I",
    "num_attention_heads": "H", "heads": "H", "mixed_size": "A", "true_hidden_size": "C",
    "conv_kernel_size": "K", "num_labels": "L",
}  # fmt: skip

# What a model is called with: the fields of npbert.model.inputs.Inputs.
INPUTS = {
    "inputs.input_ids": "[B, T]",
    "inputs.inputs_embeds": "[B, T, E] or [B, T, D]",
    "inputs.token_type_ids": "[B, T]",
    "inputs.position_ids": "[B, T] or [1, T]",
    "inputs.mask_bias": "[B, 1, 1, T] or [B, H, T, T]",
}

# ---- letters: what they mean, how large they are -------------------------------------------


def legend(of: ModuleType | PreTrainedModel) -> dict[str, str]:
    """Return what each letter means, as a module's docstring says: "Axes   B sentences ...".

    For a model: the letters of its family, then those that only its head knows. Raises ValueError
    for a module without a legend.
    """
    if isinstance(of, PreTrainedModel):
        family = legend(family_of(of))
        return family | {key: word for key, word in legend(heads).items() if key not in family}
    docstring = inspect.getdoc(of) or ""
    text = re.search(r"^Axes +(.*?)(?=^Names|\n\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    if not text:
        raise ValueError(f"{of.__name__} has no legend of its axes")
    entries = [
        re.fullmatch(r"([A-Z]) (?:= )?(.*)", part) for part in re.split(r"\s{2,}", text[1].strip())
    ]
    return {entry[1]: entry[2].partition(";")[0] for entry in entries if entry}


def sizes(model: PreTrainedModel) -> dict[str, int]:
    """Return the size of each letter of a model's family that its config settles.

    B and T are those of the inputs. G is the number of groups that most of the convolutions have.
    """
    config: Any = model.config
    found = {key: getattr(config, name) for name, key in OF_CONFIG.items() if hasattr(config, name)}
    groups = [value for name, value in vars(config).items() if name.endswith("_groups")]
    if groups:
        found["G"] = max(groups, key=groups.count)
    found["S"] = found.get("A", found.get("C", found["D"])) // found["H"]
    return {letter: found[letter] for letter in legend(family_of(model)) if letter in found}


def size_of(axis: str, sizes: dict[str, int]) -> int | None:
    """Return how long an axis is, "T+K-1" or "I/G"; None where a letter is not known."""
    if any(letter not in sizes for letter in re.findall("[A-Z]", axis)):
        return None
    return int(eval(axis, {"__builtins__": {}}, sizes))


# ---- the axes of quantities ----------------------------------------------------------------


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
        self.model = model
        B, T = trace[0].shape[:2]  # of the ids, or of the embeddings given instead
        self.sizes = sizes(model) | {"B": B, "T": T}
        self.found: dict[str, Letters | None] = {}

    def read(self, quantity: Quantity) -> Letters | None:
        if quantity.name in INPUTS:
            (either,) = shapes_in(INPUTS[quantity.name])
            return self.that_fits(either, quantity.shape)
        function = function_at(quantity.named_in)
        comment = comment_at(quantity.named_in, quantity.name.rpartition(".")[2])
        if function is None or comment is None:
            return self.of_same_shape(quantity)
        if not function.any_size:
            return self.that_fits(comment, quantity.shape)
        if quantity.is_argument:  # x itself, computed for this call
            return self.of_same_shape(quantity)
        return self.by_the_call(comment[0], quantity, function)

    def that_fits(self, either: Either, shape: tuple[int, ...]) -> Letters | None:
        """Return the axes that fit a shape; if none fit, the last, with 1 where the shape has 1."""
        for axes in either:
            if [size_of(axis, self.sizes) for axis in axes] == [*shape]:
                return tuple(axes)
        axes = either[-1]
        if len(axes) != len(shape):
            return None
        known = [size_of(axis, self.sizes) is not None for axis in axes]
        return tuple("1" if n == 1 and k else axis for axis, n, k in zip(axes, shape, known))

    def of_same_shape(self, quantity: Quantity) -> Letters | None:
        """Return the axes of a source of the same shape: for sums and elementwise functions."""
        sources = [self.trace[name] for name in quantity.inputs if name in self.trace]
        same = [source.name for source in sources if source.shape == quantity.shape]
        return self.found[same[0]] if same else None

    def by_the_call(self, axes: Axes, quantity: Quantity, function: Function) -> Letters | None:
        """Replace a function's own letters by those of the arguments it was called with."""
        assert function.on_def
        own: dict[str, str] = {}  # a letter of the function -> the letters in this call
        leading: Letters = ()
        for argument, either in zip(function.arguments, function.on_def.inputs):
            given = self.found.get(quantity.arguments[argument])
            if given is None:
                return None
            named = either[0]
            if named[:1] == ["..."]:
                named = named[1:]
                leading, given = given[: len(given) - len(named)], given[len(given) - len(named) :]
            own |= {axis: letters for axis, letters in zip(named, given) if axis.isalpha()}
        own["N"] = "*".join(leading)
        own.setdefault("O", self.width_of_result(quantity))
        for axis, size in zip(reversed(axes), reversed(quantity.shape)):
            if axis == "G":
                own["G"] = "G" if size == self.sizes.get("G") else str(size)
        within = [re.sub("[A-Z]", lambda m: own.get(m[0], m[0]), axis) for axis in axes]
        within = [axis.removesuffix("/1") for axis in within]
        return (*leading, *within[1:]) if axes[:1] == ["..."] else tuple(within)

    def width_of_result(self, quantity: Quantity) -> str:
        """Return the last axis of the result of the function that a quantity belongs to.

        The shape comment of the calling line says it. Methods named `head` have no shape comments:
        their last linear map gives a score for each label, or one or two scores.
        """
        said = comment_at(quantity.caller) if quantity.caller else None
        if said:
            return said[0][-1]
        labels = heads.SequenceClassification, heads.TokenClassification
        return "L" if isinstance(self.model, labels) else str(quantity.shape[-1])


# ---- what the source says ------------------------------------------------------------------


def function_at(place: Place) -> Function | None:
    """Return the function in which a place lies, if there are shape comments in it."""
    name, file, line = place
    found = None
    for function in read_comments(PACKAGE / file):
        if function.name == name and function.line <= line:
            found = function
    return found


def comment_at(place: Place, name: str = "") -> Either | None:
    """Return the shapes that the source says a name may have at a place; without one, a result.

    On a def the name is one of the arguments. On any other line the shapes are those of the last
    assignment to the name so far; on a `return`, and where no name is given, of the first value.
    """
    function = function_at(place)
    if function is None:
        return None
    _, file, line = place
    statement = statements_of(path_in_package(file))[line]
    if isinstance(statement, ast.FunctionDef):
        inputs = function.on_def.inputs if function.on_def else []
        return dict(zip(function.arguments, inputs)).get(name)
    if isinstance(statement, ast.Return):
        return function.on_def.outputs[0] if function.on_def else None
    either = None
    for comment in function.on_lines:
        if not name and comment.first <= line <= comment.last:
            either = comment.outputs[0]
        elif name in comment.names and comment.first <= line:
            either = comment.outputs[comment.names.index(name)]
    return either
