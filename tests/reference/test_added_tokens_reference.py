"""Added tokens against the Rust library: random tokens with random options in random texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_data import LINES

import npbert
from npbert.tokenizer.added_tokens import OPTIONS

REASON = "compares with the Rust library (extra `reference`)"
transformers = pytest.importorskip("transformers", reason=REASON)

pytestmark = pytest.mark.reference

VOCABULARY = {
    token: number
    for number, token in enumerate([*LINES, *"abcxit_5=", *(f"##{c}" for c in "abcetix"), "cat"])
}
PARTS = [
    *"abcxABé.,_5=[] ", "\t", "\u3000", "\u2028", "\x85", "\u200b", "\ufffd", "\u0301", "\u302e",
    "\U0001d15e", "≠", "İ", "中", "한", "[MASK]", "[PAD]", "##s",
    "cat", "Cat", "the", "e\u0323\u0301",
]  # fmt: skip
CONTENTS = st.sampled_from(
    [*PARTS, "ᄒ", "<x>", "a b", " a", "a ", "the cat", "[X", "中a", "un", "É"]
) | st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("".join)
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        name: st.booleans() for name in ("single_word", "lstrip", "rstrip", "normalized", "special")
    },
)
BATCHES = st.lists(
    st.tuples(
        st.lists(CONTENTS | st.tuples(CONTENTS, FLAGS), min_size=1, max_size=4),
        st.sampled_from(["tokens", "special", "extra"]),
    ),
    max_size=3,
)
SETTINGS = st.sampled_from(
    [
        {},
        {"do_lower_case": False},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"do_lower_case": False, "strip_accents": True},
        {"split_special_tokens": True},
    ]
)


def add(module, tokenizer, tokens, how):
    made = [t if isinstance(t, str) else module.AddedToken(t[0], **t[1]) for t in tokens]
    if how == "extra":
        return tokenizer.add_special_tokens({"extra_special_tokens": made})
    return tokenizer.add_tokens(made, special_tokens=how == "special")


def may_differ(tokenizer, tokens):
    """Tell whether the reference fails on these tokens, or decides between them by chance."""
    normalized = [tokenizer._normalizer(t if isinstance(t, str) else t[0])
                  for t in tokens]  # fmt: skip
    looked_for = [
        tokenizer._normalizer(token.content)
        for token in tokenizer.added_tokens_decoder.values()
        if token.normalized
    ]
    return "" in normalized or len({*normalized, *looked_for}) < len(normalized + looked_for)


def options_of(tokenizer):
    return {
        number: [getattr(token, name) for name in OPTIONS]
        for number, token in tokenizer.added_tokens_decoder.items()
    }


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    SETTINGS,
    BATCHES,
    st.lists(st.lists(st.sampled_from(PARTS) | CONTENTS, max_size=8).map("".join), min_size=4,
             max_size=8),
    st.lists(st.integers(0, len(VOCABULARY) + 6), max_size=6),
)  # fmt: skip
def test_random_tokens_in_random_texts(options, batches, texts, ids):
    mine = npbert.BertTokenizer(VOCABULARY, **options)
    theirs = transformers.BertTokenizer(dict(VOCABULARY), **options)
    for tokens, how in batches:
        if may_differ(mine, tokens):
            continue
        assert add(npbert, mine, tokens, how) == add(transformers, theirs, tokens, how)
    assert mine.get_vocab() == theirs.get_vocab() and len(mine) == len(theirs)
    assert options_of(mine) == options_of(theirs)
    assert mine.get_added_vocab() == theirs.get_added_vocab()
    assert mine.all_special_ids == theirs.all_special_ids
    for text in texts:
        got = mine(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        expected = theirs(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        assert dict(got) == dict(expected), text
        assert got.word_ids() == expected.word_ids(), text
        pieces = mine._cut_into_pieces(text, mine.split_special_tokens).places
        assert pieces.tokens == expected.tokens()[1:-1], text
    for skip in (False, True):
        assert mine.decode(ids, skip) == theirs.decode(ids, skip)
        got = mine.convert_ids_to_tokens(ids, skip_special_tokens=skip)
        assert got == theirs.convert_ids_to_tokens(ids, skip_special_tokens=skip)


def test_setting_attributes():
    mine, theirs = npbert.BertTokenizer(VOCABULARY), transformers.BertTokenizer(dict(VOCABULARY))
    for tokenizer, module in ((mine, npbert), (theirs, transformers)):
        tokenizer.pad_token = "cat"
        tokenizer.unk_token = "x"
        tokenizer.bos_token = module.AddedToken("nowhere")
        tokenizer.mask_token_id = 5
        tokenizer.extra_special_tokens = ["un", "nowhere"]
    for name in ("pad_token", "pad_token_id", "unk_token_id", "bos_token_id", "mask_token",
                 "eos_token", "eos_token_id", "all_special_tokens", "all_special_ids",
                 "extra_special_tokens_ids", "special_tokens_map"):  # fmt: skip
        assert getattr(mine, name) == getattr(theirs, name), name
    for text in ("zzz cat", "[UNK] un [MASK]"):
        options = {"padding": "max_length", "max_length": 9}
        assert dict(mine(text, **options)) == dict(theirs(text, **options))
    assert mine.convert_tokens_to_ids(["zzz", "cat"]) == theirs.convert_tokens_to_ids(
        ["zzz", "cat"]
    )
