"""Tokens that are found in a text as they stand, before it is cut: special and added ones.

Which ones there are, what ids they get, and where they are found follows the Rust library, its
oddities included: tests/reference/test_added_tokens_reference.py compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from npbert.tokenizer.characters import ranges

# Unicode's White_Space, U+0085 included and U+001C to U+001F not.
WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
white_space = re.compile(f"[{WHITE_SPACE}]*")


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in a text as it stands, and how.

    content      what is looked for
    single_word  only where no part of a word stands beside it
    lstrip       white space to its left belongs to it
    rstrip       white space to its right belongs to it
    normalized   looked for in the normalized text, normalized itself ("New" is found in "RENEWED");
                 otherwise in the raw text, and before all else. None: unless it is special
    special      left out by decode(..., skip_special_tokens=True)
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False
    chosen: bool = field(init=False, repr=False, compare=False)  # whether `normalized` was given

    def __post_init__(self) -> None:
        if not isinstance(self.content, str):
            raise ValueError(f"an added token is {self.content!r}, expected a string")
        self.content.encode("utf-8")  # half a character is a UnicodeEncodeError, a ValueError
        object.__setattr__(self, "chosen", self.normalized is not None)
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)

    def __str__(self) -> str:
        return self.content

    def as_special(self) -> AddedToken:
        """Return the same token, special, and looked for in the raw text unless told otherwise."""
        return replace(self, special=True, normalized=self.normalized if self.chosen else None)

    def as_json(self) -> dict[str, Any]:
        """Return the six options as files hold them."""
        return {name: getattr(self, name) for name in OPTIONS}


OPTIONS = tuple(option.name for option in fields(AddedToken) if option.init)


def added_token(token: Any, what: str = "a token", special: bool = False) -> AddedToken:
    """Return what a caller, or a file, gave for a token as an AddedToken: a string, or options."""
    if isinstance(token, str):
        return AddedToken(token, special=special)
    if isinstance(token, dict) and isinstance(token.get("content"), str):
        token = AddedToken(**{name: token[name] for name in OPTIONS if name in token})
    elif not isinstance(token, AddedToken) and all(hasattr(token, name) for name in OPTIONS):
        token = AddedToken(*[getattr(token, name) for name in OPTIONS])  # another library's
    if not isinstance(token, AddedToken):
        raise ValueError(f"{what} is {token!r}, expected a string or an AddedToken")
    return token.as_special() if special else token


class Finder:
    """Finds tokens in a text: of those that begin first the longest, none inside another.

    of_text   the tokens by how they are written in the text
    ignored   the contents of those that are found and then treated like other text
    """

    def __init__(self, of_text: dict[str, AddedToken], ignored: Container[str]) -> None:
        self.of_text = of_text
        self.ignored = ignored
        longest_first = sorted(of_text, key=len, reverse=True)
        # (?!) matches nowhere.
        self.pattern = re.compile("|".join(map(re.escape, longest_first)) if of_text else "(?!)")

    def __bool__(self) -> bool:
        return bool(self.of_text)

    def __call__(self, text: str) -> list[tuple[int, int, AddedToken | None]]:
        """Return the parts of a text as (start, end, token), with None for what lies between.

        Parts overlap in one case: a token takes in white space that the next one begins with.
        """
        parts: list[tuple[int, int, AddedToken | None]] = []
        done = 0
        for match in self.pattern.finditer(text):
            token = self.of_text[match.group()]
            start, end = match.span()
            if token.content in self.ignored or (
                token.single_word and beside_word(text, start, end)
            ):
                continue
            if token.lstrip:
                start = done + len(text[done:start].rstrip(WHITE_SPACE))
            if token.rstrip:
                end = end_of_white_space(text, end)
            if done < start:
                parts.append((done, start, None))
            if start < end:  # otherwise the token before it has taken it in
                parts.append((start, end, token))
            done = end
        if done != len(text):
            parts.append((done, len(text), None))
        return parts


def beside_word(text: str, start: int, end: int) -> bool:
    """Tell whether a part of a word stands right before `start` or right after `end`."""
    neighbours = text[max(0, start - 1) : start] + text[end : end + 1]
    return any(ord(character) in ranges("WORD") for character in neighbours)


def end_of_white_space(text: str, start: int) -> int:
    match = white_space.match(text, start)
    return match.end() if match else start


class AddedTokens:
    """The special and added tokens of a vocabulary, their ids, and how they are found.

    vocabulary   the tokens that the tokenizer was built with, and their ids
    """

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary
        self.id_of: dict[str, int] = {}
        self.token_of_id: dict[int, AddedToken] = {}
        # Contents that were ever added as special; adding them anew as others does not change it.
        self.special: set[str] = set()

    def add(self, tokens: Iterable[AddedToken]) -> int:
        """Add tokens and return how many were new, those already in the vocabulary included.

        Tokens that the vocabulary does not have get ids from its size on, or from the highest of
        a token added before. Where ids have gaps that may be the id of another token.
        """
        added = 0
        next_id = max(len(self.vocabulary), max(self.id_of.values(), default=-1) + 1)
        for token in tokens:
            if token.special and token.content:
                self.special.add(token.content)
            known = self.id_of.get(token.content, self.vocabulary.get(token.content))
            if not token.content or (known is not None and self.token_of_id.get(known) == token):
                continue
            if known is None:
                known, next_id = next_id, next_id + 1
            self.id_of[token.content] = known
            self.token_of_id[known] = token
            added += 1
        return added

    def finders(
        self, normalize: Callable[[str], str], ignored: Container[str] = ()
    ) -> tuple[Finder, Finder]:
        """Return what finds tokens in the raw text, and what finds them in the normalized text."""
        raw: dict[str, AddedToken] = {}
        normalized: dict[str, AddedToken] = {}
        # Where two tokens are the same when normalized, the reference finds now one and now the
        # other; here it is the one with the lower id.
        for _, token in sorted(self.token_of_id.items()):
            if token.normalized:
                normalized.setdefault(normalize(token.content), token)
            else:
                raw[token.content] = token
        return Finder(raw, ignored), Finder(normalized, ignored)
