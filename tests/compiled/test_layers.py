"""The compiled layers of every family beside the definitions: sizes, options, masks, NaN.

The definitions in float64 are the truth. What is held here to them is held to the reference in
tests/reference/test_compiled_layers_reference.py.
"""

import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import HEADS, small_model

from npbert.compiled import backend, prepared, program
from npbert.model.params import tree

pytest.importorskip("numba", reason="the twins need numba")

TOLERANCE = 2e-5  # of the largest value, as everywhere for float32
each_family = pytest.mark.parametrize("family", HEADS)


def in_float64(model):
    """Return a model of float64 with the same numbers."""
    other, state = copy.copy(model), model.state_dict()
    other.params = tree({name: array.astype(np.float64) for name, array in state.items()})
    other.dtype = np.dtype(np.float64)
    return other


def outputs(model, version, *arguments, **given):
    given = dict(output_hidden_states=True, output_attentions=True) | given
    with backend.using(version), np.errstate(all="ignore"):
        output = model(*arguments, **given)
    return [output.last_hidden_state, *output.hidden_states[1:], *output.attentions]


def assert_right(model, *arguments, covered=True, **given):
    """Assert that the twins give what the definitions give in float64."""
    truth = in_float64(model)
    for got, expected in zip(
        outputs(model, "numba", *arguments, **given),
        outputs(truth, "numpy", *arguments, **given),
        strict=True,
    ):
        assert got.dtype == np.float32 and got.shape == expected.shape
        seen = np.abs(expected) < 1e30  # else the mask has swallowed a score of SqueezeBERT
        np.testing.assert_array_equal(np.abs(got) < 1e30, seen)
        limit = TOLERANCE * max(1, np.abs(expected[seen]).max(initial=0))
        np.testing.assert_allclose(got[seen], expected[seen], rtol=0, atol=limit)
    if covered:
        [*programs] = prepared._programs[model.encoder_params].values()
        assert all(kept.program for kept in programs)


def model_of(family, **options):
    options = dict(hidden_act="gelu", num_hidden_layers=2, max_position_embeddings=40) | options
    model = small_model(family, dtype=np.float32, **options)
    for array in model.state_dict().values():
        if array.ndim > 1:  # so that scores are not larger in wider models, and float32 is enough
            array *= (12 / max(12, array.shape[1])) ** 0.5
    return model


def ids_of(B, T, seed=0):
    return np.random.default_rng(seed).integers(0, 20, (B, T))


# ---- sizes -----------------------------------------------------------------------------------

OPTIONS = [
    ("Bert", dict(num_attention_heads=1)),
    ("Bert", dict(num_attention_heads=12)),
    ("Bert", dict(hidden_size=1, num_attention_heads=1, intermediate_size=1)),
    ("Bert", dict(hidden_size=45, num_attention_heads=5, intermediate_size=7)),
    ("Bert", dict(hidden_size=100, num_attention_heads=4, intermediate_size=301)),
    ("Bert", dict(layer_norm_eps=0.1)),
    ("ConvBert", dict(num_groups=1)),
    ("ConvBert", dict(num_groups=2)),
    ("ConvBert", dict(num_groups=6, hidden_act="relu")),
    ("ConvBert", dict(conv_kernel_size=1)),
    ("ConvBert", dict(conv_kernel_size=9)),
    ("ConvBert", dict(conv_kernel_size=49)),
    ("ConvBert", dict(head_ratio=1)),
    ("ConvBert", dict(num_attention_heads=6, head_ratio=3)),
    ("ConvBert", dict(head_ratio=9)),
    ("ConvBert", dict(hidden_size=42, num_attention_heads=11, head_ratio=3, intermediate_size=70,
                      num_groups=7, conv_kernel_size=7)),
    ("MobileBert", dict(use_bottleneck=False)),
    ("MobileBert", dict(use_bottleneck=False, num_hidden_layers=3)),
    ("MobileBert", dict(use_bottleneck_attention=True)),
    ("MobileBert", dict(key_query_shared_bottleneck=False, intra_bottleneck_size=12)),
    ("MobileBert", dict(use_bottleneck_attention=True, key_query_shared_bottleneck=False)),
    ("MobileBert", dict(intra_bottleneck_size=20)),
    ("MobileBert", dict(intra_bottleneck_size=1, num_attention_heads=1)),
    ("MobileBert", dict(trigram_input=False)),
    ("MobileBert", dict(num_feedforward_networks=1)),
    ("MobileBert", dict(num_feedforward_networks=5)),
    ("MobileBert", dict(normalization_type="layer_norm")),
    ("MobileBert", dict(normalization_type="layer_norm", use_bottleneck=False)),
    ("MobileBert", dict(normalization_type="layer_norm", use_bottleneck_attention=True)),
    ("SqueezeBert", dict(q_groups=1, k_groups=2, v_groups=4, post_attention_groups=3,
                         intermediate_groups=6, output_groups=2)),
    ("SqueezeBert", dict(q_groups=12, k_groups=12, v_groups=12)),
    ("SqueezeBert", dict(hidden_size=36, intermediate_size=54, q_groups=9, output_groups=9)),
]  # fmt: skip


@pytest.mark.parametrize(("family", "options"), OPTIONS, ids=str)
def test_options(family, options):
    model = model_of(family, **options)
    for B, T in [(1, 1), (2, 3), (3, 33)]:
        assert_right(model, ids_of(B, T))


@settings(max_examples=40)
@given(
    family=st.sampled_from([*HEADS]),
    heads=st.integers(1, 4),
    width=st.integers(1, 40),
    wide=st.integers(1, 60),
    texts=st.integers(1, 4),
    tokens=st.integers(1, 40),
    chunk=st.integers(1, 100),
)
def test_any_size(family, heads, width, wide, texts, tokens, chunk):
    sizes = dict(hidden_size=heads * width, intermediate_size=wide, num_attention_heads=heads)
    sizes |= {
        "ConvBert": dict(hidden_size=2 * heads * width, head_ratio=1, num_groups=1),
        "MobileBert": dict(intra_bottleneck_size=heads * 3, hidden_size=wide),
        "SqueezeBert": dict.fromkeys(
            [f"{which}_groups" for which in "q k v post_attention intermediate output".split()], 1
        ),
    }.get(family, {})
    if family == "ConvBert":
        sizes["num_attention_heads"] = 2 * heads
        sizes["head_ratio"] = 2
    model = model_of(family, **sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "CHUNK", chunk)
        assert_right(model, ids_of(texts, tokens))


@each_family
def test_no_layer(family):
    model = model_of(family, num_hidden_layers=0)
    for version in ("numpy", "numba"):
        with backend.using(version):
            output = model(ids_of(2, 3), output_attentions=True)
            assert output.attentions == ()
    with backend.using("numpy"):
        expected = model(ids_of(2, 3)).last_hidden_state
    np.testing.assert_allclose(output.last_hidden_state, expected, rtol=1e-4, atol=1e-5)


@each_family
def test_a_text_as_long_as_the_positions(family):
    model = model_of(family, max_position_embeddings=512, num_hidden_layers=1)
    assert_right(model, ids_of(1, 512), attention_mask=np.arange(512)[None] < 500)


# ---- masks -----------------------------------------------------------------------------------

B, T, H = 3, 35, 2
LENGTHS = np.array([[35], [17], [0]])  # the last is padding altogether


def masks():
    rng = np.random.default_rng(0)
    low = np.finfo(np.float32).min
    hides = np.where(rng.random((B, H, T, T)) < 0.3, low, 0).astype(np.float32)
    return {
        "two axes": np.arange(T) < LENGTHS,
        "nothing to see": np.zeros((B, T), int),
        "holes": rng.integers(0, 2, (B, T)),
        "four axes": hides,
        "one for all heads": hides[:, :1],
        "one for all queries": hides[:, :, :1],
        "one for all keys": hides[:, :, :, :1],
        "one for all texts": hides[:1],
        "one number": np.full((1, 1, 1, 1), -3.0),
        "causal": np.where(np.tri(T), 0, low)[None, None],
        "minus infinity": np.where(hides < 0, -np.inf, 0),
        "minus infinity everywhere": np.full((1, 1, 1, T), -np.inf),
        "added to scores": rng.standard_normal((B, H, T, T)),
        "float64": np.where(hides < 0, np.finfo(np.float64).min, 0),
    }


@each_family
@pytest.mark.parametrize("name", masks())
def test_masks(name, family):
    heads = 2 * H if family == "ConvBert" else H  # half of them convolve
    model = model_of(family, num_attention_heads=heads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "CHUNK", T)  # a chunk for each text
        assert_right(model, ids_of(B, T), attention_mask=masks()[name])


@each_family
@pytest.mark.parametrize("shape", [(T,), (B, 1, T), (B, T, T), (1, T)])
def test_masks_of_other_shapes_are_refused(shape, family):
    with pytest.raises(ValueError, match="attention_mask has shape"):
        outputs(model_of(family), "numba", ids_of(B, T), attention_mask=np.ones(shape, int))


# ---- what is not finite ----------------------------------------------------------------------

VALUES = [np.nan, np.inf, -np.inf]


def assert_same_pattern(model, **given):
    got, expected = (outputs(model, version, **given) for version in ("numba", "numpy"))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        np.testing.assert_array_equal(np.isposinf(one), np.isposinf(other))
        np.testing.assert_array_equal(np.isneginf(one), np.isneginf(other))
    return got


@each_family
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
def test_inputs_that_are_not_finite(hidden_act, value, family):
    model = model_of(family, hidden_act=hidden_act)
    width = getattr(model.config, "embedding_size", model.config.hidden_size)
    embeds = np.random.default_rng(0).standard_normal((3, 20, width)).astype(np.float32)
    embeds[1, 7, 2] = value
    [last, *_] = assert_same_pattern(model, inputs_embeds=embeds)
    assert np.isfinite(last[[0, 2]]).all() and not np.isfinite(last[1]).all()


@each_family
@pytest.mark.parametrize("value", VALUES)
def test_weights_that_are_not_finite(value, family):
    """One number of every parameter of the layers in turn."""
    model = model_of(family, num_hidden_layers=1)
    for name, array in model.state_dict().items():
        if name.startswith("encoder."):
            place = (0,) * array.ndim
            before = array[place]
            array[place] = value
            assert_same_pattern(model, input_ids=ids_of(2, 9))
            array[place] = before
    assert_right(model, ids_of(2, 9))


def test_all_options_of_the_families_are_tried():
    """Those that change what the layers compute."""
    tried = {name for _, options in OPTIONS for name in options} | {"hidden_act"}
    model = model_of("MobileBert")
    of_layers = {"use_bottleneck", "use_bottleneck_attention", "key_query_shared_bottleneck",
                 "num_feedforward_networks", "normalization_type", "trigram_input"}  # fmt: skip
    assert of_layers <= tried & {field.name for field in dataclasses.fields(model.config)}
