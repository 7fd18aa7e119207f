"""Commands take names on the Hub: the whole way, from a Hub that runs here to what is printed."""

import json

import pytest
from commanding import run_command
from sentence_folders import make_folder
from task_checkpoints import make_checkpoint

import npbert

TEXT = "the cat [MASK] on the mat."


@pytest.fixture
def published(hub, tmp_path, monkeypatch):
    """Two checkpoints under the names that the papers' authors gave them, but small."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    for name, family, head in (
        ("YituTech/conv-bert-base", "ConvBert", "Model"),
        ("google/mobilebert-uncased", "MobileBert", "ForMaskedLM"),
    ):
        hub.add(name, make_checkpoint(tmp_path / family, family, head))
    return tmp_path


def run(capsys, *arguments):
    return run_command(capsys, *arguments)


def test_a_checkpoint_without_a_trained_head_says_so(published, capsys):
    status, out, err = run(capsys, "fill-mask", "--model", "YituTech/conv-bert-base", TEXT)
    assert (status, out) == (2, "") and err.count("\n") == 1
    start = "npbert: error: YituTech/conv-bert-base has no trained masked-LM head; missing: "
    assert err.startswith(start)
    assert {*err.removeprefix(start).strip().split(", ")} == {
        "generator_predictions.LayerNorm.weight",
        "generator_predictions.LayerNorm.bias",
        "generator_predictions.dense.weight",
        "generator_predictions.dense.bias",
        "generator_lm_head.bias",
    }


def test_a_checkpoint_with_one_answers(published, capsys):
    command = ("fill-mask", "--model", "google/mobilebert-uncased", TEXT, "--json")
    status, out, err = run(capsys, *command)
    assert (status, err) == (0, "")
    expected = npbert.fill_mask(TEXT, published / "MobileBert")
    found = json.loads(out)
    assert [each["token"] for each in found] == [each["token"] for each in expected]
    assert found[0]["score"] == pytest.approx(expected[0]["score"], rel=1e-6)


def test_the_options(published, hub, capsys, tmp_path):
    name = "google/mobilebert-uncased"
    commit = hub.add(name, make_checkpoint(tmp_path / "v2", "MobileBert", "ForMaskedLM",
                                           num_hidden_layers=1), "v2")  # fmt: skip
    cache = str(tmp_path / "cache")
    for revision in ("v2", commit):
        command = ("inspect", name, "--revision", revision, "--cache-dir", cache, "--json")
        assert json.loads(run(capsys, *command)[1])["config"]["num_hidden_layers"] == 1
    status, _, err = run(capsys, "inspect", name, "--local-files-only")
    assert status == 2 and "local_files_only=True (--local-files-only) forbids to fetch it" in err
    assert run(capsys, "inspect", name, "--local-files-only", "--cache-dir", cache)[0] == 2
    assert run(capsys, "inspect", name, "--revision", "v2", "--local-files-only",
               "--cache-dir", cache)[0] == 0  # fmt: skip
    status, _, err = run(capsys, "fill-mask", TEXT, "--revision", "v2")
    assert status == 2 and "--revision needs --model" in err
    hub.repositories[name].readers = frozenset({"hf_right"})
    assert run(capsys, "inspect", name)[0] == 2
    assert run(capsys, "inspect", name, "--token", "hf_right")[0] == 0


def test_every_command_takes_a_name(published, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    name = "google/mobilebert-uncased"
    assert run(capsys, "tokenize", TEXT, "--model", name)[0] == 0
    assert run(capsys, "embed", TEXT, "--model", name)[0] == 0
    assert run(capsys, "convert", name, "converted")[0] == 0
    assert npbert.fill_mask(TEXT, tmp_path / "converted")
    assert run(capsys, "trace", name, TEXT)[0] == 0
    page = (tmp_path / "mobilebert-uncased-trace.html").read_text("utf-8")
    assert '"google/mobilebert-uncased"' in page
    assert "snapshots" not in page


def test_the_tokenizer_costs_no_weights(published, hub, capsys):
    assert run(capsys, "tokenize", TEXT, "--model", "google/mobilebert-uncased")[0] == 0
    assert sorted(hub.fetched()) == ["tokenizer_config.json", "vocab.txt"]


def test_what_is_cached_is_listed(published, hub, capsys):
    assert "no checkpoint of the four families" in run(capsys, "models", "--cached")[1]
    shown = run(capsys, "inspect", "google/mobilebert-uncased")[1]  # which needs no vocabulary
    assert shown.startswith("google/mobilebert-uncased (") and ": model.safetensors, " in shown
    run(capsys, "embed", TEXT, "--model", "YituTech/conv-bert-base")
    (head, *rows) = run(capsys, "models", "--cached")[1].splitlines()
    assert head.split() == ["name", "family", "head", "parameters", "MB", "commands"]
    assert rows[0].split()[:3] == ["YituTech/conv-bert-base@main", "ConvBert", "Model"]
    assert rows[0].endswith("embed")
    assert rows[1].startswith("google/mobilebert-uncased@main  MobileBert")
    assert rows[1].endswith("it has no vocab.txt and no tokenizer.json")
    found = json.loads(run(capsys, "models", "--cached", "--json")[1])
    assert [model["lacks"] == "" for model in found] == [True, False]
    assert run(capsys, "models", "--cache-dir", "x")[0] == 2
    hub.status = 500  # nothing of this asks the Hub
    assert len(run(capsys, "models", "--cached")[1].splitlines()) == 3


@pytest.mark.parametrize("is_local", [False, True])
def test_the_checkpoint_of_an_old_sentence_folder(hub, capsys, tmp_path, monkeypatch, is_local):
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    folder = make_folder(tmp_path / "made", body="0_Transformer", dense=(5, "activation.Tanh", {}))
    hub.add("org/old", folder)
    name = str(folder) if is_local else "org/old"
    report = json.loads(run(capsys, "inspect", name, "--json")[1])
    assert report["class"] == "BertModel" and report["parameters"] == 13448
    files = ["0_Transformer/config.json", "0_Transformer/model.safetensors"]
    assert hub.fetched() == ([] if is_local else ["modules.json", *files])
    assert "cat    7" in run(capsys, "tokenize", "a cat", "--model", name)[1]
    body = folder / "0_Transformer"
    expected = npbert.feature_extraction("a cat", body, pooling="mean")
    assert npbert.feature_extraction("a cat", name, pooling="mean") == pytest.approx(expected)
    assert npbert.AutoTokenizer.from_pretrained(name)("a cat").input_ids[0] == 2
    state = npbert.BertModel.from_pretrained(name).state_dict()
    assert state.keys() == npbert.BertModel.from_pretrained(body).state_dict().keys()
    if not is_local:
        listed = run(capsys, "models", "--cached")[1].splitlines()
        assert listed[1].split()[:3] == ["org/old@main", "Bert", "Model"]
        assert listed[1].endswith("embed")
