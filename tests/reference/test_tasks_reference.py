"""The tasks against the pipelines of transformers, on small checkpoints of all families.

Question answering, which has no pipeline any more, is in test_question_answering.py.
"""

import functools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.reference
transformers = pytest.importorskip("transformers", reason="needs transformers and torch")
torch = pytest.importorskip("torch", reason="needs torch")

from task_checkpoints import ENTITIES, FAMILIES, labelled, make_checkpoint  # noqa: E402

import npbert  # noqa: E402
from npbert.checkpoints.shipped import checkpoint_directory  # noqa: E402

HEADS = {
    "fill-mask": ("ForMaskedLM", {}),
    "text-classification": ("ForSequenceClassification", labelled("x", "y", "z")),
    "token-classification": ("ForTokenClassification", labelled(*ENTITIES)),
    "feature-extraction": ("Model", {}),
}
LONGEST = 24  # tokens, by the tokenizer; the models take 40
TEXTS = [
    "The cat sat on the mat.",
    "a",
    "Naïve cafe\u0301s, UN-lightable; NEW york's!",
    "東京 is new\u00a0london \u200b(not \ufb01re)",
    "un\u00adlight [SEP] the [UNK] [CLS] river ☃ ½",
    "dog\tdog\n\n dogdog ##ing don't",
    "the mat in the garden. " * 7 + "light",
]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """Return a function that makes a checkpoint once: (task, family, options) -> directory."""

    made = {}

    def directory(task, family, **options):
        head, own = HEADS[task]
        key = (family, head, str(options))
        if key not in made:
            place = tmp_path_factory.mktemp(f"{family}{head}")
            made[key] = make_checkpoint(place, family, head, LONGEST, **(own | options))
        return made[key]

    return directory


@functools.cache
def pipeline(task, directory):
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers.pipeline(
        task,
        model=str(directory),
        model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"},
    )


def assert_same(ours, theirs):
    """Assert that two results have the same shape and keys, and equal numbers: four digits."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            assert_same(mine, its)
    elif isinstance(theirs, (float, np.floating)):
        assert type(ours) is float
        assert ours == pytest.approx(theirs, rel=2e-5, abs=2e-6)
    else:
        assert ours == theirs


# ---- fill_mask -----------------------------------------------------------------------------

FILLED = {
    "one mask": (["The sky is [MASK]."], {}),
    "a text": ("Plants create [MASK] through a process known as photosynthesis.", {"top_k": 20}),
    "two masks": ("The [MASK] of the [MASK] is red.", {"top_k": 3}),
    "several texts": (["The sky is [MASK].", "[MASK]", "[MASK] and [MASK]"], {"top_k": 2}),
    "targets": ("The sky is [MASK].", {"targets": ["blue", "dark", "cold"]}),
    "one target": ("The sky is [MASK].", {"targets": "blue", "top_k": 3}),
    "accents, unknown characters": ("Zürich — 東京 — is a [MASK] city.", {}),
    "glued": ("re[MASK]ing", {}),
}


@pytest.mark.parametrize("text, options", FILLED.values(), ids=FILLED.keys())
def test_fill_mask_on_the_shipped_checkpoint(text, options):
    theirs = pipeline("fill-mask", checkpoint_directory("convbert-tiny"))(text, **options)
    assert_same(npbert.fill_mask(text, **options), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_fill_mask(directories, family):
    directory = directories("fill-mask", family)
    reference = pipeline("fill-mask", directory)
    for text, options in [
        ("the [MASK] sat", {"top_k": 115}),
        ("[MASK] cat, [MASK] [PAD] dog [SEP]", {"top_k": 8}),  # [PAD] as text, and as candidate
        (["a [MASK]", "[MASK] (light) [MASK]"], {"targets": ["##ing", "[PAD]", "cat", "cat"]}),
    ]:
        assert_same(npbert.fill_mask(text, directory, **options), reference(text, **options))
    cut = "[MASK] " + "a cat " * 15
    theirs = reference(cut, tokenizer_kwargs={"truncation": True})
    assert_same(npbert.fill_mask(cut, directory, truncation=True), theirs)


TARGETS = ["Cat", "cat", "É", "cafe\u0301", "unlightable", "new york", "東京", "☃", "the, cat", "",
           " ", "[MASK]", "[mask]", "##ing", "##zing", "\u200b", "a\tdog", "UNK"]  # fmt: skip


@settings(max_examples=30)
@given(targets=st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4))
def test_targets_that_are_no_pieces(directories, targets):
    directory = directories("fill-mask", "Bert")
    reference = pipeline("fill-mask", directory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = reference("the [MASK] sat", targets=targets)
        except ValueError:
            with pytest.raises(ValueError, match="at least one"):
                npbert.fill_mask("the [MASK] sat", directory, targets=targets)
            return
        ours = npbert.fill_mask("the [MASK] sat", directory, targets=targets)
    assert_same(ours, theirs)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", ["", "the cat"], ["the cat", " "]])
def test_empty_texts(directories, text):
    for family in FAMILIES:
        for task, function in (
            ("text-classification", npbert.text_classification),
            ("token-classification", npbert.token_classification),
        ):
            directory = directories(task, family)
            assert_same(function(text, directory), pipeline(task, directory)(text))
        directory = directories("feature-extraction", family)
        theirs = [pipeline("feature-extraction", directory)(text)]
        ours = [npbert.feature_extraction(text, directory)]
        if isinstance(text, list):
            [ours], [theirs] = ours, theirs
        for mine, its in zip(ours, theirs, strict=True):
            assert_same_arrays(mine, its)


@pytest.mark.parametrize("pair", [("", "a"), ("a", ""), ("", "")])
def test_empty_texts_of_a_pair(directories, pair):
    directory = directories("text-classification", "Bert")
    text = dict(zip(("text", "text_pair"), pair))
    theirs = pipeline("text-classification", directory)(text)
    assert_same(npbert.text_classification(text, directory), theirs)


@pytest.mark.parametrize("words", [["the", ""], [""], [["the"], []], [["the"], [""]]])
def test_empty_words(directories, words):
    directory = directories("token-classification", "Bert")
    options = {"is_split_into_words": True, "ignore_labels": []}
    theirs = pipeline("token-classification", directory)(words, **options)
    assert_same(npbert.token_classification(words, directory, **options), theirs)


@pytest.mark.parametrize("family", ["Bert", "MobileBert"])
def test_fill_mask_of_a_checkpoint_with_both_heads(tmp_path, family, recwarn):
    directory = make_checkpoint(tmp_path, family, "ForPreTraining")
    text = "the [MASK] sat on [MASK]"
    assert_same(npbert.fill_mask(text, directory), pipeline("fill-mask", directory)(text))


# ---- text_classification -------------------------------------------------------------------

PROBLEMS = {
    "three labels": {},
    "one label": labelled("only"),
    "two labels": labelled("no", "yes"),
    "several labels at once": {"problem_type": "multi_label_classification"},
    "a number": {"problem_type": "regression", **labelled("number")},
    "numbers": {"problem_type": "regression"},
}


CLASSIFIED = {
    "a text": ("the cat", {}),
    "top_k of a text": ("the cat", {"top_k": 2}),
    "top_k 1 of a text": ("the cat", {"top_k": 1}),
    "all labels of a text": ("the cat", {"top_k": None}),
    "texts": (TEXTS[:6], {}),
    "all labels of texts": (TEXTS[:6], {"top_k": None}),
    "a list of one": (["the cat"], {}),
    "a list of one, top_k": (["the cat"], {"top_k": 1}),
    "a pair": ({"text": "the cat", "text_pair": "is not a dog"}, {}),
    "a pair, top_k": ({"text": "the cat", "text_pair": "is not a dog"}, {"top_k": 9}),
    "a dict without a pair": ({"text": "the cat"}, {}),
    "pairs": ([{"text": "the cat", "text_pair": t} for t in TEXTS[:3]], {}),
    "pairs, top_k": ([{"text": "the cat", "text_pair": t} for t in TEXTS[:3]], {"top_k": 2}),
    "a pair in lists": ([[["the cat", "is a dog"]]], {}),
    "a text and a pair": (["the cat", {"text": "the cat", "text_pair": "is"}], {}),
    "sigmoid": ("the cat", {"function_to_apply": "sigmoid", "top_k": None}),
    "softmax": ("the cat", {"function_to_apply": "softmax", "top_k": None}),
    "none": ("the cat", {"function_to_apply": "none", "top_k": None}),
    "NONE": ("the cat", {"function_to_apply": "NONE"}),
    "truncation": (TEXTS[6], {"truncation": True}),
    "truncation, max_length": (TEXTS, {"truncation": True, "max_length": 7}),
    "truncation of the second": (
        {"text": "the cat", "text_pair": TEXTS[6]},
        {"truncation": "only_second", "top_k": None},
    ),
}


@pytest.mark.parametrize("text, options", CLASSIFIED.values(), ids=CLASSIFIED.keys())
def test_text_classification(directories, text, options):
    for family in FAMILIES:
        directory = directories("text-classification", family)
        theirs = pipeline("text-classification", directory)(text, **options)
        assert_same(npbert.text_classification(text, directory, **options), theirs)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_scores_follow_the_problem_type(directories, problem):
    directory = directories("text-classification", "SqueezeBert", **problem)
    reference = pipeline("text-classification", directory)
    for options in ({}, {"top_k": None}):
        theirs = reference(TEXTS[:3], **options)
        assert_same(npbert.text_classification(TEXTS[:3], directory, **options), theirs)


# ---- token_classification ------------------------------------------------------------------

STRATEGIES = ("none", "simple", "first", "average", "max")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_token_classification(directories, family, strategy):
    directory = directories("token-classification", family)
    options = {"aggregation_strategy": strategy}
    reference = pipeline("token-classification", directory)
    for text in (TEXTS, TEXTS[2], [TEXTS[4]]):  # "O" is left out
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the last of the texts is cut
            ours = npbert.token_classification(text, directory, **options)
        assert_same(ours, reference(text, **options))
    every = {**options, "ignore_labels": []}
    assert_same(
        npbert.token_classification(TEXTS[2], directory, **every), reference(TEXTS[2], **every)
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize("stride", [0, 9])
def test_token_classification_in_windows(directories, family, strategy, stride):
    directory = directories("token-classification", family)
    options = {"aggregation_strategy": strategy, "stride": stride, "ignore_labels": ["B-PER"]}
    texts = [TEXTS[0], TEXTS[6], "unlightable, nawoting. " * 3]
    theirs = pipeline("token-classification", directory)(texts, **options)
    assert_same(npbert.token_classification(texts, directory, **options), theirs)


def test_token_classification_of_words(directories):
    directory = directories("token-classification", "ConvBert")
    reference = pipeline("token-classification", directory)
    words = ["The", "cat's", "new york", "naïve", "unlight"]
    for text in (words, [words, ["a", "dog"]]):
        for options in ({}, {"delimiter": "--", "aggregation_strategy": "first"}):
            options = {"is_split_into_words": True, "ignore_labels": [], **options}
            ours = npbert.token_classification(text, directory, **options)
            assert_same(ours, reference(text, **options))


PIECES = "The cat UNlightable new-york, é e\u0301 \u00ad ☃ 東京 ?! [MASK] İ ﬁ x9z".split()


@settings(max_examples=40)
@given(
    parts=st.lists(st.sampled_from([*PIECES, " ", "  ", " "]), max_size=9),
    strategy=st.sampled_from(STRATEGIES),
)
def test_token_classification_of_any_text(directories, parts, strategy):
    text = "the " + "".join(parts)
    directory = directories("token-classification", "Bert")
    options = {"aggregation_strategy": strategy, "ignore_labels": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = npbert.token_classification(text, directory, **options)
    assert_same(ours, pipeline("token-classification", directory)(text, **options))


# ---- feature_extraction --------------------------------------------------------------------


def assert_same_arrays(ours, theirs):
    theirs = np.array(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_feature_extraction(directories, family):
    directory = directories("feature-extraction", family)
    reference = pipeline("feature-extraction", directory)
    assert_same_arrays(npbert.feature_extraction(TEXTS[2], directory), reference(TEXTS[2]))
    for texts in ([TEXTS[2]], TEXTS[:6]):
        ours, theirs = npbert.feature_extraction(texts, directory), reference(texts)
        assert isinstance(ours, list) and len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            assert_same_arrays(mine, its)
    cut = npbert.feature_extraction(TEXTS[6], directory, truncation=True)
    assert_same_arrays(cut, reference(TEXTS[6], truncation=True))


def test_features_of_a_checkpoint_with_a_head_are_those_of_its_body(directories):
    directory = directories("text-classification", "MobileBert")
    theirs = pipeline("feature-extraction", directory)("the cat")
    assert_same_arrays(npbert.feature_extraction("the cat", directory), theirs)


# ---- next_sentence and multiple_choice: no pipelines, so the models themselves -------------


@pytest.mark.parametrize("family", ["Bert", "MobileBert"])
@pytest.mark.parametrize("head", ["ForNextSentencePrediction", "ForPreTraining"])
def test_next_sentence(tmp_path, family, head):
    directory = make_checkpoint(tmp_path, family, head)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = getattr(transformers, family + head).from_pretrained(directory).eval()
    for first, second in [("the cat", "sat on the mat"), (TEXTS[2], "light")]:
        with torch.no_grad():
            output = model(**tokenizer(first, second, return_tensors="pt"))
        logits = output["logits" if "Next" in head else "seq_relationship_logits"]
        probs = logits.softmax(-1)[0].tolist()
        ours = npbert.next_sentence(first, second, directory)
        assert {row["label"]: row["score"] for row in ours} == {
            "IsNext": pytest.approx(probs[0], rel=2e-5),
            "NotNext": pytest.approx(probs[1], rel=2e-5),
        }
        assert ours[0]["score"] >= ours[1]["score"]


@pytest.mark.parametrize("family", FAMILIES)
def test_multiple_choice(tmp_path, family):
    directory = make_checkpoint(tmp_path, family, "ForMultipleChoice")
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = getattr(transformers, f"{family}ForMultipleChoice").from_pretrained(directory).eval()
    choices = ["a dog is not new.", "light", "sat on the mat"]
    logits = []
    for choice in choices:
        inputs = tokenizer("the cat", choice, return_tensors="pt")
        with torch.no_grad():
            logits.append(model(**{k: v[:, None] for k, v in inputs.items()}).logits[0, 0])
    probs = torch.stack(logits).softmax(0).tolist()
    ours = npbert.multiple_choice("the cat", choices, directory)
    assert [row["choice"] for row in ours] == [choices[i] for i in np.argsort(probs)[::-1]]
    for row in ours:
        assert row["score"] == pytest.approx(probs[row["index"]], rel=2e-5)
