"""What a forward pass costs: the operations of its products, and the bytes that they must move."""

from __future__ import annotations

import math
from typing import Any

TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")  # rows are looked up


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
    A, T_mixed = width_of_heads(config), 2 * T  # scores, then context
    if config.model_type == "convbert":
        T_mixed += config.conv_kernel_size
    operations += config.num_hidden_layers * 2 * B * T * A * T_mixed
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
        # squeezebert.encoder.layers.0.attention.query.weight, ....output.conv1d.weight
        part = name.removesuffix(".conv1d.weight").removesuffix(".weight").rpartition(".")[2]
        G = getattr(config, {"query": "q", "key": "k", "value": "v"}.get(part, part) + "_groups")
        return G * shape[1], shape[0]
    G, I, O = shape  # ConvBERT's maps in groups
    return G * I, G * O


def width_of_heads(config: Any) -> int:
    """Return how many channels all attention heads have together."""
    if config.model_type == "mobilebert":
        return config.true_hidden_size
    return config.mixed_size if config.model_type == "convbert" else config.hidden_size
