"""Classic mistakes around a forward pass: in loading, in calling, and in what is put together.

Ports made them and reports tell of them (tutorials/museum.json); no formula is misread.
"""

from __future__ import annotations

import numpy as np

from npbert.golden.mistakes.conditions import fills_masks, has_layers
from npbert.golden.mistakes.heads import decoder_bias_times
from npbert.golden.mistakes.layers import in_embeddings
from npbert.golden.mistakes.planting import Edit, Mistake

Tensors = dict[str, np.ndarray]


def norms_as_new(tensors: Tensors) -> Tensors:
    """Return parameters in which those of the norms are what they are before training."""

    def changed(name: str, array: np.ndarray) -> np.ndarray:
        module, _, kind = name.rpartition(".")
        if not module.lower().endswith("layernorm"):
            return array
        return np.ones_like(array) if kind == "weight" else np.zeros_like(array)

    return {name: changed(name, array) for name, array in tensors.items()}


def positions_and_types_doubled(added: str) -> str:
    words, plus, rest = added.partition(" + ")
    return f"{words}{plus}2 * ({rest})"


AROUND: tuple[Mistake, ...] = (
    Mistake(
        "types_all_zero",
        "token types that are all 0, in both texts of a pair",
        (Edit("family.embeddings", "[inputs.token_type_ids]", "[0 * inputs.token_type_ids]"),),
        when=lambda model: model.config.type_vocab_size > 1,
    ),
    Mistake(
        "positions_and_types_twice",
        "the embeddings of positions and token types added twice",
        in_embeddings(positions_and_types_doubled),
    ),
    Mistake(
        "norms_not_loaded",
        "norms whose parameters were not loaded: a weight of 1, a bias of 0",
        parameters=norms_as_new,
    ),
    Mistake(
        "decoder_bias_twice",
        "the bias of the decoder added twice to the scores of word pieces",
        parameters=decoder_bias_times(2),
        when=fills_masks,
    ),
    Mistake(
        "norm_first",
        "a norm before attention and before the feed-forward network, instead of after each",
        (
            Edit(
                "bert.layer",
                "self_attention(x, p.attention.self",
                "self_attention(layer_norm(x, p.attention.output.LayerNorm, eps), p.attention.self",
            ),
            Edit(
                "bert.layer",
                "x = layer_norm(x + projected, p.attention.output.LayerNorm, eps)",
                "x = x + projected",
            ),
            Edit(
                "bert.feed_forward",
                "linear(x, p.intermediate.dense)",
                "linear(layer_norm(x, p.output.LayerNorm, config.layer_norm_eps), "
                "p.intermediate.dense)",
            ),
            Edit(
                "bert.feed_forward",
                "return layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)",
                "return x + narrow",
            ),
        ),
        when=lambda model: model.config.model_type == "bert" and has_layers(model),
    ),
)
