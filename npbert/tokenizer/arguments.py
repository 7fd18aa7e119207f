"""Checks of what a call of the tokenizer is given: strategies, lengths, texts and batches."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable
from typing import Any

from npbert.tokenizer.encoding import LARGEST_LIMIT

PADDINGS = ("do_not_pad", "longest", "max_length")
TRUNCATIONS = ("do_not_truncate", "longest_first", "only_first", "only_second")


def strategy_name(argument: str, given: Any, when_false: str, when_true: str, known: Any) -> str:
    """Return the name of the strategy that an argument gives as a name, True or False."""
    name = {False: when_false, True: when_true}[given] if isinstance(given, bool) else given
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{argument} is {given!r}, expected True, False or one of {known}")
    return name


def strategies(
    padding: Any,
    truncation: Any,
    max_length: Any,
    multiple: Any,
    model_max_length: int,
    verbose: bool = True,
) -> tuple[str, str, int]:
    """Return the names of the padding and truncation strategies, and the length for both.

    `multiple` is the call's pad_to_multiple_of. An unknown strategy or length is a ValueError.
    """
    if max_length is not None:
        checked_number("max_length", max_length, "a number of tokens", 0)
        if padding is False and truncation is None:
            truncation = True
    padding_name = strategy_name("padding", padding, "do_not_pad", "longest", PADDINGS)
    truncation_name = "do_not_truncate"
    if truncation is not None:
        truncation_name = strategy_name(
            "truncation", truncation, "do_not_truncate", "longest_first", TRUNCATIONS
        )
    no_truncation = truncation_name == "do_not_truncate"
    if verbose and padding is True and max_length is not None and no_truncation:
        warnings.warn(
            'max_length does nothing beside padding=True: padding="max_length" pads to it, '
            "truncation=True truncates to it",
            stacklevel=3,
        )
    if max_length is None:
        max_length = model_max_length
        if max_length > LARGEST_LIMIT:
            truncation_name = "do_not_truncate"
            padding_name = "do_not_pad" if padding_name == "max_length" else padding_name
    if multiple is not None:
        checked_number("pad_to_multiple_of", multiple, "at least 1", 1)
        both = truncation_name != "do_not_truncate" and padding_name != "do_not_pad"
        if both and max_length % multiple:
            raise ValueError(
                f"truncation to {max_length} tokens and padding to a multiple of {multiple} "
                "exclude each other"
            )
    return padding_name, truncation_name, operator.index(max_length)


def checked_number(argument: str, given: Any, expected: str, least: int) -> int:
    """Return a number that an argument gave; what is no integer >= `least` is a ValueError."""
    if not hasattr(given, "__index__") or given < least:
        raise ValueError(f"{argument} is {given!r}, expected {expected}")
    return operator.index(given)


def checked_side(argument: str, given: Any) -> str:
    """Return the side that an argument gave; only "right" and "left" are no ValueError."""
    if given not in ("right", "left"):
        raise ValueError(f'{argument} is {given!r}, expected "right" or "left"')
    return given


def refuse_unknown(unknown: dict[str, Any], known: Iterable[str]) -> None:
    """Raise a ValueError for arguments that a call does not have; name the most similar one."""
    import difflib  # here: slow to import, and needed for an error only

    for name, value in unknown.items():
        similar = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise ValueError(f"{name}={value!r} is not supported by the tokenizer's call{hint}")


def checked_text(text: Any, what: str) -> str:
    """Return a text; what is no string, or has a lone surrogate, is a ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{what} is {text!r}, expected a string")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what} has half a character (the lone surrogate U+{ord(text[error.start]):04X}) "
                f"at {error.start}"
            ) from None
    return text


def checked_words(words: Any, what: str) -> list[str]:
    """Return a text that came split into words; what is no list of texts is a ValueError."""
    if not isinstance(words, (list, tuple)):
        raise ValueError(f"{what} is {words!r}, expected a list of words")
    return [checked_text(word, f"word {i} of {what}") for i, word in enumerate(words)]


def texts_of_rows(text: Any, text_pair: Any, is_split: bool) -> tuple[list[tuple[Any, Any]], bool]:
    """Return first and second text of every row, and whether they came as a batch.

    The second text is None where a row has one text alone.
    """
    check = checked_words if is_split else checked_text
    if is_split:
        is_batched = (
            isinstance(text, (list, tuple)) and len(text) > 0 and isinstance(text[0], (list, tuple))
        )
    else:
        is_batched = isinstance(text, (list, tuple))
    if not is_batched:
        # An empty second text counts as none, though not in a batch: so does the reference.
        is_none = text_pair is None or (isinstance(text_pair, (str, list, tuple)) and not text_pair)
        second = None if is_none else check(text_pair, "text_pair")
        return [(check(text, "text"), second)], False
    if text_pair is not None:
        if not isinstance(text_pair, (list, tuple)) or len(text_pair) != len(text):
            given = f"{len(text_pair)}" if isinstance(text_pair, (list, tuple)) else repr(text_pair)
            raise ValueError(f"text_pair is {given}, expected a list as long as text, {len(text)}")
        pairs = zip(text, text_pair, strict=True)
        return [
            (check(a, f"text {i}"), check(b, f"text_pair {i}")) for i, (a, b) in enumerate(pairs)
        ], True
    # Without text_pair an entry may be a pair itself: two strings, or two lists of words.
    inner = (list, tuple) if is_split else str
    rows: list[tuple[Any, Any]] = []
    for i, entry in enumerate(text):
        if not is_split and isinstance(entry, str) and entry.isascii():  # the usual case
            rows.append((entry, None))
            continue
        is_pair = (
            isinstance(entry, (list, tuple))
            and len(entry) == 2
            and all(isinstance(part, inner) for part in entry)
        )
        if is_pair:
            rows.append((check(entry[0], f"text {i}"), check(entry[1], f"the second text {i}")))
        else:
            rows.append((check(entry, f"text {i}"), None))
    return rows, True
