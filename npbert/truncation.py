"""Cutting rows to a length: which text gives up how much, and the windows it is cut into."""

from __future__ import annotations

from functools import partial

from npbert.encoding import Pieces, Span


def lengths_that_fit(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many pieces of a pair stay, under "longest_first", if there is room for fewer.

    The shorter one stays whole if the longer one can make up for it. Otherwise the room is halved,
    and the odd piece goes to the second, or to the first if that was the longer.
    """
    shorter, longer = sorted((first, second))
    if 2 * shorter > room:
        shorter, longer = room // 2, room - room // 2
    else:
        longer = room - shorter
    return (longer, shorter) if first > second else (shorter, longer)


def windows(count: int, length: int, stride: int, side: str) -> list[Span]:
    """Return the spans into which `count` pieces are cut: `length` each, overlapping by `stride`.

    The first window is what stays of the text, the others are its overflow. With side "left" the
    windows begin at the end of the text. A length of 0 leaves all pieces in one window.
    """
    if length == 0:
        return [(0, 0), (0, count)]
    spans: list[Span] = []
    for shift in range(0, count, length - stride):
        if side == "right":
            spans.append((shift, min(shift + length, count)))
            if spans[-1][1] == count:
                break
        else:
            spans.append((max(0, count - shift - length), count - shift))
            if spans[-1][0] == 0:
                break
    return spans


def shorten(pieces: Pieces, length: int, stride: int, side: str) -> Pieces:
    """Keep `length` pieces, without those at the end (side "right") or start; remember the others.

    A stride that is not less than the length is a ValueError: windows could not move on.
    """
    count = len(pieces.ids)
    if length >= count:
        return pieces
    if 0 < length <= stride:
        raise ValueError(
            f"stride is {stride}, expected less than the {length} word pieces of this text for "
            "which max_length has room"
        )
    start = count - length if side == "left" else 0
    kept = pieces.window(start, start + length)
    # Without a list of windows yet: few ask for what was cut off.
    kept.overflowing = partial(_overflowing, pieces, length, stride, side)
    return kept


def _overflowing(pieces: Pieces, length: int, stride: int, side: str) -> list[Pieces]:
    return pieces.windows(windows(len(pieces.ids), length, stride, side)[1:])


def truncate(
    first: Pieces, second: Pieces | None, room: int, strategy: str, side: str, stride: int = 0
) -> tuple[Pieces, Pieces | None]:
    """Cut one text or a pair so that together they are at most `room` pieces long.

    `strategy` is "longest_first", "only_first" or "only_second", `side` where pieces are removed.
    A text that would have to give up all its pieces, or that is not there, is a ValueError; with
    no room at all everything goes, whatever the strategy.
    """
    excess = len(first.ids) + (0 if second is None else len(second.ids)) - room
    if excess <= 0:
        return first, second
    if second is None and (room == 0 or strategy != "only_second"):
        return shorten(first, room, stride, side), None
    if second is None:
        raise ValueError(f'truncation is "{strategy}", but there is no second text to truncate')
    if room == 0 or strategy == "longest_first":
        kept, kept_second = lengths_that_fit(len(first.ids), len(second.ids), room)
        return shorten(first, kept, stride, side), shorten(second, kept_second, stride, side)
    cut = first if strategy == "only_first" else second
    if len(cut.ids) <= excess:
        raise ValueError(
            f'truncation is "{strategy}", but that text has {len(cut.ids)} word pieces and '
            f"{excess} are to be removed: use another strategy or a larger max_length"
        )
    kept_pieces = shorten(cut, len(cut.ids) - excess, stride, side)
    return (kept_pieces, second) if cut is first else (first, kept_pieces)
