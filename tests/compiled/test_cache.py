"""npbert/compiled/cache.py: machine code on disk that is damaged, or that cannot be written."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from npbert.compiled import cache
from npbert.compiled.cache import guard

pytestmark = pytest.mark.thorough

pytest.importorskip("numba", reason="the twins need numba")

LOOPS = """
def doubled(part, parts, x):
    return 2.0 * x
"""
# Every call compiles the function as a new process would, and says whether it was found on disk.
CHECK = """
import glob, os, sys
import loops
from npbert.compiled.threads import compile_loops

def found():
    compiled = compile_loops(loops.doubled)
    assert compiled(0, 1, 21.0) == 42.0
    return sum(compiled.stats.cache_hits.values())

assert [found(), found()] == [0, 1]
files = sorted(glob.glob(os.path.join(sys.argv[1], "**", "*.nb[ci]"), recursive=True))
assert len(files) == 2, files
contents = {file: open(file, "rb").read() for file in files}

def damaged(content):
    size = len(content)
    yield b""
    yield content[: size // 2]
    yield content[:-1]
    yield bytes(size)
    yield b"\\x80\\x05cnumba\\nnothing\\n."
    for at in range(7, size, size // 3):
        yield content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        yield content[:at] + bytes(min(64, size - at)) + content[at + 64 :]

for file in files:
    for content in damaged(contents[file]):
        for name in files:
            with open(name, "wb") as written:
                written.write(contents[name])
        with open(file, "wb") as written:
            written.write(content)
        found()  # compiled anew, unless what is damaged does not matter
        assert found() == 1, "what was compiled anew was not kept"
print("right")
"""
FULL = """
import resource, signal, sys
import loops
from npbert.compiled.threads import compile_loops
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
assert compile_loops(loops.doubled)(0, 1, 21.0) == 42.0
print("right")
"""


CHANGED = """
import sys
import loops
from npbert.compiled import cache
from npbert.compiled.threads import compile_loops

def found():
    compiled = compile_loops(loops.doubled)
    assert compiled(0, 1, 21.0) == 42.0
    return sum(compiled.stats.cache_hits.values())

before = cache.digest_of_sources()
assert [found(), found()] == [0, 1]
cache.digest_of_sources = lambda: "of other files"
assert [found(), found()] == [0, 1]
cache.digest_of_sources = lambda: before
assert [found(), found()] == [0, 1]
print("right")
"""


RIGHT = ("right\n", "", 0)  # what a process prints, complains of, and ends with


@pytest.fixture
def run(tmp_path):
    """Run code in a process with a cache of its own; return its output, errors and status."""

    def run(code):
        (tmp_path / "loops.py").write_text(LOOPS)
        path = os.pathsep.join([str(tmp_path), *sys.path])
        environment = {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "cache"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        return done.stdout, done.stderr, done.returncode

    return run


def test_what_is_damaged_is_compiled_anew(run):
    assert run(CHECK) == RIGHT


def test_what_was_made_of_other_files_is_compiled_anew(run):
    assert run(CHANGED) == RIGHT


def test_all_files_that_machine_code_is_made_of_count(tmp_path, monkeypatch):
    for file in Path(cache.__file__).parent.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    digest = cache.digest_of_sources.__wrapped__
    assert digest() == cache.digest_of_sources()
    for name in ("vectors.py", "steps.py", "products.py", "threads.py"):
        before = digest()
        with open(tmp_path / name, "a") as file:
            file.write("#")
        assert digest() != before


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_keeps_nothing_and_breaks_nothing(run):
    assert run(FULL) == RIGHT


def test_another_numba_keeps_its_own_cache():
    compiled = types.SimpleNamespace(_cache=types.SimpleNamespace())
    before = compiled._cache
    assert guard(compiled) is compiled and compiled._cache is before
    assert guard(len) is len
