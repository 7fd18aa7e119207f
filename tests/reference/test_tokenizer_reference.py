"""The tokenizer against the Rust library and transformers: no difference anywhere."""

import itertools
import lzma
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from benchmark_tokenizer import sentences
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizer_data import ANY, AWKWARD, LINES, TINY

from npbert.tokenizer import characters as character_tables
from npbert.tokenizer import stages
from npbert.tokenizer.bert_tokenizer import BertTokenizer
from npbert.tokenizer.caching_pipeline import sorted_marks
from npbert.tokenizer.vocabulary import SPECIAL_TOKENS

REASON = "compares with the Rust library (extra `reference`)"
tokenizers = pytest.importorskip("tokenizers", reason=REASON)

pytestmark = pytest.mark.reference
CORPUS = TINY.parent.parent / "corpus"

OPTIONS = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "uncased, accents": {"strip_accents": False},
    "cased, no accents": {"do_lower_case": False, "strip_accents": True},
    "no ideographs": {"tokenize_chinese_chars": False},
}


def reference(vocabulary, do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True):
    """Build the Rust pipeline of the four families' checkpoints."""
    return tokenizers.BertWordPieceTokenizer(
        vocabulary if isinstance(vocabulary, dict) else str(vocabulary),
        lowercase=do_lower_case,
        strip_accents=strip_accents,
        handle_chinese_chars=tokenize_chinese_chars,
    )


def assert_equal(mine, theirs, *texts):
    """Compare one row in all that is known of it."""
    got, expected = mine(*texts)[0], theirs.encode(*texts)
    assert got.ids == expected.ids, texts
    assert got.tokens == expected.tokens, texts
    assert got.offsets == expected.offsets, texts
    assert got.word_ids == expected.word_ids, texts
    assert got.type_ids == expected.type_ids, texts
    assert got.special_tokens_mask == expected.special_tokens_mask, texts
    assert got.attention_mask == expected.attention_mask, texts
    assert got.sequence_ids == expected.sequence_ids, texts


def test_character_tables_are_those_of_the_library():
    from make_character_tables import file_text

    assert Path(character_tables.FILE).read_text("utf-8") == file_text()


# ---- text ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uncased", "cased"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_paragraph_of_the_corpus(split, name):
    mine, theirs = BertTokenizer(TINY, **OPTIONS[name]), reference(TINY, **OPTIONS[name])
    with lzma.open(CORPUS / f"{split}.txt.xz", "rt", encoding="utf-8", newline="\n") as file:
        paragraphs = [line.rstrip("\n") for line in file]
    assert len(paragraphs) > 900
    expected = [encoding.ids for encoding in theirs.encode_batch(paragraphs)]
    assert mine(paragraphs).input_ids == expected
    for paragraph in paragraphs[::10]:
        assert_equal(mine, theirs, paragraph)


def in_context(code):
    """A character alone, between letters, after a space, and doubled."""
    character = chr(code)
    return f" {character} a{character}b {character}{character}."


# Code points that some stage does something with, and those that are assigned; the ideographs and
# syllables in the middle of their blocks are left out: they all behave alike.
DULL = [
    (0x3500, 0x4D00),
    (0x4F00, 0x9F00),
    (0xAD00, 0xD700),
    (0x17100, 0x18C00),
    (0x20100, 0x323A0),
]
CODE_POINTS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
LIVELY = [
    code
    for code in CODE_POINTS
    if unicodedata.category(chr(code)) not in ("Cn", "Co")
    and not any(first <= code < last for first, last in DULL)
]


@pytest.fixture(scope="module")
def all_characters():
    """A vocabulary in which every character that can come out of the stages is a piece."""
    normalized = {"a", "b", "."}
    for options in ({}, {"lowercase": False}, {"strip_accents": False}):
        normalizer = tokenizers.normalizers.BertNormalizer(**options)
        for code in LIVELY:
            normalized.update(normalizer.normalize_str(chr(code)))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [piece for c in sorted(normalized) for piece in (c, f"##{c}")]
    return {token: number for number, token in enumerate(special + pieces)}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_lively_code_point(all_characters, name):
    mine = BertTokenizer(all_characters, **OPTIONS[name])
    theirs = reference(all_characters, **OPTIONS[name])
    for start in range(0, len(LIVELY), 500):
        assert_equal(mine, theirs, "".join(map(in_context, LIVELY[start : start + 500])))


def test_dull_code_points():
    """Every twentieth of the others, unassigned and private ones among them.

    All of them would take a minute, and the tables have been held to all of them above.
    """
    mine, theirs = BertTokenizer(TINY), reference(TINY)
    dull = sorted(set(CODE_POINTS) - set(LIVELY))[::20]
    for start in range(0, len(dull), 5_000):
        assert_equal(mine, theirs, "".join(map(in_context, dull[start : start + 5_000])))


CASED_LINES = [
    *LINES,
    "The",
    "e",
    "a",
    "##a",
    "É",
    "##\u0301",
    "한",
    "\u1112",
    "##\u1161",
    "##\u11ab",
]
SMALL = {token: number for number, token in enumerate(dict.fromkeys(CASED_LINES))}
MARKS = st.sampled_from([*character_tables.combining_classes(), *sorted_marks()])
TEXTS = st.lists(AWKWARD | ANY | MARKS | st.sampled_from("aeTh "), max_size=25).map("".join)


@pytest.mark.parametrize("name", OPTIONS)
def test_random_texts_and_pairs(all_characters, name):
    mine = BertTokenizer(all_characters, **OPTIONS[name])
    theirs = reference(all_characters, **OPTIONS[name])
    small = BertTokenizer(SMALL, **OPTIONS[name]), reference(SMALL, **OPTIONS[name])

    @settings(max_examples=800, deadline=None, derandomize=True)
    @given(TEXTS, TEXTS)
    @example("the[MASK]man [mask][[CLS]]", "[SEP")
    @example("e\u0301\u1baa\u0323\U0001d16d\U0001d165 \u0f75\u0f72", "a\x1cb\x85")
    @example("a" * 100 + " " + "a" * 101, "e\u0301" * 100 + " " + "é" * 101 + "İ" * 51)
    def check(first, second):
        assert_equal(mine, theirs, first)
        assert_equal(mine, theirs, first, second or "the")
        assert_equal(*small, first)

    check()


SAMPLES = [
    "Ünïcödé naïve café", "Ĳssel ΟΔΥΣΣΕΥΣ ΣΑΣ", "Straße ẞ", "İstanbul ısı", "Съешь ещё этих йод",
    "العَرَبِيَّة كِتَاب", "שָׁלוֹם עולם", "हिन्दी में किताब", "বাংলা ড়", "தமிழ் கொ", "ไทยภาษา น้ำ", "ລາວ ຳ",
    "བོད་ཡིག ཱི", "မြန်မာ", "ខ្មែរ", "한국어 조선말 \u1112\u1161\u11ab", "日本語 がぎぐ カﾞ", "中文㐀𠀀豈",
    "ქართული Ⴀ", "հայերեն և", "ᏣᎳᎩ ꭰ", "አማርኛ፡፡", "ᠮᠣᠩᠭᠣᠯ", "ᬅᬓ᭄ᬱᬭ ᮅ᮪", "𞤀𞤣𞥀𞥊", "𝐀𝔅 ﬁ ½ Ⅷ №",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪", "a\u200db\u200ec\ufeffd", "don't won’t “x” …—", "$3.50 + 4% <b> ^~`|",
    "\u0344\u0301 \u0f73\u0f75\u0f81", "Ǆ ǅ Ω Å K ſ", "𝅗𝅥𝅘𝅥𝅮 \U0001d1be",
]  # fmt: skip


LANGUAGES = sentences()


@pytest.mark.parametrize("name", OPTIONS)
def test_many_languages(all_characters, name):
    assert len(LANGUAGES) > 60
    mine = BertTokenizer(all_characters, **OPTIONS[name])
    theirs = reference(all_characters, **OPTIONS[name])
    for text in [*SAMPLES, *LANGUAGES.values()]:
        for form in ("NFC", "NFD", "NFKC"):
            assert_equal(mine, theirs, unicodedata.normalize(form, text))
    assert_equal(mine, theirs, " ".join(LANGUAGES.values()), "".join(LANGUAGES.values()))


@pytest.mark.parametrize("name", OPTIONS)
def test_words_around_the_longest(name):
    mine, theirs = BertTokenizer(SMALL, **OPTIONS[name]), reference(SMALL, **OPTIONS[name])
    whole = {**SMALL, "e" * 100: len(SMALL), "e" * 101: len(SMALL) + 1}
    in_one = BertTokenizer(whole, **OPTIONS[name]), reference(whole, **OPTIONS[name])
    for unit in ("e", "é", "e\u0301", "한", "中", "e.", "e\u200b", "İ", "\U0001d15e"):
        for length in (49, 50, 51, 99, 100, 101, 102, 200):
            for text in (unit * length, f"the {unit * length}, the", "un" + unit * length):
                assert_equal(mine, theirs, text)
                assert_equal(*in_one, text)


def stays_in_place(characters):
    """Strip accents without sorting marks: a mistake."""
    marks = stages.ranges("MARKS")
    parts = [(part, place) for c, place in characters for part in stages.decompose(c)]
    return [(part, place) for part, place in parts if ord(part) not in marks]


MISTAKES = {
    "Python's lower case": ("lower", lambda cs: [(s, i) for c, i in cs for s in c.lower()]),
    "final sigma": (
        "lower",
        lambda cs: list(
            zip(stages.text_of(cs).lower(), [i for c, i in cs for _ in c.lower()], strict=True)
        ),
    ),
    "marks not sorted": ("strip_accents", stays_in_place),
    "Python's marks": (
        "strip_accents",
        lambda cs: [
            (part, i)
            for c, i in cs
            for part in unicodedata.normalize("NFD", c)
            if unicodedata.category(part) != "Mn"
        ],
    ),
    "Python's controls": (
        "clean",
        lambda cs: [
            (" " if c.isspace() else c, i)
            for c, i in cs
            if unicodedata.category(c) not in ("Cf", "Cc")
        ],
    ),
    "Python's punctuation": (
        "isolate_punctuation",
        lambda word: [
            list(group)
            for _, group in itertools.groupby(
                word, lambda pair: pair[1] if unicodedata.category(pair[0])[0] in "PS" else -1
            )
        ],
    ),
}


def words_of(tokenizer, text):
    *_, (_, words) = tokenizer._pipeline(False).stages(text)
    return [stages.text_of(word.characters) for word in words]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_that_a_mistake_would_be_seen(all_characters, monkeypatch, mistake):
    theirs = reference(all_characters)
    texts = [*SAMPLES, "e\U0001d16d\U0001d165", "".join(map(in_context, range(0x20, 0x2C00)))]

    def differences():
        # The definition, without what other tests hold to be equal to it.
        mine = BertTokenizer(all_characters)
        return sum(
            words_of(mine, text)
            != [word for word, _ in theirs.pre_tokenizer.pre_tokenize_str(theirs.normalize(text))]
            for text in texts
        )

    assert differences() == 0
    monkeypatch.setattr(stages, *MISTAKES[mistake])
    assert differences() > 0


# ---- calls ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason=REASON)


@pytest.fixture(scope="module")
def both(transformers):
    return BertTokenizer(SMALL), transformers.BertTokenizer(dict(SMALL))


def plain(value):
    """Turn arrays and tuples into lists, to compare them."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def outcome(tokenizer, *arguments, **options):
    """Return everything a call gives, or the error it ends in."""
    try:
        got = tokenizer(*arguments, **options)
    except Exception as error:  # the reference has errors of many kinds
        return type(error).__name__
    rows = range(len(got.encodings))
    views = [[got.tokens(i), got.word_ids(i), got.sequence_ids(i)] for i in rows]
    return {name: plain(value) for name, value in got.items()}, views


TEXT, SHORT = "the unaffable man, [MASK] the man!", "the man."
FORMS = [
    ((TEXT,), {}),
    (("",), {}),
    ((TEXT, SHORT), {}),
    ((TEXT, ""), {}),
    (([TEXT, SHORT],), {}),
    (((TEXT, SHORT),), {}),
    (([TEXT],), {}),
    (([TEXT, SHORT], [SHORT, ""]), {}),
    (([(TEXT, SHORT), (SHORT, TEXT)],), {}),
    (([[TEXT, SHORT], SHORT],), {}),
    ((["the", "unaffable man", "[MASK]", ""],), {"is_split_into_words": True}),
    ((["the"], ["man", "!"]), {"is_split_into_words": True}),
    (([["the", "man"], ["unaffable"]],), {"is_split_into_words": True}),
    (([["the", "man"], []], [["man"], ["the"]]), {"is_split_into_words": True}),
    (([(["the", "man"], ["!"]), (["man"], ["the"])],), {"is_split_into_words": True}),
    (([],), {"is_split_into_words": True}),
]
RETURNED = {
    "return_offsets_mapping": True,
    "return_special_tokens_mask": True,
    "return_length": True,
}


@pytest.mark.parametrize(("arguments", "options"), FORMS, ids=str)
def test_call_forms(both, arguments, options):
    mine, theirs = both
    for more in (
        {},
        RETURNED,
        {"add_special_tokens": False, **RETURNED},
        {"return_token_type_ids": False, "return_attention_mask": False},
        {"padding": True, "return_tensors": "np", **RETURNED},
        {"padding": "longest", "padding_side": "left", "pad_to_multiple_of": 8},
        {"padding": "max_length", "max_length": 12, "truncation": True, **RETURNED},
    ):
        got = outcome(mine, *arguments, **options, **more)
        assert got == outcome(theirs, *arguments, **options, **more), more
        assert not isinstance(got, str), got


@pytest.mark.parametrize("side", ["right", "left"])
def test_truncation(transformers, side):
    mine = BertTokenizer(SMALL, truncation_side=side)
    theirs = transformers.BertTokenizer(dict(SMALL), truncation_side=side)
    strategies = [
        None,
        True,
        False,
        "longest_first",
        "only_first",
        "only_second",
        "do_not_truncate",
    ]
    texts = [(TEXT,), (TEXT, SHORT), (SHORT, TEXT), (TEXT, TEXT), (SHORT, SHORT), ([TEXT, SHORT],)]
    for arguments, strategy, special in itertools.product(texts, strategies, [True, False]):
        for max_length in range(25):
            options = {"truncation": strategy, "max_length": max_length, **RETURNED}
            options["add_special_tokens"] = special
            got = outcome(mine, *arguments, **options)
            truncates = strategy not in (False, "do_not_truncate")
            if (
                special
                and truncates
                and max_length < mine.num_special_tokens_to_add(len(arguments) == 2)
            ):
                assert got == "ValueError"  # where the reference does not truncate at all
                continue
            expected = outcome(theirs, *arguments, **options)
            assert (got == "ValueError") == isinstance(expected, str), options
            assert isinstance(expected, str) or got == expected, (arguments, options)


def test_limits_of_the_model(transformers):
    for limit in (None, 6, 10**25):
        known = {} if limit is None else {"model_max_length": limit}
        mine, theirs = (
            BertTokenizer(SMALL, **known),
            transformers.BertTokenizer(dict(SMALL), **known),
        )
        assert mine.model_max_length == theirs.model_max_length
        for padding in (False, True, "max_length"):
            for truncation in (None, True):
                options = {"padding": padding, "truncation": truncation}
                assert outcome(mine, [TEXT, "the"], **options) == outcome(
                    theirs, [TEXT, "the"], **options
                )


def test_ids_tokens_and_attributes(both):
    mine, theirs = both
    assert mine.tokenize(TEXT, SHORT) == theirs.tokenize(TEXT, SHORT)
    assert mine.encode(TEXT, SHORT, max_length=9) == theirs.encode(TEXT, SHORT, max_length=9)
    for name in (
        "vocab_size", "all_special_tokens", "all_special_ids", "special_tokens_map", "padding_side",
        "truncation_side", "clean_up_tokenization_spaces", "pad_token_type_id", "do_lower_case",
        *SPECIAL_TOKENS, *(f"{name}_id" for name in SPECIAL_TOKENS),
    ):  # fmt: skip
        assert getattr(mine, name) == getattr(theirs, name), name
    assert mine.get_vocab() == theirs.get_vocab() and len(mine) == len(theirs)
    assert list(mine.model_input_names) == theirs.model_input_names
    for tokens in ("man", "nonsense", ["man", "nonsense"]):
        assert mine.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
    for ids in (3, 999, [3, 999, 5]):
        assert mine.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
    row = [2, 5, 4, 3]
    assert mine.get_special_tokens_mask(
        row, already_has_special_tokens=True
    ) == theirs.get_special_tokens_mask(row, already_has_special_tokens=True)
    for pair in (False, True):
        assert mine.num_special_tokens_to_add(pair) == theirs.num_special_tokens_to_add(pair)


DECODED = [
    *SMALL,
    "n't",
    "'s",
    "'m",
    "'ve",
    "'re",
    "...",
    "?!",
    "##.",
    "##",
    "do",
    "not",
    "do not",
    "' ",
]


def test_decoding(transformers):
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys([*DECODED, ""]))}
    mine, theirs = BertTokenizer(vocabulary), transformers.BertTokenizer(dict(vocabulary))

    @settings(max_examples=500, deadline=None, derandomize=True)
    @given(
        st.lists(st.integers(0, len(vocabulary) + 3)), st.booleans(), st.sampled_from([None, True])
    )
    def check(ids, skip, clean_up):
        options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean_up}
        assert mine.decode(ids, **options) == theirs.decode(ids, **options)
        assert mine.decode([ids, [5]], **options) == theirs.decode([ids, [5]], **options)
        assert mine.batch_decode([ids], **options) == theirs.batch_decode([ids], **options)

    check()
    for ids in (5, np.array([5, 6]), np.array([[5], [6]]), {"input_ids": [5, 6]}):
        assert mine.decode(ids) == theirs.decode(ids)


# ---- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    ["", "\n", "\r\n", "\n\n", "\nx\x85y\n\x85\n\u2028\nthe\nlast\x1c \t", "\n\ufeff\n a \n"],
)
def test_odd_vocabulary_files(tmp_path, ending):
    path = tmp_path / "vocab.txt"
    path.write_bytes(("\n".join(LINES) + ending).encode("utf-8"))
    mine, theirs = BertTokenizer(path), reference(path)
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine.vocab_size == theirs.get_vocab_size(with_added_tokens=False)
    assert_equal(mine, theirs, "the x\x85y unaffable last a \ufeff")
    (tmp_path / "new").mkdir()
    if "\x85" not in ending:
        mine.save_vocabulary(tmp_path / "new")
        assert BertTokenizer(tmp_path / "new" / "vocab.txt").get_vocab() == mine.get_vocab()


ODD = {
    "no mask": [*LINES[:4], *LINES[5:]],
    "no special token but [UNK]": LINES[1:2] + LINES[5:],
    "doubled": [*LINES, "the", "[PAD]", "the"],
    "empty lines": ["", *LINES, "", ""],
    "special tokens last": [*LINES[5:], *LINES[:5]],
    "pieces alone": ["##", "##the", "# #", "[UNK]"],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_vocabularies(tmp_path, transformers, name):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(ODD[name]) + "\n", "utf-8")
    mine, theirs = BertTokenizer(path), transformers.BertTokenizer(str(path))
    assert mine.get_vocab() == theirs.get_vocab()
    assert (mine.vocab_size, len(mine)) == (theirs.vocab_size, len(theirs))
    assert mine.all_special_ids == theirs.all_special_ids
    assert mine.get_added_vocab() == theirs.get_added_vocab()
    for text in (TEXT, "the##the ## # # [PAD] unaffable", ""):
        assert outcome(mine, text, **RETURNED) == outcome(theirs, text, **RETURNED)
    assert mine.add_tokens(["<x>", "the"]) == theirs.add_tokens(["<x>", "the"])
    assert mine.get_added_vocab() == theirs.get_added_vocab()


def test_no_unknown_token(transformers):
    """The reference takes such a vocabulary and fails on the first unknown word."""
    vocabulary = {"the": 0, "[CLS]": 1, "[SEP]": 2}
    theirs = transformers.BertTokenizer(dict(vocabulary))
    with pytest.raises(Exception, match="Missing"):
        theirs("man")
    with pytest.raises(ValueError, match="no unk_token"):
        BertTokenizer(vocabulary)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff b", "\ud83d\ude00"])
def test_lone_surrogates(both, text):
    mine, theirs = both
    with pytest.raises(ValueError, match="surrogate"):
        mine(text)
    with pytest.raises(Exception):  # noqa: B017 the reference has errors of many kinds
        theirs(text)
