"""The command `npbert trace`: the page that it writes, and what it says of wrong input."""

import errno
import json
import os
import re
import sys
import threading

import pytest
from commanding import run_command

from npbert.tracing.page import make_page

TEXT = "the [MASK] sat on the mat."


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return run_command(capsys, "trace", *arguments)

    return run


def test_the_command_writes_the_page(run, checkpoint, tmp_path):
    status, out, err = run(checkpoint, TEXT, "-o", "page.html")
    assert (status, err) == (0, "") and re.fullmatch(r"page\.html: \d+\.\d MB\n", out)
    written = (tmp_path / "page.html").read_text("utf-8")
    assert written == make_page(checkpoint, [TEXT])
    assert run(checkpoint, "the cat", "a dog")[1].startswith("checkpoint-trace.html: ")
    page = (tmp_path / "checkpoint-trace.html").read_text("utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["tokens"] == [["[CLS]", "the", "cat", "[SEP]", "a", "dog", "[SEP]"]]


WRONG = {
    "empty": ([" "], "the text is empty"),
    "empty second": (["a", ""], "is empty"),
    "too long": (["a " * 11], "13 tokens, special tokens included, more than the model's 12"),
    "three texts": (["a", "a", "a"], "3 texts given, expected one or two"),
    "head": (["a", "--head", "ForNothing"], "head is 'ForNothing', expected one of Model"),
    "untrained head": (["a", "--head", "ForTokenClassification"], "missing: classifier.weight"),
    "directory": (["a", "-o", "."], "is a directory"),
    "directory to be": (["a", "-o", "sub/"], "sub/ is a directory, expected the name of a file"),
    "no name": (["a", "-o", ""], "the path is empty"),
    "nowhere": (["a", "-o", "no/page.html"], "there is no directory no"),
    "no text": ([], "required: TEXT"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_line_and_writes_nothing(run, checkpoint, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    status, out, err = run(checkpoint, *arguments)
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1 and "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of POSIX")
def test_a_page_goes_through_pipes_and_links(run, checkpoint, tmp_path):
    os.mkfifo("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    assert run(checkpoint, TEXT, "-o", "pipe")[0] == 0
    reader.join(10)
    (tmp_path / "link.html").symlink_to("page.html")
    assert run(checkpoint, TEXT, "-o", "link.html")[0] == 0
    assert (tmp_path / "page.html").read_bytes() == got[0]
    assert (tmp_path / "link.html").is_symlink() and (tmp_path / "pipe").is_fifo()


def test_an_unknown_model_is_one_line(run):
    status, _, err = run("nowhere", TEXT)
    assert status == 2 and err.count("\n") == 1 and "convbert-tiny" in err


def test_a_long_text_may_be_cut(run, checkpoint):
    assert run(checkpoint, "a " * 30, "--truncation")[0] == 0


def test_a_failure_leaves_the_old_page(run, checkpoint, tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_text("old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    message = f"npbert: error: cannot write {page}: no space left on the disk\n"
    assert run(checkpoint, TEXT, "-o", page) == (2, "", message)
    assert page.read_text() == "old" and sorted(tmp_path.iterdir()) == [checkpoint, page]
