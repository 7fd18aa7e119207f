"""What the tests of a corpus share: small checkpoints, and commands that run on files."""

import pytest
from task_checkpoints import labelled, make_checkpoint

from npbert.__main__ import main

HEADS = {
    "fill-mask": ("ForMaskedLM", {}),
    "classify": ("ForSequenceClassification", labelled("same", "other")),
    "tokens": ("ForTokenClassification", labelled("O", "B-X")),
    "answer": ("ForQuestionAnswering", {}),
    "choose": ("ForMultipleChoice", {}),
    "next": ("ForNextSentencePrediction", {}),
    "embed": ("Model", {}),
}


@pytest.fixture(scope="session")
def directories(tmp_path_factory):
    """The directory of a checkpoint for each command."""
    return {
        command: str(make_checkpoint(tmp_path_factory.mktemp(command), "Bert", head, **options))
        for command, (head, options) in HEADS.items()
    }


@pytest.fixture
def run(directories, tmp_path, capfd, monkeypatch):
    """Run a command in a folder of its own; return (status, stderr)."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    monkeypatch.chdir(tmp_path)

    def run(command, *options, model=None):
        try:
            status = main([command, "--model", model or directories[command], *map(str, options)])
        except SystemExit as leaving:
            status = leaving.code
        captured = capfd.readouterr()
        run.printed = captured.out
        return status, captured.err

    return run
