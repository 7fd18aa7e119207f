"""Cells of a notebook as a page runs them: what they print, show and draw; exercises; errors."""

import base64
import json
import os
import shutil
import subprocess
import sys

import pytest
from chapters import CHAPTERS, FOLDER, code_cells

from npbert.exercises.catalogue import CHAPTERS as EXERCISES
from npbert.live import notebook


def run(source, number=0):
    return json.loads(notebook.answer("cell", json.dumps(dict(source=source, number=number))))


@pytest.fixture(autouse=True)
def fresh():
    notebook.restart()


def test_a_cell_prints_and_shows_its_last_value_and_cells_share_names():
    found = run("x = 3\nprint('a')\nx + 1")
    assert found == {"outputs": [{"kind": "text", "data": "a\n"}, {"kind": "text", "data": "4"}]}
    assert run("x * 2", 1)["outputs"] == [{"kind": "text", "data": "6"}]
    notebook.restart()
    assert run("x", 2)["outputs"][0]["data"].endswith("NameError: name 'x' is not defined")
    assert run("None")["outputs"] == run("")["outputs"] == []


def test_what_has_a_picture_shows_it():
    shown = run("class A:\n    def _repr_html_(self): return '<b>'\nA()")["outputs"]
    assert shown == [{"kind": "html", "data": "<b>"}]


def test_open_figures_are_drawn_once():
    pytest.importorskip("matplotlib")
    draw = "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
    [picture] = run(draw + "_ = plt.plot([1, 2])")["outputs"]
    assert picture["kind"] == "png" and base64.b64decode(picture["data"])[1:4] == b"PNG"
    assert run("1")["outputs"] == [{"kind": "text", "data": "1"}]


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("a = 1\nb = a / 0", 2, "ZeroDivisionError: division by zero"),
        ("def f(:\n    pass", 1, "SyntaxError"),
        ("import sys\nsys.exit(3)", 2, "SystemExit: 3"),
        ("def f():\n    raise ValueError('x')\n\nf()", 2, "ValueError: x"),
    ],
)
def test_an_error_says_its_line(source, line, said):
    error = run(f"print('before')\n{source}")["outputs"][-1]
    assert error["kind"] == "error" and error["line"] == line + 1
    assert said in error["data"]


def test_too_much_is_cut():
    [text] = run("print('x' * 200_000)")["outputs"]
    assert len(text["data"]) < 110_000 and text["data"].endswith("characters more")


def test_the_exercises_of_a_chapter_are_judged():
    [path] = [path for path in CHAPTERS if path.stem.endswith("convbert")]
    cells = [source for _, source in code_cells(path.read_text("utf-8"))]
    stubs = [source for source in cells if "exercises.check(" in source]
    exercises = EXERCISES[path.stem]
    assert len(stubs) == len(exercises) > 3
    [imports] = [source for source in cells if "import exercises" in source]
    run(imports)
    for number, (stub, exercise) in enumerate(zip(stubs, exercises)):
        [said] = run(stub, number)["outputs"]
        assert said["data"].startswith(f"{exercise.name}: not done yet")
        lines = f'{exercise.source()}\n\nexercises.check("{exercise.name}", {exercise.name})'
        run("\n".join(exercise.imports()))
        [said] = run(lines, number)["outputs"]
        assert said["data"].startswith(f"{exercise.name}: right")


# ---- without the repository ----------------------------------------------------------------


@pytest.fixture
def no_clone(tmp_path, monkeypatch):
    """A folder that chapters take for the clone, and that is none."""
    monkeypatch.setattr(notebook, "CLONE", tmp_path)
    run(f"from pathlib import Path\nclone = Path({str(tmp_path)!r})")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = open(clone / 'weights/a.csv')", "reads files of npbert's repository"),
        ("x = sorted(clone.glob('*'))\nassert x", "reads files of npbert's repository"),
        ("import subprocess\nx = subprocess.run(['no-such-program'])", "starts another program"),
        ("import shutil\nx = 1\nassert shutil.which('no-such-program')", "starts another program"),
    ],
)
def test_what_needs_a_clone_is_said_in_a_sentence(no_clone, source, said):
    [output] = run(source, 1)["outputs"]
    assert output["kind"] == "absent" and said in output["data"]
    assert "Traceback" not in output["data"] and "line" not in output["data"]


def test_what_a_cell_would_have_given_is_missed_by_name(no_clone):
    run("rows = open(clone / 'weights/a.csv').read()\ndef f(): pass", 4)
    for source, name in (("len(rows)", "rows"), ("f()", "f")):
        [output] = run(source, 5)["outputs"]
        assert output["kind"] == "absent" and f"uses `{name}` of cell 5" in output["data"]
    assert run("len(row)", 6)["outputs"][0]["kind"] == "error"
    run("rows = 'a'", 4)  # mended
    assert run("del rows\nrows", 5)["outputs"][0]["kind"] == "error"


def test_an_assertion_after_a_cell_that_could_not_run_is_said_with_it(no_clone):
    assert run("assert 1 > 2", 1)["outputs"][0]["kind"] == "error"
    run("open(clone / 'weights/a.csv')", 4)
    [output] = run("assert 1 > 2", 5)["outputs"]
    assert output["kind"] == "absent" and "has `assert 1 > 2`" in output["data"]
    assert "(5)" in output["data"]


def test_a_module_that_this_python_lacks_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    [output] = run("import lzma")["outputs"]
    assert output["kind"] == "absent" and "module lzma" in output["data"]


@pytest.mark.parametrize(
    "source", ["open('/nowhere/at.all')", "clone + 1 +", "1 / 0", "import nonesuch"]
)
def test_errors_of_the_readers_own_stay_errors(no_clone, source):
    assert run(source, 1)["outputs"][-1]["kind"] == "error"


def test_with_a_clone_an_error_is_an_error():
    run("from pathlib import Path\nimport npbert\nclone = Path(npbert.__file__).parent.parent")
    assert run("open(clone / 'weights/nowhere')", 1)["outputs"][0]["kind"] == "error"


def test_files_of_the_repository_are_joined_with_checkpoints(tmp_path):
    folder, weights = tmp_path / "here", tmp_path / "weights"
    (folder / "a-tiny").mkdir(parents=True)
    (folder / "a-tiny/training.csv").write_text("x")
    (weights / "a-tiny").mkdir(parents=True)
    (weights / "a-tiny/vocab.txt").write_text("y")
    for _ in range(2):
        notebook.join(folder, weights)
        assert folder.is_symlink()
        assert (folder / "a-tiny/training.csv").read_text() == "x"
        assert (folder / "a-tiny/vocab.txt").read_text() == "y"
    notebook.join(tmp_path / "none", weights)
    assert not (tmp_path / "none").exists()


RUN_ALL = """
import json, sys
from npbert.live import notebook
cells = json.load(sys.stdin)
print(json.dumps([notebook.cell(source, n)["outputs"] for n, source in enumerate(cells)]))
"""


@pytest.mark.thorough
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_cell_of_a_chapter_runs_or_says_what_it_lacks(tmp_path, path):
    """In a folder with the package and the drawings alone."""
    pytest.importorskip("matplotlib")
    root = FOLDER.parent
    shutil.copytree(root / "npbert", tmp_path / "npbert")
    shutil.copy(FOLDER / "pictures.py", tmp_path)
    cells = [source for _, source in code_cells(path.read_text("utf-8"))]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps(cells),
        env=os.environ
        | {"PYTHONPATH": str(tmp_path), "NPBERT_WEIGHTS": str(root / "weights"), "PATH": ""}
        | {"MPLBACKEND": "agg"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    outputs = json.loads(done.stdout)
    ran = 0
    for source, found in zip(cells, outputs, strict=True):
        assert not [each for each in found if each["kind"] == "error"], (source, found[-1])
        ran += not any(each["kind"] == "absent" for each in found)
    assert ran > len(cells) / 3 or path.stem.endswith("check_a_port")  # which is of Node.js
