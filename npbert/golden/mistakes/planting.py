"""Plants a mistake in npbert's own forward pass, as an edit of the source that a reader sees.

    with planted(mistake, model) as mistaken:
        trace(mistaken, **inputs)

The source of a function is edited, compiled under its own file name and line numbers, and replaces
the function while the block is open. A trace therefore records the same names and lines as without
the mistake, and the edit can be shown to somebody whose port makes it.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from npbert import kernels, ops
from npbert.compiled import backend
from npbert.compiled.backend import Operation
from npbert.model import heads, params
from npbert.model.base import PreTrainedModel
from npbert.tracing.recording import family_of

FAMILY = "family"  # in an edit's place: the file of whatever family the model is of
SHARED = {"ops": ops, "kernels": kernels, "heads": heads}  # the files that all families use


@dataclass(frozen=True)
class Edit:
    """One line of the source as it is, and as somebody may have misread it.

    place    "file.function" in the package; "family.function" is that function of every family
    old      a part of the function's text that occurs once in it
    new      its replacement, with as many lines
    """

    place: str
    old: str
    new: str


@dataclass(frozen=True)
class Mistake:
    """A classic mistake: what it is, and the edit with which npbert makes it.

    about        the mistake in words, to follow "your values match this model with"
    edits        of the source; those in another family's file do not concern a model
    parameters   changes tensors instead: takes and returns {checkpoint name: array}
    when         tells whether a model has the step in which the mistake is made
    hidden       endings of the names of quantities that mean something else with the mistake
    typed        edits that do what `parameters` does, for a reader who has only the source
    """

    name: str
    about: str
    edits: tuple[Edit, ...] = ()
    parameters: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    when: Callable[[Any], bool] = lambda model: True
    hidden: tuple[str, ...] = ()
    typed: tuple[Edit, ...] = ()

    def edits_for(self, model: PreTrainedModel) -> tuple[Edit, ...]:
        """Return the edits of files that a model's passes run through."""
        return edits_for(self.edits, model)

    def applies(self, model: PreTrainedModel) -> bool:
        """Tell whether a model of this class and config can be mistaken in this way."""
        return bool(self.edits_for(model) or self.parameters) and self.when(model)

    def differences(self, model: PreTrainedModel) -> list[tuple[str, str, str]]:
        """Return the edits to show: (file, the old text, the new text)."""
        shown = []
        for edit in self.edits_for(model):
            file = edit.place.partition(".")[0].replace(FAMILY, model.config.model_type)
            path = SHARED[file].__name__ if file in SHARED else f"npbert.{file}"
            shown.append((f"{path.replace('.', '/')}.py", _flat(edit.old), _flat(edit.new)))
        return shown


def _flat(text: str) -> str:
    return " ".join(text.split())


def edits_for(edits: Iterable[Edit], model: PreTrainedModel) -> tuple[Edit, ...]:
    files = (FAMILY, model.config.model_type, *SHARED)
    return tuple(edit for edit in edits if edit.place.partition(".")[0] in files)


@contextmanager
def planted(mistake: Mistake, model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """Let forward passes contain a mistake, and give the model to run them with.

    That is the model itself, or a copy with other parameters. Raises ValueError as `edited` does.
    """
    with edited(mistake.edits, model):
        yield _with_parameters(model, mistake.parameters) if mistake.parameters else model


@contextmanager
def edited(edits: Iterable[Edit], model: PreTrainedModel) -> Iterator[None]:
    """Let forward passes of a model run through an edited source.

    The plain NumPy definitions run while the block is open, for the edits are of those. Raises
    ValueError for an edit that does not fit the source.
    """
    family = family_of(model)
    by_place: dict[str, list[Edit]] = {}
    for edit in edits_for(edits, model):
        by_place.setdefault(edit.place, []).append(edit)
    functions = [_edited(family, place, tuple(these)) for place, these in by_place.items()]
    undo: list[tuple[Any, str, Any]] = []
    try:
        for holder, name, function in functions:
            right = getattr(holder, name)
            holders = [holder]
            if isinstance(holder, ModuleType):  # and those that have imported it
                holders += [m for m in (family, ops, heads) if vars(m).get(name) is right]
            for each in holders:
                undo.append((each, name, right))
                setattr(each, name, function)
        with backend.using("numpy"):
            yield
    finally:
        for holder, name, right in reversed(undo):
            setattr(holder, name, right)


def _edited(family: ModuleType, place: str, edits: tuple[Edit, ...]) -> tuple[Any, str, Any]:
    """Return where a function is kept, under which name, and the edited function."""
    file, _, path = place.partition(".")
    module = family if file == FAMILY else SHARED.get(file) or sys.modules[f"npbert.{file}"]
    *above, name = path.split(".")
    holder = functools.reduce(getattr, above, module)
    if isinstance(getattr(holder, name), Operation):  # everybody shares it: its plain version
        holder, name = getattr(holder, name), "plain"
    right = getattr(holder, name)
    code = _edited_code(inspect.getfile(module), path, edits)
    function = FunctionType(code, vars(module), right.__name__, right.__defaults__)
    return holder, name, function


@functools.cache
def _edited_code(file: str, path: str, edits: tuple[Edit, ...]) -> CodeType:
    """Edit a function's text and compile it; its lines keep their numbers."""
    source = Path(file).read_text("utf-8")
    node = function_at(path, _tree(file))
    lines = source.split("\n")
    text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    for edit in edits:
        text = replaced(text, edit)
    head = "if True:\n" if text[0] == " " else ""  # a method is indented
    above = "\n" * (node.lineno - 1 - head.count("\n"))
    whole = compile(above + head + text, file, "exec")
    return next(c for c in whole.co_consts if isinstance(c, CodeType) and c.co_name == node.name)


def function_at(path: str, tree: ast.Module) -> Any:
    """Return the function of a path in a file: "attend" or "BertForPreTraining.head"."""
    node: Any = tree
    for name in path.split("."):
        node = next(n for n in node.body if getattr(n, "name", None) == name)
    return node


def replaced(text: str, edit: Edit) -> str:
    """Return a function's text with an edit; raise ValueError for one that does not fit."""
    found = text.count(edit.old)
    if found != 1 or edit.old.count("\n") != edit.new.count("\n"):
        raise ValueError(
            f"{edit.place}: {edit.old!r} is there {found} times, expected once, and as many "
            f"lines in its place"
        )
    return text.replace(edit.old, edit.new)


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text("utf-8"))


def _with_parameters(model: PreTrainedModel, change: Callable) -> PreTrainedModel:
    """Return a model with other parameters: the same class, config and options."""
    other = copy.copy(model)
    other.params = params.tree(change(model.state_dict()))
    return other


def exchanged(tensors: Mapping[str, np.ndarray], one: str, other: str) -> dict[str, np.ndarray]:
    """Return tensors in which two modules of every layer have each other's parameters."""

    def partner(name: str) -> str:
        steps = name.split(".")
        if one in steps or other in steps:
            swapped = [{one: other, other: one}.get(step, step) for step in steps]
            return ".".join(swapped)
        return name

    return {name: tensors[partner(name)] for name in tensors}
