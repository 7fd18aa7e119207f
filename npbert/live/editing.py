"""Runs forward passes through what a reader has made of the seven reading files.

    edits = [Edit("kernels.py", 45, "    return np.einsum(...)")]
    with edited(edits, model) as changed:
        trace(changed, **inputs)

The edited files are compiled under their own names and line numbers and stand in for the modules of
npbert while the block is open. Nothing is written.
"""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import npbert
from npbert import activations, bert, convbert, kernels, mobilebert, ops, squeezebert
from npbert.compiled import backend
from npbert.golden.mistakes.planting import FAMILY, Mistake, function_at, replaced
from npbert.golden.mistakes.planting import edits_for as classic_edits_for
from npbert.model.base import PreTrainedModel
from npbert.tracing.recording import family_of
from npbert.tracing.source import PACKAGE, read_as, text_of

# The reading files, each after those that it imports.
SHARED = (activations, ops, kernels)
FAMILIES = (bert, convbert, mobilebert, squeezebert)
FILES = tuple(f"{module.__name__.rpartition('.')[2]}.py" for module in (*SHARED, *FAMILIES))


@dataclass(frozen=True)
class Edit:
    """A line of a reading file as a reader has changed it.

    file  "kernels.py"
    line  its number in the file as it ships, from 1
    text  what stands in its place, which may be several lines; None where it was removed
    """

    file: str
    line: int
    text: str | None


class EditError(ValueError):
    """An edit that cannot be read, or whose code raises: `file` and `line` say where, if known.

    The line is one of the edited file.
    """

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.file, self.line = file, line


def edited_texts(edits: Iterable[Edit]) -> dict[str, str]:
    """Return the whole text of every reading file that the edits change: file -> text.

    Raises EditError for another file, and for a line that the file does not have.
    """
    lines: dict[str, list[str | None]] = {}
    for edit in edits:
        if edit.file not in FILES:
            raise EditError(f"the file is {edit.file!r}, expected one of {', '.join(FILES)}")
        rows = lines.setdefault(edit.file, [*_original(edit.file).split("\n")])
        if not 1 <= edit.line <= len(rows):
            raise EditError(f"{edit.file} has {len(rows)} lines, none is {edit.line}", edit.file)
        rows[edit.line - 1] = edit.text
    return {file: "\n".join(r for r in rows if r is not None) for file, rows in lines.items()}


def changed_lines(edits: Iterable[Edit]) -> dict[str, list[int]]:
    """Return the numbers that the changed lines have in the edited files: file -> lines."""
    found: dict[str, list[int]] = {}
    shift: dict[str, int] = {}
    for edit in sorted(edits, key=lambda edit: (edit.file, edit.line)):
        start = edit.line + shift.get(edit.file, 0)
        count = 0 if edit.text is None else edit.text.count("\n") + 1
        found.setdefault(edit.file, []).extend(range(start, start + count))
        shift[edit.file] = shift.get(edit.file, 0) + count - 1
    return found


def _original(file: str) -> str:
    return text_of(PACKAGE / file)


def typed(mistake: Mistake, model: PreTrainedModel) -> list[Edit]:
    """Return a classic mistake as the lines that a reader would type."""
    texts: dict[str, str] = {}
    for edit in classic_edits_for(mistake.edits or mistake.typed, model):
        name, _, path = edit.place.partition(".")
        file = f"{name.replace(FAMILY, model.config.model_type)}.py"
        text = texts.get(file, _original(file))
        lines = text.split("\n")
        node = function_at(path, ast.parse(text))
        start, end = node.lineno - 1, node.end_lineno or node.lineno
        body = "\n".join(lines[start:end])
        texts[file] = "\n".join([*lines[:start], replaced(body, edit), *lines[end:]])
    return [
        Edit(file, number, new)
        for file, text in texts.items()
        for number, (old, new) in enumerate(zip(_original(file).split("\n"), text.split("\n")), 1)
        if old != new
    ]


# ---- running -------------------------------------------------------------------------------


@contextmanager
def edited(edits: Iterable[Edit], model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """Let the reading files be the edited ones, and give the model with their forward pass.

    It has the parameters of `model`. Whatever the edited code raises, in this block too, becomes an
    EditError that says where.
    """
    texts = {str(PACKAGE / file): text for file, text in edited_texts(edits).items()}
    family = family_of(model)
    modules = (*SHARED, family)
    before = {module.__name__: module for module in modules}
    operations = len(backend.OPERATIONS)
    try:
        with errors_at_their_line(texts), read_as(texts), backend.using("numpy"):
            for module in modules:
                _stand_in(module)
            made = getattr(sys.modules[family.__name__], type(model).__name__, None)
            if not (isinstance(made, type) and issubclass(made, PreTrainedModel)):
                raise EditError(f"the class {type(model).__name__} is gone", f"{family.__name__}")
            changed = made.__new__(made)
            vars(changed).update(vars(model))
            yield changed
    finally:
        del backend.OPERATIONS[operations:]
        for name, module in before.items():
            _put(name, module)


def _stand_in(module: ModuleType) -> None:
    """Run a module's file as it stands now, in the place of the module."""
    path = str(module.__file__)
    new = ModuleType(module.__name__)
    vars(new).update(__file__=path, __package__=module.__package__)
    code = compile(text_of(path), path, "exec", dont_inherit=True)
    _put(module.__name__, new)
    exec(code, vars(new))


def _put(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    setattr(npbert, name.rpartition(".")[2], module)


@contextmanager
def errors_at_their_line(texts: Mapping[str, str]) -> Iterator[None]:
    """Turn whatever is raised into an EditError with the innermost place in a reading file."""
    try:
        yield
    except EditError:
        raise
    except SyntaxError as error:
        file = (error.filename or "").rpartition("/")[2].rpartition("\\")[2]
        message = f"{type(error).__name__}: {error.msg}"
        raise EditError(message, file, error.lineno or 0) from error
    except Exception as error:
        known = {str(PACKAGE / file): file for file in FILES}
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in known]
        # The innermost one of an edited file, else of any.
        own = [frame for frame in frames if frame.filename in texts] or frames
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        file, line = (known[own[-1].filename], own[-1].lineno or 0) if own else ("", 0)
        raise EditError(message, file, line) from error
