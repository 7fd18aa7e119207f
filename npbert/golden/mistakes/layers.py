"""Classic mistakes in the embeddings, the norms and the maps of a layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npbert.golden.mistakes.conditions import (
    fills_masks,
    fixed_epsilon,
    has_bottlenecks,
    has_layers,
    has_square_maps,
    is_gelu,
    is_square,
    normalises,
    of_mobilebert,
)
from npbert.golden.mistakes.planting import Edit, Mistake

ACTIVATION = "activation = ACTIVATIONS[config.hidden_act]"

EMBEDDED = {  # what each family adds up
    "bert": "words + types + positions",
    "convbert": "words + positions + types",
    "mobilebert": "full + positions + types",
    "squeezebert": "words + positions + types",
}


def in_embeddings(change: Callable[[str], str]) -> tuple[Edit, ...]:
    """Return the edits with which the embeddings of every family add up something else."""
    return tuple(
        Edit(f"{family}.embeddings", added, change(added)) for family, added in EMBEDDED.items()
    )


def transpose_square(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.T if is_square(name, array) else array for name, array in tensors.items()}


EMBEDDINGS: tuple[Mistake, ...] = (
    Mistake(
        "no_type_embeddings",
        "the embeddings without those of the token types",
        in_embeddings(lambda added: added.replace(" + types", "")),
    ),
    Mistake(
        "no_position_embeddings",
        "the embeddings without those of the positions",
        in_embeddings(lambda added: added.replace(" + positions", "")),
    ),
    Mistake(
        "positions_from_one",
        "positions that count from 1 instead of 0",
        (
            Edit(
                "family.embeddings",
                "p.position_embeddings.weight[inputs.position_ids]",
                "np.roll(p.position_embeddings.weight, -1, axis=0)[inputs.position_ids]",
            ),
        ),
    ),
    Mistake(
        "trigrams_reversed",
        "trigrams in reading order: the token before, the token, the one after",
        (
            Edit(
                "mobilebert.trigrams",
                "[following, words, preceding]",
                "[preceding, words, following]",
            ),
        ),
        when=of_mobilebert(lambda config: config.trigram_input),
    ),
)

NORMS: tuple[Mistake, ...] = (
    Mistake(
        "epsilon_1e-5",
        "a layer norm with epsilon 1e-5",
        (Edit("ops.layer_norm", "np.sqrt(variance + eps)", "np.sqrt(variance + 1e-5)"),),
        when=lambda model: (
            normalises(model)
            and bool({model.config.layer_norm_eps, fixed_epsilon(model)} - {1e-5, None})
        ),
    ),
    Mistake(
        "epsilon_from_config",
        "a layer norm that takes epsilon from the config where the model fixes it",
        (
            Edit("squeezebert.layer", "eps = ENCODER_EPS", "eps = config.layer_norm_eps"),
            Edit("squeezebert.feed_forward", "ENCODER_EPS", "config.layer_norm_eps"),
            Edit("mobilebert.embeddings", "DEFAULT_EPS", "config.layer_norm_eps"),
            Edit("mobilebert.layer", "DEFAULT_EPS", "config.layer_norm_eps"),
        ),
        when=lambda model: (
            getattr(model.config, "normalization_type", "layer_norm") == "layer_norm"
            and model.config.layer_norm_eps not in (fixed_epsilon(model), 1e-5)
        ),
    ),
    Mistake(
        "unbiased_variance",
        "a layer norm whose variance is divided by D - 1",
        (
            Edit(
                "ops.layer_norm",
                "(centred * centred).mean(axis=-1, keepdims=True)",
                "(centred * centred).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)",
            ),
        ),
        when=normalises,
    ),
    Mistake(
        "layer_norm_for_no_norm",
        "a layer norm where the model only scales and shifts",
        (
            Edit(
                "mobilebert.norm",
                'no_norm(x, p) if config.normalization_type == "no_norm" else layer_norm(',
                "layer_norm(",
            ),
        ),
        when=of_mobilebert(lambda config: config.normalization_type == "no_norm"),
    ),
    Mistake(
        "no_norm_in_head",
        "a scale and shift in the masked-LM head, where the model has a real layer norm",
        (
            Edit(
                "mobilebert.masked_lm_head",
                "layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)",
                "no_norm(activated, p.transform.LayerNorm)",
            ),
        ),
        when=fills_masks,
    ),
)

MAPS: tuple[Mistake, ...] = (
    Mistake(
        "group_weights_transposed",
        "the matrices of grouped maps read the other way round",
        (
            Edit(
                "kernels.grouped_linear",
                "groups @ p.weight",
                "groups @ p.weight.reshape(G, -1, group_width).swapaxes(1, 2)",
            ),
            Edit(
                "kernels.grouped_convolution",
                "p.weight.reshape(G, -1, group_width)",
                "p.weight.reshape(G, group_width, -1).swapaxes(1, 2)",
            ),
        ),
        when=lambda model: (
            has_layers(model)
            and (
                model.config.model_type == "squeezebert"
                or (model.config.model_type == "convbert" and model.config.num_groups > 1)
            )
        ),
    ),
    Mistake(
        "square_weights_transposed",
        "the square matrices of linear maps transposed",
        parameters=transpose_square,
        when=has_square_maps,
        typed=(
            Edit(
                "ops.linear",
                "x @ p.weight.T",
                "x @ (p.weight if p.weight.shape[0] == p.weight.shape[1] else p.weight.T)",
            ),
        ),
    ),
)

LAYERS: tuple[Mistake, ...] = (
    Mistake(
        "tanh_gelu",
        "the tanh approximation of GELU in the layers",
        (Edit("family.feed_forward", ACTIVATION, 'activation = ACTIVATIONS["gelu_new"]'),),
        when=lambda model: has_layers(model) and is_gelu(model),
    ),
    Mistake(
        "gelu_for_relu",
        "GELU where the config says ReLU",
        (
            Edit("family.feed_forward", ACTIVATION, 'activation = ACTIVATIONS["gelu"]'),
            Edit("mobilebert.masked_lm_head", ACTIVATION, 'activation = ACTIVATIONS["gelu"]'),
        ),
        when=lambda model: model.config.hidden_act == "relu",
    ),
    Mistake(
        "residual_of_layer_input",
        "a feed-forward network that is added to the layer's input, not to what attention gave",
        tuple(
            Edit(f"{family}.{function}", old, new)
            for family in ("bert", "convbert", "squeezebert")
            for function, old, new in (
                ("feed_forward", "p, config):", "p, config, entered):"),
                ("feed_forward", "x + narrow", "entered + narrow"),
                ("layer", "x = layer_norm(x +", "entered, x = x, layer_norm(x +"),
                ("layer", "feed_forward(x, p, config)", "feed_forward(x, p, config, entered)"),
            )
        ),
        when=has_layers,
    ),
    Mistake(
        "residual_of_shared_bottleneck",
        "attention added to the bottleneck of query and key instead of the other one",
        (Edit("mobilebert.layer", "norm(narrow + projected,", "norm(shared + projected,"),),
        when=of_mobilebert(has_bottlenecks),
    ),
    Mistake(
        "query_and_key_of_input_bottleneck",
        "query and key made of the bottleneck that attention is added to, not of their own",
        (Edit("mobilebert.bottleneck", "return shared, x, narrow", "return narrow, x, narrow"),),
        when=of_mobilebert(has_bottlenecks),
    ),
    Mistake(
        "value_of_bottleneck",
        "value made of the bottleneck instead of the layer's whole input",
        (
            Edit(
                "mobilebert.bottleneck", "return shared, x, narrow", "return shared, shared, narrow"
            ),
        ),
        when=of_mobilebert(
            lambda config: has_bottlenecks(config) and config.hidden_size == config.true_hidden_size
        ),
    ),
    Mistake(
        "one_feed_forward_too_few",
        "one feed-forward network too few in each layer",
        (Edit("mobilebert.layer", "feedforward_networks - 1", "feedforward_networks - 2"),),
        when=of_mobilebert(
            lambda config: config.num_hidden_layers and config.num_feedforward_networks > 1
        ),
    ),
)
