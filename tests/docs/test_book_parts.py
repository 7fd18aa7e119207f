"""The parts that the site of the book is made of, without Sphinx: links, notes, values of lines."""

import importlib
import subprocess
import sys

import chapters
import numpy as np
import pytest

import npbert
from npbert.tracing.equations import EQUATIONS

ROOT = chapters.FOLDER.parent


def part(name):
    with chapters.in_folder():
        return importlib.import_module(f"book.{name}")


annotated, links, passes = part("annotated"), part("links"), part("passes")


# ---- links ---------------------------------------------------------------------------------


def rewritten(text, at="tutorials/03_bert.md", page="tutorials/03_bert.ipynb"):
    found = []
    text = links.rewritten(text, ROOT / at, page, ROOT, found.append)
    return text, [path.relative_to(ROOT).as_posix() for path in found]


@pytest.mark.parametrize(
    ("target", "page"),
    [
        ("../npbert/bert.py", "../npbert/bert.py.md"),
        ("04_convbert.md#exercises", "04_convbert.ipynb#exercises"),
        ("../npbert/golden/mistakes", "../npbert/golden/mistakes/files.md"),
        ("../weights/golden", "../weights/golden/README.md"),
        ("README.md", "../index.md"),
        ("../tutorials", "../index.md"),
        ("https://numpy.org/doc", "https://numpy.org/doc"),
    ],
)
def test_a_link_leads_to_a_page(target, page):
    text, found = rewritten(f"See [it]({target}), and\n[that\nthere]({target}).")
    assert text == f"See [it]({page}), and\n[that\nthere]({page})."
    assert len(found) == (0 if target.startswith("https") else 2)


def test_links_in_code_stay():
    text = "```python\na[0](b)\n```\n[it](04_convbert.md)\n````\n```\n[it](nowhere)\n```\n````\n"
    assert rewritten(text) == (text.replace("04_convbert.md", "04_convbert.ipynb"), [
        "tutorials/04_convbert.md"
    ])  # fmt: skip


@pytest.mark.parametrize("target", ["nowhere.md", "../../outside.md"])
def test_a_link_that_leads_nowhere_is_an_error(target):
    with pytest.raises(FileNotFoundError, match=r"nowhere|outside"):
        rewritten(f"[it]({target})")


# ---- notes and values ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    return passes.one_pass("convbert-tiny", "ForMaskedLM")


def line_with(file, text):
    source = (ROOT / "npbert" / file).read_text("utf-8").splitlines()
    [line] = [number for number, row in enumerate(source, 1) if row.strip().startswith(text)]
    return line


def test_no_note_is_lost():
    assert annotated.lost_notes() == []


def test_a_note_whose_line_is_gone_is_found(monkeypatch):
    notes = {"gone": ("", {"returned": ""}), "attend": ("", {"scores": "", "old_scores": ""})}
    monkeypatch.setitem(EQUATIONS, "ops.py", notes)
    assert annotated.lost_notes() == ["ops.py: gone.returned", "ops.py: attend.old_scores"]


def test_every_line_that_ran_has_a_value(run):
    ran = annotated.Ran()
    ran.add(run)
    assert len(ran.lines) > 80
    del run.values[next(iter(run.values))]
    with pytest.raises(ValueError, match="has no value"):
        annotated.Ran().add(run)


def test_a_line_shows_its_note_its_axes_and_its_value():
    run = passes.one_pass("bert-tiny", "ForMaskedLM")
    ran = annotated.Ran()
    ran.add(run)
    note = annotated.note_on(line_with("ops.py", "scores ="), ran.calls[
        "ops.py", line_with("ops.py", "def attend")][0], ran)  # fmt: skip
    model = npbert.BertForMaskedLM.from_pretrained("bert-tiny")
    tokenizer = npbert.AutoTokenizer.from_pretrained("bert-tiny")
    trace = npbert.trace(model, **tokenizer(passes.SENTENCE, return_tensors="np"))
    scores = trace["bert.encoder.layer.0.attention.self.attend.scores"].value
    B, H, T, _ = scores.shape
    assert f"[B {B}, H {H}, T {T}, T {T}]" in note
    assert ", ".join(f"{number:.3g}" for number in scores.ravel()[:3]) in note
    assert f"{scores.mean():.3g} ± {scores.std():.3g}" in note
    assert "each query times each key" in note and "equation 1" in note


def test_a_page_unfolds_what_its_lines_call():
    ran = annotated.Ran()
    ran.add(passes.one_pass("convbert-tiny", "ForMaskedLM"))
    page = annotated.page("convbert.py", ran)
    line = line_with("convbert.py", "near = dynamic")
    row = page.partition(f'id="L{line}"')[2].partition(f'id="L{line + 1}"')[0]
    assert "<code>dynamic_convolution</code>" in row and "sliding_window_view" in row
    filters = line_with("convbert.py", "def span_filters")
    row = page.partition(f'id="L{line - 1}"')[2].partition(f'id="L{line}"')[0]
    assert f'data-def="{filters}"' in row and "<code>span_filters</code>" in row
    assert f'<a href="#L{filters}">convbert.py:{filters}</a>' in row
    source = (ROOT / "npbert/convbert.py").read_text("utf-8").splitlines()
    assert all(f'id="L{number}"' in page for number in range(1, len(source) + 1))


def test_values_in_words():
    assert passes.in_words(npbert.trace) == "the function trace"
    assert passes.in_numbers(np.zeros((0, 3))) == "empty"
    assert passes.in_numbers(np.array([1, 2, 3, 4])) == "1, 2, 3, ..."
    assert passes.in_numbers(np.array([0.0, 2.0, 4.0, -1e38])) == (
        "0, 2, 4, ...; 2 ± 1.63, from 0 to 4"
    )


# ---- the command ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["OUT", "--engine", "a b"], "the address of the engine is 'a b'"),
        (["OUT", "--engine", "ftp://x/"], "expected http or https"),
        (["FILE"], "is a file, expected a directory"),
    ],
)
def test_wrong_input_is_refused_in_a_line_before_any_chapter_runs(tmp_path, arguments, said):
    pytest.importorskip("sphinx")
    pytest.importorskip("nbclient")
    (tmp_path / "FILE").write_text("mine")
    script = [sys.executable, str(chapters.FOLDER / "build.py")]
    places = [str(tmp_path / each) if each in ("OUT", "FILE") else each for each in arguments]
    done = subprocess.run([*script, *places], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and said in done.stderr
    assert not (tmp_path / "OUT").exists()
