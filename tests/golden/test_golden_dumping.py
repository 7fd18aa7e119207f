"""Mistakes of dumping, in right ports: told from mistakes of a port, and from each other."""

from pathlib import Path

import numpy as np
import pytest
from bert_port import LAST, LAYER, PROBS, QUERY, WIDE, forgotten_bias, kit, port

import npbert
from npbert.checkpoints import safetensors
from npbert.golden import Kit, check_kit

pytestmark = pytest.mark.thorough

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"
SELF = f"{LAYER}.attention.self"
NORM = f"{LAYER}.attention.output.LayerNorm"
DENSE = f"{LAYER}.attention.output.dense"


def forget_query_bias(array, given):
    return array - kit().model().params.encoder.layer[0].attention.self.query.bias


# What was done: which tensor it was done to, what is in its place, what the check says of that.
DUMPS = {
    "a buffer that was never filled": (QUERY, lambda a, g: 0 * a, "all zeros"),
    "a buffer with a mark": (WIDE, lambda a, g: 0 * a + 7, "7 everywhere"),
    "a layer late": (NORM, lambda a, g: g(LAST), f"the values of {LAST}, which is computed after"),
    "a layer early": (
        LAST, lambda a, g: g(NORM), f"the values of {NORM}, which is computed before",
    ),
    "before the norm": (NORM, lambda a, g: g(f"{NORM}.x"), f"the values of {NORM}.x, which"),
    "before the softmax": (
        PROBS, lambda a, g: g(f"{SELF}.attend.softmax.exponentials"),
        f"the values of {SELF}.attend.softmax.exponentials, which is computed before",
    ),
    "a buffer that was reused": (
        QUERY, lambda a, g: g(f"{SELF}.value"), f"the values of {SELF}.value, which is computed a",
    ),
    "the residual forgotten": (
        f"{NORM}.x", lambda a, g: a - g("embeddings.LayerNorm"), f"the values of {DENSE}",
    ),
    "the residual in it": (
        f"{LAYER}.output.dense", lambda a, g: a + g(NORM), f"the values of {LAYER}.output.Layer",
    ),
    "types added": (
        "embeddings.words", lambda a, g: a + g("embeddings.types"),
        "the right values plus embeddings.types",
    ),
    "the bias forgotten": (QUERY, forget_query_bias, f"the right values without {QUERY}.bias"),
    "heads permuted": (
        PROBS, lambda a, g: a[:, [1, 0, 3, 2]],
        "the right values with axis 1 (X1) in the order [1, 0, 3, 2]",
    ),
    "texts in reverse": (
        WIDE, lambda a, g: a[::-1],
        "the right values with axis 0 (B) from the end to the beginning",
    ),
    "tokens shifted": (
        WIDE, lambda a, g: np.roll(a, 1, axis=1),
        "the right values with axis 1 (T) shifted by 1",
    ),
    "scaled": (QUERY, lambda a, g: a / 2, "the right values times 0.5"),
    "negated": (QUERY, lambda a, g: -a, "the right values times -1"),
    "moved": (WIDE, lambda a, g: a + 1, "the right values plus 1"),
    "the first text for all": (
        WIDE, lambda a, g: np.stack([a[0], a[0]]), "the right values at 0 of axis 0 (B), repeated",
    ),
    "filled in part": (
        WIDE, lambda a, g: np.where(np.arange(24) < 12, a, 0),
        "the right values up to 12 of 24 on axis 2 (X2), and zeros behind",
    ),
    "two decimal places": (
        QUERY, lambda a, g: np.round(a, 2), "the right values rounded to 2 decimal places",
    ),
    "written with channels first": (
        QUERY, lambda a, g: a.swapaxes(1, 2).reshape(a.shape),
        "the right numbers, written in the order of axes 0 (B), 2 (X2), 1 (T)",
    ),
    "read with channels first": (
        QUERY, lambda a, g: a.reshape(2, 16, 7).swapaxes(1, 2),
        "the right numbers, read as if they were in the order of axes 0 (B), 2 (X2), 1 (T)",
    ),
    "something else": (
        QUERY, lambda a, g: np.sin(a * 100), "for what you made of it is right",
    ),
}  # fmt: skip


def spoilt(name, change, case="padded"):
    """Return a right port with one array changed."""
    given = port()
    key = f"{case}/{name}"
    array = change(given[key], lambda other: given[f"{case}/{other}"])
    assert array.shape == given[key].shape
    given[key] = np.ascontiguousarray(array, np.float32)
    return given


@pytest.mark.parametrize("dump", DUMPS)
def test_a_mistake_of_dumping_is_no_mistake_of_the_port(dump):
    name, change, said = DUMPS[dump]
    report = check_kit(kit(), spoilt(name, change))
    assert not report.passed and not report.blames and not report.findings
    wrong = [row for row in report.given if row.fails]
    assert [(row.name, row.case, row.verdict) for row in wrong] == [(name, "padded", "misdumped")]
    if dump != "something else":
        said = f"for what you made of it is right: it holds {said}"
    assert f"it is not what you computed with, {said}" in report.render()


def test_two_mistakes_of_dumping_in_a_row():
    given = spoilt(f"{LAYER}.intermediate.dense", lambda a, g: -a)
    given |= {f"padded/{WIDE}": 2 * given[f"padded/{WIDE}"]}
    report = check_kit(kit(), given)
    assert not report.blames
    found = [(row.name, row.problem) for row in report.given if row.misdumped]
    assert [name for name, _ in found] == [f"{LAYER}.intermediate.dense", WIDE]
    assert found[0][1].endswith("times -1") and found[1][1].endswith("times 2")


def test_mistakes_of_the_port_and_of_its_dump():
    given = forgotten_bias()
    given[f"padded/{WIDE}"] = given[f"padded/{WIDE}"][:, ::-1].copy()
    report = check_kit(kit(), given)
    assert [blame.row.name for blame in report.blames] == [f"{SELF}.key"]
    assert [row.name for row in report.given if row.misdumped] == [WIDE]


def test_without_what_comes_after_nothing_is_said_of_the_dump():
    name, change, _ = DUMPS["scaled"]
    given = spoilt(name, change)
    report = check_kit(kit(), {f"padded/{name}": given[f"padded/{name}"]})
    assert [blame.row.name for blame in report.blames] == [QUERY]


def test_the_array_of_another_case():
    model = Kit.read(SHIPPED / "bert-model")
    given = dict(safetensors.read(SHIPPED / "bert-model" / "expected_float32.safetensors"))
    name = "encoder.layer.0.attention.self.value"
    given[f"padded_front/{name}"] = given[f"padded_end/{name}"]
    report = check_kit(model, given)
    assert not report.blames
    (row,) = [row for row in report.given if row.fails]
    assert (row.case, row.name) == ("padded_front", name)
    assert row.problem.endswith("it holds the right values in case padded_end")


@pytest.mark.parametrize("name", ["convbert-masked-lm", "squeezebert-model", "mobilebert-model"])
def test_a_layer_late_in_the_kits_that_ship(name):
    shipped = Kit.read(SHIPPED / name)
    case = "padded_end"
    given = {
        key: array
        for key, array in safetensors.read(SHIPPED / name / "expected_float32.safetensors").items()
        if key.startswith(case)
    }
    values = next(
        t.name for t in shipped.tensors if t.name.endswith(("self.value", "attention.value"))
    )
    keys = values.removesuffix("value") + "key"
    given[f"{case}/{keys}"] = given[f"{case}/{values}"]
    report = check_kit(shipped, given)
    assert [(row.name, row.verdict) for row in report.given if row.fails] == [(keys, "misdumped")]
    assert f"it holds the values of {values}, which is computed after it" in report.render()


KITS = sorted(path.parent for path in SHIPPED.glob("*/manifest.json"))


@pytest.mark.parametrize("directory", KITS, ids=lambda directory: directory.name)
def test_no_right_port_is_accused(directory):
    shipped, given = Kit.read(directory), {}
    for case in shipped.cases:
        run = npbert.trace(shipped.model(np.float32), **shipped.inputs(case))
        given |= {f"{case}/{quantity.name}": quantity.value for quantity in run}
    report = check_kit(shipped, given)
    assert report.passed and not any(row.misdumped for row in report.given), report.render()
