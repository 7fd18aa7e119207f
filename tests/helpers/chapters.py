"""The chapters of the book as scripts: their cells, their prose, and a run without a notebook."""

import ast
import importlib
import re
import sys
from contextlib import contextmanager
from pathlib import Path

from npbert.compiled import backend

FOLDER = Path(__file__).parents[2] / "tutorials"
CHAPTERS = sorted(FOLDER.glob("[0-9][0-9]_*.md"))


def code_cells(text):
    """Return (line number, source) of every code cell of a MyST notebook, its options left out."""
    lines = text.splitlines()
    cells, start = [], None
    for number, line in enumerate(lines, 1):
        if start is None and line.startswith("```{code-cell}"):
            start = number
        elif start is not None and line.startswith("```"):
            assert line.rstrip() == "```", f"line {number}: {line!r} inside the cell of {start}"
            body = lines[start : number - 1]
            options = next((i for i, each in enumerate(body) if not each.startswith(":")), 0)
            cells.append((start + 1 + options, "\n".join(body[options:])))
            start = None
    assert start is None, f"line {start}: the cell does not end"
    return cells


def prose(text):
    """Return a chapter without its code cells."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


@contextmanager
def in_folder():
    """Let `import pictures` find the drawings of the book, as it does where a notebook runs."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield
    finally:
        sys.path.remove(str(FOLDER))


def drawings():
    """Return the module of the book's drawings."""
    with in_folder():
        return importlib.import_module("pictures")


@in_folder()
def run(path):
    """Run all cells of a chapter in one namespace; tracebacks show lines of the file.

    Returns (line number, value) of every cell that ends in an expression: a notebook shows it.
    """
    namespace = {"__name__": "__main__"}
    shown = []
    chosen = backend.chosen_backend()  # a chapter may choose another
    try:
        for line, source in code_cells(path.read_text(encoding="utf-8")):
            tree = ast.parse("\n" * (line - 1) + source, str(path))
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, str(path), "exec"), namespace)
            if last:
                value = eval(compile(ast.Expression(last.value), str(path), "eval"), namespace)
                shown.append((line, value))
    finally:
        backend.set_backend(chosen)
    return shown
