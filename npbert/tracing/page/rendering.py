"""Renders the data of a page as one HTML file that needs no other."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# In this order: what runs on loading uses only what stands before it.
SCRIPTS = "data colours heatmaps edges source cards answers large search navigation".split()
STYLES = "page source cards large".split()

# What a page may do: nothing but what stands in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class More:
    """What is added to a page: a policy of its own, elements, styles and scripts, as text."""

    policy: str = POLICY
    elements: str = ""
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


def render(data: dict[str, Any], more: More | None = None) -> str:
    """Return the page as HTML. Texts and names in the data are escaped."""
    more = more or More()
    scripts = [(HERE / "scripts" / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    scripts[-1:-1] = more.scripts  # the last one draws
    styles = [(HERE / "styles" / f"{name}.css").read_text("utf-8") for name in STYLES]
    joined = "\n".join(scripts)
    parts = {
        "title": html.escape(f"{data['model']['name']}: {' | '.join(data['texts'])}"),
        "policy": more.policy,
        "more": more.elements,
        "style": "\n".join([*styles, *more.styles]),
        "data": as_json(data),
        "script": f'(function () {{\n"use strict";\n{joined}\n}})();',
    }
    template = (HERE / "page.html").read_text("utf-8")
    # In one pass, so that braces in the data are not filled in.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def as_json(data: Any) -> str:
    """Return JSON for a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
