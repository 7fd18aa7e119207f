"""--resume of a table: whatever ended a run, every row is there once, and nothing is done twice."""

import os
import random
import subprocess
import sys

import pytest
from corpus_rows import rows_of

from npbert.corpus.jobs import Job

COUNT = 40
TEXTS = ["cat " * 50 if n == 9 else f"the {'cat ' * (n % 7)}sat {n}" for n in range(COUNT)]


def make(tmp_path, texts=TEXTS):
    rows = "".join(f"{n},{text}\n" for n, text in enumerate(texts))
    (tmp_path / "in.csv").write_text("id,text\n" + rows)


@pytest.fixture
def given(tmp_path):
    make(tmp_path)
    return ["embed", "--input", "in.csv", "--output", "out.csv"]


@pytest.fixture
def journal(run, given, tmp_path, monkeypatch):
    """The lines of JSON of a run that could not write its table."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        status, err = run(*given)
    assert status == 2 and "cannot write out.csv: no space left" in err
    assert not (tmp_path / "out.csv").exists()
    return tmp_path / "out.csv.unfinished"


def full_disk(*_):
    raise OSError(28, "No space left on device")


def ids(path):
    return [int(row["id"]) for row in rows_of(path)]


def test_a_run_that_was_cut_anywhere_is_resumed(run, given, journal, tmp_path):
    whole = journal.read_bytes()
    assert run(*given, "--resume")[0] == 1  # a row is too long
    table = rows_of(tmp_path / "out.csv")
    assert [int(row["id"]) for row in table] == [*range(COUNT)] and not journal.exists()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    draw = random.Random(0)
    for cut in [0, 1, ends[0], ends[9], ends[9] - 1, len(whole) - 1, *draw.sample(ends, 3)]:
        (tmp_path / "out.csv").unlink()
        journal.write_bytes(whole[:cut])
        status, err = run(*given, "--resume")
        assert (status, "could not be answered" in err) == (1, cut < ends[9])
        again = rows_of(tmp_path / "out.csv")
        for old, new in zip(table, again, strict=True):
            assert old["id"] == new["id"] and old["error"] == new["error"]
        assert not journal.exists()


def test_what_was_answered_is_not_answered_again(run, given, journal, tmp_path, monkeypatch):
    answer = Job.answer

    def nothing(self, entries, progress=False):
        assert entries == []
        return answer(self, entries, progress)

    monkeypatch.setattr(Job, "answer", nothing)
    assert run(*given, "--resume")[0] == 1
    assert ids(tmp_path / "out.csv") == [*range(COUNT)]
    assert run(*given, "--resume") == (0, "npbert: note: out.csv is complete\n")


def test_an_input_that_has_changed_is_an_error(run, given, journal, tmp_path):
    for place, texts in {
        "row 4 of in.csv is not what was answered": [*TEXTS[:3], "other", *TEXTS[4:]],
        "does not answer row 40": [*TEXTS[:-1], "other"],
        "out.csv.unfinished has 40 lines and in.csv only 30": TEXTS[:30],
    }.items():
        make(tmp_path, texts)
        status, err = run(*given, "--resume")
        assert status == 2 and place in err
        assert journal.exists() and not (tmp_path / "out.csv").exists()
    make(tmp_path)
    assert run(*given, "--resume")[0] == 1 and ids(tmp_path / "out.csv") == [*range(COUNT)]


def test_what_is_there_is_replaced_when_it_is_asked_for(run, given, journal, tmp_path):
    status, err = run(*given)
    assert status == 2 and "out.csv.unfinished is not empty; --resume goes on" in err
    (tmp_path / "out.csv").write_text("precious")
    status, err = run(*given)
    assert status == 2 and "out.csv is not empty; --force replaces it" in err
    assert (tmp_path / "out.csv").read_text() == "precious" and journal.exists()
    make(tmp_path, TEXTS[:5])
    assert run(*given, "--force") == (0, "")
    assert ids(tmp_path / "out.csv") == [*range(5)] and not journal.exists()
    lines = [*given[:3], "--output", "out.jsonl"]
    for options in ([], ["--force"]):
        assert run("embed", *lines[1:], *options) == (0, "")
        assert ids(tmp_path / "out.jsonl") == [*range(5)]


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="locks")
def test_two_runs_do_not_write_one_output(run, given, journal, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        holder.stdout.readline()
        status, err = run(*given, "--resume")
        assert status == 2 and "out.csv.unfinished: another run is writing to it" in err
        holder.stdin.close()
    assert run(*given, "--resume")[0] == 1
