"""What a manifest says in words about a quantity: axes, equation, code, where the paper has it."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from npbert.models import PreTrainedModel
from npbert.tracing import Quantity, statements_of


def words(quantity: Quantity, model: PreTrainedModel) -> dict[str, Any]:
    """Return axes, equation, code and section of a quantity, None where nothing says so."""
    annotations = annotations_if_there()
    if annotations is not None:
        found = annotations.annotation(quantity, model)
        return {
            "axes": list(found.axes) if found.axes else None,
            "equation": found.equation or None,
            "code": found.code or None,
            "section": found.section or None,
        }
    return {"axes": None, "equation": None, "code": source(quantity, model), "section": None}


def legend(model: PreTrainedModel) -> dict[str, str]:
    """Return the letters of axes that the family uses, each with its meaning."""
    annotations = annotations_if_there()
    return dict(annotations.legend(family(model))) if annotations else {}


def annotations_if_there() -> Any:
    try:
        return importlib.import_module("npbert.annotations")
    except ModuleNotFoundError:
        return None


def family(model: PreTrainedModel) -> Any:
    return inspect.getmodule(type(model))


def source(quantity: Quantity, model: PreTrainedModel) -> str | None:
    """Return the statement that computes a quantity, on one line."""
    import ast

    from npbert import heads, kernels, ops

    for module in (family(model), ops, kernels, heads):
        file = inspect.getfile(module)
        if file.replace("\\", "/").endswith(f"/{quantity.file}"):
            statement = statements_of(file).get(quantity.line)
            return ast.unparse(statement) if statement is not None else None
    return None
