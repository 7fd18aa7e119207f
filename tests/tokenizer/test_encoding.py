"""Rows, batches, truncation and padding without the reference: by hand, and what is refused."""

import copy
import pickle
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer_data import ABLE, AFF, BANG, CLS, LINES, MAN, MASK, PAD, SEP, THE, TINY, UN

from npbert.tokenizer import truncation
from npbert.tokenizer.batch_encoding import BatchEncoding, CharSpan, TokenSpan
from npbert.tokenizer.bert_tokenizer import BertTokenizer
from npbert.tokenizer.caching_pipeline import CachingPipeline, LazyPlaces
from npbert.tokenizer.truncation import lengths_that_fit, windows


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer({token: number for number, token in enumerate(LINES)})


# ---- truncation and overflow ---------------------------------------------------------------


def test_windows():
    assert windows(5, 2, 0, "right") == [(0, 2), (2, 4), (4, 5)]
    assert windows(5, 3, 2, "right") == [(0, 3), (1, 4), (2, 5)]
    assert windows(5, 2, 0, "left") == [(3, 5), (1, 3), (0, 1)]
    assert windows(6, 3, 1, "left") == [(3, 6), (1, 4), (0, 2)]
    assert windows(3, 0, 0, "right") == [(0, 0), (0, 3)]


@given(st.integers(1, 30), st.data(), st.sampled_from(["right", "left"]))
def test_windows_cover_everything_and_overlap_by_the_stride(count, data, side):
    length = data.draw(st.integers(1, count))
    stride = data.draw(st.integers(0, length - 1))
    spans = windows(count, length, stride, side)
    assert {place for start, end in spans for place in range(start, end)} == set(range(count))
    assert all(0 < end - start <= length for start, end in spans)
    for (start, end), (next_start, next_end) in pairwise(spans):
        overlap = (end - next_start) if side == "right" else (next_end - start)
        assert overlap == stride and end - start == length
    if side == "left":
        spans = [(count - end, count - start) for start, end in spans]
    assert spans == windows(count, length, stride, "right")


def test_longest_first():
    assert lengths_that_fit(9, 2, 6) == (4, 2) and lengths_that_fit(2, 9, 6) == (2, 4)
    assert lengths_that_fit(9, 9, 7) == (3, 4)  # the odd piece: to the second
    assert lengths_that_fit(9, 8, 7) == (4, 3)  # or to the longer


def test_overflow_of_a_text(tokenizer):
    got = tokenizer("the unaffable man", max_length=5, stride=1, return_overflowing_tokens=True,
                    return_offsets_mapping=True)  # fmt: skip
    assert got.input_ids == [[CLS, THE, UN, AFF, SEP], [CLS, AFF, ABLE, MAN, SEP]]
    assert got.overflow_to_sample_mapping == [0, 0]
    assert got.offset_mapping[1] == [(0, 0), (6, 9), (9, 13), (14, 17), (0, 0)]
    assert got.word_ids(1) == [None, 1, 1, 2, None] and got.sequence_ids(1) == [None, 0, 0, 0, None]
    assert [row.ids for row in got[0].overflowing] == got.input_ids[1:]
    assert got[1].overflowing == []
    short = tokenizer("the", max_length=5, return_overflowing_tokens=True)
    assert short.input_ids == [[CLS, THE, SEP]] and short.overflow_to_sample_mapping == [0]


def test_overflow_of_a_batch(tokenizer):
    texts = ["the man !", "the", "man man man"]
    got = tokenizer(texts, max_length=4, truncation=True, padding=True, return_tensors="np",
                    return_overflowing_tokens=True)  # fmt: skip
    assert got.overflow_to_sample_mapping.tolist() == [0, 0, 1, 2, 2]
    assert got.input_ids[1].tolist() == [CLS, BANG, SEP, PAD]
    assert got.attention_mask.sum(axis=1).tolist() == [4, 3, 3, 4, 3]


def test_overflow_of_a_pair_combines_all_windows(tokenizer):
    got = tokenizer("the man !", "un man", max_length=6, return_overflowing_tokens=True)
    texts = [tokenizer.decode(row, skip_special_tokens=True) for row in got.input_ids]
    assert texts == ["the man un", "! un", "! man", "the man man"]


def test_overflow_is_found_out_when_asked_for(tokenizer, monkeypatch):
    made = []
    monkeypatch.setattr(truncation, "windows", lambda *how: made.append(how) or [])
    got = tokenizer(["the unaffable man"] * 3, truncation=True, max_length=3)
    assert made == []
    assert got[0].overflowing == [] and len(made) == 1


def test_ids_alone_do_not_compute_places(tokenizer, monkeypatch):
    def never(self, index):
        raise AssertionError("places were computed")

    fresh = BertTokenizer(tokenizer.get_vocab())
    monkeypatch.setattr(LazyPlaces, "__getitem__", never)
    monkeypatch.setattr(CachingPipeline, "ids_and_offsets", never)
    got = fresh(["the man", "the"], ["man", "un"], truncation=True, max_length=4, padding=True,
                return_overflowing_tokens=True, return_special_tokens_mask=True)  # fmt: skip
    assert got.tokens() and got.sequence_ids()
    with pytest.raises(AssertionError, match="places were computed"):
        got.word_ids()


# ---- words, characters and tokens ----------------------------------------------------------


def test_from_characters_to_tokens_and_back(tokenizer):
    got = tokenizer("the unaffable man", "man!")
    assert got.char_to_token(7) == got.char_to_token(0, 7) == 3
    assert got.char_to_token(3) is None  # a space
    assert got.char_to_token(0, 3, sequence_index=1) == 8
    assert got.token_to_chars(4) == CharSpan(start=9, end=13) == (9, 13)
    assert got.token_to_chars(0) is None and got.token_to_sequence(0) is None
    assert got.word_to_tokens(1) == TokenSpan(start=2, end=5)
    assert got.word_to_tokens(0, 1, sequence_index=1) == TokenSpan(8, 9)
    assert got.word_to_tokens(7) is None
    assert got.word_to_chars(1) == CharSpan(4, 13)
    assert got.char_to_word(5) == 1 and got.token_to_word(8) == 1 and got.token_to_sequence(8) == 1
    assert got.n_sequences == 2 and got.is_fast
    left = tokenizer("man", padding="max_length", max_length=6, padding_side="left")
    assert left.char_to_token(0) == 4 and left.token_to_word(0) is None


def test_repr_and_length_of_a_row(tokenizer):
    row = tokenizer("the man")[0]
    assert len(row) == 4 and repr(row).startswith("Encoding(num_tokens=4, attributes=[ids,")
    row.pad(6, "left")
    assert row.ids == [PAD, PAD, CLS, THE, MAN, SEP] and len(row) == 6
    row.pad(3, "left")  # never shorter
    assert len(row) == 6


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda b: b.tokens(2), "batch_index is 2, and there are 2 rows"),
        (lambda b: b.word_ids("0"), "batch_index is '0'"),
        (lambda b: b.char_to_token(-3, 0), "batch_index is -3"),
        (lambda b: b.char_to_token(0, -1), "char_index is -1, expected a number of 0 or more"),
        (lambda b: b.token_to_word(0, 1.5), "token_index is 1.5"),
        (lambda b: b.word_to_tokens(0, -1), "word_index is -1"),
        (lambda b: b.word_to_chars(0, 9), "there is no word 9 in text 0"),
        (lambda b: b.char_to_word(0, 0, 2), "sequence_index is 2, expected 0 or 1"),
        (lambda b: b[0].pad(9, "up"), "direction is 'up'"),
        (lambda b: b.convert_to_tensors("pt"), "tensor_type is 'pt', expected None or \"np\""),
        (lambda b: b.convert_to_tensors("np"), "the rows of input_ids have 3 to 4 tokens"),
        (lambda b: BatchEncoding({"a": [1]}).tokens(), "made from data alone"),
        (lambda b: BatchEncoding({"a": [[1, [2]]]}, tensor_type="np"), "a cannot be an array"),
        (lambda b: BatchEncoding({"a": [None]}, tensor_type="np"), "a cannot be an array"),
    ],
)
def test_questions_that_are_refused(tokenizer, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(tokenizer(["the man", "the"]))


def test_a_batch_is_a_dict_and_a_sequence_of_rows(tokenizer):
    batch = tokenizer(["the", "man"], return_tensors="np")
    assert isinstance(batch["input_ids"], np.ndarray) and "attention_mask" in batch
    assert [row.ids[1] for row in batch[0:2]] == [THE, MAN] and batch[-1].ids[1] == MAN
    assert {**batch}.keys() == batch.keys()
    with pytest.raises(IndexError):
        batch[2]
    with pytest.raises(KeyError, match="has input_ids, token_type_ids, attention_mask and rows"):
        batch[None]
    one = tokenizer("the").convert_to_tensors("np", prepend_batch_axis=True)
    assert one.input_ids.shape == (1, 3)
    data = BatchEncoding({"input_ids": [[1], [2]]})
    assert data[:1] == {"input_ids": [[1]]} and data.encodings is None
    assert BatchEncoding(dict(batch), batch[0]).tokens() == ["[CLS]", "the", "[SEP]"]


def test_copies_of_what_overflows(tokenizer):
    got = tokenizer("the unaffable man", max_length=4, return_overflowing_tokens=True)
    for copied in (pickle.loads(pickle.dumps(got)), copy.deepcopy(got)):
        assert copied.word_ids(1) == got.word_ids(1) and copied[0].overflowing[0].ids == got[1].ids


# ---- pad -----------------------------------------------------------------------------------


def test_pad(tokenizer):
    rows = [tokenizer("the man"), tokenizer("the")]
    got = tokenizer.pad(rows, return_tensors="np")
    assert got.input_ids.tolist() == [[CLS, THE, MAN, SEP], [CLS, THE, SEP, PAD]]
    assert got.attention_mask.tolist() == [[1] * 4, [1, 1, 1, 0]]
    left = tokenizer.pad({"input_ids": [[5], [5, 6]]}, padding_side="left", pad_to_multiple_of=3)
    assert left == {"input_ids": [[0, 0, 5], [0, 5, 6]], "attention_mask": [[0, 0, 1], [0, 1, 1]]}
    one = tokenizer.pad({"input_ids": [5]}, padding="max_length", max_length=3)
    assert one.input_ids == [5, 0, 0] and one.attention_mask == [1, 0, 0]
    labelled = tokenizer.pad([{"input_ids": [5], "label": 1}, {"input_ids": [5, 6], "label": 0}])
    assert labelled.label == [1, 0]
    assert tokenizer.pad({"input_ids": np.array([[5, 6]])}).input_ids.shape == (1, 2)


@pytest.mark.parametrize(
    ("given_rows", "options", "message"),
    [
        (3, {}, "3 cannot be padded, expected an encoding or a list of them"),
        ([[5, 6]], {}, r"\[\[5, 6\]\] cannot be padded"),
        ([], {}, r"no input_ids to pad, only \[\]"),
        ({"labels": [1]}, {}, r"no input_ids to pad, only \['labels'\]"),
        ([{"input_ids": [5]}, {"labels": 1}], {}, r"row 1 has \['labels'\], but row 0 has"),
        ({"input_ids": 5}, {}, "input_ids is 5, expected a list of ids"),
        ({"input_ids": ["a"]}, {}, r"input_ids is \['a'\], expected a list of ids"),
        ({"input_ids": [[5], 6]}, {}, "expected a list of ids or of rows of ids"),
        ({"input_ids": [[5], [6]], "labels": [1]}, {}, "differ in their number of rows"),
        ({"input_ids": [5]}, {"padding": "longer"}, "padding is 'longer'"),
        ({"input_ids": [5]}, {"padding_side": "up"}, "padding_side is 'up'"),
        ({"input_ids": [5]}, {"max_length": -1}, "max_length is -1"),
        ({"input_ids": [5]}, {"return_tensors": "tf"}, "return_tensors is 'tf'"),
        ({"input_ids": [5]}, {"pad_to_multiple_of": 0}, "pad_to_multiple_of is 0"),
    ],
)
def test_what_cannot_be_padded(tokenizer, given_rows, options, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.pad(given_rows, **options)


# ---- calls ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["the"], {"return_tensors": "pt"}, r"other libraries take them \(torch.from_numpy"),
        (["the"], {"max_lenght": 3}, "max_lenght=3 is not supported.*did you mean max_length"),
        (["the"], {"text_target": "a"}, "text_target='a' is not supported"),
        (["the"], {"padding": 1}, "padding is 1, expected True, False or one of"),
        (["the"], {"truncation": 0}, "truncation is 0, expected True"),
        (["the"], {"truncation": []}, r"truncation is \[\], expected True"),
        (["the"], {"stride": -1}, "stride is -1, expected a number of word pieces, 0 or more"),
        (["the"], {"stride": 0.5}, "stride is 0.5"),
        (["the"], {"stride": None}, "stride is None"),
        (["the"], {"max_length": 5, "stride": 4}, "stride is 4, expected less than 3"),
        (["the man un !"], {"max_length": 5, "stride": 3}, "stride is 3, expected less than the 3"),
        (["the man", "man the"], {"max_length": 5, "stride": 1}, "expected less than the 1 word"),
        (["the", 0], {}, "text_pair is 0, expected a string"),
        (["the", ["man"]], {}, r"text_pair is \['man'\], expected a string"),
        ([{"the"}], {}, "text is {'the'}, expected a string"),
        ([[("a", 3)]], {}, r"text 0 is \('a', 3\), expected a string"),
        ([["a", None]], {}, "text 1 is None"),
        ([["a"], {"b"}], {}, "text_pair is {'b'}, expected a list as long as text"),
        ([[["a"], "b"]], {"is_split_into_words": True}, "text 1 is 'b', expected a list of words"),
        ([["a"], "b"], {"is_split_into_words": True}, "text_pair is 'b', expected a list of words"),
    ],
)
def test_calls_that_are_refused(tokenizer, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(*arguments, **options)


def test_other_ways_to_call(tokenizer):
    assert tokenizer.encode_plus("the", "man") == tokenizer("the", "man")
    assert tokenizer.batch_encode_plus(["the", ("man", "the")]) == tokenizer(
        ["the", ("man", "the")]
    )
    assert tokenizer.tokenize("the unaffable") == ["the", "un", "##aff", "##able"]
    assert tokenizer.tokenize("the", "man", add_special_tokens=True)[2:4] == ["[SEP]", "man"]
    assert tokenizer.tokenize(["the", "man!"], is_split_into_words=True) == ["the", "man", "!"]
    with pytest.raises(ValueError, match="text is a list of 2, expected a string"):
        tokenizer.tokenize(["the", "man"])  # the reference drops all texts but the first
    assert tokenizer.encode("the [MASK]", None, False) == [THE, MASK]
    assert tokenizer.encode("the man", None, True, False, True, 3) == [CLS, THE, SEP]
    assert tokenizer("the", split_special_tokens=False).input_ids == [CLS, THE, SEP]
    with pytest.warns(UserWarning, match="max_length does nothing") as caught:
        tokenizer("the man !", padding=True, max_length=3)
    assert caught[0].filename == __file__
    tokenizer("the man !", padding=True, max_length=3, verbose=False)


def test_names_of_the_model_inputs(tokenizer):
    narrow = BertTokenizer(tokenizer.get_vocab())
    narrow.model_input_names = ["input_ids", "attention_mask"]
    assert list(narrow("the")) == ["input_ids", "attention_mask"]
    assert list(narrow("the", return_attention_mask=False, return_token_type_ids=True)) == [
        "input_ids", "token_type_ids"
    ]  # fmt: skip


def test_threads_calling_one_tokenizer(tokenizer):
    texts = [f"the unaffable man {i} été {'un' * (i % 9)} [MASK]!" for i in range(120)]
    options = {"truncation": True, "max_length": 8, "stride": 2, "padding": True,
               "return_overflowing_tokens": True, "return_offsets_mapping": True}  # fmt: skip
    expected = [BertTokenizer(TINY)(texts, **options), BertTokenizer(TINY)(texts[::-1])]
    shared, results = BertTokenizer(TINY), {}

    def work(name):
        got = [shared(texts, **options), shared(texts[::-1])]
        results[name] = got, [got[0].word_ids(i) for i in range(40)]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    words = [expected[0].word_ids(i) for i in range(40)]
    assert len(results) == 6
    assert all(got == expected and found == words for got, found in results.values())
