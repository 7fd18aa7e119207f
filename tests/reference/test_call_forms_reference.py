"""Hundreds of calls beside transformers' tokenizer: every key, type and accessor of the results."""

import itertools
import random

import numpy as np
import pytest
from compared_calls import VOCABULARY, assert_same, drawn_options, outcome, typed
from hypothesis import given, settings
from hypothesis import strategies as st

from npbert.tokenizer.bert_tokenizer import BertTokenizer

REASON = "compares with transformers (extra `reference`)"
transformers = pytest.importorskip("transformers", reason=REASON)

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore:Deprecated in 0.9.4"),  # `words`, which ours has as well
]

LONG = "the unaffable man, [MASK] the cats\tsat! Été  中中 zzz"
MIDDLE, SHORT = "the cats sat.", "man"

TEXTS = [
    (LONG,), (MIDDLE,), (SHORT,), ("",), (LONG, MIDDLE), (SHORT, LONG), (MIDDLE, MIDDLE),
    (LONG, ""), ("", SHORT), ([LONG, SHORT],), ((MIDDLE,),), (["", LONG],),
    ([LONG, SHORT], [MIDDLE, LONG]),
    ([(LONG, MIDDLE), (SHORT, SHORT)],), ([[SHORT, LONG]],), ([(MIDDLE, LONG), SHORT],),
    ([LONG, MIDDLE], [SHORT, ""]),
]  # fmt: skip
WORDS = [
    (LONG.split(),), (["the", "unaffable man", "", "[MASK]"],), ([],), (["man"], ["the", "cats"]),
    (LONG.split(), MIDDLE.split()), ([LONG.split(), ["man"]],),
    ([["man"], []], [["the"], ["cats"]]),
    ([(["the", "cats"], LONG.split()), (["man"], ["!"])],), (["man"], []),
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers():
    """The two tokenizers, by truncation side and by the length that both take for the model's."""
    return {
        (side, limit): tuple(
            kind(dict(VOCABULARY), truncation_side=side, model_max_length=limit)
            for kind in (BertTokenizer, transformers.BertTokenizer)
        )
        for side in ("right", "left")
        for limit in (None, 9)
    }


@pytest.mark.parametrize("part", range(4))
def test_calls(tokenizers, part):
    """Every text with options drawn from all there are."""
    generator = random.Random(part)
    found = []
    for _ in range(12):
        for arguments, is_split in [(a, False) for a in TEXTS] + [(a, True) for a in WORDS]:
            options = drawn_options(generator) | {"is_split_into_words": is_split}
            both = tokenizers[generator.choice(list(tokenizers))]
            found.append(assert_same(both, arguments, options))
    counts = {kind: found.count(kind) for kind in ("equal", "refused", "nonsense")}
    assert counts["equal"] > 150 and counts["refused"] > 20 and counts["nonsense"] > 10, counts


@pytest.mark.parametrize("side", ["right", "left"])
def test_every_length_and_stride(tokenizers, side):
    """Overflow of texts and pairs, at every length at which anything happens."""
    options = {
        "return_overflowing_tokens": True,
        "return_offsets_mapping": True,
        "truncation": True,
    }
    options |= {"padding": False, "add_special_tokens": True}
    texts = [("the man sat, e",), ("the man sat", "cat , ."), ("man the", "the cat sat !")]
    equal = 0
    for arguments, max_length, stride in itertools.product(texts, range(2, 13), range(5)):
        more = {"max_length": max_length, "stride": stride}
        equal += assert_same(tokenizers[side, None], arguments, options | more) == "equal"
        for strategy in ("only_first", "only_second"):
            assert_same(
                tokenizers[side, None], arguments, options | more | {"truncation": strategy}
            )
    assert equal > 60


def test_drawn_texts(tokenizers):
    words = st.lists(st.sampled_from(["the", "unaffable", "!", "[MASK]", "É中"]), max_size=9)
    texts = words.map(" ".join)
    numbers = st.integers(0, 2**32)

    @settings(max_examples=150)
    @given(texts, st.none() | texts, numbers)
    def check(first, second, seed):
        generator = random.Random(seed)
        options = drawn_options(generator) | {"max_length": generator.randrange(3, 15)}
        assert_same(tokenizers[generator.choice(["right", "left"]), None], (first, second), options)

    check()


def test_names_of_the_model_inputs(tokenizers):
    for names in (["input_ids"], ["input_ids", "attention_mask"], ["input_ids", "token_type_ids"]):
        mine, theirs = (
            kind(dict(VOCABULARY)) for kind in (BertTokenizer, transformers.BertTokenizer)
        )
        mine.model_input_names = theirs.model_input_names = names
        assert sorted(mine(SHORT)) == sorted(names)
        for more in ({}, {"return_attention_mask": True}, {"return_token_type_ids": False}):
            assert outcome(mine, (LONG,), more) == outcome(theirs, (LONG,), more)
            one, two = [t.pad([t(LONG), t(SHORT)]) for t in (mine, theirs)]
            assert dict(one) == dict(two)


def test_names_of_strategies_may_be_members_of_enumerations(tokenizers):
    from transformers.tokenization_utils_base import TruncationStrategy
    from transformers.utils import PaddingStrategy, TensorType

    options = {
        "padding": PaddingStrategy.MAX_LENGTH,
        "truncation": TruncationStrategy.LONGEST_FIRST,
        "return_tensors": TensorType.NUMPY,
        "max_length": 6,
    }
    for arguments in [(LONG,), (SHORT, LONG), ([LONG, SHORT],)]:
        mine, theirs = (outcome(t, arguments, options) for t in tokenizers["left", None])
        assert mine == theirs and not isinstance(mine, str)


# ---- other ways in -------------------------------------------------------------------------


def test_encode_and_tokenize(tokenizers):
    mine, theirs = tokenizers["right", 9]
    for arguments in [(LONG,), (LONG, MIDDLE), ("",), (MIDDLE, "")]:
        for options in (
            {},
            {"add_special_tokens": False},
            {"add_special_tokens": True},
        ):
            assert mine.tokenize(*arguments, **options) == theirs.tokenize(*arguments, **options)
            assert mine.encode(*arguments, **options) == theirs.encode(*arguments, **options)
    for options in ({"truncation": True}, {"max_length": 5, "padding": "max_length"}):
        assert mine.encode(LONG, **options) == theirs.encode(LONG, **options)
        assert mine.encode([LONG, SHORT], **options) == theirs.encode([LONG, SHORT], **options)
    assert typed(mine.encode(LONG, return_tensors="np")) == typed(
        theirs.encode(LONG, return_tensors="np")
    )
    assert mine.max_len_single_sentence == theirs.max_len_single_sentence == 7
    assert mine.max_len_sentences_pair == theirs.max_len_sentences_pair == 6


ROWS = {
    "rows": lambda t: [t(LONG), t(SHORT)],
    "pairs": lambda t: [t(LONG, SHORT), t(SHORT, MIDDLE, return_special_tokens_mask=True)],
    "special": lambda t: [t(x, return_special_tokens_mask=True) for x in (SHORT, LONG)],
    "labels": lambda t: [{**t(LONG), "labels": 1}, {**t(SHORT), "labels": 0}],
    "label rows": lambda t: [{"input_ids": ids, "labels": [1]} for ids in ([5], [5, 6])],
    "ids alone": lambda t: [{"input_ids": [5, 6]}, {"input_ids": []}],
    "a batch": lambda t: t([LONG, SHORT, MIDDLE]),
    "one": lambda t: t(SHORT),
    "one of ids": lambda t: {"input_ids": [5, 6, 7]},
    "arrays": lambda t: [{"input_ids": np.array([5, 6])}, {"input_ids": np.array([5])}],
    "an array": lambda t: {"input_ids": np.array([[5, 6], [7, 8]])},
    "empty": lambda t: {"input_ids": []},
    "no rows": lambda t: [],
    "no ids": lambda t: {"labels": [1]},
    "text": lambda t: {"input_ids": ["a", "b"]},
    "unlike": lambda t: {"input_ids": [[5], [6]], "labels": [1]},
    "offsets": lambda t: [t(text, return_offsets_mapping=True) for text in (LONG, SHORT)],
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_pad(tokenizers, name):
    paddings = [True, False, "longest", "max_length", "do_not_pad"]
    both = tokenizers["right", 9]
    for padding, max_length, multiple, side, tensors, mask in itertools.product(
        paddings, [None, 2, 20], [None, 8], [None, "left"], [None, "np"], [None, True, False]
    ):
        options = {
            "padding": padding,
            "max_length": max_length,
            "pad_to_multiple_of": multiple,
            "padding_side": side,
            "return_tensors": tensors,
            "return_attention_mask": mask,
        }
        mine, theirs = [
            outcome(t.pad, (ROWS[name](t),), options, view=lambda got: got) for t in both
        ]
        if isinstance(theirs, str) or any(
            isinstance(v, np.ndarray) and v.dtype == object for v in theirs.values()
        ):
            assert mine == "ValueError", (options, theirs)
        else:
            assert not isinstance(mine, str), (options, theirs)
            assert {k: typed(v) for k, v in mine.items()} == {
                k: typed(v) for k, v in theirs.items()
            }, options


def test_pad_leaves_what_it_is_given(tokenizers):
    mine, _ = tokenizers["right", 9]
    given_rows = {"input_ids": [5, 6]}
    mine.pad(given_rows, padding="max_length")
    assert given_rows == {"input_ids": [5, 6]}  # the reference writes into it


def test_a_collator_pads_with_it(tokenizers):
    """transformers' own DataCollatorWithPadding takes this tokenizer for one of its own."""
    results = []
    for tokenizer in tokenizers["right", None]:
        collate = transformers.DataCollatorWithPadding(tokenizer, return_tensors="np")
        rows = [{**tokenizer(text), "label": n} for n, text in enumerate([LONG, SHORT])]
        results.append({name: typed(value) for name, value in collate(rows).items()})
    assert results[0] == results[1]


def test_subscripts_and_tensors(tokenizers):
    mine, theirs = (t([LONG, SHORT], padding=True) for t in tokenizers["right", None])
    assert [row.ids for row in mine[:1]] == [row.ids for row in theirs[:1]]
    assert mine[-1].ids == theirs[-1].ids and mine["input_ids"] == theirs["input_ids"]
    assert list(mine.keys()) == list(theirs.keys())
    assert list(mine.values()) == list(theirs.values())
    for batch in (mine, theirs):
        with pytest.raises(KeyError):
            batch["labels"]
        with pytest.raises(IndexError):
            batch[2]
        with pytest.raises(AttributeError):
            _ = batch.labels
    for prepend in (False, True):
        one, two = (
            t(SHORT).convert_to_tensors("np", prepend_batch_axis=prepend)
            for t in tokenizers["right", None]
        )
        assert {k: typed(v) for k, v in one.items()} == {k: typed(v) for k, v in two.items()}
    one, two = (
        t.pad([{"input_ids": [5, 6]}, {"input_ids": [5]}]) for t in tokenizers["right", None]
    )
    assert one.encodings is two.encodings is None and one.is_fast is two.is_fast is False
    assert one[:1] == two[:1] and one.n_sequences is two.n_sequences is None
    for batch in (one, two):
        with pytest.raises(KeyError):
            batch[0]
        with pytest.raises(ValueError):
            batch.tokens()
