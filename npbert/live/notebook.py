"""Runs the cells of a notebook in a page: one namespace, and what a cell prints, shows and draws.

answer("cell", '{"source": "1 + 1", "number": 0}')
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import linecache
import logging
import os
import shutil
import symtable
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from npbert.live.session import answered
from npbert.tracing.source import PACKAGE

CLONE = Path(PACKAGE).parent  # where chapters look for files of the repository
HERE = "a page" if sys.platform == "emscripten" else "this installation"
MOST = 100_000  # characters that a cell may print; more would stop the page

# That it lists the fonts when it is first imported would stand below a chapter's first cell.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

_namespace: dict[str, Any] = {}
_absent: dict[int, set[str]] = {}  # cells that lacked something -> the names they would have given


def answer(function: str, request: str) -> str:
    """Call one of ANSWERS with the entries of a JSON object, and return its result as JSON."""
    return answered(ANSWERS, function, request)


def join(folder: Path, weights: Path) -> None:
    """Let files of the repository and the page's checkpoints lie in one folder, as in a clone."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            place = weights / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    shutil.rmtree(folder)
    folder.symlink_to(weights)


if sys.platform == "emscripten":
    join(CLONE / "weights", Path(os.environ["NPBERT_WEIGHTS"]))


def restart() -> dict[str, Any]:
    """Forget everything that cells have defined."""
    _namespace.clear()
    _absent.clear()
    _namespace["__name__"] = "__main__"
    return {}


def cell(source: str, number: int) -> dict[str, Any]:
    """Run a cell and return its outputs, in order.

    Each is {"kind", "data"}: "text" (what was printed, or the value of the last expression),
    "html", "svg", "png" (base64), "error", whose data end with what was raised, at its `line`, or
    "absent": a sentence that says what the cell would need and a page has not.
    """
    if not _namespace:
        restart()
    name = f"<cell {number + 1}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    printed, shown, error = io.StringIO(), [], None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            shown = outputs_of(_run(source, name))
        except (Exception, SystemExit) as raised:  # a reader's code may raise anything
            lack = lacking(raised, source, number)
            error = {"kind": "absent", "data": lack} if lack else described(raised, name)
        else:
            _absent.pop(number, None)
        drawn = pictures()
    text = printed.getvalue()
    if len(text) > MOST:
        text = f"{text[:MOST]}\n... {len(text) - MOST} characters more"
    outputs = [{"kind": "text", "data": text}] if text else []
    return {"outputs": [*outputs, *shown, *drawn, *([error] if error else [])]}


def _run(source: str, name: str) -> Any:
    """Run statements and return the value of the last one, if that is an expression."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), _namespace)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), name, "eval"), _namespace)


def outputs_of(value: Any) -> list[dict[str, Any]]:
    """Return how a value shows itself, as a notebook asks for it; nothing for None."""
    if value is None:
        return []
    for kind in ("html", "svg", "png"):
        show = getattr(value, f"_repr_{kind}_", None)
        data = show() if show is not None else None
        if isinstance(data, bytes):
            data = base64.b64encode(data).decode("ascii")
        if data:
            return [{"kind": kind, "data": data}]
    return [{"kind": "text", "data": repr(value)}]


def lacking(error: BaseException, source: str, number: int) -> str:
    """Return in a sentence what a cell needs and this place has not; "" for an error of its own.

    Chapters read files of the repository that no wheel has, and start other programs.
    """
    if isinstance(error, SyntaxError):
        return ""
    said = ""
    if isinstance(error, NameError):
        cells = [cell for cell, names in _absent.items() if error.name in names and cell != number]
        if cells:
            said = f"uses `{error.name}` of cell {cells[-1] + 1}, which could not run"
    elif isinstance(error, ModuleNotFoundError) and error.name in sys.stdlib_module_names:
        said = f"needs Python's module {error.name}, which {HERE} does not have"
    elif starts_a_program(error, source):
        said = f"starts another program, which {HERE} cannot"
    elif not (CLONE / "pyproject.toml").is_file() and reads_the_clone(error, source):
        said = f"reads files of npbert's repository, which {HERE} does not have"
    elif isinstance(error, AssertionError) and _absent:
        numbers = ", ".join(str(cell + 1) for cell in sorted(_absent))
        claim = traceback.extract_tb(error.__traceback__)[-1].line
        said = f"has `{claim}`, in which the cells that could not run ({numbers}) have a part"
    if not said:
        return ""
    forget(source, number)
    return f"This cell {said}. In a clone, with Jupyter, it runs."


def forget(source: str, number: int) -> None:
    """Remove the values that a cell gave before it failed, so that no other goes on with half."""
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    given = [symbol for symbol in symbols if symbol.is_assigned() or symbol.is_imported()]
    _absent[number] = {symbol.get_name() for symbol in given}
    for symbol in given:
        if not (symbol.is_imported() or symbol.is_namespace()):  # a function is whole
            _namespace.pop(symbol.get_name(), None)


def starts_a_program(error: BaseException, source: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    is_running = any(Path(frame.filename).name == "subprocess.py" for frame in frames)
    return is_running or (isinstance(error, AssertionError) and "shutil.which(" in source)


def reads_the_clone(error: BaseException, source: str) -> bool:
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    places = [_namespace.get(name) for name in names]
    if isinstance(error, OSError):
        places += [Path(name) for name in (error.filename,) if isinstance(name, str)]
    return any(isinstance(place, Path) and place.is_relative_to(CLONE) for place in places)


def pictures() -> list[dict[str, Any]]:
    """Return the figures that matplotlib has open, as PNG, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return []
    found = []
    for number in pyplot.get_fignums():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file, format="png", bbox_inches="tight")
        found.append({"kind": "png", "data": base64.b64encode(file.getvalue()).decode("ascii")})
    pyplot.close("all")
    return found


def described(error: BaseException, name: str) -> dict[str, Any]:
    """Return an error as an output: the places in cells that it went through, and what it says."""
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if frame.filename.startswith("<cell")]
    places = [f"{frame.filename[1:-1]}, line {frame.lineno}: {frame.line}" for frame in frames]
    own = [frame.lineno for frame in frames if frame.filename == name]
    line = error.lineno if isinstance(error, SyntaxError) else own[-1] if own else None
    said = "".join(traceback.format_exception_only(type(error), error)).rstrip()
    return {"kind": "error", "data": "\n".join([*places, said]), "line": line or 0}


ANSWERS: dict[str, Callable[..., Any]] = {"cell": cell, "restart": restart}
