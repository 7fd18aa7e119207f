"""The ports of tutorials/, checked against all kits of their families, right and with mistakes."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from ports import CHECKER, CONVBERT, KITS, MOBILEBERT, PORTS, SQUEEZEBERT, run

from npbert.checkpoints import safetensors
from npbert.golden import Kit, check_kit
from npbert.golden.comparing import compare
from npbert.tracing.recording import trace

pytestmark = pytest.mark.thorough

NAMES = [port.file for port in PORTS]
# Where all programs are there all kits and mistakes take part; elsewhere some of each.
EVERY = bool(os.environ.get("NPBERT_REQUIRE_PORTS"))


def kits_of(port):
    return [name for name in port.kits() if EVERY or "-tiny-" not in name]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the command that runs a port; each is built once."""
    commands = {}

    def command(port):
        if port not in commands:
            commands[port] = port.built(tmp_path_factory.mktemp("port"))
        return commands[port]

    return command


@pytest.mark.parametrize(
    ("port", "name"), [(port, name) for port in PORTS for name in kits_of(port)]
)
def test_a_port_is_right_in_every_case_of_every_kit(built, tmp_path, port, name):
    kit = Kit(KITS / name)
    mine = run(built(port), kit.directory, tmp_path)
    assert {name.split("/")[0] for name in mine} == set(kit.cases)
    outputs = [tensor.name for tensor in kit.tensors if tensor.kind == "output"]
    report = check_kit(kit, mine, require=outputs)
    assert report.passed, report.render()
    share = sum(row.given for rows in report.rows.values() for row in rows)
    assert share > 0.3 * sum(len(rows) for rows in report.rows.values())


FORWARD = "filters.data[((b * T + t) * H + h) * K + k]"
GELU_OF_JS = "0.5 * value * (1 + erf(value / Math.SQRT2))"
TANH_OF_JS = "0.5 * value * (1 + Math.tanh(0.7978845608028654 * (value + 0.044715 * value ** 3)))"
GELU_OF_C = "x.data[i] * (1 + erff(x.data[i] / sqrtf(2))) / 2"
TANH_OF_C = "x.data[i] * (1 + tanhf(0.7978846f * (x.data[i] + 0.044715f * powf(x.data[i], 3)))) / 2"
FIRST = "|i| x.data[i / D * T * D + i % D]"
RESIDUAL = "self.norm(&norm, &x.plus(&expanded), self.epsilon)"

# A port, a kit, the right text and the wrong one, the first step that is wrong by itself, and the
# names of the mistake; none where it is nobody's classic.
PLANTED = [
    (CONVBERT, "masked-lm", GELU_OF_JS, TANH_OF_JS,
     "layer.0.wide", "tanh_gelu tanh_gelu_in_head"),
    (CONVBERT, "masked-lm", FORWARD, FORWARD.replace("+ k]", "+ K - 1 - k]"),
     "layer.0.attention.self.near", "filters_reversed"),
    (CONVBERT, "masked-lm", "norm(add(x, narrow)",
     "norm(path.endsWith('.1') ? narrow : add(x, narrow)",
     "layer.1.output.LayerNorm", ""),
    (SQUEEZEBERT, "model", GELU_OF_C, TANH_OF_C,
     "layers.0.wide", "tanh_gelu"),
    (SQUEEZEBERT, "masked-lm", "- mean, 2) / (float)D", "- mean, 2) / (float)(D - 1)",
     "embeddings.LayerNorm", "unbiased_variance"),
    (SQUEEZEBERT, "model", "sqrtf(variance + epsilon)", "sqrtf(variance + 1e7f * epsilon)",
     "embeddings.LayerNorm", "epsilon_1e-5"),
    (SQUEEZEBERT, "model", "u] ? 0 : -FLT_MAX", "u] ? 0 : 0 * FLT_MAX",
     "attend.masked_scores", "no_mask"),
    (SQUEEZEBERT, "model", "weight.data[o * inner + i]",
     "weight.data[(o / outer * outer + i % outer) * inner + o % outer % inner]",
     "attention.query", "group_weights_transposed square_weights_transposed"),
    (SQUEEZEBERT, "token-classification", 'linear(m, "classifier", x)',
     'linear(m, "classifier", sum_of(x, x))',
     "classifier", ""),
    (MOBILEBERT, "model", "i / E % 3, i % E)", "2 - i / E % 3, i % E)",
     "embeddings.grams", "trigrams_reversed"),
    (MOBILEBERT, "masked-lm", "extra[k * V + i % V]", "extra[i % V * (D - E) + k]",
     "cls.predictions.by_dense", ""),
    (MOBILEBERT, "token-classification", "EPSILON: f32 = 1e-5", "EPSILON: f32 = 1e-12",
     "embeddings.LayerNorm", "epsilon_from_config"),
    (MOBILEBERT, "model", FIRST, FIRST.replace("* T * D +", "* T * D + (T - 1) * D +"),
     "pooler.dense", "last_token_pooled"),
    (MOBILEBERT, "model", RESIDUAL, RESIDUAL.replace("x.plus(&expanded)", "expanded"),
     "layer.0.output.bottleneck.LayerNorm", ""),
]  # fmt: skip


def plant(tmp_path, port, kit, right, wrong):
    """Run a port with a mistake; return the kit and what the port wrote."""
    assert port.source.count(right) == 1
    command = port.built(tmp_path, port.source.replace(right, wrong))
    kit = Kit(KITS / f"{port.family}-{kit}")
    return kit, run(command, kit.directory, tmp_path)


CHOSEN = [row for row in PLANTED if EVERY or [r for r in PLANTED if r[0] is row[0]].index(row) < 2]


@pytest.mark.parametrize(
    "planted", CHOSEN, ids=[f"{port.family}-{step}" for port, *_, step, _ in CHOSEN]
)
def test_a_planted_mistake_is_located_and_named(built, tmp_path, planted):
    port, name, right, wrong, step, names = planted
    kit, mine = plant(tmp_path, port, name, right, wrong)
    report = check_kit(kit, mine)
    assert not report.passed
    assert report.blames[0].row.name.endswith(step)
    assert [finding.mistake.name for finding in report.findings] == names.split()
    if port is not CONVBERT:  # and without any Python
        status, out = check_in_c(built, kit.directory, tmp_path / "mine.safetensors")
        assert status == 1 and f"first wrong is {report.first.name}: " in out
        possible = {*re.findall(r"It may be (\S+): ", out)}
        assert not names or possible & {*names.split()}


# ---- the check in C ----------------------------------------------------------------------------


def check_in_c(built, kit, mine):
    command = [*built(CHECKER), kit, mine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode < 2 and not done.stderr, done.stderr
    return done.returncode, done.stdout


ALL = sorted(path.parent.name for path in KITS.glob("*/manifest.json"))


@pytest.mark.parametrize("name", ALL)
def test_the_check_in_c_finds_every_kit_right(built, name):
    status, out = check_in_c(built, KITS / name, KITS / name / "expected_float32.safetensors")
    wrong = [line for line in out.splitlines() if "first wrong" in line]
    if (KITS.parent / name).is_dir():
        # The files of a trained model's kit hold samples; a port writes whole tensors.
        assert all("another shape" in line for line in wrong)
    else:
        assert status == 0 and not wrong, out


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", ["mobilebert-model", "convbert-tiny"])
def test_both_checks_agree_on_every_array(built, tmp_path, name, dtype):
    """Arrays that are right are moved by a little less, and by more, than is allowed."""
    kit, mine = Kit(KITS / name), tmp_path / "mine.safetensors"
    case = [*kit.cases.values()][-1]
    inputs, expected = kit.inputs(case.name), kit.expected(case.name)
    exact = {quantity.name: quantity.value for quantity in trace(kit.model(), **inputs)}
    for tensor in kit.tensors[4::5]:
        tolerance = tensor.cases[case.name].tolerance[np.dtype(dtype).name]
        if tolerance is None:
            continue
        most = max(tolerance.expected, tolerance.expected_padded or 0)
        for factor in (0.3, 3.0):
            moved = exact[tensor.name] + factor * most
            moved = np.where(exact[tensor.name] < -1e30, -6e4, moved).astype(dtype)
            safetensors.write(mine, {f"{case.name}/{tensor.name}": moved})
            status, out = check_in_c(built, kit.directory, mine)
            is_right = compare(tensor, case, moved, expected[tensor.name]).is_within(tolerance)
            assert (status == 0) == is_right == (factor < 1), (tensor.name, out)


def test_the_check_in_c_refuses_what_is_no_port(built, tmp_path):
    (tmp_path / "text").write_text("no safetensors")
    kit = KITS / "bert-model"
    for mine, message in (
        (tmp_path / "none", "No such file"),
        (tmp_path / "text", "no safetensors file"),
        (kit / "weights.safetensors", "nothing in it has a name of the kit"),
    ):
        command = [*built(CHECKER), kit, mine]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    done = subprocess.run(built(CHECKER), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("usage:")


# ---- wrong input -------------------------------------------------------------------------------


@pytest.mark.parametrize("port", PORTS, ids=NAMES)
def test_usage_without_arguments(built, port):
    done = subprocess.run(built(port), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("usage:")


@pytest.mark.parametrize("port", PORTS, ids=NAMES)
@pytest.mark.parametrize("damage", ["no weights", "cut weights", "no kit", "another family"])
def test_a_port_refuses_what_it_cannot_run(built, tmp_path, port, damage):
    kit, mine = tmp_path / "kit", tmp_path / "mine.safetensors"
    family = "bert" if damage == "another family" else port.family
    if damage != "no kit":
        shutil.copytree(KITS / f"{family}-model", kit)
    if damage == "no weights":
        (kit / "weights.safetensors").unlink()
    elif damage == "cut weights":
        data = (kit / "weights.safetensors").read_bytes()
        (kit / "weights.safetensors").write_bytes(data[:-4])
    done = subprocess.run([*built(port), kit, mine], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr and not mine.exists()


def test_the_ports_read_float16_as_it_is(built, tmp_path):
    """A kit's weights in float16, among them numbers below its smallest normal one."""
    for port in PORTS:
        command = built(port)
        source, results = KITS / f"{port.family}-model", []
        for dtype in (np.float16, np.float32):
            kit = tmp_path / f"{port.family}-{np.dtype(dtype)}"
            shutil.copytree(source, kit)
            weights = safetensors.read(source / "weights.safetensors")
            halves = {name: array.astype(np.float16) for name, array in weights.items()}
            bias = next(
                name for name in halves if name.endswith("dense.bias") or "query.bias" in name
            )
            halves[bias][:3] = 6e-8, -3.1e-5, 0
            safetensors.write(
                kit / "weights.safetensors", {n: a.astype(dtype) for n, a in halves.items()}
            )
            results.append(run(command, kit, tmp_path))
        assert results[0].keys() == results[1].keys()
        for name, array in results[0].items():
            np.testing.assert_array_equal(array, results[1][name])
