"""The forward passes against the reference: every class, many odd configs and inputs, all outputs.

A family is one entry in HEADS and one in CONFIGS.
"""

import functools

import numpy as np
import pytest
from reference_models import (
    assert_same,
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

HEADS = {"Bert": ["Model", "ForMaskedLM"], "ConvBert": ["Model", "ForMaskedLM"]}

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
}

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
}

# Every input goes through these configs; the other configs see a few inputs each.
THOROUGH = {"Bert": ["small", "all odd"], "ConvBert": ["small", "all odd"]}


def padded(config):
    """Padding at the end, at the front, in the middle, everywhere; token types, all outputs."""
    B, T = 5, 13
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

# What only the classes with a loss take.
LABELLED = {
    "labels": lambda c: padded(c) | dict(labels=random_labels(c, 5, 13)),
    "a label at every token": lambda c: dict(
        input_ids=random_ids(c, 2, 9), labels=random_ids(c, 2, 9, seed=5)
    ),
    "no label counts": lambda c: dict(
        input_ids=random_ids(c, 2, 9), labels=np.full((2, 9), -100), output_attentions=True
    ),
    "labels, a tuple": lambda c: (
        padded(c) | dict(labels=random_labels(c, 5, 13), return_dict=False)
    ),
}


def cases():
    """Every class with every config: all inputs with the thorough ones, a few with the others."""
    found = []
    for family, heads in HEADS.items():
        for head in heads:
            for config in CONFIGS[family]:
                thorough = config in THOROUGH[family]
                inputs = dict(INPUTS if thorough else EVERY_CONFIG_SEES)
                if head == "ForMaskedLM":
                    inputs |= LABELLED if thorough else {"labels": LABELLED["labels"]}
                for name in inputs:
                    identifier = f"{family}{head}-{config}-{name}"
                    found.append(pytest.param(family, head, config, inputs[name], id=identifier))
    return found


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family, head, config, make_inputs", cases())
def test_every_output_is_that_of_the_reference(family, head, config, make_inputs, dtype, backend):
    truth = reference(family, head, **CONFIGS[family][config])
    inputs = make_inputs(truth.config)
    model = loaded(family, head, config, dtype)
    with running_on(backend):
        got = model(**inputs)
    expected = truth(dtype, **inputs)
    assert_same(got, expected, dtype)


@functools.cache
def loaded(family, head, config, dtype):
    return reference(family, head, **CONFIGS[family][config]).load(dtype)


ALL_HEADS = [(family, head) for family, heads in HEADS.items() for head in heads]
each_class = pytest.mark.parametrize("family, head", ALL_HEADS, ids="".join)
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


# ---- options that take effect in the call --------------------------------------------------


@each_class
@each_dtype
@pytest.mark.parametrize("option", ["output_hidden_states", "output_attentions"])
def test_outputs_can_be_asked_for_by_the_config(family, head, dtype, option):
    truth = reference(family, head, **{option: True})
    model = truth.load(dtype)
    for inputs in (padded(truth.config), one_token(truth.config)):
        del inputs["output_attentions"]
        assert_same(model(**inputs), truth(dtype, **inputs), dtype)
    inputs = full_length(truth.config) | {option: False}  # the argument goes before the config
    expected = truth(dtype, **inputs)
    assert len(expected) == len(model(**inputs)) and set(expected).isdisjoint({option[7:]})
    assert_same(model(**inputs), expected, dtype)


@each_class
def test_a_tuple_can_be_asked_for_by_the_config(family, head):
    truth = reference(family, head, return_dict=False)
    model, inputs = truth.load("float64"), padded(truth.config)
    # ConvBertForMaskedLM of the reference fails with this config: ask by the argument instead.
    expected = reference(family, head)("float64", **inputs, return_dict=False)
    assert isinstance(model(**inputs), tuple)
    assert_same(model(**inputs), expected, "float64")
    assert not isinstance(model(**inputs, return_dict=True), tuple)


@each_class
def test_lists_and_all_integers_are_as_good_as_arrays(family, head):
    truth = reference(family, head)
    inputs = {k: v for k, v in padded(truth.config).items() if isinstance(v, np.ndarray)}
    expected = truth("float64", **inputs)
    model = truth.load("float64")
    for convert in (np.ndarray.tolist, lambda a: a.astype(np.int32), lambda a: a.astype(np.uint8)):
        got = model(**{name: convert(array) for name, array in inputs.items()})
        assert_same(got, expected, "float64")


@each_class
@each_dtype
def test_embeddings_of_the_other_dtype_are_converted(family, head, dtype):
    truth = reference(family, head)
    embeddings = random_embeddings(truth.config, 2, 9)
    for given in (np.float32, np.float64, np.float16):
        inputs = dict(inputs_embeds=embeddings.astype(np.float16).astype(given))
        assert_same(truth.load(dtype)(**inputs), truth(dtype, **inputs), dtype)


def test_attention_is_far_from_uniform():
    """What the comparison rests on: otherwise a slip in query or key would not be seen."""
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
    return options


@pytest.mark.parametrize("seed", range(12))
@each_class
def test_random_configs(family, head, seed):
    truth = reference(family, head, **random_config(family, seed))
    inputs = padded(truth.config)
    for dtype in ("float64", "float32"):
        assert_same(truth.load(dtype)(**inputs), truth(dtype, **inputs), dtype)
