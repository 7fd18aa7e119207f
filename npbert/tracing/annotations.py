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
from npbert.tracing.axes import PACKAGE, axes_of, statement_of
from npbert.tracing.equations import ACTIVATIONS, EQUATIONS, GELU, HEADS, Function
from npbert.tracing.letters import Letters, legend, sizes
from npbert.tracing.recording import Quantity, Trace
from npbert.tracing.statements import assignments, called_name, statements_of

__all__ = ["Annotation", "annotate", "annotation", "legend", "sizes"]


@dataclass(frozen=True)
class Annotation:
    """What is known of a quantity.

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
    """Return that of one quantity, under any of its names; KeyError if there is none."""
    quantity = trace[name]
    return annotate(trace, model)[trace.quantities.index(quantity)]


# ---- the source ----------------------------------------------------------------------------


def place_of(quantity: Quantity) -> tuple[str, str, int]:
    """Return the function, the file and the line of the statement that computes a quantity.

    Of functions that return what another one gives, that is the innermost; of an argument that has
    no other name, the call.
    """
    statement = statement_of(quantity)
    if isinstance(statement, ast.Return) and quantity.origin:
        return quantity.origin
    is_given = quantity.name.startswith("inputs.")
    if isinstance(statement, ast.FunctionDef) and quantity.caller and not is_given:
        return quantity.caller
    return quantity.function, quantity.file, quantity.line


def code_of(quantity: Quantity) -> str:
    """Return the statement of `place_of`; "x = ..." for what a caller wrote for x."""
    statement, name = statement_of(quantity), quantity.name.rpartition(".")[2]
    _, file, line = place_of(quantity)
    computed = statements_of(str(PACKAGE / file))[line]
    if isinstance(statement, ast.Return):
        return source_of(file, computed)
    if not isinstance(statement, ast.FunctionDef):
        # Of a, b = f(x), f(y) what is said of b.
        parts = dict(assignments(statement))
        is_one_of_several = len(parts) > 1 and len(set(map(id, parts.values()))) > 1
        return (
            f"{name} = {source_of(file, parts[name])}"
            if is_one_of_several
            else source_of(file, computed)
        )
    if quantity.name.startswith("inputs.") or quantity.caller is None:
        return quantity.name
    place = [argument.arg for argument in statement.args.args].index(name)
    for node in ast.walk(computed):
        if isinstance(node, ast.Call) and called_name(node) == quantity.function:
            return f"{name} = {source_of(file, node.args[place])}"
    return source_of(file, computed)


@functools.cache
def source_of(file: str, node: ast.AST) -> str:
    """Return a part of a file of the package as it is written there, but on one line."""
    segment = ast.get_source_segment(text_of(file), node) or ast.unparse(node)
    return re.sub(r"(?<=[(\[]) | (?=[)\]])", "", " ".join(segment.split()))


@functools.cache
def text_of(file: str) -> str:
    return (PACKAGE / file).read_text("utf-8")


# ---- words ---------------------------------------------------------------------------------

Place = tuple[str, str, str]  # a sentence in npbert.tracing.equations: file, function, key


def place_in_equations(quantity: Quantity) -> Place | None:
    """Return where there are words for a quantity, None where there are none."""
    statement, name = statement_of(quantity), quantity.name.rpartition(".")[2]
    function, file = (quantity.caller or ("", "", 0))[:2]
    places = [(quantity.file, quantity.function, name)]
    if quantity.name == "inputs.mask_bias":
        places = [("ops.py", name, "returned")]
    elif quantity.name.startswith("inputs."):
        places = [("inputs.py", "Inputs", name)]
    elif isinstance(statement, ast.FunctionDef):
        places = [(file, function, f"{quantity.function}.{name}")]
    elif isinstance(statement, ast.Return):
        returned = (quantity.file, quantity.function, "returned")
        places = [(file, function, quantity.function), returned]
    return next((place for place in places if place[2] in equations_of(*place[:2])[1]), None)


def equations_of(file: str, function: str) -> Function:
    return EQUATIONS.get(file, {}).get(function, ("", {}))


def equation_of(quantity: Quantity, words: dict[str, str]) -> str:
    """Return what a quantity is in words, with those of the config filled in."""
    place = place_in_equations(quantity)
    return equations_of(*place[:2])[1][place[2]].format_map(words) if place else ""


def section_of(quantity: Quantity, model: PreTrainedModel, words: dict[str, str]) -> str:
    """Return the section that describes a quantity's function, else that of the calling one."""
    place = place_in_equations(quantity)
    if place is None or quantity.name.startswith("inputs."):
        return equations_of(*place[:2])[0] if place else ""
    if place[2] in ("wide", "activated") and "GELU" in words["activation"]:
        return GELU
    functions = [(quantity.file, quantity.function)]
    if isinstance(statement_of(quantity), ast.FunctionDef):
        functions = []  # an argument belongs to the caller, who computed it
    if quantity.caller:
        functions.append((quantity.caller[1], quantity.caller[0]))
    kinds = {base.__name__ for base in type(model).__mro__}
    of_head = next((section for kind, section in HEADS.items() if kind in kinds), "")
    methods = ("head", "finish", "loss")
    sections = [of_head if f[1] in methods else equations_of(*f)[0] for f in functions]
    return next(filter(None, sections), "")


def words_for(model: PreTrainedModel) -> dict[str, str]:
    """Return what the sentences leave to the config."""
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
