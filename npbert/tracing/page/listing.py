"""Records the calls of a forward pass and the lines that run in each, with the quantities."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from npbert.model.base import PreTrainedModel
from npbert.tracing.quantities import Trace
from npbert.tracing.recording import Call, Recorder, listen
from npbert.tracing.source import assignments, file_in_package


@dataclass
class Named:
    """An array that has a name in the source.

    line   the first of the statement that gave the name; of an argument, that of the `def`
    name   as the source has it; "" for the result of a function
    array  the number of the array among those of the listing
    """

    line: int
    name: str
    array: int


@dataclass
class Step:
    """One call of a function: its caller, the lines that ran, and the names that they gave.

    function, file, line   the function that was called, and the place of its `def`
    scope                  the path before the names of its quantities
    caller, caller_line    the number of the step that called it, None for the first; the line there
    ran                    the first line of each statement, in the order in which they ran
    named                  the arrays
    numbers                line -> name -> whole number, such as the length of an axis
    """

    function: str
    file: str
    line: int
    scope: str
    caller: int | None
    caller_line: int
    ran: list[int] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    numbers: dict[int, dict[str, int]] = field(default_factory=dict)


@dataclass
class Listing:
    """The calls of one forward pass.

    steps  the calls, in the order in which they began
    trace  the quantities
    made   quantity -> the step and the line that made it
    names  number of an array -> the name of the quantity or parameter that it is
    shapes number of an array -> its shape, which may be that of a view of the parameter
    """

    steps: list[Step]
    trace: Trace
    made: dict[str, tuple[int, int]]
    names: dict[int, str]
    shapes: dict[int, tuple[int, ...]]


def list_pass(model: PreTrainedModel, **inputs: Any) -> Listing:
    """Run a model on these inputs and record its steps. Errors are those of the call."""
    recorder = Lister(model)
    inputs = inputs | {"output_hidden_states": True}  # for what the head says of each
    recorded = listen(recorder, model, **inputs)
    names, shapes = {}, {}
    for number, array in recorder.arrays.items():
        if number in recorder.names:
            names[number], shapes[number] = recorder.names[number], array.shape
    return Listing(recorder.steps, recorded, recorder.made, names, shapes)


class Lister(Recorder):
    """A recorder that also notes calls and lines."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self.steps: list[Step] = []
        self.numbers: dict[FrameType, int] = {}  # of the step that a frame is
        self.arrays: dict[int, np.ndarray] = {}  # by id, which stays valid while they are kept
        self.made: dict[str, tuple[int, int]] = {}

    def enter(self, frame: FrameType, values: dict[str, Any], is_method: bool) -> None:
        code = frame.f_code
        # Arguments may become quantities, which need the number of the step.
        self.numbers[frame] = number = len(self.steps)
        line = self.statements[code.co_filename][code.co_firstlineno].lineno  # of the def
        self.steps.append(Step(code.co_name, file_in_package(code.co_filename), line, "", None, 0))
        super().enter(frame, values, is_method)
        call, step = self.calls[frame], self.steps[number]
        step.scope = call.module or call.scope
        if call.caller is not None:
            step.caller = self.numbers[call.caller.frame]
            statement = call.caller.statement
            step.caller_line = statement.lineno if statement is not None else 0
        for name, value in values.items():
            self.note(call, step.line, name, value)

    def on_event(self, frame: FrameType, event: str, argument: Any) -> Any:
        call = self.calls[frame]
        before = call.statement
        super().on_event(frame, event, argument)
        now = call.statement
        if event == "line" and now is not None and now is not before and not is_docstring(now):
            self.steps[self.numbers[frame]].ran.append(now.lineno)
        return self.on_event

    def finish(self, call: Call) -> None:
        super().finish(call)
        if call.statement is not None:
            for name, _ in assignments(call.statement):
                self.note(call, call.statement.lineno, name, call.frame.f_locals.get(name))

    def leave(self, call: Call, result: Any) -> None:
        super().leave(call, result)
        assert call.statement is not None
        for value in result if isinstance(result, tuple) else (result,):
            self.note(call, call.statement.lineno, "", value)

    def add(self, name: str, array: np.ndarray, call: Call, inputs: list[str]) -> None:
        super().add(name, array, call, inputs)
        self.made[name] = self.numbers[self.makers[name].frame], self.trace.by_name[name].line

    def note(self, call: Call, line: int, name: str, value: Any) -> None:
        """Note the value of a name, if it is an array or an integer."""
        step = self.steps[self.numbers[call.frame]]
        if isinstance(value, np.ndarray):
            self.arrays[id(value)] = value
            named = Named(line, name, id(value))
            if named not in step.named:
                step.named.append(named)
        elif isinstance(value, int) and not isinstance(value, bool) and name and line != step.line:
            step.numbers.setdefault(line, {})[name] = value


def is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
