"""What a source file says: the statement on each line, and the shapes in its comments.

    wide = activation(linear(x, p.dense))  # [B, T, I]
    groups = x.reshape(...)  # [..., G, 1, I/G]
    def pool(x, p):  # [B, T, D] -> [B, D]

A shape comment on an assignment gives the shape of the name, or of each of several names; on a def,
those of its first array arguments and of everything that it returns. `...` stands for any leading
axes. Several shapes, [B, T, D], [B, H, T, T], are those of several values in their order; [B, T] or
[1, T] may be either. The letters are sizes, and the file's docstring says of what. The letters of a
function for any size, one with `...` on its def, are bound by each of its calls.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

# ---- statements ----------------------------------------------------------------------------


def file_in_package(path: str) -> str:
    """Return the path of a source file relative to the package: "convbert.py", "model/heads.py"."""
    return Path(path).relative_to(PACKAGE).as_posix()


@functools.cache
def path_in_package(file: str) -> str:
    """Return the path of a source file that is given relative to the package."""
    return str(PACKAGE / file)


_instead: dict[str, str] = {}  # file -> the text that stands for its own


@contextmanager
def read_as(texts: Mapping[str, str]) -> Iterator[None]:
    """Let these texts, by the paths of files, be what the files say while the block is open.

    So a pass through an edited source is recorded and shown with the lines that ran.
    """
    before = dict(_instead)
    _instead.update(texts)
    try:
        yield
    finally:
        _instead.clear()
        _instead.update(before)


def text_of(file: str | Path) -> str:
    """Return what a source file says."""
    path = str(file)
    return _instead[path] if path in _instead else _read(path)


@functools.cache
def _read(path: str) -> str:
    return Path(path).read_text("utf-8")


def statements_of(file: str) -> dict[int, ast.stmt]:
    """Return the statement of each line; a compound one only has the lines before its body."""
    return _statements(text_of(file))


@functools.cache
def _statements(text: str) -> dict[int, ast.stmt]:
    found: dict[int, ast.stmt] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            decorators = getattr(node, "decorator_list", [])
            for line in range(min([node.lineno, *(d.lineno for d in decorators)]), last + 1):
                found[line] = node
    return found


def assignments(statement: ast.stmt | None) -> list[tuple[str, ast.expr]]:
    """Return the names that a statement assigns, each with the expression for its value."""
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
    """Tell whether an expression allocates an array without values."""
    return isinstance(expression, ast.Call) and ast.unparse(expression.func) == "np.empty"


def called_name(expression: ast.Call) -> str:
    """Return the name of the function that is called, "head" of self.head(x)."""
    return ast.unparse(expression.func).rpartition(".")[2]


# ---- shape comments ------------------------------------------------------------------------

Axes = list[str]
Either = list[Axes]  # the shapes that one value may have

SHAPE = r"\[[^\[\]]*\]"
EITHER = rf"{SHAPE}(?: or {SHAPE})*"
SHAPES = rf"{EITHER}(?:, {EITHER})*"
GRAMMAR = re.compile(rf"# (?P<inputs>{SHAPES})?(?: ?-> (?P<outputs>{SHAPES}))?(?:[,;:] .*)?")


@dataclass
class Comment:
    """One shape comment, on a def or on an assignment.

    where    file and line of the comment itself
    inputs   of a def: its array arguments, each with the shapes that it may have, axis by axis
    outputs  of a def: the values returned; of an assignment: the values assigned
    names    assigned, each with its entry in outputs; none for a def
    """

    where: str
    inputs: list[Either]
    outputs: list[Either]
    first: int = 0
    last: int = 0
    names: list[str] = field(default_factory=list)


@dataclass
class Function:
    """The shape comments of one function."""

    name: str
    line: int  # the first, that of its decorators
    arguments: list[str]
    on_def: Comment | None = None
    on_lines: list[Comment] = field(default_factory=list)

    @property
    def any_size(self) -> bool:
        """Tell whether it takes arrays with any leading axes."""
        shapes = [*self.on_def.inputs, *self.on_def.outputs] if self.on_def else []
        return any("..." in axes for either in shapes for axes in either)


def shapes_in(text: str | None) -> list[Either]:
    """Return for each value the shapes it may have: "[B] or [1], []" -> [[["B"], ["1"]], [[]]]."""
    return [
        [re.findall(r"[^\s,]+", shape[1:-1]) for shape in re.findall(SHAPE, either)]
        for either in re.findall(EITHER, text or "")
    ]


def read_comments(file: Path) -> list[Function]:
    """Return the functions of a file that have shape comments.

    Raises ValueError for a comment that begins with a shape and cannot be read, or stands where no
    shape belongs.
    """
    return _comments(text_of(file), file.name)


@functools.cache
def _comments(text: str, file: str) -> list[Function]:
    functions: list[Function] = []
    # line -> what a comment on it is about: a function, and one of its assignments or its def
    subjects: dict[int, tuple[Function, ast.Assign | None]] = {}
    for definition in ast.walk(ast.parse(text)):
        if not isinstance(definition, ast.FunctionDef):
            continue
        start = min([definition.lineno, *(d.lineno for d in definition.decorator_list)])
        arguments = [argument.arg for argument in definition.args.args]
        function = Function(definition.name, start, arguments)
        functions.append(function)
        for line in range(definition.lineno, definition.body[0].lineno):
            subjects[line] = function, None
        for node in ast.walk(definition):
            if isinstance(node, ast.Assign):
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    subjects[line] = function, node
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        alone = token.line.lstrip().startswith("#")
        is_shape = token.type == tokenize.COMMENT and re.match(r"# (\[|->)", token.string)
        if is_shape and not alone:
            where = f"{file}:{token.start[0]}"
            if token.start[0] not in subjects:
                raise ValueError(f"{where}: neither on a def nor on an assignment")
            add_comment(*subjects[token.start[0]], token.string, where)
    return [function for function in functions if function.on_def or function.on_lines]


def add_comment(
    function: Function, assignment: ast.Assign | None, comment: str, where: str
) -> None:
    """Add a comment to the function that it is about."""
    match = GRAMMAR.fullmatch(comment)
    if not match:
        raise ValueError(f"{where}: cannot be read: {comment}")
    inputs, outputs = shapes_in(match["inputs"]), shapes_in(match["outputs"])
    if assignment is None:
        function.on_def = Comment(where, inputs, outputs)
        return
    if match["outputs"]:
        raise ValueError(f"{where}: an arrow on an assignment")
    (target,) = assignment.targets
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    names = [t.id for t in targets if isinstance(t, ast.Name) and t.id != "_"]
    if len(inputs) == 1:
        inputs *= len(names)  # one shape for each of the names
    if len(inputs) != len(names):
        raise ValueError(f"{where}: {len(inputs)} shapes for {', '.join(names)}")
    lines = assignment.lineno, assignment.end_lineno or assignment.lineno
    function.on_lines.append(Comment(where, [], inputs, *lines, names))
