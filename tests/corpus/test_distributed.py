"""A corpus on a cluster: equal to one process, whatever dies, and resumed."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs Dask (extra `dask`)")
pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")

import distributed
import pyarrow
from pyarrow import parquet

import npbert.distributed
from npbert.corpus.records import open_source

pytestmark = pytest.mark.filterwarnings("default")  # what Dask's own threads warn of

COUNT = 400
ROWS = {
    "id": [*range(COUNT)],
    "text": [
        "cat " * 50 if n % 97 == 7 else f"the {'cat ' * (n % 9)}sat {n}" for n in range(COUNT)
    ],
}


@pytest.fixture(scope="module")
def client():
    """Two workers, as processes of one thread."""
    environment = pytest.MonkeyPatch()
    environment.setenv("NPBERT_BACKEND", "numpy")
    root = Path(npbert.__file__).parents[1]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment.setenv("PYTHONPATH", path)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client
    environment.undo()


def test_a_cluster_without_workers_is_waited_for(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(npbert.__file__).parents[1]))
    (tmp_path / "in.txt").write_text("the cat sat\n")
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:

        def come():
            while not (tmp_path / "out" / "_npbert.json").exists():  # the run has begun
                time.sleep(0.01)
            cluster.scale(1)

        threading.Thread(target=come, daemon=True).start()
        options = ["--output", "out", "--scheduler", cluster.scheduler_address]
        status, err = run("embed", "--input", "in.txt", *options)
    note = f"npbert: note: {cluster.scheduler_address} has no worker yet: waiting for one\n"
    assert (status, err) == (0, note) and (tmp_path / "out" / "_SUCCESS").exists()


@pytest.fixture
def whole(run, tmp_path):
    """The input, and what a single process makes of it."""
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "in.parquet", row_group_size=150)
    assert run("embed", "--input", "in.parquet", "--output", "one.parquet")[0] == 1
    return parquet.read_table(tmp_path / "one.parquet")


def read(folder):
    files = sorted(folder.glob("part-*.parquet"))
    return pyarrow.concat_tables([parquet.read_table(file) for file in files])


def same(table, whole):
    """Whether two tables are equal row for row; NumPy rounds by what else is in a batch."""
    if "embedding" in table.column_names:
        for one, other in zip(table["embedding"], whole["embedding"], strict=True):
            assert (one.as_py() or []) == pytest.approx(other.as_py() or [], rel=1e-4, abs=1e-5)
    names = [name for name in whole.column_names if name not in ("embedding", "score")]
    return table.schema == whole.schema and table.select(names).equals(whole.select(names))


def files_of(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("part-*")}


def test_with_a_worker_killed_on_the_way_it_equals_one_process(
    client, whole, directories, tmp_path
):
    pids = [*client.run(os.getpid).values()]
    done = {}

    def kill():
        while len(files_of(tmp_path / "out")) < 4:
            time.sleep(0.005)
        done.update(files_of(tmp_path / "out"))
        os.kill(pids[0], signal.SIGKILL)

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    report = npbert.distributed.run(
        "feature_extraction",
        tmp_path / "in.parquet",
        tmp_path / "out",
        client,
        model=directories["embed"],
        pooling="mean",
        partition_rows=17,
    )
    killing.join(30)
    assert 4 <= len(done) < 24  # on the way
    assert done.items() <= files_of(tmp_path / "out").items()  # and nothing of it is done again
    errors = sum(n % 97 == 7 for n in range(COUNT))
    assert report == (24, COUNT, errors)
    assert pids[0] not in client.run(os.getpid).values()
    assert same(read(tmp_path / "out"), whole)
    assert (tmp_path / "out" / "_SUCCESS").read_bytes() == b""
    assert same(parquet.read_table(tmp_path / "out"), whole)  # as any library reads a directory


def test_a_run_is_resumed_and_no_other_is(client, whole, directories, tmp_path):
    options = {"model": directories["embed"], "partition_rows": 50, "pooling": "mean"}
    given = "embed", tmp_path / "in.parquet", tmp_path / "out", client
    npbert.distributed.run(*given, **options)
    before = files_of(tmp_path / "out")
    with pytest.raises(ValueError, match="out is not empty; resume"):
        npbert.distributed.run(*given, **options)
    (tmp_path / "out" / "part-00003.parquet").unlink()
    (tmp_path / "out" / "_SUCCESS").unlink()
    npbert.distributed.run(*given, **options, resume=True)
    after = files_of(tmp_path / "out")
    assert [name for name in after if after[name] != before[name]] == ["part-00003.parquet"]
    assert same(read(tmp_path / "out"), whole) and (tmp_path / "out" / "_SUCCESS").exists()
    with pytest.raises(ValueError, match="another run: partition_rows was 50, and is 60"):
        npbert.distributed.run(*given, **(options | {"partition_rows": 60}), resume=True)
    with pytest.raises(ValueError, match="another run: options was"):
        npbert.distributed.run(*given, **(options | {"pooling": "first"}), resume=True)
    os.utime(tmp_path / "in.parquet", ns=(1, 1))
    with pytest.raises(ValueError, match="another run: changed was"):
        npbert.distributed.run(*given, **options, resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    with pytest.raises(ValueError, match="full is not empty, and not the output of an earlier"):
        npbert.distributed.run("embed", given[1], tmp_path / "full", client, **options)


def test_each_worker_finds_a_name_of_the_hub_in_its_own_cache(
    client, hub, run, directories, tmp_path
):
    homes, endpoint = str(tmp_path / "homes"), hub.address

    def move():
        os.environ |= {"HF_HOME": os.path.join(homes, str(os.getpid())), "HF_ENDPOINT": endpoint}

    commit = hub.add("some-org/some-bert", directories["embed"])
    (tmp_path / "in.txt").write_text("the cat sat\n" * 40)
    options = ["--input", "in.txt", "--output"]
    assert run("embed", *options, "one.parquet", model="some-org/some-bert") == (0, "")
    hub.add("some-org/some-bert", directories["next"])  # a branch that moves is followed by none
    client.run(move)
    given = [*options, "many", "--scheduler", client.scheduler.address, "--token", "hf_secret"]
    assert run("embed", *given, model="some-org/some-bert") == (0, "")
    assert same(read(tmp_path / "many"), parquet.read_table(tmp_path / "one.parquet"))
    weights = f"*/hub/models--some-org--some-bert/snapshots/{commit}/model.safetensors"
    assert [*Path(homes).glob(weights)]
    asked = (tmp_path / "many" / "_npbert.json").read_text()
    assert "some-org/some-bert" in asked and commit in asked and "hf_secret" not in asked
    status, err = run("embed", *given, "--revision", "v9", model="some-org/some-bert")
    assert status == 2 and "some-org/some-bert has no revision v9" in err and err.count("\n") == 1


@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_lines_on_a_cluster_as_a_command(client, run, tmp_path, ending):
    lines = ["the cat\tsat", "a dog", "", "the\ta mat", '{"first": "a", "second": "cat"}']
    if ending == ".jsonl":
        lines = [json.dumps({"first": "a", "second": "cat", "n": n}) for n in range(4)] + ["", "[]"]
    (tmp_path / f"in{ending}").write_text("\n".join(lines * 300))
    options = ["--input", f"in{ending}", "--output"]
    assert run("next", *options, "one.parquet")[0] == 1
    address = client.scheduler.address
    status, err = run("next", *options, "many", "--scheduler", address)
    assert status == 1 and "300 rows could not be answered" in err
    assert len(files_of(tmp_path / "many")) == 2
    assert same(read(tmp_path / "many"), parquet.read_table(tmp_path / "one.parquet"))
    status, err = run("next", *options, "many", "--scheduler", address, "--resume")
    assert status == 1 and "300 rows could not" in err


def test_what_does_not_fit_is_said_before_any_work(client, run, tmp_path, directories):
    (tmp_path / "in.csv").write_text("text\na cat\n")
    (tmp_path / "in.jsonl").write_text('{"text": "a cat"}\n')
    out = tmp_path / "out"
    for task, name, options, message in [
        ("embde", "in.jsonl", {}, "there is no task 'embde', expected one of fill-mask, "),
        ("embed", "in.csv", {}, "in.csv cannot be read in parts, expected .parquet"),
        ("embed", "in.jsonl", {"text_column": "body"}, "in.jsonl has no column 'body' but text"),
        ("embed", "in.jsonl", {"partition_rows": 0}, "partition_rows is 0, expected"),
        ("embed", "in.jsonl", {"pooling": "max"}, "pooling is 'max'"),
    ]:
        options = {"model": directories["embed"], **options}
        with pytest.raises(ValueError, match=message):
            npbert.distributed.run(task, tmp_path / name, out, client, **options)
    with pytest.raises(TypeError, match="client is 'tcp://head:1', expected a Client of"):
        npbert.distributed.run("embed", tmp_path / "in.jsonl", out, "tcp://head:1")
    with pytest.raises(TypeError, match="poling"):
        npbert.distributed.run("embed", tmp_path / "in.jsonl", out, client, poling="mean")
    assert not out.exists()
    for options, message in (
        (["--output", "out", "--workers", "2"], "--workers does not go with --scheduler"),
        ([], "--scheduler needs --output, a directory"),
        (["--output", "out", "--scheduler", "head"], "--scheduler is 'head', expected an address"),
        (["--output", "out", "--scheduler", "foo://head:1"], "unknown address scheme 'foo'"),
    ):
        given = ["--input", "in.jsonl", "--scheduler", client.scheduler.address, *options]
        status, err = run("embed", *given)
        assert status == 2 and message in err and err.count("\n") == 1


def test_a_shipped_model(client, tmp_path):
    (tmp_path / "in.txt").write_text("The cat sat.\n")
    given = "embed", tmp_path / "in.txt", tmp_path / "out", client
    report = npbert.distributed.run(*given, model=Path("convbert-tiny"))
    assert report == (1, 1, 0)
    expected = npbert.encode("The cat sat.", "convbert-tiny")
    [found] = read(tmp_path / "out")["embedding"].to_pylist()
    assert found == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-5)


def test_partitions_are_all_of_a_file_in_order(tmp_path):
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "in.parquet", row_group_size=7)
    texts = [f"text {n}" if n % 5 else "" for n in range(23)]
    (tmp_path / "in.txt").write_text("\n".join(texts))
    for name, size in (("in.parquet", 10), ("in.parquet", 1000), ("in.txt", 4), ("in.txt", 23)):
        source = open_source(str(tmp_path / name), ("text",))
        found = []
        for part in npbert.distributed.partitions(source, size):
            lines = [line for batch in part.rows() for line in batch if line]
            assert len(lines) <= size
            assert [line for chunk, _ in part.chunks(3) for line in chunk] or not lines
            found += [(line.number, line.entry["text"]) for line in lines]
        expected = ROWS["text"] if name == "in.parquet" else texts
        assert found == [(n, text) for n, text in enumerate(expected, 1) if text]
