"""What a manifest says in words about a quantity: axes, equation, code, where the paper has it."""

from __future__ import annotations

from typing import Any

from npbert.model.base import PreTrainedModel
from npbert.tracing.annotations import annotate
from npbert.tracing.recording import Trace


def words(trace: Trace, model: PreTrainedModel) -> dict[str, dict[str, Any]]:
    """Return axes, equation, code and section of every quantity, None where nothing says so."""
    return {
        quantity.name: {
            "axes": None if said.axes is None else list(said.axes),
            "equation": getattr(said, "equation", None) or None,
            "code": said.code or None,
            "section": getattr(said, "section", None) or None,
        }
        for quantity, said in zip(trace, annotate(trace, model))
    }
