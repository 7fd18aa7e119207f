"""A file of answers at the command line: verdicts, time limit, exit status, one-line errors."""

import pytest
from commanding import run_command

from npbert.__main__ import main
from npbert.exercises import CHAPTERS, EXERCISES

pytestmark = pytest.mark.thorough

RIGHT = f"import numpy as np\n{EXERCISES['tokens_first'].source()}\n"


@pytest.fixture
def run(tmp_path, capfd):
    """Run `npbert exercises check` on a file with this text; return (status, stdout, stderr)."""

    def run(text, *options):
        path = tmp_path / "answers.py"
        path.write_text(text, encoding="utf-8")
        status, out, err = run_command(capfd, "exercises", "check", path, *options)
        return status, out, err.replace(str(path), "FILE")

    return run


def test_all_solutions_in_a_file_are_right(run):
    imports = {line for exercise in EXERCISES.values() for line in exercise.imports()}
    sources = [exercise.source() for exercise in EXERCISES.values()]
    status, out, err = run("\n".join([*imports, *sources]))
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"{len(EXERCISES)} of {len(EXERCISES)} answers right"


def test_hanging_and_ending_answers_do_not_stop_the_others(run):
    text = (
        "import os\n"
        "def stable_softmax(x):\n    while True:\n        pass\n"
        "def attention_scores(query, key):\n    os._exit(0)\n"
        "def mix_nearby(values, filters):\n    return ...\n"
        "def lower_each(text):\n    return text[99]\n"
    )
    status, out, err = run(text + RIGHT, "--limit", "1")
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "stable_softmax: wrong",
        "  no result after 1 s",
        "attention_scores: wrong",
        "  stops the process",
        "mix_nearby: not done yet",
        "lower_each: wrong",
        "  raises IndexError: string index out of range, in line 10 (return text[99])",
        out.splitlines()[7],
        "tokens_first: right",
        "  on 6 inputs",
        "1 of 5 answers right",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\n", "FILE: defines no function with the name of an exercise"),
        ("a = \n", "FILE: line 1: invalid syntax"),
        (f"{RIGHT}1 / 0\n", "FILE: raises ZeroDivisionError: division by zero, in line 5 (1 / 0)"),
        (f"{RIGHT}while True:\n    pass\n", "FILE: runs longer than 0.5 s"),
        (f"{RIGHT}import os\nos._exit(3)\n", "FILE: stops the process"),
        (f"{RIGHT}\0", "FILE: "),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(run, text, said):
    status, out, err = run(text, "--limit", "0.5")
    assert (status, out) == (2, "")
    assert err.startswith(f"npbert: error: {said}") and err.count("\n") == 1


def test_a_file_that_is_missing_and_a_time_that_is_none(run, capfd):
    assert main(["exercises", "check", "missing.py"]) == 2
    assert "missing.py" in capfd.readouterr().err
    assert run(RIGHT, "--limit", "-1")[0] == 2


def test_the_list_and_the_stubs(capsys, tmp_path):
    assert main(["exercises"]) == 0
    listed = capsys.readouterr().out
    for exercise in EXERCISES.values():
        assert f"  {exercise.signature}\n      {exercise.statement}\n" in listed
    assert len([line for line in listed.splitlines() if line[0].isdigit()]) == len(CHAPTERS) + 1
    assert main(["exercises", "--stubs"]) == 0
    namespace = {}
    exec(capsys.readouterr().out, namespace)
    assert namespace.keys() >= EXERCISES.keys()
