"""The command line as a user meets it: output, one-line errors, exit status."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from commanding import run_command

from npbert import fill_mask
from npbert.checkpoints import safetensors
from npbert.corpus.json_results import shortest

TEXT = "the [MASK] sat"


@pytest.fixture
def run(checkpoint, capsys, monkeypatch):
    """Run `npbert fill-mask ...` on the small checkpoint; return (status, stdout, stderr)."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")

    def run(*arguments, model=checkpoint):
        return run_command(capsys, "fill-mask", *arguments, "--model", model)

    return run


def test_candidates_probabilities_and_sentences(run, checkpoint):
    status, out, err = run(TEXT)
    assert (status, err) == (0, "")
    for line, candidate in zip(out.splitlines(), fill_mask(TEXT, checkpoint), strict=True):
        share, piece, *sentence = line.split()
        assert share == f"{candidate['score']:.2%}"
        assert piece == candidate["token_str"]
        assert " ".join(sentence) == candidate["sequence"]


def test_several_masks_have_headings(run):
    status, out, _ = run("[MASK] cat [MASK]", "--top-k", "1")
    assert status == 0
    assert out.splitlines()[0] == "[MASK] 1 of 2" and out.splitlines()[2] == "[MASK] 2 of 2"


def test_json_is_what_the_function_returns(run, checkpoint):
    status, out, _ = run(TEXT, "--json", "--top-k", "3")
    assert (status, json.loads(out)) == (0, shortest(fill_mask(TEXT, checkpoint, top_k=3)))


def test_targets_are_separated_by_commas(run):
    _, out, _ = run(TEXT, "--targets", "cat,dog")
    assert sorted(line.split()[1] for line in out.splitlines()) == ["cat", "dog"]


WRONG = {
    "no mask": (["a cat"], "write [MASK] where"),
    "empty": ([""], "the text is empty"),
    "too long": (["a " * 11 + "[MASK]"], "14 tokens"),
    "top_k": ([TEXT, "--top-k", "17"], "expected 1 to 16"),
    "top_k text": ([TEXT, "--top-k", "many"], "invalid int value: 'many'"),
    "option": ([TEXT, "--colour"], "unrecognized arguments: --colour (see"),
    "option misspelt": ([TEXT, "--topk=3"], "arguments: --topk=3; did you mean --top-k? (see"),
    "empty model": ([TEXT, "--model", ""], "argument --model: the path is empty"),
    "strict without input": ([TEXT, "--strict"], "--strict needs --input"),
    "output without input": ([TEXT, "--output", "a"], "--output needs --input"),
    "resume without output": (["--input", "-", "--resume"], "--resume needs --output"),
    "text": ([], "required: TEXT"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_line_and_status_2(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1 and "Traceback" not in err


def test_an_unknown_model_is_one_line_and_status_2(run):
    status, _, err = run(TEXT, model="nowhere")
    assert status == 2 and err.count("\n") == 1 and "convbert-tiny" in err


def test_a_damaged_checkpoint_is_one_line_and_status_2(run, checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"intermediate_size": 31}))
    status, _, err = run(TEXT)
    assert status == 2 and err.count("\n") == 1
    assert "encoder.layer.1.output.dense.weight: is [16, 32], expected [16, 31]" in err


@pytest.mark.filterwarnings("default")  # as outside of the tests: the command prints it
def test_tensors_without_use_are_one_warning(run, checkpoint):
    file = checkpoint / "model.safetensors"
    safetensors.write(file, safetensors.read(file) | {"discriminator.weight": np.ones(3)})
    status, out, err = run(TEXT)
    assert status == 0 and len(out.splitlines()) == 5
    assert err.startswith("npbert: warning:") and err.count("\n") == 1
    assert "1 tensor: discriminator.weight" in err


@pytest.mark.filterwarnings("default")
def test_a_target_that_is_no_piece_is_a_warning(run):
    status, out, err = run(TEXT, "--targets", "Cat,dog")
    assert (status, out) == run(TEXT, "--targets", "cat,dog")[:2]
    assert err == "npbert: warning: the target 'Cat' is no word piece: 'cat' stands for it\n"


def as_process(*arguments, **options):
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "npbert", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        **options,
    )


def test_the_command_runs_as_a_process_and_leaves_numba_alone(checkpoint):
    script = (
        "import sys; from npbert.__main__ import main; "
        f"status = main(['fill-mask', {TEXT!r}, '--model', {str(checkpoint)!r}]); "
        "sys.exit(status or 'numba' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NPBERT_BACKEND"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_help_shows_an_example():
    done = as_process("fill-mask", "--help")
    assert done.returncode == 0 and 'npbert fill-mask "' in done.stdout


def test_a_closed_pipe_is_no_error(checkpoint):
    command = f"{sys.executable} -m npbert fill-mask '{TEXT}' --model {checkpoint} --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
