"""The properties of characters, read from character_tables.txt: those of the Rust library.

The library's tables come from several versions of Unicode and equal none of them, so Python's
`unicodedata` would give other results. tests/scripts/make_character_tables.py measures them.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import cache

FILE = os.path.join(os.path.dirname(__file__), "character_tables.txt")


@cache
def tables() -> dict[str, list[str]]:
    """Read the file: the entries of every table. All numbers are hexadecimal code points."""
    with open(FILE, encoding="utf-8") as file:
        blocks = [block.split("\n") for block in file.read().split("\n\n")[1:]]
    # A comment, the name of the table, and lines of entries with spaces between.
    return {name: " ".join(lines).split() for _, name, *lines in blocks}


class Ranges:
    """A set of code points, given as inclusive ranges: ["41-5A", "5F"] holds A to Z and "_"."""

    def __init__(self, parts: list[str]) -> None:
        # Where membership begins and ends, in turn: an odd number of bounds up to and including
        # a code point means that it lies inside a range.
        self.bounds: list[int] = []
        for part in parts:
            first, _, last = part.partition("-")
            self.bounds += int(first, 16), int(last or first, 16) + 1

    def __contains__(self, code: int) -> bool:
        return bisect_right(self.bounds, code) % 2 == 1


@cache
def ranges(name: str) -> Ranges:
    """Return one of the tables of ranges: `ranges("PUNCTUATION")`."""
    return Ranges(tables()[name])


@cache
def combining_classes() -> dict[str, int]:
    """Map every character that canonical ordering may move to its combining class, 1 to 240."""
    classes = {}
    for part in tables()["COMBINING_CLASSES"]:
        codes, _, combining_class = part.partition("=")
        first, _, last = codes.partition("-")
        for code in range(int(first, 16), int(last or first, 16) + 1):
            classes[chr(code)] = int(combining_class)
    return classes


@cache
def decompositions() -> dict[str, str]:
    """Map every character but the Hangul syllables to its full canonical decomposition."""
    decomposed = {}
    for part in tables()["DECOMPOSITIONS"]:
        code, _, codes = part.partition("=")
        decomposed[chr(int(code, 16))] = "".join([chr(int(c, 16)) for c in codes.split("+")])
    return decomposed


@cache
def lower_case() -> dict[str, str]:
    """Map every character that has a lower case to it; "İ" alone becomes two characters."""
    lower = {"\u0130": "i\u0307"}
    for part in tables()["LOWER_CASE"]:
        codes, _, distance = part.partition("=")
        codes, _, step = codes.partition("/")
        first, _, last = codes.partition("-")
        for code in range(int(first, 16), int(last or first, 16) + 1, int(step or "1")):
            lower[chr(code)] = chr(code + int(distance, 16))
    return lower
