"""weights/check_originals.py, on a Hub that runs here, with small checkpoints under the names."""

import json

import numpy as np
import pytest
from task_checkpoints import labelled, make_checkpoint
from weight_scripts import WEIGHTS, load_script

import npbert

TEXT = "the cat [MASK] on the mat."
IDS = [2, 5, 6, 7, 3]
MADE = {
    "YituTech/conv-bert-base": ("ConvBert", "Model", {}),
    "google/mobilebert-uncased": ("MobileBert", "ForPreTraining", {}),
    "squeezebert/squeezebert-mnli": ("SqueezeBert", "ForSequenceClassification",
                                     labelled("x", "y", "z")),
    "bert-base-uncased": ("Bert", "ForMaskedLM", {}),
}  # fmt: skip


@pytest.fixture
def script():
    return load_script("check_originals")


@pytest.fixture
def published(hub, tmp_path):
    """Publish small checkpoints; return the folders, and the file of their values."""
    folders = {}
    for name, (family, head, options) in MADE.items():
        folders[name] = make_checkpoint(tmp_path / family, family, head, **options)
        hub.add(name, folders[name])
    values = json.loads((WEIGHTS / "published_values.json").read_text("utf-8"))["checkpoints"]
    values = {name: values[name] for name in MADE}
    for name, checks in values.items():
        for check in checks:
            if "class" in check:
                model = getattr(npbert, check["class"]).from_pretrained(folders[name])
                found = model([IDS])[check["output"]]
                for place in check["at"]:
                    found = found[place]
                check |= {"input_ids": IDS, "expected": found[:3].tolist()}
            else:
                check["fill_mask"] = TEXT
            if isinstance(check.get("expected", [0.0])[0], str):
                found = npbert.fill_mask(TEXT, folders[name])
                check["expected"] = [candidate["token_str"] for candidate in found]
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"checkpoints": values}))
    return file


def test_what_is_right_is_reported(script, published, tmp_path, capsys):
    report = tmp_path / "report.json"
    arguments = ["--values", str(published), "--report", str(report), "--published-only"]
    assert script.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "WRONG" not in printed and printed.count("published: ") == 5
    found = json.loads(report.read_text())
    assert found["npbert"] == npbert.__version__ and found["numpy"] == np.__version__
    assert [each["checkpoint"] for each in found["checkpoints"]] == [*MADE]
    of_convbert = found["checkpoints"][0]
    assert of_convbert["class"] == "ConvBertModel" and of_convbert["error"] is None
    value, head = of_convbert["comparisons"][:2]
    assert value["difference"] <= value["tolerance"] == 1e-4 and value["right"]
    assert "generator_predictions.dense.weight" in head["found"] and head["right"]
    assert {*value} == {"with", "what", "expected", "found", "difference", "tolerance", "right"}


def test_what_is_wrong_is_reported(script, published, capsys):
    values = json.loads(published.read_text())
    values["checkpoints"]["YituTech/conv-bert-base"][0]["expected"][1] += 3e-4
    values["checkpoints"]["google/mobilebert-uncased"][1]["expected"][::2] = ["a", "b", "c"]
    published.write_text(json.dumps(values))
    arguments = ["--values", str(published), "--published-only"]
    assert script.main([*arguments, "YituTech/conv-bert-base"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "WRONG  AutoModel: last_hidden_state[0][0][:3]: 3.0e-04 of 1.0e-04" in lines[1]
    assert script.main([*arguments, "google/mobilebert-uncased"]) == 1
    assert "WRONG  fill_mask('the cat [MASK] on the mat.')" in capsys.readouterr().out


def test_a_value_that_cannot_be_computed_is_wrong(script, published, tmp_path, capsys):
    values = json.loads(published.read_text())
    first = values["checkpoints"]["YituTech/conv-bert-base"][0]
    first["input_ids"] = [7110]  # of the real vocabulary
    published.write_text(json.dumps(values))
    report = tmp_path / "report.json"
    arguments = ["--values", str(published), "--published-only", "--report", str(report)]
    assert script.main(arguments) == 1
    wrong = "WRONG  AutoModel: last_hidden_state[0][0][:3]: published: "
    printed = capsys.readouterr().out
    assert wrong in printed and "found input_ids[0, 0] is 7110, expected 0 to 117" in printed
    checkpoints = json.loads(report.read_text())["checkpoints"]
    assert [each["checkpoint"] for each in checkpoints] == [*MADE]  # all others are checked


def test_what_cannot_be_had_is_reported(script, published, hub, capsys):
    del hub.repositories["bert-base-uncased"]
    assert script.main(["--values", str(published), "bert-base-uncased"]) == 2
    assert "bert-base-uncased: not had: no directory bert-base-uncased" in capsys.readouterr().out
    with pytest.raises(SystemExit) as leaving:
        script.main(["bert-base-cased"])
    assert leaving.value.code == 2 and "there is no bert-base-cased" in capsys.readouterr().err


@pytest.mark.reference
def test_every_output_is_held_to_transformers(script, published, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="needs torch (extra `reference`)")
    pytest.importorskip("transformers", reason="needs transformers (extra `reference`)")
    report = tmp_path / "report.json"
    arguments = ["--values", str(published), "--report", str(report)]
    assert script.main(arguments) == 0
    found = json.loads(report.read_text())["checkpoints"]
    for each in found:
        held = [c for c in each["comparisons"] if c["with"].startswith("transformers ")]
        assert len(held) >= 3 and all(c["right"] for c in held)
    monkeypatch.setattr(script, "TOLERANCE", 0.0)
    assert script.main(arguments) == 1
