"""The wheel without checkpoints: its size, its contents, and where it finds checkpoints."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough  # builds wheels

ROOT = Path(__file__).parents[1]
LIMIT = 600_000  # bytes: four fifths are Python source, whose comments readers want, too
QUESTION = "import npbert; print(npbert.fill_mask('He drank a cup of [MASK].')[0]['token_str'])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NPBERT_SLIM": "1"}, check=True)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs a line of Python where only the slim wheel is installed."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(folder), str(wheel)], check=True)

    def run(line, **variables):
        kept = {k: v for k, v in os.environ.items() if k not in ("NPBERT_WEIGHTS", "NPBERT_SLIM")}
        environment = kept | {"PYTHONPATH": str(folder), "NPBERT_BACKEND": "numpy"} | variables
        return subprocess.run(
            [sys.executable, "-c", line],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


def test_it_is_small_and_has_all_but_the_weights(wheel):
    assert wheel.stat().st_size < LIMIT
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not [name for name in names if "weights/" in name or name.endswith(".safetensors")]
    package = ROOT / "npbert"
    for path in package.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert f"npbert/{path.relative_to(package).as_posix()}" in names


def test_it_needs_no_numba_in_a_browser(wheel):
    [name] = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("METADATA")]
    lines = zipfile.ZipFile(wheel).read(name).decode().splitlines()
    [needed] = [line for line in lines if line.startswith("Requires-Dist: numba")]
    assert "sys_platform != 'emscripten'" in needed.replace('"', "'")


def test_checkpoints_are_found_in_the_folder_that_is_named(installed):
    assert installed(QUESTION, NPBERT_WEIGHTS=str(ROOT / "weights")).stdout == "tea\n"


@pytest.mark.parametrize("folder", ["none", "missing"])
def test_without_checkpoints_the_error_says_what_to_do(installed, tmp_path, folder):
    named = {} if folder == "none" else {"NPBERT_WEIGHTS": str(tmp_path / "missing")}
    for command in (["fill-mask", "a [MASK]"], ["inspect", "convbert-tiny"]):
        line = f"import sys; from npbert.__main__ import main; sys.exit(main({command}))"
        run = installed(line, **named)
        assert run.returncode == 2 and run.stdout == ""
        assert run.stderr.count("\n") == 1 and "NPBERT_WEIGHTS" in run.stderr


def test_the_usual_wheel_carries_every_checkpoint(monkeypatch):
    hook = load_hook()
    monkeypatch.delenv("NPBERT_SLIM", raising=False)
    included = {}
    hook.initialize("standard", {"force_include": included})
    expected = {path.parent.name for path in (ROOT / "weights").glob("*/config.json")}
    assert len(expected) == 8
    assert {*included.values()} == {f"npbert/weights/{name}" for name in expected}
    monkeypatch.setenv("NPBERT_SLIM", "1")
    hook.initialize("standard", {"force_include": (slim := {})})
    assert slim == {}


def load_hook():
    path = ROOT / "weights" / "packing.py"
    spec = importlib.util.spec_from_file_location("packing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Weights(str(ROOT), {}, None, None, str(ROOT), "wheel")
