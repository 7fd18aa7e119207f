"""token_classification and restore: grouping, windows and borders.

That the numbers are those of transformers is shown in test_tasks_reference.py.
"""

from itertools import pairwise

import numpy as np
import pytest
from task_checkpoints import ENTITIES, VOCABULARY, labelled, make_checkpoint

import npbert
from npbert import restore, token_classification
from npbert.model.outputs import BaseModelOutput
from npbert.ops import softmax
from npbert.tasks.grouping import group
from npbert.tasks.restoration import LABELS, MARKS, apply


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    place = tmp_path_factory.mktemp("tagger")
    return make_checkpoint(place, "ConvBert", "ForTokenClassification", **labelled(*ENTITIES))


def test_every_token_has_its_label_and_place(tagger):
    text = "the cat sat"
    model = npbert.ConvBertForTokenClassification.from_pretrained(tagger)
    ids = [2, *(VOCABULARY.index(word) for word in text.split()), 3]
    probs = softmax(model([ids]).logits[0])
    entities = token_classification(text, tagger, ignore_labels=[])
    assert [entity["index"] for entity in entities] == [1, 2, 3]
    for entity, shares in zip(entities, probs[1:]):
        assert list(entity) == ["entity", "score", "index", "word", "start", "end"]
        assert entity["entity"] == ENTITIES[shares.argmax()]
        assert entity["score"] == pytest.approx(shares.max())
        assert entity["word"] == text[entity["start"] : entity["end"]]
        assert type(entity["score"]) is float


def test_labels_are_left_out(tagger):
    everything = token_classification("the cat sat on a mat", tagger, ignore_labels=[])
    name = everything[0]["entity"]
    rest = token_classification("the cat sat on a mat", tagger, ignore_labels=[name])
    assert rest == [entity for entity in everything if entity["entity"] != name]


NAMES = dict(enumerate(["O", "B-PER", "I-PER", "I-X-Y"]))
# word, label, its probability, whether it continues a word
TOKENS = [
    ("new", 1, 0.5, False),
    ("##ed", 2, 0.9, True),
    ("cat", 2, 0.6, False),
    ("dog", 1, 0.7, False),
    ("the", 0, 0.8, False),
    ("un", 3, 0.6, False),
    ("##able", 0, 0.7, True),
]


def as_tokens(rows):
    tokens, place = [], 0
    for index, (word, label, share, continues) in enumerate(rows, 1):
        scores = np.full(4, (1 - share) / 3)
        scores[label] = share
        text = word.removeprefix("##")
        tokens.append(
            {
                "word": word,
                "scores": scores,
                "start": place,
                "end": place + len(text),
                "index": index,
                "is_subword": continues,
            }
        )
        place += len(text) + 1
    return tokens


GROUPS = {
    # word, group, score
    "simple": [
        ("newed cat", "PER", (0.5 + 0.9 + 0.6) / 3),
        ("dog", "PER", 0.7),
        ("the", "O", 0.8),
        ("un", "X-Y", 0.6),
        ("##able", "O", 0.7),
    ],
    "first": [
        ("newed cat", "PER", (0.5 + 0.6) / 2),
        ("dog", "PER", 0.7),
        ("the", "O", 0.8),
        ("unable", "X-Y", 0.6),
    ],
    "max": [
        ("newed cat", "PER", (0.9 + 0.6) / 2),
        ("dog", "PER", 0.7),
        ("the unable", "O", (0.8 + 0.7) / 2),
    ],
    "average": [
        ("newed cat", "PER", ((0.9 + 0.5 / 3) / 2 + 0.6) / 2),
        ("dog", "PER", 0.7),
        ("the unable", "O", (0.8 + (0.7 + 0.4 / 3) / 2) / 2),
    ],
}


@pytest.mark.parametrize("strategy", GROUPS)
def test_neighbours_and_words_are_grouped(tagger, strategy):
    tokenizer = npbert.BertTokenizer.from_pretrained(tagger)
    entities = group(as_tokens(TOKENS), strategy, NAMES, tokenizer)
    assert [(e["word"], e["entity_group"], e["score"]) for e in entities] == [
        (word, name, pytest.approx(score)) for word, name, score in GROUPS[strategy]
    ]
    assert all("index" not in entity for entity in entities)
    assert (entities[0]["start"], entities[0]["end"]) == (0, 10)


def test_a_label_loses_all_before_its_first_hyphen(tagger):
    tokenizer = npbert.BertTokenizer.from_pretrained(tagger)
    [entity] = group(as_tokens([("cat", 0, 0.9, False)]), "simple", {0: "X-Y-Z"}, tokenizer)
    assert entity["entity_group"] == "Y-Z"


def test_a_long_text_is_cut_with_a_warning_unless_there_is_a_stride(tagger):
    text = "the cat sat on a mat. " * 8
    with pytest.warns(UserWarning, match="has 56 word pieces, and 18 at its end are left out"):
        entities = token_classification(text, tagger, "simple", [])
    assert entities[-1]["end"] <= len("the cat sat on a mat. " * 6)
    entities = token_classification(text, tagger, "simple", [], stride=9)
    assert entities[-1]["end"] == len(text.rstrip())
    for before, after in pairwise(entities):
        assert before["end"] <= after["start"]


def test_labels_that_the_model_cannot_give_are_refused(tagger):
    message = "ignore_labels has 'PERSON', 'X', expected labels of the model: O, B-PER, I-PER"
    with pytest.raises(ValueError, match=message):
        token_classification("the cat", tagger, ignore_labels=["O", "PERSON", "MISC", "X"])
    with pytest.raises(ValueError, match="ignore_labels is 'O', expected a list"):
        token_classification("the cat", tagger, ignore_labels="O")
    for strategy in ("none", "simple"):  # as a model calls it, and as a group is called
        for label in ("B-PER", "PER", "X-Y-Z", "Y-Z"):
            token_classification("the cat", tagger, strategy, [label])


def test_windows_of_many_texts_do_not_mix(tagger):
    texts = ["the cat sat on a mat. " * 8, "a dog", "new york is not london, " * 9]
    alone = [token_classification(text, tagger, "first", [], 5) for text in texts]
    together = token_classification(texts, tagger, "first", [], 5)
    for mine, its in zip(together, alone):
        assert [{**e, "score": 0} for e in mine] == [{**e, "score": 0} for e in its]


TOKEN_WRONG = {
    "strategy": ({"aggregation_strategy": "last"}, "is 'last', expected one of none, simple"),
    "stride": ({"stride": 38, "aggregation_strategy": "max"}, "stride is 38, expected 0 to 37"),
    "stride below 0": ({"stride": -1, "aggregation_strategy": "max"}, "stride is -1"),
    "stride alone": ({"stride": 3}, "stride needs an aggregation_strategy"),
    "words": ({"text": "a", "is_split_into_words": True}, "text is 'a', expected a list of words"),
    "no words": ({"text": [], "is_split_into_words": True}, r"text is \[\]"),
    "other words": ({"text": ["a", 3], "is_split_into_words": True}, "expected words"),
}


@pytest.mark.parametrize("arguments, message", TOKEN_WRONG.values(), ids=TOKEN_WRONG.keys())
def test_wrong_token_classification_is_refused(tagger, arguments, message):
    with pytest.raises(ValueError, match=message):
        token_classification(**{"text": "a", "model": tagger} | arguments)


# ---- restore -------------------------------------------------------------------------------


class ByPieceForTokenClassification(npbert.BertForTokenClassification):
    """A model whose label for a piece is the number of the piece, around and around."""

    def encode(self, inputs, *_):
        classes = inputs.input_ids % len(LABELS)
        return BaseModelOutput(np.eye(len(LABELS), dtype=np.float32)[classes])

    def head(self, x):
        return x


class ByPlaceForTokenClassification(npbert.BertForTokenClassification):
    """A model whose label for a piece says how far it is from the middle of the row."""

    made_of = {}  # noqa: RUF012  # it looks at whole rows

    def head(self, x):
        B, T, _ = x.shape
        far = np.abs(np.arange(T) - (T - 1) / 2) > T / 4 + 1
        classes = np.where(far, LABELS.index("UPPER"), 0)
        return np.eye(len(LABELS), dtype=np.float32)[np.tile(classes, (B, 1))]


@pytest.fixture(scope="module")
def mender(tmp_path_factory):
    place = tmp_path_factory.mktemp("mender")
    return make_checkpoint(place, "Bert", "ForTokenClassification", **labelled(*LABELS))


def test_each_word_is_mended_by_the_label_of_its_first_piece(mender):
    words = "the cat unlightable new york's mat".split()
    first_pieces = "the cat un new york mat".split()
    labels = [LABELS[VOCABULARY.index(piece) % len(LABELS)] for piece in first_pieces]
    model = ByPieceForTokenClassification.from_pretrained(mender)
    assert restore(" ".join(words), model) == apply(words, labels)


def test_what_stands_between_words_stays(mender):
    model = ByPieceForTokenClassification.from_pretrained(mender)
    mended = restore("  the  «cat»\n\t— Dog ", model)
    assert [c for c in mended.lower() if c not in MARKS] == list("  the  «cat»\n\t— dog ")
    assert "Dog" in mended


def test_mending_twice_changes_nothing(mender):
    for text in ("the cat sat on a mat", "where: is The «dog» now", "a b c d e f g h i"):
        mended = restore(text, mender)
        assert restore(mended, mender) == mended


def test_a_text_of_any_length_is_read_where_windows_see_most(mender):
    model = ByPlaceForTokenClassification.from_pretrained(mender)  # a row has room for 38 pieces
    words = ["cat"] * 300
    mended = restore(" ".join(words), model).split()
    far = [place for place, word in enumerate(mended) if word == "CAT"]
    assert far  # the ends of the text have no better window
    assert all(place < 12 or place >= 288 for place in far)


def test_windows_do_not_change_what_a_piece_alone_decides(mender):
    model = ByPieceForTokenClassification.from_pretrained(mender)
    words = ["cat", "unlightable", "dog", "river"] * 60
    mended = restore(" ".join(words), model)
    assert mended == " ".join([restore(" ".join(words[:4]), model)] * 60)


def test_texts_in_a_list_are_mended_each(mender):
    texts = ["the cat sat " * 30, "a dog", "the cat sat " * 20]
    assert restore(texts, mender) == [restore(text, mender) for text in texts]


@pytest.mark.parametrize("text", ["—", "?!", "\u200b a", "x" * 300])
def test_a_text_without_words_that_the_model_knows(mender, text):
    assert restore(text, mender).lower().startswith(text[:1])


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_comes_back(mender, text):
    assert restore(text, mender) == text
    assert restore(["the cat", text], mender) == [restore("the cat", mender), text]


def test_a_model_with_other_labels_is_refused(tagger):
    with pytest.raises(ValueError, match="has the label 'O', expected those of npbert"):
        restore("a cat", tagger)
