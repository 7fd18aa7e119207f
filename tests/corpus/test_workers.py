"""Workers: results in order whatever dies, memory in common, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dying_jobs
import pytest
from corpus_rows import rows_of
from dying_jobs import DyingJob, batches

from npbert.corpus import workers

posix = pytest.mark.skipif(os.name != "posix", reason="signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and forks")


ROOT = os.pathsep.join([str(Path(workers.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])


def answered(job, found, count=2):
    with workers.answering(job, count) as answer:
        return [(line.text, *answer) for batch in answer(found) for line, answer in batch]


@posix
def test_results_are_in_order_and_errors_in_their_places(tmp_path):
    job = DyingJob("embed", folder=str(tmp_path))
    texts = [f"text {n}" for n in range(23)]
    texts[5] = "wrong"
    given = [*batches(*texts)]
    given[3][0] = given[3][0]._replace(error="the row is wrong")
    expected = [(text, f'"{text.upper()}"', "") for text in texts]
    expected[5] = ("wrong", "", "the text is wrong")
    expected[6] = ("text 6", "", "the row is wrong")
    assert answered(job, iter(given)) == expected == answered(job, iter(given), 1)
    found = {int(file.name[7:]) for file in tmp_path.glob("worker-*")}
    assert len(found) >= 2 and os.getpid() in found


def answered_in_a_process(folder, *texts):
    """Answer texts in workers of a process that has no threads; return it and what it printed."""
    done = subprocess.run(
        [sys.executable, dying_jobs.__file__, str(folder), *texts],
        env=os.environ | {"PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
    )
    return done.stdout.split("\n")[:-1], done.stderr


@posix
def test_what_a_worker_had_that_died_is_done_again(tmp_path):
    texts = ["a", "b", "die once", "c", "d", "e", "f"]
    assert answered_in_a_process(tmp_path, *texts) == ([f'"{t.upper()}"' for t in texts], "")
    assert (tmp_path / "died").exists() and len([*tmp_path.glob("worker-*")]) >= 2


@posix
def test_rows_that_end_every_worker_are_an_error(tmp_path):
    _, err = answered_in_a_process(tmp_path, "a", "b", "c", "die", "e")
    assert "ChildProcessError: rows 3 to 4 ended 3 workers, the last by signal 9 (SIGKILL)" in err
    assert "MemoryError: no more" in answered_in_a_process(tmp_path, "a", "break")[1]


def test_what_is_started_in_the_block_has_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with workers.one_thread():
        assert os.environ["OMP_NUM_THREADS"] == "3" and os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ and os.environ["OMP_NUM_THREADS"] == "3"


# ---- as a command --------------------------------------------------------------------------

COUNT = 2400  # rows, of which a batch has about 160


@pytest.fixture
def start(directories, tmp_path):
    """Start `npbert embed` with two workers in a session of its own; end all of it in any case."""
    texts = "".join(f"{n},{'the cat sat on ' * 6}{n}\n" for n in range(COUNT))
    (tmp_path / "in.csv").write_text("id,text\n" + texts)
    started = []

    def start(output, *options, count=2):
        command = [sys.executable, "-m", "npbert", "embed", "--model", directories["embed"]]
        command += ["--input", "in.csv", "--output", output, "--workers", str(count), *options]
        environment = os.environ | {"NPBERT_BACKEND": "numpy"}
        environment["PYTHONPATH"] = ROOT
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        for pid in group_of(process):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def group_of(process):
    """Return the processes of a session that are still there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ProcessLookupError):
            continue
        if int(fields[3]) == process.pid and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.002)


def ends_by_itself(process):
    wait_for(lambda: not group_of(process))
    return process.communicate()[1].decode()


@linux
@pytest.mark.parametrize("output", ["out.csv", "out.jsonl"])
def test_after_kill_9_no_row_is_lost_and_none_is_there_twice(start, tmp_path, output):
    journal = tmp_path / (output + ".unfinished" if output == "out.csv" else output)
    memory = {}
    for more in (1, 300, 600):
        lines = lines_of(journal) + more
        process = start(output, "--resume")
        wait_for(lambda: lines_of(journal) >= lines or process.poll() is not None)  # noqa: B023
        assert process.poll() is None
        memory |= {pid: private(pid) for pid in group_of(process) if pid != process.pid}
        process.kill()
        ends_by_itself(process)  # the workers, too
        assert not (tmp_path / "out.csv").exists()
    process = start(output, "--resume")
    assert process.wait(300) == 0, process.stderr.read()
    rows = rows_of(tmp_path / output)
    assert [int(row["id"]) for row in rows] == [*range(COUNT)]
    assert not list(tmp_path.glob("*.unfinished"))
    assert len(memory) >= 4 and max(memory.values()) < 60e6


def lines_of(file):
    return file.read_bytes().count(b"\n") if file.exists() else 0


def private(pid):
    """Return the bytes that a process alone has."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


@linux
def test_ctrl_c_leaves_nothing_behind(start, tmp_path):
    process = start("out.jsonl")
    wait_for(lambda: (tmp_path / "out.jsonl").exists() and (tmp_path / "out.jsonl").stat().st_size)
    for pid in group_of(process):  # as a terminal does
        os.kill(pid, signal.SIGINT)
    assert ends_by_itself(process) == "" and process.returncode == 130
    assert (tmp_path / "out.jsonl").read_bytes().endswith(b"}\n")


@linux
def test_a_worker_that_is_killed_is_replaced(start, tmp_path):
    process = start("out.jsonl")
    wait_for(lambda: (tmp_path / "out.jsonl").exists() and (tmp_path / "out.jsonl").stat().st_size)
    [first, *_] = sorted(set(group_of(process)) - {process.pid})
    os.kill(first, signal.SIGKILL)
    assert process.wait(300) == 0, process.stderr.read()
    assert [int(row["id"]) for row in rows_of(tmp_path / "out.jsonl")] == [*range(COUNT)]
