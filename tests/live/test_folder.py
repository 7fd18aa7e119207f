"""The folder of a live page, what its functions answer, and the command that writes it."""

import json
import re
import zipfile

import numpy as np
import pytest

import npbert
from npbert.__main__ import main
from npbert.live import engine, session
from npbert.live.folder import live_page, notebook_policy, policy, write_folder
from npbert.tracing.page import make_page

SENTENCE = "The sky is [MASK]."
HOSTILE = "</script><img src=x onerror=hit()>"


def ask(function, **request):
    return json.loads(session.answer(function, json.dumps(request)))


def settings_of(page):
    return json.loads(re.search(r'id="settings">(.*?)</script>', page, re.DOTALL)[1])


# ---- what is written -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("folder") / "live"
    write_folder(made, "convbert-tiny", [SENTENCE])
    return made


def test_the_folder_has_everything_but_the_engine(folder):
    page = (folder / "index.html").read_text("utf-8")
    settings = settings_of(page)
    assert settings["engine"] == engine.ADDRESS and settings["npbert"] == "npbert.zip"
    assert settings["models"].keys() == npbert.shipped_checkpoints().keys()
    for name, model in settings["models"].items():
        for file in model["files"]:
            original = npbert.shipped_checkpoints()[name] / file
            assert (folder / "weights" / name / file).stat().st_size == original.stat().st_size
    names = zipfile.ZipFile(folder / "npbert.zip").namelist()
    assert "npbert/live/session.py" in names and "npbert/golden/manifest.schema.json" in names
    assert not [name for name in names if name.startswith("npbert/weights") or "pycache" in name]
    assert (folder / "npbert.zip").stat().st_size < 600_000


def test_the_page_holds_the_pass_that_the_usual_page_holds():
    data = r'id="data">(.*?)</script>'
    live = re.search(data, live_page("convbert-tiny", [SENTENCE]), re.DOTALL)[1]
    assert live == re.search(data, make_page("convbert-tiny", [SENTENCE]), re.DOTALL)[1]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (engine.ADDRESS, f"connect-src 'self' {engine.ADDRESS}"),
        ("https://a.example/py", "connect-src 'self' https://a.example/py/"),
        ("../engine", "connect-src 'self'"),
    ],
)
def test_the_policy_names_the_hosts(address, allowed):
    page = live_page("convbert-tiny", [SENTENCE], address=address)
    said = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert said == policy(engine.checked_address(address))
    assert said.startswith("default-src 'none';") and said.endswith(allowed)
    assert engine.VERSION in engine.ADDRESS


def test_pages_of_chapters_load_what_is_beside_them_and_the_engine_where_cells_run():
    quiet, runs = notebook_policy(None), notebook_policy(engine.ADDRESS)
    for said in (quiet, runs):
        assert said.startswith("default-src 'none'; style-src 'self' 'unsafe-inline'; script-src ")
        assert "img-src 'self' data:" in said and said.count("'self'") == 5
    assert "eval" not in quiet and "blob:" not in quiet and "//" not in quiet
    assert f"connect-src 'self' {engine.ADDRESS};" in runs and "worker-src blob:;" in runs
    with pytest.raises(ValueError, match="the address of the engine is"):
        notebook_policy("a; script-src *")


@pytest.mark.parametrize(
    "address", ["", "ftp://x/", "javascript:alert(1)", "a; script-src *", "a b"]
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="the address of the engine is"):
        engine.checked_address(address)


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["trace", "convbert-tiny", SENTENCE, "--live", "--engine", "e/", "-o", "out"]) == 0
    assert "http.server" in capsys.readouterr().out
    assert settings_of((tmp_path / "out/index.html").read_text("utf-8"))["engine"] == "e/"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convbert-tiny", "a", "--engine", "e/"], "--engine is for --live alone"),
        (["nowhere", "a", "--live"], "takes a shipped checkpoint"),
        (["convbert-tiny", "a", "--live", "--engine", "a b"], "the address of the engine is 'a b'"),
        (["convbert-tiny", " ", "--live"], "the text is empty"),
        (["convbert-tiny", "a", "--live", "-o", "file"], "is a file"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["trace", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# ---- what is answered ----------------------------------------------------------------------


def test_a_pass_is_that_of_the_page():
    found = ask("run", model="convbert-tiny", texts=[SENTENCE])
    page = make_page("convbert-tiny", [SENTENCE])
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert found["page"] == data
    assert found["heads"] == ["Model", "ForMaskedLM"]
    best = npbert.fill_mask(SENTENCE)
    [answer] = found["answer"]
    assert [each[0] for each in answer["best"]] == [each["token_str"] for each in best[:3]]
    np.testing.assert_allclose(answer["best"][0][1], best[0]["score"], rtol=1e-4)


def test_an_edit_is_compared_and_named():
    mistakes = {
        m["name"]: m for m in ask("run", model="convbert-tiny", texts=[SENTENCE])["mistakes"]
    }
    edits = mistakes["filters_reversed"]["edits"]
    found = ask("run", model="convbert-tiny", texts=[SENTENCE], edits=edits)
    change = found["change"]
    assert change["first"] == "convbert.encoder.layer.0.attention.self.near"
    assert not change["rounding"] and change["answer"] != found["answer"]
    by_name = {q["name"]: q for q in found["page"]["quantities"]}
    assert by_name[change["first"]]["change"]["size"] > 0.1
    assert "change" not in by_name["convbert.encoder.layer.0.attention.self.filters"]
    named = ask("name", model="convbert-tiny", texts=[SENTENCE], edits=edits)
    assert [m["about"] for m in named["mistakes"]] == [
        "the filters of the dynamic convolution from right to left"
    ]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (dict(model="nowhere", texts=["a"]), "no directory nowhere"),
        (dict(model="convbert-tiny", texts=[" "]), "the text is empty"),
        (dict(model="convbert-tiny", texts=["a"], head="ForNothing"), "head is 'ForNothing'"),
        (dict(model="convbert-tiny", texts=["a"], edits=[["x.py", 1, ""]]), "the file is 'x.py'"),
        (dict(texts=["a"]), "model"),
    ],
)
def test_what_is_wrong_is_an_answer(request_, message):
    assert message in ask("run", **request_)["error"]["message"]


def test_a_hostile_text_cannot_leave_its_place():
    answer = session.answer("run", json.dumps(dict(model="convbert-tiny", texts=[HOSTILE])))
    assert "<" not in answer and json.loads(answer)["page"]["texts"] == [HOSTILE]
    found = ask("run", model="convbert-tiny", texts=["word " * 2000])
    assert len(found["page"]["tokens"][0]) == 128


ANSWERS = {
    "squeezebert-tiny-restore": (["where are you"], "where at 1"),
    "convbert-tiny-disturbed": (["He go to to school."], "the text"),
    "convbert-tiny-answer": (["Plants make [MASK].", "They make sugar."], "the answer"),
    "mobilebert-tiny-choice": (["It rained.", "The road was wet.", "Iron."], "the choice"),
    "bert-tiny": (["It was cold.", "He made [MASK]."], "[MASK] at 8"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_head_answers_in_words(name):
    texts, what = ANSWERS[name]
    answers = {each["what"]: each["best"] for each in ask("run", model=name, texts=texts)["answer"]}
    best = answers[what]
    assert best[0][0] and best[0][1] == max(share for _, share in best) <= 1


def test_an_edit_that_gives_no_numbers_is_shown():
    [line] = [n for n, row in enumerate(ask("sources")["ops.py"].split("\n"), 1)
              if "return x @ p.weight.T + p.bias" in row]  # fmt: skip
    edits = [["ops.py", line, "    return x @ p.weight.T + p.bias + np.nan"]]
    change = ask("run", model="convbert-tiny", texts=[SENTENCE], edits=edits)["change"]
    assert change["first"] and change["count"] > 100
