"""tokenizer/added_tokens.py and what a tokenizer does with added tokens, without the reference."""

import copy
import pickle
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert import AddedToken, BertTokenizer
from npbert.tokenizer import added_tokens
from npbert.tokenizer.added_tokens import WHITE_SPACE, added_token, longest_of

LINES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "man", "new", "##s", ".", "中", "a"]
PAD, UNK, CLS, SEP, MASK, THE, MAN, NEW, S, STOP, CJK, A = range(12)
FIRST = len(LINES)  # the id of the first token that is added


@pytest.fixture
def tokenizer():
    return BertTokenizer({token: number for number, token in enumerate(LINES)})


def spans(tokenizer, text):
    got = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return list(zip(got.input_ids, got.offset_mapping, strict=True))


def test_tokens_with_their_options():
    token = AddedToken("x", lstrip=True)
    assert str(token) == "x" and token.normalized is True and token.special is False
    assert AddedToken("x", special=True).normalized is False
    assert token.as_special() == AddedToken("x", lstrip=True, normalized=False, special=True)
    assert AddedToken("x", normalized=True).as_special().normalized is True
    assert added_token(token.as_json()) == token == added_token(token)
    assert added_token("x", special=True) == AddedToken("x", special=True)
    for bad in (3, {"text": "x"}, None):
        with pytest.raises(ValueError, match="expected a string or an AddedToken"):
            added_token(bad)
    with pytest.raises(ValueError, match="expected a string"):
        AddedToken(3)
    with pytest.raises(ValueError, match="surrogates"):
        AddedToken("\ud800")


def test_adding_one_by_one_looks_at_no_token_twice(tokenizer, monkeypatch):
    """Or else the time for many grows with their square."""

    class NeverWhole(dict):
        def __iter__(self):
            raise AssertionError("all tokens were looked at to add one")

        keys = values = items = copy = __iter__

    class NeverMade(added_tokens.Finder):
        def __init__(self, *arguments):
            raise AssertionError("a finder was made to add a token")

    tokens = tokenizer.added_tokens
    tokens.id_of, tokens.token_of_id = NeverWhole(tokens.id_of), NeverWhole(tokens.token_of_id)
    with monkeypatch.context() as patched:
        patched.setattr(added_tokens, "Finder", NeverMade)
        assert [tokenizer.add_tokens(f"<new {n}>") for n in range(5)] == [1] * 5
        assert tokenizer.add_special_tokens({"extra_special_tokens": ["<e>"]}) == 1
    assert tokens.id_of["<new 4>"] == FIRST + 4


def test_ids_and_sizes(tokenizer):
    assert tokenizer.add_tokens(["<x>", "man", "<x>", "", "<y>"]) == 3  # "man" counts, as there
    assert tokenizer.vocab_size == len(LINES) and len(tokenizer) == len(LINES) + 2
    assert tokenizer.convert_tokens_to_ids(["<x>", "man", "<y>"]) == [FIRST, MAN, FIRST + 1]
    assert tokenizer.convert_ids_to_tokens([FIRST, FIRST + 1]) == ["<x>", "<y>"]
    assert tokenizer.add_tokens("<x>") == 0 and tokenizer.add_tokens([]) == 0
    assert tokenizer.get_vocab()["<y>"] == FIRST + 1
    assert tokenizer.get_added_vocab() == tokenizer.added_tokens_encoder
    assert list(tokenizer.added_tokens_encoder.items())[-2:] == [("<x>", FIRST), ("<y>", FIRST + 1)]
    assert tokenizer.added_tokens_decoder[FIRST] == AddedToken("<x>")
    sparse = BertTokenizer({**tokenizer.id_of_token, "far": 50})
    assert sparse.add_tokens("<x>") == 1 and sparse.convert_tokens_to_ids("<x>") == len(LINES) + 1


def test_where_tokens_are_found(tokenizer):
    tokenizer.add_tokens(["Cat", AddedToken("Dog", normalized=False)])
    cat, dog = FIRST, FIRST + 1
    # The first is looked for in the normalized text, in any case and inside words.
    assert spans(tokenizer, "theCÁTman") == [(THE, (0, 3)), (cat, (3, 6)), (MAN, (6, 9))]
    assert spans(tokenizer, "theDogman") == [(THE, (0, 3)), (dog, (3, 6)), (MAN, (6, 9))]
    assert spans(tokenizer, "dog") == [(UNK, (0, 3))]
    assert tokenizer.decode([cat, dog]) == "cat Dog"  # an id stands for what it is found as
    # Once it stood for that it does so for ever, even if it is no longer found that way.
    assert tokenizer.add_tokens([AddedToken("Cat", normalized=False, lstrip=True), "Dog"]) == 2
    assert spans(tokenizer, "the Cat cat") == [(THE, (0, 3)), (cat, (3, 7)), (UNK, (8, 11))]
    assert spans(tokenizer, "DOG") == [(dog, (0, 3))]
    assert tokenizer.decode([cat, dog]) == "cat dog"


def test_the_longest_of_the_leftmost(tokenizer):
    tokenizer.add_tokens(["the m", "the man", "man new"])
    assert [number for number, _ in spans(tokenizer, "the man new the m")] == [
        FIRST + 1, NEW, FIRST
    ]  # fmt: skip


def test_white_space_taken_in(tokenizer):
    tokenizer.add_tokens([AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True)])
    left, right = FIRST, FIRST + 1
    assert spans(tokenizer, "a \t<l> a") == [(A, (0, 1)), (left, (1, 6)), (A, (7, 8))]
    assert spans(tokenizer, "a <r>\u3000 a") == [(A, (0, 1)), (right, (2, 7)), (A, (7, 8))]
    assert spans(tokenizer, "<r>  <l>") == [(right, (0, 5)), (left, (5, 8))]
    # In the normalized text spaces stand around ideographs.
    assert spans(tokenizer, "中<l>") == [(CJK, (0, 1)), (left, (0, 4))]
    raw = AddedToken("<q>", lstrip=True, normalized=False)
    tokenizer.add_tokens(raw)
    for character in WHITE_SPACE:
        assert spans(tokenizer, f"a{character}<q>") == [(A, (0, 1)), (FIRST + 2, (1, 5))]


def test_single_words(tokenizer):
    tokenizer.add_tokens([AddedToken("<s>", single_word=True), AddedToken("s.", single_word=True)])
    for text, found in (
        ("<s>", True), ("the <s>", True), (".<s>.", True), ("a<s>", False), ("<s>a", False),
        ("_<s>", False), ("5<s>", False), ("中<s>", True), ("<s>\u0903", False),
        ("[MASK]<s>", True),
    ):  # fmt: skip
        assert (FIRST in tokenizer(text).input_ids) is found, text
    assert FIRST + 1 not in tokenizer("mans.").input_ids


def test_special_tokens_by_name(tokenizer):
    assert tokenizer.add_special_tokens({"mask_token": "<m>", "eos_token": AddedToken("new")}) == 2
    assert (tokenizer.mask_token, tokenizer.mask_token_id) == ("<m>", FIRST)
    assert tokenizer.bos_token is tokenizer.bos_token_id is None
    assert tokenizer.special_tokens_map["eos_token"] == "new"
    assert tokenizer.all_special_ids[0] == NEW and MASK not in tokenizer.all_special_ids
    assert tokenizer.decode([THE, NEW, FIRST, MASK], skip_special_tokens=True) == "the"
    assert tokenizer.add_special_tokens({"extra_special_tokens": ["<e>"]}) == 1
    assert tokenizer.add_special_tokens({"additional_special_tokens": ["<f>"]}) == 1
    assert tokenizer.extra_special_tokens == tokenizer.additional_special_tokens == ["<f>"]
    more = {"extra_special_tokens": ["<e>", "<f>"]}
    assert tokenizer.add_special_tokens(more, replace_extra_special_tokens=False) == 0
    assert tokenizer.extra_special_tokens == ["<f>", "<e>"]
    assert tokenizer.extra_special_tokens_ids == [FIRST + 2, FIRST + 1]
    for bad, message in (
        ({"colour": "x"}, "'colour' is no special token"),
        ({"pad_token": 3}, "pad_token is 3"),
        ({"extra_special_tokens": "x"}, "expected a list"),
    ):
        with pytest.raises(ValueError, match=message):
            tokenizer.add_special_tokens(bad)


def test_attributes_that_are_set(tokenizer):
    tokenizer.pad_token = "man"
    assert tokenizer.pad_token_id == MAN
    assert tokenizer("the", padding="max_length", max_length=4).input_ids == [CLS, THE, SEP, MAN]
    tokenizer.pad_token_id = PAD
    assert tokenizer.pad_token == "[PAD]"
    tokenizer.mask_token = None
    assert tokenizer.mask_token is tokenizer.mask_token_id is None
    tokenizer.unk_token = "man"  # words without pieces become what they became before
    assert tokenizer.tokenize("zzz") == ["[UNK]"]
    assert tokenizer.convert_tokens_to_ids("zzz") == MAN
    tokenizer.extra_special_tokens = ["new"]
    assert tokenizer.all_special_tokens[-1] == "new"
    with pytest.raises(ValueError, match="sep_token is 3"):
        tokenizer.sep_token = 3
    with pytest.raises(ValueError, match="expected a list"):
        tokenizer.extra_special_tokens = "new"
    own = BertTokenizer(tokenizer.id_of_token, entity_token="<e>")
    assert (own.entity_token, own.entity_token_id) == ("<e>", FIRST)
    with pytest.raises(AttributeError, match="no attribute 'colour_token'"):
        _ = own.colour_token
    with pytest.raises(TypeError, match="no arguments colour"):
        BertTokenizer(tokenizer.id_of_token, colour=3)


def test_tokens_given_to_the_constructor():
    vocabulary = {token: number for number, token in enumerate(LINES) if token != "[MASK]"}
    tokenizer = BertTokenizer(
        vocabulary,
        mask_token=AddedToken("[MASK]", lstrip=True),
        extra_special_tokens=["<e>"],
        added_tokens_decoder={40: AddedToken("<b>"), 30: AddedToken("<a>", special=True)},
    )
    first = len(vocabulary)
    tokens = ["<a>", "<b>", "[MASK]", "<e>"]
    assert tokenizer.convert_tokens_to_ids(tokens) == [first, first + 1, first + 2, first + 3]
    assert spans(tokenizer, "a [MASK]") == [(A, (0, 1)), (first + 2, (1, 8))]
    for name in ("unk_token", "sep_token", "cls_token"):
        with pytest.raises(ValueError, match=f"{name} is None"):
            BertTokenizer(vocabulary, **{name: None})
    assert BertTokenizer(vocabulary, mask_token=None, pad_token=None).mask_token is None


def test_special_tokens_may_be_split(tokenizer):
    split = BertTokenizer(tokenizer.id_of_token, split_special_tokens=True)
    split.add_tokens(["<x>", AddedToken("<y>", special=True)])
    assert split.tokenize("[MASK]<x>") == ["[UNK]"] * 3 + ["<x>"]
    assert FIRST + 1 not in split("<y>").input_ids


def test_what_was_encoded_before_stays(tokenizer):
    got = tokenizer("the<x>")
    tokenizer.add_tokens("<x>")
    assert len(got.word_ids()) == len(got.input_ids) == 6  # the places are found out only now
    assert tokenizer("the<x>").input_ids == [CLS, THE, FIRST, SEP]


def test_copies(tokenizer):
    tokenizer.add_tokens([AddedToken("<x>", lstrip=True), "<Y>"])
    for made in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert spans(made, "a <x><y>") == spans(tokenizer, "a <x><y>")
        assert made.added_tokens_decoder == tokenizer.added_tokens_decoder


def test_tokens_that_are_refused(tokenizer):
    for bad in ("\u0301", "\x00", "\u200b"):  # the reference fails on texts after this
        with pytest.raises(ValueError, match="found nowhere"):
            tokenizer.add_tokens([bad])
    assert len(tokenizer) == len(LINES)
    assert tokenizer.add_tokens(AddedToken("\u0301", normalized=False)) == 1


# ---- many tokens ---------------------------------------------------------------------------


@given(
    st.sets(st.text("ab.<", min_size=1, max_size=6), min_size=1, max_size=40),
    st.text("ab.<", max_size=60),
)
def test_the_pattern_finds_what_plain_alternatives_find(tokens, text):
    plain = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
    expected = [match.span() for match in re.finditer(plain, text)]
    assert [match.span() for match in re.finditer(longest_of([*tokens]), text)] == expected


def test_the_pattern_looks_at_few_branches():
    """Each group of alternatives holds one per first character, however many tokens there are."""
    pattern = longest_of([f"[unused{number}]" for number in range(5000)])
    widest = max(group.count("|") for group in re.findall(r"\(\?:[^()]*\)", pattern))
    assert widest <= 10 and re.fullmatch(pattern, "[unused4999]")
    deep = ["a" * length for length in range(1, 400)]  # deeper than Python's groups may be
    assert re.compile(longest_of(deep)).match("a" * 500).end() == 399


def test_adding_tokens_one_by_one_is_no_more_work_for_each(tokenizer):
    def lines_executed(count):
        fresh, executed = BertTokenizer(tokenizer.id_of_token), 0

        def trace(frame, event, argument):
            nonlocal executed
            executed += event == "line"
            return trace

        sys.settrace(trace)
        try:
            for number in range(count):
                fresh.add_tokens(f"<{number:03}>")
        finally:
            sys.settrace(None)
        assert len(fresh) == len(LINES) + count
        return executed

    assert lines_executed(400) <= 10 * lines_executed(40) + 1000  # quadratic: 100 times


def test_a_failed_addition_changes_nothing(tokenizer):
    before = tokenizer.get_vocab(), dict(tokenizer.token_of_id), tokenizer.added_tokens_decoder
    with pytest.raises(ValueError, match="found nowhere"):
        tokenizer.add_tokens(["<x>", "\u0301"])
    assert before == (
        tokenizer.get_vocab(), tokenizer.token_of_id, tokenizer.added_tokens_decoder
    )  # fmt: skip
