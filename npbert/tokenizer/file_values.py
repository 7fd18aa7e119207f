"""What the values in a tokenizer's files may be; a value of a wrong type is a ValueError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from npbert.tokenizer.added_tokens import AddedToken, added_token, short

EXTRA = ("extra_special_tokens", "additional_special_tokens")  # in version 5, in version 4
NEEDED = ("unk_token", "sep_token", "cls_token")  # every row is made with these


def is_id(number: Any) -> bool:
    """Tell whether a value is an id: a non-negative integer."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def is_switch_or_null(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def is_length(value: Any) -> bool:
    """Tell whether a value is a length; files hold 1e30 where none is known, and null."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (is_number and 0 <= value < float("inf"))


def is_side(value: Any) -> bool:
    return value in ("right", "left")


def are_names(value: Any) -> bool:
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return value is None or is_list


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {  # of the settings in tokenizer_config.json
    "do_lower_case": (is_switch, "true or false"),
    "tokenize_chinese_chars": (is_switch, "true or false"),
    "strip_accents": (is_switch_or_null, "true, false or null"),
    "clean_up_tokenization_spaces": (is_switch_or_null, "true, false or null"),
    "split_special_tokens": (is_switch_or_null, "true, false or null"),
    "model_max_length": (is_length, "a length in tokens"),
    "max_len": (is_length, "a length in tokens"),
    "padding_side": (is_side, '"right" or "left"'),
    "truncation_side": (is_side, '"right" or "left"'),
    "model_input_names": (are_names, "a list of names"),
}
KINDS_OF_NORMALIZER = {
    "clean_text": KINDS["do_lower_case"],
    "handle_chinese_chars": KINDS["do_lower_case"],
    "strip_accents": KINDS["strip_accents"],
    "lowercase": KINDS["do_lower_case"],
}


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Begin the message of a ValueError with the file, or with the directory, that it is about."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {error}") from None


def check_kinds(
    contents: dict[str, Any], kinds: dict[str, tuple[Callable[[Any], bool], str]]
) -> None:
    """Raise a ValueError for a setting of a wrong type."""
    for name, (fits, expected) in kinds.items():
        if name in contents and not fits(contents[name]):
            raise ValueError(f"{name} is {short.repr(contents[name])}, expected {expected}")


def check_special_tokens(contents: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise a ValueError for a special token, named or not, that is no token.

    A token that every row needs may be null only if the caller has given another one.
    """
    for name, value in contents.items():
        if name in EXTRA:
            if isinstance(value, dict) and name == EXTRA[0]:  # by names of their own
                value = list(value.values())
            if not isinstance(value, (list, type(None))):
                raise ValueError(f"{name} is {short.repr(value)}, expected a list of tokens")
            for token in value or []:
                added_token(token, name)
        elif name in NEEDED and value is None and not given.get(name):
            raise ValueError(f"{name} is null, expected a token")
        elif not name.endswith("_token") or is_switch_or_null(value):  # add_bos_token is a switch
            continue
        elif not str(added_token(value, name)):
            raise ValueError(f"{name} is '', expected a string that is not empty")


def part_of(contents: dict[str, Any], name: str, expected: str = "an object") -> dict[str, Any]:
    """Return a JSON object within another one; where it is missing or null, an empty one."""
    value = contents.get(name)
    if not isinstance(value, (dict, type(None))):
        raise ValueError(f"{name} is {short.repr(value)}, expected {expected}")
    return value or {}


def numbered_tokens(pairs: list[tuple[Any, Any]], what: str) -> list[tuple[int, AddedToken]]:
    """Return tokens with their ids as ids and AddedTokens."""
    numbered = []
    for number, token in pairs:
        if isinstance(number, str) and number.isdecimal():  # as the keys of JSON objects are
            number = int(number)
        if not is_id(number):
            raise ValueError(f"{what}: an id is {short.repr(number)}, expected a number from 0 on")
        numbered.append((number, added_token(token, f"{what}: an added token")))
    return numbered
