"""A port of ConvBERT in JavaScript, checked against its golden kit, as it is and with a mistake."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from npbert.checkpoints import safetensors
from npbert.golden import Kit, check_kit

ROOT = Path(__file__).parents[2]
KIT = ROOT / "weights" / "golden" / "convbert-masked-lm"
SOURCE = (ROOT / "tutorials" / "convbert.mjs").read_text("utf-8")
EXACT = "0.5 * value * (1 + erf(value / Math.SQRT2))"
TANH = "0.5 * value * (1 + Math.tanh(0.7978845608028654 * (value + 0.044715 * value ** 3)))"
FORWARD = "filters.data[((b * T + t) * H + h) * K + k]"
BACKWARD = "filters.data[((b * T + t) * H + h) * K + K - 1 - k]"

pytestmark = pytest.mark.skipif(
    not shutil.which("node") and not os.environ.get("NPBERT_REQUIRE_NODE"),
    reason="runs a port with Node.js, which was not found",
)


@pytest.fixture(scope="module")
def kit():
    return Kit.read(KIT)


def run_port(source, folder):
    script, mine = folder / "port.mjs", folder / "mine.safetensors"
    script.write_text(source, "utf-8")
    subprocess.run(["node", script, KIT, mine], check=True, timeout=60)
    return safetensors.read(mine)


def test_the_port_is_right_in_every_case(kit, tmp_path):
    mine = run_port(SOURCE, tmp_path)
    assert {name.split("/")[0] for name in mine} == set(kit.cases)
    report = check_kit(kit, mine)
    assert report.passed, report.render()


@pytest.mark.parametrize(
    ("right", "wrong", "step", "names"),
    [
        (EXACT, TANH, "convbert.encoder.layer.0.wide", ["tanh_gelu", "tanh_gelu_in_head"]),
        (FORWARD, BACKWARD, "convbert.encoder.layer.0.attention.self.near", ["filters_reversed"]),
    ],
)
def test_a_planted_mistake_is_located_and_named(kit, tmp_path, right, wrong, step, names):
    assert SOURCE.count(right) == 1
    report = check_kit(kit, run_port(SOURCE.replace(right, wrong), tmp_path))
    assert not report.passed
    assert report.blames[0].row.name == step
    assert [finding.mistake.name for finding in report.findings] == names


def test_a_mistake_that_has_no_name_is_located(kit, tmp_path):
    right = "norm(add(x, narrow)"
    assert SOURCE.count(right) == 1
    wrong = "norm(path.endsWith('.1') ? narrow : add(x, narrow)"
    report = check_kit(kit, run_port(SOURCE.replace(right, wrong), tmp_path))
    assert report.blames[0].row.name == "convbert.encoder.layer.1.output.LayerNorm"
    assert not report.findings


def test_usage_without_arguments(tmp_path):
    done = subprocess.run(
        ["node", ROOT / "tutorials" / "convbert.mjs"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and done.stderr.startswith("usage:")
