"""The exercises: solutions are right, every likely mistake gets a message of its own."""

import subprocess
import sys

import numpy as np
import pytest

from npbert import exercises
from npbert.exercises import CHAPTERS, EXERCISES, judge

MISTAKES = [
    pytest.param(exercise, mistake, id=f"{exercise.name}-{number}")
    for exercise in EXERCISES.values()
    for number, mistake in enumerate(exercise.mistakes)
]
each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


def test_there_are_enough():
    assert len(EXERCISES) == sum(map(len, CHAPTERS.values())) >= 40  # no name twice
    assert len(MISTAKES) >= 90
    assert all(len(chapter) >= 2 for chapter in CHAPTERS.values())


@each_exercise
def test_the_solution_is_right(exercise):
    assert str(judge(exercise, exercise.solution)).startswith(f"{exercise.name}: right\n  on ")


@each_exercise
def test_the_stub_is_not_done_and_the_source_solves(exercise):
    assert exercise.statement.endswith(".") and len(exercise.hint) > 15
    assert 2 <= len(exercise.mistakes) <= 4
    namespace = {}
    exec(exercise.stub(), namespace)
    assert judge(exercise, namespace[exercise.name]).status == "not done yet"
    assert len(exercise.source().splitlines()) <= 20 + len(exercise.stub().splitlines())
    namespace = {}
    exec("\n".join([*exercise.imports(), exercise.source()]), namespace)
    assert judge(exercise, namespace[exercise.name]).status == "right"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_likely_mistake_gets_its_message(exercise, mistake):
    verdict = judge(exercise, mistake.function)
    assert (verdict.status, verdict.reasons[0]) == ("wrong", mistake.message)
    assert len(verdict.reasons) == 3  # and where it differs, and for what


def test_messages_are_distinct():
    for exercise in EXERCISES.values():
        messages = [mistake.message for mistake in exercise.mistakes]
        assert len({*messages}) == len(messages)


def reasons(function, name="stable_softmax"):
    verdict = judge(EXERCISES[name], function)
    assert verdict.status == "wrong"
    return verdict.reasons


def test_other_faults_are_described():
    right = EXERCISES["stable_softmax"].solution
    assert reasons(lambda x: None)[0] == "the result is None: is a `return` missing?"
    assert reasons(lambda x: right(x).tolist())[0].startswith(
        "the result is of type list, expected"
    )
    assert reasons(lambda x: right(x)[None])[0] == "the result has the shape [1, 5], expected [5]"
    assert reasons(lambda x: right(x).astype("f4"))[0] == "the result is float32, expected float64"
    assert reasons(lambda x: right(x) + (np.arange(x.size).reshape(x.shape) == 2))[0].startswith(
        "the result[2] is 1."
    )
    assert "for x = an array of float64, [5]" in reasons(lambda x: x)
    assert reasons(3) == ("stable_softmax is of type int, expected a function",)


def test_changed_arguments_are_noticed():
    def softmax(x):
        x -= x.max(axis=-1, keepdims=True)
        return EXERCISES["stable_softmax"].solution(x)

    assert reasons(softmax)[0].startswith(
        "the result is right; but afterwards, in the arguments, x[0]"
    )


def test_exceptions_come_with_the_line():
    def softmax(x):
        return x[7, 7]

    line = softmax.__code__.co_firstlineno + 1
    (said, _) = reasons(softmax)
    assert said.startswith("raises IndexError: too many indices")
    assert said.endswith(f", in line {line} (return x[7, 7])")
    assert reasons(lambda: 1)[0].startswith("raises TypeError")
    assert reasons(lambda x: exit())[0].startswith("raises")


def test_check_prints_and_does_not_raise(capsys):
    exercises.check("stable_softmax", lambda x: ...)
    assert capsys.readouterr().out == "stable_softmax: not done yet\n"
    exercises.check("stable_softmax", EXERCISES["stable_softmax"].solution)
    assert capsys.readouterr().out == "stable_softmax: right\n  on 9 inputs\n"
    with pytest.raises(KeyError, match="no exercise 'stable_softmx'; did you mean stable_softmax"):
        exercises.check("stable_softmx", print)


def test_a_check_needs_nothing_but_numpy():
    """As in a browser, where there is neither numba nor a second process."""
    code = (
        "import sys\n"
        "for name in ('numba', 'multiprocessing', 'subprocess', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"  # importing it is an error
        "from npbert import exercises\n"
        "for exercise in exercises.EXERCISES.values():\n"
        "    exercises.check(exercise.name, exercise.solution)\n"
        "    exercise.answer(), exercise.stub()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": right\n") == len(EXERCISES)
