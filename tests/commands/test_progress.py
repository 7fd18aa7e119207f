"""The progress bar: what it draws, when, and that it passes everything on."""

import io
import sys

import pytest

from npbert import terminal as module
from npbert.terminal import bar, duration, progress, rate
from npbert.tokenizer.bert_tokenizer import BertTokenizer


class Stderr(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.fixture
def stderr(monkeypatch):
    """Replace stderr by a terminal (or a file), and the clock by one that a test moves on."""
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])

    def replace(is_terminal=True):
        monkeypatch.setattr(sys, "stderr", Stderr(is_terminal))
        return sys.stderr, clock

    return replace


def test_the_bar():
    assert (
        bar(5, 10, "texts", 2.0)
        == f"texts  [{'#' * 15}{' ' * 15}]  50%  5/10  2 s, 2.5/s, 2 s left"
    )
    assert bar(0, 10, "", 0.2) == f"[{' ' * 30}]   0%  0/10  0 s"
    assert bar(0, 0, "", 0.0).startswith(f"[{'#' * 30}] 100%  0/0")
    assert "100%  12/10" in bar(12, 10, "", 1.0)
    assert bar(30_000, 100_000, "", 15.0).endswith("30000/100000  15 s, 2,000/s, 35 s left")
    assert bar(1, 100, "", 60.4).endswith("1/100  1 min 0 s, 0.0166/s, 1 h 39 min left")


def test_times_and_rates():
    times = {0.4: "0 s", 59.4: "59 s", 59.6: "1 min 0 s", 3600: "1 h 0 min", 360000: "100 h 0 min"}
    assert {seconds: duration(seconds) for seconds in times} == times
    assert [rate(x) for x in (0.1234, 12.34, 123.4, 1234.4)] == ["0.123", "12.3", "123", "1,234"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_shown_on_request(stderr, is_terminal):
    stream, clock = stderr(is_terminal)
    passed = []
    for item in progress(range(4), 4, "texts", show=True):
        clock[0] += 0.06
        passed.append(item)
    lines = stream.getvalue().replace("\x1b[K", "").split("\r")[1:]
    assert passed == [0, 1, 2, 3]
    assert [line.split()[-3] for line in lines[:1]] == ["0/4"]
    assert 2 <= len(lines) <= 4 and lines[-1].endswith(" 4/4  0 s, 16.7/s\n")
    assert ("\x1b" in stream.getvalue()) == is_terminal


def test_unasked_it_appears_after_a_second_and_on_a_terminal_only(stderr):
    for is_terminal, seconds, appears in ((True, 2, True), (True, 0.01, False), (False, 2, False)):
        stream, clock = stderr(is_terminal)
        for _ in progress(range(3), 3, show=None):
            clock[0] += seconds
        assert bool(stream.getvalue()) == appears
    stream, _ = stderr()
    items = [1, 2]
    assert progress(items, 2, show=False) is items


def test_an_error_ends_the_line(stderr):
    stream, _ = stderr()

    def work():
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(progress(work(), 2, show=True))
    assert stream.getvalue().endswith(" 1/2  0 s, 0 s left\n")


def test_a_call_shows_it(stderr):
    stream, _ = stderr()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    tokenizer = BertTokenizer({token: number for number, token in enumerate(special)})
    assert tokenizer(["a", "b"], progress=True).input_ids == [[2, 5, 3], [2, 1, 3]]
    assert "texts" in stream.getvalue() and stream.getvalue().endswith("2/2  0 s\n")
    stream, _ = stderr()
    tokenizer(["a", "b"])
    assert stream.getvalue() == ""
