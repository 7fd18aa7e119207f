"""The documents whose commands and examples run: README.md, and the guide in tutorials/guide/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = sorted((ROOT / "tutorials" / "guide").glob("*.md"))
DOCUMENTS = [README, *GUIDE]


def text_of(path):
    return path.read_text("utf-8")


def blocks_of(path):
    """Return each block of shell commands with what is shown below it, "" where nothing is."""
    return re.findall(r"```sh\n(.*?)```\n(?:\n```\n(.*?)```)?", text_of(path), re.DOTALL)


def examples_of(path):
    """Return each block of Python."""
    return re.findall(r"```python\n(.*?)```", text_of(path), re.DOTALL)
