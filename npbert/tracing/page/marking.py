"""The source of a function as marked-up lines, for a page to show."""

from __future__ import annotations

import ast
import builtins
import functools
import html
import io
import keyword
import re
import tokenize
from typing import Any

from npbert.tracing.source import path_in_package, statements_of, text_of

SHAPE = re.compile(r"^#\s*(?:->\s*)?(?:\d+ x )?\[.*\]")  # a comment that gives a shape


def function_source(file: str, first: int) -> dict[str, Any]:
    """Return the function whose `def` is on a line of a file of the package.

    name, file, first   what it is called and where it begins
    lines               its lines as HTML, without the indentation that all of them have
    owner               for each line, the first line of the statement that it belongs to, or 0
    doc                 the first and the last line of the docstring, or None
    body                the first line after the signature
    """
    path = path_in_package(file)
    node = functions_of(path)[first]
    last, rows = node.end_lineno or first, marked_lines(path)
    statements = statements_of(path)
    doc = None
    if ast.get_docstring(node) is not None:
        doc = [node.body[0].lineno, node.body[0].end_lineno]
    numbers = range(first, last + 1)
    return {
        "name": node.name,
        "file": file,
        "first": first,
        "lines": [unindented(rows[number - 1], node.col_offset) for number in numbers],
        "owner": [
            0 if n < node.body[0].lineno or n not in statements else statements[n].lineno
            for n in numbers
        ],
        "doc": doc,
        "body": node.body[0].lineno,
    }


def functions_of(path: str) -> dict[int, ast.FunctionDef]:
    """Return the functions of a file by the line of their `def`."""
    return _functions(text_of(path))


@functools.cache
def _functions(text: str) -> dict[int, ast.FunctionDef]:
    nodes = ast.walk(ast.parse(text))
    return {node.lineno: node for node in nodes if isinstance(node, ast.FunctionDef)}


def marked_lines(path: str) -> list[str]:
    """Return the lines of a Python file as HTML; the class of an element is the kind of token."""
    return _marked_lines(text_of(path))


@functools.cache
def _marked_lines(text: str) -> list[str]:
    rows = text.splitlines()
    marks: list[list[tuple[int, int, str]]] = [[] for _ in rows]
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = class_of(token, before)
        before = token.string if token.type == tokenize.NAME else ""
        if not kind:
            continue
        for row in range(token.start[0], token.end[0] + 1):  # a string may go over several lines
            start = token.start[1] if row == token.start[0] else 0
            end = token.end[1] if row == token.end[0] else len(rows[row - 1])
            marks[row - 1].append((start, end, kind))
    return [marked(row, spans) for row, spans in zip(rows, marks, strict=True)]


def class_of(token: tokenize.TokenInfo, before: str) -> str:
    if token.type == tokenize.COMMENT:
        return "shape" if SHAPE.match(token.string) else "comment"
    if token.type == tokenize.STRING:
        return "string"
    if token.type == tokenize.NUMBER:
        return "number"
    if token.type != tokenize.NAME:
        return ""
    if before in ("def", "class"):
        return "defined"
    if keyword.iskeyword(token.string):
        return "keyword"
    return "builtin" if hasattr(builtins, token.string) else ""


def marked(row: str, spans: list[tuple[int, int, str]]) -> str:
    """Return a line with each span in an element of its class."""
    parts, place = [], 0
    for start, end, kind in spans:
        parts.append(html.escape(row[place:start], quote=False))
        inside = html.escape(row[start:end], quote=False)
        if inside:
            parts.append(f'<span class="{kind}">{inside}</span>')
        place = end
    return "".join([*parts, html.escape(row[place:], quote=False)])


def unindented(row: str, columns: int) -> str:
    """Remove up to `columns` spaces from the start of a line, or of the element that begins it."""
    return re.sub(rf"^(<span[^>]*>)? {{0,{columns}}}", r"\1", row)
