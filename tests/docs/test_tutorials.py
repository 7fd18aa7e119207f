"""The tutorials: their outline, the length of their cells, and that every cell runs as it stands.

The cells of a tutorial run one after another in one namespace, as plain Python without a notebook.
"""

import re
import shutil
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "tutorials").glob("*.md"))
OUTLINE = [
    "What you'll do",
    "What you'll learn",
    "What you'll need",
    "Exercises",
    "Where to read next",
]
LONGEST_CELL = 15  # lines

each_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def code_cells(text):
    """Return (line number, source) of every code cell of a MyST notebook, its options left out."""
    lines = text.splitlines()
    cells, start = [], None
    for number, line in enumerate(lines, 1):
        if start is None and line.startswith("```{code-cell}"):
            start = number
        elif start is not None and line.startswith("```"):
            assert line.rstrip() == "```", f"line {number}: {line!r} inside the cell of {start}"
            body = lines[start : number - 1]
            options = next((i for i, each in enumerate(body) if not each.startswith(":")), 0)
            cells.append((start + 1 + options, "\n".join(body[options:])))
            start = None
    assert start is None, f"line {start}: the cell does not end"
    return cells


def prose(text):
    """Return a tutorial without its code cells."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def run(path):
    """Run all cells of a tutorial in one namespace; tracebacks show lines of the file."""
    namespace = {"__name__": "__main__"}
    for line, source in code_cells(path.read_text(encoding="utf-8")):
        exec(compile("\n" * (line - 1) + source, str(path), "exec"), namespace)
    return namespace


def test_there_are_tutorials():
    assert TUTORIALS


def test_cells_are_found_with_their_lines():
    text = "A\n```{code-cell} ipython3\n:tags: [hide-input]\na = 1\n```\nB\n```sh\nls\n```\n"
    assert code_cells(text) == [(4, "a = 1")]
    assert prose(text) == "A\n\nB\n\n"
    with pytest.raises(AssertionError, match="line 1: the cell does not end"):
        code_cells("```{code-cell} ipython3\na = 1\n")


@each_tutorial
def test_outline(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("---\njupytext:\n")
    headings = re.findall(r"^(#+) (.+)$", prose(text), flags=re.MULTILINE)
    titles = [title for level, title in headings if level == "#"]
    sections = [title for level, title in headings if level == "##"]
    assert len(titles) == 1
    assert [section for section in sections if section in OUTLINE] == OUTLINE


@each_tutorial
def test_cells_are_short_and_parse(path):
    cells = code_cells(path.read_text(encoding="utf-8"))
    assert cells
    for line, source in cells:
        assert source.strip(), f"line {line}: an empty cell"
        compile("\n" * (line - 1) + source, str(path), "exec")
        length = len(source.splitlines())
        assert length <= LONGEST_CELL, f"line {line}: {length} lines in one cell"


@each_tutorial
def test_links_to_files_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", prose(path.read_text(encoding="utf-8"))):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"no {target}"


@each_tutorial
@pytest.mark.filterwarnings("ignore:.*non-interactive")  # plt.show() where there is no screen
def test_cells_run(path):
    if "node" in path.read_text(encoding="utf-8") and not shutil.which("node"):
        pytest.skip("the tutorial runs a port with Node.js, which was not found")
    matplotlib = pytest.importorskip("matplotlib", reason="the tutorials draw with matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    try:
        run(path)
        assert pyplot.get_fignums(), "no figure was drawn"
    finally:
        pyplot.close("all")


def test_a_cell_that_fails_is_found(tmp_path):
    path = tmp_path / "wrong.md"
    path.write_text("```{code-cell}\na = 1\n```\n```{code-cell}\nassert a == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run(path)
    assert caught.traceback[-1].lineno + 1 == 5
