"""A progress bar on stderr, for work that takes a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

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
    """Return the line that says how far the work is: "texts  [#####     ]  50%  5/10  2 s"."""
    share = min(1.0, done / total) if total else 1.0
    filled = round(share * WIDTH)
    drawing = "#" * filled + " " * (WIDTH - filled)
    left = f", {seconds * (1 - share) / share:.0f} s left" if 0 < share < 1 else ""
    start = f"{label}  " if label else ""
    return f"{start}[{drawing}] {share:4.0%}  {done}/{total}  {seconds:.0f} s{left}"


def _draw(line: str) -> None:
    # "\r" goes back to the line's start; the escape code clears what a longer line left behind.
    clear = "\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"\r{clear}{line}")
    sys.stderr.flush()
