"""Classic mistakes in attention, and in the convolutions beside it."""

from __future__ import annotations

from npbert.golden.mistakes.conditions import has_convolutions, has_layers, has_several_heads
from npbert.golden.mistakes.planting import Edit, Mistake, exchanged

ATTEND = "ops.attend"
SOFTMAX = "probs = softmax(masked_scores)"
SOFTMAX_OVER_QUERIES = "probs = softmax(masked_scores.swapaxes(-1, -2)).swapaxes(-1, -2)"
CAUSAL = "((0, 0), (K // 2, K // 2), (0, 0))", "((0, 0), (K - 1, 0), (0, 0))"

ATTENTION_OF = {  # where each family makes query and key, and of what
    "bert.self_attention": "linear(x, ",
    "convbert.mixed_attention": "linear(x, ",
    "mobilebert.self_attention": "linear(shared, ",
    "squeezebert.self_attention": "grouped_convolution(x, ",
}
OF_EACH_OTHER = tuple(
    Edit(place, f"{one} = {call}p.{one})", f"{one} = {call}p.{other})")
    for place, call in ATTENTION_OF.items()
    for one, other in (("query", "key"), ("key", "query"))
)

ATTENTION: tuple[Mistake, ...] = (
    Mistake(
        "no_mask",
        "attention that does not mask padding",
        (Edit(ATTEND, "masked_scores = scores + mask_bias", "masked_scores = scores + 0"),),
        when=has_layers,
    ),
    Mistake(
        "mask_after_softmax",
        "the mask taken after the softmax instead of before it",
        (Edit(ATTEND, SOFTMAX, "probs = softmax(scores) * (mask_bias == 0)"),),
        when=has_layers,
        hidden=("exponentials",),
    ),
    Mistake(
        "softmax_over_queries",
        "a softmax of the attention scores over the axis of the queries",
        (Edit(ATTEND, SOFTMAX, SOFTMAX_OVER_QUERIES),),
        when=has_layers,
        hidden=("exponentials",),
    ),
    Mistake(
        "no_scale",
        "attention scores that are not divided by the root of the head width",
        (Edit(ATTEND, " / math.sqrt(query.shape[-1])", ""),),
        when=has_layers,
    ),
    Mistake(
        "scale_of_all_heads",
        "attention scores divided by the root of the width of all heads together",
        (Edit(ATTEND, "query.shape[-1])", "query.shape[1] * query.shape[-1])"),),
        when=has_several_heads,
    ),
    Mistake(
        "scale_before_halving",
        "attention scores divided by the root of a head width that was not halved",
        (Edit(ATTEND, "query.shape[-1])", "2 * query.shape[-1])"),),
        # with two heads, that is the width of all heads together
        when=lambda model: has_convolutions(model) and model.config.heads != 2,
    ),
    Mistake(
        "heads_interleaved",
        "heads that take every H-th channel instead of a run of them",
        (
            Edit(
                "ops.split_heads",
                "x.reshape(B, T, H, -1).swapaxes(1, 2)",
                "x.reshape(B, T, -1, H).transpose(0, 3, 1, 2)",
            ),
        ),
        when=has_several_heads,
    ),
    Mistake(
        "heads_not_swapped_back",
        "heads merged without their axis being swapped back behind the tokens",
        (
            Edit(
                ATTEND,
                "(probs @ value).swapaxes(1, 2)",
                "(probs @ value).reshape(key.swapaxes(1, 2).shape)",
            ),
        ),
        when=has_several_heads,
        hidden=("context",),
    ),
    Mistake(
        "scores_transposed",
        "attention scores of the keys by the queries instead of the queries by the keys",
        (Edit(ATTEND, "query @ key.swapaxes(-1, -2)", "key @ query.swapaxes(-1, -2)"),),
        when=has_layers,
    ),
    Mistake(
        "query_and_key_weights_swapped",
        "the parameters of query and key in each other's place",
        parameters=lambda tensors: exchanged(tensors, "query", "key"),
        # with their own groups, the two differ in shape
        when=lambda model: (
            has_layers(model)
            and getattr(model.config, "q_groups", 1) == getattr(model.config, "k_groups", 1)
        ),
        typed=OF_EACH_OTHER,
    ),
)

CONVOLUTIONS: tuple[Mistake, ...] = (
    Mistake(
        "filters_reversed",
        "the filters of the dynamic convolution from right to left",
        (Edit("kernels.dynamic_convolution", "windows, filters)", "windows, filters[..., ::-1])"),),
        when=has_convolutions,
    ),
    Mistake(
        "taps_reversed",
        "the filters of the span summary from right to left",
        (Edit("kernels.depthwise_convolution", "weight[:, 0].T", "weight[:, 0, ::-1].T"),),
        when=has_convolutions,
    ),
    Mistake(
        "dynamic_convolution_causal",
        "a dynamic convolution that looks only backwards",
        (Edit("kernels.dynamic_convolution", *CAUSAL),),
        when=has_convolutions,
    ),
    Mistake(
        "span_summary_causal",
        "a span summary that looks only backwards",
        (Edit("kernels.depthwise_convolution", *CAUSAL),),
        when=has_convolutions,
    ),
    Mistake(
        "windows_channel_minor",
        "windows unfolded with the neighbours before the channels",
        (
            Edit(
                "kernels.dynamic_convolution",
                "windows = spans.reshape(B, T, H, -1, K)",
                "windows = spans.swapaxes(2, 3).reshape(B, T, H, -1, K)",
            ),
        ),
        when=has_convolutions,
    ),
    Mistake(
        "convolution_first",
        "the heads of the convolution before those of attention",
        (Edit("convbert.mixed_attention", "[far, near]", "[near, far]"),),
        when=has_layers,
    ),
    Mistake(
        "convolution_masked",
        "a convolution that takes padding for zeros",
        (
            Edit(
                "convbert.mixed_attention",
                "dynamic_convolution(local, filters)",
                "dynamic_convolution(local * (mask_bias[:, 0, 0, :, None] == 0), filters)",
            ),
        ),
        when=has_layers,
    ),
    Mistake(
        "filters_without_query",
        "filters made of the span summary alone, not multiplied by the query",
        (Edit("convbert.span_filters", "summary * query", "summary * 1"),),
        when=has_layers,
    ),
    Mistake(
        "filters_softmax_over_heads",
        "a softmax of the filters over the heads instead of the neighbours",
        (
            Edit(
                "convbert.span_filters",
                "softmax(filter_scores)",
                "softmax(filter_scores.swapaxes(2, 3)).swapaxes(2, 3)",
            ),
        ),
        when=has_layers,
        hidden=("self.softmax.exponentials",),
    ),
)
