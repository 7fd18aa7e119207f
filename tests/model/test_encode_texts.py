"""encode_texts: texts of any lengths in one batch give what each gives alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npbert
from npbert.compiled import backend
from npbert.compiled.texts import cut, joined, texts_of

SIZES = dict(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=20,
    initializer_range=0.2,
)
OPTIONS = {
    "Bert": {},
    "ConvBert": dict(embedding_size=8, conv_kernel_size=5, num_groups=2),
    "MobileBert": dict(embedding_size=8, intra_bottleneck_size=8),
    "SqueezeBert": dict(embedding_size=16),
}
HEADS = ["Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification",
         "ForQuestionAnswering", "ForPreTraining", "ForNextSentencePrediction"]  # fmt: skip
CASES = [(f, h) for f in OPTIONS for h in HEADS if hasattr(npbert, f + h)]
ROWS = [[2, 5, 3], [2, 7, 8, 9, 3], [2], [2, 6, 3], [2, *range(4, 20), 3], [2, 7, 8, 1, 3]]


def model_of(family, head="Model", dtype=np.float64, **options):
    config = getattr(npbert, f"{family}Config")(**SIZES | OPTIONS[family] | options)
    return getattr(npbert, family + head)(config, dtype=dtype, seed=1)


def assert_alone(model, rows, outputs, tolerance):
    assert len(outputs) == len(rows)
    for row, output in zip(rows, outputs, strict=True):
        alone = model(**{name: [values] for name, values in row.items()})
        assert output.keys() == alone.keys() and type(output) is type(alone)
        for name in alone:
            assert output[name].shape == alone[name].shape
            assert output[name].dtype == model.dtype
            spread = max(1, np.abs(alone[name]).max())
            np.testing.assert_allclose(output[name], alone[name], rtol=0, atol=tolerance * spread)


@pytest.mark.parametrize("chosen", ["numpy", "numba"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-6)])
@pytest.mark.parametrize(("family", "head"), CASES)
def test_each_text_gives_what_it_gives_alone(family, head, dtype, tolerance, chosen):
    if chosen == "numba":
        pytest.importorskip("numba", reason="the twins need numba")
    model = model_of(family, head, dtype)
    rows = [dict(input_ids=ids, token_type_ids=[i % 2] * len(ids)) for i, ids in enumerate(ROWS)]
    with backend.using(chosen):
        assert_alone(model, rows, model.encode_texts(rows, batch_tokens=12), tolerance)


@given(
    rows=st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=20), max_size=12),
    batch_tokens=st.integers(1, 100),
    family=st.sampled_from([*OPTIONS]),
)
def test_any_lengths_in_any_batches(rows, batch_tokens, family):
    model = model_of(family)
    outputs = model.encode_texts(rows, batch_tokens=batch_tokens)
    assert_alone(model, [dict(input_ids=ids) for ids in rows], outputs, 1e-12)


@pytest.mark.parametrize(("family", "head"), CASES)
def test_compiled_layers_give_the_very_same_numbers(family, head):
    pytest.importorskip("numba", reason="the twins need numba")
    model = model_of(family, head, np.float32)
    with backend.using("numba"):
        outputs = model.encode_texts(ROWS * 7)
        for row, output in zip(ROWS * 7, outputs, strict=True):
            alone = model([row])
            for name in alone:
                np.testing.assert_array_equal(output[name], alone[name])


@pytest.mark.parametrize(
    ("head", "calls"),
    [
        ("Model", 2),  # once for all tokens, once for the first of each text
        ("ForMaskedLM", 1),
        ("ForSequenceClassification", 1),
        ("ForQuestionAnswering", 1),
        ("ForMultipleChoice", 4),  # it may look at all of a text: once for each length
    ],
)
def test_a_head_is_called_once_for_all_texts(monkeypatch, head, calls):
    model, shapes = model_of("Bert", head), []
    finish = type(model).finish
    monkeypatch.setattr(
        type(model),
        "finish",
        lambda self, encoded, labels: (
            shapes.append(encoded.last_hidden_state.shape) or finish(self, encoded, labels)
        ),
    )
    model.encode_texts([[2, 5, 3], [2, 7, 8, 9, 3], [2], [2, 6], [2, 7, 3]])
    assert len(shapes) == calls


def test_a_head_that_looks_at_all_of_a_text_says_so():
    class ByMean(npbert.BertForSequenceClassification):
        made_of = {}  # noqa: RUF012

        def head(self, x):
            return x.mean(axis=1)[:, :2]

    model = ByMean(npbert.BertConfig(**SIZES), dtype=np.float64, seed=1)
    rows = [dict(input_ids=ids) for ids in ROWS]
    assert_alone(model, rows, model.encode_texts(rows), 1e-12)


def test_padding_would_change_the_answer():
    """The reason for all of this: with padded rows ConvBERT answers differently."""
    model = model_of("ConvBert")
    padded = model([[2, 5, 3, 0, 0]], attention_mask=[[1, 1, 1, 0, 0]]).last_hidden_state[:, :3]
    [alone, _] = model.encode_texts([[2, 5, 3], [2, 7, 8, 9, 3]])
    assert np.abs(padded - alone.last_hidden_state).max() > 1e-3


def test_an_attention_mask_that_hides_nothing_is_fine():
    model = model_of("Bert")
    [output] = model.encode_texts([dict(input_ids=[2, 5], attention_mask=[1, 1])])
    np.testing.assert_allclose(output.last_hidden_state, model([[2, 5]]).last_hidden_state)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([2, 40], r"row 1: input_ids\[0, 1\] is 40, expected 0 to 39"),
        ([], "row 1: the input has 1 sentences of 0 tokens"),
        ([[2, 5]], r"row 1: input_ids has shape \[1, 2\], expected \[tokens\]"),
        ([0] * 21, "row 1: 21 tokens are more than the model's 20 positions"),
        (dict(input_ids=[2, 5], attention_mask=[1, 0]), "row 1: attention_mask hides tokens"),
        (dict(input_ids=[2], labels=[2]), "row 1: has labels, expected input_ids, "),
        (dict(input_ids=[2], token_type_ids=[2]), r"row 1: token_type_ids\[0, 0\] is 2"),
    ],
)
def test_a_row_that_does_not_fit_is_named_before_any_work(monkeypatch, row, message):
    def encoder(*arguments):
        raise AssertionError("the encoder ran")

    model = model_of("Bert")
    monkeypatch.setattr(type(model), "encoder", encoder)
    with pytest.raises(ValueError, match=message):
        model.encode_texts([[2, 5], row])


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ("abc", {}, "rows is str, expected a list with the ids of each text"),
        (dict(input_ids=[[2, 5]]), {}, "rows is dict, expected a list"),
        (5, {}, "rows is int, expected a list"),
        ([[2, 5]], dict(batch_tokens=0), "batch_tokens is 0, expected an integer of at least 1"),
        ([[2, 5]], dict(batch_tokens="9"), "batch_tokens is '9', expected an integer"),
    ],
)
def test_what_is_no_list_of_rows(rows, options, message):
    with pytest.raises(ValueError, match=message):
        model_of("Bert").encode_texts(rows, **options)


def test_no_rows():
    assert model_of("Bert").encode_texts([]) == []


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=8), axis=st.integers(1, 3))
def test_texts_are_cut_apart_and_joined_again(lengths, axis):
    shape = [1, 2, 3, 4]
    shape[axis] = sum(lengths)
    array = np.random.default_rng(0).standard_normal(shape)
    with texts_of(lengths) as runs:
        parts = [cut(array, axis, run) for run in runs]
    assert sum(run.texts for run in runs) == len(lengths)
    for part, run in zip(parts, runs, strict=True):
        assert part.shape[0] == run.texts and part.shape[axis] == run.length
    # `joined` takes the token axis of a result, whose texts come first.
    np.testing.assert_array_equal(joined(parts, axis), array)
