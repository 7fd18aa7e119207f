"""Calls and explanations of a tokenizer with added tokens, beside transformers'."""

import random

import pytest
from compared_calls import VOCABULARY, assert_same, drawn_options

from npbert.tokenizer.added_tokens import AddedToken
from npbert.tokenizer.bert_tokenizer import BertTokenizer

REASON = "compares with transformers (extra `reference`)"
transformers = pytest.importorskip("transformers", reason=REASON)

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore:Deprecated in 0.9.4"),
]
TEXTS = [
    "the <mine> man [MASK]  <e> NEWtok!", "newtok", "<e><mine>", "renewtoks  <e>", "a [SEP] b", "",
    "THE\t<mine>\tcats", "<E> newtoken",
]  # fmt: skip


@pytest.fixture(scope="module")
def both():
    """Two tokenizers with tokens of every kind."""
    made = []
    for tokenizer, token in (
        (BertTokenizer(dict(VOCABULARY)), AddedToken),
        (transformers.BertTokenizer(dict(VOCABULARY)), transformers.AddedToken),
    ):
        tokenizer.add_tokens([token("NewTok"), token("<mine>", lstrip=True, rstrip=True)])
        tokenizer.add_tokens([token("<e>", special=True, lstrip=True)], special_tokens=True)
        made.append(tokenizer)
    return tuple(made)


@pytest.mark.parametrize("split", [None, True, False])
def test_calls(both, split):
    generator = random.Random(0)
    equal = 0
    for _ in range(150):
        first, second = generator.choices(TEXTS, k=2)
        arguments = generator.choice([(first,), (first, second), ([first, second],)])
        options = drawn_options(generator)
        if split is not None:
            options["split_special_tokens"] = split
        equal += assert_same(both, arguments, options) == "equal"
    assert equal > 50


def test_explanations(both):
    mine, _ = both
    for text in TEXTS:
        got = mine.explain(text, "newtok <mine>")  # which is held to the call
        assert [part.id for part in got["row"].parts] == mine(text, "newtok <mine>").input_ids
    got = mine.explain("the <mine> reNewTok")
    assert [part.text for part in got["find_raw"].parts] == ["the <mine> reNewTok"]
    assert [(p.text, p.is_special) for p in got["find_normalized"].parts] == [
        ("the", False), (" <mine> ", True), ("re", False), ("newtok", True)
    ]  # fmt: skip
