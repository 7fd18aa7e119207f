"""Kits with a damaged manifest: the error names file and key, and no port is blamed for it."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest

from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden import Kit, check_kit

pytestmark = pytest.mark.thorough

SHIPPED = Path(__file__).parents[2] / "weights" / "golden" / "bert-token-classification"
LONG = "long " * 400
WEIRD = [None, -1, 0, 1e308, math.nan, "x", "", [], {}, True, LONG, [None], {"a": 1}]
FEW = ["inputs.mask_bias", "classifier"]


@pytest.fixture
def copy(tmp_path):
    """A kit that a test may damage."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "kit"))


def manifest_of(directory):
    return json.loads((directory / "manifest.json").read_text("utf-8"))


CONFIG = manifest_of(SHIPPED)["config"]


def write_manifest(directory, values):
    (directory / "manifest.json").write_text(json.dumps(values), "utf-8")


def places(value, path=()):
    """Yield the way to every value below a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, below in steps:
        yield (*path, step)
        if isinstance(below, (dict, list)):
            yield from places(below, (*path, step))


def small_manifest(directory):
    """Return a manifest cut to a few tensors and a mistake: every kind of value is still there."""
    values = manifest_of(directory)
    values["tensors"] = [t for t in values["tensors"] if t["name"] in FEW]
    for tensor in values["tensors"]:
        tensor["cases"]["padded_end"]["tolerance"]["bfloat16"] = None
    values["parameters"] = values["parameters"][:1]
    values["mistakes"] = values["mistakes"][:1]
    first = values["mistakes"][0]["first_divergence"]
    first.update(dict.fromkeys(first, "classifier"))
    return values


def outcome(directory):
    """Read a kit and build its model; return the message of the error, "" where all is well."""
    try:
        kit = Kit.read(directory)
        if kit.manifest.config != CONFIG:
            kit.model()
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return ""


def test_every_value_of_the_manifest_replaced_by_others(copy):
    values = small_manifest(copy)
    assert {t["name"] for t in values["tensors"]} == {*FEW}
    write_manifest(copy, values)
    assert outcome(copy) == ""
    refused = set()
    for path in places(values):
        *way, last = path
        holder = values
        for step in way:
            holder = holder[step]
        right = holder[last]
        for weird in WEIRD:
            holder[last] = weird
            write_manifest(copy, values)
            message = outcome(copy)
            assert not message or "manifest.json" in message or "are missing" in message, message
            if message and path[0] != "config":  # whose errors are those of config.json
                refused.add((path, type(weird)))
                assert len(message) < 1000 and "\n" not in message, (path, weird)
                key = next(step for step in path[::-1] if isinstance(step, str))
                assert key in message or type(weird) is type(right), (path, weird, message)
        holder[last] = right
    for path in (("name",), ("axes", "B"), ("cases", 0, "real"), ("tensors", 0, "line")):
        assert (path, dict) in refused and (path, type(None)) in refused


DAMAGE = {
    "a layer too few": lambda values: values["config"].update(num_hidden_layers=0),
    "another epsilon": lambda values: values["config"].update(layer_norm_eps=0.5),
    "another activation": lambda values: values["config"].update(hidden_act="relu"),
    "other heads": lambda values: values["config"].update(num_attention_heads=4),
    "a tolerance of 0": lambda values: float32_of(values).update(local=0),
    "a tolerance below rounding": lambda values: float32_of(values).update(expected_padded=0),
    "another name": lambda values: last_of(values).update(name="classifiers"),
}


def last_of(values):
    values["mistakes"].clear()  # they may name the tensor
    return values["tensors"][-1]


def float32_of(values):
    return last_of(values)["cases"]["padded_end"]["tolerance"]["float32"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_port_is_not_blamed_for_a_damaged_kit(copy, damage, capsys):
    port = SHIPPED / "expected_float32.safetensors"
    assert check_kit(copy, port).passed
    values = manifest_of(copy)
    DAMAGE[damage](values)
    if damage == "another name":
        for file in ("expected.safetensors", "expected_float32.safetensors"):
            arrays = dict(safetensors.read(copy / file))
            arrays["padded_end/classifiers"] = arrays["padded_end/classifier"]
            safetensors.write(copy / file, arrays)
            digest = hashlib.sha256((copy / file).read_bytes()).hexdigest()
            values["files"][file] = digest
    write_manifest(copy, values)
    with pytest.raises(ValueError, match=r"the kit is damaged .* nothing was judged"):
        check_kit(copy, port)
    assert main(["golden", "check", str(copy), str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(copy) in line


@pytest.mark.parametrize(
    "file", ["weights", "inputs", "expected", "expected_float32"]
)  # fmt: skip
def test_other_arrays_than_the_kit_was_made_with(copy, file):
    path = copy / f"{file}.safetensors"
    arrays = {name: array.copy() for name, array in safetensors.read(path).items()}
    name = next(reversed(arrays))
    arrays[name][..., 0] += arrays[name].dtype.type(1)
    safetensors.write(path, arrays)
    with pytest.raises(ValueError, match=rf"{file}\.safetensors: its SHA-256 is .* manifest\.json"):
        Kit.read(copy)


def test_more_layers_than_a_memory_holds(copy):
    values = manifest_of(copy)
    values["config"]["num_hidden_layers"] = 10**4  # as many as a config may have
    write_manifest(copy, values)
    assert "manifest.json: config.num_hidden_layers is 10000, too many for" in outcome(copy)
