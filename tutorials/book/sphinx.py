"""What Sphinx is told: formulas as MathML, docstrings as they stand, names that lead to lines."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

from npbert.live.engine import ADDRESS
from npbert.live.folder import notebook_policy

ROOT = Path(__file__).parents[2]
READING = ["bert", "convbert", "mobilebert", "squeezebert", "ops", "activations", "kernels"]


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
    app.connect("autodoc-process-docstring", as_it_stands)
    app.connect("doctree-resolved", link_names)
    app.connect("html-page-context", link_calls)
    app.connect("html-page-context", limit)
    app.add_config_value("engine", ADDRESS, "html")  # where the browser's Python is
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# ---- formulas, which browsers draw by themselves -------------------------------------------


def inline_formula(self: Any, node: nodes.math) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def formula(self: Any, node: nodes.math_block) -> None:
    text = convert(node.astext(), display="block")
    self.body.append(f'<div class="formula" tabindex="0">{text}</div>')
    raise nodes.SkipNode


# ---- docstrings ----------------------------------------------------------------------------


def as_it_stands(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Make plain text of a docstring what Sphinx reads: columns and examples keep their layout."""
    made: list[str] = []
    for paragraph in "\n".join(lines).strip().split("\n\n"):
        rows = paragraph.splitlines()
        is_laid_out = any(re.match(r"\s+\S|\S.*\S {2,}\S", row) for row in rows)
        if is_laid_out:
            made += ["", ".. code-block:: none", "", *(f"   {row}" for row in rows), ""]
        else:
            made += ["", *(escaped(row) for row in rows), ""]
    lines[:] = made


def escaped(row: str) -> str:
    """Escape what reStructuredText would read as markup; `name` becomes code."""
    parts = re.split(r"(`[^`]+`)", row)
    return "".join(
        f"`{part}`" if part[:1] == "`" and len(part) > 2 else re.sub(r"([\\*_|`])", r"\\\1", part)
        for part in parts
    )


def place_of(module: str, name: str) -> tuple[str, int] | None:
    """Return the file of the repository and the line where a public name is defined."""
    thing: Any = importlib.import_module(module)
    for part in name.split("."):
        thing = inspect.unwrap(getattr(thing, part, None)) if thing is not None else None
        if isinstance(thing, property):
            thing = thing.fget
    try:
        path = Path(inspect.getsourcefile(thing) or "").resolve()
        line = inspect.getsourcelines(thing)[1]
    except (TypeError, OSError):
        return None
    if not path.is_relative_to(ROOT / "npbert"):
        return None
    return path.relative_to(ROOT).as_posix(), line


# ---- names in the text that lead to their lines --------------------------------------------


def definitions() -> dict[str, dict[str, int]]:
    """Return the functions of each reading file with the lines of their defs."""
    return {
        file: {
            node.name: node.lineno
            for node in ast.parse((ROOT / f"npbert/{file}.py").read_text("utf-8")).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }
        for file in READING
    }


CALL = re.compile(
    r'<span class="n">(\w+)</span><span class="o">\.</span>(<span class="n">(\w+)</span>)'
)


def link_calls(app: Any, docname: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """In chapters, make links of functions of reading files, mobilebert.layer; let cells be run."""
    if not docname.startswith("tutorials/"):
        return
    if "cell_input" in context["body"]:
        to_root = "../" * docname.count("/")
        context["body"] += f'<script src="{to_root}live/notebook.js"></script>'
    known = definitions()

    def linked(match: re.Match[str]) -> str:
        file, name = match[1], match[3]
        if name not in known.get(file, ()):
            return match[0]
        page = app.builder.get_relative_uri(docname, f"npbert/{file}.py")
        link = f'<a class="to-line" href="{page}#L{known[file][name]}">{match[2]}</a>'
        return match[0].replace(match[2], link)

    context["body"] = CALL.sub(linked, context["body"])


def limit(app: Any, docname: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Tell the browser what a page may load: files of the site, and the engine for cells."""
    has_cells = "live/notebook.js" in context.get("body", "")
    policy = notebook_policy(app.config.engine if has_cells else None)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    context["metatags"] = tag + (context.get("metatags") or "")


def link_names(app: Any, doctree: nodes.document, docname: str) -> None:
    """In chapters, make a link of each name of a function that a reading file defines.

    Of several files that define it, the one that the chapter links to first is meant.
    """
    if not docname.startswith("tutorials/"):
        return
    linked = re.findall(
        r"npbert/(\w+)\.py\.html",
        " ".join(r.get("refuri", "") for r in doctree.findall(nodes.reference)),
    )
    known = definitions()
    order = [file for file in dict.fromkeys([*linked, *READING[4:]]) if file in known]
    for literal in list(doctree.findall(nodes.literal)):
        called = re.fullmatch(r"([\w.]+)(\(.*\))?", literal.astext())
        if called is None or isinstance(literal.parent, nodes.reference):
            continue
        module, _, name = called[1].rpartition(".")
        module = module.rpartition(".")[2]
        files = [module] if module else order
        file = next((f for f in files if name in known.get(f, ())), None)
        if file is None and not module:
            only = [f for f in known if name in known[f]]
            file = only[0] if len(only) == 1 else None
        if file:
            page = app.builder.get_relative_uri(docname, f"npbert/{file}.py")
            link = nodes.reference("", "", internal=True, refuri=f"{page}#L{known[file][name]}")
            literal.replace_self(link)
            link += literal
