"""text_classification, next_sentence, multiple_choice, feature_extraction: results and borders.

That the numbers are those of transformers is shown in test_tasks_reference.py.
"""

import numpy as np
import pytest
from alone import assert_as_alone, assert_same_where_compiled
from hypothesis import given
from hypothesis import strategies as st
from task_checkpoints import labelled, make_checkpoint

import npbert
from npbert import feature_extraction, multiple_choice, next_sentence, text_classification
from npbert.ops import softmax
from npbert.tasks.rows import best_first

IDS = [2, 5, 7, 3]  # [CLS] the cat [SEP]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    def make(family, head, **options):
        return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), family, head, **options)

    return make


# ---- text_classification -------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier(make):
    return make("SqueezeBert", "ForSequenceClassification", **labelled("x", "y", "z"))


def logits_of(directory):
    model = npbert.SqueezeBertForSequenceClassification.from_pretrained(directory)
    return model([IDS]).logits[0]


def test_scores_are_shares_of_the_labels(classifier):
    probs = softmax(logits_of(classifier))
    results = text_classification("the cat", classifier, top_k=None)
    assert [row["label"] for row in results] == ["xyz"[k] for k in np.argsort(-probs)]
    assert [row["score"] for row in results] == pytest.approx(sorted(probs)[::-1])
    assert all(type(row["score"]) is float for row in results)


def test_the_shapes_are_those_of_the_pipeline(classifier):
    best = text_classification("the cat", classifier, top_k=3)[0]
    assert text_classification("the cat", classifier) == [best]
    assert text_classification("the cat", classifier, top_k=1) == [best]
    assert text_classification({"text": "the cat"}, classifier) == best
    assert text_classification(["the cat"], classifier) == [best]
    assert text_classification(["the cat"], classifier, top_k=1) == [[best]]


def test_a_pair_may_be_a_dict_or_a_tuple(classifier):
    pair = {"text": "the cat", "text_pair": "is a dog"}
    result = text_classification(pair, classifier)
    assert result == text_classification(("the cat", "is a dog"), classifier)
    assert [result] == text_classification([[["the cat", "is a dog"]]], classifier)
    assert [result] != text_classification("the cat is a dog", classifier)


def test_functions(classifier):
    logits = logits_of(classifier)

    def scores(name):
        rows = text_classification("the cat", classifier, None, name)
        return [row["score"] for row in rows]

    assert scores("none") == pytest.approx(sorted(logits)[::-1])
    assert scores("Sigmoid") == pytest.approx(sorted(1 / (1 + np.exp(-logits)))[::-1])


def test_the_sigmoid_does_not_overflow():
    from npbert.tasks.texts import FUNCTIONS

    with np.errstate(all="raise", under="ignore"):
        shares = FUNCTIONS["sigmoid"](np.array([-1e4, -5, 0, 5, 1e4], np.float32))
    np.testing.assert_allclose(shares, [0, 0.0066928509, 0.5, 0.9933071491, 1], rtol=1e-6)


@pytest.mark.parametrize(
    "options, function",
    [
        (labelled("x", "y"), "softmax"),
        (labelled("x"), "sigmoid"),
        ({"problem_type": "regression", **labelled("x", "y")}, "none"),
        ({"problem_type": "regression", **labelled("x")}, "none"),
        ({"problem_type": "multi_label_classification", **labelled("x", "y")}, "sigmoid"),
        ({"problem_type": "single_label_classification", **labelled("x", "y")}, "softmax"),
    ],
)
def test_the_function_follows_the_problem_type(make, options, function):
    directory = make("Bert", "ForSequenceClassification", **options)
    chosen = text_classification("the cat", directory, None, function)
    assert text_classification("the cat", directory, None) == chosen
    others = {"softmax", "sigmoid", "none"} - {function}
    if function == "none":
        assert text_classification("the cat", directory, None, others.pop()) != chosen


CLASSIFICATION_WRONG = {
    "function": ({"function_to_apply": "tanh"}, "is 'tanh', expected None or one of sigmoid"),
    "top_k": ({"top_k": 0}, "top_k is 0, expected at least 1"),
    "top_k bool": ({"top_k": True}, "top_k is True"),
    "top_k text": ({"top_k": "2"}, "top_k is '2'"),
    "keys": ({"text": {"text": "a", "pair": "b"}}, "keys .*'pair'.*expected text and text_pair"),
    "no text": ({"text": {"text_pair": "b"}}, "expected text and text_pair"),
    "three": ({"text": ("a", "b", "c")}, "the text is tuple, expected str, a pair"),
    "a pair as a list": ({"text": [["a", 3]]}, "the pair of the text is int, expected str"),
    "number": ({"text": ["a", 3]}, "text 2 of 2 is int, expected str, a pair"),
}


@pytest.mark.parametrize(
    "arguments, message", CLASSIFICATION_WRONG.values(), ids=CLASSIFICATION_WRONG.keys()
)
def test_wrong_classification_is_refused(classifier, arguments, message):
    with pytest.raises(ValueError, match=message):
        text_classification(**{"text": "a", "model": classifier} | arguments)


def test_max_length_cuts_shorter(classifier):
    short = text_classification("the cat", classifier)
    assert text_classification("the cat sat", classifier, truncation=True, max_length=4) == short


# ---- next_sentence, multiple_choice --------------------------------------------------------


def test_next_sentence_gives_both_labels(make):
    directory = make("Bert", "ForNextSentencePrediction")
    model = npbert.BertForNextSentencePrediction.from_pretrained(directory)
    ids, types = [2, 5, 7, 3, 5, 8, 3], [0, 0, 0, 0, 1, 1, 1]
    probs = softmax(model([ids], token_type_ids=[types]).logits[0])
    rows = next_sentence("the cat", "the dog", directory)
    expected = {"IsNext": pytest.approx(probs[0]), "NotNext": pytest.approx(probs[1])}
    assert {row["label"]: row["score"] for row in rows} == expected
    assert rows[0]["score"] >= rows[1]["score"]


def test_next_sentence_needs_as_many_second_texts(make):
    directory = make("Bert", "ForNextSentencePrediction")
    for first, second in ((["a"], ["a", "a"]), ("a", ["a"]), (["a"], "a")):
        with pytest.raises(ValueError, match="expected one text each, or lists of one length"):
            next_sentence(first, second, directory)


@pytest.fixture(scope="module")
def chooser(make):
    return make("ConvBert", "ForMultipleChoice")


def test_choices_are_scored_against_each_other(chooser):
    model = npbert.ConvBertForMultipleChoice.from_pretrained(chooser)
    choices = ["the dog", "a mat is new", "the cat"]
    logits = []
    tokenizer = npbert.ConvBertTokenizer.from_pretrained(chooser)
    for choice in choices:
        inputs = tokenizer("the cat", choice)
        logits.append(model(**{k: [[v]] for k, v in inputs.items()}).logits[0, 0])
    probs = softmax(np.array(logits))
    rows = multiple_choice("the cat", choices, chooser)
    assert [row["index"] for row in rows] == np.argsort(-probs).tolist()
    assert [row["choice"] for row in rows] == [choices[row["index"]] for row in rows]
    assert [row["score"] for row in rows] == pytest.approx(sorted(probs)[::-1], rel=1e-5)


def test_how_long_the_other_choices_are_does_not_matter(chooser):
    """In ConvBERT, which sums a text up by its last position, padding would be all it reads."""

    def odds(*choices):
        scores = {r["index"]: r["score"] for r in multiple_choice("the cat", choices, chooser)}
        return scores[0] / scores[1]

    assert odds("the dog", "a mat") == pytest.approx(odds("the dog", "a mat", "cat " * 20))


def test_prompts_may_have_different_numbers_of_choices(chooser):
    prompts, choices = ["the cat", "a dog"], [["a", "sat"], ["on", "the mat", "in"]]
    rows = multiple_choice(prompts, choices, chooser)
    assert [len(row) for row in rows] == [2, 3]
    assert rows[1][0]["choice"] in choices[1]


@pytest.mark.parametrize(
    "prompt, choices, message",
    [
        ("a", ["b"], r"the choices are \['b'\], expected at least two"),
        ("a", "bc", "the choices are 'bc', expected at least two texts"),
        ("a", ["b", " "], "choice 2 of 2 is empty"),
        ("a", ["b", 3], "choice 2 of 2 is int"),
        (["a", "b"], [["c", "d"]], "expected a list of choices for each prompt"),
        (["a", "b"], 3, "expected a list of choices for each prompt"),
    ],
)
def test_wrong_choices_are_refused(chooser, prompt, choices, message):
    with pytest.raises(ValueError, match=message):
        multiple_choice(prompt, choices, chooser)


# ---- feature_extraction --------------------------------------------------------------------


def test_features_and_their_poolings(make):
    directory = make("Bert", "Model")
    states = npbert.BertModel.from_pretrained(directory)([IDS]).last_hidden_state
    for texts in ("the cat", ["the cat", "the cat"]):
        features = feature_extraction(texts, directory)
        for each in [features] if isinstance(texts, str) else features:
            assert_same_where_compiled(each, states)
            assert each.dtype == np.float32
    first = feature_extraction("the cat", directory, pooling="first")
    assert_same_where_compiled(first, states[0, 0])
    mean = feature_extraction(["the cat", "a"], directory, pooling="mean")
    assert mean.shape == (2, 24)
    assert_as_alone(mean[0], states[0].mean(axis=0))


def test_an_unknown_pooling_is_refused(make):
    with pytest.raises(ValueError, match="pooling is 'max', expected one of none, first, mean"):
        feature_extraction("a", make("Bert", "Model"), pooling="max")


# ---- what they share -----------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(1, 25))
def test_of_equal_scores_the_first_comes_first(scores, top_k):
    places = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    assert best_first(np.array(scores, float), top_k) == places[:top_k]
    assert best_first(np.array(scores, float), None) == places
