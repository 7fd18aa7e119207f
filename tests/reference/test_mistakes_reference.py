"""Mistakes that a port might make, planted one by one: each must land far outside the tolerance.

A comparison with the reference that lets one of these through would prove nothing about the forward
passes. They are the mistakes that npbert knows by name, and a table of further ones, each as an
edit of the source.
"""

import numpy as np
import pytest
from reference_models import (
    TOLERANCES,
    for_head,
    largest_error,
    mask_with_zeros,
    random_ids,
    random_types,
    reference,
)

from npbert.golden.mistakes.catalogue import MISTAKES
from npbert.golden.mistakes.planting import Edit, Mistake, planted

pytestmark = pytest.mark.reference

FAR = 50 * TOLERANCES["float32"]  # relative to the largest value of an output

CONFIGS = {
    # hidden_act is not gelu, and the epsilon is large enough to be seen in float32.
    "Bert": dict(hidden_act="relu", layer_norm_eps=0.01, num_attention_heads=3),
    "ConvBert": dict(
        hidden_act="relu",
        layer_norm_eps=0.01,
        num_attention_heads=6,
        intermediate_size=24,  # of the width of x: a transposed group weight fits
        num_groups=4,
    ),
    "MobileBert": dict(hidden_act="gelu"),
    "MobileBert, layer_norm": dict(normalization_type="layer_norm", layer_norm_eps=0.01),
    "MobileBert, layer_norm, 1e-12": dict(normalization_type="layer_norm"),
    # Of one width everywhere: what is taken from the wrong place fits.
    "MobileBert, one width": dict(embedding_size=24, intra_bottleneck_size=24),
    "MobileBert, halves": dict(embedding_size=12),
    "Bert, gelu": dict(intermediate_size=200),
    "ConvBert, gelu": dict(intermediate_size=200),
    "MobileBert, gelu": dict(
        intermediate_size=200, hidden_act="gelu", normalization_type="layer_norm"
    ),
    "SqueezeBert": dict(
        hidden_act="relu",
        layer_norm_eps=0.01,
        num_attention_heads=3,
        intermediate_size=24,
        q_groups=2,
        k_groups=4,
        v_groups=3,
        post_attention_groups=2,
        intermediate_groups=4,
        output_groups=3,
    ),
    "SqueezeBert, 1e-12": dict(hidden_act="relu", layer_norm_eps=1e-12, num_attention_heads=3),
    "SqueezeBert, gelu": dict(num_attention_heads=3, intermediate_size=200),
}


def loaded(config, head, dtype):
    """Return the reference's random model of a config, and npbert's."""
    truth = reference(config.split(",")[0], head, **CONFIGS[config])
    return truth, truth.load(dtype)


def error_of(truth, model, head, dtype):
    """Run npbert as it is now, mistake and all, and return its largest error."""
    example = dict(
        input_ids=random_ids(truth.config, 3, 13),
        attention_mask=mask_with_zeros(3, 13, (1, slice(8, None)), (2, slice(4))),
        token_type_ids=random_types(truth.config, 3, 13),
    )
    if truth.config.model_type == "squeezebert":  # whose attentions are something else
        example["output_attentions"] = True
    example = for_head(head, example)
    with np.errstate(all="ignore"):
        return largest_error(model(**example), truth(dtype, **example), dtype)


# ---- the mistakes that are known by name ---------------------------------------------------

# Mistakes that are small in float32 are looked for in float64.
SMALL = {"epsilon_1e-5", "epsilon_from_config", "tanh_gelu", "tanh_gelu_in_head"}
# These need two pieces of text, or labels, to show: the tests of heads and of kits have them.
ELSEWHERE = {"next_sentence_labels_swapped", "start_and_end_swapped", "first_token_summed_up"}
HEAD_OF = {"no_norm_in_head": "ForMaskedLM", "tanh_gelu_in_head": "ForMaskedLM",
           "no_decoder_bias": "ForMaskedLM", "decoder_without_dense": "ForMaskedLM"}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_known_by_name_is_caught(mistake):
    if mistake.name in ELSEWHERE:
        pytest.skip("shows in the answers of its head alone: test_mistakes_in_heads_reference.py")
    head, found = HEAD_OF.get(mistake.name, "Model"), 0
    dtype, far = ("float64", 1e-8) if mistake.name in SMALL else ("float32", FAR)
    for config in CONFIGS:
        truth, model = loaded(config, head, dtype)
        if mistake.applies(model):
            with planted(mistake, model) as mistaken:
                assert error_of(truth, mistaken, head, dtype) > far, config
            found += 1
    assert found


# ---- further ones --------------------------------------------------------------------------

WHOLE = "Bert", "ConvBert", "MobileBert", "SqueezeBert"
NORMED = "Bert", "ConvBert", "MobileBert, layer_norm", "SqueezeBert"
NORM_X = "layer_norm(x, p.output.LayerNorm, config.layer_norm_eps)"
VISIBLE = "(mask_bias[:, 0, 0, :, None] == 0)"
CONCATENATED = "np.concatenate([following, words, preceding], axis=2)"
PADDED = "np.pad(words, ((0, 0), (1, 1), (0, 0)))"
BOTTLENECKS = "return shared, x, narrow"

# name: (configs, head, (place, old, new), ...)
FURTHER = {
    "mask_upside_down": (WHOLE, "Model", (
        "ops.attend", "scores + mask_bias", "scores + np.where(mask_bias, 0, mask_bias.min())")),
    "token_types_forgotten": (WHOLE, "Model", (
        "family.embeddings", "weight[inputs.token_type_ids]",
        "weight[0 * inputs.token_type_ids]")),
    "positions_that_skip_padding": (WHOLE, "Model", (
        "family.embeddings", "weight[inputs.position_ids]",
        "weight[np.maximum(np.cumsum(inputs.mask_bias[:, 0, 0] == 0, axis=1) - 1, 0)]")),
    "epsilon_outside_the_root": (NORMED, "Model", (
        "ops.layer_norm", "np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)")),
    "norm_over_the_tokens": (NORMED, "Model", (
        "ops.layer_norm", "x - x.mean(axis=-1, keepdims=True)",
        "x - x.mean(axis=-2, keepdims=True)")),
    "residual_of_the_feed_forward_forgotten": (WHOLE, "Model", (
        "family.feed_forward", "x + narrow", "narrow")),
    "residual_of_attention_forgotten": (("Bert", "ConvBert", "SqueezeBert"), "Model", (
        "family.layer", "x + projected", "projected")),
    "pre_normalisation": (("Bert",), "Model",
        ("bert.feed_forward", "linear(x, ", f"linear({NORM_X}, "),
        ("bert.feed_forward", "layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)",
         "x + narrow")),
    "pre_normalisation_of_convbert": (("ConvBert",), "Model",
        ("convbert.feed_forward", "transform(x, ", f"transform({NORM_X}, "),
        ("convbert.feed_forward",
         "layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)", "x + narrow")),
    "heads_read_the_other_way": (WHOLE, "Model", (
        "ops.attend", "context = (probs @ value).swapaxes(1, 2)",
        "context = (probs @ value)[:, ::-1].swapaxes(1, 2)")),
    # ---- ConvBERT
    "convolution_heads_interleaved": (("ConvBert",), "Model", (
        "kernels.dynamic_convolution", "spans.reshape(B, T, H, -1, K)",
        "spans.reshape(B, T, -1, H, K).swapaxes(2, 3)")),
    "filters_without_softmax": (("ConvBert",), "Model", (
        "convbert.span_filters", "softmax(filter_scores)", "filter_scores")),
    "filters_shared_out_over_heads": (("ConvBert",), "Model", (
        "convbert.span_filters", "flat_scores.reshape(B, T, H, -1)",
        "flat_scores.reshape(B, T, -1, H).swapaxes(2, 3)")),
    "bias_of_the_span_summary_forgotten": (("ConvBert",), "Model", (
        "convbert.span_summary", " + p.bias[:, 0]", "")),
    "mask_reaches_the_span_summary": (("ConvBert",), "Model", (
        "convbert.mixed_attention", "span_filters(x, ", f"span_filters(x * {VISIBLE}, ")),
    "halves_head_by_head": (("ConvBert",), "Model", (
        "convbert.mixed_attention", "np.concatenate([far, near], axis=2)",
        "np.stack([far, near], axis=3)")),
    "groups_interleaved": (("ConvBert",), "Model", (
        "kernels.grouped_linear", "x.reshape(*x.shape[:-1], G, 1, group_width)",
        "x.reshape(*x.shape[:-1], group_width, 1, G).swapaxes(-1, -3)")),
    "hidden_act_in_the_masked_lm_head": (("ConvBert",), "ForMaskedLM", (
        "convbert.masked_lm_head", "gelu(linear", "ACTIVATIONS[config.hidden_act](linear")),
    # ---- MobileBERT
    "the_word_itself_first": (("MobileBert",), "Model", (
        "mobilebert.trigrams", "[following, words, preceding]", "[words, following, preceding]")),
    "trigrams_interleaved": (("MobileBert",), "Model", (
        "mobilebert.trigrams", CONCATENATED,
        "np.stack([following, words, preceding], axis=3).reshape(*words.shape[:2], -1)")),
    "trigrams_round_a_ring": (("MobileBert",), "Model", (
        "mobilebert.trigrams", PADDED, PADDED[:-1] + ', mode="wrap")')),
    "trigrams_of_the_edge": (("MobileBert",), "Model", (
        "mobilebert.trigrams", PADDED, PADDED[:-1] + ', mode="edge")')),
    "mask_reaches_the_trigrams": (("MobileBert",), "Model", (
        "mobilebert.embeddings", "trigrams(words)",
        "trigrams(words * (inputs.mask_bias[:, 0, 0, :, None] == 0))")),
    "no_norm_without_its_bias": (("MobileBert",), "Model", (
        "mobilebert.no_norm", "x * p.weight + p.bias", "x * p.weight")),
    "no_norm_that_does_nothing": (("MobileBert",), "Model", (
        "mobilebert.no_norm", "x * p.weight + p.bias", "x + 0")),
    "no_norm_for_layer_norm": (("MobileBert, layer_norm",), "Model", (
        "mobilebert.norm", 'config.normalization_type == "no_norm"', "True")),
    "epsilon_of_pytorch_in_all_feed_forward_networks": (("MobileBert, layer_norm",), "Model", (
        "mobilebert.layer", "p.ffn[i], config, eps)", "p.ffn[i], config, DEFAULT_EPS)")),
    "value_of_the_input_bottleneck": (("MobileBert, one width",), "Model", (
        "mobilebert.bottleneck", BOTTLENECKS, "return shared, narrow, narrow")),
    "query_and_key_of_the_full_width": (("MobileBert, one width",), "Model", (
        "mobilebert.bottleneck", BOTTLENECKS, "return x, x, narrow")),
    "bottlenecks_swapped": (("MobileBert",), "Model", (
        "mobilebert.bottleneck", BOTTLENECKS, "return narrow, x, shared")),
    "residual_of_the_full_width": (("MobileBert, one width",), "Model", (
        "mobilebert.bottleneck", BOTTLENECKS, "return shared, x, x")),
    "residual_of_attention_forgotten_in_mobilebert": (
        ("MobileBert", "MobileBert, layer_norm"), "Model", (
        "mobilebert.layer", "narrow + projected", "projected")),
    "residual_round_the_layer_forgotten": (("MobileBert", "MobileBert, layer_norm"), "Model", (
        "mobilebert.expand", "x + expanded", "expanded")),
    "residual_round_the_layer_of_the_bottleneck": (("MobileBert, one width",), "Model", (
        "mobilebert.layer", "expand(narrow, x,", "expand(narrow, narrow,")),
    "last_feed_forward_network_forgotten": (("MobileBert", "MobileBert, layer_norm"), "Model", (
        "mobilebert.layer", "narrow = feed_forward(narrow, p, config, DEFAULT_EPS)",
        "narrow = narrow + 0")),
    "stacked_feed_forward_networks_forgotten": (
        ("MobileBert", "MobileBert, layer_norm"), "Model", (
        "mobilebert.layer", "range(config.num_feedforward_networks - 1)", "range(0)")),
    "stacked_feed_forward_networks_in_reverse": (
        ("MobileBert", "MobileBert, layer_norm"), "Model", (
        "mobilebert.layer", "p.ffn[i]", "p.ffn[-1 - i]")),
    "first_feed_forward_network_in_the_place_of_all": (
        ("MobileBert", "MobileBert, layer_norm"), "Model", (
        "mobilebert.layer", "p.ffn[i]", "p.ffn[0]")),
    "halves_of_the_decoder_swapped": (("MobileBert, halves",), "ForMaskedLM",
        ("mobilebert.masked_lm_head", "narrow = transformed[..., :E]",
         "narrow = transformed[..., E:]"),
        ("mobilebert.masked_lm_head", "rest = transformed[..., E:]",
         "rest = transformed[..., :E]")),
    "dense_transposed": (("MobileBert, halves",), "ForMaskedLM", (
        "mobilebert.masked_lm_head", "rest @ p.dense.weight",
        "rest @ p.dense.weight.reshape(-1, E).T")),
    "epsilon_of_pytorch_in_the_masked_lm_head": (("MobileBert, layer_norm",), "ForMaskedLM", (
        "mobilebert.masked_lm_head", "config.layer_norm_eps", "DEFAULT_EPS")),
    "pooler_of_the_raw_first_token": (("MobileBert",), "Model", (
        "mobilebert.pool", "np.tanh(linear(first, p.pooler.dense))", "first + 0")),
    # ---- heads
    "gelu_in_the_masked_lm_head": (("Bert", "SqueezeBert"), "ForMaskedLM", (
        "family.masked_lm_head", "ACTIVATIONS[config.hidden_act]", 'ACTIVATIONS["gelu"]')),
    "pooler_of_the_mean": (("Bert", "MobileBert", "SqueezeBert"), "Model", (
        "family.pool", "x[:, 0]", "x.mean(axis=1)")),
    "classification_without_the_pooler": (
        ("Bert", "SqueezeBert"), "ForSequenceClassification", (
        "family.pool", "np.tanh(linear(first, p.dense))", "first + 0")),
    "pooler_where_there_is_none": (("SqueezeBert",), "ForTokenClassification", (
        "squeezebert.SqueezeBertForTokenClassification.head", "linear(x, ",
        "linear(np.tanh(linear(x, self.params.transformer.pooler.dense)), ")),
    # ---- SqueezeBERT
    "channels_interleaved_as_they_enter": (("SqueezeBert",), "Model", (
        "kernels.grouped_convolution", "x.reshape(-1, x.shape[-1] // group_width, group_width)",
        "x.reshape(-1, group_width, x.shape[-1] // group_width).swapaxes(1, 2)")),
    "channels_interleaved_as_they_leave": (("SqueezeBert",), "Model", (
        "kernels.grouped_convolution", "out.reshape(*x.shape[:-1], O)",
        "out.swapaxes(1, 2).reshape(*x.shape[:-1], O)")),
    "filters_of_the_next_group": (("SqueezeBert",), "Model", (
        "kernels.grouped_convolution", "p.weight.reshape(G, -1, group_width)",
        "np.roll(p.weight.reshape(G, -1, group_width), 1, axis=0)")),
    "groups_added_up": (("SqueezeBert",), "Model", (
        "kernels.grouped_convolution", "out.reshape(*x.shape[:-1], O)",
        "(out + out[:, ::-1]).reshape(*x.shape[:-1], O)")),
    "bias_of_the_convolutions_forgotten": (("SqueezeBert",), "Model", (
        "kernels.grouped_convolution", "O) + p.bias", "O)")),
    "epsilon_of_the_encoder_in_the_embeddings": (("SqueezeBert",), "Model", (
        "squeezebert.embeddings", "config.layer_norm_eps", "ENCODER_EPS")),
    "epsilon_of_the_encoder_in_the_masked_lm_head": (("SqueezeBert",), "ForMaskedLM", (
        "squeezebert.masked_lm_head", "config.layer_norm_eps", "ENCODER_EPS")),
    "attentions_after_the_softmax": (("SqueezeBert",), "Model", (
        "squeezebert.self_attention", "context, _, scores = attend",
        "context, scores, _ = attend")),
    "attentions_before_the_mask": (("SqueezeBert",), "Model", (
        "squeezebert.self_attention", "x.shape), scores", "x.shape), scores - mask_bias")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "config"), [(name, config) for name, row in FURTHER.items() for config in row[0]]
)
def test_a_further_mistake_is_caught(name, config):
    _, head, *edits = FURTHER[name]
    mistake = Mistake(name, "", tuple(Edit(*edit) for edit in edits))
    truth, model = loaded(config, head, "float32")
    assert mistake.edits_for(model)
    with planted(mistake, model) as mistaken:
        assert error_of(truth, mistaken, head, "float32") > FAR


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("head", ["Model", "ForMaskedLM"])
@pytest.mark.parametrize("config", CONFIGS)
def test_without_a_mistake_all_is_well(config, head, dtype):
    truth, model = loaded(config, head, dtype)
    assert error_of(truth, model, head, dtype) < TOLERANCES[dtype]
