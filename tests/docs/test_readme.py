"""The README's Python examples run, and print what their comments say."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_and_prints_what_it_says(example):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    lines = printed.getvalue().splitlines()
    assert lines
    for said in re.findall(r"print\(.*\)  # (.+)", example):
        assert said in lines


def test_there_are_examples():
    assert len(EXAMPLES) >= 2


PAGES = [ROOT / "README.md", ROOT / "weights" / "README.md", *ROOT.glob("weights/*/README.md")]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text("utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []
