"""Mistaken steps of the tokenizer before words are split: special tokens to lower case."""

from __future__ import annotations

import re
import unicodedata

from npbert.golden.wordpiece.steps import ANY_SPECIAL, FoundParts, find_raw
from npbert.tokenizer import stages
from npbert.tokenizer.characters import lower_case, ranges
from npbert.tokenizer.stages import Characters, decompose, text_of

# ---- special tokens ----------------------------------------------------------------------------


def whole_text(text: str) -> FoundParts:
    return [(0, len(text), "")] if text else []


def find_in_any_case(text: str) -> FoundParts:
    return find_raw(text, flags=re.IGNORECASE)


def find_between_spaces(text: str) -> FoundParts:
    return find_raw(text, rf"(?<!\S)(?:{ANY_SPECIAL})(?!\S)")


# ---- cleaning ----------------------------------------------------------------------------------


def cleaned(characters: Characters, removed: str) -> Characters:
    """Clean as the right step does, but remove only what a pattern of one character matches."""
    return [
        (" " if ord(c) in ranges("WHITE_SPACE") else c, place)
        for c, place in characters
        if not (ord(c) in ranges("REMOVED") and re.fullmatch(removed, c))
    ]


def keep_controls(characters: Characters) -> Characters:
    return cleaned(characters, "[\x00\ufffd]")


def keep_replacement(characters: Characters) -> Characters:
    return cleaned(characters, "(?s:[^\ufffd])")


def keep_format_characters(characters: Characters) -> Characters:
    return cleaned(characters, "[\x00-\x1f\x7f-\x9f\ufffd]")


def controls_to_spaces(characters: Characters) -> Characters:
    removed = ranges("REMOVED")
    return stages.clean([(" " if ord(c) in removed else c, place) for c, place in characters])


def remove_unassigned(characters: Characters) -> Characters:
    cleaned = stages.clean(characters)
    return [(c, place) for c, place in cleaned if unicodedata.category(c) != "Cn"]


def white_space_of_controls(characters: Characters) -> Characters:
    spaces = "\x0b\x0c\x85"
    return stages.clean([(" " if c in spaces else c, place) for c, place in characters])


def remove_tabs(characters: Characters) -> Characters:
    return stages.clean([pair for pair in characters if pair[0] not in "\t\n\r"])


def white_space_of_ascii(characters: Characters) -> Characters:
    removed = ranges("REMOVED")
    return [
        (" " if character in "\t\n\r" else character, place)
        for character, place in characters
        if ord(character) not in removed
    ]


# ---- ideographs --------------------------------------------------------------------------------


def space_out(
    characters: Characters, first: int = 0, last: int = 0x10FFFF, also: str = ""
) -> Characters:
    """Put spaces around ideographs between two code points, and what is in a range "a-z"."""
    spaced: Characters = []
    for character, place in characters:
        is_cjk = first <= ord(character) <= last and ord(character) in ranges("CJK")
        if is_cjk or (also and re.fullmatch(f"[{also}]", character)):
            spaced += [(" ", place), (character, place), (" ", place)]
        else:
            spaced.append((character, place))
    return spaced


# ---- accents -----------------------------------------------------------------------------------


def without_decomposition(characters: Characters) -> Characters:
    marks = ranges("MARKS")
    return [(c, place) for c, place in characters if ord(c) not in marks]


def only_decomposed(characters: Characters) -> Characters:
    return [(part, place) for c, place in characters for part in decompose(c)]


def normalized_as(characters: Characters, form: str, marks: str = "Mn") -> Characters:
    """Normalize every character by a form of Unicode, and remove what is in a category."""
    return [
        (part, place)
        for c, place in characters
        for part in unicodedata.normalize(form, c)  # type: ignore[arg-type]
        if not unicodedata.category(part).startswith(marks)
    ]


def composed_again(characters: Characters) -> Characters:
    stripped = stages.strip_accents(characters)
    composed: Characters = []
    for character, place in stripped:
        pair = unicodedata.normalize("NFC", composed[-1][0] + character) if composed else ""
        if len(pair) == 1:
            composed[-1] = (pair, composed[-1][1])
        else:
            composed.append((character, place))
    return composed


def only_common_accents(characters: Characters) -> Characters:
    return [(c, i) for c, i in only_decomposed(characters) if not "\u0300" <= c <= "\u036f"]


SIMPLE = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae", "Æ": "AE",
     "ı": "i"}
)  # fmt: skip


def simplified(characters: Characters) -> Characters:
    stripped = stages.strip_accents(characters)
    return [(part, place) for c, place in stripped for part in c.translate(SIMPLE)]


# ---- lower case --------------------------------------------------------------------------------


def lower_words(characters: Characters) -> Characters:
    lowered = text_of(characters).lower()
    places = [place for c, place in characters for _ in c.lower()]
    return list(zip(lowered, places, strict=True))


def fold(characters: Characters) -> Characters:
    return [(small, place) for c, place in characters for small in c.casefold()]


def lower_ascii(characters: Characters) -> Characters:
    return [(c.lower() if c.isascii() else c, place) for c, place in characters]


def lower_to_one(characters: Characters) -> Characters:
    table = lower_case()
    return [(table.get(c, c)[0], place) for c, place in characters]


def lower_turkish(characters: Characters) -> Characters:
    return [
        pair
        for c, place in characters
        for pair in ([("ı", place)] if c == "I" else stages.lower([(c, place)]))
    ]
