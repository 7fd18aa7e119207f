"""BERT's tokenizer as plain definitions: one function per stage, in the order a text meets them.

    text -> find special tokens (added_tokens.py) -> clean -> space out CJK -> strip accents
         -> lower case -> find the tokens added to the vocabulary -> split at white space
         -> isolate punctuation -> greedy WordPiece -> rows (encoding.py)

The reference is the Rust library `tokenizers` with the settings of BERT's checkpoints; every stage
equals its counterpart there, oddities included. `Pipeline` puts the stages together. What the
tokenizer runs is caching_pipeline.py, which does the same faster.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from npbert.tokenizer.added_tokens import AddedToken, AddedTokens
from npbert.tokenizer.characters import combining_classes, decompositions, lower_case, ranges

# ---- the stages ----------------------------------------------------------------------------

# Text between two stages: every character, and the place of the character that it came from in
# the text that the caller gave.
Characters = list[tuple[str, int]]

LONGEST_WORD = 100  # characters; a longer word is unknown, as a whole


def clean(characters: Characters) -> Characters:
    """Remove control and format characters, private use and U+FFFD; make all white space " "."""
    removed, white_space = ranges("REMOVED"), ranges("WHITE_SPACE")
    return [
        (" " if ord(character) in white_space else character, place)
        for character, place in characters
        if ord(character) not in removed
    ]


def space_out_cjk(characters: Characters) -> Characters:
    """Put a space on either side of every ideograph, which makes it a word of its own."""
    cjk = ranges("CJK")
    spaced: Characters = []
    for character, place in characters:
        if ord(character) in cjk:
            spaced += [(" ", place), (character, place), (" ", place)]
        else:
            spaced.append((character, place))
    return spaced


def decompose(character: str) -> str:
    """Return the canonical decomposition of one character: "é" is "e" and U+0301."""
    syllable = ord(character) - 0xAC00
    if not 0 <= syllable < 19 * 21 * 28:
        return decompositions().get(character, character)
    # A Hangul syllable is one of 19 leading consonants, one of 21 vowels, and one of 27 trailing
    # consonants or none, numbered in this order.
    lead, vowel, trail = syllable // (21 * 28), syllable // 28 % 21, syllable % 28
    jamo = chr(0x1100 + lead) + chr(0x1161 + vowel)
    return jamo + chr(0x11A7 + trail) if trail else jamo


def strip_accents(characters: Characters) -> Characters:
    """Decompose every character, sort neighbouring marks canonically (NFD), remove the accents."""
    classes, marks = combining_classes(), ranges("MARKS")
    parts = [
        (part, number > 0)
        for character, _ in characters
        for number, part in enumerate(decompose(character))
    ]
    start = 0
    while start < len(parts):
        end = start + 1
        if parts[start][0] in classes:
            while end < len(parts) and parts[end][0] in classes:
                end += 1
            parts[start:end] = sorted(parts[start:end], key=lambda part: classes[part[0]])
        start = end
    # Marks that were sorted do not keep their places: as in the reference, the places are assigned
    # in the old order, a new one to every part that comes first in its decomposition.
    places = iter([place for _, place in characters])
    stripped: Characters = []
    place = 0
    for part, continues in parts:
        if not continues:
            place = next(places)
        if ord(part) not in marks:
            stripped.append((part, place))
    return stripped


def lower(characters: Characters) -> Characters:
    """Lower the case of every character by itself; so a final "Σ" becomes "σ", not "ς"."""
    table = lower_case()
    return [(small, place) for large, place in characters for small in table.get(large, large)]


def text_of(characters: Characters) -> str:
    """Return the characters as a string, without their places."""
    return "".join([character for character, _ in characters])


def split_white_space(characters: Characters) -> list[Characters]:
    """Split at spaces; cleaning has made a space of all other white space."""
    words: list[Characters] = [[]]
    for character, place in characters:
        if character == " ":
            words.append([])
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


def isolate_punctuation(word: Characters) -> list[Characters]:
    """Make every punctuation character a word of its own."""
    punctuation = ranges("PUNCTUATION")
    words: list[Characters] = [[]]
    for character, place in word:
        if ord(character) in punctuation:
            words += [[(character, place)], []]
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


def wordpiece(
    word: str, vocabulary: dict[str, int], longest: int = LONGEST_WORD
) -> list[tuple[int, int, int]] | None:
    """Cut a word greedily into the longest pieces that are in the vocabulary.

    A piece that does not begin the word is looked up with "##" in front. The result is (id, start,
    end) for each piece, or None if the word is unknown: if it is too long, or if no piece begins
    what is left of it. `longest` is at least the length of the longest piece.
    """
    if len(word) > LONGEST_WORD:
        return None
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(min(len(word), start + longest), start, -1):
            piece = vocabulary.get(prefix + word[start:end])
            if piece is not None:
                break
        else:
            return None
        pieces.append((piece, start, end))
        start = end
    return pieces


# ---- the stages put together ---------------------------------------------------------------


class Piece(NamedTuple):
    """A word piece, or a special or added token, in a text."""

    id: int
    start: int  # in characters of the text, as is `end`
    end: int
    word: int  # the number of its word; a special or added token counts as one
    text: str | None  # of an added token, as it was found, white space included; else None


class Part(NamedTuple):
    """A part of a text between two stages; `token` is the special or added token that it is."""

    characters: Characters
    token: AddedToken | None = None


class Normalizer:
    """The four stages from cleaning to lower case, as the tokenizer's settings have them.

    lowers      whether to lower the case
    strips      whether to strip accents
    spaces_out  whether to make every ideograph a word
    """

    def __init__(self, lowers: bool, strips: bool, spaces_out: bool) -> None:
        self.lowers, self.strips, self.spaces_out = lowers, strips, spaces_out

    def stages(self) -> list[tuple[str, Callable[[Characters], Characters], bool]]:
        """Return name and function of every stage, and whether it is switched on."""
        return [
            ("clean", clean, True),
            ("space_out_cjk", space_out_cjk, self.spaces_out),
            ("strip_accents", strip_accents, self.strips),
            ("lower", lower, self.lowers),
        ]

    def __call__(self, text: str) -> str:
        """Return the normalized text."""
        characters = [(character, 0) for character in text]
        for _, function, is_on in self.stages():
            characters = function(characters) if is_on else characters
        return text_of(characters)


class Pipeline:
    """All stages, with one vocabulary and one set of options: from a text to its pieces.

    vocabulary  tokens and their ids
    unknown     the id of a word that no pieces make up
    added       the special and added tokens; those in `ignored` are not looked for
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        unknown: int,
        added: AddedTokens,
        ignored: Container[str],
        normalizer: Normalizer,
    ) -> None:
        self.vocabulary, self.unknown, self.normalizer = vocabulary, unknown, normalizer
        self.longest_piece = max(map(len, vocabulary))
        self.id_of_added = dict(added.id_of)
        self.find_raw, self.find_normalized = added.finders(ignored)

    def stages(self, text: str) -> Iterator[tuple[str, list[Part]]]:
        """Take a text through all stages but WordPiece: yield each one's name and its result."""
        parts = [
            Part([(text[place], place) for place in range(start, end)], token)
            for start, end, token in self.find_raw(text)
        ]
        yield "find_raw", parts
        yield from self.stages_after_find_raw(parts)

    def stages_after_find_raw(self, parts: list[Part]) -> Iterator[tuple[str, list[Part]]]:
        for name, function, is_on in self.normalizer.stages():
            if is_on:
                parts = [part if part.token else Part(function(part.characters)) for part in parts]
            yield name, parts
        for name, split in (
            ("find_normalized", self.split_added_tokens),
            ("split_white_space", lambda characters: map(Part, split_white_space(characters))),
            ("isolate_punctuation", lambda characters: map(Part, isolate_punctuation(characters))),
        ):
            parts = [
                smaller
                for part in parts
                for smaller in ([part] if part.token else split(part.characters))
            ]
            yield name, parts

    def split_added_tokens(self, characters: Characters) -> list[Part]:
        """Split normalized characters at the added tokens that are found in them."""
        return [
            Part(characters[start:end], token)
            for start, end, token in self.find_normalized(text_of(characters))
        ]

    def pieces_of_word(self, word: str) -> list[tuple[int, int, int]]:
        """Cut a word into pieces, or make it one unknown piece: (id, start, end) for each."""
        pieces = wordpiece(word, self.vocabulary, self.longest_piece)
        return [(self.unknown, 0, len(word))] if pieces is None else pieces

    def pieces_of_words(self, words: list[Part], number: int = 0) -> list[Piece]:
        """Cut words into pieces; a token is one piece. The first word has the number `number`."""
        pieces: list[Piece] = []
        for word, (characters, token) in enumerate(words, number):
            text = text_of(characters)
            if token is None:
                cut, found = self.pieces_of_word(text), None
            else:
                cut, found = [(self.id_of_added[token.content], 0, len(text))], text
            pieces += [
                Piece(piece, characters[start][1], characters[end - 1][1] + 1, word, found)
                for piece, start, end in cut
            ]
        return pieces

    def pieces(self, text: str) -> list[Piece]:
        """Take a text through all stages: the definition of what the tokenizer does."""
        *_, (_, words) = self.stages(text)
        return self.pieces_of_words(words)

    def pieces_of_part(self, text: str, shift: int = 0, number: int = 0) -> list[Piece]:
        """Do the same for what lies between two tokens that were found in the raw text.

        The part starts at `shift`, and its first word has the number `number`.
        """
        part = Part([(character, shift + place) for place, character in enumerate(text)])
        *_, (_, words) = self.stages_after_find_raw([part])
        return self.pieces_of_words(words, number)
