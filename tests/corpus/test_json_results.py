"""JSON of results: the shortest numbers that read back as the same float32, and no NaN."""

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert.corpus.json_results import error_line, is_error_line, line_of, shortest

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(FLOATS)
def test_a_number_reads_back_and_no_shorter_one_does(number):
    digits = json.dumps(shortest(number))
    assert np.float32(digits) == np.float32(number)
    count = len(Decimal(digits).normalize().as_tuple().digits)
    assert count <= 9
    if count > 1 and number:
        for shorter in (f"{number:.{count - 2}e}",):
            assert np.float32(shorter) != np.float32(number)


@given(st.lists(FLOATS, min_size=1))
def test_arrays_are_lists_of_such_numbers(numbers):
    array = np.array(numbers, np.float32)
    assert shortest(array) == [shortest(number) for number in numbers]
    assert shortest(array[None, None]) == [[shortest(array)]]


def test_many_numbers_have_the_digits_of_each():
    """Of every size, with every number of digits, beside powers of two and of ten."""
    draw = np.random.default_rng(0)
    bits = draw.integers(0, 2**32, 3000, dtype=np.uint32).view(np.float32)
    powers = np.float32(2) ** np.arange(-149, 128, dtype=np.float32)
    tens = np.array([float(f"1e{k}") for k in range(-45, 39)], np.float32)
    some = [draw.standard_normal(3000), draw.integers(-(10**4), 10**4, 3000) / 1000]
    numbers = np.concatenate([bits[np.isfinite(bits)], powers, -powers, tens, *some, [0.0, -0.0]])
    near = [np.nextafter(numbers, np.float32(end)) for end in (-1e38, 1e38)]
    for array in (numbers.astype(np.float32), *(n.astype(np.float32) for n in near)):
        assert shortest(array) == [float(str(number)) for number in array]
        assert np.array_equal(np.signbit(shortest(array)), np.signbit(array))


def test_what_is_no_number_stays():
    result = [{"score": 0.1, "token": 3, "label": "0.1", "none": None}, (True, np.float32(0.1))]
    assert shortest(result) == [
        {"score": 0.1, "token": 3, "label": "0.1", "none": None},
        [True, 0.1],
    ]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_refused(number):
    for value in (number, np.float32(number), [{"score": number}], np.array([[0, number]])):
        with pytest.raises(ValueError, match=f"the result has {number} for a number"):
            shortest(value)


def test_lines_of_results_and_of_errors_differ_in_how_they_end():
    assert json.loads(line_of({"text": "a"}, "[1]")) == {"text": "a", "result": [1]}
    assert json.loads(line_of({}, "[1]")) == {"result": [1]}
    assert json.loads(error_line(3, "é", "?")) == {"line": 3, "text": "é", "error": "?"}
    for message in ("", 'no "mask"', "a\\b\n"):
        row = json.dumps({"error": "old", "n": 1} | {"why": 0, "error": message})
        for line in (error_line(3, "", message), json.dumps({"n": 1, "error": message}), row):
            assert is_error_line(f"{line}\n".encode()) == (line is not row)


@given(st.text(), st.text())
def test_no_text_looks_like_an_error(text, tricky):
    for trick in (', "error": "', f', "error": "{tricky}"}}', text):
        line = line_of({"text": text + trick}, json.dumps(tricky + trick))
        assert not is_error_line(f"{line}\n".encode())
        assert not is_error_line(line_of({"text": {"a": 1, "error": trick}}, "{}").encode())
        assert is_error_line(json.dumps({"text": trick, "error": text + trick}).encode())
