"""The classic mistakes of porting these models, each as an edit of npbert's own source.

A port that makes one of them computes what npbert computes with the edit, up to rounding. The edit
therefore names what is wrong.

    planting.py     what a mistake is, and how it is put into npbert's own forward pass
    conditions.py   which mistakes apply to which model
    layers.py       the mistakes: embeddings, norms, linear maps, layers
    attention.py    attention, convolutions
    heads.py        heads
    around.py       loading, calling, putting together
"""

from __future__ import annotations

from npbert.golden.mistakes.around import AROUND
from npbert.golden.mistakes.attention import ATTENTION, CONVOLUTIONS
from npbert.golden.mistakes.heads import HEADS
from npbert.golden.mistakes.layers import EMBEDDINGS, LAYERS, MAPS, NORMS
from npbert.golden.mistakes.planting import Mistake, planted
from npbert.model.base import PreTrainedModel

__all__ = ["MISTAKES", "Mistake", "applicable", "around", "planted"]

MISTAKES: tuple[Mistake, ...] = (
    *EMBEDDINGS, *NORMS, *ATTENTION, *CONVOLUTIONS, *MAPS, *LAYERS, *HEADS
)  # fmt: skip


def applicable(model: PreTrainedModel) -> list[Mistake]:
    """Return the mistakes that somebody who ports this model can make."""
    return [mistake for mistake in MISTAKES if mistake.applies(model)]


def around(model: PreTrainedModel) -> list[Mistake]:
    """Return the mistakes around the formulas, in loading and calling, that can be made with it."""
    return [mistake for mistake in AROUND if mistake.applies(model)]
