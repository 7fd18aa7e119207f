"""Cells of a notebook as a page runs them: what they print, show and draw; exercises; errors."""

import base64
import json

import pytest
from chapters import CHAPTERS, code_cells

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
