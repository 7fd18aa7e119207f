"""What a reader wants to know of a quantity beside its value: its axes, and how it is computed.

recorded = npbert.trace(model, input_ids=[[2, 31, 7, 3]])
for quantity, annotation in zip(recorded, annotate(recorded, model)):
    print(quantity.name, annotation.axes, annotation.code, annotation.equation)
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass

from npbert.axes import PACKAGE, axes_of, statement_of
from npbert.letters import Letters, legend, sizes
from npbert.models import PreTrainedModel
from npbert.statements import assignments, called_name, statements_of
from npbert.tracing import Quantity, Trace

__all__ = ["Annotation", "annotate", "annotation", "legend", "sizes"]


@dataclass(frozen=True)
class Annotation:
    """What is known of a quantity.

    axes      a letter or a product of letters for each axis; None where the source says none.
              B is always sentences, T always tokens, and the legend says what the others are
    code      the statement of the source that computes it, on one line
    """

    axes: Letters | None
    code: str


def annotate(trace: Trace, model: PreTrainedModel) -> list[Annotation]:
    """Return an annotation for each quantity of a model's trace, in the order of the trace."""
    axes = axes_of(trace, model)
    return [Annotation(axes[quantity.name], code_of(quantity)) for quantity in trace]


def annotation(name: str, trace: Trace, model: PreTrainedModel) -> Annotation:
    """Return that of one quantity, under any of its names; KeyError if there is none."""
    quantity = trace[name]
    return annotate(trace, model)[trace.quantities.index(quantity)]


# ---- the source ----------------------------------------------------------------------------


def code_of(quantity: Quantity) -> str:
    """Return the statement that computes a quantity; "x = ..." for what a caller wrote for x."""
    statement, name = statement_of(quantity), quantity.name.rpartition(".")[2]
    if not isinstance(statement, ast.FunctionDef):
        # Of a, b = f(x), f(y) what is said of b.
        parts = dict(assignments(statement))
        is_one_of_several = len(parts) > 1 and len(set(map(id, parts.values()))) > 1
        if is_one_of_several:
            return f"{name} = {source_of(quantity.file, parts[name])}"
        return source_of(quantity.file, statement)
    if quantity.name.startswith("inputs.") or quantity.caller is None:
        return quantity.name
    place = [argument.arg for argument in statement.args.args].index(name)
    file, line = quantity.caller[1:]
    for node in ast.walk(statements_of(str(PACKAGE / file))[line]):
        if isinstance(node, ast.Call) and called_name(node) == quantity.function:
            return f"{name} = {source_of(file, node.args[place])}"
    return source_of(file, statements_of(str(PACKAGE / file))[line])


@functools.cache
def source_of(file: str, node: ast.AST) -> str:
    """Return a part of a file of the package as it is written there, but on one line."""
    segment = ast.get_source_segment(text_of(file), node) or ast.unparse(node)
    return re.sub(r"(?<=[(\[]) | (?=[)\]])", "", " ".join(segment.split()))


@functools.cache
def text_of(file: str) -> str:
    return (PACKAGE / file).read_text("utf-8")
