"""Slips that a port of SqueezeBERT might make, planted as in test_slips_reference.py."""

import types

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

from npbert import activations, kernels, ops, squeezebert
from npbert.model import inputs

pytestmark = pytest.mark.reference

FAR = 50 * TOLERANCES["float32"]  # relative to the largest value of an output

# hidden_act is not gelu, both epsilons can be told apart, and transposed filters fit.
CONFIG = dict(
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
)


def error_of(head="Model", dtype="float32", attentions=False, **options):
    """Run npbert as it is now, slip and all, and return its largest error."""
    truth = reference("SqueezeBert", head, **CONFIG | options)
    example = dict(
        input_ids=random_ids(truth.config, 3, 13),
        attention_mask=mask_with_zeros(3, 13, (1, slice(8, None)), (2, slice(4))),
        token_type_ids=random_types(truth.config, 3, 13),
        output_attentions=attentions,
    )
    example = for_head(head, example)
    return largest_error(truth.load(dtype)(**example), truth(dtype, **example), dtype)


SLIPS = {}


def slip(*, far=FAR, **case):
    """Register a slip, the case that it shows in, and how far off it must be there."""

    def register(plant):
        SLIPS[plant.__name__] = plant, case, far
        return plant

    return register


def replace(monkeypatch, module, name, function):
    """Put a function in the place of another, and hand the other one to it as first argument."""
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: function(right, *args))


# ---- grouped convolutions ------------------------------------------------------------------


def change_convolution(monkeypatch, change):
    """Put `change(x, filters)` in the place of all convolutions: [N, G, I/G], [G, O/G, I/G]."""

    def convolution(x, weight, bias):
        width = weight.shape[1]
        rows = x.reshape(-1, x.shape[-1] // width, width)
        filters = weight.reshape(rows.shape[1], -1, width)
        return change(rows, filters).reshape(*x.shape[:-1], -1) + bias

    monkeypatch.setattr(squeezebert, "grouped_convolution", convolution)


def test_the_convolution_that_slips_are_planted_in_is_right(monkeypatch):
    change_convolution(monkeypatch, lambda x, w: np.einsum("ngi,goi->ngo", x, w))
    assert error_of() < TOLERANCES["float32"]


@slip()
def channels_interleaved_as_they_enter(monkeypatch):
    """Group g reads channels g, g + G, g + 2G, ..."""

    def change(x, w):
        dealt = x.reshape(len(x), -1, x.shape[1]).swapaxes(1, 2)
        return np.einsum("ngi,goi->ngo", dealt, w)

    change_convolution(monkeypatch, change)


@slip()
def channels_interleaved_as_they_leave(monkeypatch):
    """A channel shuffle, as ShuffleNet has after its grouped convolutions."""
    change_convolution(
        monkeypatch, lambda x, w: np.einsum("ngi,goi->ngo", x, w).swapaxes(1, 2).copy()
    )


@slip()
def filters_transposed_in_their_groups(monkeypatch):
    change_convolution(monkeypatch, lambda x, w: np.einsum("ngi,gio->ngo", x, w))


@slip()
def filters_of_the_next_group(monkeypatch):
    change_convolution(
        monkeypatch, lambda x, w: np.einsum("ngi,goi->ngo", x, np.roll(w, 1, axis=0))
    )


@slip()
def groups_added_up(monkeypatch):
    """Every filter applied to every group, as if the weight were repeated: no groups at all."""
    change_convolution(
        monkeypatch, lambda x, w: np.einsum("nhi,goi->ngo", x, w) / np.float32(x.shape[1])
    )


@slip()
def bias_of_the_convolutions_forgotten(monkeypatch):
    right = kernels.grouped_convolution
    monkeypatch.setattr(
        squeezebert, "grouped_convolution", lambda x, w, bias: right(x, w, np.zeros_like(bias))
    )


# ---- norms ---------------------------------------------------------------------------------


@slip()
def epsilon_of_the_config_in_the_encoder(monkeypatch):
    monkeypatch.setattr(squeezebert, "ENCODER_EPS", CONFIG["layer_norm_eps"])


@slip(layer_norm_eps=1e-12, dtype="float64", far=1e-7)
def epsilon_of_pytorch_in_the_encoder(monkeypatch):
    """1e-5, the default of torch's LayerNorm, for 1e-12: only float64 is sure to see this one."""
    monkeypatch.setattr(squeezebert, "ENCODER_EPS", 1e-5)


@slip()
def epsilon_of_the_encoder_in_the_embeddings(monkeypatch):
    replace(monkeypatch, squeezebert, "layer_norm", lambda right, x, p, eps: right(x, p, 1e-12))


@slip()
def norm_over_the_tokens(monkeypatch):
    """What comes of a norm on [B, D, T] that is not turned round before."""

    def layer_norm(right, x, p, eps):
        centred = x - x.mean(1, keepdims=True)
        return centred / np.sqrt(x.var(1, keepdims=True) + eps) * p.weight + p.bias

    replace(monkeypatch, squeezebert, "layer_norm", layer_norm)


@slip()
def variance_divided_by_one_less(monkeypatch):
    def layer_norm(right, x, p, eps):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(x.var(-1, ddof=1, keepdims=True) + eps) * p.weight + p.bias

    replace(monkeypatch, squeezebert, "layer_norm", layer_norm)


# ---- attention -----------------------------------------------------------------------------


@slip(attentions=True)
def attentions_after_the_softmax(monkeypatch):
    def self_attention(right, *args):
        context, scores = right(*args)
        return context, ops.softmax(scores)

    replace(monkeypatch, squeezebert, "self_attention", self_attention)


@slip(attentions=True)
def attentions_before_the_mask(monkeypatch):
    def self_attention(right, x, p, config, mask_bias):
        context, _ = right(x, p, config, mask_bias)
        return context, right(x, p, config, np.float32(0))[1]

    replace(monkeypatch, squeezebert, "self_attention", self_attention)


@slip()
def no_mask(monkeypatch):
    monkeypatch.setattr(inputs, "mask_bias", lambda mask, dtype: np.zeros((), dtype))


@slip()
def scores_without_scale(monkeypatch):
    # Not math.sqrt itself: the reference calls it, too.
    monkeypatch.setattr(squeezebert, "math", types.SimpleNamespace(sqrt=lambda S: 1.0))


@slip()
def softmax_over_the_queries(monkeypatch):
    replace(
        monkeypatch,
        squeezebert,
        "softmax",
        lambda right, x: right(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    )


@slip()
def heads_interleaved(monkeypatch):
    """Head h reads channels h, h + H, h + 2H, ..."""

    def split_heads(right, x, H):
        B, T, _ = x.shape
        return x.reshape(B, T, -1, H).transpose(0, 3, 1, 2)

    replace(monkeypatch, squeezebert, "split_heads", split_heads)


@slip()
def heads_not_merged_back(monkeypatch):
    """[B, T, H, S] read as if it were [B, T, S, H]: what comes of the order [N, C1, C2, W]."""

    def self_attention(right, x, p, config, mask_bias):
        context, scores = right(x, p, config, mask_bias)
        B, T, D = context.shape
        heads = context.reshape(B, T, config.num_attention_heads, -1)
        return heads.swapaxes(2, 3).reshape(B, T, D), scores

    replace(monkeypatch, squeezebert, "self_attention", self_attention)


# ---- residuals -----------------------------------------------------------------------------


def change_layer(monkeypatch, change):
    """Change what a layer's two norms get, "post_attention" or "output"; None leaves it as it is.

    `change(norm, total, first, x)`: the sum, what entered the layer, what left the first norm.
    """

    def layer(right, first, p, config, mask_bias):
        left = {}

        def norm(right_norm, total, norm_p, eps):
            name = "output" if norm_p is p.output.layernorm else "post_attention"
            changed = change(name, total, first, left.get("x"))
            left["x"] = right_norm(total if changed is None else changed, norm_p, eps)
            return left["x"]

        with monkeypatch.context() as inner:
            replace(inner, squeezebert, "layer_norm", norm)
            return right(first, p, config, mask_bias)

    replace(monkeypatch, squeezebert, "layer", layer)


@slip()
def residual_of_the_feed_forward_from_the_start_of_the_layer(monkeypatch):
    change_layer(
        monkeypatch,
        lambda name, total, first, x: total - x + first if name == "output" else None,
    )


@slip()
def residual_of_the_feed_forward_forgotten(monkeypatch):
    change_layer(monkeypatch, lambda name, total, first, x: total - x if name == "output" else None)


@slip()
def residual_of_attention_forgotten(monkeypatch):
    change_layer(
        monkeypatch,
        lambda name, total, first, x: total - first if name == "post_attention" else None,
    )


# ---- heads ---------------------------------------------------------------------------------


@slip(head="ForMaskedLM")
def gelu_in_the_masked_lm_head(monkeypatch):
    """What ConvBERT does; SqueezeBERT's head takes what the config says."""

    def masked_lm_head(right, x, p, config):
        monkeypatch.setitem(activations.ACTIVATIONS, "relu", activations.gelu)
        return right(x, p, config)

    replace(monkeypatch, squeezebert, "masked_lm_head", masked_lm_head)


@slip(head="ForMaskedLM")
def epsilon_of_the_encoder_in_the_masked_lm_head(monkeypatch):
    def masked_lm_head(right, x, p, config):
        with monkeypatch.context() as inner:
            replace(inner, squeezebert, "layer_norm", lambda norm, x, p, eps: norm(x, p, 1e-12))
            return right(x, p, config)

    replace(monkeypatch, squeezebert, "masked_lm_head", masked_lm_head)


@slip(head="ForMaskedLM")
def bias_of_the_vocabulary_forgotten(monkeypatch):
    replace(
        monkeypatch,
        squeezebert,
        "masked_lm_head",
        lambda right, x, p, config: right(x, p, config) - p.bias,
    )


@slip(head="ForSequenceClassification")
def classification_without_the_pooler(monkeypatch):
    monkeypatch.setattr(squeezebert, "pool", lambda x, p: x[:, 0])


@slip(head="ForMultipleChoice")
def pooler_without_tanh(monkeypatch):
    replace(
        monkeypatch,
        squeezebert,
        "pool",
        lambda right, x, p: np.arctanh(right(x, p) * np.float32(0.999)),
    )


@slip(head="ForTokenClassification")
def pooler_where_there_is_none(monkeypatch):
    def head(self, x):
        pooled = np.tanh(ops.linear(x, self.params.transformer.pooler.dense))
        return ops.linear(pooled, self.params.classifier)

    monkeypatch.setattr(squeezebert.SqueezeBertForTokenClassification, "head", head)


# ---- the tests -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    "case", {str(case): case for _, case, _ in SLIPS.values()}.values(), ids=str
)
def test_without_a_slip_all_is_well(case, dtype):
    assert error_of(**case | dict(dtype=dtype)) < TOLERANCES[dtype]


@pytest.mark.parametrize("name", SLIPS)
def test_slip_is_caught(name, monkeypatch):
    plant, case, far = SLIPS[name]
    plant(monkeypatch)
    error = error_of(**case)
    assert error > far, f"off by {error:.1e} only"
