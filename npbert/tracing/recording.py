"""Records a forward pass: every quantity that its lines compute, named by its place.

    for quantity in npbert.trace(model, input_ids=[[2, 31, 7, 3]]):
        print(quantity.name, quantity.shape, quantity.value.mean())

The forward code calls nothing of this, though its lines were written to be recorded: one quantity,
one name. Python itself reports every line that is run (sys.settrace), and after an assignment the
arrays that it bound are noted. The name of a quantity is the path of the parameters that the
function works with, then the name that it has there:

    encoder.layer.0.attention.self.query           the result of a function with parameters of its
                                                   own (`linear` with p.query): the output of a
                                                   module, under the module's path
    encoder.layer.0.wide                           a name assigned in a function whose parameters
                                                   are encoder.layer.0
    encoder.layer.0.attention.self.attend.scores   a name assigned in a function without parameters:
                                                   the function's name follows its caller's path
    encoder.layer.0.output.LayerNorm.x             an argument that had no name before

The first name of an array is the quantity's name, and later ones are aliases: the array that
`attend` calls probs also has a name in the function that called it. Parameters, and views of them,
are not quantities.
"""

from __future__ import annotations

import ast
import bisect
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any, cast

import numpy as np

from npbert import kernels, ops
from npbert.compiled import backend
from npbert.model import heads, params
from npbert.model.base import PreTrainedModel
from npbert.model.inputs import Inputs
from npbert.tracing.quantities import INPUTS, Place, Quantity, Trace
from npbert.tracing.source import assignments, called_name, file_in_package, statements_of


def trace(
    model: PreTrainedModel,
    *arguments: Any,
    visit: Callable[[Quantity, np.ndarray], None] | None = None,
    **named_arguments: Any,
) -> Trace:
    """Run a model on these arguments and record every quantity on the way.

    visit: called with each quantity as soon as it is computed, before anything uses it, and with
        the array itself. What `visit` writes into that array, the rest of the pass uses.

    The plain NumPy definitions run, whatever the backend is, since it is their lines that are
    recorded; other threads keep the backend that they have.
    Errors are those of the call of the model.
    """
    if not isinstance(model, PreTrainedModel):
        raise ValueError(f"trace takes a model, {type(model).__name__} given")
    return listen(Recorder(model, visit), model, *arguments, **named_arguments)


def listen(recorder: Recorder, model: PreTrainedModel, *arguments: Any, **named: Any) -> Trace:
    """Run a model as `trace` does, with a recorder that may note more than quantities."""
    trace_before = sys.gettrace()
    sys.settrace(recorder.on_call)
    try:
        with backend.using("numpy"):
            recorder.trace.output = cast(Callable, model)(*arguments, **named)
    finally:
        sys.settrace(trace_before)
    return recorder.trace


# ---- what is recorded ----------------------------------------------------------------------


@dataclass
class Call:
    """One call of a traced function, while it runs."""

    frame: FrameType
    caller: Call | None
    line: int  # of its def
    scope: str  # the path before the names that are assigned in it
    module: str | None  # the path of its parameters, if these are not its caller's
    statement: ast.stmt | None = None  # the one that runs now
    arguments: dict[str, str] = field(default_factory=dict)  # the names of what it was called with
    # What calls within the present statement have returned: id of the array -> its sources, and
    # the function -> what it has returned each time, by name or else by its sources.
    returned: dict[int, list[str]] = field(default_factory=dict)
    returned_by: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """The function, its file and the first line of the statement that runs now."""
        code = self.frame.f_code
        line = self.line if self.statement is None else self.statement.lineno
        return code.co_name, file_in_package(code.co_filename), line


def family_of(model: PreTrainedModel) -> ModuleType:
    """Return the module with a model's forward pass."""
    family = next(base for base in type(model).__mro__ if "base_model_prefix" in vars(base))
    module = inspect.getmodule(family)
    assert module is not None
    return module


class Recorder:
    """Listens to the lines of the family's file, of the operations and of the heads."""

    def __init__(
        self, model: PreTrainedModel, visit: Callable[[Quantity, np.ndarray], None] | None = None
    ) -> None:
        files = [inspect.getfile(module) for module in (family_of(model), ops, kernels, heads)]
        self.statements = {file: statements_of(file) for file in files}
        self.visit = visit
        self.trace = Trace()
        self.calls: dict[FrameType, Call] = {}
        self.names: dict[int, str] = {}  # of every array seen so far, by id
        self.kept: list[np.ndarray] = []  # these arrays, so that no other array gets their id
        # Where an array was returned first, by id; and the call that computed a quantity.
        self.origins: dict[int, tuple[Call, Place]] = {}
        self.makers: dict[str, Call] = {}
        self.parameters: set[int] = set()
        self.memory: list[tuple[int, int, str]] = []  # of the parameters: start, end, name
        for name, array in params.flatten(model.params):
            self.names.setdefault(id(array), name)
            self.parameters.add(id(array))
            start = array.__array_interface__["data"][0]
            self.memory.append((start, start + array.nbytes, self.names[id(array)]))
        self.memory.sort()
        self.body = model.base_model_prefix
        self.has_begun = False  # what runs before the encoder checks the arguments

    # ---- what Python reports ----

    def on_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in self.statements or code.co_name.startswith("<"):
            return None  # another file; or a comprehension, which is a part of a statement
        if frame not in self.calls:  # after every yield a generator is called again
            values = {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]}
            self.has_begun |= any(isinstance(value, Inputs) for value in values.values())
            is_method = isinstance(values.get("self"), PreTrainedModel)
            if not (self.has_begun or is_method):
                return None
            self.enter(frame, values, is_method)
        return self.on_event

    def on_event(self, frame: FrameType, event: str, argument: Any) -> Any:
        call = self.calls[frame]
        statement = self.statements[frame.f_code.co_filename].get(frame.f_lineno)
        if isinstance(call.statement, ast.Return) and isinstance(statement, ast.With):
            statement = call.statement  # a `return` within `with` ends on the line of the latter
        if event == "line" and statement is not call.statement:
            self.finish(call)
            call.statement, call.returned, call.returned_by = statement, {}, {}
        elif event == "return" and isinstance(call.statement, ast.Return):
            self.leave(call, argument)
        elif event == "return":  # after a yield, or at the end of a function that returns nothing
            self.finish(call)
            call.statement = None
        return self.on_event

    def enter(self, frame: FrameType, values: dict[str, Any], is_method: bool) -> None:
        """Begin a call: find its scope, and record arguments that have no name yet."""
        caller, above = None, frame.f_back
        while above is not None and caller is None:
            caller, above = self.calls.get(above), above.f_back
        scope, module = caller.scope if caller else "", None
        if isinstance(values.get("p"), params.Node):
            own = params.path(values["p"])
            # The encoder is no step of its own: it yields the outputs of its layers.
            scope, module = own, own if own not in (scope, self.body) else None
        elif not is_method:
            scope = joined(scope, frame.f_code.co_name)
        definition = self.statements[frame.f_code.co_filename][frame.f_code.co_firstlineno]
        call = self.calls[frame] = Call(frame, caller, definition.lineno, scope, module)
        if isinstance(values.get("p"), params.Node):
            call.arguments["p"] = params.path(values["p"])
        for name, value in values.items():
            if isinstance(value, Inputs):
                for part, array in vars(value).items():
                    if isinstance(array, np.ndarray):
                        self.bind(joined("inputs", part), array, None, call)
            elif isinstance(value, np.ndarray) and not is_method:
                if not self.is_known(value):
                    self.add(joined(scope, name), value, call, self.sources_of_argument(name, call))
                call.arguments[name] = self.names[id(value)]

    def finish(self, call: Call) -> None:
        """Record what the statement that has just run assigned."""
        for name, expression in assignments(call.statement):
            value = call.frame.f_locals.get(name)
            if isinstance(value, np.ndarray):
                self.bind(joined(call.scope, name), value, expression, call)

    def leave(self, call: Call, result: Any) -> None:
        """Record what a function returns, if it is the output of a module of the checkpoint."""
        assert isinstance(call.statement, ast.Return)
        expression = call.statement.value
        values = result if isinstance(result, tuple) else (result,)
        parts: list[ast.expr | None] = [expression] * len(values)
        if isinstance(expression, ast.Tuple) and len(expression.elts) == len(values):
            parts = [*expression.elts]
        arrays = [(a, part) for a, part in zip(values, parts) if isinstance(a, np.ndarray)]
        for array, _ in arrays:
            self.origins.setdefault(id(array), (call, call.place))
        if arrays and call.module:
            self.bind(call.module, *arrays[0], call)
        if call.caller:
            names = []
            for array, part in arrays:
                self.kept.append(array)
                sources = call.caller.returned[id(array)] = self.sources(array, part, call)
                names += [self.names[id(array)]] if id(array) in self.names else sources
            call.caller.returned_by.setdefault(call.frame.f_code.co_name, []).append(names)

    # ---- names ----

    def bind(self, name: str, array: np.ndarray, expression: ast.expr | None, call: Call) -> None:
        """Give an array its first name, which makes it a quantity, or an alias."""
        if not self.has_begun:
            return
        if not self.is_known(array):
            self.add(name, array, call, self.sources(array, expression, call))
        elif id(array) not in self.parameters:
            quantity = self.trace.by_name[self.names[id(array)]]
            holder = self.trace.by_name.get(name)
            if holder and holder.name == name:
                return  # the first name of a quantity is never an alias of another
            if name not in quantity.aliases:
                quantity.aliases.append(name)
            # An alias that several share means the last: the final output of a layer.
            self.trace.by_name[name] = quantity

    def add(self, name: str, array: np.ndarray, call: Call, inputs: list[str]) -> None:
        """Record a quantity."""
        caller = call.caller.place if call.caller else None
        maker, place = call, call.place
        if isinstance(call.statement, ast.Return):
            maker, place = self.origins[id(array)]
        elif call.statement is None and caller and not name.startswith(INPUTS):
            maker, place = cast(Call, call.caller), caller
        sources = tuple(dict.fromkeys(inputs))
        quantity = Quantity(name, array, *place, sources, call.place, call.arguments, caller)
        self.makers[name] = maker
        if self.visit:
            self.visit(quantity, array)
        quantity.value = array.copy()
        self.names[id(array)] = name
        self.kept.append(array)
        self.trace.quantities.append(quantity)
        self.trace.by_name[name] = quantity

    def is_known(self, array: np.ndarray) -> bool:
        """Tell whether an array has a name already, or is a view of a parameter."""
        if id(array) in self.names:
            return True
        # By its address: the base of an array that was read from a file is the file, for NumPy.
        start = array.__array_interface__["data"][0]
        place = bisect.bisect(self.memory, (start, sys.maxsize, "")) - 1
        if place < 0 or start >= self.memory[place][1]:
            return False
        self.names[id(array)] = self.memory[place][2]
        self.parameters.add(id(array))
        self.kept.append(array)
        return True

    # ---- sources: the names of the quantities that an array was computed from ----

    def sources(self, array: np.ndarray, expression: ast.AST | None, call: Call) -> list[str]:
        """Return the sources of an array that an expression gave, or a call within it."""
        inner = call.returned.get(id(array))
        return self.sources_of(expression, call) if inner is None else inner

    def sources_of(self, expression: ast.AST | None, call: Call) -> list[str]:
        if expression is None or getattr(expression, "attr", None) in ("shape", "dtype", "size"):
            return []
        value = look_up(expression, call.frame)
        if isinstance(value, np.ndarray):
            return [self.names[id(value)]] if self.is_known(value) else []
        if isinstance(expression, ast.Call):
            for argument in expression.args:  # f(x, p.dense) is the quantity "dense"
                node = look_up(argument, call.frame)
                if isinstance(node, params.Node) and params.path(node) in self.trace.by_name:
                    return [self.trace.by_name[params.path(node)].name]
            returned = call.returned_by.get(called_name(expression), [])
            if len(returned) == 1:
                return returned[0]
        parts = ast.iter_child_nodes(expression)
        return [source for part in parts for source in self.sources_of(part, call)]

    def sources_of_argument(self, name: str, call: Call) -> list[str]:
        """Return the sources of an argument, from the expression that the caller wrote for it."""
        if call.caller is None or call.caller.statement is None:
            return []
        code, frame = call.frame.f_code, call.caller.frame
        place = code.co_varnames.index(name)
        for node in ast.walk(call.caller.statement):
            if isinstance(node, ast.Call) and len(node.args) > place:
                is_this = called_name(node) == code.co_name
                nodes = [look_up(argument, frame) for argument in node.args]
                p = call.frame.f_locals.get("p")
                if is_this and (p is None or any(node is p for node in nodes)):
                    return self.sources_of(node.args[place], call.caller)
        return self.sources_of(call.caller.statement, call.caller)


def joined(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def look_up(expression: ast.AST, frame: FrameType) -> Any:
    """Return the value of a name, an attribute or an entry of a list; None for anything else."""
    if isinstance(expression, ast.Name):
        return frame.f_locals.get(expression.id)
    if isinstance(expression, ast.Attribute):
        return getattr(look_up(expression.value, frame), expression.attr, None)
    if isinstance(expression, ast.Subscript):
        holder, index = look_up(expression.value, frame), look_up(expression.slice, frame)
        return holder[index] if isinstance(holder, list) and isinstance(index, int) else None
    return None
