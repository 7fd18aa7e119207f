"""The labels of restoration: what a lower-case word without punctuation needs to be mended.

One label stands for one word: how it is written, and the mark that follows it, as in "lower",
"Capital." or "UPPER,". Training takes written text apart into words and labels; mending puts
predicted labels back:

    "Hello there, NASA."    take_apart ->   hello    there    nasa
                            <- apply        Capital  lower,   UPPER.

A word is what stands between white space and dashes, without the quotation marks, brackets and
punctuation at its ends, if it has a letter or a digit: "don't", "well-known", "3.5" and "$100" are
words. A dash between two words counts as a comma after the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CASES = ("lower", "Capital", "UPPER")
MARKS = ("", ",", ".", "?", "!", ";", ":")
LABELS = tuple(case + mark for case in CASES for mark in MARKS)  # a label's place is its class
_PARTS = {case + mark: (case, mark) for case in CASES for mark in MARKS}

_DASHES = {ord(dash): "," for dash in "–—"}
_POSSESSIVE = re.compile(r"['’]s$", re.IGNORECASE)
_CHUNK = re.compile(r"(?:(?!--)[^\s–—])+")  # a dash parts words, a hyphen does not
_CLOSING = "\"'”’)]}»›*_"
_EDGES = ",.?!;:…" + "\"'“”‘’„‚`()[]{}<>«»‹›*_-"


def find_words(text: str) -> list[tuple[int, int]]:
    """Return where each word of a text starts and ends, in characters."""
    spans = []
    for chunk in _CHUNK.finditer(text):
        word = chunk.group()
        start = chunk.start() + len(word) - len(word.lstrip(_EDGES))
        end = chunk.start() + len(word.rstrip(_EDGES))
        if any(map(str.isalnum, text[start:end])):
            spans.append((start, end))
    return spans


def take_apart(text: str) -> tuple[list[str], list[str]]:
    """Return the words of a written text in lower case, and the label of each.

    Of several marks after a word the first counts: '"Well," he said...' has "Capital,", "lower",
    "lower.". Quotation marks, brackets and dashes are lost.
    """
    spans = find_words(text)
    words, labels = [], []
    for (start, end), following in zip(spans, marks_after(text, spans)):
        words.append(bare(text[start:end]))
        labels.append(label_of_word(text[start:end], following))
    return words, labels


def bare(word: str) -> str:
    """Return a word as a model reads it: in lower case, with a straight apostrophe."""
    return word.lower().replace("’", "'")


def marks_after(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """Return for each word the first mark between it and the next word, "" where there is none."""
    ends = [*(start for start, _ in spans[1:]), len(text)]
    between = [text[end:stop].replace("--", "—") for (_, end), stop in zip(spans, ends)]
    between = [part.translate(_DASHES) for part in between]
    return [next((c for c in part if c in MARKS), "") for part in between]


def label_of_word(word: str, following: str = "") -> str:
    """Return the label of a word as it is written, and the punctuation that follows it.

    "Capital" is a word whose first letter is one, "UPPER" a word of at least two letters that are
    all capitals, but for an 's; what neither can say ("iPhone") is "lower". Raises ValueError for a
    mark that no label has.
    """
    if following not in MARKS:
        raise ValueError(f"following is {following!r}, expected one of {MARKS}")
    root = _POSSESSIVE.sub("", word)
    letters = [c for c in root if c.lower() != c or c.upper() != c]
    capitals = [c.lower() != c for c in letters]
    if len(letters) > 1 and all(capitals):
        return "UPPER" + following
    return ("Capital" if capitals and capitals[0] else "lower") + following


def mend_word(word: str, label: str) -> tuple[str, str]:
    """Return a lower-case word in the case that its label asks for, and the mark to follow it."""
    if label not in _PARTS:
        raise ValueError(f"label is {label!r}, expected one of {', '.join(LABELS)}")
    case, mark = _PARTS[label]
    if case == "UPPER":
        root = _POSSESSIVE.sub("", word)
        return root.upper() + word[len(root) :], mark
    if case == "Capital":
        for place, c in enumerate(word):
            if c.upper() != c:
                return word[:place] + c.upper() + word[place + 1 :], mark
    return word, mark


def apply(words: Iterable[str], labels: Iterable[str]) -> str:
    """Return the text that lower-case words become by their labels, one space between two words."""
    return " ".join("".join(mend_word(*pair)) for pair in zip(words, labels, strict=True))


def mend(text: str, labels: list[str]) -> str:
    """Return the text with every word (of `find_words`) mended by its label, the rest as it is.

    What is there already stays: a word with a capital letter, and a mark after a word. So mending
    a mended text by the same labels changes nothing.
    """
    spans = find_words(text)
    parts, done = [], 0
    for (start, end), mark, label in zip(spans, marks_after(text, spans), labels, strict=True):
        word = text[start:end]
        mended, new_mark = mend_word(word, label)
        stop = end
        while stop < len(text) and text[stop] in _CLOSING:  # a mark stands after what closes
            stop += 1
        parts += [text[done:start], mended if word.lower() == word else word, text[end:stop]]
        parts.append("" if mark else new_mark)
        done = stop
    return "".join([*parts, text[done:]])
