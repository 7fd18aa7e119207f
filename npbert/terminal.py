"""The terminal: any text shown safely, in columns and lines of a width; a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

NARROWEST = 8  # columns; no line is made shorter than this


class Cell(NamedTuple):
    """One character of a text as it is shown, and what stands under it."""

    shown: str  # itself, or an escape
    width: int  # in columns
    mark: str  # as wide as the character


def shown(character: str) -> str:
    """Return a character, or an escape if showing it would show nothing or steer the terminal."""
    return character if character.isprintable() else ascii(character)[1:-1]


def width_of(text: str) -> int:
    """Return how many columns a text takes that has been through `shown`."""
    return len(text) if text.isascii() else sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    import unicodedata  # for the screen alone: the tokenizer's tables are its own

    if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":
        return 0  # drawn over the character before it, as the vowels of Hangul are
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def counted(number: int, what: str) -> str:
    """Return "1 text" or "2 texts"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def padded(text: str, width: int) -> str:
    """Fill a text up with spaces to a number of columns."""
    return text + " " * (width - width_of(text))


def cells(text: str, spans: Iterable[tuple[int, int]] = ()) -> list[Cell]:
    """Return the characters of a text, with a mark under those that are in a span.

    Spans are start and end in characters. A span is marked "^", and "~" where it goes on.
    """
    begins: set[int] = set()
    inside: set[int] = set()
    for start, end in spans:
        begins.add(start)
        inside.update(range(start, end))
    found = []
    waits = False  # a span began at a character that has no width
    for place, character in enumerate(text):
        looks = shown(character)
        width = width_of(looks)
        waits = place in inside and (waits or place in begins)
        mark = ("~" if place in inside else " ") * width
        if waits and width:
            mark, waits = "^" + mark[1:], False
        found.append(Cell(looks, width, mark))
    return found


def wrap(row: Sequence[Cell], width: int) -> list[Sequence[Cell]]:
    """Break a row into lines of at most `width` columns, after spaces where there are any.

    A space at the end of a line does not count.
    """
    width = max(width, NARROWEST)
    lines: list[Sequence[Cell]] = []
    start = used = 0
    space = -1  # the last one of this line
    for place, cell in enumerate(row):
        if used + cell.width > width and cell.shown == " ":  # which may stand over
            lines.append(row[start : place + 1])
            start, used = place + 1, 0
            continue
        if used + cell.width > width:
            end = space + 1 if space >= start else place
            lines.append(row[start:end])
            start, used = end, sum(cell.width for cell in row[end:place])
        used += cell.width
        if cell.shown == " ":
            space = place
    lines.append(row[start:])
    return lines


def underlined(text: str, spans: Iterable[tuple[int, int]], width: int, indent: str = "") -> str:
    """Return a text as lines of at most `width` columns, each with a line of marks below."""
    lines = []
    for line in wrap(cells(text, spans), width - len(indent)):
        lines.append(indent + "".join(cell.shown for cell in line))
        lines.append(indent + "".join(cell.mark for cell in line))
    return "\n".join(line.rstrip() for line in lines)


def aligned(rows: Iterable[Sequence[str]], right: Container[int] = ()) -> Iterator[str]:
    """Yield rows of texts as lines with two spaces between columns; `right`: those set to it."""
    rows = list(rows)
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        places = enumerate(zip(row, widths, strict=True))
        yield "  ".join(
            " " * (width - width_of(text)) + text if place in right else padded(text, width)
            for place, (text, width) in places
        ).rstrip()


def table(rows: Sequence[Sequence[str]], width: int, indent: str = "") -> str:
    """Return rows of texts as aligned columns, the last of them wrapped to `width` columns."""
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    lines = []
    for *first, last in rows:
        start = indent + "".join(
            padded(text, room) + "  " for text, room in zip(first, widths, strict=False)
        )
        for line in wrap(cells(last), width - width_of(start)):
            lines.append((start + "".join(cell.shown for cell in line)).rstrip())
            start = " " * width_of(start)
    return "\n".join(lines)


# ---- a progress bar on stderr, for work that takes a while ------------------------------------

Item = TypeVar("Item")

PATIENCE = 1.0  # seconds before a bar appears that nobody asked for
PAUSE = 0.1  # seconds between two drawings
WIDTH = 30  # characters


def progress(
    iterable: Iterable[Item], total: int, label: str = "", show: bool | None = None
) -> Iterable[Item]:
    """Pass on the items of `iterable`, and show on stderr how many of `total` have been worked on.

    show  True: show a bar; False: none; None: if stderr is a terminal, after the first second

    A bar is one line, drawn over itself, with a line feed at its end, also where the work ends
    early.
    """
    if show is None and not sys.stderr.isatty():
        show = False
    # Without a bar there is no generator either, and so nothing that costs time.
    return iterable if show is False else _with_bar(iterable, total, label, show)


def _with_bar(
    iterable: Iterable[Item], total: int, label: str, show: bool | None
) -> Iterator[Item]:
    start = time.monotonic()
    due = start if show else start + PATIENCE
    done, drawn = 0, False
    try:
        for item in iterable:
            now = time.monotonic()
            if now >= due:
                _draw(bar(done, total, label, now - start))
                due, drawn = now + PAUSE, True
            yield item
            done += 1
    finally:
        if drawn or show:
            _draw(bar(done, total, label, time.monotonic() - start) + "\n")


def bar(done: int, total: int, label: str, seconds: float) -> str:
    """Return the line that says how far the work is, how fast it goes and what time is left.

    "texts  [#####     ]  50%  5/10  2 s, 2.5/s, 2 s left"
    """
    share = min(1.0, done / total) if total else 1.0
    filled = round(share * WIDTH)
    drawing = "#" * filled + " " * (WIDTH - filled)
    speed = f", {rate(done / seconds)}/s" if done and seconds else ""
    left = f", {duration(seconds * (1 - share) / share)} left" if 0 < share < 1 else ""
    start = f"{label}  " if label else ""
    return f"{start}[{drawing}] {share:4.0%}  {done}/{total}  {duration(seconds)}{speed}{left}"


def rate(number: float) -> str:
    """Return a number with three digits, or with all that it has before the point."""
    return f"{number:.3g}" if number < 999.5 else f"{number:,.0f}"


def duration(seconds: float) -> str:
    """Return a time in the two largest units that it has: "40 s", "3 min 20 s", "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, of_hour = divmod(minutes, 60)
    return f"{hours} h {of_hour} min" if hours else f"{minutes} min {rest} s"


def _draw(line: str) -> None:
    # "\r" goes back to the line's start; the escape code clears what a longer line left behind.
    clear = "\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"\r{clear}{line}")
    sys.stderr.flush()
