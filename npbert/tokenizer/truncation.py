"""The word pieces of a text, their truncation to a length, and windows of what is cut off."""

from __future__ import annotations

from typing import Any, Protocol

Span = tuple[int, int]  # start and end, in characters or in tokens; the end is not part of it


class Places(Protocol):
    """Three lists, by index."""

    def __getitem__(self, index: int, /) -> list[Any]: ...


class Pieces:
    """The word pieces of one text: their ids and their places, which may be computed when needed.

    `places` has three lists as items 0, 1 and 2, with an entry for every piece: its span in the
    text, the number of its word, and the token as a string.
    """

    __slots__ = ("_cut", "ids", "places")

    def __init__(self, ids: list[int], places: Places) -> None:
        self.ids = ids
        self.places = places
        # After `shorten`: the ids of all pieces, and the length, stride and side of the cut.
        self._cut: tuple[list[int], int, int, str] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def shorten(self, length: int, stride: int, side: str) -> None:
        """Keep `length` pieces; remove those at the end (side "right") or at the start ("left").

        A stride that is not less than the length is a ValueError, since windows could not advance.
        """
        count = len(self.ids)
        if length >= count:
            return
        if 0 < length <= stride:
            raise ValueError(
                f"stride is {stride}, expected less than the {length} word pieces of this text "
                "for which max_length has room"
            )
        self._cut = self.ids, length, stride, side
        self.ids = self.ids[count - length :] if side == "left" else self.ids[:length]

    def overflowing(self) -> list[Pieces]:
        """Return what was cut off, in windows as long as what is kept."""
        if self._cut is None:
            return []
        ids, length, stride, side = self._cut
        spans = windows(len(ids), length, stride, side)[1:]
        return [Pieces(ids[start:end], Window(self.places, start, end)) for start, end in spans]

    def kept(self, column: list[Any]) -> list[Any]:
        """Return the part of a column that belongs to the pieces that were kept."""
        if self._cut is None:
            return column
        start = len(column) - len(self.ids) if self._cut[3] == "left" else 0
        return column[start : start + len(self.ids)]

    def offsets(self) -> list[Span]:
        """Return for every piece where it starts and ends in the text, in characters."""
        return self.kept(self.places[0])

    def word_ids(self) -> list[int]:
        """Return for every piece the number of its word."""
        return self.kept(self.places[1])

    def tokens(self) -> list[str]:
        """Return every piece as a string: an added token as it was found, white space included."""
        return self.kept(self.places[2])


class Window:
    """The places of the pieces from `start` to `end`."""

    def __init__(self, places: Places, start: int, end: int) -> None:
        self.places, self.start, self.end = places, start, end

    def __getitem__(self, index: int) -> list[Any]:
        return self.places[index][self.start : self.end]


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


def lengths_that_fit(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many pieces of each text of a pair "longest_first" keeps.

    The shorter text stays whole if the longer one can be cut enough. Otherwise each gets half the
    room; an odd piece goes to the second text, or to the first if that is the longer one.
    """
    shorter, longer = sorted((first, second))
    if 2 * shorter > room:
        shorter, longer = room // 2, room - room // 2
    else:
        longer = room - shorter
    return (longer, shorter) if first > second else (shorter, longer)


def truncate(
    first: Pieces, second: Pieces | None, room: int, strategy: str, side: str, stride: int = 0
) -> None:
    """Cut a text or a pair to at most `room` pieces in all.

    `strategy` is "longest_first", "only_first" or "only_second"; pieces are removed at `side`.
    If the text to cut is missing or would lose all its pieces, that is a ValueError. With a room of
    0 all pieces are removed, whatever the strategy.
    """
    excess = len(first.ids) + (0 if second is None else len(second.ids)) - room
    if excess <= 0:
        return
    if second is None:
        if room > 0 and strategy == "only_second":
            raise ValueError(f'truncation is "{strategy}", but there is no second text to truncate')
        first.shorten(room, stride, side)
    elif room == 0 or strategy == "longest_first":
        kept, kept_second = lengths_that_fit(len(first.ids), len(second.ids), room)
        first.shorten(kept, stride, side)
        second.shorten(kept_second, stride, side)
    else:
        cut = first if strategy == "only_first" else second
        if len(cut.ids) <= excess:
            raise ValueError(
                f'truncation is "{strategy}", but that text has {len(cut.ids)} word pieces and '
                f"{excess} are to be removed: use another strategy or a larger max_length"
            )
        cut.shorten(len(cut.ids) - excess, stride, side)
