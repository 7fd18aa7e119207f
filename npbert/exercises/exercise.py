"""What an exercise is: a solution, random inputs, likely mistakes, a hint."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Inputs = Callable[[np.random.Generator], Iterable[tuple[Any, ...]]]


@dataclass(frozen=True)
class Mistake:
    """What many do instead of the solution, as a function, and what they are told."""

    message: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class Exercise:
    """A function to fill in; name, signature and task are those of the solution.

    solution   a plain function: its docstring is the task, its first line the signature
    inputs     yields the arguments of each call, from a random generator
    mistakes   the likely ones; no two give the same results for all inputs
    hint       a sentence or two
    reference  npbert's own function with the same arguments, where there is one
    """

    solution: Callable[..., Any]
    inputs: Inputs
    mistakes: tuple[Mistake, ...]
    hint: str
    reference: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        return self.solution.__name__

    @property
    def signature(self) -> str:
        """Name and arguments, with their shapes where they have some."""
        return self.source().splitlines()[0].removeprefix("def ").replace("):", ")", 1)

    @property
    def statement(self) -> str:
        """The task in a sentence: the first of the docstring."""
        return inspect.cleandoc(self.solution.__doc__ or "").split("\n\n")[0].replace("\n", " ")

    def source(self) -> str:
        """Return the worked solution as source text."""
        return textwrap.dedent(inspect.getsource(self.solution)).rstrip()

    def imports(self) -> list[str]:
        """Return the lines that import what the worked solution uses."""
        names = {
            node.id for node in ast.walk(ast.parse(self.source())) if isinstance(node, ast.Name)
        }
        module = ast.parse(inspect.getsource(inspect.getmodule(self.solution)))  # type: ignore[arg-type]
        found = []
        for node in module.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                node.names = [n for n in node.names if (n.asname or n.name) in names]
                if node.names:
                    found.append(ast.unparse(node))
        return found

    def stub(self) -> str:
        """Return what the reader fills in: signature and task, and a body that does nothing."""
        return "\n".join([*self.source().splitlines()[: self._task().end_lineno], "    return ..."])

    def answer(self) -> str:
        """Return the worked solution without the task, which stands above it."""
        lines, task = self.source().splitlines(), self._task()
        return "\n".join([*lines[: task.lineno - 1], *lines[task.end_lineno :]])

    def _task(self) -> ast.stmt:
        """Return the docstring, as a statement with its lines."""
        definition = ast.parse(self.source()).body[0]
        assert isinstance(definition, ast.FunctionDef)
        return definition.body[0]
