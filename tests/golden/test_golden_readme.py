"""weights/golden/README.md: its code runs as it stands, and what it says of the kits is true."""

import argparse
import array
import json
import re
from pathlib import Path

import numpy as np
import pytest

from npbert.checkpoints import safetensors
from npbert.commands.golden import add_check
from npbert.golden import Kit
from npbert.golden import parameters as kinds

ROOT = Path(__file__).parents[2]
README = (ROOT / "weights" / "golden" / "README.md").read_text("utf-8")
KITS = sorted(path.parent for path in ROOT.glob("weights/golden/*/manifest.json"))
SMALL = [kit for kit in KITS if not (ROOT / "weights" / kit.name).is_dir()]


def test_the_code_runs_as_it_stands(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    names = {}
    for block in blocks:
        exec(block, names)
    shown = capsys.readouterr().out
    assert "ConvBertForMaskedLM 8" in shown and "y = x Wᵀ" in shown
    expected = names["expected"]
    assert "padded_end/prediction_scores" in expected or len(expected) > 50
    for path in (KITS[0] / "expected.safetensors", ROOT / "weights/bert-tiny/model.safetensors"):
        theirs, ours = safetensors.read(path), names["read_safetensors"](path)
        assert theirs.keys() == ours.keys()
        for name, (_, shape, numbers) in list(ours.items())[:8]:
            np.testing.assert_array_equal(np.reshape(numbers, shape), theirs[name])
    halves = array.array("H", [0x3FC0, 0xC000]).tobytes()
    header = json.dumps({"a": dict(dtype="BF16", shape=[2], data_offsets=[0, 4])}).encode()
    (tmp_path / "half").write_bytes(len(header).to_bytes(8, "little") + header + halves)
    assert names["read_safetensors"](tmp_path / "half")["a"] == ("BF16", [2], [1.5, -2.0])


def test_every_option_of_the_check_is_explained():
    parser = argparse.ArgumentParser()
    add_check(parser.add_subparsers())
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    options = [o for a in subparsers.choices["check"]._actions for o in a.option_strings]
    for option in {*options} - {"-h", "--help"}:
        assert f"| `{option}" in README, option
    assert {*re.findall(r"\| `(--[a-z]+)", README)} <= {*options}


# ---- what the manifest says of parameters ------------------------------------------------------


def apply(parameter, x, W, b):
    """Apply a parameter as a stranger would, from nothing but what the manifest says of it."""
    use = parameter.orientation
    if use == "y = x Wᵀ":
        return x @ W.T + b
    if use == "y = x W":
        return x @ W
    if use == "y = x W[:, :, 0]ᵀ":
        return x @ W[:, :, 0].T + b
    groups = len(W) if parameter.axes[0] == "groups" else x.shape[-1] // W.shape[1]
    parts = np.split(x, groups, axis=-1)
    if "W[g]" in use:
        return np.concatenate([part @ W[g] for g, part in enumerate(parts)], axis=-1) + b
    assert "(W of group g)[:, :, 0]ᵀ" in use
    of_groups = np.split(W[:, :, 0], groups)
    return np.concatenate([p @ w.T for p, w in zip(parts, of_groups)], axis=-1) + b


def entering(kit, module):
    """Return what enters a module: the first input of it that is no step within it."""
    source = module
    if f"{module}.x" in kit.by_name:  # an argument without a name before
        return f"{module}.x"
    while source in kit.by_name and (source == module or source.startswith(f"{module}.")):
        source = kit.tensor(source).inputs[0]
    return source


@pytest.mark.parametrize("directory", SMALL, ids=lambda directory: directory.name)
def test_parameters_are_applied_as_the_manifest_says(directory):
    kit = Kit.read(directory)
    case = next(iter(kit.cases))
    weights, expected = safetensors.read(kit.weights_path()), kit.expected(case)
    by_name = {parameter.name: parameter for parameter in kit.manifest.parameters}
    seen = set()
    for name, parameter in by_name.items():
        if parameter.same_as:
            assert name not in weights and by_name[parameter.same_as].shape
            continue
        stored = weights[name]
        assert stored.shape == parameter.shape and parameter.dtype == "F32"
        module = name.rpartition(".")[0]
        source = entering(kit, module)
        lookup = {"ids": "words", "positions": "positions", "types": "types"}
        if parameter.axes[0] in lookup:
            quantity = f"{module.rpartition('.')[0]}.{lookup[parameter.axes[0]]}"
            assert expected[quantity].shape[-1] == parameter.shape[1]
            rows = expected[quantity].reshape(-1, parameter.shape[1])
            assert all((np.abs(stored - row).sum(axis=1) == 0).any() for row in rows)
        elif {"in", "out"} <= set(parameter.axes) and source in expected:
            y = apply(parameter, expected[source], stored, weights.get(f"{module}.bias", 0))
            np.testing.assert_allclose(y, expected[kit.tensor(module).name], atol=1e-9)
        else:
            continue
        seen.add(parameter.orientation)
    assert len(seen) >= 3


def test_every_kind_of_parameter_is_in_some_kit():
    used = {p.orientation for kit in SMALL for p in Kit.read(kit).manifest.parameters}
    assert {orientation for _, _, orientation in kinds.KINDS} | {""} == used


@pytest.mark.parametrize("directory", KITS, ids=lambda directory: directory.name)
def test_texts_and_tokens(directory):
    kit = Kit.read(directory)
    for case in kit.cases.values():
        if directory in SMALL:
            assert case.texts is None and case.tokens is None
            continue
        assert len(case.texts) == len(case.tokens) == len(case.real)
        for text, tokens, real in zip(case.texts, case.tokens, case.real):
            pieces = [token for token, is_real in zip(tokens, real) if is_real]
            assert (
                pieces[0] == "[CLS]" and pieces[-1] == "[SEP]" and text in ("Yes.", "Rain falls.")
            )
            assert "".join(pieces[1:-1]).replace("##", "") == text.lower().replace(" ", "")
            assert all(token == "[PAD]" for token, is_real in zip(tokens, real) if not is_real)
