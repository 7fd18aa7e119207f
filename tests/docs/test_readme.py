"""The README's Python examples run, and print what their comments say."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from npbert.checkpoints.directory import READERS
from npbert.checkpoints.shipped import NEEDED

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


PAGES = [
    ROOT / "README.md",
    ROOT / "npbert" / "README.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / "weights" / "README.md",
    *ROOT.glob("weights/*/README.md"),
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text("utf-8"))
    assert links
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


def test_what_opens_a_notebook_is_installed_with_the_book():
    text = (ROOT / "README.md").read_text("utf-8")
    [extra] = re.findall(
        r"^book = \[(.*?)^\]$", (ROOT / "pyproject.toml").read_text("utf-8"), re.M | re.S
    )
    for command, package in (("jupytext --to ipynb", "jupytext"), ("jupyter lab", "jupyterlab")):
        assert f"`{command} " in text and f'"{package}>=' in extra


def test_the_readme_and_the_error_say_which_files_a_checkpoint_needs():
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.partition("## Your own checkpoint")[2].partition("\n## ")[0]
    for name in (*NEEDED.split(), *READERS, "tokenizer.json", "tokenizer_config.json"):
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
