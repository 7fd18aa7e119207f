"""npbert/commands/conversion.py: every format as safetensors, nothing lost or overwritten."""

import errno
import json
import os
import sys

import numpy as np
import pytest
from torch_files import storage, tensor, write_older, write_zip

from npbert import ConvBertForMaskedLM
from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.commands import conversion

IDS = [[2, 5, 6, 4]]
DECODER = "generator_lm_head.weight"
EMBEDDINGS = "convbert.embeddings.word_embeddings.weight"


def in_format(checkpoint, file):
    """Rewrite the weights of a checkpoint in another format, the tied tensor included."""
    tensors = safetensors.read(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    tensors = {**tensors, DECODER: tensors[EMBEDDINGS]}
    if file == "weights.npz":
        np.savez(checkpoint / file, **tensors)
    elif file == "model.safetensors.index.json":
        names = list(tensors)
        weight_map = {name: f"{i % 2}.safetensors" for i, name in enumerate(names)}
        for shard in set(weight_map.values()):
            part = {name: tensors[name] for name in names if weight_map[name] == shard}
            safetensors.write(checkpoint / shard, part)
        (checkpoint / file).write_text(json.dumps({"weight_map": weight_map}))
    else:
        description, storages = {}, {}
        for i, (name, array) in enumerate(tensors.items()):
            strides = tuple(step // 4 for step in np.empty(array.shape, "f4").strides)
            of = storage(str(i), array.size)
            description[name] = tensor(array.shape, strides, of=of)
            storages[str(i)] = array.tobytes()
        if file == "zip":
            write_zip(checkpoint / "pytorch_model.bin", description, storages)
        else:
            older = {key: (len(content) // 4, content) for key, content in storages.items()}
            write_older(checkpoint / "pytorch_model.bin", description, older)
    return checkpoint


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("file", ["weights.npz", "model.safetensors.index.json", "zip", "older"])
def test_every_format_becomes_the_same_safetensors(checkpoint, tmp_path, file):
    logits = ConvBertForMaskedLM.from_pretrained(checkpoint)(IDS).logits
    original = (checkpoint / "model.safetensors").read_bytes()
    in_format(checkpoint, file)
    target = tmp_path / "made" / "here"
    tensors = conversion.convert(checkpoint, target)
    assert DECODER not in tensors  # it is tied, and equal
    assert (target / "model.safetensors").read_bytes() == original
    assert sorted(os.listdir(target)) == ["config.json", "model.safetensors", "vocab.txt"]
    for name in ("config.json", "vocab.txt"):
        assert (target / name).read_bytes() == (checkpoint / name).read_bytes()
    assert (ConvBertForMaskedLM.from_pretrained(target)(IDS).logits == logits).all()


def test_all_tensors_are_kept_whatever_head_they_belong_to(checkpoint, tmp_path):
    file = checkpoint / "model.safetensors"
    more = {"other.head.weight": np.ones((2, 2), np.float16), "counter": np.arange(3)}
    legacy = {"other.LayerNorm.gamma": np.ones(2), "convbert.embeddings.position_ids": np.arange(4)}
    safetensors.write(file, {**safetensors.read(file), **more, **legacy})
    conversion.convert(checkpoint, tmp_path / "new")
    got = safetensors.read(tmp_path / "new" / "model.safetensors")
    assert got.keys() - {"other.LayerNorm.weight", *more} == {
        name for name in safetensors.read(file) if name not in more and name not in legacy
    }
    assert got["other.head.weight"].dtype == np.float16 and got["counter"].dtype == np.int64


def test_tied_tensors_that_differ_are_kept(checkpoint, tmp_path):
    file = checkpoint / "model.safetensors"
    tensors = dict(safetensors.read(file))
    safetensors.write(file, {**tensors, DECODER: tensors[EMBEDDINGS] + 1})
    assert DECODER in conversion.convert(checkpoint, tmp_path / "differ")
    safetensors.write(file, {**tensors, DECODER: tensors[EMBEDDINGS]})
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    assert DECODER in conversion.convert(checkpoint, tmp_path / "untied")


def test_a_family_that_npbert_does_not_have(checkpoint, tmp_path):
    (checkpoint / "config.json").write_text('{"model_type": "other"}')
    got = conversion.convert(checkpoint, tmp_path / "new")
    assert got.keys() == safetensors.read(checkpoint / "model.safetensors").keys()


@pytest.mark.parametrize("dtype", conversion.DTYPES)
def test_dtypes(checkpoint, tmp_path, dtype):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))
    file = checkpoint / "model.safetensors"
    before = {**safetensors.read(file), "counter": np.arange(3)}
    safetensors.write(file, before)
    conversion.convert(checkpoint, tmp_path / "new", dtype)
    got = safetensors.read(tmp_path / "new" / "model.safetensors")
    assert got.keys() == before.keys() and got["counter"].dtype == np.int64
    for name in got.keys() - {"counter"}:
        assert got[name].dtype == dtype and (got[name] == before[name].astype(dtype)).all()
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config["dtype"] == dtype and "torch_dtype" not in config


def test_values_beyond_the_range_of_a_dtype(checkpoint, tmp_path):
    file = checkpoint / "model.safetensors"
    large = np.float32([1, -1e7, np.inf])
    safetensors.write(file, {**safetensors.read(file), "large": large})
    with pytest.raises(ValueError, match=r"tensor 'large': 1e\+07 is beyond the range of float16"):
        conversion.convert(checkpoint, tmp_path / "new", "float16")
    assert not (tmp_path / "new").exists()
    got = conversion.convert(checkpoint, tmp_path / "new", "float64")
    assert got["large"].tolist() == [1, -1e7, np.inf]


def test_the_tokenizer_comes_along(checkpoint, tmp_path):
    for name in conversion.COPIED:
        (checkpoint / name).write_text(f"contents of {name}")
    (checkpoint / "notes.txt").touch()
    conversion.convert(checkpoint, tmp_path / "new")
    expected = {"config.json", "model.safetensors", *conversion.COPIED}
    assert set(os.listdir(tmp_path / "new")) == expected
    for name in conversion.COPIED:
        assert (tmp_path / "new" / name).read_text() == f"contents of {name}"


def test_targets_that_are_refused(checkpoint, tmp_path):
    before = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    used = tmp_path / "used"
    used.mkdir()
    (used / "file").touch()
    for target, message in {
        checkpoint: "is the checkpoint itself, expected another directory",
        checkpoint / ".." / "checkpoint": "is the checkpoint itself",
        used: "is not empty; --force replaces the files of the same names",
        used / "file": "is a file, expected a directory to write to",
        "": "the path is empty, expected a directory to write to",
    }.items():
        for force in (False, True):
            if force and target == used:
                continue
            with pytest.raises(ValueError) as error:
                conversion.convert(checkpoint, target, force=force)
            assert str(error.value).startswith(f"{target}: {message}" if target else message)
    assert before == {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    assert os.listdir(used) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_a_link_to_the_source_is_the_source(checkpoint, tmp_path):
    (tmp_path / "link").symlink_to(checkpoint)
    with pytest.raises(ValueError, match="is the checkpoint itself"):
        conversion.convert(checkpoint, tmp_path / "link", force=True)


def test_force_replaces_files_of_the_same_names(checkpoint, tmp_path):
    target = tmp_path / "new"
    target.mkdir()
    conversion.convert(checkpoint, target)  # an empty directory is as good as none
    (target / "mine").touch()
    (target / "vocab.txt").write_text("old")
    conversion.convert(checkpoint, target, force=True)
    assert (target / "vocab.txt").read_bytes() == (checkpoint / "vocab.txt").read_bytes()
    assert (target / "mine").exists()


def test_a_failure_leaves_the_old_files(checkpoint, tmp_path, monkeypatch):
    target = tmp_path / "new"
    conversion.convert(checkpoint, target)
    before = {file.name: file.read_bytes() for file in target.iterdir()}

    def crash(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash)
        for directory in (target, tmp_path / "made" / "here"):
            with pytest.raises(OSError) as raised:
                conversion.convert(checkpoint, directory, "float64", force=True)
            file = directory / "model.safetensors"
            assert str(raised.value) == f"cannot write {file}: no space left on the disk"
    assert before == {file.name: file.read_bytes() for file in target.iterdir()}
    assert not (tmp_path / "made").exists()


def test_the_command(checkpoint, tmp_path, capsys):
    in_format(checkpoint, "zip")
    status, out, err = run(capsys, "convert", checkpoint, tmp_path / "new", "--dtype", "float16")
    tensors = safetensors.read(tmp_path / "new" / "model.safetensors")
    size = sum(array.nbytes for array in tensors.values())
    assert (status, err) == (0, "")
    assert out == f"{tmp_path / 'new'}: {len(tensors)} tensors, {size / 1e6:.1f} MB\n"
    assert {array.dtype for array in tensors.values()} == {np.dtype("float16")}
    status, out, err = run(capsys, "convert", checkpoint, tmp_path / "new")
    assert (status, out) == (2, "") and "is not empty" in err and err.count("\n") == 1
    assert run(capsys, "convert", checkpoint, tmp_path / "new", "--force")[0] == 0


@pytest.mark.parametrize("dtype", ["int8", "bfloat16", "nonsense", "O"])
def test_a_wrong_dtype_is_one_line_and_status_2(checkpoint, tmp_path, capsys, dtype):
    arguments = ("convert", checkpoint, tmp_path / "new", "--dtype", dtype)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "") and not (tmp_path / "new").exists()
    message = f"dtype is {dtype}, expected one of float16, float32, float64"
    assert err == f"npbert: error: {message}\n"


def test_what_cannot_be_read_is_one_line_and_status_2(checkpoint, tmp_path, capsys):
    status, _, err = run(capsys, "convert", tmp_path / "absent", tmp_path / "new")
    assert status == 2 and err.count("\n") == 1 and "absent" in err
    in_format(checkpoint, "zip")
    (checkpoint / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\n.")
    status, _, err = run(capsys, "convert", checkpoint, tmp_path / "new")
    assert status == 2 and err.count("\n") == 1 and "'os.system'" in err
    (checkpoint / "config.json").unlink()
    status, _, err = run(capsys, "convert", checkpoint, tmp_path / "new")
    assert status == 2 and "no config.json" in err and not (tmp_path / "new").exists()
