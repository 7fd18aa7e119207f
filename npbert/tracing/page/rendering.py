"""From the data of a page to the page: one HTML file that needs nothing else."""

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
    """Return the page as HTML. Whatever texts and names the data holds, they stay text."""
    scripts = "\n".join((HERE / "scripts" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    parts = {
        "title": html.escape(f"{data['model']['name']}: {' | '.join(data['texts'])}"),
        "style": "\n".join((HERE / "styles" / f"{name}.css").read_text("utf-8") for name in STYLES),
        "data": as_json(data),
        "script": f'(function () {{\n"use strict";\n{scripts}\n}})();',
    }
    template = (HERE / "page.html").read_text("utf-8")
    # All at once: what is filled in is not searched for places again.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def as_json(data: Any) -> str:
    """Return JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
