"""The configuration of Sphinx for the book."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from npbert import __version__ as version  # noqa: F401

project = "npbert"
author = "The npbert developers"
html_title = "The book of npbert"
html_theme = "furo"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["book.css"]
html_js_files = ["unfold.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.linkcode", "book.sphinx"]
nb_execution_mode = "off"  # book/chapters.py runs them
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
highlight_language = "none"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return the page and the line of a name of the reference, seen from api/."""
    from book.sphinx import place_of

    place = place_of(info["module"], info["fullname"]) if domain == "py" else None
    return f"../{place[0]}.html#L{place[1]}" if place else None
