"""Results as JSON: with the digits that float32 carries, and as the lines that --input writes."""

from __future__ import annotations

import json
from typing import Any

ERROR_LINE = b'{"line": '  # how a line begins that says what was wrong, and no other line


def line_of(entry: dict[str, Any], result: Any) -> str:
    """Return the line of an entry and its result."""
    return json.dumps(entry | {"result": result})


def error_line(number: int, text: str, error: str) -> str:
    """Return the line that stands in the place of a result where there is none."""
    return json.dumps({"line": number, "text": text, "error": error})


def shortest(value: Any) -> Any:
    """Return a result as JSON can hold it, its numbers with the digits that float32 carries.

    A number is the shortest decimal that reads back as the same float32: further digits would
    differ from machine to machine. Raises ValueError for what is no number, as JSON has none.
    """
    import numpy as np  # here: a command that is refused does without it

    if isinstance(value, dict):
        return {name: shortest(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 1):
        return [shortest(each) for each in value]
    if not isinstance(value, (float, np.floating, np.ndarray)):
        return value
    numbers = np.asarray(value, np.float32)
    if not np.isfinite(numbers).all():
        what = numbers[~np.isfinite(numbers)].flat[0]
        raise ValueError(f"the result has {what} for a number: are the weights damaged?")
    return float(str(numbers)) if numbers.ndim == 0 else [float(str(x)) for x in numbers]
