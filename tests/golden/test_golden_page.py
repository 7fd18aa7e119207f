"""The report of a check as a page: what it holds, of which case, and what the command writes."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from reports import mistaken, right

from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden import Kit, report_page
from npbert.tracing.recording import trace

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"
KEY = "encoder.layer.0.attention.self.key"


@pytest.fixture(scope="module")
def kit():
    return Kit(SHIPPED / "bert-model")


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def numbers(part, shape):
    """Return what a page holds of an array."""
    packed = np.frombuffer(base64.b64decode(part["data"]), "<f2").astype(float)
    return (packed * part["scale"]).reshape(shape)


def test_a_page_has_the_ports_values_and_the_differences(kit):
    mine = mistaken(kit, "tanh_gelu")
    data = data_of(report_page(kit.check(mine)))
    check = data["check"]
    assert check["case"] == "batch" and not check["passed"]  # the largest case
    assert check["first"] == "encoder.layer.0.wide" and check["summary"][0].startswith(
        "First wrong"
    )
    assert check["others"].keys() | {"batch"} == kit.cases.keys()
    own = {q.name: q.value for q in trace(kit.model(), **kit.inputs("batch"))}
    report = kit.check(mine)
    rows = {row.name: row for row in report.rows["batch"]}
    for quantity in data["quantities"]:
        name, found = quantity["name"], quantity["check"]
        theirs = mine[f"batch/{name}"].astype(float)
        assert found["verdict"] == rows[name].verdict
        is_masked = (theirs < -1e30) | (own[name] < -1e30)
        difference = np.where(is_masked, np.nan, theirs - own[name])
        scale = np.nanmax(np.abs(difference))
        shown = numbers(found["difference"], theirs.shape)
        np.testing.assert_allclose(shown, difference, atol=2e-3 * scale)
        shown = numbers(found["port"], theirs.shape)
        np.testing.assert_allclose(shown, np.where(is_masked, np.nan, theirs), rtol=2e-3, atol=1e-4)
    (wide,) = (q for q in data["quantities"] if q["name"] == check["first"])
    assert wide["check"]["verdict"] == "WRONG" and len(wide["check"]["said"]) == 2


def test_what_was_not_given_and_what_has_another_shape(kit):
    mine = {f"short/{KEY}": np.zeros([2, 3], np.float32)}
    data = data_of(report_page(kit.check(mine)))
    checks = {q["name"]: q.get("check") for q in data["quantities"]}
    assert checks[KEY]["verdict"] == "misshapen" and "port" not in checks[KEY]
    assert checks[KEY]["said"] == ["It has shape [2, 3], expected [1, 4, 8]."]
    assert sum(check is not None for check in checks.values()) == 1
    assert data["check"]["given"] == [1, len(checks)] and data["check"]["case"] == "short"


def test_a_case_of_ones_own_choice(kit):
    report = kit.check(right(kit))
    assert data_of(report_page(report, "pair"))["check"]["case"] == "pair"
    data = data_of(report_page(report))
    assert data["check"]["passed"] and data["check"]["first"] is None
    with pytest.raises(ValueError, match="no case 'long'"):
        report_page(report, "long")
    with pytest.raises(ValueError, match="nothing was given for the case pair, but for short"):
        report_page(kit.check({f"short/{KEY}": np.zeros([1, 4, 8])}), "pair")


def test_values_that_are_no_numbers_and_names_that_are_markup(kit):
    values = np.full([1, 4, 8], np.nan, np.float32)
    values[0, 0, :4] = 1e38
    mine = {f"short/{KEY}": values, "short/</script><b>": values, f"pair/{KEY}": values * np.inf}
    page = report_page(kit.check(mine))
    assert page.count("</script>") == 2
    (key,) = (q for q in data_of(page)["quantities"] if q["name"] == KEY)
    assert key["check"]["port"]["masked"] == 28 and "NaN" in key["check"]["said"][0]


def test_a_trained_kit_has_words_along_its_edges():
    kit = Kit(SHIPPED / "convbert-tiny-disturbed")
    data = data_of(report_page(kit.check(right(kit))))
    assert data["tokens"] == [["[CLS]", "yes", ".", "[SEP]", "[PAD]"]] and data["texts"] == ["Yes."]


@pytest.mark.parametrize("head", ["multiple-choice", "question-answering", "pre-training"])
def test_a_kit_without_a_vocabulary_has_ids_along_its_edges(head):
    kit = Kit(SHIPPED / f"mobilebert-{head}")
    data = data_of(report_page(kit.check(right(kit))))
    assert all(token.isdigit() for row in data["tokens"] for token in row)
    assert len(data["tokens"]) == (2 if head == "multiple-choice" else 1)


# ---- the command -------------------------------------------------------------------------------


@pytest.fixture
def run(capsys, monkeypatch, tmp_path, kit):
    monkeypatch.chdir(tmp_path)
    safetensors.write("mine.safetensors", mistaken(kit, "tanh_gelu"))

    def run(*arguments):
        status = main(["golden", "check", str(kit.directory), "mine.safetensors", *arguments])
        return status, *capsys.readouterr()

    return run


def test_the_command_writes_a_page(run, kit, tmp_path):
    status, out, err = run("--html", "report.html")
    assert status == 1 and not err and "First wrong: encoder.layer.0.wide" in out
    written = (tmp_path / "report.html").read_text("utf-8")
    assert written == report_page(kit.check("mine.safetensors"))
    assert run("--html", "report.html", "--case", "pair", "--json")[0] == 1
    assert data_of((tmp_path / "report.html").read_text("utf-8"))["check"]["case"] == "pair"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is a directory"),
        ("no/report.html", "there is no directory no"),
    ],
)
def test_a_file_that_cannot_be_written(run, tmp_path, name, message):
    status, out, err = run("--html", name)
    assert status == 2 and not out and message in err and err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.safetensors"]
