"""npbert.trace: which quantities it records, under which names, and what it leaves as it was."""

import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from traced_models import OPTIONS, small_model

import npbert
from npbert.compiled import backend

HEADS = [
    "Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
    "ForTokenClassification", "ForQuestionAnswering", "ForPreTraining",
    "ForNextSentencePrediction",
]  # fmt: skip
CLASSES = [(f, h) for f, h in itertools.product(OPTIONS, HEADS) if hasattr(npbert, f + h)]
IDS = [[2, 31, 7, 3], [2, 8, 3, 0]]
MASK = [[1, 1, 1, 1], [1, 1, 1, 0]]


def inputs_for(head):
    inputs = dict(input_ids=np.array(IDS), attention_mask=np.array(MASK))
    if head == "ForMultipleChoice":
        return {name: array[:, None].repeat(3, axis=1) for name, array in inputs.items()}
    return inputs


# ---- what is recorded ----------------------------------------------------------------------

ATTENTION = """
convbert.encoder.layer.0.attention.self.query
convbert.encoder.layer.0.attention.self.key
convbert.encoder.layer.0.attention.self.value
convbert.encoder.layer.0.attention.self.queries
convbert.encoder.layer.0.attention.self.keys
convbert.encoder.layer.0.attention.self.values
convbert.encoder.layer.0.attention.self.attend.scores
convbert.encoder.layer.0.attention.self.attend.masked_scores
convbert.encoder.layer.0.attention.self.attend.softmax.exponentials
convbert.encoder.layer.0.attention.self.attend.probs
convbert.encoder.layer.0.attention.self.attend.context
convbert.encoder.layer.0.attention.self.conv_out_layer
convbert.encoder.layer.0.attention.self.key_conv_attn_layer.depthwise_convolution.padded
convbert.encoder.layer.0.attention.self.key_conv_attn_layer.span
convbert.encoder.layer.0.attention.self.key_conv_attn_layer
convbert.encoder.layer.0.attention.self.matched
convbert.encoder.layer.0.attention.self.conv_kernel_layer
convbert.encoder.layer.0.attention.self.filter_scores
convbert.encoder.layer.0.attention.self.softmax.exponentials
convbert.encoder.layer.0.attention.self.filters
convbert.encoder.layer.0.attention.self.dynamic_convolution.padded
convbert.encoder.layer.0.attention.self.dynamic_convolution.spans
convbert.encoder.layer.0.attention.self.dynamic_convolution.windows
convbert.encoder.layer.0.attention.self.near
convbert.encoder.layer.0.attention.self.mixed
convbert.encoder.layer.0.attention.self
""".split()


def test_every_quantity_of_a_mixed_attention_in_computing_order():
    names = npbert.trace(small_model("ConvBert"), IDS).names()
    start = names.index(ATTENTION[0])
    assert names[start : start + len(ATTENTION)] == ATTENTION


# What somebody who ports a family asks for, beside the outputs of its modules.
WANTED = {
    "Bert": ["embeddings.summed", "encoder.layer.0.wide", "encoder.layer.0.probs"],
    "ConvBert": [
        "encoder.layer.1.attention.self.filters",
        "encoder.layer.1.attention.self.dynamic_convolution.windows",
    ],
    "MobileBert": [
        "embeddings.grams",
        "encoder.layer.0.bottleneck.attention.LayerNorm",
        "encoder.layer.0.ffn.0.output.LayerNorm",
        "encoder.layer.0.output.bottleneck.LayerNorm",
    ],
    "SqueezeBert": [
        "encoder.layers.0.attention.query.rows",
        "encoder.layers.0.attention.attend.masked_scores",
        "encoder.layers.0.wide",
    ],
}


@pytest.mark.parametrize("family", WANTED)
def test_what_a_porter_asks_for(family):
    recorded = npbert.trace(small_model(family), IDS)
    prefix = type(small_model(family)).base_model_prefix
    for name in [*(f"{prefix}.{name}" for name in WANTED[family]), "inputs.mask_bias", "logits"]:
        assert name in recorded


@pytest.mark.parametrize(("family", "head"), CLASSES)
def test_every_name_stands_for_one_array(family, head):
    recorded = npbert.trace(small_model(family, head), **inputs_for(head))
    assert max(Counter(recorded.names()).values()) == 1
    for number, quantity in enumerate(recorded):
        assert recorded[quantity.name] is quantity is recorded[number]
        assert np.isfinite(quantity.value).all()


@pytest.mark.parametrize(("family", "head"), CLASSES)
def test_sources_come_before_what_is_computed_from_them(family, head):
    model = small_model(family, head)
    known = set(model.state_dict())
    for quantity in npbert.trace(model, **inputs_for(head)):
        assert known >= set(quantity.inputs), quantity
        assert quantity.inputs or quantity.name.startswith("inputs."), quantity
        known.add(quantity.name)


@pytest.mark.parametrize(("family", "head"), CLASSES)
def test_only_the_sources_matter(family, head):
    """Change one quantity: what changes has it among its sources, or one that has changed."""
    model, inputs = small_model(family, head), inputs_for(head)
    plain = npbert.trace(model, **inputs)
    disturbed_ones = 0
    for number in range(6, len(plain), 13):
        name, seen, changed = plain[number].name, [], set()

        def disturb(quantity, array, name=name, seen=seen, changed=changed):
            seen.append(array)
            # What is a view of an earlier quantity would change that one, too.
            if quantity.name == name and not any(np.shares_memory(array, a) for a in seen[:-1]):
                array += 1
                changed.add(name)

        after = npbert.trace(model, **inputs, visit=disturb)
        disturbed_ones += len(changed)
        for before, now in zip(plain, after, strict=True):
            if not np.array_equal(before.value, now.value):
                assert changed & {before.name, *before.inputs}, before
                changed.add(before.name)
    assert disturbed_ones > 2


def test_other_names_of_a_quantity():
    recorded = npbert.trace(small_model("Bert"), IDS)
    probs = recorded["bert.encoder.layer.0.attention.self.attend.probs"]
    assert recorded["bert.encoder.layer.0.attention.self.probs"] is probs
    assert "bert.encoder.layer.0.probs" in probs.aliases
    norm = recorded["bert.encoder.layer.0.output.LayerNorm"]
    assert recorded["bert.encoder.layer.0"] is norm  # what the layer gives


def test_an_array_that_is_given_twice_has_both_names():
    ids = np.array([[1, 0, 1]])
    recorded = npbert.trace(small_model("Bert"), ids, token_type_ids=ids)
    assert recorded["inputs.token_type_ids"] is recorded["inputs.input_ids"]


def test_a_quantity_knows_how_its_function_was_called():
    recorded = npbert.trace(small_model("Bert"), IDS)
    query = recorded["bert.encoder.layer.0.attention.self.query"]
    assert query.arguments == {"x": "bert.embeddings.LayerNorm", "p": query.name}
    assert query.caller[:2] == ("self_attention", "bert.py")
    norm = recorded["bert.embeddings.LayerNorm"]
    assert (norm.function, norm.file, norm.line) == norm.named_in
    assert norm.function == "layer_norm" and norm.caller[0] == "embeddings"


def test_what_a_function_only_hands_on_is_computed_by_the_function_that_it_calls():
    recorded = npbert.trace(small_model("MobileBert"), IDS)
    norm = recorded["mobilebert.embeddings.LayerNorm"]
    assert norm.function == "no_norm" and norm.named_in[0] == "norm"
    assert source_line(norm) == "return x * p.weight + p.bias"


def test_an_argument_is_computed_by_the_caller():
    recorded = npbert.trace(small_model("Bert"), IDS)
    summed = recorded["bert.encoder.layer.0.output.LayerNorm.x"]
    assert (summed.function, summed.file, summed.line) == summed.caller
    assert summed.function == "feed_forward" and summed.named_in[0] == "layer_norm"
    assert source_line(summed).startswith("return layer_norm(x + narrow, ")


def source_line(quantity):
    file = Path(npbert.__file__).parent / quantity.file
    return file.read_text("utf-8").splitlines()[quantity.line - 1].strip()


def test_a_layer_is_what_its_outermost_function_returns():
    recorded = npbert.trace(small_model("MobileBert"), IDS)
    layer = recorded["mobilebert.encoder.layer.1"]
    assert layer.name == "mobilebert.encoder.layer.1.output.bottleneck.LayerNorm"


def test_a_quantity_knows_where_it_comes_from():
    scores = npbert.trace(small_model("Bert"), IDS)[
        "bert.encoder.layer.1.attention.self.attend.scores"
    ]
    assert (scores.function, scores.file) == ("attend", "ops.py")
    assert scores.shape == (2, 4, 4, 4) and scores.dtype == np.float64
    assert "attend, ops.py:" in repr(scores)
    assert source_line(scores).startswith("scores = ")


def test_a_name_that_does_not_exist_suggests_others():
    recorded = npbert.trace(small_model("Bert"), IDS)
    with pytest.raises(KeyError, match=r"layer\.0\.attention\.self\.attend\.scores"):
        recorded["encoder.layer.0.scores"]


# ---- what it leaves as it was --------------------------------------------------------------


@pytest.mark.parametrize(("family", "head"), CLASSES)
def test_the_output_is_that_of_the_call(family, head):
    model = small_model(family, head)
    expected = model(**inputs_for(head), output_hidden_states=True)
    with_numpy = npbert.trace(model, **inputs_for(head), output_hidden_states=True).output
    assert expected.keys() == with_numpy.keys()
    for name in set(expected.keys()) - {"hidden_states"}:
        np.testing.assert_allclose(with_numpy[name], expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", OPTIONS)
def test_values_are_copies(family):
    first = npbert.trace(small_model(family), IDS)
    for quantity in first:
        quantity.value[...] = 0
    second = npbert.trace(small_model(family), IDS)
    assert any(quantity.value.any() for quantity in second)


@pytest.mark.parametrize("name", ["numpy", "auto", None])
def test_the_backend_and_the_trace_function_are_put_back(name, monkeypatch):
    monkeypatch.setattr(backend, "_chosen", name)
    before = sys.gettrace()
    npbert.trace(small_model("Bert"), IDS)
    with pytest.raises(ValueError, match="input_ids"):
        npbert.trace(small_model("Bert"), [[1000]])
    assert backend.chosen_backend() == name
    assert sys.gettrace() is before


def test_parameters_stay_as_they_are():
    model = small_model("ConvBert")
    before = {name: array.copy() for name, array in model.state_dict().items()}

    def overwrite(quantity, array):
        if array.flags.writeable:
            array[...] = 1

    npbert.trace(model, inputs_embeds=np.zeros((1, 3, 16)), visit=overwrite)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("family", OPTIONS)
def test_what_is_read_from_a_file_has_the_same_names(family, tmp_path):
    """Arrays of a file are views of the file, and views of them are views of parameters."""
    model = small_model(family)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path, dtype=np.float64)
    assert npbert.trace(loaded, IDS).names() == npbert.trace(model, IDS).names()


def test_only_models_are_traced():
    with pytest.raises(ValueError, match="trace takes a model, dict given"):
        npbert.trace({}, IDS)


def test_what_gives_only_its_shape_is_no_source():
    attention = npbert.trace(small_model("Bert"), IDS)["bert.encoder.layer.0.attention.self"]
    assert attention.inputs == ("bert.encoder.layer.0.attention.self.attend.context",)


def test_a_first_name_stands_for_its_quantity_whatever_others_are_called_later():
    model = small_model("ConvBert", "ForMultipleChoice", summary_use_proj=True)
    recorded = npbert.trace(model, **inputs_for("ForMultipleChoice"))
    assert all(recorded[quantity.name] is quantity for quantity in recorded)
    assert recorded["summary"].name == "summary" != recorded["sequence_summary.summary"].name


# ---- as a table ----------------------------------------------------------------------------


def test_a_trace_prints_as_a_short_table():
    recorded = npbert.trace(small_model("Bert"), IDS)
    header, *lines = str(recorded).splitlines()
    assert header.split() == ["quantity", "shape", "mean", "largest", "computed", "in"]
    assert len(lines) == 25 and lines[12] == f"... {len(recorded) - 24} more"
    first, last = recorded[0], recorded[-1]
    assert lines[0].startswith(f"{first.name} ") and str([*first.shape]) in lines[0]
    assert lines[-1].endswith(f"{last.function}, {last.file}:{last.line}")
    assert f"{np.abs(last.value).max():.3g}" in lines[-1]
    assert repr(recorded) == f"Trace({len(recorded)} quantities)"


def test_masked_scores_do_not_count_in_the_table():
    recorded = npbert.trace(small_model("Bert", num_hidden_layers=1), IDS, attention_mask=MASK)
    table = {line.split()[0]: line.split() for line in str(recorded).splitlines()}
    bias = recorded["inputs.mask_bias"]
    assert bias.value.min() < -1e300 and table[bias.name][-4:-2] == ["0", "0"]
    bias.value[...] = -np.inf
    [line] = [line for line in str(recorded).splitlines() if line.startswith(bias.name)]
    assert line.split()[-4:-2] == ["-", "-"]


def test_a_short_trace_prints_whole():
    recorded = npbert.trace(small_model("Bert", "Model", num_hidden_layers=0), IDS)
    assert 10 < len(recorded) < 25
    assert len(str(recorded).splitlines()) == len(recorded) + 1 and " more" not in str(recorded)
