"""A bar on standard error that says how far a task has come with many texts."""

from __future__ import annotations

import sys
import time

MANY = 32  # for fewer texts no bar is shown unless it is asked for
WIDTH = 30  # characters
PAUSE = 0.1  # seconds between two drawings


class Progress:
    """Counts what is done and shows it; to be used in a `with`, which clears the line at its end.

    total: how many there will be; None where nobody knows. show: True, False, or None for a bar
    where there are many and standard error is a terminal.
    """

    def __init__(self, total: int | None, show: bool | None, what: str = "texts") -> None:
        if show is None:
            show = (total is None or total >= MANY) and sys.stderr.isatty()
        self.total, self.show, self.what = total, show, what
        self.done = self.drawn = 0
        self.began = self.drew = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count so many more as done."""
        self.done += count
        if self.show and (time.monotonic() - self.drew >= PAUSE or self.done == self.total):
            self._draw(self._line())

    def _line(self) -> str:
        spent = time.monotonic() - self.began
        speed = f"{self.done / max(spent, 1e-9):.0f} {self.what}/s"
        if not self.total:
            return f"{self.done} {self.what}, {speed}"
        share = self.done / self.total
        bar = ("#" * round(share * WIDTH)).ljust(WIDTH, ".")
        left = spent * (1 - share) / share if share else 0
        return f"[{bar}] {self.done}/{self.total} {self.what}, {speed}, {left:.0f} s left"

    def _draw(self, line: str) -> None:
        self.drew = time.monotonic()
        sys.stderr.write("\r" + line.ljust(self.drawn))
        sys.stderr.flush()
        self.drawn = len(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.drawn:
            self._draw("")
            sys.stderr.write("\r")
            sys.stderr.flush()
