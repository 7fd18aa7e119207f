"""Every classic mistake, typed into the source as a reader would: run, and named by the page."""

import itertools
import os

import numpy as np
import pytest
from kits_in_memory import OPTIONS, make_cases, make_model

import npbert
from npbert.golden.mistakes.catalogue import MISTAKES, applicable
from npbert.live.editing import Edit, edited, typed
from npbert.live.naming import name_edits, results_of, with_padding

HEADS = [
    "Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
    "ForQuestionAnswering", "ForNextSentencePrediction", "ForPreTraining",
]  # fmt: skip
# Models with a config that the small ones do not have.
OTHERS = [
    ("MobileBert", "Model", dict(intra_bottleneck_size=16)),
    ("SqueezeBert", "Model", dict(layer_norm_eps=1e-3)),
    ("MobileBert", "Model", dict(layer_norm_eps=1e-3, normalization_type="layer_norm")),
]


def model_of(family, head, **options):
    return make_model(family, head, num_hidden_layers=1, **options)


def cases():
    """Yield every mistake in every family that can make it, in the first head that has it."""
    seen = set()
    small = [(f, h, {}) for f, h in itertools.product(OPTIONS, HEADS) if hasattr(npbert, f + h)]
    for family, head, options in [*small, *OTHERS]:
        for mistake in applicable(model_of(family, head, **options)):
            if (family, mistake.name) not in seen:
                seen.add((family, mistake.name))
                name = f"{family}-{mistake.name}"
                yield pytest.param(family, head, options, mistake, id=name)


CASES = [*cases()]
if "NPBERT_THOROUGH" not in os.environ:  # each in one family, in turn
    of_name = {}
    for case in CASES:
        of_name.setdefault(case.values[3].name, []).append(case)
    CASES = [found[i % len(found)] for i, found in enumerate(of_name.values())]


@pytest.mark.parametrize(("family", "head", "options", "mistake"), CASES)
def test_every_mistake_is_named_when_it_is_typed(family, head, options, mistake):
    model = model_of(family, head, **options)
    naming = name_edits(typed(mistake, model), model, make_cases(model)["plain"])
    assert [each.name for each in naming.mistakes] == [mistake.name] and naming.has_effect


def test_every_mistake_is_typed_somewhere():
    assert {each.values[3].name for each in CASES} == {mistake.name for mistake in MISTAKES}


TYPED = [each for each in CASES if each.values[3].typed]


@pytest.mark.parametrize(("family", "head", "options", "mistake"), TYPED)
def test_what_is_typed_does_what_other_parameters_do(family, head, options, mistake):
    from npbert.golden.mistakes.catalogue import planted

    model = model_of(family, head, **options)
    inputs = make_cases(model)["padded"]
    with planted(mistake, model) as mistaken:
        one = results_of(mistaken, inputs)
    with edited(typed(mistake, model), model) as changed:
        other = results_of(changed, inputs)
    right = results_of(model, inputs)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-10, atol=1e-12)
    assert any(not np.array_equal(right[name], value) for name, value in one.items())


# ---- typed in another way ------------------------------------------------------------------


def line_of(file, text):
    """Return the number of the line of a file that has a text."""
    from npbert.live.session import sources

    [number] = [n for n, row in enumerate(sources()[file].split("\n"), 1) if text in row]
    return number


def named(model, *edits):
    naming = name_edits([Edit(*edit) for edit in edits], model, make_cases(model)["plain"])
    return [each.name for each in naming.mistakes], naming


def test_a_mistake_is_named_however_it_is_typed():
    model = model_of("ConvBert", "Model")
    line = line_of("kernels.py", "np.einsum(")
    flipped = '    return np.einsum("bthsk,bthk->bths", windows, np.flip(filters, axis=-1))'
    assert named(model, ["kernels.py", line, flipped])[0] == ["filters_reversed"]
    loop = "    return sum(windows[..., k] * filters[:, :, :, None, K - 1 - k] for k in range(K))"
    assert named(model, ["kernels.py", line, loop])[0] == ["filters_reversed"]


def test_two_mistakes_at_once_are_both_named():
    model = model_of("Bert", "Model")
    scale = line_of("ops.py", "math.sqrt(query.shape[-1])")
    pooled = line_of("bert.py", "x[:, 0]")
    both = (
        ["ops.py", scale, "    scores = query @ key.swapaxes(-1, -2)"],
        ["bert.py", pooled, "    return np.tanh(linear(x[:, -1], p.dense))"],
    )
    assert named(model, *both)[0] == ["no_scale", "last_token_pooled"]


def test_an_edit_that_is_no_classic_mistake_is_not_named():
    model = model_of("Bert", "Model")
    line = line_of("ops.py", "return x @ p.weight.T + p.bias")
    names, naming = named(model, ["ops.py", line, "    return x @ p.weight.T - p.bias"])
    assert names == [] and naming.has_effect
    names, naming = named(model, ["ops.py", line, "    return p.bias + x @ p.weight.T"])
    assert names == [] and not naming.has_effect


def test_what_shows_only_in_padding_is_said_to():
    model = model_of("Bert", "Model")
    line = line_of("ops.py", "masked_scores = scores + mask_bias")
    names, naming = named(model, ["ops.py", line, "    masked_scores = scores"])
    assert names == ["no_mask"] and naming.only_padded


def test_padding_is_added_behind_or_at_the_end_of_the_longest():
    model = model_of("Bert", "Model")
    for T in (5, 9):  # of 9 positions
        ids = np.arange(1, T + 1)[None]
        padded = with_padding({"input_ids": ids}, model.config)
        assert padded["attention_mask"].tolist()[0][-2:] == [0, 0]
        assert padded["input_ids"].shape[1] == min(T + 2, 9)
        assert ids.tolist() == [[*range(1, T + 1)]]
