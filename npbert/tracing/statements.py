"""The statements of a source file: which one stands on a line, and what it gives a value to."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def file_in_package(path: str) -> str:
    """Return the path of a source file relative to the package: "convbert.py", "model/heads.py"."""
    return Path(path).relative_to(PACKAGE).as_posix()


@functools.cache
def statements_of(file: str) -> dict[int, ast.stmt]:
    """Return the statement on each line; of one that holds others, on the lines before those."""
    found: dict[int, ast.stmt] = {}
    for node in ast.walk(ast.parse(Path(file).read_text("utf-8"))):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            decorators = getattr(node, "decorator_list", [])
            for line in range(min([node.lineno, *(d.lineno for d in decorators)]), last + 1):
                found[line] = node
    return found


def assignments(statement: ast.stmt | None) -> list[tuple[str, ast.expr]]:
    """Return the names that a statement gives a value to, each with the expression for it."""
    targets: list[ast.expr]
    if isinstance(statement, ast.AugAssign):
        targets, value = [statement.target], statement.value
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        value = statement.value  # one that writes into an array: f(..., out=array)
        targets = [word.value for word in value.keywords if word.arg == "out"]
        parts = [node for target in targets for node in ast.walk(target)]
        return [(node.id, value) for node in parts if isinstance(node, ast.Name)]
    elif isinstance(statement, ast.Assign) and not is_allocation(statement.value):
        targets, value = statement.targets, statement.value
    else:
        return []
    found: list[tuple[str, ast.expr]] = []
    for target in targets:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        values = value.elts if isinstance(value, ast.Tuple) else []
        if len(values) != len(names):
            values = [value] * len(names)
        found += [(name.id, v) for name, v in zip(names, values) if isinstance(name, ast.Name)]
    return found


def is_allocation(expression: ast.expr) -> bool:
    """Tell whether an expression makes an array in which nothing stands yet."""
    return isinstance(expression, ast.Call) and ast.unparse(expression.func) == "np.empty"


def called_name(expression: ast.Call) -> str:
    """Return the last part of the name of what is called: "head" of self.head(x)."""
    return ast.unparse(expression.func).rpartition(".")[2]
