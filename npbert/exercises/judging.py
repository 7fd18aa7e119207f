"""One answer to one exercise: right, wrong and why, or not done yet."""

from __future__ import annotations

import copy
import inspect
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbert.compiled.backend import using
from npbert.exercises.catalogue import find
from npbert.exercises.comparing import difference, kind, short
from npbert.exercises.exercise import Exercise

ROUNDS = 3  # times that the inputs are drawn
RIGHT, WRONG, NOT_DONE = "right", "wrong", "not done yet"


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer.

    name     of the exercise
    status   "right", "wrong" or "not done yet"
    reasons  lines that say why, the name of a likely mistake first where it is one
    """

    name: str
    status: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n  ".join([f"{self.name}: {self.status}", *self.reasons])


@dataclass(frozen=True)
class Outcome:
    """What a call gave: a value or an exception, and the arguments as they are afterwards."""

    value: Any
    error: BaseException | None
    arguments: tuple[Any, ...]

    def same_as(self, other: Outcome) -> bool:
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        try:
            alike = difference(self.value, other.value) is None
            return alike and difference(self.arguments, other.arguments) is None
        except Exception:  # an answer may be anything, of any behaviour
            return False


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """Call a function with copies of the arguments, whatever it does."""
    given = copy.deepcopy(arguments)
    value, error = None, None
    with warnings.catch_warnings(), np.errstate(all="ignore"), using("numpy"):
        warnings.simplefilter("ignore")
        try:
            value = function(*given)
        except (Exception, SystemExit) as raised:
            error = raised
    return Outcome(value, error, given)


def check(name: str, function: Callable[..., Any]) -> None:
    """Print whether a function solves the exercise of this name, and if not, why.

    An answer that is wrong or raises is no error here. KeyError if there is no such exercise.
    """
    print(judge(find(name), function))


def judge(exercise: Exercise, function: Any) -> Verdict:
    """Compare a function with the solution on random inputs, the same ones every time."""
    if not callable(function):
        reason = f"{exercise.name} is {kind(function)}, expected a function"
        return Verdict(exercise.name, WRONG, (reason,))
    right = exercise.reference or exercise.solution
    cases, reasons = [], None
    for seed in range(ROUNDS):
        for arguments in exercise.inputs(np.random.default_rng(seed)):
            got = call(function, arguments)
            if got.value is Ellipsis:
                return Verdict(exercise.name, NOT_DONE)
            expected = call(right, arguments)
            if expected.error is not None:
                raise expected.error
            cases.append((arguments, got))
            if reasons is None:
                reasons = fault(exercise, function, arguments, got, expected)
    if reasons is None:
        return Verdict(exercise.name, RIGHT, (f"on {len(cases)} inputs",))
    for mistake in exercise.mistakes:
        if all(got.same_as(call(mistake.function, given)) for given, got in cases):
            return Verdict(exercise.name, WRONG, (mistake.message, *reasons))
    return Verdict(exercise.name, WRONG, reasons)


def fault(
    exercise: Exercise,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    got: Outcome,
    expected: Outcome,
) -> tuple[str, ...] | None:
    """Say what is wrong with one call, and with which arguments; None if nothing is."""
    names = [*inspect.signature(exercise.solution).parameters]
    if got.error is not None:
        code = getattr(inspect.unwrap(function), "__code__", None)
        said = raised(got.error, code.co_filename if code else "")
    elif got.value is None:
        said = "the result is None: is a `return` missing?"
    else:
        try:
            found = difference(got.value, expected.value)
        except Exception as error:
            found = f"the result cannot be compared: {type(error).__name__}: {error}"
        if found is None:
            for name, after, usual in zip(names, got.arguments, expected.arguments):
                if changed := difference(after, usual, name):
                    found = f"the result is right; but afterwards, in the arguments, {changed}"
        if found is None:
            return None
        said = found
    given = ", ".join(f"{name} = {short(value)}" for name, value in zip(names, arguments))
    return (said, f"for {given}")


def raised(error: BaseException, file: str) -> str:
    """Describe an exception with the line of the reader's file that it came from."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename == file]
    if not theirs:
        return f"raises {said}"
    line = f" ({theirs[-1].line})" if theirs[-1].line else ""
    return f"raises {said}, in line {theirs[-1].lineno}{line}"
