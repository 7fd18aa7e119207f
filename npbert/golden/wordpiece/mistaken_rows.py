"""Mistaken steps from pieces to rows: special tokens, pairs, truncation, places."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from npbert.golden.wordpiece.steps import Case, Part, Piece, Slot, lay_out, truncate

Rows = list[list[Piece]]


# ---- special tokens and pairs ------------------------------------------------------------------


def without_special_tokens(rows: Rows, case: Case) -> list[Slot]:
    return lay_out(rows, replace(case, add_special_tokens=False))


def with_special_tokens(rows: Rows, case: Case) -> list[Slot]:
    return lay_out(rows, replace(case, add_special_tokens=True))


def without_final_sep(rows: Rows, case: Case) -> list[Slot]:
    slots = lay_out(rows, case)
    return slots[:-1] if case.add_special_tokens else slots


def between(rows: Rows, case: Case, tokens: tuple[str, ...]) -> list[Slot]:
    """Lay a row out with other special tokens between the texts of a pair."""
    slots = lay_out(rows, case)
    if not case.add_special_tokens or len(rows) == 1:
        return slots
    middle = 1 + len(rows[0])
    return [*slots[:middle], *(Slot(token, 0) for token in tokens), *slots[middle + 1 :]]


def with_types(rows: Rows, case: Case, types: tuple[int, int, int, int]) -> list[Slot]:
    """Lay a row out with other type ids: of the first text, its [SEP], the second text, its [SEP].

    A single text has those of the first throughout.
    """
    slots = lay_out(rows, case)
    closes = len(rows[0]) + 1
    found = []
    for place, slot in enumerate(slots):
        is_last = place == len(slots) - 1 and case.add_special_tokens
        if len(rows) == 1 or (slot.type_id == 0 and (slot.sequence == 0 or place == 0)):
            number = types[0]
        elif slot.sequence is None and place == closes:
            number = types[1]
        else:
            number = types[3] if is_last else types[2]
        found.append(slot._replace(type_id=number))
    return found


# ---- truncation --------------------------------------------------------------------------------


def whole(rows: Rows, case: Case) -> Rows:
    return rows


def without_room(rows: Rows, case: Case) -> Rows:
    return truncate(rows, replace(case, add_special_tokens=False))


def cut_afterwards(rows: Rows, case: Case) -> list[Slot]:
    return lay_out(rows, case)[: case.max_length]


def at_the_start(rows: Rows, case: Case) -> Rows:
    kept = truncate(rows, case)
    return [row[len(row) - len(part) :] for row, part in zip(rows, kept)]


def second_first(rows: Rows, case: Case) -> Rows:
    room = sum(map(len, truncate(rows, case)))
    first = rows[0][:room]
    return [first, *(row[: room - len(first)] for row in rows[1:])]


def odd_piece_to_second(rows: Rows, case: Case) -> Rows:
    kept = truncate(rows, case)
    if len(rows) == 2 and case.truncation == "longest_first":
        first, second = map(len, kept)
        if first == second + 1 and len(rows[1]) > second:
            return [rows[0][: first - 1], rows[1][: second + 1]]
    return kept


def in_proportion(rows: Rows, case: Case) -> Rows:
    room, whole = sum(map(len, truncate(rows, case))), sum(map(len, rows))
    first = rows[0][: round(len(rows[0]) * room / whole)] if whole else rows[0]
    return [first, *(row[: room - len(first)] for row in rows[1:])]


# ---- places ------------------------------------------------------------------------------------


def in_utf16(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span in units of UTF-16."""
    return len(text[:start].encode("utf-16-le")) // 2, len(text[:end].encode("utf-16-le")) // 2


def counted_anew(parts: list[Part]) -> list[Part]:
    """Let every character have its place in the normalized text."""
    places = count()
    return [
        part._replace(characters=[(character, next(places)) for character, _ in part.characters])
        for part in parts
    ]


def without_last(place: tuple[int, int]) -> tuple[int, int]:
    """Return a span whose end is its last unit."""
    start, end = place
    return start, max(start, end - 1)
