"""Slips that a port might make, planted one by one: each must land far outside the tolerance.

A comparison that lets one of these through would prove nothing about the forward passes.
"""

import numpy as np
import pytest
from reference_models import (
    TOLERANCES,
    largest_error,
    mask_with_zeros,
    random_ids,
    random_types,
    reference,
)

from npbert import activations, bert, convbert, kernels, mobilebert, ops
from npbert.model import inputs
from npbert.model.params import Node, path

pytestmark = pytest.mark.reference

FAR = 50 * TOLERANCES["float32"]  # relative to the largest value of an output
FAMILIES = (bert, convbert, mobilebert)

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
}


def error_of(config, head, dtype):
    """Run npbert as it is now, slip and all, and return its largest error."""
    family = config.split(",")[0]
    truth = reference(family, head, **CONFIGS[config])
    example = dict(
        input_ids=random_ids(truth.config, 3, 13),
        attention_mask=mask_with_zeros(3, 13, (1, slice(8, None)), (2, slice(4))),
        token_type_ids=random_types(truth.config, 3, 13),
    )
    return largest_error(truth.load(dtype)(**example), truth(dtype, **example), dtype)


# ---- the slips: each is a function that plants itself --------------------------------------

SLIPS = {}


def slip(*configs, head="Model", dtype="float32", far=FAR):
    """Register a slip for the configs that it shows in, and how far off it must be there."""

    def register(plant):
        for config in configs:
            SLIPS[f"{plant.__name__}-{config}"] = plant, (config, head, dtype), far
        return plant

    return register


def replace(monkeypatch, module, name, function):
    """Put a function in the place of another, and hand the other one to it as first argument."""
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: function(right, *args))


@slip("Bert", "ConvBert", "MobileBert")
def no_mask(monkeypatch):
    monkeypatch.setattr(inputs, "mask_bias", lambda mask, dtype: np.zeros((), dtype))


@slip("Bert", "ConvBert", "MobileBert")
def mask_upside_down(monkeypatch):
    replace(monkeypatch, inputs, "mask_bias", lambda right, mask, dtype: right(1 - mask, dtype))


@slip("Bert", "ConvBert", "MobileBert")
def scores_without_scale(monkeypatch):
    for module in FAMILIES:
        replace(
            monkeypatch,
            module,
            "attend",
            lambda right, q, k, v, bias: right(q * np.sqrt(q.shape[-1], dtype=q.dtype), k, v, bias),
        )


@slip("Bert", "ConvBert", "MobileBert")
def query_and_key_swapped(monkeypatch):
    for module in FAMILIES:
        replace(monkeypatch, module, "attend", lambda right, q, k, v, bias: right(k, q, v, bias))


@slip("Bert", "ConvBert", "MobileBert")
def heads_interleaved(monkeypatch):
    def split_heads(right, x, H):  # head h reads channels h, h + H, h + 2H, ...
        B, T, _ = x.shape
        return x.reshape(B, T, -1, H).transpose(0, 3, 1, 2)

    for module in FAMILIES:
        replace(monkeypatch, module, "split_heads", split_heads)


@slip("Bert", "ConvBert", "MobileBert")
def heads_not_merged_back(monkeypatch):
    """[B, H, T, S] read as if it were [B, T, H, S]: the classic forgotten transpose."""

    def attend(right, q, k, v, bias):
        context, probs = right(q, k, v, bias)
        return np.ascontiguousarray(context.swapaxes(1, 2)).reshape(context.shape), probs

    for module in FAMILIES:
        replace(monkeypatch, module, "attend", attend)


@slip("Bert", "ConvBert", "MobileBert")
def softmax_over_the_queries(monkeypatch):
    def softmax(x):
        return ops_softmax(x.swapaxes(-1, -2)).swapaxes(-1, -2)

    ops_softmax = ops.softmax
    monkeypatch.setattr(ops, "softmax", softmax)


@slip("Bert, gelu", "ConvBert, gelu", "MobileBert, gelu", far=5 * TOLERANCES["float32"])
def gelu_by_tanh(monkeypatch):
    """The approximation is off by 5e-4 at most, so this one cannot be off by much."""
    monkeypatch.setitem(activations.ACTIVATIONS, "gelu", activations.gelu_tanh)


@slip("Bert", "ConvBert", "MobileBert, layer_norm")
def epsilon_of_the_paper(monkeypatch):
    """1e-12 whatever the config says."""
    for module in FAMILIES:
        replace(monkeypatch, module, "layer_norm", lambda right, x, p, eps: right(x, p, 1e-12))


@slip(
    "Bert, gelu",
    "ConvBert, gelu",
    "MobileBert, layer_norm, 1e-12",
    dtype="float64",
    far=1e-7,
)
def epsilon_of_pytorch(monkeypatch):
    """1e-5, the default of torch's LayerNorm, for 1e-12: only float64 is sure to see this one."""
    for module in FAMILIES:
        replace(monkeypatch, module, "layer_norm", lambda right, x, p, eps: right(x, p, 1e-5))


@slip("Bert", "ConvBert", "MobileBert, layer_norm")
def epsilon_outside_the_root(monkeypatch):
    def layer_norm(right, x, p, eps):
        return (x - x.mean(-1, keepdims=True)) / (
            x.std(-1, keepdims=True) + eps
        ) * p.weight + p.bias

    for module in FAMILIES:
        replace(monkeypatch, module, "layer_norm", layer_norm)


@slip("Bert", "ConvBert", "MobileBert, layer_norm")
def variance_divided_by_one_less(monkeypatch):
    def layer_norm(right, x, p, eps):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(x.var(-1, ddof=1, keepdims=True) + eps) * p.weight + p.bias

    for module in FAMILIES:
        replace(monkeypatch, module, "layer_norm", layer_norm)


def change_inputs(monkeypatch, **changes):
    """Change what embeddings get: each change maps the model's Inputs to a new field."""

    def embeddings(right, inputs, p, config):
        for name, change in changes.items():
            monkeypatch.setattr(inputs, name, change(inputs))
        return right(inputs, p, config)

    for module in FAMILIES:
        replace(monkeypatch, module, "embeddings", embeddings)


@slip("Bert", "ConvBert", "MobileBert")
def token_types_forgotten(monkeypatch):
    """The embedding of type 0 must be added even where nobody gave types."""
    change_inputs(monkeypatch, token_type_ids=lambda i: np.zeros_like(i.token_type_ids))


@slip("Bert", "ConvBert", "MobileBert")
def positions_off_by_one(monkeypatch):
    """Positions from 1 on, after the padding token's, as RoBERTa counts them."""
    change_inputs(monkeypatch, position_ids=lambda i: i.position_ids + 1)


@slip("Bert", "ConvBert", "MobileBert")
def positions_that_skip_padding(monkeypatch):
    def positions(inputs):
        counts = (inputs.mask_bias[:, 0, 0] == 0).cumsum(axis=-1) - 1
        return np.maximum(counts, 0)

    change_inputs(monkeypatch, position_ids=positions)


@slip("Bert", "ConvBert")
def residual_of_the_feed_forward_forgotten(monkeypatch):
    def feed_forward(right, x, p, config):
        def norm_without(_, total, p, eps):
            return ops.layer_norm(total - x, p, eps)

        with monkeypatch.context() as inner:
            for module in (bert, convbert):
                replace(inner, module, "layer_norm", norm_without)
            return right(x, p, config)

    for module in (bert, convbert):
        replace(monkeypatch, module, "feed_forward", feed_forward)


@slip("Bert", "ConvBert")
def pre_normalisation(monkeypatch):
    """Normalise what enters a sub-layer instead of what leaves it, as GPT-2 does."""

    def feed_forward(right, x, p, config):
        return x + right(ops.layer_norm(x, p.output.LayerNorm, config.layer_norm_eps), p, config)

    for module in (bert, convbert):
        replace(monkeypatch, module, "feed_forward", feed_forward)


# ---- ConvBERT's own ------------------------------------------------------------------------


def change_convolution(monkeypatch, change):
    """Change (values, filters) on their way into the dynamic convolution, on both backends."""
    right = kernels.dynamic_convolution
    monkeypatch.setattr(
        convbert, "dynamic_convolution", lambda values, filters: right(*change(values, filters))
    )


@slip("ConvBert")
def filters_reversed(monkeypatch):
    """A convolution in the strict sense, where the reference correlates."""
    change_convolution(monkeypatch, lambda values, filters: (values, filters[..., ::-1].copy()))


@slip("ConvBert")
def convolution_heads_interleaved(monkeypatch):
    def change(values, filters):
        B, T, H, _ = filters.shape
        return values.reshape(B, T, -1, H).swapaxes(2, 3).reshape(values.shape), filters

    change_convolution(monkeypatch, change)


@slip("ConvBert")
def windows_with_channels_last(monkeypatch):
    """A window [A, K] read as [K, A] when it is cut into heads."""

    def convolution(values, filters):
        B, T, H, K = filters.shape
        padded = np.pad(values, ((0, 0), (K // 2, K // 2), (0, 0)))
        windows = np.stack([padded[:, k : k + T] for k in range(K)], axis=2)  # [B, T, K, A]
        return np.einsum("bthsk,bthk->bths", windows.reshape(B, T, H, -1, K), filters)

    monkeypatch.setattr(convbert, "dynamic_convolution", convolution)


@slip("ConvBert")
def windows_that_look_back_only(monkeypatch):
    """All of the padding in front: a causal convolution."""

    def change(values, filters):
        past = np.zeros_like(values)
        past[:, filters.shape[-1] // 2 :] = values[:, : -(filters.shape[-1] // 2)]
        return past, filters

    change_convolution(monkeypatch, change)


@slip("ConvBert")
def filters_without_softmax(monkeypatch):
    monkeypatch.setattr(convbert, "softmax", lambda scores: scores)


@slip("ConvBert")
def filters_shared_out_over_heads(monkeypatch):
    """[H*K] cut as [K, H], then turned: the heads' filters are mixed up."""

    def softmax(scores):
        B, T, H, K = scores.shape
        return ops.softmax(scores.reshape(B, T, K, H).swapaxes(2, 3)).copy()

    monkeypatch.setattr(convbert, "softmax", softmax)


@slip("ConvBert")
def filters_without_the_query(monkeypatch):
    """The span's summary must be multiplied by the query before the filters are made of it."""
    replace(
        monkeypatch,
        convbert,
        "span_filters",
        lambda right, x, query, p, H: right(x, np.ones_like(query), p, H),
    )


@slip("ConvBert")
def span_summary_reversed(monkeypatch):
    replace(
        monkeypatch,
        convbert,
        "span_summary",
        lambda right, x, p: right(x[:, ::-1], p)[:, ::-1],
    )


@slip("ConvBert")
def bias_of_the_span_summary_forgotten(monkeypatch):
    replace(monkeypatch, convbert, "span_summary", lambda right, x, p: right(x, p) - p.bias[:, 0])


@slip("ConvBert")
def mask_reaches_the_convolution(monkeypatch):
    """Sensible, and what many would write: padding zeroed before the windows are cut."""
    kept = []
    replace(
        monkeypatch,
        inputs,
        "mask_bias",
        lambda right, mask, dtype: kept.append(mask) or right(mask, dtype),
    )
    change_convolution(
        monkeypatch,
        lambda values, filters: (values * kept[-1][..., None].astype(values.dtype), filters),
    )


@slip("ConvBert")
def mask_reaches_the_span_summary(monkeypatch):
    kept = []
    replace(
        monkeypatch,
        inputs,
        "mask_bias",
        lambda right, mask, dtype: kept.append(mask) or right(mask, dtype),
    )
    replace(
        monkeypatch,
        convbert,
        "span_summary",
        lambda right, x, p: right(x * kept[-1][..., None].astype(x.dtype), p),
    )


@slip("ConvBert")
def convolution_heads_first(monkeypatch):
    def mixed_attention(right, x, p, config, mask_bias):
        mixed, probs = right(x, p, config, mask_bias)
        return np.roll(mixed, mixed.shape[-1] // 2, axis=-1), probs

    replace(monkeypatch, convbert, "mixed_attention", mixed_attention)


@slip("ConvBert")
def halves_head_by_head(monkeypatch):
    """Concatenated along each head's width instead of along the heads."""

    def mixed_attention(right, x, p, config, mask_bias):
        mixed, probs = right(x, p, config, mask_bias)
        B, T, D = mixed.shape
        halves = mixed.reshape(B, T, 2, config.heads, -1)
        return halves.swapaxes(2, 3).reshape(B, T, D), probs

    replace(monkeypatch, convbert, "mixed_attention", mixed_attention)


@slip("ConvBert")
def group_weight_transposed(monkeypatch):
    def grouped_linear(right, x, p):
        turned = Node("turned")
        turned.weight, turned.bias = p.weight.swapaxes(1, 2), p.bias
        return right(x, turned)

    replace(monkeypatch, convbert, "grouped_linear", grouped_linear)


@slip("ConvBert")
def groups_interleaved(monkeypatch):
    def grouped_linear(right, x, p):
        G = len(p.weight)
        return right(x.reshape(*x.shape[:-1], -1, G).swapaxes(-1, -2).reshape(x.shape), p)

    replace(monkeypatch, convbert, "grouped_linear", grouped_linear)


# ---- MobileBERT's own ----------------------------------------------------------------------


def change_trigrams(monkeypatch, change):
    """Change the three parts of a trigram: (following, words, preceding) -> three parts."""

    def trigrams(right, words):
        return np.concatenate(change(*np.split(right(words), 3, axis=2)), axis=2)

    replace(monkeypatch, mobilebert, "trigrams", trigrams)


@slip("MobileBert")
def previous_and_next_swapped(monkeypatch):
    change_trigrams(monkeypatch, lambda after, word, before: (before, word, after))


@slip("MobileBert")
def the_word_itself_first(monkeypatch):
    change_trigrams(monkeypatch, lambda after, word, before: (word, after, before))


@slip("MobileBert")
def trigrams_interleaved(monkeypatch):
    """The three parts channel by channel, as the weight of a convolution has them."""

    def trigrams(right, words):
        B, T, E = words.shape
        return right(words).reshape(B, T, 3, E).swapaxes(2, 3).reshape(B, T, 3 * E)

    replace(monkeypatch, mobilebert, "trigrams", trigrams)


@slip("MobileBert")
def trigrams_round_a_ring(monkeypatch):
    """np.roll instead of zeros past both ends: the last token comes before the first."""

    def trigrams(words):
        return np.concatenate([np.roll(words, -1, 1), words, np.roll(words, 1, 1)], axis=2)

    monkeypatch.setattr(mobilebert, "trigrams", trigrams)


@slip("MobileBert")
def trigrams_of_the_edge(monkeypatch):
    """The first and the last word repeated, instead of zeros."""

    def trigrams(words):
        padded = np.pad(words, ((0, 0), (1, 1), (0, 0)), mode="edge")
        return np.concatenate([padded[:, 2:], words, padded[:, :-2]], axis=2)

    monkeypatch.setattr(mobilebert, "trigrams", trigrams)


@slip("MobileBert")
def mask_reaches_the_trigrams(monkeypatch):
    """Sensible, and what many would write: a zero, not the padding's embedding, past real text."""
    kept = []
    replace(
        monkeypatch,
        inputs,
        "mask_bias",
        lambda right, mask, dtype: kept.append(mask) or right(mask, dtype),
    )
    replace(
        monkeypatch,
        mobilebert,
        "trigrams",
        lambda right, words: right(words * kept[-1][..., None].astype(words.dtype)),
    )


@slip("MobileBert")
def layer_norm_for_no_norm(monkeypatch):
    monkeypatch.setattr(mobilebert, "no_norm", lambda x, p: ops.layer_norm(x, p, 1e-12))


@slip("MobileBert")
def no_norm_without_its_bias(monkeypatch):
    monkeypatch.setattr(mobilebert, "no_norm", lambda x, p: x * p.weight)


@slip("MobileBert")
def no_norm_that_does_nothing(monkeypatch):
    monkeypatch.setattr(mobilebert, "no_norm", lambda x, p: x)


@slip("MobileBert, layer_norm")
def no_norm_for_layer_norm(monkeypatch):
    monkeypatch.setattr(mobilebert, "layer_norm", lambda x, p, eps: x * p.weight + p.bias)


@slip("MobileBert, layer_norm")
def epsilon_of_the_config_everywhere(monkeypatch):
    """What the config says, even where the reference forgets about it."""
    monkeypatch.setattr(
        mobilebert, "DEFAULT_EPS", CONFIGS["MobileBert, layer_norm"]["layer_norm_eps"]
    )


@slip("MobileBert, layer_norm")
def epsilon_of_pytorch_in_all_feed_forward_networks(monkeypatch):
    """The reference forgets the config's in the last one of a layer alone."""
    replace(
        monkeypatch,
        mobilebert,
        "feed_forward",
        lambda right, x, p, config, eps: right(x, p, config, 1e-5),
    )


def change_bottleneck(monkeypatch, change):
    """Change what the bottleneck gives: (x, shared, full, narrow) -> three of them."""

    def bottleneck(right, x, p, config):
        return change(x, *right(x, p, config))

    replace(monkeypatch, mobilebert, "bottleneck", bottleneck)


@slip("MobileBert, one width")
def value_of_the_bottleneck(monkeypatch):
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, narrow, narrow))


@slip("MobileBert, one width")
def value_of_what_query_and_key_share(monkeypatch):
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, shared, narrow))


@slip("MobileBert, one width")
def query_and_key_of_the_full_width(monkeypatch):
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (x, full, narrow))


@slip("MobileBert")
def bottlenecks_swapped(monkeypatch):
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (narrow, full, shared))


@slip("MobileBert")
def residual_of_what_query_and_key_share(monkeypatch):
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, full, shared))


@slip("MobileBert, one width")
def residual_of_the_full_width(monkeypatch):
    """Round the whole of attention, as BERT has it, instead of from the bottleneck on."""
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, full, x))


@slip("MobileBert", "MobileBert, layer_norm")
def residual_of_attention_forgotten(monkeypatch):
    change_bottleneck(
        monkeypatch, lambda x, shared, full, narrow: (shared, full, np.zeros_like(narrow))
    )


@slip("MobileBert", "MobileBert, layer_norm")
def residual_round_the_layer_forgotten(monkeypatch):
    replace(
        monkeypatch,
        mobilebert,
        "expand",
        lambda right, narrow, x, p, config: right(narrow, np.zeros_like(x), p, config),
    )


@slip("MobileBert, one width")
def residual_round_the_layer_of_the_bottleneck(monkeypatch):
    replace(
        monkeypatch,
        mobilebert,
        "expand",
        lambda right, narrow, x, p, config: right(narrow, narrow, p, config),
    )


def change_feed_forward(monkeypatch, change):
    """Change the feed-forward networks: change(right, x, p, config, eps) -> x."""
    replace(monkeypatch, mobilebert, "feed_forward", change)


@slip("MobileBert")
def residual_of_the_feed_forward_networks_forgotten(monkeypatch):
    def feed_forward(right, x, p, config, eps):
        narrow = (right(x, p, config, eps) - p.output.LayerNorm.bias) / p.output.LayerNorm.weight
        return mobilebert.norm(narrow - x, p.output.LayerNorm, config, eps)

    change_feed_forward(monkeypatch, feed_forward)


def is_last(p):
    """Whether a feed-forward network's parameters are the layer's own, not those of one in ffn."""
    return "ffn" not in path(p)


@slip("MobileBert", "MobileBert, layer_norm")
def last_feed_forward_network_forgotten(monkeypatch):
    change_feed_forward(
        monkeypatch,
        lambda right, x, p, config, eps: x if is_last(p) else right(x, p, config, eps),
    )


@slip("MobileBert", "MobileBert, layer_norm")
def stacked_feed_forward_networks_forgotten(monkeypatch):
    change_feed_forward(
        monkeypatch,
        lambda right, x, p, config, eps: right(x, p, config, eps) if is_last(p) else x,
    )


@slip("MobileBert", "MobileBert, layer_norm")
def stacked_feed_forward_networks_in_reverse(monkeypatch):
    def layer(right, x, p, config, mask_bias):
        turned = Node("")
        vars(turned).update(vars(p) | {"ffn": p.ffn[::-1]})
        return right(x, turned, config, mask_bias)

    replace(monkeypatch, mobilebert, "layer", layer)


@slip("MobileBert", "MobileBert, layer_norm")
def first_feed_forward_network_in_the_place_of_all(monkeypatch):
    def layer(right, x, p, config, mask_bias):
        same = Node("")
        vars(same).update(vars(p) | {"ffn": p.ffn[:1] * len(p.ffn)})
        return right(x, same, config, mask_bias)

    replace(monkeypatch, mobilebert, "layer", layer)


# ---- heads ---------------------------------------------------------------------------------


@slip("ConvBert", head="ForMaskedLM")
def hidden_act_in_the_masked_lm_head(monkeypatch):
    """What BERT does; ConvBERT's head takes the exact GELU whatever the config says."""
    monkeypatch.setattr(convbert, "gelu", activations.ACTIVATIONS["relu"])


@slip("Bert", head="ForMaskedLM")
def gelu_in_the_masked_lm_head(monkeypatch):
    """What ConvBERT does; BERT's head takes what the config says."""

    def masked_lm_head(right, x, p, config):
        monkeypatch.setitem(activations.ACTIVATIONS, "relu", activations.gelu)
        return right(x, p, config)

    replace(monkeypatch, bert, "masked_lm_head", masked_lm_head)


@slip("Bert", "ConvBert", "MobileBert", head="ForMaskedLM")
def bias_of_the_vocabulary_forgotten(monkeypatch):
    for module in (bert, mobilebert):
        replace(
            monkeypatch,
            module,
            "masked_lm_head",
            lambda right, x, p, config: right(x, p, config) - p.bias,
        )
    replace(
        monkeypatch,
        convbert,
        "masked_lm_head",
        lambda right, x, p, config: right(x, p, config) - p.generator_lm_head.bias,
    )


@slip("Bert")
def pooler_of_the_mean(monkeypatch):
    replace(monkeypatch, bert, "pool", lambda right, x, p: right(x.mean(axis=1, keepdims=True), p))


@slip("Bert")
def pooler_without_tanh(monkeypatch):
    replace(
        monkeypatch, bert, "pool", lambda right, x, p: np.arctanh(right(x, p) * np.float32(0.999))
    )


def change_masked_lm_head(monkeypatch, **changes):
    """Give MobileBERT's head other weights: decoder, dense, or bias, of (decoder, dense)."""

    def masked_lm_head(right, x, p, config):
        changed = Node("")
        decoder, dense = p.decoder.weight.T, p.dense.weight
        changed.transform, changed.decoder, changed.dense = p.transform, Node(""), Node("")
        changed.decoder.bias = p.decoder.bias
        changed.decoder.weight, changed.dense.weight = decoder.T, dense
        for name, change in changes.items():
            getattr(changed, name).weight = change(decoder, dense)
        return right(x, changed, config)

    replace(monkeypatch, mobilebert, "masked_lm_head", masked_lm_head)


@slip("MobileBert, halves", head="ForMaskedLM")
def halves_of_the_decoder_swapped(monkeypatch):
    """`dense` on top of the word embeddings, where they go below them."""
    change_masked_lm_head(
        monkeypatch, decoder=lambda decoder, dense: dense.T, dense=lambda decoder, dense: decoder
    )


@slip("MobileBert, halves", head="ForMaskedLM")
def dense_forgotten(monkeypatch):
    """The word embeddings alone, against the first E channels."""
    change_masked_lm_head(monkeypatch, dense=lambda decoder, dense: np.zeros_like(dense))


@slip("MobileBert, halves", head="ForMaskedLM")
def dense_transposed(monkeypatch):
    """As nn.Linear would use it, [D-E, V] read as [V, D-E]."""
    change_masked_lm_head(
        monkeypatch, dense=lambda decoder, dense: dense.reshape(dense.shape[::-1]).T.copy()
    )


@slip("MobileBert", head="ForMaskedLM")
def no_norm_in_the_masked_lm_head(monkeypatch):
    """What stands everywhere else; the reference has a real norm here."""
    monkeypatch.setattr(mobilebert, "layer_norm", lambda x, p, eps: mobilebert.no_norm(x, p))


@slip("MobileBert, layer_norm", head="ForMaskedLM")
def epsilon_of_pytorch_in_the_masked_lm_head(monkeypatch):
    def layer_norm(right, x, p, eps):
        return right(x, p, 1e-5 if "transform" in path(p) else eps)

    replace(monkeypatch, mobilebert, "layer_norm", layer_norm)


@slip("MobileBert")
def mobile_pooler_of_the_mean(monkeypatch):
    def pool(right, x, p, config):
        return right(x.mean(axis=1, keepdims=True), p, config)

    replace(monkeypatch, mobilebert, "pool", pool)


@slip("MobileBert")
def pooler_of_the_raw_first_token(monkeypatch):
    """What the published checkpoint has, with classifier_activation False."""
    monkeypatch.setattr(mobilebert, "pool", lambda x, p, config: x[:, 0])


# ---- the tests -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("head", ["Model", "ForMaskedLM"])
@pytest.mark.parametrize("config", CONFIGS)
def test_without_a_slip_all_is_well(config, head, dtype):
    assert error_of(config, head, dtype) < TOLERANCES[dtype]


@pytest.mark.parametrize("name", SLIPS)
def test_slip_is_caught(name, monkeypatch):
    plant, case, far = SLIPS[name]
    plant(monkeypatch)
    error = error_of(*case)
    assert error > far, f"off by {error:.1e} only"
