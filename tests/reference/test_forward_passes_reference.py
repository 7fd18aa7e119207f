"""The forward passes against the reference: every class, many odd configs and inputs, all outputs.

A family is one entry in HEADS (small_models.py), one in CONFIGS, THOROUGH and HEADS_SEE.
"""

import functools

import numpy as np
import pytest
from reference_models import (
    ALL_HEADS,
    HEADS,
    LABELLED,
    assert_same,
    for_head,
    mask_with_zeros,
    random_embeddings,
    random_ids,
    random_labels,
    random_positions,
    random_types,
    reference,
    running_on,
)

pytestmark = pytest.mark.reference

COMMON_CONFIGS = {
    "small": {},
    "one layer": dict(num_hidden_layers=1),
    "one head": dict(num_attention_heads=1),
    "heads of width 1": dict(hidden_size=12, num_attention_heads=6),
    "odd vocabulary": dict(vocab_size=101),
    "relu": dict(hidden_act="relu"),
    "gelu_new": dict(hidden_act="gelu_new"),
    "silu": dict(hidden_act="silu"),
    "epsilon 1e-5": dict(layer_norm_eps=1e-5),
    "untied": dict(tie_word_embeddings=False),
    "feed-forward in chunks": dict(chunk_size_feed_forward=1),
    "one token type": dict(type_vocab_size=1),
    "narrow feed-forward": dict(intermediate_size=4),
    "no padding token": dict(pad_token_id=None),
    "no layer": dict(num_hidden_layers=0),
}

GROUP_COUNTS = ("q_groups", "k_groups", "v_groups", "post_attention_groups",
                "intermediate_groups", "output_groups")  # fmt: skip

CONFIGS = {
    "Bert": {
        **COMMON_CONFIGS,
        "all odd": dict(
            vocab_size=37,
            hidden_size=45,
            num_attention_heads=5,
            num_hidden_layers=3,
            intermediate_size=7,
            hidden_act="gelu_pytorch_tanh",
            layer_norm_eps=1e-3,
            tie_word_embeddings=False,
        ),
    },
    "ConvBert": {
        **COMMON_CONFIGS,
        "heads of width 1": dict(hidden_size=12, num_attention_heads=6, head_ratio=1),
        "one head is left": dict(head_ratio=4),
        "fewer than one head is left": dict(head_ratio=9),
        "head_ratio 1": dict(head_ratio=1),
        "head_ratio 3": dict(num_attention_heads=6, head_ratio=3),
        "head_ratio that leaves a remainder": dict(num_attention_heads=5, head_ratio=2),
        "narrow embeddings": dict(embedding_size=10),
        "wide embeddings": dict(embedding_size=40),
        "2 groups": dict(num_groups=2),
        "4 groups": dict(num_groups=4),
        "groups that could be transposed": dict(num_groups=4, intermediate_size=24),
        "kernel 1": dict(conv_kernel_size=1),
        "kernel 3": dict(conv_kernel_size=3),
        "kernel 9": dict(conv_kernel_size=9),
        "kernel longer than any text": dict(conv_kernel_size=49),
        "narrow embeddings, untied": dict(embedding_size=10, tie_word_embeddings=False),
        "all odd": dict(
            vocab_size=37,
            hidden_size=42,
            embedding_size=15,
            num_attention_heads=11,
            head_ratio=3,
            num_hidden_layers=3,
            intermediate_size=70,
            num_groups=7,
            conv_kernel_size=7,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-3,
        ),
    },
    "MobileBert": {
        **COMMON_CONFIGS,
        "heads of width 1": dict(hidden_size=12, num_attention_heads=6, intra_bottleneck_size=6),
        "gelu": dict(hidden_act="gelu"),
        "no trigrams": dict(trigram_input=False),
        "embeddings of width 1": dict(embedding_size=1),
        "embeddings as wide as layers": dict(embedding_size=24),
        "embeddings as wide as layers, untied": dict(embedding_size=24, tie_word_embeddings=False),
        "no trigrams and no map": dict(trigram_input=False, embedding_size=24),
        "no bottleneck": dict(use_bottleneck=False),
        "no bottleneck, the attention of one": dict(
            use_bottleneck=False, use_bottleneck_attention=True
        ),
        "no bottleneck, and none to share": dict(
            use_bottleneck=False, key_query_shared_bottleneck=False, num_feedforward_networks=1
        ),
        "attention in the bottleneck": dict(use_bottleneck_attention=True),
        "attention in the bottleneck, and nothing shared": dict(
            use_bottleneck_attention=True, key_query_shared_bottleneck=False
        ),
        "nothing shared": dict(key_query_shared_bottleneck=False, intra_bottleneck_size=24),
        "a bottleneck as wide as layers": dict(intra_bottleneck_size=24),
        "a bottleneck wider than layers": dict(intra_bottleneck_size=40),
        "a bottleneck of width 1": dict(intra_bottleneck_size=1, num_attention_heads=1),
        "layer_norm": dict(normalization_type="layer_norm"),
        "layer_norm, epsilon 1e-2": dict(normalization_type="layer_norm", layer_norm_eps=1e-2),
        "layer_norm, no bottleneck": dict(normalization_type="layer_norm", use_bottleneck=False),
        "layer_norm, attention in the bottleneck": dict(
            normalization_type="layer_norm", use_bottleneck_attention=True
        ),
        "1 feed-forward network": dict(num_feedforward_networks=1),
        "2 feed-forward networks": dict(num_feedforward_networks=2),
        "5 feed-forward networks": dict(num_feedforward_networks=5),
        "a pooler without weights": dict(classifier_activation=False),
        "as published, but small": dict(classifier_activation=False, num_feedforward_networks=4),
        "all odd": dict(
            vocab_size=37,
            hidden_size=21,
            embedding_size=9,
            num_attention_heads=5,
            intra_bottleneck_size=35,
            num_hidden_layers=3,
            intermediate_size=7,
            num_feedforward_networks=2,
            hidden_act="quick_gelu",
            normalization_type="layer_norm",
            layer_norm_eps=1e-3,
            tie_word_embeddings=False,
            classifier_activation=False,
        ),
    },
    "SqueezeBert": {
        **COMMON_CONFIGS,
        "no groups": dict.fromkeys(GROUP_COUNTS, 1),
        "groups as published": dict(
            dict.fromkeys(GROUP_COUNTS, 4), post_attention_groups=1, hidden_size=48
        ),
        "groups of one channel": dict.fromkeys(GROUP_COUNTS, 8)
        | dict(hidden_size=8, intermediate_size=16),
        "groups that cut through heads": dict(
            num_attention_heads=2, q_groups=8, k_groups=24, v_groups=3
        ),
        "groups in the feed-forward network alone": dict.fromkeys(GROUP_COUNTS, 1)
        | dict(intermediate_groups=8, output_groups=8),
        "groups in attention alone": dict.fromkeys(GROUP_COUNTS, 1)
        | dict(q_groups=2, k_groups=12, v_groups=8),
        "groups that could be transposed": dict.fromkeys(GROUP_COUNTS, 4)
        | dict(intermediate_size=24),
        "epsilon 0.1, not the encoder's": dict(layer_norm_eps=0.1),
        "one layer, one head, one group": dict.fromkeys(GROUP_COUNTS, 1)
        | dict(num_hidden_layers=1, num_attention_heads=1),
        "relu, untied": dict(hidden_act="relu", tie_word_embeddings=False),
        "all odd": dict(
            vocab_size=37,
            hidden_size=45,
            num_attention_heads=9,
            num_hidden_layers=3,
            intermediate_size=105,
            q_groups=3,
            k_groups=5,
            v_groups=45,
            post_attention_groups=9,
            intermediate_groups=15,
            output_groups=5,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-3,
            tie_word_embeddings=False,
        ),
    },
}

# Every input goes through these configs; the other configs see a few inputs each.
THOROUGH = {
    "Bert": ["small", "all odd"],
    "ConvBert": ["small", "all odd"],
    "MobileBert": ["small", "all odd"],
    "SqueezeBert": ["small", "all odd"],
}

# The configs that matter to heads; a bare model and the one for masked words see all of them.
HEADS_SEE = {
    "Bert": ["small", "all odd", "relu", "untied", "one layer"],
    "ConvBert": ["small", "all odd", "relu", "narrow embeddings", "2 groups"],
    "MobileBert": [
        "small",
        "all odd",
        "a pooler without weights",
        "embeddings as wide as layers",
        "no bottleneck",
        "untied",
    ],
    "SqueezeBert": ["small", "all odd", "no groups", "relu", "untied", "one layer"],
}

# What no head but one takes.
HEAD_CONFIGS = {
    ("ConvBert", "ForMultipleChoice"): {
        "the first token": dict(summary_type="first"),
        "the mean": dict(summary_type="mean"),
        "the last token by another name": dict(summary_type="cls_index"),
        "a projection": dict(summary_use_proj=True),
        "a projection, activated": dict(summary_use_proj=True, summary_activation="tanh"),
        "activated alone": dict(summary_activation="gelu", summary_type="mean"),
        "a projection to as many as labels": dict(
            summary_use_proj=True, summary_proj_to_labels=True, num_labels=24, hidden_size=24
        ),
        "labels without a projection": dict(summary_proj_to_labels=True, num_labels=7),
    },
}

B, T = 5, 13  # of the inputs that have everything


def padded(config):
    """Padding at the end, at the front, in the middle, everywhere; token types, all outputs."""
    mask = mask_with_zeros(B, T, (1, slice(8, None)), (2, slice(4)), (3, slice(5, 7)), 4)
    return dict(
        input_ids=random_ids(config, B, T),
        attention_mask=mask,
        token_type_ids=random_types(config, B, T),
        output_hidden_states=True,
        output_attentions=True,
    )


def one_token(config):
    return dict(input_ids=random_ids(config, 2, 1), output_attentions=True)


def full_length(config):
    return dict(input_ids=random_ids(config, 2, config.max_position_embeddings))


def with_mask(mask):
    return lambda config: dict(input_ids=random_ids(config, *mask.shape), attention_mask=mask)


def with_bias(*shape):
    """A mask with four axes, which hides some keys and makes others more or less likely."""

    def inputs(config):
        heads = getattr(config, "head_ratio", 1)
        heads = max(1, config.num_attention_heads // heads)
        rng = np.random.default_rng(9)
        bias = rng.standard_normal([heads if axis == "H" else axis for axis in shape])
        bias = np.where(rng.random(bias.shape) < 0.3, np.finfo(np.float32).min, bias)
        bias[..., 0] = 0
        return dict(input_ids=random_ids(config, 5, 9), attention_mask=bias.astype(np.float32))

    return inputs


EVERY_CONFIG_SEES = {
    "padded": padded,
    "one token": one_token,
    "full length": full_length,
}

INPUTS = {
    **EVERY_CONFIG_SEES,
    "one sentence": lambda c: dict(input_ids=random_ids(c, 1, 7)),
    "two tokens": lambda c: dict(input_ids=random_ids(c, 3, 2), output_hidden_states=True),
    "padding in front": with_mask(mask_with_zeros(2, 9, (0, slice(5)))),
    "padding at the end": with_mask(mask_with_zeros(2, 9, (1, slice(2, None)))),
    "padding in the middle": with_mask(mask_with_zeros(2, 9, (0, slice(3, 6)))),
    "all padding": with_mask(mask_with_zeros(2, 9, 0, 1)),
    "one token, padding": with_mask(mask_with_zeros(2, 1, 0)),
    "mask of truths": with_mask(mask_with_zeros(2, 9, (0, slice(5))).astype(bool)),
    "mask of floats": with_mask(mask_with_zeros(2, 9, (0, slice(5))).astype(np.float32)),
    "mask of twos": with_mask(2 * mask_with_zeros(2, 9, (0, slice(5)))),
    "mask for each query": with_bias(5, 1, 9, 9),
    "mask for each head and query": with_bias(1, "H", 9, 9),
    "mask for each key": with_bias(5, 1, 1, 9),
    "mask of all axes": with_bias(5, "H", 9, 9),
    "mask for each query alone": with_bias(1, 1, 9, 1),
    "token types": lambda c: dict(
        input_ids=random_ids(c, 2, 9), token_type_ids=random_types(c, 2, 9)
    ),
    "positions for all": lambda c: dict(
        input_ids=random_ids(c, 3, 9), position_ids=random_positions(c, 1, 9)
    ),
    "positions for each": lambda c: dict(
        input_ids=random_ids(c, 3, 9), position_ids=random_positions(c, 3, 9)
    ),
    "longer than the position table": lambda c: dict(
        input_ids=random_ids(c, 2, 30),
        position_ids=random_positions(c, 2, 30),
        token_type_ids=random_types(c, 2, 30),  # ConvBERT's default for them is too short
    ),
    "embeddings": lambda c: dict(
        inputs_embeds=random_embeddings(c, 2, 9),
        attention_mask=mask_with_zeros(2, 9, (1, slice(5, None))),
        token_type_ids=random_types(c, 2, 9),
        output_hidden_states=True,
        output_attentions=True,
    ),
    "hidden states alone": lambda c: dict(input_ids=random_ids(c, 2, 9), output_hidden_states=True),
    "attentions alone": lambda c: dict(input_ids=random_ids(c, 2, 9), output_attentions=True),
    "a tuple": lambda c: dict(input_ids=random_ids(c, 2, 9), return_dict=False),
    "a full tuple": lambda c: padded(c) | dict(return_dict=False),
}

HEADS_GET = {name: INPUTS[name] for name in ("padded", "one token", "embeddings", "a full tuple")}


def cases():
    """Every class with every config: all inputs with the thorough ones, a few with the others."""
    return [
        pytest.param(*case, id="-".join([case[0] + case[1], config, name]))
        for family, head in ALL_HEADS
        for config, name, case in cases_of(family, head)
    ]


def cases_of(family, head):
    """Yield (name of the config, of the inputs, (family, head, options, function for inputs))."""
    of_all = head in ("Model", "ForMaskedLM")
    for config in CONFIGS[family] if of_all else HEADS_SEE[family]:
        options = CONFIGS[family][config]
        inputs = EVERY_CONFIG_SEES if of_all else {"padded": padded}
        if config in THOROUGH[family]:
            inputs = INPUTS if of_all else HEADS_GET
        for name, make_inputs in inputs.items():
            yield config, name, (family, head, options, make_inputs)
        for i, labelled in enumerate(LABELLED.get(head, [])):
            if i > 0 and config not in THOROUGH[family]:
                break
            for name, make_labels in labelled.labels.items():
                case = (family, head, options | labelled.options, with_labels(make_labels))
                yield " ".join([config, *map(str, labelled.options.values())]), name, case
                if config not in THOROUGH[family]:
                    break
    for config, options in HEAD_CONFIGS.get((family, head), {}).items():
        yield config, "padded", (family, head, options, padded)


def with_labels(make_labels):
    return lambda config: padded(config) | make_labels(config, B, T)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family, head, options, make_inputs", cases())
def test_every_output_is_that_of_the_reference(family, head, options, make_inputs, dtype, backend):
    truth = reference(family, head, **options)
    inputs = for_head(head, make_inputs(truth.config))
    model = loaded(dtype, family, head, **options)
    with running_on(backend):
        got = model(**inputs)
    expected = truth(dtype, **inputs)
    assert_same(got, expected, dtype)


@functools.cache
def loaded(dtype, family, head, **options):
    return reference(family, head, **options).load(dtype)


each_class = pytest.mark.parametrize("family, head", ALL_HEADS, ids="".join)
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


# ---- options that take effect in the call --------------------------------------------------


@each_class
@each_dtype
@pytest.mark.parametrize("option", ["output_hidden_states", "output_attentions"])
def test_outputs_can_be_asked_for_by_the_config(family, head, dtype, option):
    truth = reference(family, head, **{option: True})
    model = truth.load(dtype)
    for make_inputs in (padded, one_token):
        inputs = for_head(head, make_inputs(truth.config))
        del inputs["output_attentions"]
        assert_same(model(**inputs), truth(dtype, **inputs), dtype)
    inputs = for_head(head, full_length(truth.config))
    inputs |= {option: False}  # the argument goes before the config
    expected = truth(dtype, **inputs)
    assert len(expected) == len(model(**inputs)) and set(expected).isdisjoint({option[7:]})
    assert_same(model(**inputs), expected, dtype)


@each_class
def test_a_tuple_can_be_asked_for_by_the_config(family, head):
    truth = reference(family, head, return_dict=False)
    model, inputs = truth.load("float64"), for_head(head, padded(truth.config))
    # ConvBertForMaskedLM of the reference fails with this config: ask by the argument instead.
    expected = reference(family, head)("float64", **inputs, return_dict=False)
    assert isinstance(model(**inputs), tuple)
    assert_same(model(**inputs), expected, "float64")
    assert not isinstance(model(**inputs, return_dict=True), tuple)


@each_class
def test_lists_and_all_integers_are_as_good_as_arrays(family, head):
    truth = reference(family, head)
    inputs = padded(truth.config) | random_labels(head, truth.config, B, T)
    inputs = {k: v for k, v in for_head(head, inputs).items() if isinstance(v, np.ndarray)}
    expected = truth("float64", **inputs)
    model = truth.load("float64")
    for convert in (np.ndarray.tolist, lambda a: a.astype(np.int32), lambda a: a.astype(np.int8)):
        got = model(**{name: convert(array) for name, array in inputs.items()})
        assert_same(got, expected, "float64")


@each_class
@each_dtype
def test_embeddings_of_the_other_dtype_are_converted(family, head, dtype):
    truth = reference(family, head)
    embeddings = random_embeddings(truth.config, 2, 9)
    for given in (np.float32, np.float64, np.float16):
        inputs = dict(inputs_embeds=embeddings.astype(np.float16).astype(given))
        inputs = for_head(head, inputs)
        assert_same(truth.load(dtype)(**inputs), truth(dtype, **inputs), dtype)


def test_attention_is_far_from_uniform():
    """What the comparison rests on: otherwise a mistake in query or key would not be seen."""
    for family in HEADS:
        truth = reference(family, "Model")
        inputs = full_length(truth.config) | dict(output_attentions=True)
        largest_shares = truth("float64", **inputs)["attentions"][0].max(axis=-1)
        assert largest_shares.mean() > 5 / truth.config.max_position_embeddings


# ---- configs that nobody chose -------------------------------------------------------------


def random_config(family, seed):
    """Return options that the family allows, of any sizes."""
    rng = np.random.default_rng(seed)

    def one_of(*values):
        return values[rng.integers(len(values))]

    heads, groups = one_of(1, 2, 3, 5), one_of(1, 2, 3)
    options = dict(
        vocab_size=int(rng.integers(2, 80)),
        hidden_size=heads * groups * 2 * one_of(1, 3, 4),
        num_hidden_layers=one_of(1, 2, 4),
        num_attention_heads=heads,
        intermediate_size=groups * one_of(1, 7, 30),
        max_position_embeddings=one_of(13, 21),
        type_vocab_size=one_of(1, 2, 5),
        hidden_act=one_of("gelu", "relu", "gelu_new", "silu", "tanh", "mish", "gelu_10"),
        layer_norm_eps=one_of(1e-12, 1e-5, 1e-2),
        tie_word_embeddings=one_of(True, False),
        pad_token_id=one_of(None, 0, 1),
    )
    if family == "ConvBert":
        ratio = one_of(1, 2, 3)
        options |= dict(
            num_attention_heads=heads * ratio + one_of(0, ratio - 1),
            head_ratio=ratio,
            embedding_size=one_of(options["hidden_size"], 1, 9, 50),
            conv_kernel_size=one_of(1, 3, 5, 11),
            num_groups=groups,
        )
    if family == "MobileBert":
        no_bottleneck, in_bottleneck = one_of(True, False, False), one_of(True, False, False)
        width = heads * one_of(1, 4, 7)
        options |= dict(
            embedding_size=one_of(options["hidden_size"], 1, options["hidden_size"] // 2),
            trigram_input=one_of(True, True, False),
            use_bottleneck=not no_bottleneck,
            use_bottleneck_attention=in_bottleneck,
            key_query_shared_bottleneck=one_of(True, not (no_bottleneck or in_bottleneck)),
            intra_bottleneck_size=width,
            num_feedforward_networks=one_of(1, 2, 4),
            normalization_type=one_of("no_norm", "layer_norm"),
            classifier_activation=one_of(True, False),
        )
    if family == "SqueezeBert":

        def divisor(*sizes):
            return one_of(*(n for n in range(1, 25) if not any(size % n for size in sizes)))

        D, I = options["hidden_size"], options["intermediate_size"]
        for name in GROUP_COUNTS:
            feed_forward = name in ("intermediate_groups", "output_groups")
            options[name] = divisor(D, I) if feed_forward else divisor(D)
    return options


@pytest.mark.parametrize("seed", range(12))
@each_class
def test_random_configs(family, head, seed):
    truth = reference(family, head, **random_config(family, seed))
    inputs = for_head(head, padded(truth.config) | random_labels(head, truth.config, B, T))
    for dtype in ("float64", "float32"):
        assert_same(truth.load(dtype)(**inputs), truth(dtype, **inputs), dtype)
