"""The labels of restoration: taking a text apart and putting it together are inverses."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert.tasks.restoration import (
    CASES,
    LABELS,
    MARKS,
    apply,
    find_words,
    label_of_word,
    mend,
    take_apart,
)

# Two letters at least: of one letter nobody can say whether it is "Capital" or "UPPER".
WORDS = st.from_regex(r"[a-zéüñđа-я][a-zéüñđа-я0-9'$%.-]{0,6}[a-zéüñđа-я]", fullmatch=True).filter(
    lambda word: "--" not in word
)
LABELLED = st.lists(st.tuples(WORDS, st.sampled_from(LABELS)), max_size=8)


def test_there_is_a_label_for_each_case_and_mark():
    assert len(LABELS) == len(set(LABELS)) == len(CASES) * len(MARKS) == 21
    assert LABELS[0] == "lower"


@given(LABELLED)
def test_taking_apart_undoes_putting_together(labelled):
    words, labels = [list(column) for column in zip(*labelled)] or [[], []]
    assert take_apart(apply(words, labels)) == (words, labels)


@given(LABELLED)
def test_putting_together_undoes_taking_apart(labelled):
    """It holds for texts that labels can say: one space, one mark, no quotes, no mIxed case."""
    text = apply(*zip(*labelled)) if labelled else ""
    assert apply(*take_apart(text)) == text


@given(st.text(alphabet=string.ascii_letters + " ,.?!;:'\"()-—\n", max_size=40), st.data())
def test_mending_keeps_what_is_there_and_is_done_after_once(text, data):
    count = len(find_words(text))
    labels = data.draw(st.lists(st.sampled_from(LABELS), min_size=count, max_size=count))
    mended = mend(text, labels)
    assert [c for c in mended.lower() if c not in MARKS] == [
        c for c in text.lower() if c not in MARKS
    ]
    assert mend(mended, labels) == mended


@given(st.text(max_size=30))
def test_any_text_can_be_taken_apart(text):
    words, labels = take_apart(text)
    assert len(words) == len(labels) == len(find_words(text))
    assert set(labels) <= set(LABELS)


EXAMPLES = {
    "Hello there, NASA.": ("hello there nasa", "Capital lower, UPPER."),
    "I am A. Nobody!": ("i am a nobody", "Capital lower Capital. Capital!"),
    "“Well,” he said... why?": ("well he said why", "Capital, lower lower. lower?"),
    "It cost $3.50 (or 1,000%): ok": (
        "it cost $3.50 or 1,000% ok",
        "Capital lower lower lower lower: lower",
    ),
    "the U.S. is well-known—isn't it?": (
        "the u.s is well-known isn't it",
        "lower UPPER. lower lower, lower lower?",
    ),
    "spaced , out ; tokens .": ("spaced out tokens", "lower, lower; lower."),
    "my iPhone, McDonald's": ("my iphone mcdonald's", "lower lower, Capital"),
    "'Tis 1990 --- O'Brien": ("tis 1990 o'brien", "Capital lower, Capital"),
    "NASA’s men, I’M IT'S": ("nasa's men i'm it's", "UPPER lower, UPPER UPPER"),
    ' -- … "': ("", ""),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_words_and_labels_of_written_text(text):
    words, labels = EXAMPLES[text]
    assert take_apart(text) == (words.split(), labels.split())


@pytest.mark.parametrize(
    "text, labels, mended",
    [
        ("hello  (there)\nworld", "Capital lower, UPPER.", "Hello  (there),\nWORLD."),
        ("Hello, there", "lower. lower.", "Hello, there."),
        ('he said "no" twice', "Capital lower lower, lower.", 'He said "no", twice.'),
        ("my iPhone — ßa", "lower Capital, Capital", "my iPhone — SSa"),
        ("nasa's -- it’s", "UPPER. UPPER.", "NASA's -- IT’s."),
        ("", "", ""),
    ],
)
def test_a_text_is_mended_in_place(text, labels, mended):
    assert mend(text, labels.split()) == mended


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="label is 'Upper', expected one of lower, lower,,"):
        apply(["a"], ["Upper"])
    with pytest.raises(ValueError, match="following is '-', expected one of"):
        label_of_word("a", "-")
    with pytest.raises(ValueError):
        apply(["a", "b"], ["lower"])
