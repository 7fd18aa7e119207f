"""Edits of the reading files: what runs, what an error says, and that nothing stays."""

import sys

import numpy as np
import pytest
from kits_in_memory import make_model

import npbert
from npbert.compiled import backend
from npbert.live.editing import FILES, Edit, EditError, changed_lines, edited, edited_texts
from npbert.tracing.source import PACKAGE

IDS = [[1, 2, 3, 4]]

OTHER_GELU = """\
from npbert.activations import ACTIVATIONS
gelu = lambda x: x"""
OTHER_NORM = """\
from npbert.ops import attend, linear, softmax, split_heads


def layer_norm(x, p, eps):
    return x"""


def line_of(file, text):
    rows = (PACKAGE / file).read_text("utf-8").split("\n")
    [number] = [n for n, row in enumerate(rows, 1) if text in row]
    return number


@pytest.fixture
def model():
    return make_model("ConvBert", "ForMaskedLM", num_hidden_layers=1)


def logits(model, *edits):
    with edited([Edit(*edit) for edit in edits], model) as changed:
        return changed(IDS).logits


def plain(model):
    with backend.using("numpy"):
        return model(IDS).logits


def test_the_source_as_it_is_gives_the_same(model):
    np.testing.assert_array_equal(logits(model), plain(model))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("ops.py", "return x @ p.weight.T + p.bias", "    return x @ p.weight.T"),
        ("kernels.py", "taps = weight[:, 0].T", "    taps = weight[:, 0, ::-1].T"),
        ("convbert.py", "summed = words + positions + types", "    summed = words + positions"),
        ("convbert.py", "from npbert.activations import", OTHER_GELU),
        ("convbert.py", "from npbert.ops import attend", OTHER_NORM),
    ],
    ids=["shared", "convolution", "family", "import", "more lines"],
)  # fmt: skip
def test_an_edit_runs_and_leaves_nothing_behind(model, file, old, new):
    before = plain(model)
    modules = {name: sys.modules[f"npbert.{name[:-3]}"] for name in FILES}
    operations = [*backend.OPERATIONS]
    changed = logits(model, (file, line_of(file, old), new))
    assert np.abs(changed - before).max() > 1e-3
    np.testing.assert_array_equal(plain(model), before)
    assert backend.OPERATIONS == operations
    for name, module in modules.items():
        assert sys.modules[f"npbert.{name[:-3]}"] is module
        assert getattr(npbert, name[:-3]) is module


def test_a_trace_shows_the_lines_that_ran(model):
    line = line_of("ops.py", "return x @ p.weight.T + p.bias")
    text = "    mapped = x @ p.weight.T\n    more = mapped + p.bias\n    return more"
    with edited([Edit("ops.py", line, text)], model) as changed:
        recorded = npbert.trace(changed, IDS)
    quantity = recorded["convbert.encoder.layer.0.attention.self.query.mapped"]
    assert (quantity.file, quantity.line) == ("ops.py", line)
    norm = npbert.trace(model, IDS)["convbert.embeddings.LayerNorm.centred"].line
    assert recorded["convbert.embeddings.LayerNorm.centred"].line == norm + 2


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("ops.py", "return x @ p.weight.T", "    return x @", "SyntaxError: invalid syntax"),
        ("ops.py", "return x @ p.weight.T", "    return y", "NameError: name 'y' is not defined"),
        ("ops.py", "return x @ p.weight.T", "  return x", "IndentationError: unindent"),
        ("convbert.py", "summed = words", "    summed = words[:, :2] + positions", "ValueError"),
        ("kernels.py", "taps = weight[:, 0].T", "    taps = 1 / 0", "ZeroDivisionError"),
        ("convbert.py", "from npbert.ops import", "from npbert.ops import nothing", "ImportError"),
    ],
)  # fmt: skip
def test_an_error_is_said_at_its_line(model, file, old, new, message):
    line = line_of(file, old)
    with pytest.raises(EditError, match=message) as error:
        logits(model, (file, line, new))
    assert (error.value.file, error.value.line) == (file, line)
    logits(model)


def test_a_class_that_is_gone_is_an_error(model):
    line = line_of("convbert.py", "class ConvBertForMaskedLM")
    with pytest.raises(EditError, match="ConvBertForMaskedLM is gone"):
        logits(model, ("convbert.py", line, "class Another(ConvBertPreTrainedModel, MaskedLM):"))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("../setup.py", 1, ""), "expected one of activations.py, ops.py"),
        (("model/heads.py", 1, ""), "expected one of"),
        (("ops.py", 0, ""), r"has \d+ lines, none is 0"),
        (("ops.py", 10**6, ""), "none is 1000000"),
    ],
)
def test_only_lines_of_the_reading_files_can_be_changed(edit, message):
    with pytest.raises(EditError, match=message):
        edited_texts([Edit(*edit)])


def test_the_numbers_of_changed_lines_are_those_of_the_edited_file():
    edits = [Edit("ops.py", 10, "a\nb"), Edit("ops.py", 12, None), Edit("ops.py", 20, "c")]
    text = edited_texts(edits)["ops.py"].split("\n")
    lines = changed_lines(edits)
    assert lines == {"ops.py": [10, 11, 20]}
    assert [text[n - 1] for n in lines["ops.py"]] == ["a", "b", "c"]
