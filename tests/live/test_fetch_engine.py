"""The script that fetches the engine, from a server on this machine: hashes, cuts, second runs."""

import hashlib
import importlib.util
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from living import ENGINE, require_engine, served

from npbert.live import engine

SCRIPT = Path(__file__).parents[2] / "tutorials" / "fetch_engine.py"
WHEELS = {"numpy": [], "matplotlib": ["numpy", "six"], "six": [], "scipy": ["numpy"]}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def small_engine():
    """Return the files of an engine, {name: bytes}: four of its own, a lock file, and wheels."""
    files = {f"{name}.whl": f"the wheel of {name}".encode() * 99 for name in WHEELS}
    packages = {
        name: {
            "file_name": f"{name}.whl", "sha256": sha256(files[f"{name}.whl"]), "depends": needed
        }
        for name, needed in WHEELS.items()
    }  # fmt: skip
    own = {name: f"the file {name}".encode() * 99 for name in engine.HASHES}
    own["pyodide-lock.json"] = json.dumps({"packages": packages}).encode()
    return own | files


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name == self.server.cut else content)


@pytest.fixture
def server(monkeypatch):
    """A server of a small engine, whose hashes are those that the script knows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked, server.cut = small_engine(), [], None
    server.address = f"http://127.0.0.1:{server.server_port}/"
    hashes = {name: sha256(server.files[name]) for name in engine.HASHES}
    monkeypatch.setattr(engine, "HASHES", hashes)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(capsys, monkeypatch):
    """Return a function that runs the script; it returns the exit status, and what is printed."""
    spec = importlib.util.spec_from_file_location("fetch_engine", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script puts the package before it
    spec.loader.exec_module(script)

    def run(out, address):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(out), "--from", address])
        return script.main(), *capsys.readouterr()

    return run


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_fetches_the_engine_and_what_matplotlib_needs_and_nothing_twice(fetch, server, tmp_path):
    out = tmp_path / "new" / "engine"
    status, said, errors = fetch(out, server.address)
    assert status == 0 and errors == ""
    expected = {name: each for name, each in server.files.items() if name != "scipy.whl"}
    assert contents(out) == expected
    assert sorted(server.asked) == sorted(expected)
    assert said.splitlines()[-1].startswith(f"{out}: {len(expected)} files, ")
    server.asked.clear()
    assert fetch(out, server.address)[0] == 0 and server.asked == []
    (out / "six.whl").write_bytes(b"half a file")
    assert fetch(out, server.address)[0] == 0 and server.asked == ["six.whl"]
    assert contents(out) == expected


@pytest.mark.parametrize("name", ["pyodide.js", "pyodide-lock.json", "six.whl"])
@pytest.mark.parametrize("failure", ["wrong", "cut", "missing"])
def test_what_is_not_whole_or_not_right_is_not_kept(fetch, server, tmp_path, name, failure):
    right = server.files[name]
    if failure == "wrong":
        server.files[name] = right[:-1] + b"?"
    elif failure == "cut":
        server.cut = name
    else:
        del server.files[name]
    status, _, errors = fetch(tmp_path, server.address)
    assert status == 2
    assert errors.startswith(f"fetch_engine: error: {server.address}{name}")
    assert errors.count("\n") == 1
    cause = {"wrong": sha256(right), "cut": f"after {len(right) // 2} bytes", "missing": "404"}
    assert cause[failure] in errors
    kept = contents(tmp_path)
    assert name not in kept
    assert all(content == server.files[each] for each, content in kept.items())
    server.files[name], server.cut = right, None
    assert fetch(tmp_path, server.address)[0] == 0
    assert contents(tmp_path)[name] == right


def unused_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (None, "cannot be fetched: connection refused"),
        ("http://nowhere.invalid/", "http://nowhere.invalid/pyodide.js cannot be fetched"),
        ("engine/", "'engine/', expected http or https"),
        ("ftp://example.org/", "'ftp://example.org/', expected http or https"),
        ("", "the address of the engine is ''"),
        ("http://a b/", "the address of the engine is 'http://a b/'"),
        ("http://127.0.0.1:port/", "http://127.0.0.1:port/pyodide.js cannot be fetched"),
    ],
)
def test_an_address_that_does_not_answer_is_named_in_one_line(fetch, tmp_path, address, said):
    status, _, errors = fetch(
        tmp_path / "out", address if address is not None else unused_address()
    )
    assert status == 2 and errors.count("\n") == 1 and said in errors
    assert not [*tmp_path.glob("out/*")]


def test_a_file_is_no_folder(fetch, server, tmp_path):
    (tmp_path / "file").write_text("mine")
    status, _, errors = fetch(tmp_path / "file", server.address)
    assert status == 2 and errors.count("\n") == 1 and "expected a directory" in errors
    assert server.asked == [] and (tmp_path / "file").read_text() == "mine"


def test_a_whole_engine_is_fetched(fetch, tmp_path):
    require_engine()
    with served(ENGINE) as server:
        status, said, errors = fetch(tmp_path, server.address)
    assert status == 0 and errors == ""
    assert "numpy-2.0.2" in said and "matplotlib-3.8.4" in said
    assert {*contents(tmp_path)} >= engine.HASHES.keys()
