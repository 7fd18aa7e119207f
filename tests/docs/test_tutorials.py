"""The chapters of the book: their outline, the length of their cells, and that all of them run.

The cells of a chapter run one after another in one namespace, as plain Python without a notebook.
"""

import re
import shutil

import chapters
import pytest
from chapters import CHAPTERS, code_cells, prose

OUTLINE = [
    "What you'll do",
    "What you'll learn",
    "What you'll need",
    "Exercises",
    "Where to read next",
]
LONGEST_CELL = 15  # lines
SHORTEST_DESCRIPTION = 40  # characters

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def test_there_are_chapters():
    assert CHAPTERS


def test_every_chapter_is_in_the_index():
    index = (chapters.FOLDER / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\d\d_\w+\.md)\)", index)
    assert linked == [path.name for path in CHAPTERS]


def test_cells_are_found_with_their_lines():
    text = "A\n```{code-cell} ipython3\n:tags: [hide-input]\na = 1\n```\nB\n```sh\nls\n```\n"
    assert code_cells(text) == [(4, "a = 1")]
    assert prose(text) == "A\n\nB\n\n"
    with pytest.raises(AssertionError, match="line 1: the cell does not end"):
        code_cells("```{code-cell} ipython3\na = 1\n")


@each_chapter
def test_outline(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("---\njupytext:\n")
    headings = re.findall(r"^(#+) (.+)$", prose(text), flags=re.MULTILINE)
    titles = [title for level, title in headings if level == "#"]
    sections = [title for level, title in headings if level == "##"]
    assert len(titles) == 1
    assert [section for section in sections if section in OUTLINE] == OUTLINE


@each_chapter
def test_cells_are_short_and_parse(path):
    cells = code_cells(path.read_text(encoding="utf-8"))
    assert cells
    for line, source in cells:
        assert source.strip(), f"line {line}: an empty cell"
        compile("\n" * (line - 1) + source, str(path), "exec")
        length = len(source.splitlines())
        assert length <= LONGEST_CELL, f"line {line}: {length} lines in one cell"


@each_chapter
def test_links_to_files_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", prose(path.read_text(encoding="utf-8"))):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"no {target}"


@each_chapter
def test_a_chapter_runs_and_describes_its_pictures(path):
    if "node" in path.read_text(encoding="utf-8") and not shutil.which("node"):
        pytest.skip("the chapter runs a port with Node.js, which was not found")
    matplotlib = pytest.importorskip("matplotlib", reason="the chapters draw with matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    try:
        shown = chapters.run(path)
        by_hand = pyplot.get_fignums()
    finally:
        pyplot.close("all")
    pictures = [(line, value) for line, value in shown if type(value).__name__ == "Picture"]
    assert pictures, "nothing was drawn"
    assert not by_hand, "drawn without pictures.py"
    for line, picture in pictures:
        length = len(picture.alt)
        assert length >= SHORTEST_DESCRIPTION, f"line {line}: described in {length} characters"


def test_the_accuracies_are_those_of_the_models():
    """The chapter on all families repeats figures of weights/README.md, model by model."""
    text = (chapters.FOLDER / "07_four_families_one_page.md").read_text(encoding="utf-8")
    told = (chapters.FOLDER.parent / "weights" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+-tiny)` \| (.+) \|$", prose(text), flags=re.MULTILINE)
    assert len(rows) == 4
    for model, figures in rows:
        card = re.search(rf"^\| `{model}` \| .+$", told, flags=re.MULTILINE).group()
        for figure in filter(None, (each.strip() for each in figures.split("|"))):
            assert f" {figure} " in card, f"{model}: {figure} is not in weights/README.md"


def test_a_cell_that_fails_is_found(tmp_path):
    path = tmp_path / "wrong.md"
    path.write_text("```{code-cell}\na = 1\n```\n```{code-cell}\nassert a == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        chapters.run(path)
    assert caught.traceback[-1].lineno + 1 == 5


def test_a_run_gives_what_a_notebook_shows(tmp_path):
    path = tmp_path / "right.md"
    path.write_text("```{code-cell}\na = 1\na + 1\n```\n```{code-cell}\nb = a\n```\n")
    assert chapters.run(path) == [(2, 2)]
