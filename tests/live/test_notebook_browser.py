"""Cells of a chapter run in the page, in headless Chromium: text, pictures, exercises, errors.

The page has the marks of one that Sphinx makes: the whole book need not be built for it.
"""

import html
import importlib
import time

import pytest
from browsing import open_browser
from chapters import CHAPTERS, FOLDER, code_cells, in_folder
from living import LiveReader, require_engine, served

from npbert.exercises.catalogue import CHAPTERS as EXERCISES
from npbert.live.folder import notebook_policy, write_notebooks

pytestmark = pytest.mark.browser

[CONVBERT] = [path for path in CHAPTERS if path.stem.endswith("convbert")]
CELLS = [source for _, source in code_cells(CONVBERT.read_text("utf-8"))]
DRAWS = next(number for number, source in enumerate(CELLS) if source.startswith("pictures."))
IMPORTS = next(source for source in CELLS if "import exercises" in source)
STUB = next(source for source in CELLS if "exercises.check(" in source)
EXERCISE = EXERCISES[CONVBERT.stem][0]
ROOT = FOLDER.parent
REFERENCE = "convbert-tiny.safetensors"
SHOWN = [IMPORTS, STUB, *CELLS[: DRAWS + 1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a page of some cells, and all that runs them."""
    made = tmp_path_factory.mktemp("chapter")
    references = {f"weights/reference/{REFERENCE}": ROOT / "weights/reference" / REFERENCE}
    write_page(made, SHOWN, {"pictures.py": FOLDER / "pictures.py"} | references)
    return made


def write_page(made, cells, more):
    """Write a page of some cells, as the book has them, and what runs them."""
    cell = '<div class="cell"><div class="cell_input"><pre>{}\n</pre></div></div>'
    body = "".join(cell.format(html.escape(source)) for source in cells)
    policy = notebook_policy("../engine/")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    page = f"<!doctype html><meta charset=utf-8>{head}<article><h1>A chapter</h1>{body}</article>"
    (made / "chapter.html").write_text(page + '<script src="live/notebook.js"></script>', "utf-8")
    write_notebooks(made / "live", "../engine/", more)


@pytest.fixture
def reader(folder, tmp_path):
    """Somebody who has the page before them, and has not started anything."""
    require_engine()
    browser = open_browser(tmp_path / "profile")
    with served(folder) as server:
        reader = LiveReader(browser)
        reader.server = server
        reader.open(f"{server.address}chapter.html")
        yield reader
    browser.quit()


def start(reader):
    reader.one(".live-begin").click()
    reader.wait("return document.querySelectorAll('.live-cell').length === arguments[0]",
                len(SHOWN))  # fmt: skip


def run(reader, number, source=None):
    """Put a text in a cell, run it with the keyboard, and return the element of its output."""
    from selenium.webdriver.common.keys import Keys

    box = reader.all(".live-cell")[number]
    if source is not None:
        reader.run("arguments[0].value = arguments[1]", box, source)
        reader.run("arguments[0].dispatchEvent(new Event('input'))", box)
    for old in reader.all(f".cell:nth-of-type({number + 1}) .cell_output"):
        reader.run("arguments[0].remove()", old)
    box.send_keys(Keys.SHIFT, Keys.ENTER)
    return reader.wait(
        "return document.querySelectorAll('.cell')[arguments[0]].querySelector('.cell_output')",
        number,
    )


def press(reader, box):
    """Press Shift+Enter in a cell, and wait for nothing."""
    reader.run(
        "const keys = {key: 'Enter', shiftKey: true};"
        "arguments[0].dispatchEvent(new KeyboardEvent('keydown', keys))",
        box,
    )


def answer(source):
    """Return an answer to the exercise, and the call that judges it, as a reader writes them."""
    call = f'exercises.check("{EXERCISE.name}", {EXERCISE.name})'
    return "\n".join([*EXERCISE.imports(), source, call])


def test_nothing_runs_before_it_is_started(reader):
    assert [element.text for element in reader.all(".cell pre")] == [
        "\n".join(line.rstrip() for line in source.split("\n")) for source in SHOWN
    ]
    assert not [path for path in reader.server.asked if "engine" in path or "weights" in path]


def test_an_exercise_is_judged_on_the_spot(reader):
    start(reader)
    name = EXERCISE.name
    assert run(reader, 1).text.startswith(f"{name}: not done yet")
    reversed_filters = EXERCISE.source().replace("weight[:, k]", "weight[:, -1 - k]")
    said = " ".join(run(reader, 1, answer(reversed_filters)).text.split())
    assert EXERCISE.mistakes[0].message in said
    assert run(reader, 1, answer(EXERCISE.source())).text.startswith(f"{name}: right")


def test_a_chapter_runs_up_to_its_first_picture(reader):
    start(reader)
    picture = run(reader, len(SHOWN) - 1).find_element("css selector", "img, svg")
    assert reader.run("return arguments[0].naturalWidth ?? arguments[0].clientWidth", picture) > 100
    asked = [path for path in reader.server.asked if "/weights/" in path]
    assert asked and all("convbert-tiny/" in path for path in asked)
    error = run(reader, len(SHOWN) - 2, "T / 0").find_element("css selector", ".live-error")
    assert "ZeroDivisionError" in error.text


def test_what_a_page_has_not_is_said_in_a_sentence_and_the_rest_runs(reader):
    start(reader)
    first = "from pathlib import Path\nimport npbert\nclone = Path(npbert.__file__).parent.parent"
    for source, said in (
        (f"{first}\nrows = open(clone / 'weights/training.csv').read()", "files of npbert's repo"),
        ("import subprocess\nsubprocess.run(['node', '--version'])", "starts another program"),
        ("import lzma", "module lzma"),
    ):
        place = run(reader, 0, source)
        assert said in place.find_element("css selector", ".live-absent").text
        assert not place.find_elements("css selector", ".live-error")
        assert run(reader, 1, "print('goes on')").text == "goes on"


# Ask another host in every way that a cell or what it shows could, and say which were refused.
ASK_ELSEWHERE = """
const [address, done] = [arguments[0], arguments[arguments.length - 1]];
const refused = [];
document.addEventListener("securitypolicyviolation",
  (event) => refused.push(event.effectiveDirective));
fetch(address).catch(() => {});
for (const tag of ["img", "script", "iframe", "video"]) {
  const element = document.createElement(tag);
  element.src = address;
  document.body.append(element);
}
const style = document.createElement("link");
style.rel = "stylesheet";
style.href = address;
document.head.append(style);
setTimeout(() => done(refused), 500);
"""


def test_no_request_leaves_the_configured_hosts(reader, tmp_path):
    start(reader)
    run(reader, len(SHOWN) - 1)
    asks = "import js\njs.fetch('{}')\n'<img src={}>'"
    with served(tmp_path) as elsewhere:
        other = elsewhere.address
        refused = reader.browser.execute_async_script(ASK_ELSEWHERE, f"{other}page")
        run(reader, 0, asks.format(f"{other}cell", f"{other}cell.png"))
        markup = f"<img src={other}shown.png><style>@import '{other}a.css'</style>"
        shows = f'class A:\n    def _repr_html_(self): return "{markup}"\nA()'
        run(reader, 0, shows)
        run(reader, 1, "print(1)")
        assert elsewhere.asked == []
    assert {*refused} == {
        "connect-src", "img-src", "script-src-elem", "frame-src", "media-src", "style-src-elem"
    }  # fmt: skip
    assert all(path.startswith(("/chapter.html", "/live/", "/engine/", "/favicon.ico"))
               for path in reader.server.asked)  # fmt: skip


def test_checkpoints_are_fetched_when_a_cell_names_them(reader):
    def fetched():
        found = [path.split("/")[-2] for path in reader.server.asked if "/weights/" in path]
        return {*found}

    start(reader)
    run(
        reader,
        0,
        "import npbert\nfamily = 'squeezebert'\nf'{family} a-b {1}', f'{family}', '[a-z', 'x-{'",
    )
    assert fetched() == set()
    load = "from npbert.checkpoints.shipped import checkpoint_directory\ncheckpoint_directory({})"
    shown = run(reader, 1, load.format('f"{family.lower()}-tiny"'))
    assert "squeezebert-tiny" in shown.text and "Error" not in shown.text
    assert fetched() == {
        f"{each}-tiny" for each in ("bert", "convbert", "mobilebert", "squeezebert")
    }
    assert "Error" not in run(reader, 2, load.format('"mobilebert-tiny-choice"')).text
    assert "mobilebert-tiny-choice" in fetched()


def test_files_of_the_repository_lie_where_a_clone_has_them(reader):
    start(reader)
    lines = [
        "import npbert; from pathlib import Path",
        "from npbert.checkpoints import safetensors",
        "clone = Path(npbert.__file__).parent.parent",
        f"print(len(safetensors.read(clone / 'weights/reference/{REFERENCE}')))",
        "model = safetensors.read(clone / 'weights/convbert-tiny/model.safetensors')",
        "print(len(model) == len(safetensors.read(",
        "    npbert.shipped_checkpoints()['convbert-tiny'] / 'model.safetensors')))",
    ]
    counts = run(reader, 0, "\n".join(lines)).text.split("\n")
    assert int(counts[0]) > 3 and counts[1] == "True"


def test_it_says_which_cell_runs(reader):
    start(reader)
    assert "font cache" not in run(reader, 0, "import matplotlib.pyplot\n1").text
    box = reader.all(".live-cell")[1]
    reader.run("arguments[0].value = 'import time; time.sleep(3); print(1)'", box)
    press(reader, box)
    time.sleep(1)
    assert reader.one(".live-state").text == "cell 2 is running …"
    reader.wait("return document.querySelector('.live-state').textContent === ''")


def test_cells_that_are_asked_for_while_others_run_come_next(reader):
    start(reader)
    boxes = reader.all(".live-cell")[:3]
    for box, source in zip(boxes, ("import time; time.sleep(2); x = 1", "x += 1", "print(x)")):
        reader.run("arguments[0].value = arguments[1]", box, source)
        reader.run("arguments[0].dispatchEvent(new Event('input'))", box)
    for box in boxes:
        press(reader, box)
    said = "return document.querySelectorAll('.cell')[2].textContent.includes(arguments[0])"
    reader.wait(said, "2")
    reader.run("arguments[0].value = 'import time; time.sleep(2); x = 7'", boxes[0])
    press(reader, boxes[0])
    reader.run("arguments[0].value = 'x = 10'", boxes[0])  # while it runs
    reader.run("arguments[0].dispatchEvent(new Event('input'))", boxes[0])
    reader.run("arguments[0].value = 'print(x * 3)'", boxes[2])
    press(reader, boxes[2])
    reader.wait(said, "30")
    assert reader.run(said, "30")


@pytest.mark.thorough
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_cell_of_a_chapter_runs_or_says_what_a_page_lacks(tmp_path, path):
    pytest.importorskip("nbclient", reason="as the book is built (extra `book`)")
    pytest.importorskip("sphinx", reason="as the book is built (extra `book`)")
    require_engine()
    with in_folder():
        more = importlib.import_module("book.pages").repository_files()
    cells = [source for _, source in code_cells(path.read_text("utf-8"))]
    write_page(tmp_path, cells, more)
    browser = open_browser(tmp_path / "profile")
    try:
        with served(tmp_path) as server:
            reader = LiveReader(browser).open(f"{server.address}chapter.html")
            reader.one(".live-begin").click()
            reader.wait("return document.querySelector('.live-cell')")
            reader.run("document.querySelector('.live-bar button').click()")  # all cells
            done = "return document.querySelectorAll('.live-output').length === arguments[0]"
            done += " || document.querySelector('.live-error')"
            reader.wait(done, len(cells))
            assert [each.text for each in reader.all(".live-error")] == []
            lacking = [each.text for each in reader.all(".live-absent")]
            for said in lacking[:1]:  # those after it lack what this one would have given
                assert "module lzma" in said or "starts another program" in said
            assert len(lacking) < 0.7 * len(cells)
    finally:
        browser.quit()
