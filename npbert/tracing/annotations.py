"""Annotations of the quantities of a trace: their axes, code, equation and section of a paper.

recorded = npbert.trace(model, input_ids=[[2, 31, 7, 3]])
for quantity, annotation in zip(recorded, annotate(recorded, model)):
    print(quantity.name, annotation.axes, annotation.code, annotation.equation)
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from typing import Any

from npbert.model.base import PreTrainedModel
from npbert.tracing.axes import Letters, axes_of, legend, sizes
from npbert.tracing.equations import ACTIVATIONS, EQUATIONS, GELU, HEADS, Function
from npbert.tracing.quantities import Quantity, Trace
from npbert.tracing.source import assignments, called_name, path_in_package, statements_of, text_of

__all__ = ["Annotation", "annotate", "annotation", "legend", "sizes"]


@dataclass(frozen=True)
class Annotation:
    """What the source and the papers say about a quantity.

    axes      a letter or a product of letters for each axis; None where the source says none.
              B is always sentences, T always tokens, and the legend says what the others are
    code      the statement of the source that computes it, on one line
    equation  the same in words
    section   the paper and its section that describe it, "" where there is none
    """

    axes: Letters | None
    code: str
    equation: str
    section: str


def annotate(trace: Trace, model: PreTrainedModel) -> list[Annotation]:
    """Return an annotation for each quantity of a model's trace, in the order of the trace."""
    axes = axes_of(trace, model)
    words = words_for(model)
    return [
        Annotation(
            axes[quantity.name],
            code_of(quantity),
            equation_of(quantity, words),
            section_of(quantity, model, words),
        )
        for quantity in trace
    ]


def annotation(name: str, trace: Trace, model: PreTrainedModel) -> Annotation:
    """Return the annotation of one quantity, by its name or an alias; KeyError if there is none."""
    quantity = trace[name]
    return annotate(trace, model)[trace.quantities.index(quantity)]


# ---- the source ----------------------------------------------------------------------------


def code_of(quantity: Quantity) -> str:
    """Return the statement that computes a quantity, at its file and line.

    For an argument only the expression that the caller wrote for it, as "x = ..."; for one of
    several values of a statement only its expression; for an input of the model its name.
    """
    file, name = quantity.file, quantity.name.rpartition(".")[2]
    if quantity.is_input:
        return quantity.name
    statement = statements_of(path_in_package(file))[quantity.line]
    if quantity.is_argument:
        expression = argument_in(statement, quantity, name)
        is_part = expression is not None
    else:
        parts = dict(assignments(statement))
        expression = parts.get(name)
        is_part = any(part is not expression for part in parts.values())
    if expression is not None and is_part:
        return f"{name} = {source_of(file, expression)}"
    return source_of(file, statement)


def argument_in(statement: ast.stmt, quantity: Quantity, name: str) -> ast.expr | None:
    """Return what a statement gives as an argument to the function that a quantity is named in."""
    function, file, line = quantity.named_in
    definition = statements_of(path_in_package(file))[line]
    assert isinstance(definition, ast.FunctionDef)
    place = [argument.arg for argument in definition.args.args].index(name)
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and called_name(node) == function:
            return node.args[place]
    return None


@functools.cache
def source_of(file: str, node: ast.AST) -> str:
    """Return the source of a node of a file of the package, on one line."""
    segment = ast.get_source_segment(text_of(path_in_package(file)), node) or ast.unparse(node)
    return re.sub(r"(?<=[(\[]) | (?=[)\]])", "", " ".join(segment.split()))


# ---- words ---------------------------------------------------------------------------------

Key = tuple[str, str, str]  # a sentence in npbert.tracing.equations: file, function, key


def place_in_equations(quantity: Quantity) -> Key | None:
    """Return where the equations have a sentence for a quantity, or None."""
    name = quantity.name.rpartition(".")[2]
    called, called_file, line = quantity.named_in
    function, file, _ = quantity.caller or ("", "", 0)
    places = [(called_file, called, name)]
    if quantity.name == "inputs.mask_bias":
        places = [("ops.py", name, "returned")]
    elif quantity.is_input:
        places = [("inputs.py", "Inputs", name)]
    elif quantity.is_argument:
        places = [(file, function, f"{called}.{name}")]
    elif isinstance(statements_of(path_in_package(called_file))[line], ast.Return):
        places = [
            (file, function, f"{called} of {name}"),
            (file, function, called),
            (called_file, called, "returned"),
        ]
    return next((place for place in places if place[2] in equations_of(*place[:2])[1]), None)


def equations_of(file: str, function: str) -> Function:
    return EQUATIONS.get(file, {}).get(function, ("", {}))


def equation_of(quantity: Quantity, words: dict[str, str]) -> str:
    """Return the sentence for a quantity, with what the config says filled in."""
    place = place_in_equations(quantity)
    return equations_of(*place[:2])[1][place[2]].format_map(words) if place else ""


def section_of(quantity: Quantity, model: PreTrainedModel, words: dict[str, str]) -> str:
    """Return the section that describes a quantity's function, or else the calling function."""
    place = place_in_equations(quantity)
    if place is None or quantity.is_input:
        return equations_of(*place[:2])[0] if place else ""
    if place[2] in ("wide", "activated") and "GELU" in words["activation"]:
        return GELU
    # An argument belongs to the caller, who computed it.
    places = [None if quantity.is_argument else quantity.named_in, quantity.caller]
    functions = [(place[1], place[0]) for place in places if place]
    kinds = {base.__name__ for base in type(model).__mro__}
    of_head = next((section for kind, section in HEADS.items() if kind in kinds), "")
    methods = ("head", "finish", "loss")
    sections = [of_head if f[1] in methods else equations_of(*f)[0] for f in functions]
    return next(filter(None, sections), "")


def words_for(model: PreTrainedModel) -> dict[str, str]:
    """Return what the config says, for the braces in the sentences."""
    config: Any = model.config
    norm = "x times the weight, plus the bias, channel by channel, without normalising"
    if getattr(config, "normalization_type", "") == "layer_norm":
        norm = (
            "centred divided by the square root of variance plus epsilon, times the weight, plus "
            f"the bias; epsilon is {config.layer_norm_eps}, but 1e-5 after the embeddings and "
            "after a layer's last feed-forward network"
        )
    summaries = {"first": "the first position of each text", "mean": "the mean of all positions"}
    last = "the last position of each text, padding included"
    return {
        "activation": in_words(config.hidden_act),
        "layer_norm_eps": str(config.layer_norm_eps),
        "norm": norm,
        "summary": summaries.get(getattr(config, "summary_type", ""), last),
        "summary_activation": in_words(getattr(config, "summary_activation", None) or "linear"),
    }


def in_words(activation: str) -> str:
    return ACTIVATIONS.get(activation, f"the activation {activation}")
