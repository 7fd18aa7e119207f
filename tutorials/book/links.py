"""Links between files of the repository, as links between the pages of the book."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
PICTURES = (".png", ".svg")
CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1`*\s*?$", re.DOTALL | re.MULTILINE)


def page_of(path: Path, root: Path) -> str:
    """Return the source file of the page that shows a file or a directory of the repository.

    Raises FileNotFoundError where there is neither.
    """
    name = path.relative_to(root).as_posix()
    if path.is_dir():
        readme = path / "README.md"
        return page_of(readme, root) if readme.exists() else f"{name}/files.md"
    if not path.exists():
        raise FileNotFoundError(f"a link leads to {name}, which does not exist")
    if re.fullmatch(r"tutorials/\d\d_\w+\.md", name):
        return name.removesuffix(".md") + ".ipynb"
    if name == "tutorials/README.md":
        return "index.md"
    return name if path.suffix in (".md", *PICTURES) else f"{name}.md"


def rewritten(text: str, at: Path, page: str, root: Path, found: Callable[[Path], None]) -> str:
    """Return Markdown with its links leading to pages; links in code stay.

    at     the file that the text is from
    page   the source file of its page
    found  is told of every file and directory that a link leads to
    """

    def new(match: re.Match[str]) -> str:
        before, target, place, after = match.groups()
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = Path(os.path.normpath(at.parent / target))
        if not path.is_relative_to(root):
            raise FileNotFoundError(f"{at}: a link leads out of the repository, to {target}")
        found(path)
        there = os.path.relpath(page_of(path, root), Path(page).parent)
        return f"{before}{there}{place or ''}{after}"

    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [LINK.sub(new, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(new, text[end:])])
