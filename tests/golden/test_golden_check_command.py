"""npbert golden check: cases, exit statuses, JSON, and files that cannot be read."""

import json

import numpy as np
import pytest
from bert_port import LAST, LAYER, QUERY, WIDE, forgotten_bias, kit, port
from kits_in_memory import single_precision

import npbert
from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden.checking import check_kit
from npbert.golden.kit import Kit

# ---- cases -------------------------------------------------------------------------------------


def test_a_case_with_bare_names():
    given = {name.partition("/")[2]: array for name, array in port(case="plain").items()}
    report = check_kit(kit(), given, "plain")
    assert report.passed and list(report.rows) == ["plain"]


def test_arrays_of_other_cases_are_left_out():
    report = check_kit(kit(), port(QUERY), "plain")
    assert report.passed and list(report.rows) == ["plain"]
    assert "Left out: 1 array of other cases" in report.render()


@pytest.mark.parametrize(
    ("given", "case", "message"),
    [
        ({}, None, "no arrays were given"),
        ({"wide": 0.0}, None, "'wide' is the first"),
        ({WIDE: 0.0}, None, "write '<case>/<name>', or choose one .* of plain, padded"),
        ({f"plain/{WIDE}": 0.0}, "padded", "none of the 1 arrays is of case 'padded'"),
        ({f"plain/{WIDE}": 0.0}, "long", "no case 'long', it has plain, padded"),
        ({"encoder.layer.0.wides": 0.0}, "plain", f"is the first, the nearest name is {WIDE} "),
    ],
)
def test_nothing_to_judge(given, case, message):
    with pytest.raises(ValueError, match=message):
        check_kit(kit(), given, case)


# ---- the command -------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs `golden check` on arrays: (status, standard output, error)."""

    def run(arrays, *options):
        path = tmp_path / "mine.safetensors"
        safetensors.write(path, arrays)
        with monkeypatch.context() as patch:
            patch.setattr(Kit, "read", classmethod(lambda cls, directory: kit()))
            status = main(["golden", "check", "the-kit", str(path), *options])
        return status, *capsys.readouterr()

    return run


def test_exit_status_of_a_right_port(run):
    status, out, error = run(port(LAST))
    assert (status, error) == (0, "") and out.startswith("case plain: 1 of ")


def test_exit_status_of_a_wrong_port(run):
    status, out, error = run(forgotten_bias())
    assert (status, error) == (1, "") and "First wrong: " in out
    assert len(run(forgotten_bias(), "--all")[1]) > len(out)


def test_the_case_option(run):
    bare = {name.partition("/")[2]: array for name, array in port(case="padded").items()}
    assert run(bare, "--case", "padded")[0] == 0
    status, out, error = run(bare)
    assert status == 2 and out == "" and error.startswith("npbert: error: ")
    assert len(error.strip().split("\n")) == 1


def test_json(run):
    given = forgotten_bias()
    given[f"padded/{WIDE}"][0, 0, 0] = np.nan
    given[f"padded/{LAYER}.output.dense"][0, 0, 0] = np.nan
    status, out, _ = run(given, "--json")
    report = json.loads(out, parse_constant=pytest.fail)  # no NaN: other readers refuse it
    assert status == 1 and report["passed"] is False
    assert report["first"] == {"case": "plain", "name": f"{LAYER}.attention.self.key"}
    assert report["mistakes"][0]["name"] == f"{LAYER}.attention.self.key"
    assert report["mistakes"][0]["given_before"] == {"embeddings.LayerNorm": True}
    assert len(report["cases"]["padded"]) == len(kit().tensors)
    rows = {row["name"]: row for row in report["cases"]["padded"]}
    assert rows[WIDE]["expected"]["error"] == "inf" and rows[QUERY]["expected"]["right"] is True
    assert rows[f"{LAYER}.output.dense"]["not_judged_because_of"] == WIDE


def test_json_names_a_mistake(run):
    from npbert.golden.mistakes.catalogue import MISTAKES, planted

    no_scale = next(mistake for mistake in MISTAKES if mistake.name == "no_scale")
    with planted(no_scale, single_precision(kit().model())) as mistaken:
        given = npbert.trace(mistaken, **kit().inputs("plain"))
    arrays = {q.name: q.value for q in given}
    _, out, _ = run(arrays, "--case", "plain", "--json")
    (found,) = json.loads(out)["diagnosis"]
    assert found["mistake"] == "no_scale" and found["complete"] is True
    assert found["edits"] == [
        {"file": "npbert/ops.py", "old": "/ math.sqrt(query.shape[-1])", "new": ""}
    ]
    _, out, _ = run(arrays, "--case", "plain")
    assert "Your values match this model with attention scores that are not divided" in out


def test_files_that_cannot_be_read(tmp_path, capsys, run):
    assert main(["golden", "check", str(tmp_path), "mine.safetensors"]) == 2  # not a kit
    assert "npbert: error: " in capsys.readouterr().err
    (tmp_path / "mine.safetensors").write_bytes(b"no tensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kit, "read", classmethod(lambda cls, directory: kit()))
        assert main(["golden", "check", "kit", str(tmp_path / "mine.safetensors")]) == 2
        assert main(["golden", "check", "kit", str(tmp_path / "nothing.safetensors")]) == 2
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 2 and all("mine" in line or "nothing" in line for line in lines)
