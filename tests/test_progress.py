"""The bar on standard error: when it is shown, what it says, and that it leaves no trace."""

import io
import sys
import types

import pytest

from npbert.tasks import progress
from npbert.tasks.progress import MANY, Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=terminal))
    monkeypatch.setattr(progress, "PAUSE", 0)
    return terminal


def test_many_texts_have_a_bar(stderr):
    with Progress(MANY, None) as bar:
        bar.advance(MANY // 4)
        assert f" {MANY // 4}/{MANY} texts, " in stderr.getvalue()
        assert stderr.getvalue().count("#") == round(progress.WIDTH / 4)
        bar.advance(MANY - MANY // 4)
        assert f"[{'#' * progress.WIDTH}] {MANY}/{MANY} texts" in stderr.getvalue()


def test_it_leaves_an_empty_line(stderr):
    with pytest.raises(KeyboardInterrupt), Progress(100, True) as bar:
        bar.advance()
        raise KeyboardInterrupt
    drawn, empty, end = stderr.getvalue().split("\r")[1:]
    assert drawn and empty == " " * len(drawn) and end == ""


def test_a_few_texts_have_none_unless_it_is_asked_for(stderr):
    with Progress(MANY - 1, None) as bar:
        bar.advance(MANY - 1)
    with Progress(10**6, False) as bar:
        bar.advance(MANY - 1)
    assert stderr.getvalue() == ""
    with Progress(2, True) as bar:
        bar.advance()
    assert "1/2 texts" in stderr.getvalue()


def test_a_file_has_none(capsys):
    assert not sys.stderr.isatty()
    with Progress(10**6, None) as bar:
        bar.advance(10**6)
    assert capsys.readouterr().err == ""


def test_it_is_drawn_a_few_times_a_second(stderr, monkeypatch):
    monkeypatch.setattr(progress, "PAUSE", 60)
    with Progress(1000, True) as bar:
        for _ in range(999):
            bar.advance()
    assert stderr.getvalue() == ""


def test_the_total_may_be_unknown(stderr):
    with Progress(None, True, "lines") as bar:
        bar.advance(7)
    assert stderr.getvalue().startswith("\r7 lines, ")
