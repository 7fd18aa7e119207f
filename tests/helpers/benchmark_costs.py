"""What a forward pass costs, and what a contestant's time says of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")  # rows are looked up


@dataclass(frozen=True)
class Measured:
    """A pass that was measured: a row of the table, and a point of the figure for each contestant.

    operations, moved: what it costs, see `cost_of_pass`. seconds: the median of each contestant.
    """

    model: str
    size: str
    operations: int
    moved: int
    seconds: dict[str, float]

    def rate(self, who: str) -> float:
        """Return the operations a second of a contestant; NaN for one that takes no part."""
        return self.operations / self.seconds.get(who, math.nan)

    def ratio(self, peer: str) -> float:
        """Return how many times as long as npbert a peer takes."""
        return self.seconds.get(peer, math.nan) / self.seconds.get(
            npbert_of(self.seconds), math.nan
        )


def npbert_of(contestants: Iterable[str]) -> str:
    """Return the npbert that the peers are compared with: the compiled one, if it takes part."""
    return "npbert-numba" if "npbert-numba" in contestants else "npbert-numpy"


def cost_of_pass(model_class: Any, config: Any, B: int, T: int) -> tuple[int, int]:
    """Return the operations of a pass over B texts of T tokens, and the bytes that it must move.

    Operations: a multiplication and an addition for each term of the products with weights, of
    attention and of the dynamic convolution; norms and activations are left out. Bytes, float32:
    every weight of a product once, and once what enters and what leaves the product.
    """
    operations = moved = 0
    for name, shape in model_class.parameter_shapes(config).items():
        if len(shape) < 2 or name.endswith("bias") or any(table in name for table in TABLES):
            continue
        vectors = B if "pooler" in name else B * T
        operations += 2 * vectors * math.prod(shape)
        moved += 4 * (math.prod(shape) + vectors * sum(widths(name, shape, config)))
    terms = 2 * T  # of each token and channel: T in the scores, T in the context
    if config.model_type == "convbert":
        terms += config.conv_kernel_size
    operations += config.num_hidden_layers * 2 * B * T * width_of_heads(config) * terms
    return operations, moved


def widths(name: str, shape: tuple[int, ...], config: Any) -> tuple[int, int]:
    """Return how many channels enter and leave the map that has this weight."""
    if len(shape) == 2:  # linear: [O, I]
        return shape[1], shape[0]
    if "depthwise" in name:  # [D, 1, K]
        return shape[0], shape[0]
    if "pointwise" in name:  # [O, I, 1]
        return shape[1], shape[0]
    if config.model_type == "squeezebert":  # [O, I/G, 1]
        # The part is "query" in ...attention.query.weight, "output" in ...output.conv1d.weight.
        part = name.removesuffix(".weight").removesuffix(".conv1d").rpartition(".")[2]
        G = getattr(config, {"query": "q", "key": "k", "value": "v"}.get(part, part) + "_groups")
        return G * shape[1], shape[0]
    G, I, O = shape  # ConvBERT's linear maps in groups
    return G * I, G * O


def width_of_heads(config: Any) -> int:
    """Return how many channels all attention heads have together."""
    if config.model_type == "mobilebert":
        return config.true_hidden_size
    return config.mixed_size if config.model_type == "convbert" else config.hidden_size
