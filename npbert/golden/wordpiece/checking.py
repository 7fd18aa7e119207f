"""Checks a port's tokenizer against a kit: the first stage that differs, and the mistake it makes.

report = check_tokenizer("weights/golden/wordpiece", "mine.jsonl")
print(report.render())
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from npbert.checkpoints.files import naming, short
from npbert.golden.wordpiece.diagnosis import diagnose, likely_kind
from npbert.golden.wordpiece.kit import TokenizerKit, read_lines
from npbert.golden.wordpiece.report import TokenizerReport
from npbert.golden.wordpiece.rows import Row, same
from npbert.golden.wordpiece.steps import FIELDS, NORMALIZING, ROW

Given = Mapping[str, Mapping[str, Any]]


def check_tokenizer(
    kit: TokenizerKit | str | os.PathLike[str],
    given: Given | str | os.PathLike[str],
    settings: str | None = None,
    strict: bool = False,
    require: Sequence[str] = (),
) -> TokenizerReport:
    """Check what a port's tokenizer gives, and say which of the classic mistakes it shows.

    given     a file of JSON lines, or {case: {field: value}}. A case may lack any field, and any
              case may be missing, but
    require   patterns of names of cases, such as "uncased/*": these must be given
    settings  check only the cases in these settings
    strict    fail as well where any case was not given, or a name is none of the kit's
    Raises ValueError where nothing can be judged: no case of the kit, a field of another kind than
    it should be, settings or a pattern that no case has, a damaged kit.
    """
    kit = kit if isinstance(kit, TokenizerKit) else TokenizerKit.read(kit)
    if settings is not None and settings not in kit.settings:
        raise ValueError(f"no settings {settings!r}, the kit has {', '.join(kit.settings)}")
    names = [name for name, case in kit.cases.items() if settings in (None, case.settings)]
    wanted = required(kit, names, ["*"] if strict else require)
    entries = given if isinstance(given, Mapping) else read_given(Path(given))
    unknown = [name for name in entries if name not in kit.cases]
    rows = [judge(kit, name, entries[name]) for name in names if name in entries]
    if not rows:
        raise ValueError(nothing_known(kit, entries, settings))
    findings = diagnose(kit, rows)
    return TokenizerReport(
        kit,
        rows,
        findings,
        unknown,
        [name for name in wanted if name not in entries],
        strict,
        likely_kind(kit, rows, findings),
    )


def required(kit: TokenizerKit, names: list[str], patterns: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        of_pattern = [name for name in names if fnmatchcase(name, pattern)]
        if not of_pattern:
            raise ValueError(f"no case of the kit {kit.name} has a name like {pattern!r}")
        found |= dict.fromkeys(of_pattern)
    return [*found]


def read_given(path: Path) -> dict[str, dict[str, Any]]:
    """Read a port's file of JSON lines: by the name of the case, what it gives."""
    return {entry.pop("name"): entry for entry in read_lines(path)}


def nothing_known(kit: TokenizerKit, entries: Given, settings: str | None) -> str:
    if not entries:
        return "no cases were given"
    if any(name in kit.cases for name in entries):
        return f"none of the {len(entries)} cases is in the settings {settings!r}"
    first, known = short.repr(next(iter(entries))), next(iter(kit.cases))
    return (
        f"none of the {len(entries)} cases is one of the kit {kit.name}: {first} is the first "
        f"(names are those of inputs.jsonl, such as {known!r})"
    )


# ---- one case ----------------------------------------------------------------------------------


def judge(kit: TokenizerKit, name: str, given: Mapping[str, Any]) -> Row:
    """Compare every field that was given of a case with the kit's."""
    expected = kit.expected[name]
    with naming(name):
        if not isinstance(given, Mapping):
            raise ValueError(f"expected an object with fields, not {short.repr(given)}")
        values = {
            field: as_given(field, given[field])
            for field in FIELDS
            if field in given and field in expected
        }
        if not values:
            known = ", ".join(field for field in FIELDS if field in expected)
            raise ValueError(f"none of its fields is known, expected some of {known}")
    wrong = [field for field, value in values.items() if not same(value, expected[field])]
    return Row(kit.cases[name], values, expected, wrong)


def as_given(field: str, value: Any) -> Any:
    """Return a port's value in the kit's form; raise ValueError where it is of another kind.

    While a text is normalized, it may be one text instead of a list of parts. A place may be null.
    """
    if field in NORMALIZING and isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError(f"{field} is {short.repr(value)}, expected a list")
    if field.endswith("offsets"):
        value = [[0, 0] if place is None else place for place in value]
    for each in value:
        wanted = wanted_instead(field, each)
        if wanted:
            raise ValueError(f"{field} holds {short.repr(each)}, expected {wanted}")
    return value


def wanted_instead(field: str, value: Any) -> str:
    """Return what a field holds, if a value is no such thing; else ""."""
    if field.endswith("offsets"):
        return "" if is_place(value) else "[start, end]"
    if field in ROW:
        return "" if is_number(value) else "whole numbers"
    return "" if isinstance(value, str) else "texts"


def is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
