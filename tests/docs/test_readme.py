"""The Python examples of the README and of the guide run, and print what their comments say."""

import contextlib
import io
import re

import chapters
import pytest
from documents import DOCUMENTS, GUIDE, README, ROOT, examples_of, text_of

from npbert.checkpoints.directory import READERS
from npbert.checkpoints.hub_files import TOKENIZER_CONFIG, VOCABULARIES

EXAMPLES = [
    pytest.param(example, id=f"{path.stem}-{number}")
    for path in DOCUMENTS
    for number, example in enumerate(examples_of(path))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_and_prints_what_it_says(example):
    if "distributed" in example:
        pytest.importorskip("distributed", reason="needs Dask (extra `dask`)")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    lines = printed.getvalue().splitlines()
    assert lines
    for said in re.findall(r"print\(.*\)  # (.+)", example):
        assert said in lines


def test_there_are_examples():
    assert examples_of(README) and len(EXAMPLES) >= 4


def test_the_readme_fits_on_two_screens():
    assert len(text_of(README).splitlines()) <= 130


def test_the_picture_of_the_readme_says_what_the_model_does():
    """Its description has the shares and the words; the file is drawn from them."""
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    with chapters.in_folder():
        import draw_readme
    picture = draw_readme.draw(draw_readme.look())
    assert f"![{picture.alt}](tutorials/{draw_readme.FILE.name})" in text_of(README)
    assert "<svg" in text_of(draw_readme.FILE)


def test_every_page_of_the_guide_is_in_the_index_of_the_book():
    index = text_of(ROOT / "tutorials" / "README.md")
    assert GUIDE and all(f"](guide/{path.name})" in index for path in GUIDE)


PAGES = [
    README,
    ROOT / "npbert" / "README.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / "weights" / "README.md",
    *ROOT.glob("weights/*/README.md"),
    *GUIDE,
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text("utf-8"))
    assert links or path in GUIDE
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_file_that_a_page_names_is_there():
    """Paths between backticks, such as `tests/scripts/make_torch_fixtures.py`."""
    for page in PAGES[1:3]:
        text = page.read_text("utf-8")
        named = re.findall(r"(?:`|python )((?:tests|weights|npbert|tutorials)/[\w/.*-]+)", text)
        assert named or page == PAGES[1]
        assert [name for name in named if not list(ROOT.glob(name))] == []


def test_the_commands_that_install_are_what_ci_takes_from_the_readme():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    [pattern] = re.findall(r"grep -E '(\^.+)' README\.md", script)
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    first, second = [line for line in lines if re.search(pattern, line)]
    steps = [step.strip() for step in first.split("&&")]
    # Many systems let nothing be installed beside their own Python.
    assert steps[0].startswith("python3 -m venv ") and steps[1].startswith("source ")
    assert steps[2] == "python -m pip install ." and steps[3].startswith("npbert fill-mask ")
    assert second.endswith("&& python -m pytest")


def test_what_opens_and_builds_the_book_is_installed_with_it():
    [extra] = re.findall(r"^book = \[(.*?)^\]$", text_of(ROOT / "pyproject.toml"), re.M | re.S)
    for page in (README, ROOT / "tutorials" / "README.md"):
        text = text_of(page)
        assert 'python -m pip install -e ".[book]"' in text
        assert "python tutorials/build.py " in text
    for command, package in (("jupytext --to ipynb", "jupytext"), ("jupyter lab", "jupyterlab")):
        assert f"{command} " in text and f'"{package}>=' in extra


def test_the_guide_says_which_files_a_checkpoint_needs():
    section = text_of(ROOT / "tutorials" / "guide" / "own_checkpoint.md")
    for name in ("config.json", *VOCABULARIES, *READERS, TOKENIZER_CONFIG):
        name = ".index.json" if name.endswith(".index.json") else name
        assert f"`{name}`" in section or name == "weights.npz"  # no file of the Hub's
    assert "hf download " in section and "--local-dir " in section


def test_the_workflow_runs_what_ci_runs():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "bash .ci/run" in workflow
    for command in ('-m "not reference and not browser"', "python -m pytest -q"):
        assert command in workflow and command in script
    for python in ("3.10", "3.14"):
        assert f'"{python}"' in workflow
    assert 'requires-python = ">=3.10"' in (ROOT / "pyproject.toml").read_text("utf-8")
