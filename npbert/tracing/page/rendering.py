"""Renders the data of a page as one HTML file that needs no other."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# In this order: what runs on loading uses only what stands before it.
SCRIPTS = "data colours heatmaps edges source cards large search navigation".split()
STYLES = "page source cards large".split()


def render(data: dict[str, Any]) -> str:
    """Return the page as HTML. Texts and names in the data are escaped."""
    scripts = "\n".join((HERE / "scripts" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    parts = {
        "title": html.escape(f"{data['model']['name']}: {' | '.join(data['texts'])}"),
        "style": "\n".join((HERE / "styles" / f"{name}.css").read_text("utf-8") for name in STYLES),
        "data": as_json(data),
        "script": f'(function () {{\n"use strict";\n{scripts}\n}})();',
    }
    template = (HERE / "page.html").read_text("utf-8")
    # In one pass, so that braces in the data are not filled in.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def as_json(data: Any) -> str:
    """Return JSON for a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
