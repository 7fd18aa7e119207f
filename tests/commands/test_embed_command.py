"""`npbert embed` follows a sentence-embedding folder, and gives what `npbert.encode` gives."""

import json

import numpy as np
import pytest
from commanding import run_command
from sentence_folders import make_folder

import npbert

TEXTS = ["the cat sat on the mat.", "a dog"]
LONG = "the cat sat on the mat " * 9  # more than the model's 40 positions


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    return make_folder(
        tmp_path, pooling=("cls", "max"), normalize=True, body="0_Transformer",
        of_sentences={"prompts": {"query": "the river: "}},
    )  # fmt: skip


def embed(capsys, folder, *arguments):
    return run_command(capsys, "embed", "--model", folder, *arguments)


def test_the_folder_is_followed(folder, capsys):
    status, out, _ = embed(capsys, folder, *TEXTS, "--json")
    assert status == 0
    np.testing.assert_allclose(json.loads(out), npbert.encode(TEXTS, folder), atol=1e-6)
    found = json.loads(embed(capsys, folder, TEXTS[0], "--json", "--prompt-name", "query")[1])
    np.testing.assert_allclose(found, npbert.encode(TEXTS[0], folder, "query"), atol=1e-6)
    found = json.loads(embed(capsys, folder, TEXTS[0], "--json", "--no-normalize")[1])
    assert np.linalg.norm(found) > 1.5
    assert "1.000" in embed(capsys, folder, *TEXTS)[1]


def test_a_pooling_that_is_named_goes_before_it(folder, capsys):
    found = json.loads(embed(capsys, folder, *TEXTS, "--json", "--pooling", "mean")[1])
    expected = npbert.feature_extraction(TEXTS, folder, pooling="mean")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for option in (["--prompt-name", "query"], ["--normalize"], ["--no-normalize"]):
        status, _, err = embed(capsys, folder, "a", "--pooling", "mean", *option)
        assert status == 2 and "takes the place of --pooling" in err


def test_a_file_of_texts(folder, capsys, tmp_path):
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in [*TEXTS, LONG]))
    output = tmp_path / "vectors.jsonl"
    command = ("--input", str(tmp_path / "texts.txt"), "--output", str(output))
    status, _, err = embed(capsys, folder, *command, "--prompt-name", "query")
    assert status == 0, err
    found = [json.loads(line)["result"] for line in output.read_text().splitlines()]
    np.testing.assert_allclose(found, npbert.encode([*TEXTS, LONG], folder, "query"), atol=1e-6)


def test_what_is_too_long_is_cut_where_the_folder_says_so_or_the_user(folder, capsys):
    assert embed(capsys, folder, LONG)[0] == 0
    status, _, err = embed(capsys, folder / "0_Transformer", LONG)
    assert status == 2 and "40 positions" in err and err.count("\n") == 1
    assert embed(capsys, folder / "0_Transformer", LONG, "--truncation")[0] == 0


def test_an_unknown_prompt_is_refused(folder, capsys):
    status, _, err = embed(capsys, folder, "a", "--prompt-name", "serch")
    assert status == 2
    assert err == "npbert: error: prompt_name is 'serch', expected one of query, document\n"
