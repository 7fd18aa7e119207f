"""Stages, the caching pipeline and calls, without the reference: results and refusals."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizer_data import (
    ABLE,
    AFF,
    ANY,
    AWKWARD,
    BANG,
    CLS,
    LINES,
    MAN,
    MASK,
    PAD,
    SEP,
    STOP,
    THE,
    TINY,
    UN,
    UNK,
    S,
)

from npbert import AddedToken
from npbert.tokenizer import caching_pipeline, stages
from npbert.tokenizer.bert_tokenizer import (
    BertTokenizer,
    BertTokenizerFast,
    ConvBertTokenizer,
    MobileBertTokenizerFast,
    SqueezeBertTokenizer,
)


@pytest.fixture
def tokenizer():
    return BertTokenizer({token: number for number, token in enumerate(LINES)})


@pytest.fixture(scope="module")
def trained():
    return BertTokenizer(TINY)


def characters(text):
    return [(character, place) for place, character in enumerate(text)]


# ---- the stages ----------------------------------------------------------------------------


def test_special_tokens_are_found_before_all_else(tokenizer):
    assert tokenizer.tokenize("the[MASK]man [mask]") == ["the", "[MASK]", "man", *["[UNK]"] * 3]
    assert tokenizer.tokenize("[CLS][SEP]") == ["[CLS]", "[SEP]"]


def test_of_two_special_tokens_the_longer_one_is_found():
    names = {"unk_token": "<u>", "sep_token": "<s", "pad_token": "<", "cls_token": "<s>"}
    vocabulary = {token: i for i, token in enumerate(["<u>", "<s", "<", "<s>", "<m>"])}
    tokenizer = BertTokenizer(vocabulary, mask_token="<m>", **names)
    assert tokenizer.tokenize("<s><s<<u><") == ["<s>", "<s", "<", "<u>", "<"]


def test_cleaning():
    got = stages.clean(characters("a\x00b\tc\u200bd\ufffde\u3000f\x85g\ue000\u0378"))
    assert stages.text_of(got) == "ab cde fg\u0378"  # unassigned code points stay
    assert [place for _, place in got] == [0, 2, 3, 4, 6, 8, 9, 10, 12, 14]


def test_ideographs_are_spaced_out():
    assert stages.space_out_cjk(characters("a中b")) == [
        ("a", 0), (" ", 1), ("中", 1), (" ", 1), ("b", 2)
    ]  # fmt: skip
    # Hangul and kana are no ideographs; neither, in the reference, are U+2B820 to U+2B91F.
    for text in ("한", "か", "\U0002b820", "\U0002b91f"):
        assert stages.text_of(stages.space_out_cjk(characters(text))) == text
    assert stages.text_of(stages.space_out_cjk(characters("\U0002b81f"))) == " \U0002b81f "


def test_accents_are_decomposed_sorted_and_removed():
    assert stages.strip_accents(characters("é!")) == [("e", 0), ("!", 1)]
    assert stages.text_of(stages.strip_accents(characters("\uac01"))) == "\u1100\u1161\u11a8"
    assert stages.text_of(stages.strip_accents(characters("\uac00"))) == "\u1100\u1161"
    # U+1D16D (class 226) and U+1D165 (class 216) are marks that the reference does not remove: they
    # change places, and their origins stay where they were.
    assert stages.strip_accents(characters("a\U0001d16d\U0001d165b")) == [
        ("a", 0), ("\U0001d165", 1), ("\U0001d16d", 2), ("b", 3)
    ]  # fmt: skip


def test_case_is_lowered_character_by_character():
    assert stages.lower(characters("ΑΣ")) == [("α", 0), ("σ", 1)]  # no final sigma
    assert stages.lower(characters("İx")) == [("i", 0), ("\u0307", 0), ("x", 1)]
    assert stages.text_of(stages.lower(characters("ẞß"))) == "ßß"


def test_words_and_punctuation():
    assert stages.split_white_space(characters("  a bc ")) == [[("a", 2)], [("b", 4), ("c", 5)]]
    words = stages.isolate_punctuation(characters("a.$b|"))  # "$" and "|" count as punctuation
    assert [stages.text_of(word) for word in words] == ["a", ".", "$", "b", "|"]


def test_greedy_longest_match():
    vocabulary = {token: number for number, token in enumerate(LINES)}
    assert stages.wordpiece("unaffable", vocabulary) == [(UN, 0, 2), (AFF, 2, 5), (ABLE, 5, 9)]
    assert stages.wordpiece("unaffablex", vocabulary) is None
    # Greedy: "##s" would fit behind "e", but the longer beginning is taken and leaves nothing.
    assert stages.wordpiece("abc", {"a": 0, "ab": 1, "##bc": 2}) is None
    assert len(stages.wordpiece("e" * 100, vocabulary)) == 100
    assert stages.wordpiece("e" * 101, vocabulary) is None


# ---- the fast path and the definition ------------------------------------------------------

TEXTS = st.lists(AWKWARD | ANY, max_size=30).map("".join)
# Mostly words that are known, with single spaces: such texts have a shorter way.
WORDS = ["the", "Man,", "unaffable", "don't", "naïve", "e\u0301", "中", "\x00a", "\u302e", "Ωmega",
         "[MASK]", "", "xyzzyxyzzy!", "##s", "the\x1fman", "un\x85s"]  # fmt: skip
PLAIN_TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def defined(tokenizer, text):
    """Return ids, offsets and word ids as the stages give them, one after the other."""
    pieces = tokenizer._pipeline(False).pieces(text)
    spans = [(piece.start, piece.end) for piece in pieces]
    return [piece.id for piece in pieces], spans, [piece.word for piece in pieces]


OPTIONS = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_fast_path_equals_definition(options):
    tokenizer = BertTokenizer(TINY, **options)

    @settings(max_examples=300, deadline=None)
    @given(TEXTS | PLAIN_TEXTS)
    @example("e\u0301\u302e\u1baax")
    @example("a\x1cb \x85c\x0bd")
    @example("the\x1cman un\x0bman")
    @example("the man \x00[MASK] the  İ")
    def check(text):
        expected = defined(tokenizer, text)
        got = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert (got.input_ids, got.offset_mapping, got.word_ids()) == expected
        later = tokenizer(text, add_special_tokens=False)  # with offsets that are asked for later
        assert (later.input_ids, later[0].offsets, later.word_ids()) == expected

    check()


def test_memory_is_bounded():
    calls = []
    memory = caching_pipeline.Cache(lambda key: calls.append(key) or (1,))
    for number in range(caching_pipeline.MOST_CACHED + 10):
        assert memory[str(number)] == (1,)
        assert len(memory) <= caching_pipeline.MOST_CACHED
    assert memory[str(caching_pipeline.MOST_CACHED + 9)] == (1,)
    assert len(calls) == caching_pipeline.MOST_CACHED + 10  # the last one was remembered
    assert memory["x" * 65] == (1,) and "x" * 65 not in memory


def test_no_unicodedata_numpy_or_regex_is_imported():
    code = (
        "import sys; from npbert import BertTokenizer; "
        f"t = BertTokenizer({str(TINY)!r}); t('Élève 東京 x', return_offsets_mapping=True); "
        "print([m for m in ('unicodedata', 'numpy', 'regex', 'tokenizers') if m in sys.modules])"
    )
    root = str(TINY.parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert got.stdout.decode().strip() == "[]", got.stderr.decode()


def test_python_splits_where_this_file_believes_it_does():
    white_space = {chr(c) for c in range(0x110000) if chr(c).isspace()}
    ours = {chr(c) for c in range(0x110000) if c in stages.ranges("WHITE_SPACE")}
    assert white_space - ours == set(caching_pipeline.NOT_WHITE_SPACE) and ours <= white_space


def steps(tokenizer, text):
    """Count the lines of Python that tokenizing a text executes: work, but no clock."""
    executed = 0

    def count(frame, event, argument):
        nonlocal executed
        executed += event == "line"
        return count

    sys.settrace(count)
    try:
        tokenizer(text, return_offsets_mapping=True)
    finally:
        sys.settrace(None)
    return executed


@pytest.mark.parametrize(
    "unit", ["a", "中", "!", "e\u0301", "a\u302e\u1baa", "\u302e", "[MASK]", "a "]
)
def test_work_is_proportional_to_length(trained, unit):
    short, long = steps(trained, unit * 400), steps(trained, unit * 3_200)
    assert long <= 8 * short + 1000  # quadratic would be 64 times as much


@pytest.mark.parametrize(
    "unit", ["<new", "<new>", "<", "中<new>", "<r> ", "<l>", "\u0301<new>", " "]
)
@pytest.mark.parametrize("stripping", [False, True])
def test_work_is_proportional_to_length_with_added_tokens(unit, stripping):
    tokenizer = BertTokenizer(TINY)
    tokenizer.add_tokens(["<new>", "<ne", AddedToken("<", normalized=False, single_word=True)])
    if stripping:
        tokenizer.add_tokens([AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True)])
    short, long = steps(tokenizer, unit * 200), steps(tokenizer, unit * 1_600)
    assert long <= 8 * short + 1000


def test_ten_megabytes_in_one_line(trained):
    assert trained("x" * 10_000_000).input_ids == [trained.cls_token_id, 1, trained.sep_token_id]
    got = trained("the man, " * 1_100_000, add_special_tokens=False)
    assert got.input_ids == trained("the man,", add_special_tokens=False).input_ids * 1_100_000
    assert len(trained("\u0301" * 1_000_000).input_ids) == 2


def test_threads_share_a_tokenizer(trained):
    texts = [f"word{i} été 中文 {'x' * (i % 50)} the man" for i in range(300)]
    expected = [BertTokenizer(TINY).encode(text) for text in texts]
    results = {}

    def work(name):
        results[name] = [trained.encode(text) for text in texts]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(got == expected for got in results.values())


# ---- rows ----------------------------------------------------------------------------------


def test_a_text_and_a_pair(tokenizer):
    one = tokenizer("the unaffable man!", return_offsets_mapping=True)
    assert one.input_ids == [CLS, THE, UN, AFF, ABLE, MAN, BANG, SEP] == one["input_ids"]
    assert one.token_type_ids == [0] * 8 and one.attention_mask == [1] * 8
    spans = [(0, 0), (0, 3), (4, 6), (6, 9), (9, 13), (14, 17), (17, 18), (0, 0)]
    assert one.offset_mapping == spans
    assert one.word_ids() == [None, 0, 1, 1, 1, 2, 3, None]
    assert one.tokens()[:4] == ["[CLS]", "the", "un", "##aff"]
    assert list(one) == ["input_ids", "token_type_ids", "attention_mask", "offset_mapping"]

    two = tokenizer("the", "man.", return_special_tokens_mask=True)
    assert two.input_ids == [CLS, THE, SEP, MAN, STOP, SEP]
    assert two.token_type_ids == [0, 0, 0, 1, 1, 1]
    assert two.special_tokens_mask == [1, 0, 1, 0, 0, 1]
    assert two.word_ids() == [None, 0, None, 0, 1, None]
    assert two.sequence_ids() == [None, 0, None, 1, 1, None]
    bare = tokenizer("the", "man", add_special_tokens=False)
    assert bare.input_ids == [THE, MAN] and bare.token_type_ids == [0, 1]


def test_a_mask_in_the_text_is_text(tokenizer):
    got = tokenizer("the [MASK]", return_special_tokens_mask=True)
    assert got.special_tokens_mask == [1, 0, 0, 1] and got.word_ids() == [None, 0, 1, None]


def test_batches(tokenizer):
    batch = tokenizer(["the man", "the"], padding=True, return_tensors="np", return_length=True)
    assert batch.input_ids.dtype == np.int64
    assert batch.input_ids.tolist() == [[CLS, THE, MAN, SEP], [CLS, THE, SEP, PAD]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch[1].tokens == ["[CLS]", "the", "[SEP]", "[PAD]"] == batch.tokens(1)
    assert batch.word_ids(1) == [None, 0, None, None] and batch.length.tolist() == [4, 4]
    assert (
        tokenizer(["the", "man"], ["man", ""]).input_ids
        == tokenizer([("the", "man"), ("man", "")]).input_ids
        == [[CLS, THE, SEP, MAN, SEP], [CLS, MAN, SEP, SEP]]
    )
    assert tokenizer([]).input_ids == []
    assert tokenizer("the", "").input_ids == [CLS, THE, SEP]  # as the reference does
    offsets = tokenizer("the", return_tensors="np", return_offsets_mapping=True).offset_mapping
    assert offsets.shape == (1, 3, 2)


def test_words_instead_of_texts(tokenizer):
    got = tokenizer(
        ["the", "unaffable man", ""], is_split_into_words=True, return_offsets_mapping=True
    )
    assert got.input_ids == [CLS, THE, UN, AFF, ABLE, MAN, SEP]
    assert got.word_ids() == [None, 0, 1, 1, 1, 1, None]
    assert got.offset_mapping[1:-1] == [(0, 3), (0, 2), (2, 5), (5, 9), (10, 13)]
    batch = tokenizer([["the"], ["man"]], [["man"], []], is_split_into_words=True)
    assert batch.input_ids == [[CLS, THE, SEP, MAN, SEP], [CLS, MAN, SEP, SEP]]
    assert tokenizer([], is_split_into_words=True).input_ids == [CLS, SEP]


def test_truncation(tokenizer):
    text, pair = "the man , . !", "man the"
    assert tokenizer(text, truncation=True, max_length=4).input_ids == [CLS, THE, MAN, SEP]
    assert tokenizer(text, max_length=2).input_ids == [CLS, SEP]
    assert len(tokenizer(text, pair, max_length=8, truncation="only_first").input_ids) == 8
    got = tokenizer(text, pair, max_length=8, truncation=True)
    assert got.sequence_ids() == [None, 0, 0, 0, None, 1, 1, None]
    got = tokenizer(text, "! . ,", max_length=8, truncation=True)  # the odd piece: to the longer
    assert got.sequence_ids() == [None, 0, 0, 0, None, 1, 1, None]
    left = BertTokenizer(tokenizer.get_vocab(), truncation_side="left")
    got = left(text, max_length=4, return_offsets_mapping=True)
    assert got.input_ids == [CLS, STOP, BANG, SEP]
    assert got.offset_mapping == [(0, 0), (10, 11), (12, 13), (0, 0)]
    assert got.word_ids() == [None, 3, 4, None]
    limited = BertTokenizer(tokenizer.get_vocab(), model_max_length=3)
    assert limited(text, truncation=True).input_ids == [CLS, THE, SEP]
    assert limited("", padding="max_length").input_ids == [CLS, SEP, PAD]
    assert len(tokenizer(text, truncation=True).input_ids) == 7  # no limit is known


def test_padding(tokenizer):
    assert tokenizer("the", padding="max_length", max_length=5).input_ids == [CLS, THE, SEP, 0, 0]
    got = tokenizer("the", padding=True, pad_to_multiple_of=4, padding_side="left")
    assert got.input_ids == [PAD, CLS, THE, SEP] and got.attention_mask == [0, 1, 1, 1]
    with pytest.warns(UserWarning, match="max_length does nothing"):
        assert len(tokenizer("the man !", padding=True, max_length=3).input_ids) == 5


@given(st.data())
def test_any_truncation_and_padding_fits(data):
    tokenizer = BertTokenizer({token: number for number, token in enumerate(LINES)})
    words = st.lists(st.sampled_from(["the", "unaffable", "!"]), max_size=6).map(" ".join)
    rows = data.draw(st.lists(st.tuples(words, words), min_size=1, max_size=3))
    max_length = data.draw(st.integers(3, 20))
    side = data.draw(st.sampled_from(["left", "right"]))
    options = {"padding_side": side, "return_tensors": "np", "return_offsets_mapping": True}
    got = tokenizer(rows, truncation=True, max_length=max_length, padding="max_length", **options)
    assert all(a.shape[:2] == (len(rows), max_length) for a in got.values())
    for number in range(len(rows)):
        row = got[number]
        assert len(row.word_ids) == len(row.tokens) == len(row.sequence_ids) == max_length
        assert sum(row.attention_mask) == max_length - row.ids.count(PAD)


# ---- ids, tokens and text ------------------------------------------------------------------


def test_conversions(tokenizer):
    assert tokenizer.convert_tokens_to_ids("man") == MAN
    assert tokenizer.convert_tokens_to_ids(["man", "nonsense"]) == [MAN, UNK]
    assert tokenizer.convert_ids_to_tokens(MAN) == "man"
    assert tokenizer.convert_ids_to_tokens(np.int64(MAN)) == "man"
    assert tokenizer.convert_ids_to_tokens([CLS, MAN, 999]) == ["[CLS]", "man", None]
    assert tokenizer.convert_ids_to_tokens([CLS, MAN], skip_special_tokens=True) == ["man"]
    assert tokenizer.encode("the man") == [CLS, THE, MAN, SEP]
    assert tokenizer.get_vocab() == {token: number for number, token in enumerate(LINES)}
    assert tokenizer.vocab_size == len(tokenizer) == len(LINES) and tokenizer
    assert tokenizer.mask_token == "[MASK]" and tokenizer.mask_token_id == MASK
    assert tokenizer.all_special_tokens == ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"]
    assert tokenizer.all_special_ids == [UNK, SEP, PAD, CLS, MASK]
    assert repr(tokenizer).startswith("BertTokenizer(vocab_size=22, do_lower_case=True")


def test_decoding(tokenizer):
    ids = tokenizer.encode("the unaffable man, the man!")
    assert tokenizer.decode(ids) == "[CLS] the unaffable man, the man! [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the unaffable man, the man!"
    assert tokenizer.decode([AFF, S]) == "##affs"  # a leading piece keeps its "##"
    assert tokenizer.decode(MAN) == "man" and tokenizer.decode([]) == ""
    assert tokenizer.decode(np.array([[THE], [MAN]])) == ["the", "man"]
    assert tokenizer.decode([[THE], []]) == ["the", ""]
    assert tokenizer.batch_decode([THE, MAN]) == ["the man"]
    assert tokenizer.decode([30000]) == "" and tokenizer.decode([THE, 30000, MAN]) == "the man"
    don_t = tokenizer.convert_tokens_to_ids(["don", "'", "t"])
    assert tokenizer.decode(don_t) == "don ' t"  # within one token nothing to join
    assert tokenizer.decode(don_t, clean_up_tokenization_spaces=True) == "don't"


def test_rows_by_hand(tokenizer):
    assert tokenizer.build_inputs_with_special_tokens([5], [6]) == [CLS, 5, SEP, 6, SEP]
    assert tokenizer.create_token_type_ids_from_sequences([5], [6]) == [0, 0, 0, 1, 1]
    assert tokenizer.create_token_type_ids_from_sequences([5]) == [0, 0, 0]
    assert tokenizer.get_special_tokens_mask([5], [6]) == [1, 0, 1, 0, 1]
    finished = tokenizer.get_special_tokens_mask([CLS, 5, MASK], already_has_special_tokens=True)
    assert finished == [1, 0, 1]
    assert [tokenizer.num_special_tokens_to_add(pair) for pair in (False, True)] == [2, 3]


def test_one_tokenizer_under_many_names():
    assert BertTokenizer is BertTokenizerFast is MobileBertTokenizerFast is SqueezeBertTokenizer
    assert issubclass(ConvBertTokenizer, BertTokenizer)


def test_copies(trained):
    encoded = trained("Élève [MASK]")
    for copied in (pickle.loads(pickle.dumps(trained)), copy.deepcopy(trained)):
        assert copied.encode("Élève [MASK]") == encoded.input_ids
    assert pickle.loads(pickle.dumps(encoded)).word_ids() == encoded.word_ids()
    assert copy.copy(encoded).input_ids == encoded.input_ids


# ---- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([3], {}, "text is 3, expected a string"),
        ([None], {}, "text is None"),
        ([b"the"], {}, "text is b'the'"),
        ([["the", 3]], {}, "text 1 is 3, expected a string"),
        ([["the"], "man"], {}, "text_pair is 'man', expected a list as long as text, 1"),
        ([["the"], ["man", "man"]], {}, "text_pair is 2, expected a list as long as text, 1"),
        (["the", 3], {}, "text_pair is 3, expected a string"),
        ([[("a", "b", "c")]], {}, "text 0 is"),
        (["the"], {"is_split_into_words": True}, "expected a list of words"),
        ([["the", 3]], {"is_split_into_words": True}, "word 1 of text is 3"),
        (["a\ud800b"], {}, r"lone surrogate U\+D800\) at 1"),
        (["the"], {"padding": "longer"}, "padding is 'longer', expected True, False or one of"),
        (["the"], {"padding": None}, "padding is None"),
        (["the"], {"truncation": "first"}, "truncation is 'first', expected True, False or one of"),
        (["the"], {"max_length": 1}, "max_length is 1, expected at least 2"),
        (["the", "man"], {"max_length": 2}, "max_length is 2, expected at least 3"),
        (["the"], {"max_length": -1}, "max_length is -1"),
        (["the"], {"max_length": 2.5}, "max_length is 2.5"),
        (["the man", "the"], {"max_length": 4, "truncation": "only_second"}, "use another"),
        (["the man"], {"max_length": 3, "truncation": "only_second"}, "no second text"),
        (["the"], {"return_tensors": "pt"}, "return_tensors is 'pt', expected None or \"np\""),
        ([["the", "the man"]], {"return_tensors": "np"}, "3 to 4 tokens.*padding=True"),
        (["the"], {"padding_side": "up"}, "padding_side is 'up'"),
        (["the"], {"padding": True, "pad_to_multiple_of": 0}, "pad_to_multiple_of is 0"),
        (["the"], {"padding": True, "truncation": True, "max_length": 5, "pad_to_multiple_of": 4},
         "exclude each other"),
    ],
)  # fmt: skip
def test_calls_that_are_refused(tokenizer, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(*arguments, **options)


@pytest.mark.parametrize(
    ("vocabulary", "options", "message"),
    [
        (3, {}, "vocab is 3"),
        ({}, {}, r"no unk_token '\[UNK\]' among its 0 tokens"),
        (None, {"unk_token": "<u>"}, "no unk_token '<u>' among its 22 tokens"),
        ({"[PAD]": 0, "[UNK]": 0}, {}, r"'\[PAD\]' and '\[UNK\]' have one id, 0"),
        ({"a": "b"}, {}, "'a' has 'b'"),
        ({"a": -1}, {}, "'a' has -1"),
        (None, {"mask_token": 3}, "mask_token is 3, expected a string"),
        (None, {"mask_token": ""}, "mask_token is '', expected a string that is not empty"),
        (None, {"padding_side": "up"}, "padding_side is 'up'"),
        (None, {"do_lower_case": 2}, "do_lower_case is 2"),
        (None, {"model_max_length": -1}, "model_max_length is -1"),
    ],
)
def test_tokenizers_that_are_refused(vocabulary, options, message):
    if vocabulary is None:
        vocabulary = {token: number for number, token in enumerate(LINES)}
    with pytest.raises(ValueError, match=message):
        BertTokenizer(vocabulary, **options)


def test_ids_that_are_refused(tokenizer):
    for bad in ([-1], [1.5], ["the"]):
        with pytest.raises(ValueError, match="is not an id"):
            tokenizer.decode(bad)
    with pytest.raises(ValueError, match="token_ids_1"):
        tokenizer.get_special_tokens_mask([5], [6], already_has_special_tokens=True)
    with pytest.raises(AttributeError, match="offset_mapping"):
        _ = tokenizer("the").offset_mapping


def test_model_input_names_say_what_a_call_returns():
    names = ["input_ids", "token_type_ids"]
    assert list(BertTokenizer(TINY, model_input_names=names)("the man")) == names
    assert list(BertTokenizer(TINY)("the man")) == [*names, "attention_mask"]
    with pytest.raises(ValueError, match="model_input_names is 'input_ids'"):
        BertTokenizer(TINY, model_input_names="input_ids")
