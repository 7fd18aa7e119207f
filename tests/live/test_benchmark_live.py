"""What the benchmark of live pages says where what it needs is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmark_live.py"


def run(**variables):
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("required", ["", "1"], ids=["", "required"])
def test_a_missing_engine_is_said_in_one_line(tmp_path, required):
    (tmp_path / "pyodide.asm.wasm").touch()  # half a folder is no engine
    done = run(NPBERT_ENGINE=str(tmp_path), NPBERT_REQUIRE_BROWSER=required)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"in {tmp_path}: NPBERT_ENGINE names the folder of the engine" in done.stderr
    assert "fetch_engine.py" in done.stderr
