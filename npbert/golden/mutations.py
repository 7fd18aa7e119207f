"""The classic mistakes of porting these models, each as an edit of npbert's own source.

A port that makes one of them computes what npbert computes with the edit in it, to the last digit
that floats hold: so the edit tells what is wrong. What each stands on is in planting.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert import heads
from npbert.golden.planting import Edit, Mutation, exchanged, planted
from npbert.models import PreTrainedModel

__all__ = ["MUTATIONS", "Mutation", "applicable", "planted"]


def applicable(model: PreTrainedModel) -> list[Mutation]:
    """Return the mistakes that somebody who ports this model can make."""
    return [mutation for mutation in MUTATIONS if mutation.applies(model)]


# ---- which models have a step ---------------------------------------------------------------


def family_of(model: Any) -> str:
    return type(model).__module__.rpartition(".")[2]


def layers(model: Any) -> bool:
    return model.config.num_hidden_layers > 0


def fills_masks(model: Any) -> bool:
    return isinstance(model, (heads.MaskedLM, heads.PreTraining))


def pools(model: Any) -> bool:
    """Tell whether a model sums up a text by its first token, through a tanh."""
    return getattr(model.config, "classifier_activation", True) and takes_first_token(model)


def takes_first_token(model: Any) -> bool:
    """Tell whether a model sums up a text by its first token, in a function of its own."""
    if family_of(model) == "convbert":
        return False
    if isinstance(model, heads.Encoder):
        return model.options.get("add_pooling_layer", True)
    kinds = heads.SequenceClassification, heads.MultipleChoice
    return isinstance(model, (*kinds, heads.PreTraining, heads.NextSentencePrediction))


def reads_first_token(model: Any) -> bool:
    classifies = isinstance(model, heads.SequenceClassification)
    return classifies if family_of(model) == "convbert" else takes_first_token(model)


def normalises(model: Any) -> bool:
    """Tell whether there is any real layer norm: most of MobileBERT's only scale and shift."""
    return getattr(model.config, "normalization_type", "layer_norm") != "no_norm" or (
        fills_masks(model)
    )


def fixed_epsilon(model: Any) -> float | None:
    """Return the epsilon of those norms that do not obey the config."""
    return {"squeezebert": 1e-12, "mobilebert": 1e-5}.get(family_of(model))


def has_heads(model: Any) -> bool:
    return layers(model) and count_heads(model) > 1


def count_heads(model: Any) -> int:
    return getattr(model.config, "heads", model.config.num_attention_heads)


def is_gelu(model: Any) -> bool:
    return model.config.hidden_act in ("gelu", "gelu_python")


def activates_in_head(model: Any) -> bool:
    """Tell whether an exact GELU stands in the head."""
    if family_of(model) == "convbert" and isinstance(model, heads.MaskedLM):
        return True
    classifies = isinstance(model, heads.SequenceClassification)
    return is_gelu(model) and (
        fills_masks(model) or (family_of(model) == "convbert" and classifies)
    )


def of_mobilebert(condition: Any) -> Any:
    """Return a condition on MobileBERT's config, false for any other model."""
    return lambda model: family_of(model) == "mobilebert" and condition(model.config)


def has_bottlenecks(config: Any) -> bool:
    """Tell whether query and key have a bottleneck of their own."""
    in_use = config.use_bottleneck and not config.use_bottleneck_attention
    return config.num_hidden_layers > 0 and in_use and config.key_query_shared_bottleneck


def has_square_maps(model: Any) -> bool:
    """Tell whether any is used: SqueezeBERT has a pooler under every head."""
    names = [name for name, array in model.state_dict().items() if is_square(name, array)]
    return any("pooler." not in name or pools(model) for name in names)


def transpose_square(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.T if is_square(name, array) else array for name, array in tensors.items()}


def is_square(name: str, array: np.ndarray) -> bool:
    """Tell whether a tensor is the matrix of a linear map that would fit either way round."""
    is_map = not ("embeddings." in name or name.endswith("decoder.weight"))
    return is_map and array.ndim == 2 and array.shape[0] == array.shape[1]


def without_decoder_bias(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    bias = "generator_lm_head.bias"
    return {name: 0 * array if name == bias else array for name, array in tensors.items()}


def in_other_order(name: str) -> Any:
    """Return a change of parameters: what the two outputs of a module are called is swapped."""

    def change(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        parts = (f"{name}.weight", f"{name}.bias")
        return {key: array[::-1] if key in parts else array for key, array in tensors.items()}

    return change


# ---- the mistakes ---------------------------------------------------------------------------

ANY, SQUEEZE = "ops.attend", "squeezebert.self_attention"
ACTIVATION = "activation = ACTIVATIONS[config.hidden_act]"
TANH_GELU = 'activation = ACTIVATIONS["gelu_new"]'
SOFTMAX = "probs = softmax(masked_scores)"
SOFTMAX_OVER_QUERIES = "probs = softmax(masked_scores.swapaxes(-1, -2)).swapaxes(-1, -2)"
CAUSAL = "((0, 0), (K // 2, K // 2), (0, 0))", "((0, 0), (K - 1, 0), (0, 0))"

MUTATIONS: tuple[Mutation, ...] = (
    # ---- embeddings
    Mutation(
        "no_type_embeddings",
        "the embeddings without those of the token types",
        (
            Edit("bert.embeddings", "words + types + positions", "words + positions"),
            Edit("convbert.embeddings", "words + positions + types", "words + positions"),
            Edit("mobilebert.embeddings", "wide + positions + types", "wide + positions"),
            Edit("squeezebert.embeddings", "words + positions + types", "words + positions"),
        ),
    ),
    Mutation(
        "no_position_embeddings",
        "the embeddings without those of the positions",
        (
            Edit("bert.embeddings", "words + types + positions", "words + types"),
            Edit("convbert.embeddings", "words + positions + types", "words + types"),
            Edit("mobilebert.embeddings", "wide + positions + types", "wide + types"),
            Edit("squeezebert.embeddings", "words + positions + types", "words + types"),
        ),
    ),
    Mutation(
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
    Mutation(
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
    # ---- norms
    Mutation(
        "epsilon_1e-5",
        "a layer norm with epsilon 1e-5",
        (Edit("ops.normalise", "np.sqrt(variance + eps)", "np.sqrt(variance + 1e-5)"),),
        when=lambda model: (
            normalises(model) and {model.config.layer_norm_eps, fixed_epsilon(model)} - {1e-5, None}
        ),
    ),
    Mutation(
        "epsilon_from_config",
        "a layer norm that takes epsilon from the config where the model fixes it",
        (
            Edit("squeezebert.layer", "ENCODER_EPS", "config.layer_norm_eps"),
            Edit("squeezebert.feed_forward", "ENCODER_EPS", "config.layer_norm_eps"),
            Edit("mobilebert.embeddings", "DEFAULT_EPS", "config.layer_norm_eps"),
            Edit("mobilebert.layer", "DEFAULT_EPS", "config.layer_norm_eps"),
        ),
        when=lambda model: (
            getattr(model.config, "normalization_type", "layer_norm") == "layer_norm"
            and model.config.layer_norm_eps not in (fixed_epsilon(model), 1e-5)
        ),
    ),
    Mutation(
        "unbiased_variance",
        "a layer norm whose variance is divided by D - 1",
        (
            Edit(
                "ops.normalise",
                "(centred * centred).mean(axis=-1, keepdims=True)",
                "(centred * centred).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)",
            ),
        ),
        when=normalises,
    ),
    Mutation(
        "layer_norm_for_no_norm",
        "a layer norm where the model only scales and shifts",
        (
            Edit(
                "mobilebert.norm",
                'no_norm(x, p) if config.normalization_type == "no_norm" else layer_norm(x, p, eps)',
                "layer_norm(x, p, eps)",
            ),
        ),
        when=of_mobilebert(lambda config: config.normalization_type == "no_norm"),
    ),
    Mutation(
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
    # ---- attention
    Mutation(
        "no_mask",
        "attention that does not mask padding",
        (
            Edit(ANY, "masked_scores = scores + bias", "masked_scores = scores + 0"),
            Edit(SQUEEZE, "masked_scores = scores + mask_bias", "masked_scores = scores + 0"),
        ),
        when=layers,
    ),
    Mutation(
        "mask_after_softmax",
        "the mask taken after the softmax instead of before it",
        (
            Edit(ANY, SOFTMAX, "probs = softmax(scores) * (bias == 0)"),
            Edit(SQUEEZE, SOFTMAX, "probs = softmax(scores) * (mask_bias == 0)"),
        ),
        when=layers,
        hidden=("exponentials",),
    ),
    Mutation(
        "softmax_over_queries",
        "a softmax of the attention scores over the axis of the queries",
        (
            Edit(ANY, SOFTMAX, SOFTMAX_OVER_QUERIES),
            Edit(SQUEEZE, SOFTMAX, SOFTMAX_OVER_QUERIES),
        ),
        when=layers,
        hidden=("exponentials",),
    ),
    Mutation(
        "no_scale",
        "attention scores that are not divided by the root of the head width",
        (
            Edit(ANY, " / math.sqrt(query.shape[-1])", ""),
            Edit(SQUEEZE, " / math.sqrt(queries.shape[-1])", ""),
        ),
        when=layers,
    ),
    Mutation(
        "scale_of_all_heads",
        "attention scores divided by the root of the width of all heads together",
        (
            Edit(ANY, "query.shape[-1])", "query.shape[1] * query.shape[-1])"),
            Edit(SQUEEZE, "queries.shape[-1])", "queries.shape[1] * queries.shape[-1])"),
        ),
        when=has_heads,
    ),
    Mutation(
        "scale_before_halving",
        "attention scores divided by the root of a head width that was not halved",
        (Edit(ANY, "query.shape[-1])", "2 * query.shape[-1])"),),
        # with two heads, that is the width of all heads together
        when=lambda model: (
            family_of(model) == "convbert" and layers(model) and count_heads(model) != 2
        ),
    ),
    Mutation(
        "heads_interleaved",
        "heads that take every H-th channel instead of a run of them",
        (
            Edit(
                "ops.split_heads",
                "x.reshape(B, T, H, -1).swapaxes(1, 2)",
                "x.reshape(B, T, -1, H).transpose(0, 3, 1, 2)",
            ),
        ),
        when=has_heads,
    ),
    Mutation(
        "heads_not_swapped_back",
        "heads merged without their axis being swapped back behind the tokens",
        (
            Edit(
                ANY,
                "(probs @ value).swapaxes(1, 2)",
                "(probs @ value).reshape(key.swapaxes(1, 2).shape)",
            ),
            Edit(
                SQUEEZE,
                "(probs @ values).swapaxes(1, 2)",
                "(probs @ values).reshape(keys.swapaxes(1, 2).shape)",
            ),
        ),
        when=has_heads,
        hidden=("context",),
    ),
    Mutation(
        "scores_transposed",
        "attention scores of the keys by the queries instead of the queries by the keys",
        (
            Edit(ANY, "query @ key.swapaxes(-1, -2)", "key @ query.swapaxes(-1, -2)"),
            Edit(SQUEEZE, "queries @ keys.swapaxes(-1, -2)", "keys @ queries.swapaxes(-1, -2)"),
        ),
        when=layers,
    ),
    Mutation(
        "query_and_key_weights_swapped",
        "the parameters of query and key in each other's place",
        parameters=lambda tensors: exchanged(tensors, "query", "key"),
        # with their own groups, the two differ in shape
        when=lambda model: (
            layers(model)
            and getattr(model.config, "q_groups", 1) == getattr(model.config, "k_groups", 1)
        ),
    ),
    # ---- the convolutions of ConvBERT
    Mutation(
        "filters_reversed",
        "the filters of the dynamic convolution from right to left",
        (Edit("kernels.dynamic_convolution", "windows, filters)", "windows, filters[..., ::-1])"),),
        when=lambda model: layers(model) and family_of(model) == "convbert",
    ),
    Mutation(
        "taps_reversed",
        "the filters of the span summary from right to left",
        (Edit("convbert.span_summary", "weight[:, 0].T", "weight[:, 0, ::-1].T"),),
        when=layers,
    ),
    Mutation(
        "dynamic_convolution_causal",
        "a dynamic convolution that looks only backwards",
        (Edit("kernels.dynamic_convolution", *CAUSAL),),
        when=lambda model: layers(model) and family_of(model) == "convbert",
    ),
    Mutation(
        "span_summary_causal",
        "a span summary that looks only backwards",
        (Edit("convbert.span_summary", *CAUSAL),),
        when=layers,
    ),
    Mutation(
        "windows_channel_minor",
        "windows unfolded with the neighbours before the channels",
        (
            Edit(
                "kernels.dynamic_convolution",
                "windows = spans.reshape(B, T, H, -1, K)",
                "windows = spans.swapaxes(2, 3).reshape(B, T, H, -1, K)",
            ),
        ),
        when=lambda model: layers(model) and family_of(model) == "convbert",
    ),
    Mutation(
        "convolution_first",
        "the heads of the convolution before those of attention",
        (Edit("convbert.mixed_attention", "[far, near]", "[near, far]"),),
        when=layers,
    ),
    Mutation(
        "convolution_masked",
        "a convolution that takes padding for zeros",
        (
            Edit(
                "convbert.mixed_attention",
                "dynamic_convolution(local, filters)",
                "dynamic_convolution(local * (mask_bias[:, 0, 0, :, None] == 0), filters)",
            ),
        ),
        when=layers,
    ),
    Mutation(
        "filters_without_query",
        "filters made of the span summary alone, not multiplied by the query",
        (Edit("convbert.span_filters", "summary * query", "summary * 1"),),
        when=layers,
    ),
    Mutation(
        "filters_softmax_over_heads",
        "a softmax of the filters over the heads instead of the neighbours",
        (
            Edit(
                "convbert.span_filters",
                "softmax(filter_scores)",
                "softmax(filter_scores.swapaxes(2, 3)).swapaxes(2, 3)",
            ),
        ),
        when=layers,
        hidden=("self.softmax.exponentials",),
    ),
    # ---- maps
    Mutation(
        "group_weights_transposed",
        "the matrices of grouped maps read the other way round",
        (
            Edit(
                "convbert.grouped_linear",
                "groups @ p.weight",
                "groups @ p.weight.reshape(G, -1, group_width).swapaxes(1, 2)",
            ),
            Edit(
                "kernels.grouped_convolution",
                "weight.reshape(G, -1, group_width)",
                "weight.reshape(G, group_width, -1).swapaxes(1, 2)",
            ),
        ),
        when=lambda model: (
            layers(model)
            and (
                family_of(model) == "squeezebert"
                or (family_of(model) == "convbert" and model.config.num_groups > 1)
            )
        ),
    ),
    Mutation(
        "square_weights_transposed",
        "the square matrices of linear maps transposed",
        parameters=transpose_square,
        when=has_square_maps,
    ),
    # ---- layers
    Mutation(
        "tanh_gelu",
        "the tanh approximation of GELU in the layers",
        (Edit("family.feed_forward", ACTIVATION, TANH_GELU),),
        when=lambda model: layers(model) and is_gelu(model),
    ),
    Mutation(
        "gelu_for_relu",
        "GELU where the config says ReLU",
        (
            Edit("family.feed_forward", ACTIVATION, 'activation = ACTIVATIONS["gelu"]'),
            Edit("mobilebert.masked_lm_head", ACTIVATION, 'activation = ACTIVATIONS["gelu"]'),
        ),
        when=lambda model: model.config.hidden_act == "relu",
    ),
    Mutation(
        "residual_of_layer_input",
        "a feed-forward network that is added to the layer's input, not to what attention gave",
        (
            Edit("bert.feed_forward", "p, config):", "p, config, entered):"),
            Edit("bert.feed_forward", "x + narrow", "entered + narrow"),
            Edit("bert.layer", "x = layer_norm(x +", "entered, x = x, layer_norm(x +"),
            Edit("bert.layer", "feed_forward(x, p, config)", "feed_forward(x, p, config, entered)"),
            Edit("convbert.feed_forward", "p, config):", "p, config, entered):"),
            Edit("convbert.feed_forward", "x + narrow", "entered + narrow"),
            Edit("convbert.layer", "x = layer_norm(x +", "entered, x = x, layer_norm(x +"),
            Edit(
                "convbert.layer", "feed_forward(x, p, config)", "feed_forward(x, p, config, entered)"
            ),
            Edit("squeezebert.feed_forward", "p, config):", "p, config, entered):"),
            Edit("squeezebert.feed_forward", "x + narrow", "entered + narrow"),
            Edit("squeezebert.layer", "x = layer_norm(x +", "entered, x = x, layer_norm(x +"),
            Edit(
                "squeezebert.layer",
                "feed_forward(x, p, config)",
                "feed_forward(x, p, config, entered)",
            ),
        ),
        when=layers,
    ),
    Mutation(
        "residual_of_shared_bottleneck",
        "attention added to the bottleneck of query and key instead of the other one",
        (Edit("mobilebert.layer", "norm(narrow + gathered,", "norm(shared + gathered,"),),
        when=of_mobilebert(has_bottlenecks),
    ),
    Mutation(
        "query_and_key_of_input_bottleneck",
        "query and key made of the bottleneck that attention is added to, not of their own",
        (Edit("mobilebert.bottleneck", "return shared, x, narrow", "return narrow, x, narrow"),),
        when=of_mobilebert(has_bottlenecks),
    ),
    Mutation(
        "value_of_bottleneck",
        "value made of the bottleneck instead of the layer's whole input",
        (Edit("mobilebert.bottleneck", "return shared, x, narrow", "return shared, shared, narrow"),),
        when=of_mobilebert(
            lambda config: (
                has_bottlenecks(config) and config.hidden_size == config.true_hidden_size
            )
        ),
    ),
    Mutation(
        "one_feed_forward_too_few",
        "one feed-forward network too few in each layer",
        (Edit("mobilebert.layer", "feedforward_networks - 1", "feedforward_networks - 2"),),
        when=of_mobilebert(
            lambda config: config.num_hidden_layers and config.num_feedforward_networks > 1
        ),
    ),
    # ---- heads
    Mutation(
        "pooler_without_tanh",
        "a pooler without tanh",
        (Edit("family.pool", "np.tanh(linear(", "np.positive(linear("),),
        when=pools,
    ),
    Mutation(
        "last_token_pooled",
        "a text summed up by its last position instead of its first",
        (
            Edit("bert.pool", "x[:, 0]", "x[:, -1]"),
            Edit("mobilebert.pool", "x[:, 0]", "x[:, -1]"),
            Edit("squeezebert.pool", "x[:, 0]", "x[:, -1]"),
            Edit("convbert.classification_head", "x[:, 0]", "x[:, -1]"),
        ),
        when=reads_first_token,
    ),
    Mutation(
        "first_token_summed_up",
        "a choice summed up by its first position instead of its last",
        (Edit("convbert.sequence_summary", "summary_type, x[:, -1]", "summary_type, x[:, 0]"),),
        when=lambda model: (
            isinstance(model, heads.MultipleChoice)
            and model.config.summary_type not in ("first", "mean")
        ),
    ),
    Mutation(
        "tanh_gelu_in_head",
        "the tanh approximation of GELU in the head",
        (
            Edit("bert.masked_lm_head", ACTIVATION, TANH_GELU),
            Edit("mobilebert.masked_lm_head", ACTIVATION, TANH_GELU),
            Edit("squeezebert.masked_lm_head", ACTIVATION, TANH_GELU),
            Edit("convbert.masked_lm_head", "gelu(linear", 'ACTIVATIONS["gelu_new"](linear'),
            Edit("convbert.classification_head", "[config.hidden_act]", '["gelu_new"]'),
        ),
        when=activates_in_head,
    ),
    Mutation(
        "no_decoder_bias",
        "scores of word pieces without the bias of the decoder",
        (
            Edit("bert.masked_lm_head", " + p.decoder.bias", ""),
            Edit("squeezebert.masked_lm_head", " + p.decoder.bias", ""),
            Edit("mobilebert.masked_lm_head", " + p.decoder.bias", ""),
        ),
        parameters=without_decoder_bias,  # ConvBERT's head has no line of its own for it
        when=fills_masks,
    ),
    Mutation(
        "decoder_without_dense",
        "scores of word pieces by the word embeddings alone, without the part of `dense`",
        (Edit("mobilebert.masked_lm_head", "by_embedding + by_dense", "by_embedding"),),
        when=lambda model: (
            fills_masks(model) and model.config.embedding_size < model.config.hidden_size
        ),
    ),
    Mutation(
        "next_sentence_labels_swapped",
        "the two labels of next-sentence prediction swapped",
        parameters=in_other_order("cls.seq_relationship"),
        when=lambda model: isinstance(model, (heads.PreTraining, heads.NextSentencePrediction)),
    ),
    Mutation(
        "start_and_end_swapped",
        "the start and the end of the answer swapped",
        parameters=in_other_order("qa_outputs"),
        when=lambda model: isinstance(model, heads.QuestionAnswering),
    ),
)
