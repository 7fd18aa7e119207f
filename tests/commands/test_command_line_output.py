"""--output and --resume: whole lines, none lost and none twice, whatever ends a run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from commanding import run_command
from task_checkpoints import make_checkpoint

from npbert.commands import writing

pytestmark = pytest.mark.thorough

LINES = 40
TEXTS = [f"the {'cat ' * (i % 7)}sat {i}" for i in range(LINES)]
TEXTS[5] = TEXTS[17] = ""
TEXTS[9] = "cat " * 50  # too long
CONTENT = "\n".join(TEXTS)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("model"), "Bert", "Model")


@pytest.fixture
def run(directory, tmp_path, capfd, monkeypatch):
    """Run `npbert embed --input lines.txt` in a folder of its own; return (status, out, err)."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    monkeypatch.chdir(tmp_path)

    def run(*options, content=CONTENT):
        (tmp_path / "lines.txt").write_text(content)
        return run_command(capfd, "embed", "--input", "lines.txt", "--model", directory, *options)

    return run


@pytest.fixture
def whole(run):
    """What an undisturbed run writes."""
    status, out, _ = run()
    assert status == 1  # one line is too long
    return out.encode()


def test_a_file_has_what_would_be_printed(run, whole, tmp_path):
    status, out, _ = run("--output", "out.jsonl")
    assert (status, out) == (1, "")
    assert (tmp_path / "out.jsonl").read_bytes() == whole
    assert run("--output", "-")[1].encode() == whole


def same(written, whole):
    """Whether two outputs say the same; lines are answered in other company after a resume."""
    for ours, theirs in zip(written.splitlines(), whole.splitlines(), strict=True):
        ours, theirs = json.loads(ours), json.loads(theirs)
        assert ours.pop("result", []) == pytest.approx(theirs.pop("result", []), rel=1e-4, abs=1e-5)
        assert ours == theirs
    return written.endswith(b"\n")


def test_a_run_that_was_cut_anywhere_is_resumed(run, whole, tmp_path):
    output = tmp_path / "out.jsonl"
    generator = random.Random(0)
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [0, 1, ends[0], ends[8], ends[8] + 1, ends[-1] - 1, len(whole)] + [
        generator.randrange(len(whole)) for _ in range(6)
    ]:
        output.write_bytes(whole[:cut])
        status, _, err = run("--output", "out.jsonl", "--resume")
        assert status == 1 and same(output.read_bytes(), whole)
        count = whole[:cut].count(b"\n")
        lines = "1 whole line" if count == 1 else f"{count} whole lines"
        assert (f"has {lines}: going on after that" in err) == (count > 0)


def test_there_need_not_be_anything_to_resume(run, whole, tmp_path):
    assert run("--output", "out.jsonl", "--resume")[0] == 1
    assert (tmp_path / "out.jsonl").read_bytes() == whole


def test_the_status_knows_of_errors_before_a_resume(run, tmp_path):
    assert run("--output", "a", content="a cat\n" + "cat " * 50)[0] == 1
    status, _, err = run("--output", "a", "--resume", content="a cat\n" + "cat " * 50 + "\nthe")
    assert status == 1 and "could not" not in err


OTHER = {
    "not empty": (b"{}\n", [], "out.jsonl is not empty; --resume goes on where it ends"),
    "other lines": (b'{"text": "a", "result": 1}\n', ["--resume"], "does not answer line 1"),
    "another line's error": (b'{"line": 2, "text": "", "error": ""}\n', ["--resume"], "line 1"),
    "no JSON": (b"precious\n", ["--resume"], "last line of out.jsonl does not answer line 1"),
    "no line": (b"precious", ["--resume"], "out.jsonl is not the output of an earlier run"),
    "other lines and a rest": (b'{"text": "a", "result": 1}\n{"te', ["--resume"], "answer line 1"),
    "no object": (b"3\n", ["--resume"], "the last line of out.jsonl does not answer line 1"),
    "more lines": (b"3\n" * 99, ["--resume"], "out.jsonl has 99 lines and lines.txt only 38"),
}


@pytest.mark.parametrize("content, options, message", OTHER.values(), ids=OTHER)
def test_a_file_that_is_something_else_stays_as_it_is(run, tmp_path, content, options, message):
    (tmp_path / "out.jsonl").write_bytes(content)
    status, out, err = run("--output", "out.jsonl", *options)
    assert (status, out) == (2, "")
    assert message in err
    assert (tmp_path / "out.jsonl").read_bytes() == content


def test_what_cannot_be_an_output_is_one_line(run, tmp_path):
    (tmp_path / "folder").mkdir()
    for name, message in {
        "lines.txt": "lines.txt is both --input and --output",
        "folder": "folder: Is a directory",
        "folder/": "folder/ is a directory, expected the name of a file",
        "nowhere/out": "there is no directory nowhere to write it to",
        "": "the path is empty",
    }.items():
        status, _, err = run("--output", name, "--resume")
        assert status == 2 and err.count("\n") == 1 and message in err
    assert (tmp_path / "lines.txt").read_text() == CONTENT
    assert "--resume needs the --output of" in run("--output", "-", "--resume")[2]
    assert run("--output", "out.jsonl", "--pooling", "max")[0] == 2
    assert not (tmp_path / "out.jsonl").exists()  # a wrong option writes nothing


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_a_pipe_is_written_through(run, whole, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE) as reader:
        assert run("--output", "pipe")[0] == 1
        assert reader.stdout.read() == whole
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE):
        _, _, err = run("--output", "pipe", "--resume")
        assert "pipe is no regular file" in err


# ---- as processes --------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits")


def start(directory, folder, *options, **more):
    command = [sys.executable, "-m", "npbert", "embed", "--model", str(directory), *options]
    environment = os.environ | {"NPBERT_BACKEND": "numpy", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, **more)


@posix
def test_killed_runs_are_resumed_with_no_line_lost_and_none_twice(directory, tmp_path, capfd):
    count = 500
    (tmp_path / "lines.txt").write_text("".join(f"the cat sat on {i}\n" for i in range(count)))
    output = tmp_path / "out.jsonl"
    kills = 0
    while True:
        size = output.stat().st_size if output.exists() else 0
        options = ["--input", "lines.txt", "--output", "out.jsonl", "--resume", "--pooling", "none"]
        process = start(directory, tmp_path, *options)
        while process.poll() is None and kills < 2:
            if output.exists() and output.stat().st_size > size + 50_000:
                process.kill()
                break
            time.sleep(0.0005)
        err = process.communicate()[1]
        if process.returncode != -signal.SIGKILL:
            break
        kills += 1
    assert kills == 2 and process.returncode == 0, err
    texts = [json.loads(line)["text"] for line in output.read_bytes().splitlines()]
    assert texts == [f"the cat sat on {i}" for i in range(count)]


def small_files():
    """Let no file grow beyond so many bytes: as on a full disk, a write is cut off, then fails."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))


@posix
@pytest.mark.parametrize("way", ["--output", ">", ">>"])
def test_a_full_disk_ends_with_a_whole_line(directory, whole, tmp_path, way):
    output = tmp_path / "out.jsonl"
    before = b'{"text": "before"}\n' if way == ">>" else b""
    output.write_bytes(before)
    options = ["--input", "lines.txt"]
    if way == "--output":
        process = start(directory, tmp_path, *options, way, "out.jsonl", preexec_fn=small_files)
        err = process.communicate()[1]
    else:
        with output.open("ab" if way == ">>" else "wb") as file:
            process = start(directory, tmp_path, *options, stdout=file, preexec_fn=small_files)
            err = process.communicate()[1]
            os.write(file.fileno(), b"after\n")  # no hole is left
    assert process.returncode == 2
    name = b"out.jsonl" if way == "--output" else b"standard output"
    assert err == b"npbert: error: " + name + b": File too large\n"
    written = output.read_bytes()
    if way != "--output":
        assert written.endswith(b"}\nafter\n")
        written = written.removesuffix(b"after\n")
    written = written.removeprefix(before)
    assert 3000 < len(written) and same(written, whole[: len(written)])


@pytest.fixture
def interruptible():
    """Let Ctrl-C interrupt this process, which one that runs in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_the_middle_of_a_line_waits_for_its_end(tmp_path, monkeypatch, interruptible):
    """Of the first write only a part comes through, and the interruption with it."""
    write, writes = os.write, []

    def part(descriptor, data):
        writes.append(len(data))
        if len(writes) == 2:
            signal.raise_signal(signal.SIGINT)
        return write(descriptor, data[:3])

    monkeypatch.setattr(os, "write", part)
    with pytest.raises(KeyboardInterrupt), writing.open_output(str(tmp_path / "out")) as output:
        output.write("0123456789")
        output.write("no line any more")
    assert (tmp_path / "out").read_bytes() == b"0123456789\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    writes.clear()
    with pytest.raises(KeyboardInterrupt), writing.open_output(str(tmp_path / "two")) as output:
        monkeypatch.setattr(os, "write", lambda *_: signal.raise_signal(signal.SIGINT) or 1)
        output.write("0123456789")  # the second time it is at once
    shutil.rmtree(tmp_path)
