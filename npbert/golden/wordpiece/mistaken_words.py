"""Mistaken steps of the tokenizer from words to pieces."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from npbert.golden.wordpiece.steps import Piece, cut
from npbert.tokenizer.characters import ranges
from npbert.tokenizer.stages import LONGEST_WORD, Characters, isolate_punctuation

Vocabulary = dict[str, int]


# ---- words -------------------------------------------------------------------------------------


def with_empty_words(characters: Characters) -> list[Characters]:
    """Split at every space, so that what is between two of them is a word, even if it is empty."""
    spaces = [index for index, (character, _) in enumerate(characters) if character == " "]
    starts = [0, *(index + 1 for index in spaces)]
    return [characters[start:end] for start, end in zip(starts, [*spaces, len(characters)])]


def unless_empty(word: Characters) -> list[Characters]:
    return isolate_punctuation(word) or [word]


def empty_unknown(word: str, vocabulary: Vocabulary) -> list[Piece]:
    return cut(word, vocabulary) or [Piece("[UNK]", 0, 0)]


def left_together(word: Characters) -> list[Characters]:
    return [word] if word else []


def isolated(word: Characters, isolates: Callable[[str], bool]) -> list[Characters]:
    """Isolate the characters of which a function says so."""
    words: list[Characters] = [[]]
    for character, place in word:
        if isolates(character):
            words += [[(character, place)], []]
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


def is_punctuation(character: str) -> bool:
    return ord(character) in ranges("PUNCTUATION")


def in_runs(word: Characters) -> list[Characters]:
    words: list[Characters] = []
    for before, pair in zip(["", *(c for c, _ in word)], word):
        if before and is_punctuation(before) == is_punctuation(pair[0]):
            words[-1].append(pair)
        else:
            words.append([pair])
    return words


def punctuation_of_ascii(word: Characters) -> list[Characters]:
    return isolated(word, lambda c: c.isascii() and is_punctuation(c))


def punctuation_of_unicode(word: Characters) -> list[Characters]:
    return isolated(word, lambda c: unicodedata.category(c).startswith("P"))


def symbols_too(word: Characters) -> list[Characters]:
    return isolated(word, lambda c: is_punctuation(c) or unicodedata.category(c).startswith("S"))


def underscore_in_words(word: Characters) -> list[Characters]:
    return isolated(word, lambda c: c != "_" and is_punctuation(c))


# ---- pieces ------------------------------------------------------------------------------------


def cut_otherwise(
    word: str,
    vocabulary: Vocabulary,
    shortest: bool = False,
    unknown_to: Callable[[int, int], int] | None = None,
    longest: int = LONGEST_WORD,
    length: Callable[[str], int] = len,
) -> list[Piece]:
    """Cut a word into pieces from left to right, otherwise than it should be.

    shortest         take the shortest piece at each place
    unknown_to       tells for a place where no piece begins, and the end of the word, how much of
                     it becomes [UNK]; None: the whole word does
    longest, length  the limit to the length of a word, and how that is counted
    """
    unknown = [Piece("[UNK]", 0, len(word))]
    if length(word) > longest:
        return unknown
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(start + 1, len(word) + 1) if shortest else range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
        if end is not None:
            pieces.append(Piece(prefix + word[start:end], start, end))
        elif unknown_to is not None:
            end = unknown_to(start, len(word))
            pieces.append(Piece("[UNK]", start, end))
        else:
            return unknown
        start = end
    return pieces


def without_prefix(word: str, vocabulary: Vocabulary) -> list[Piece]:
    plain = {token: number for token, number in vocabulary.items() if not token.startswith("##")}
    inside = {f"##{token}": number for token, number in plain.items()}
    pieces = cut(word, {**plain, **inside})
    return [piece._replace(token=piece.token.removeprefix("##")) for piece in pieces]


def with_backtracking(word: str, vocabulary: Vocabulary) -> list[Piece]:
    """Cut a word so that it can be cut: at each place the longest piece that leads to the end."""
    best: dict[int, list[Piece] | None] = {len(word): []}
    for start in range(len(word) - 1, -1, -1):
        prefix, best[start] = "##" if start else "", None
        for end in range(len(word), start, -1):
            rest = best[end]
            if prefix + word[start:end] in vocabulary and rest is not None:
                best[start] = [Piece(prefix + word[start:end], start, end), *rest]
                break
    found = best[0] if len(word) <= LONGEST_WORD else None
    return [Piece("[UNK]", 0, len(word))] if found is None else found


def unknown_left_out(word: str, vocabulary: Vocabulary) -> list[Piece]:
    return [piece for piece in cut(word, vocabulary) if piece.token != "[UNK]"]
