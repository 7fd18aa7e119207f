"""A hundred thousand rows of a model of the Hub, killed in the middle; the same on a cluster."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs Dask (extra `dask`)")
pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")

import distributed
import numpy as np
import pyarrow
from pyarrow import parquet

import npbert.distributed

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("default")]

COUNT = 100_000
NAME = "some-org/some-bert"
COMMAND = ["embed", "--model", NAME, "--input", "in.parquet", "--output", "one.parquet"]


def test_embed_killed_in_the_middle_and_a_cluster_that_loses_a_worker(
    hub, directories, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    monkeypatch.setenv("PYTHONPATH", str(Path(npbert.__file__).parents[1]))
    hub.add(NAME, directories["embed"])
    texts = [f"the {'cat ' * (n % 7)}sat {n}" if n % 997 else "" for n in range(COUNT)]
    parquet.write_table(pyarrow.table({"id": [*range(COUNT)], "text": texts}), "in.parquet")
    errors = sum(not text for text in texts)

    process = subprocess.Popen([sys.executable, "-m", "npbert", *COMMAND, "--workers", "2"])
    while lines_of("one.parquet.unfinished") < COUNT // 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert lines_of("one.parquet.unfinished") < COUNT and not Path("one.parquet").exists()
    resumed = [sys.executable, "-m", "npbert", *COMMAND, "--workers", "2", "--resume"]
    assert subprocess.run(resumed).returncode == 1  # some rows have an error
    one = parquet.read_table("one.parquet")
    assert one["id"].to_pylist() == [*range(COUNT)]
    assert COUNT - one["error"].null_count == errors

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        pid = next(iter(client.run(os.getpid).values()))
        killing = threading.Thread(target=kill_on_the_way, args=(pid,), daemon=True)
        killing.start()
        report = npbert.distributed.run("embed", "in.parquet", "many", client, model=NAME)
        killing.join()
        assert pid not in client.run(os.getpid).values()
    assert report == (100, COUNT, errors) and Path("many", "_SUCCESS").exists()
    many = parquet.read_table("many")
    assert many.schema == one.schema
    assert many.drop(["embedding"]).equals(one.drop(["embedding"]))
    found, expected = (table["embedding"].combine_chunks() for table in (many, one))
    assert found.value_lengths().equals(expected.value_lengths())
    np.testing.assert_allclose(found.flatten(), expected.flatten(), rtol=1e-4, atol=1e-5)


def lines_of(path):
    return Path(path).read_bytes().count(b"\n") if Path(path).exists() else 0


def kill_on_the_way(pid):
    while len([*Path("many").glob("part-*")]) < 50:
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
