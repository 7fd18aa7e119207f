"""Which backend a command computes with: NumPy for little work, compiled code for much."""

import argparse
import io
import math
import os
import subprocess
import sys

import pytest

import npbert
from npbert.__main__ import main
from npbert.commands import choosing
from npbert.compiled import backend

pytestmark = pytest.mark.thorough

# Of a token: two layers, each four maps, two norms of scale and bias, a wide and a narrow map;
# and the pooler.
RESULTS = 2 * (4 * 16 + 2 * 2 * 16 + 32 + 16) + 16


@pytest.fixture
def directory(tmp_path):
    config = npbert.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=20,
    )
    npbert.BertModel(config).save_pretrained(tmp_path / "model")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(97, 123)), *"012345678"]
    (tmp_path / "model" / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    return str(tmp_path / "model")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.delenv("NPBERT_BACKEND", raising=False)
    before = backend.chosen_backend()
    backend.set_backend(None)
    yield
    backend.set_backend(before)


def arguments(model, command="embed", file=None):
    return argparse.Namespace(command=command, model=model, input=file)


def test_for_every_token_the_layers_compute_as_many_numbers_as_they_have_biases_and_scales(
    directory,
):
    given = [{"text": "a" * 300, "text_pair": "b" * 80}, {"choices": ["c" * 10, "d" * 10]}]
    expected = 400 / choosing.CHARACTERS * RESULTS
    assert choosing.count_results(arguments(directory), given) == expected


def test_of_a_file_its_size_counts_and_a_pipe_has_no_end(directory, tmp_path, monkeypatch):
    (tmp_path / "lines").write_text("a" * 400)
    expected = 100 * RESULTS
    by_name = arguments(directory, file=str(tmp_path / "lines"))
    assert choosing.count_results(by_name, []) == expected
    with open(tmp_path / "lines") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert choosing.count_results(arguments(directory, file="-"), []) == expected
    reading, writing = os.pipe()
    with open(reading) as pipe, open(writing, "w"):
        monkeypatch.setattr(sys, "stdin", pipe)
        assert choosing.count_results(arguments(directory, file="-"), []) == math.inf
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # which is no file
    assert choosing.count_results(arguments(directory, file="-"), []) == 0


@pytest.mark.parametrize("command", ["fill-mask", "classify", "restore", "answer", "choose"])
def test_without_a_name_the_model_of_the_command_counts(command):
    assert 1e4 < choosing.count_results(arguments(None, command), ["a" * 4]) < 3e4


def test_much_work_is_compiled_and_little_is_not(directory, monkeypatch):
    little = arguments(directory)
    monkeypatch.setattr(backend, "_trouble_with_numba", lambda: "")
    assert choosing.choose_backend(little, [{"text": "a cat"}]) == "numpy"
    monkeypatch.setattr(choosing, "ENOUGH", 5 / choosing.CHARACTERS * RESULTS)
    assert choosing.choose_backend(little, [{"text": "a ca"}]) == "numpy"
    assert choosing.choose_backend(little, [{"text": "a cat"}]) == "numba"
    monkeypatch.setattr(backend, "_trouble_with_numba", lambda: "it is not installed")
    assert choosing.choose_backend(little, [{"text": "a cat"}]) == "numpy"


def test_what_is_said_counts(directory, monkeypatch):
    monkeypatch.setattr(backend, "_trouble_with_numba", lambda: "")
    monkeypatch.setenv("NPBERT_BACKEND", "numba")
    assert choosing.choose_backend(arguments(directory), ["a"]) == "numba"
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    assert choosing.choose_backend(arguments(directory), ["a" * 10**9]) == "numpy"
    monkeypatch.delenv("NPBERT_BACKEND")
    backend.set_backend("numba")
    assert choosing.choose_backend(arguments(directory), ["a"]) == "numba"


def test_a_checkpoint_that_cannot_be_read_is_said_when_it_is_loaded(tmp_path, capsys):
    assert choosing.count_results(arguments(str(tmp_path)), ["a" * 10**9]) == 0
    assert main(["embed", "a", "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_command_computes_with_what_was_chosen(directory, monkeypatch, capsys):
    used, encode = [], npbert.BertModel.encode

    def noted(self, *inputs):
        used.append(backend.get_backend())
        return encode(self, *inputs)

    monkeypatch.setattr(npbert.BertModel, "encode", noted)
    monkeypatch.setattr(backend, "_trouble_with_numba", lambda: "")
    assert main(["embed", "a", "--model", directory]) == 0
    assert used == ["numpy"]
    pytest.importorskip("numba", reason="the twins need numba")
    monkeypatch.setattr(choosing, "ENOUGH", 1)
    assert main(["embed", "a", "--model", directory]) == 0
    assert used == ["numpy", "numba"]
    assert backend.chosen_backend() is None  # nothing of it is left


@pytest.mark.parametrize("lines", ["a file", "a pipe"])
def test_few_lines_of_a_file_leave_numba_alone(directory, tmp_path, lines):
    pytest.importorskip("numba", reason="the twins need numba")
    (tmp_path / "lines").write_text("a\n")
    script = (
        "import sys; from npbert.__main__ import main; "
        f"main(['embed', '--input', '-', '--model', {directory!r}]); "
        "sys.exit('numba' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    with open(tmp_path / "lines") as file:
        given = {"stdin": file} if lines == "a file" else {"input": "a\n"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, **given)
    assert done.returncode == (lines == "a pipe"), done.stderr
