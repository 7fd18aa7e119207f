"""npbert/checkpoints/directory.py: weights in several files, and their index."""

import json

import numpy as np
import pytest
from torch_files import storage, tensor, write_zip

from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import READERS, read_shards, read_weights

A, B = np.arange(6.0, dtype=np.float32).reshape(2, 3), np.ones(2, np.float16)
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def write_index(directory, weight_map, name="model.safetensors.index.json"):
    index = {"metadata": {"total_size": 28}, "weight_map": weight_map}
    (directory / name).write_text(json.dumps(index))


@pytest.fixture
def sharded(tmp_path):
    safetensors.write(tmp_path / FIRST, {"a": A})
    safetensors.write(tmp_path / SECOND, {"b": B, "x.LayerNorm.gamma": B})
    write_index(tmp_path, {"a": FIRST, "b": SECOND, "x.LayerNorm.gamma": SECOND})
    return tmp_path


def refusal(directory, error=ValueError):
    with pytest.raises(error) as raised:
        read_weights(directory)
    message = str(raised.value)
    index = f"{directory / 'model.safetensors.index.json'}: "
    assert message.startswith(index) and "\n" not in message
    return message.removeprefix(index)


def test_shards_are_one_checkpoint(sharded):
    got = read_weights(sharded)
    assert list(got) == ["a", "b", "x.LayerNorm.weight"]
    assert (got["a"] == A).all() and got["b"].dtype == np.float16
    assert not got["a"].flags.owndata  # memory-mapped as a single file is


def test_shards_of_torch(tmp_path):
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    write_zip(tmp_path / names[0], {"a": tensor()}, {"0": A.tobytes()})
    two = tensor((2,), (1,), of=storage("0", 2, "HalfStorage"))
    write_zip(tmp_path / names[1], {"b": two}, {"0": B.tobytes()})
    weight_map = dict(zip("ab", names))
    write_index(tmp_path, weight_map, "pytorch_model.bin.index.json")
    got = read_weights(tmp_path)
    assert (got["a"] == A).all() and (got["b"] == B).all() and list(got) == ["a", "b"]


def test_a_shard_that_is_missing(sharded):
    (sharded / SECOND).unlink()
    assert refusal(sharded, FileNotFoundError) == f"the shard '{SECOND}' is missing"


@pytest.mark.parametrize("file", ["x" * 5000, "x/" * 5000 + "y"], ids=["x", "x/"])
def test_a_shard_with_a_name_that_no_file_can_have(sharded, file):
    write_index(sharded, {"a": file})
    found = refusal(sharded, FileNotFoundError)
    assert found.startswith("the shard '") and found.endswith("' is missing") and len(found) < 300


def test_one_file_in_many_spellings_is_read_once(sharded):
    safetensors.write(sharded / FIRST, {}, {"much": "text"})
    write_index(sharded, {str(i): "./" * i + FIRST for i in range(100)})
    reads = []

    def read(path):
        reads.append(path)
        return safetensors.read(path)

    with pytest.raises(ValueError, match="is not in its shard"):
        read_shards(sharded / "model.safetensors.index.json", read)
    assert len(reads) == 1


def test_a_tensor_that_is_not_in_its_shard(sharded):
    write_index(sharded, {"a": SECOND, "b": FIRST})
    assert refusal(sharded) == f"tensor 'b' is not in its shard '{FIRST}'"
    write_index(sharded, {"a": FIRST, "b": SECOND, "c": SECOND})
    assert refusal(sharded) == f"tensor 'c' is not in its shard '{SECOND}'"


def test_a_tensor_in_two_shards(sharded):
    safetensors.write(sharded / FIRST, {"a": A, "b": B})
    assert refusal(sharded) == f"tensor 'b' is in '{FIRST}' and in '{SECOND}'"


def test_a_damaged_shard_is_named(sharded):
    (sharded / SECOND).write_bytes(b"short")
    with pytest.raises(ValueError) as error:
        read_weights(sharded)
    assert str(error.value).startswith(f"{sharded / SECOND}: 5 bytes long")


@pytest.mark.parametrize(
    "file",
    ["../secret", "/etc/passwd", "a/../../b", "C:/x", "C:x", "\\\\host\\share", "..\\x", "", "a\0b",
     ".", 3, None, ["x"]],
)  # fmt: skip
def test_a_path_that_leaves_the_directory(sharded, file):
    directory = sharded / "below"
    directory.mkdir()
    safetensors.write(sharded / "secret", {"a": A})
    write_index(directory, {"a": file})
    assert (
        refusal(directory) == f"tensor 'a': its shard is {file!r}, expected a file beside the index"
    )


def test_a_folder_below_is_beside_the_index(tmp_path):
    (tmp_path / "shards").mkdir()
    safetensors.write(tmp_path / "shards" / FIRST, {"a": A})
    write_index(tmp_path, {"a": f"shards/{FIRST}"})
    assert list(read_weights(tmp_path)) == ["a"]


@pytest.mark.parametrize("weight_map", [None, [], "x", 3])
def test_an_index_without_a_map(sharded, weight_map):
    write_index(sharded, weight_map)
    assert refusal(sharded) == f"weight_map is {weight_map!r}, expected a JSON object"


def test_an_index_that_is_no_json(sharded):
    (sharded / "model.safetensors.index.json").write_text("{")
    assert refusal(sharded).startswith("not JSON at line 1")


def test_an_empty_map(sharded):
    write_index(sharded, {})
    assert read_weights(sharded) == {}


def test_the_order_of_preference(tmp_path):
    """One file before its shards, safetensors before what others wrote."""
    assert list(READERS) == [
        "model.safetensors",
        "model.safetensors.index.json",
        "weights.npz",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "tf_model.h5",
    ]
    write_zip(tmp_path / "pytorch_model.bin", {"torch": tensor()}, {"0": A.tobytes()})
    assert list(read_weights(tmp_path)) == ["torch"]
    np.savez(tmp_path / "weights.npz", numpy=A)
    assert list(read_weights(tmp_path)) == ["numpy"]
    safetensors.write(tmp_path / FIRST, {"shard": A})
    write_index(tmp_path, {"shard": FIRST})
    assert list(read_weights(tmp_path)) == ["shard"]
    safetensors.write(tmp_path / "model.safetensors", {"safetensors": A})
    assert list(read_weights(tmp_path)) == ["safetensors"]
