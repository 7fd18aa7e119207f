"""npbert/model/inputs.py: what a model can be called with, and what it says of a wrong call."""

import re

import numpy as np
import pytest
from small_models import HEADS, each_family, small_model

from npbert.model import heads

FLOAT32 = dict(dtype=np.float32, max_position_embeddings=6, initializer_range=0.02)
IDS = [[2, 3, 4], [5, 6, 0]]
MASK = [[1, 1, 1], [1, 1, 0]]
IGNORED = ", or -100 where it does not count"


@pytest.fixture(scope="module", params=HEADS)
def model(request):
    return small_model(request.param, "ForMaskedLM", **FLOAT32)


@pytest.fixture(scope="module")
def width(model):
    return getattr(model.config, "embedding_size", model.config.hidden_size)


def assert_refused(model, message, **call):
    with pytest.raises(ValueError) as error:
        model(**call)
    assert type(error.value) is ValueError and str(error.value) == message


# ---- wrong calls ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids, message",
    [
        ([[2, 3, -1], [-2, 3, 4]], "input_ids[0, 2] is -1, expected 0 to 19 (vocab_size is 20)"),
        ([[2, 3], [20, 99]], "input_ids[1, 0] is 20, expected 0 to 19 (vocab_size is 20)"),
        (
            np.array([[19, 255]], np.uint8),
            "input_ids[0, 1] is 255, expected 0 to 19 (vocab_size is 20)",
        ),
        (
            np.array([[1, 2**64 - 1]], np.uint64),
            "input_ids[0, 1] is 18446744073709551615, expected 0 to 19 (vocab_size is 20)",
        ),
        ([[1.0, 2.0]], "input_ids has dtype float64, expected whole numbers"),
        ([[True, False]], "input_ids has dtype bool, expected whole numbers"),
        ([[1, None]], "input_ids has dtype object, expected whole numbers"),
        ([[1, 2**70]], "input_ids has dtype object, expected whole numbers"),
        ("a text", "input_ids has dtype <U6, expected whole numbers"),
        ([[1, 2], [3]], "input_ids has rows of unlike lengths; pad them to one length"),
        ([1, 2, 3], "input_ids has shape [3], expected [sentences, tokens]"),
        (7, "input_ids has shape [], expected [sentences, tokens]"),
        ([[[1]]], "input_ids has shape [1, 1, 1], expected [sentences, tokens]"),
        ([], "input_ids has shape [0], expected [sentences, tokens]"),
        ([[]], "the input has 1 sentences of 0 tokens, expected at least one of each"),
        (
            np.zeros((0, 3), int),
            "the input has 0 sentences of 3 tokens, expected at least one of each",
        ),
        ([[1] * 7], "7 tokens are more than the model's 6 positions"),
    ],
)
def test_ids(model, ids, message):
    assert_refused(model, message, input_ids=ids)


def test_ids_or_embeddings(model, width):
    embeds = np.zeros((2, 3, width))
    message = "expected either input_ids or inputs_embeds, {} given"
    assert_refused(model, message.format("neither"))
    assert_refused(model, message.format("both"), input_ids=IDS, inputs_embeds=embeds)


@pytest.mark.parametrize(
    "embeds, message",
    [
        (
            np.zeros((2, 3, 9)),
            "inputs_embeds has shape [2, 3, 9], expected [sentences, tokens, {}]",
        ),
        (np.zeros((3, 8)), "inputs_embeds has shape [3, 8], expected [sentences, tokens, {}]"),
        (1.0, "inputs_embeds has shape [], expected [sentences, tokens, {}]"),
        ([[[1.0], [1.0, 2.0]]], "inputs_embeds has rows of unlike lengths; pad them to one length"),
        ([[["a"]]], "inputs_embeds has dtype <U1, expected numbers"),
        ([[[None]]], "inputs_embeds has dtype object, expected numbers"),
        ([[[1j]]], "inputs_embeds has dtype complex128, expected numbers"),
    ],
)
def test_embeddings(model, width, embeds, message):
    assert_refused(model, message.format(width), inputs_embeds=embeds)


def test_number_of_embeddings(model, width):
    message = "the input has 2 sentences of 0 tokens, expected at least one of each"
    assert_refused(model, message, inputs_embeds=np.zeros((2, 0, width)))
    message = "7 tokens are more than the model's 6 positions"
    assert_refused(model, message, inputs_embeds=np.zeros((1, 7, width)))


@pytest.mark.parametrize(
    "mask, message",
    [
        ([[1, 1, 1]], "has shape [1, 3], expected [2, 3]"),
        ([1, 1, 1], "has shape [3], expected [2, 3]"),
        (1, "has shape [], expected [2, 3]"),
        # the reference fails on three axes, too, unless the mask hides nothing
        (np.ones((2, 3, 3)), "has shape [2, 3, 3], expected [2, 3]"),
        (np.ones((1, 1, 1, 2, 3)), "has shape [1, 1, 1, 2, 3], expected [2, 3]"),
        ([[1, 1, 1], [1]], "has rows of unlike lengths; pad them to one length"),
        ([["1", "1", "1"], ["1", "1", "0"]], "has dtype <U1, expected numbers"),
        ([[1, 1, 1], [1, 1, None]], "has dtype object, expected numbers"),
    ],
)
def test_masks(model, mask, message):
    assert_refused(model, f"attention_mask {message}", input_ids=IDS, attention_mask=mask)


def test_masks_with_four_axes(model):
    heads = model.config.heads  # ConvBERT keeps one of two
    full = f"[2, {heads}, 3, 3]"
    for shape in ([3, 1, 3, 3], [2, 4, 3, 3], [2, 1, 2, 3], [2, 1, 3, 4], [2, 1, 3, 0]):
        message = f"attention_mask has shape {shape}, expected [2, 3], or {full} with any axis 1"
        assert_refused(model, message, input_ids=IDS, attention_mask=np.zeros(shape))
    message = (
        "attention_mask has four axes and is added to the scores, expected numbers (0 where to "
        "look, the smallest float elsewhere), given booleans"
    )
    assert_refused(model, message, input_ids=IDS, attention_mask=np.ones((2, 1, 3, 3), bool))


@pytest.mark.parametrize(
    "types, message",
    [
        ([[0, 1, 0], [0, 0, 2]], "[1, 2] is 2, expected 0 to 1 (type_vocab_size is 2)"),
        ([[0, -1, 0], [0, 0, 2]], "[0, 1] is -1, expected 0 to 1 (type_vocab_size is 2)"),
        ([[0, 0], [0, 0]], " has shape [2, 2], expected [2, 3]"),
        ([[0, 0, 0]], " has shape [1, 3], expected [2, 3]"),
        ([[0.0] * 3] * 2, " has dtype float64, expected whole numbers"),
        ([[0, 0, 0], [0]], " has rows of unlike lengths; pad them to one length"),
    ],
)
def test_token_types(model, types, message):
    assert_refused(model, f"token_type_ids{message}", input_ids=IDS, token_type_ids=types)


@pytest.mark.parametrize(
    "positions, message",
    [
        ([[0, 1, 6]], "[0, 2] is 6, expected 0 to 5 (max_position_embeddings is 6)"),
        ([[0, -1, 9]], "[0, 1] is -1, expected 0 to 5 (max_position_embeddings is 6)"),
        ([0, 1, 2], " has shape [3], expected [2, 3] or [1, 3]"),
        ([[0, 1]], " has shape [1, 2], expected [2, 3] or [1, 3]"),
        ([[0, 1, 2]] * 3, " has shape [3, 3], expected [2, 3] or [1, 3]"),
        ([[0.5, 1, 2]], " has dtype float64, expected whole numbers"),
    ],
)
def test_positions(model, positions, message):
    assert_refused(model, f"position_ids{message}", input_ids=IDS, position_ids=positions)


def test_one_sentence_has_one_shape_of_positions(model):
    message = "position_ids has shape [2], expected [1, 3]"  # not "[1, 3] or [1, 3]"
    assert_refused(model, message, input_ids=[[1, 2, 3]], position_ids=[0, 1])


@pytest.mark.parametrize(
    "labels, message",
    [
        ([[1, 2, 3], [4, 20, 21]], f"[1, 1] is 20, expected 0 to 19 (classes is 20){IGNORED}"),
        ([[1, 2, 3], [4, -1, 5]], f"[1, 1] is -1, expected 0 to 19 (classes is 20){IGNORED}"),
        ([[1, 2, 3], [4, -101, 5]], f"[1, 1] is -101, expected 0 to 19 (classes is 20){IGNORED}"),
        ([1, 2, 3], " has shape [3], expected [2, 3]"),
        ([[1, 2, 3]], " has shape [1, 3], expected [2, 3]"),
        (1, " has shape [], expected [2, 3]"),
        ([[1.0] * 3] * 2, " has dtype float64, expected whole numbers"),
        ([[1, 2, 3], [1]], " has rows of unlike lengths; pad them to one length"),
    ],
)
def test_labels(model, labels, message):
    assert_refused(model, f"labels{message}", input_ids=IDS, labels=labels)


@pytest.mark.parametrize(
    "call",
    [
        {"input_ids": [[2, -1]]},
        {"input_ids": [[2, 1]], "attention_mask": [[1]]},
        {"input_ids": [[2, 1]], "labels": [[2, 99]]},
    ],
)
def test_checks_come_before_any_work(model, monkeypatch, call):
    def encoder(*arguments):
        raise AssertionError("the encoder ran")

    monkeypatch.setattr(type(model), "encoder", encoder)
    with pytest.raises(ValueError):
        model(**call)
    with pytest.raises(AssertionError, match="the encoder ran"):
        model([[2, 1]])


# ---- right calls ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        np.array,
        tuple,
        lambda values: np.array(values, np.uint8),
        lambda values: np.array(values, np.int32),
        lambda values: np.array(values, ">i8"),
        lambda values: np.asfortranarray(values),
        lambda values: [np.array(row) for row in values],
    ],
)
def test_whatever_becomes_an_array_will_do(model, same):
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "labels")
    call = dict(zip(names, (IDS, MASK, [[0, 0, 1], [0, 1, 1]], [[2, 1, 0], [3, 4, 5]], IDS)))
    expected = model(**call)
    got = model(**{name: same(values) for name, values in call.items()})
    np.testing.assert_array_equal(got.logits, expected.logits)
    assert got.loss == expected.loss


@pytest.mark.parametrize("dtype", [bool, np.float32, np.float64, np.uint8])
def test_dtypes_of_masks(model, dtype):
    expected = model(IDS, MASK).logits
    np.testing.assert_array_equal(model(IDS, np.array(MASK, dtype)).logits, expected)
    assert not np.array_equal(model(IDS).logits, expected)


def test_all_that_is_not_zero_counts(model):
    """As in the reference, whose mask turns into booleans: 0.5 and -1 are no padding."""
    np.testing.assert_array_equal(
        model(IDS, [[0.5, -1, 2], [7, 1, 0]]).logits, model(IDS, MASK).logits
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smallest", [-np.inf, np.finfo(np.float64).min, np.finfo(np.float32).min])
def test_a_mask_with_four_axes_is_added(model, dtype, smallest):
    model = type(model)(model.config, dtype=dtype)
    bias = np.where(np.array(MASK)[:, None, None], 0.0, smallest)
    expected = model(IDS, MASK).logits
    for shape in ([2, 1, 1, 3], [2, 1, 3, 3], [2, model.config.heads, 3, 3]):
        got = model(IDS, np.broadcast_to(bias, shape)).logits
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)
    same = model(IDS, np.full((1, 1, 1, 1), 5)).logits  # added to every score alike
    np.testing.assert_allclose(same, model(IDS).logits, atol=1e-6)
    assert not np.allclose(model(IDS, [[[[0, -1, -2]]]]).logits, model(IDS).logits, atol=1e-6)


def test_what_is_left_out(model):
    """No mask: all tokens count. No types: 0. No positions: 0, 1, ... for every sentence."""
    full = model(IDS, np.ones((2, 3)), np.zeros((2, 3), int), [[0, 1, 2]] * 2).logits
    np.testing.assert_array_equal(model(IDS).logits, full)
    np.testing.assert_array_equal(model(IDS, position_ids=[[0, 1, 2]]).logits, full)
    assert not np.allclose(model(IDS, position_ids=[[2, 1, 0]]).logits, full)
    assert not np.allclose(model(IDS, token_type_ids=[[1, 1, 1]] * 2).logits, full)


def test_embeddings_instead_of_ids(model):
    table = next(a for name, a in model.state_dict().items() if "word_embeddings" in name)
    expected = model(IDS, MASK, labels=IDS)
    for embeds in (table[np.array(IDS)], table.astype(float)[IDS], table[np.array(IDS)].tolist()):
        got = model(inputs_embeds=embeds, attention_mask=MASK, labels=IDS)
        np.testing.assert_array_equal(got.logits, expected.logits)
        assert got.loss == expected.loss and got.logits.dtype == np.float32


def test_own_positions_allow_more_tokens_than_there_are_positions(model):
    """It is the positions that must be in the table, not the tokens."""
    assert model([[1] * 7], position_ids=[[0, 1, 2, 3, 4, 5, 5]]).logits.shape == (1, 7, 20)


def test_the_longest_sentence(model):
    assert model([[1] * 6]).logits.shape == (1, 6, 20)


def test_ids_at_both_ends_of_the_vocabulary(model):
    assert np.isfinite(model([[0, 19]], labels=[[19, 0]]).loss)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_stay_as_they_were(model, width, dtype):
    model = type(model)(model.config, dtype=dtype)
    rng = np.random.default_rng(0)
    call = dict(
        inputs_embeds=rng.normal(size=(2, 3, width)).astype(dtype),
        attention_mask=np.array(MASK, dtype),
        token_type_ids=np.array([[0, 0, 1], [0, 1, 1]]),
        position_ids=np.array([[2, 1, 0]]),
        labels=np.array([[-100, 3, 4], [5, 6, -100]]),
    )
    before = {name: array.copy() for name, array in call.items()}
    for array in call.values():
        array.flags.writeable = False  # a write in place would raise
    model(**call)
    for name, array in call.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@each_family
def test_a_body_checks_as_a_head_does(family):
    body = small_model(family)
    with pytest.raises(ValueError, match=re.escape("input_ids[0, 1] is 20, expected 0 to 19")):
        body([[1, 20]])
    assert type(body).__call__ is heads.Encoder.__call__


# ---- the labels of each head ---------------------------------------------------------------


def with_head(head, **options):
    return small_model("Bert", head, **FLOAT32, **options)


def assert_head_refused(head, message, options=(), **call):
    assert_refused(with_head(head, **dict(options)), message, **call)


def test_two_labels_at_the_next_sentence():
    for head, name in (
        ("ForNextSentencePrediction", "labels"),
        ("ForPreTraining", "next_sentence_label"),
    ):
        for labels, message in (
            ([0, 2], f"[1] is 2, expected 0 to 1 (classes is 2){IGNORED}"),
            ([-1, 0], f"[0] is -1, expected 0 to 1 (classes is 2){IGNORED}"),
            ([0.0, 1.0], " has dtype float64, expected whole numbers"),
            ([True, False], " has dtype bool, expected whole numbers"),
            ([0], " has shape [1], expected [2] or [2, 1]"),
            ([[0, 1]], " has shape [1, 2], expected [2] or [2, 1]"),
            (1, " has shape [], expected [2] or [2, 1]"),
            ([[0], [0, 1]], " has rows of unlike lengths; pad them to one length"),
        ):
            assert_head_refused(head, name + message, input_ids=IDS, **{name: labels})


SINGLE = {"num_labels": 3, "problem_type": "single_label_classification"}
MULTI = {"num_labels": 3, "problem_type": "multi_label_classification"}
NUMBERS = {"num_labels": 3, "problem_type": "regression"}


@pytest.mark.parametrize(
    "options, labels, message",
    [
        ({"num_labels": 3}, [0, 3], f"[1] is 3, expected 0 to 2 (classes is 3){IGNORED}"),
        ({"num_labels": 3}, [-2, 0], f"[0] is -2, expected 0 to 2 (classes is 3){IGNORED}"),
        ({"num_labels": 3}, [0], " has shape [1], expected [2] or [2, 1]"),
        ({"num_labels": 3}, [[0, 1, 2]] * 2, " has shape [2, 3], expected [2] or [2, 1]"),
        ({"num_labels": 3}, [0.0, 1.0], " has shape [2], expected [2, 3]"),  # multi label
        ({"num_labels": 3}, [[0.0, 1.0]] * 2, " has shape [2, 2], expected [2, 3]"),
        ({"num_labels": 3}, ["a", "b"], " has dtype <U1, expected numbers"),
        ({"num_labels": 3}, [None, 1], " has dtype object, expected numbers"),
        ({"num_labels": 1}, [[0.0, 1.0]] * 2, " has shape [2, 2], expected [2] or [2, 1]"),
        ({"num_labels": 1}, 0.5, " has shape [], expected [2] or [2, 1]"),
        (SINGLE, [0.0, 1.0], " has dtype float64, expected whole numbers"),
        (SINGLE, [[0.0] * 3] * 2, " has dtype float64, expected whole numbers"),
        (MULTI, [0, 1], " has shape [2], expected [2, 3]"),
        (MULTI, [[0.5] * 3] * 3, " has shape [3, 3], expected [2, 3]"),
        (NUMBERS, [0.5, 1.5], " has shape [2], expected [2, 3]"),
        (NUMBERS, [[0.5], [1, 2]], " has rows of unlike lengths; pad them to one length"),
    ],
)
def test_labels_of_texts(options, labels, message):
    assert_head_refused(
        "ForSequenceClassification", f"labels{message}", options, input_ids=IDS, labels=labels
    )


@pytest.mark.parametrize(
    "labels, message",
    [
        ([[0, 1, 2], [0, 1, 3]], f"[1, 2] is 3, expected 0 to 2 (classes is 3){IGNORED}"),
        ([0, 1], " has shape [2], expected [2, 3]"),
        ([[0.0, 1, 2], [0, 1, 1]], " has dtype float64, expected whole numbers"),
    ],
)
def test_labels_of_tokens(labels, message):
    options = {"num_labels": 3}
    assert_head_refused(
        "ForTokenClassification", f"labels{message}", options, input_ids=IDS, labels=labels
    )


@pytest.mark.parametrize("name", ["start_positions", "end_positions"])
@pytest.mark.parametrize(
    "positions, message",
    [
        ([0.0, 1.0], " has dtype float64, expected whole numbers"),
        ([True, True], " has dtype bool, expected whole numbers"),
        (["0", "1"], " has dtype <U1, expected whole numbers"),
        ([0], " has shape [1], expected [2] or [2, 1]"),
        ([[0, 1]], " has shape [1, 2], expected [2] or [2, 1]"),
        ([[0, 1, 2]] * 2, " has shape [2, 3], expected [2] or [2, 1]"),
        ([[0], [0, 1]], " has rows of unlike lengths; pad them to one length"),
    ],
)
def test_answer_positions(name, positions, message):
    """One that is given alone is checked, too, although no loss comes of it."""
    assert_head_refused("ForQuestionAnswering", name + message, input_ids=IDS, **{name: positions})


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, int])
def test_answer_positions_of_any_integers(dtype):
    model = with_head("ForQuestionAnswering")
    last = 2**64 - 1 if dtype is np.uint64 else 120
    outside, inside = np.array([last, 1], dtype), np.array([3, 1], dtype)
    expected = model(IDS, start_positions=[500, 1], end_positions=[3, 1]).loss
    assert np.isfinite(expected)
    got = model(IDS, start_positions=outside, end_positions=inside).loss
    assert got == expected and got.dtype == np.float32


@each_family
@pytest.mark.parametrize("labels", [1, 3])
def test_question_answering_needs_two_labels(family, labels):
    """One for the start, one for the end: the reference fails, too, when it is called."""
    message = f"{family}Config: num_labels is {labels}, expected 2 for question answering"
    with pytest.raises(ValueError) as error:
        small_model(family, "ForQuestionAnswering", num_labels=labels)
    assert str(error.value) == message


CHOICES = np.array([[[1, 2, 3], [4, 5, 6]]])  # one question with two choices of three tokens


@pytest.mark.parametrize(
    "call, message",
    [
        (
            {"input_ids": IDS},
            "input_ids has shape [2, 3], expected [questions, choices, tokens]",
        ),
        ({"input_ids": 3}, "input_ids has shape [], expected [questions, choices, tokens]"),
        (
            {"input_ids": [[[1, 2], [3]]]},
            "input_ids has rows of unlike lengths; pad them to one length",
        ),
        (
            {"inputs_embeds": np.zeros((2, 3, 8))},
            "inputs_embeds has shape [2, 3, 8], expected [questions, choices, tokens, width]",
        ),
        (
            {"inputs_embeds": np.zeros((1, 2, 3, 9))},
            "inputs_embeds has shape [2, 3, 9], expected [sentences, tokens, 12]",
        ),
        (
            {"input_ids": CHOICES, "attention_mask": [[1, 1, 1]]},
            "attention_mask has shape [1, 3], expected [questions, choices, tokens]",
        ),
        (
            {"input_ids": CHOICES, "attention_mask": np.zeros((1, 1, 3, 3))},
            "attention_mask has shape [1, 1, 3, 3], expected [questions, choices, tokens]",
        ),
        (
            {"input_ids": CHOICES, "attention_mask": np.ones((2, 1, 3))},
            "questions and choices differ: input_ids [1, 2], attention_mask [2, 1]",
        ),
        (
            {"input_ids": CHOICES, "token_type_ids": np.zeros((1, 3, 3), int)},
            "questions and choices differ: input_ids [1, 2], token_type_ids [1, 3]",
        ),
        (
            {"input_ids": CHOICES, "position_ids": np.zeros((1, 3, 3), int)},
            "questions and choices differ: input_ids [1, 2], position_ids [1, 3]",
        ),
        (
            {"input_ids": CHOICES, "attention_mask": np.ones((1, 2, 4))},
            "attention_mask has shape [2, 4], expected [2, 3]",
        ),
        ({}, "expected either input_ids or inputs_embeds, neither given"),
        (
            {"input_ids": CHOICES, "inputs_embeds": np.zeros((1, 2, 3, 12))},
            "expected either input_ids or inputs_embeds, both given",
        ),
        (
            {"input_ids": np.zeros((1, 0, 3), int)},
            "the input has 0 sentences of 3 tokens, expected at least one of each",
        ),
        (
            {"input_ids": np.zeros((1, 2, 0), int)},
            "the input has 2 sentences of 0 tokens, expected at least one of each",
        ),
        (
            {"input_ids": CHOICES, "labels": [2]},
            f"labels[0] is 2, expected 0 to 1 (classes is 2){IGNORED}",
        ),
        ({"input_ids": CHOICES, "labels": [0, 1]}, "labels has shape [2], expected [1]"),
        ({"input_ids": CHOICES, "labels": [[0]]}, "labels has shape [1, 1], expected [1]"),
        (
            {"input_ids": CHOICES, "labels": [0.0]},
            "labels has dtype float64, expected whole numbers",
        ),
        (
            {"input_ids": CHOICES + 14},
            "input_ids[1, 2] is 20, expected 0 to 19 (vocab_size is 20)",
        ),
    ],
)
def test_choices(call, message):
    assert_head_refused("ForMultipleChoice", message, **call)


def test_positions_may_be_those_of_all_choices():
    model = with_head("ForMultipleChoice")
    positions = np.array([[[2, 1, 0]]])
    expected = model(CHOICES, position_ids=np.broadcast_to(positions, (1, 2, 3))).logits
    np.testing.assert_array_equal(model(CHOICES, position_ids=positions).logits, expected)
    assert not np.array_equal(model(CHOICES).logits, expected)


def test_choices_are_sentences():
    model = with_head("ForMultipleChoice")
    several = np.concatenate([CHOICES, CHOICES[:, ::-1] + 1, CHOICES[:, ::-1] + 2])  # [3, 2, 3]
    scores = model(several).logits
    assert scores.shape == (3, 2)
    for b, n in np.ndindex(3, 2):
        alone = model(several[b : b + 1, n : n + 1]).logits
        np.testing.assert_allclose(alone, scores[b : b + 1, n : n + 1], atol=1e-6)


@pytest.mark.parametrize(
    "head, call",
    [
        ("ForSequenceClassification", {"labels": [5, 0]}),
        ("ForTokenClassification", {"labels": [0]}),
        ("ForNextSentencePrediction", {"labels": [5, 0]}),
        ("ForPreTraining", {"next_sentence_label": [5, 0]}),
        ("ForPreTraining", {"labels": [5, 0]}),
        ("ForQuestionAnswering", {"start_positions": [5.0, 0]}),
        ("ForQuestionAnswering", {"end_positions": [5]}),
        ("ForMultipleChoice", {"labels": [5]}),
    ],
)
def test_labels_are_checked_before_any_work(monkeypatch, head, call):
    def encoder(*arguments):
        raise AssertionError("the encoder ran")

    model = with_head(head)
    monkeypatch.setattr(type(model), "encoder", encoder)
    ids = CHOICES if head == "ForMultipleChoice" else IDS
    with pytest.raises(ValueError):
        model(ids, **call)
    with pytest.raises(AssertionError, match="the encoder ran"):
        model(ids)
