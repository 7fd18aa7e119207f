"""Ports in float16 and bfloat16: right at their precision, and mistakes are still found."""

import functools
import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden.checking import check_kit
from npbert.golden.kit import Kit
from npbert.golden.mistakes.catalogue import MISTAKES, planted
from npbert.golden.passes import run_npbert, with_rounded_parameters
from npbert.golden.precision import precision_of
from npbert.golden.testing import assert_matches

KITS = Path(__file__).parents[2] / "weights" / "golden"
HALVES = ("float16", "bfloat16")
each_half = pytest.mark.parametrize("dtype", HALVES)


@functools.cache
def kit_of(name):
    return Kit.read(KITS / name)


def port_in(name, dtype, mistake=None, seed=None, cases=None):
    """Return what npbert computes in a narrower dtype, in arrays of float32."""
    kit = kit_of(name)
    model = with_rounded_parameters(kit.model(np.float32), dtype)
    given = {}
    for case in cases or kit.cases:
        with planted(mistake, model) if mistake else nullcontext(model) as mistaken:
            values = run_npbert(mistaken, kit.inputs(case), dtype, seed).values()
        hidden = mistake.hidden if mistake else ()
        given |= {
            f"{case}/{n}": v
            for n, v in values.items()
            if n in kit.by_name and not (hidden and n.endswith(hidden))
        }
    return given


def no_longer_narrow(given):
    """Return the same as numbers of float32 that are none of a narrower dtype."""
    return {
        name: array
        if name.partition("/")[2].startswith("inputs.")
        else np.where(array < -1e30, array, array * np.float32(1 + 3e-7))
        for name, array in given.items()
    }


@each_half
@pytest.mark.parametrize("name", ["bert-model", "mobilebert-model"])
def test_a_right_port_is_right_at_its_precision(name, dtype):
    given = port_in(name, dtype, seed=7)
    report = check_kit(kit_of(name), given)  # found by its numbers
    assert report.passed and report.precision == dtype, report.render()
    text = report.render()
    assert f"Right at the precision of {dtype}: " in text and "Nearest to its tolerance: " in text
    assert report.as_dict()["precision"] == dtype
    wide = no_longer_narrow(given)
    assert not check_kit(kit_of(name), wide).passed
    report = check_kit(kit_of(name), wide, precision=dtype)
    assert report.passed and report.precision == dtype


def test_large_values_of_a_trained_model():
    kit = kit_of("mobilebert-tiny")
    given = port_in(kit.name, "bfloat16", seed=7)
    (case,) = kit.cases
    name = kit.tensor("prediction_logits" if "prediction_logits" in kit.by_name else "logits").name
    assert np.abs(given[f"{case}/{name}"]).max() > 5
    report = check_kit(kit, given)
    assert report.passed and report.precision == "bfloat16"


@each_half
@pytest.mark.parametrize(
    "mistake", ["no_scale", "no_mask", "no_position_embeddings", "heads_not_swapped_back"]
)
def test_a_mistake_is_still_found(mistake, dtype):
    (planted_one,) = (m for m in MISTAKES if m.name == mistake)
    given = port_in("bert-model", dtype, planted_one, cases=["padded_end"])
    report = check_kit(kit_of("bert-model"), given)
    assert not report.passed and report.precision == dtype
    assert mistake in [finding.mistake.name for finding in report.findings], report.render()
    assert f"Judged at the precision of {dtype}." in report.render()


def test_what_rounding_hides_is_not_claimed():
    """The wrong GELU is below what bfloat16 does by itself; float32 shows it."""
    (tanh_gelu,) = (m for m in MISTAKES if m.name == "tanh_gelu")
    given = port_in("bert-model", "bfloat16", tanh_gelu, cases=["padded_end"])
    assert check_kit(kit_of("bert-model"), given).passed


def test_float32_is_float32():
    kit = kit_of("bert-model")
    given = {f"short/{n}": a.astype(np.float32) for n, a in kit.expected("short").items()}
    report = check_kit(kit, given)
    assert report.passed and report.precision == "" and "at the precision" not in report.render()


def test_the_precision_of_numbers():
    wide = np.random.default_rng(0).normal(size=50).astype(np.float32)
    assert precision_of({"a": wide}, {"a": "float32"}) == ""
    half = wide.astype(np.float16).astype(np.float32)
    assert precision_of({"a": half}, {"a": "float32"}) == "float16"
    brain = (wide.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    assert precision_of({"a": brain}, {"a": "float32"}) == "bfloat16"
    assert precision_of({"a": half, "b": wide}, dict.fromkeys("ab", "float32")) == ""
    assert (
        precision_of({"a": np.arange(50.0)}, {"a": "float32"}) == ""
    )  # whole numbers tell nothing
    assert precision_of({"a": half[:5]}, {"a": "float32"}) == ""


def test_what_overflows_is_said(monkeypatch):
    kit = Kit.read(KITS / "bert-model")
    name = kit.tensor("last_hidden_state").name
    monkeypatch.setitem(kit.tensor(name).cases["short"].tolerance, "float16", None)
    report = check_kit(kit, port_in("bert-model", "float16", cases=["short"]))
    assert f"do not fit into float16 (up to 65504): {name}" in report.render()


def test_the_command(tmp_path, capsys):
    path = tmp_path / "mine.safetensors"
    given = no_longer_narrow(port_in("bert-model", "float16", cases=["short"]))
    safetensors.write(path, given)
    command = ["golden", "check", str(KITS / "bert-model"), str(path)]
    assert main(command) == 1
    capsys.readouterr()
    assert main([*command, "--precision", "float16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == "float16"
    with pytest.raises(SystemExit):
        main([*command, "--precision", "int8"])
    with pytest.raises(ValueError, match="precision is 'int8', expected one of float16, bfloat16"):
        check_kit(kit_of("bert-model"), {}, precision="int8")


def test_from_python_too():
    kit = kit_of("bert-model")
    given = no_longer_narrow(port_in("bert-model", "float16", cases=["short"]))
    assert kit.check(given, precision="float16").passed and not kit.check(given).passed
    assert assert_matches(kit, given, precision="float16").precision == "float16"
