"""One case of a check: what was given of it, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from npbert.golden.wordpiece.steps import Case, Values

PLACES = ("offsets", "byte_offsets")


def same(given: Any, values: list[Any]) -> bool:
    """Tell whether a field has some values; a text stands for all parts together."""
    return given == ("".join(values) if isinstance(given, str) else values)


@dataclass
class Row:
    """A case, the fields that were given of it, those that were expected, and the wrong ones."""

    case: Case
    given: Values
    expected: Values
    wrong: list[str]

    @property
    def name(self) -> str:
        return self.case.name

    def gives(self, values: Values, places: bool = False) -> bool:
        """Tell whether what was given are these values; places are looked at by themselves."""
        return all(
            same(value, values[field])
            for field, value in self.given.items()
            if (field in PLACES) == places
        )

    def only(self, field: str) -> Row:
        """Return the row as if one field alone had been given."""
        return replace(self, given={field: self.given[field]})

    def first_difference(self) -> tuple[str, int, Any, Any]:
        """Return the first wrong field, the index in it, and what is expected and given there."""
        field = self.wrong[0]
        expected, given = self.expected[field], self.given[field]
        if isinstance(given, str):
            expected, given = ["".join(expected)], [given]
        both = zip(expected, given)
        index = next((n for n, (a, b) in enumerate(both) if a != b), min(len(expected), len(given)))
        return field, index, *(values[index : index + 1] for values in (expected, given))

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        found: dict[str, Any] = {"given": [*self.given], "right": not self.wrong}
        if self.wrong:
            field, index, expected, given = self.first_difference()
            found |= {"wrong": self.wrong, "first": field, "index": index}
            found |= {"expected": [*expected], "found": [*given]}
        return found
