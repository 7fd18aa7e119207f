"""The pages on one's own checkpoint and on serving: their blocks run, on a Hub that runs here."""

import asyncio
import contextlib
import io
import json
import re
import shlex

import pytest
from documents import ROOT, text_of
from sentence_folders import make_folder
from task_checkpoints import make_checkpoint

import npbert
from npbert.__main__ import main

PAGE = text_of(ROOT / "tutorials" / "guide" / "own_checkpoint.md")
SERVING = text_of(ROOT / "tutorials" / "guide" / "serve.md")
COMMANDS = re.findall(r"^\$ npbert (.*)\n((?:(?!\$|```).*\n)*)", PAGE, re.M)
EXAMPLES = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def published(hub, tmp_path, monkeypatch):
    """The names of the page, as small checkpoints; and the directory that it names."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    monkeypatch.chdir(tmp_path)
    for name, family, head in (
        ("google/mobilebert-uncased", "MobileBert", "ForMaskedLM"),
        ("YituTech/conv-bert-base", "ConvBert", "Model"),
    ):
        hub.add(name, make_checkpoint(tmp_path / family, family, head))
    make_checkpoint(tmp_path / "bert-base-uncased", "Bert", "ForMaskedLM")
    hub.add("sentence-transformers/all-MiniLM-L6-v2", make_folder(tmp_path / "f", normalize=True))
    return hub


@pytest.mark.parametrize("line, shown", COMMANDS, ids=[line[-30:] for line, _ in COMMANDS])
def test_a_command_runs(line, shown, published, capsys):
    status = main(shlex.split(line))
    printed = capsys.readouterr()
    if shown:  # an error
        assert (status, printed.err) == (2, shown)
    else:
        assert status == 0 and printed.out and not printed.err


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example, published):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    assert printed.getvalue()


def test_there_is_something_for_each_source():
    named = " ".join(line for line, _ in COMMANDS) + "".join(EXAMPLES)
    for name in ("google/mobilebert-uncased", "./bert-base-uncased", "all-MiniLM-L6-v2"):
        assert name in named
    assert len(COMMANDS) == 6 and len(EXAMPLES) == 2


def test_what_is_served():
    [example] = re.findall(r"```py\n(.*?)```", SERVING, re.DOTALL)
    names = {}
    exec(example, names)
    body = json.dumps(["The cat sleeps.", "Prices rise."]).encode()
    events = [{"type": "http.request", "body": body[:9], "more_body": True},
              {"type": "http.request", "body": body[9:]}]  # fmt: skip
    sent = []

    async def receive():
        return events.pop(0)

    async def send(event):
        sent.append(event)

    asyncio.run(names["embed"]({"type": "http"}, receive, send))
    assert [event["type"] for event in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    expected = npbert.encode(["The cat sleeps.", "Prices rise."])
    assert json.loads(sent[1]["body"]) == expected.tolist()
