"""The compiled layers against the reference: long texts in many chunks, and what is not finite.

Every config and input is in test_forward_passes_reference.py, for both backends; its texts fit one
panel of tokens. Here they fill several, in chunks that hold one text or more, on three threads.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from reference_models import (
    ALL_HEADS,
    HEADS,
    assert_same,
    for_head,
    mask_with_zeros,
    random_embeddings,
    random_ids,
    reference,
    running_on,
)

pytestmark = pytest.mark.reference
pytest.importorskip("numba", reason="the twins need numba")

from npbert.compiled import program, threads  # noqa: E402

LONG = dict(max_position_embeddings=512, hidden_size=48, intermediate_size=72)
LENGTHS = [1, 16, 31, 33, 64, 100]


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(threads, "count_threads", lambda: 3)
    monkeypatch.setattr(threads, "_helpers", lambda: pool)
    monkeypatch.setattr(program, "FEW", 0)
    monkeypatch.setattr(program, "CHUNK", 70)
    with running_on("numba"):
        yield
    pool.shutdown()


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize("family, head", ALL_HEADS, ids="".join)
def test_long_texts(family, head, T):
    truth = reference(family, head, hidden_act="gelu", **LONG)
    mask = mask_with_zeros(4, T, (1, slice(T // 2, None)), (2, slice(0, T // 3)), 3)
    inputs = dict(input_ids=random_ids(truth.config, 4, T), attention_mask=mask)
    inputs |= dict(output_hidden_states=True, output_attentions=True)
    inputs = for_head(head, inputs)
    # float64 is the truth, for float32 as well.
    got, expected = truth.load("float32")(**inputs), truth("float64", **inputs)
    assert_same(got, in_float32(expected), "float32")


def in_float32(output):
    if isinstance(output, tuple):
        return tuple(map(in_float32, output))
    if isinstance(output, dict):
        return {name: in_float32(part) for name, part in output.items()}
    return np.clip(output, np.finfo(np.float32).min, None).astype(np.float32)


@pytest.mark.parametrize("family", HEADS)
def test_as_long_as_the_positions(family):
    truth = reference(family, "Model", hidden_act="gelu", **LONG)
    inputs = dict(input_ids=random_ids(truth.config, 1, 512))
    expected = in_float32(truth("float64", **inputs))
    assert_same(truth.load("float32")(**inputs), expected, "float32")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
@pytest.mark.parametrize("family", HEADS)
def test_the_same_numbers_are_not_finite(family, hidden_act, value):
    """In the embeddings of one token, or in one weight."""
    truth = reference(family, "Model", hidden_act=hidden_act)
    model, theirs = truth.load("float32"), truth.models["float32"]
    embeds = random_embeddings(truth.config, 3, 20)
    clean = dict(inputs_embeds=embeds.copy(), output_hidden_states=True, output_attentions=True)
    embeds[1, 7, 2] = value
    spoilt = clean | dict(inputs_embeds=embeds)
    assert_same_pattern(model(**spoilt), truth("float32", **spoilt))
    weights, ours = dict(theirs.named_parameters()), model.state_dict()
    spoil = [name for name in ours if name.startswith("encoder.") and ".1." not in name]
    for name in spoil[::5]:
        place = (0,) * ours[name].ndim
        before = weights[name].data[place].item()
        array = ours[name].copy()
        array[place] = value
        put(model.params, name, array)
        weights[name].data[place] = value
        try:
            assert_same_pattern(model(**clean), truth("float32", **clean))
        finally:
            weights[name].data[place] = before
        put(model.params, name, ours[name])
    assert_same(model(**clean), truth("float32", **clean), "float32")


def put(p, name, array):
    """Put an array under its checkpoint name in a tree of parameters."""
    *path, last = name.split(".")
    for step in path:
        p = p[int(step)] if step.isdigit() else getattr(p, step)
    setattr(p, last, array)


def assert_same_pattern(got, expected):
    for name, want in expected.items():
        parts = (got[name], want) if isinstance(want, tuple) else ([got[name]], [want])
        for one, other in zip(*parts, strict=True):
            for of_kind in (np.isnan, np.isposinf, np.isneginf):
                np.testing.assert_array_equal(of_kind(one), of_kind(other), err_msg=name)
