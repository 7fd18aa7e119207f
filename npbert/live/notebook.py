"""Runs the cells of a notebook in a page: one namespace, and what a cell prints, shows and draws.

answer("cell", '{"source": "1 + 1", "number": 0}')
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import linecache
import sys
import traceback
from collections.abc import Callable
from typing import Any

from npbert.live.session import answered

MOST = 100_000  # characters that a cell may print; more would stop the page

_namespace: dict[str, Any] = {}


def answer(function: str, request: str) -> str:
    """Call one of ANSWERS with the entries of a JSON object, and return its result as JSON."""
    return answered(ANSWERS, function, request)


def restart() -> dict[str, Any]:
    """Forget everything that cells have defined."""
    _namespace.clear()
    _namespace["__name__"] = "__main__"
    return {}


def cell(source: str, number: int) -> dict[str, Any]:
    """Run a cell and return its outputs, in order.

    Each is {"kind", "data"}: "text" (what was printed, or the value of the last expression),
    "html", "svg", "png" (base64), or "error", whose data end with what was raised, at its `line`.
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
            error = described(raised, name)
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
