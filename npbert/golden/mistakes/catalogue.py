"""The classic mistakes of porting these models, each as an edit of npbert's own source.

A port that makes one of them computes what npbert computes with the edit in it, to the last digit
that floats hold: so the edit tells what is wrong.

    planting.py                 what a mistake is, and how npbert comes to make it
    conditions.py               which models can be mistaken in which way
    mutations_of_layers.py      the mistakes: embeddings, norms, maps
    mutations_of_attention.py   attention, convolutions
    mutations_of_heads.py       heads
"""

from __future__ import annotations

from npbert.golden.mistakes.attention import ATTENTION, CONVOLUTIONS
from npbert.golden.mistakes.heads import HEADS
from npbert.golden.mistakes.layers import EMBEDDINGS, LAYERS, MAPS, NORMS
from npbert.golden.mistakes.planting import Mutation, planted
from npbert.model.base import PreTrainedModel

__all__ = ["MUTATIONS", "Mutation", "applicable", "planted"]

MUTATIONS: tuple[Mutation, ...] = (
    *EMBEDDINGS, *NORMS, *ATTENTION, *CONVOLUTIONS, *MAPS, *LAYERS, *HEADS
)  # fmt: skip


def applicable(model: PreTrainedModel) -> list[Mutation]:
    """Return the mistakes that somebody who ports this model can make."""
    return [mutation for mutation in MUTATIONS if mutation.applies(model)]
