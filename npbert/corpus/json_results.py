"""Results as JSON: with the digits that float32 carries, and as the lines that --input writes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ERROR = b', "error": "'  # stands before what was wrong, at the end of a line that says so


def line_of(shown: dict[str, Any], result: str) -> str:
    """Return the line of what was asked, with the result, which is JSON already."""
    asked = json.dumps(shown)[:-1]
    return f'{asked}{", " if shown else ""}"result": {result}}}'


def error_line(number: int, text: str, error: str) -> str:
    """Return the line that stands in the place of a result where there is none."""
    return json.dumps({"line": number, "text": text, "error": error})


def is_error_line(line: bytes) -> bool:
    """Return whether a line says what was wrong: inside a text its quotes would be escaped."""
    start = line.rfind(ERROR)
    rest = line[start + len(ERROR) :]
    return start >= 0 and re.fullmatch(rb'(?:[^"\\]|\\.)*"\}\n?', rest) is not None


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
    return float(str(numbers)) if numbers.ndim == 0 else _shortest_of_many(numbers)


def _shortest_of_many(numbers: np.ndarray) -> list[float]:
    """Return what `float(str(x))` gives for every x of a vector, in a third of the time.

    They are rounded to six digits, which float32 always tells apart, then to seven, eight, nine,
    until they read back. `str` has to help with powers of two, whose neighbours are not equally
    far, and with what is so small or large that its scale is no exact float64.
    """
    import numpy as np

    results = numbers.astype(np.float64)
    size = np.abs(results)
    is_open = (size > 1e-13) & (size < 1e5) & (np.frexp(size)[0] != 0.5)
    for_str = np.flatnonzero(~is_open)
    size[for_str] = 1
    powers = np.array([10**k for k in range(20)], np.float64)  # all of them exact
    scale = powers[5 - np.floor(np.log10(size)).astype(int)]
    for _ in range(4):
        rounded = np.rint(size * scale) / scale
        fits = (rounded.astype(np.float32) == size) & is_open
        np.copysign(rounded, results, out=results, where=fits)
        is_open &= ~fits
        scale *= 10
    for place in (*for_str, *np.flatnonzero(is_open)):
        results[place] = float(str(numbers[place]))
    return results.tolist()
