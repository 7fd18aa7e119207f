"""Special and added tokens: tokens that are found in a text as they stand, before it is cut.

Their ids and where they are found follow the Rust library, its oddities included:
tests/reference/test_added_tokens_reference.py compares the two.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from npbert.tokenizer.characters import ranges

# Unicode's White_Space, U+0085 included and U+001C to U+001F not.
WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
white_space = re.compile(f"[{WHITE_SPACE}]*")

short = reprlib.Repr()  # of what callers and files give, for messages of bounded length
short.maxlevel, short.maxstring, short.maxother = 2, 60, 60


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in a text as it stands, and how.

    content      the text to look for
    single_word  find the token only where no word character stands beside it
    lstrip       white space to the left belongs to the token
    rstrip       white space to the right belongs to the token
    normalized   True: look for the normalized content in the normalized text ("New" is found in
                 "RENEWED"); False: look in the raw text, before all other stages; None: False for
                 a special token, True for any other
    special      decode(..., skip_special_tokens=True) leaves the token out
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
            raise ValueError(f"an added token is {short.repr(self.content)}, expected a string")
        self.content.encode("utf-8")  # a lone surrogate is a UnicodeEncodeError, a ValueError
        object.__setattr__(self, "chosen", self.normalized is not None)
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)

    def __str__(self) -> str:
        return self.content

    def as_special(self) -> AddedToken:
        """Return the token as a special one, whose default for `normalized` is False."""
        return replace(self, special=True, normalized=self.normalized if self.chosen else None)

    def as_json(self) -> dict[str, Any]:
        """Return the six options as files hold them."""
        return {name: getattr(self, name) for name in OPTIONS}


OPTIONS = tuple(option.name for option in fields(AddedToken) if option.init)


def added_token(token: Any, what: str = "a token", special: bool = False) -> AddedToken:
    """Return a token that a caller or a file gave (a string, a dict of options) as an AddedToken.

    `what` names the token in the ValueError for anything else.
    """
    if isinstance(token, str):
        return AddedToken(token, special=special)
    if isinstance(token, dict) and isinstance(token.get("content"), str):
        for name in OPTIONS[1:]:
            if not isinstance(token.get(name), (bool, type(None))):
                value = short.repr(token[name])
                raise ValueError(f"{what}: {name} is {value}, expected true or false")
        token = AddedToken(**{name: token[name] for name in OPTIONS if token.get(name) is not None})
    elif not isinstance(token, AddedToken) and all(hasattr(token, name) for name in OPTIONS):
        token = AddedToken(*[getattr(token, name) for name in OPTIONS])  # another library's
    if not isinstance(token, AddedToken):
        raise ValueError(f"{what} is {short.repr(token)}, expected a string or an AddedToken")
    return token.as_special() if special else token


DEEPEST = 16  # levels of groups in a pattern; Python's own limit is about a hundred


def longest_of(texts: Sequence[str], depth: int = 0) -> str:
    """Return a pattern that matches the longest of some texts.

    The pattern is a tree: texts that begin alike share a branch, so that the search looks at the
    few branches that a character leads to, not at thousands of texts one after the other.
    """
    if len(texts) == 1 or depth == DEEPEST:
        return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    first, last = min(texts), max(texts)  # what these two share, all texts share
    differing = [place for place, pair in enumerate(zip(first, last)) if len({*pair}) == 2]
    prefix = first[: differing[0]] if differing else first
    rests: dict[str, list[str]] = {}  # by their first character
    for text in texts:
        rest = text[len(prefix) :]
        rests.setdefault(rest[:1], []).append(rest)
    ends_here = rests.pop("", [])
    branches = [longest_of(group, depth + 1) for group in rests.values()]
    # Of the branches at most one fits; the empty one, which always fits, is tried last.
    return f"{re.escape(prefix)}(?:{'|'.join(branches + [''] * bool(ends_here))})"


class Finder:
    """Finds tokens in a text: the leftmost first, of several the longest, none inside another.

    of_text   the tokens by the text that is searched for
    ignored   contents of tokens that are found and then treated like other text
    """

    def __init__(self, of_text: dict[str, AddedToken], ignored: Container[str]) -> None:
        self.of_text = of_text
        self.ignored = ignored
        # (?!) matches nowhere.
        self.pattern = re.compile(longest_of([*of_text]) if of_text else "(?!)")

    def __bool__(self) -> bool:
        return bool(self.of_text)

    def __call__(self, text: str) -> list[tuple[int, int, AddedToken | None]]:
        """Return the parts of a text as (start, end, token); the token of other text is None.

        Parts overlap in one case: where a token with rstrip takes the white space that the next
        token begins with.
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
            if start < end:  # otherwise the token before has taken all of it as white space
                parts.append((start, end, token))
            done = end
        if done != len(text):
            parts.append((done, len(text), None))
        return parts


def beside_word(text: str, start: int, end: int) -> bool:
    """Tell whether a word character stands right before `start` or right after `end`."""
    neighbours = text[max(0, start - 1) : start] + text[end : end + 1]
    return any(ord(character) in ranges("WORD") for character in neighbours)


def end_of_white_space(text: str, start: int) -> int:
    """Return where the white space that begins at `start` ends."""
    match = white_space.match(text, start)
    return match.end() if match else start


class AddedTokens:
    """The special and added tokens of a vocabulary, their ids, and how they are found.

    vocabulary   the tokens that the tokenizer was built with, and their ids
    text_of_id   what `decode` writes for an id; `add` changes this dict: an added token is written
                 as its normalized content if it was ever looked for in that form
    normalize    what the tokenizer does to a text before it looks for added tokens in it
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        text_of_id: dict[int, str],
        normalize: Callable[[str], str],
    ) -> None:
        self.vocabulary = vocabulary
        self.text_of_id = text_of_id
        self.normalize = normalize
        self.id_of: dict[str, int] = {}
        self.token_of_id: dict[int, AddedToken] = {}
        # Contents that were ever added as special; adding them again as others does not change it.
        self.special: set[str] = set()
        self.next_id = len(vocabulary)

    def add(self, tokens: Sequence[AddedToken]) -> int:
        """Add tokens and return how many were new or changed.

        Tokens that the vocabulary lacks get ids from its size on, or from the highest id of an
        added token on. Where ids have gaps that may be the id of another token. A token of which
        normalization leaves nothing is a ValueError, and then none is added.
        """
        normalized = {
            token.content: self.normalize(token.content)
            for token in tokens
            if token.normalized and token.content
        }
        if "" in normalized.values():
            empty = [content for content, text in normalized.items() if not text]
            raise ValueError(f"{empty} would be found nowhere: normalization leaves nothing of it")
        added, next_id = 0, self.next_id
        for token in tokens:
            if token.special and token.content:
                self.special.add(token.content)
            number = self.id_of.get(token.content, self.vocabulary.get(token.content))
            if not token.content or (number is not None and self.token_of_id.get(number) == token):
                continue
            if number is None:
                number, next_id = next_id, next_id + 1
            before = self.token_of_id.get(number)
            self.next_id = max(self.next_id, number + 1)
            self.id_of[token.content] = number
            self.token_of_id[number] = token
            if before is None or before.content != token.content:
                self.text_of_id[number] = token.content
            added += 1
        for content, text in normalized.items():
            self.text_of_id[self.id_of[content]] = text
        return added

    def finders(self, ignored: Container[str] = ()) -> tuple[Finder, Finder]:
        """Return what finds tokens in the raw text, and what finds them in the normalized text."""
        raw: dict[str, AddedToken] = {}
        normalized: dict[str, AddedToken] = {}
        # Where two tokens are equal when normalized, the reference finds now one and now the
        # other; here it is the one with the lower id.
        for _, token in sorted(self.token_of_id.items()):
            if token.normalized:
                normalized.setdefault(self.normalize(token.content), token)
            else:
                raw[token.content] = token
        return Finder(raw, ignored), Finder(normalized, ignored)
