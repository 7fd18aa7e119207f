"""Overlapping windows over a text that is longer than what a model can take."""

from __future__ import annotations


def windows(count: int, room: int, stride: int, side: str = "right") -> list[slice]:
    """Cut `count` pieces into windows of at most `room`, two neighbours sharing `stride` pieces.

    The last window ends where the text ends, and may be shorter; with side "left" they are cut
    from the end, last one first. At least one window is returned, be it empty. As in the tokenizers
    of transformers, whose `return_overflowing_tokens` gives these windows in this order.
    Raises ValueError for a stride that is not below the room.
    """
    if not 0 <= stride < room:
        raise ValueError(f"the stride is {stride}, expected 0 to {room - 1}: less than a window")
    found = [slice(0, min(room, count))]
    while found[-1].stop < count:
        start = found[-1].start + room - stride
        found.append(slice(start, min(start + room, count)))
    if side == "left":
        return [slice(count - window.stop, count - window.start) for window in found]
    return found


def covering_windows(count: int, room: int) -> list[slice]:
    """Cut `count` pieces into windows that overlap by half, all of them `room` long.

    The last one reaches back as far as it must; a text that has room in one window is one.
    """
    if count <= room:
        return [slice(0, count)]
    starts = [*range(0, count - room, max(1, room // 2)), count - room]
    return [slice(start, start + room) for start in starts]


def margin(place: int, window: slice, count: int) -> int:
    """Return how many pieces of a window lie between a place and the nearest cut in the text.

    The ends of the text are no cuts: there is nothing behind them that the model does not see.
    """
    before = place - window.start if window.start > 0 else count
    after = window.stop - 1 - place if window.stop < count else count
    return min(before, after)
