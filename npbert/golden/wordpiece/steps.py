"""The tokenizer with steps that can be exchanged: right as it stands, and mistaken on purpose.

It gives what npbert's tokenizer gives, plainly and slowly. A mistake of a port is the same with one
step in another's place (mistakes.py), and so a port's ids show which mistake it makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from npbert.tokenizer import stages
from npbert.tokenizer.stages import Characters, text_of
from npbert.tokenizer.truncation import lengths_that_fit

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ANY_SPECIAL = "|".join(map(re.escape, SPECIAL))
NORMALIZING = ("clean", "space_out_cjk", "strip_accents", "lower")
STAGES = ("find_raw", *NORMALIZING, "split_white_space", "isolate_punctuation", "wordpiece")
ROW = ("ids", "type_ids", "offsets", "byte_offsets")  # one entry for every token of the row
FIELDS = (*STAGES, *ROW)  # in the order in which they are computed

Values = dict[str, Any]
FoundParts = list[tuple[int, int, str]]


@dataclass(frozen=True)
class Case:
    """One text or pair, and how it is to be tokenized.

    name       "SETTINGS/NAME"
    settings   the name of the settings, one of those of the kit
    text_pair  the second text of a pair, or None
    max_length, truncation
               cut the row to so many tokens, special ones included; "longest_first", "only_first"
               or "only_second". Without a max_length nothing is cut
    add_special_tokens
               whether [CLS] and [SEP] are added
    script     what the text is written in
    traps      the kinds of mistakes that the text is there for
    """

    name: str
    settings: str
    text: str
    text_pair: str | None = None
    max_length: int | None = None
    truncation: str | None = None
    add_special_tokens: bool = True
    script: str = "Latin"
    traps: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        return [self.text] if self.text_pair is None else [self.text, self.text_pair]


class Part(NamedTuple):
    """A part of a text between two stages; `token` is the special token that it is, or ""."""

    characters: Characters
    token: str = ""


class Piece(NamedTuple):
    """A token with its span in the text that was given, in characters."""

    token: str
    start: int
    end: int


class Slot(NamedTuple):
    """A place in a row: a token, its type id, its span, and the number of its text or None."""

    token: str
    type_id: int
    start: int = 0
    end: int = 0
    sequence: int | None = None


# ---- the right steps ---------------------------------------------------------------------------


def find_raw(text: str, pattern: str = ANY_SPECIAL, flags: int = 0) -> FoundParts:
    """Find special tokens as they stand: (start, end, the token or "") for every part.

    Mistakes find them by another pattern, or in another case, as the same tokens.
    """
    found, start = [], 0
    for match in re.finditer(pattern, text, flags):
        found += [(start, match.start(), ""), (*match.span(), match[0].upper())]
        start = match.end()
    return [part for part in [*found, (start, len(text), "")] if part[0] < part[1]]


def cut(word: str, vocabulary: dict[str, int]) -> list[Piece]:
    """Cut a word greedily into pieces, or make it one unknown piece."""
    pieces = stages.wordpiece(word, vocabulary)
    if pieces is None:
        return [Piece("[UNK]", 0, len(word))]
    return [
        Piece(("##" if start else "") + word[start:end], start, end) for _, start, end in pieces
    ]


def truncate(rows: list[list[Piece]], case: Case) -> list[list[Piece]]:
    """Cut the pieces of one or two texts to what there is room for."""
    if case.max_length is None:
        return rows
    room = case.max_length - (len(rows) + 1 if case.add_special_tokens else 0)
    lengths = [len(row) for row in rows]
    excess = sum(lengths) - room
    if excess <= 0:
        return rows
    if len(rows) == 1:
        kept = [room]
    elif case.truncation == "longest_first":
        kept = [*lengths_that_fit(lengths[0], lengths[1], room)]
    else:
        first = case.truncation == "only_first"
        kept = [lengths[0] - excess * first, lengths[1] - excess * (not first)]
    return [row[:length] for row, length in zip(rows, kept)]


def lay_out(rows: list[list[Piece]], case: Case) -> list[Slot]:
    """Make a row: [CLS] first [SEP], and for a pair second [SEP] with the type id 1."""
    special = case.add_special_tokens
    slots = [Slot("[CLS]", 0)] if special else []
    for number, pieces in enumerate(rows):
        slots += [Slot(token, number, start, end, number) for token, start, end in pieces]
        slots += [Slot("[SEP]", number)] if special else []
    return slots


def in_characters(text: str, start: int, end: int) -> tuple[int, int]:
    return start, end


def in_bytes(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span in bytes of UTF-8."""
    return len(text[:start].encode()), len(text[:end].encode())


@dataclass(frozen=True)
class Steps:
    """Every step, each of which may be exchanged (`dataclasses.replace`).

    switches         tells for the settings which of the four normalizing stages run
    normalized       what else happens to the parts between normalizing and splitting: nothing
    offsets, byte_offsets
                     turn a span in characters of the text into what the row holds
    """

    find_raw: Callable[[str], FoundParts] = find_raw
    clean: Callable[[Characters], Characters] = stages.clean
    space_out_cjk: Callable[[Characters], Characters] = stages.space_out_cjk
    strip_accents: Callable[[Characters], Characters] = stages.strip_accents
    lower: Callable[[Characters], Characters] = stages.lower
    switches: Callable[[Mapping[str, bool]], Mapping[str, bool]] = lambda settings: {
        "space_out_cjk": settings["tokenize_chinese_chars"],
        "strip_accents": settings["strip_accents"],
        "lower": settings["do_lower_case"],
    }
    normalized: Callable[[list[Part]], list[Part]] = lambda parts: parts
    split_white_space: Callable[[Characters], list[Characters]] = stages.split_white_space
    isolate_punctuation: Callable[[Characters], list[Characters]] = stages.isolate_punctuation
    cut: Callable[[str, dict[str, int]], list[Piece]] = cut
    truncate: Callable[[list[list[Piece]], Case], list[list[Piece]]] = truncate
    lay_out: Callable[[list[list[Piece]], Case], list[Slot]] = lay_out
    offsets: Callable[[str, int, int], tuple[int, int]] = in_characters
    byte_offsets: Callable[[str, int, int], tuple[int, int]] = in_bytes


RIGHT = Steps()


# ---- from a case to its values -----------------------------------------------------------------


def run(
    steps: Steps, vocabulary: dict[str, int], settings: Mapping[str, bool], case: Case
) -> Values:
    """Tokenize a case: return every field of the row and, of a single text, every stage."""
    values: Values = {}
    rows = []
    for text in case.texts:
        made, pieces = stages_of(steps, vocabulary, settings, text)
        rows.append(pieces)
        if case.text_pair is None:
            values |= made
    slots = steps.lay_out(steps.truncate(rows, case), case)
    values["ids"] = [vocabulary[slot.token] for slot in slots]
    values["type_ids"] = [slot.type_id for slot in slots]
    for name, place in (("offsets", steps.offsets), ("byte_offsets", steps.byte_offsets)):
        values[name] = [
            [0, 0]
            if slot.sequence is None
            else [*place(case.texts[slot.sequence], slot.start, slot.end)]
            for slot in slots
        ]
    return values


def stages_of(
    steps: Steps, vocabulary: dict[str, int], settings: Mapping[str, bool], text: str
) -> tuple[Values, list[Piece]]:
    """Take one text through the stages: the texts of the parts after each, and the pieces."""
    parts = [
        Part([(text[place], place) for place in range(start, end)], token)
        for start, end, token in steps.find_raw(text)
    ]
    made = {"find_raw": texts_of(parts)}
    switches = steps.switches(settings)
    for name in NORMALIZING:
        if switches.get(name, True):
            function = getattr(steps, name)
            parts = [part if part.token else Part(function(part.characters)) for part in parts]
        made[name] = texts_of(parts)
    parts = steps.normalized(parts)
    for name in ("split_white_space", "isolate_punctuation"):
        split = getattr(steps, name)
        parts = [
            smaller
            for part in parts
            for smaller in ([part] if part.token else map(Part, split(part.characters)))
        ]
        made[name] = texts_of(parts)
    pieces = []
    for characters, token in parts:
        word = text_of(characters)
        for piece, start, end in (
            [Piece(token, 0, len(word))] if token else steps.cut(word, vocabulary)
        ):
            known = piece if piece in vocabulary else "[UNK]"
            inside = characters[start:end]
            places = (inside[0][1], inside[-1][1] + 1) if inside else (0, 0)
            pieces.append(Piece(known, *places))
    made["wordpiece"] = [piece.token for piece in pieces]
    return made, pieces


def texts_of(parts: list[Part]) -> list[str]:
    return [text_of(part.characters) for part in parts]
