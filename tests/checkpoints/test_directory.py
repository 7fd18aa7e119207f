"""npbert/checkpoints/directory.py: JSON files, the choice of a weight file, legacy names."""

import json
import os
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_files import tensor, write_zip

from npbert.checkpoints import directory, safetensors
from npbert.checkpoints.directory import (
    READERS,
    UNREADABLE,
    modern_names,
    read_json,
    read_weights,
    write_json,
    write_weights,
)

# ---- JSON ----------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
scalars = scalars.filter(lambda value: value not in (float("inf"), float("-inf")))
values = st.recursive(
    scalars,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=st.dictionaries(st.text(), values, max_size=4))
def test_json_round_trip(tmp_path, value):
    write_json(tmp_path, "config.json", value)
    got = read_json(tmp_path, "config.json")
    assert got == value and list(got) == list(value)


def test_json_bytes(tmp_path):
    write_json(tmp_path / "new" / "one", "config.json", {"b": 1, "a": ["é"]})
    written = (tmp_path / "new" / "one" / "config.json").read_bytes()
    assert written == '{\n  "b": 1,\n  "a": [\n    "é"\n  ]\n}\n'.encode()


@pytest.mark.parametrize(
    "content, message",
    [
        (b'{\n "a": 1,\n "b" 2}', "not JSON at line 3, column 6: Expecting ':' delimiter"),
        (b"", "not JSON at line 1, column 1: Expecting value"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b"[1]", "holds a list, expected a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", None),
    ],
)
def test_json_that_is_not(tmp_path, content, message):
    (tmp_path / "config.json").write_bytes(content)
    if message is None:  # Pythons differ in whether they take so long a number
        message = ""
        try:
            read_json(tmp_path, "config.json")
            return
        except ValueError:
            pass
    with pytest.raises(ValueError) as error:
        read_json(tmp_path, "config.json")
    assert type(error.value) is ValueError
    assert str(error.value).startswith(f"{tmp_path / 'config.json'}: {message}")


def test_json_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        read_json(tmp_path, "config.json")
    assert str(error.value) == f"{tmp_path}: no config.json"
    with pytest.raises(FileNotFoundError) as error:
        read_json(tmp_path / "absent", "config.json")
    assert str(error.value) == f"{tmp_path / 'absent'}: no such directory (no config.json)"


@pytest.mark.parametrize("value", [float("nan"), np.zeros(2), "\ud800"])
def test_what_json_does_not_have_is_not_written(tmp_path, value):
    (tmp_path / "config.json").write_text("old")
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path, "config.json", {"a": value})
    assert (tmp_path / "config.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_crash_leaves_the_old_json(tmp_path, monkeypatch):
    write_json(tmp_path, "config.json", {"a": 1})

    def crash(*args):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"), monkeypatch.context() as patched:
        patched.setattr(os, "replace", crash)
        write_json(tmp_path, "config.json", {"a": 2})
    assert read_json(tmp_path, "config.json") == {"a": 1}
    assert os.listdir(tmp_path) == ["config.json"]


# ---- weights -------------------------------------------------------------------------------


def test_weights_round_trip(tmp_path):
    tensors = {"dense.weight": np.ones((2, 3), np.float16), "dense.bias": np.arange(2.0)}
    directory = tmp_path / "made" / "here"
    write_weights(directory, tensors)
    got = read_weights(directory)
    assert got.keys() == tensors.keys() and got["dense.weight"].dtype == np.float16
    assert all((got[name] == tensors[name]).all() for name in tensors)
    assert os.listdir(directory) == ["model.safetensors"]
    # transformers refuses a file that does not say so
    assert safetensors.header(directory / "model.safetensors").metadata == {"format": "pt"}


def test_no_weights(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        read_weights(tmp_path)
    names = "model.safetensors, model.safetensors.index.json, weights.npz, pytorch_model.bin, "
    names += "pytorch_model.bin.index.json, tf_model.h5"
    assert str(error.value) == f"{tmp_path}: no weights: looked for {names}"
    with pytest.raises(FileNotFoundError, match=r"absent: no such directory \(no weights"):
        read_weights(tmp_path / "absent")


def test_weights_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "flax_model.msgpack").touch()
    with pytest.raises(FileNotFoundError) as error:
        read_weights(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: no weights: looked for model.safetensors, ")
    assert str(error.value).endswith("; npbert cannot read the flax_model.msgpack that is there")
    assert not set(UNREADABLE) & set(READERS)


def test_the_first_reader_whose_file_is_there_is_taken(tmp_path, monkeypatch):
    readers = {"b.bin": lambda path: {"b": path}, "a.bin": lambda path: {"a": path}}
    monkeypatch.setattr(directory, "READERS", readers)
    (tmp_path / "a.bin").touch()
    assert read_weights(tmp_path) == {"a": tmp_path / "a.bin"}
    (tmp_path / "b.bin").touch()
    assert read_weights(tmp_path) == {"b": tmp_path / "b.bin"}


def test_damaged_weights_name_the_file(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"model\.safetensors: 5 bytes long"):
        read_weights(tmp_path)


# ---- legacy names --------------------------------------------------------------------------


def test_legacy_spellings():
    names = {
        "bert.embeddings.LayerNorm.gamma": "bert.embeddings.LayerNorm.weight",
        "bert.encoder.layer.0.output.LayerNorm.beta": "bert.encoder.layer.0.output.LayerNorm.bias",
        "LayerNorm.gamma": "LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.weight": "cls.predictions.transform.LayerNorm.weight",
        # not LayerNorm's, not the end: left alone
        "encoder.scale.gamma": "encoder.scale.gamma",
        "LayerNorm.gamma.weight": "LayerNorm.gamma.weight",
        "beta": "beta",
        "embeddings.position_embeddings.weight": "embeddings.position_embeddings.weight",
        "my_embeddings.position_ids": "my_embeddings.position_ids",
        # dropped, under any prefix or none
        "bert.embeddings.position_ids": None,
        "embeddings.position_ids": None,
        "a.b.embeddings.position_ids": None,
    }
    got = modern_names({name: np.array(i) for i, name in enumerate(names)})
    kept = {new: i for i, new in enumerate(names.values()) if new is not None}
    assert {name: int(array) for name, array in got.items()} == kept


@pytest.mark.parametrize("order", [1, -1])
def test_both_spellings_of_one_tensor(tmp_path, order):
    names = ["a.LayerNorm.gamma", "a.LayerNorm.weight"][::order]
    tensors = {name: np.zeros(1) for name in names}
    message = "a.LayerNorm.weight is there twice, once under its legacy name"
    with pytest.raises(ValueError, match=message):
        modern_names(tensors)
    write_weights(tmp_path, tensors)
    with pytest.raises(ValueError, match=rf"model\.safetensors: {message}"):
        read_weights(tmp_path)


def test_legacy_names_are_understood_on_reading(tmp_path):
    write_weights(
        tmp_path,
        {"embeddings.position_ids": np.arange(4), "embeddings.LayerNorm.beta": np.zeros(2)},
    )
    assert list(read_weights(tmp_path)) == ["embeddings.LayerNorm.bias"]


# ---- prefixes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "module.model.", "model.module.", "module.module."]
)
def test_a_prefix_of_all_names_is_dropped_and_named(tmp_path, prefix):
    names = ["bert.pooler.dense.weight", "bert.embeddings.LayerNorm.gamma", "classifier.bias"]
    write_weights(tmp_path, {prefix + name: np.zeros(1) for name in names})
    message = f"the names of all 3 tensors began with {prefix!r}, which was dropped"
    with pytest.warns(UserWarning, match=message) as caught:
        got = read_weights(tmp_path)
    assert set(got) == {names[0], "bert.embeddings.LayerNorm.weight", names[2]}
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize("names", [["module.a", "b"], ["module.a", "model.b"], ["modules.a"], []])
def test_a_prefix_of_some_names_stays(tmp_path, names):
    write_weights(tmp_path, {name: np.zeros(1) for name in names})
    assert set(read_weights(tmp_path)) == {*names}


def test_a_training_checkpoint_of_a_wrapped_model(tmp_path):
    """What a training script saved of a model in DataParallel, beside other things."""
    weights = OrderedDict({"module.bert.pooler.dense.bias": tensor()})
    value = {"epoch": 3, "state_dict": weights}
    write_zip(tmp_path / "pytorch_model.bin", value, {"0": np.arange(6.0, dtype="<f4").tobytes()})
    with pytest.warns(UserWarning, match=r"began with 'module\.'"):
        assert list(read_weights(tmp_path)) == ["bert.pooler.dense.bias"]


# ---- what JSON does not have -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"a": NaN}', "a is nan, expected a finite number"),
        ('{"a": {"b": [1, -Infinity]}}', "a.b is -inf, expected a finite number"),
        ('{"a": 1e999}', "a is inf, expected a finite number"),
        ('{"a": 1' + "0" * 400 + ".5}", "a is inf, expected a finite number"),
        ('{"a": {"b": "x\\udc00"}}', "a.b has half of a surrogate pair: 'x\\udc00'"),
        ('{"a": {"\\uD800": 1}}', "the key '\\ud800' has half of a surrogate pair"),
        ('{"' + "k" * 5000 + '": NaN}', "'kkkkk"),
    ],
)
def test_what_could_not_be_written_again_is_not_read(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError) as error:
        read_json(tmp_path, "config.json")
    assert str(error.value).startswith(f"{tmp_path / 'config.json'}: not JSON: {message}")
    assert len(str(error.value)) < len(str(tmp_path)) + 400


def test_what_looks_like_it_is_read(tmp_path):
    value = {"NaN": "Infinity", "a": 1e300, "b": 10**350, "c": "\U0001f600", "\\ud800": "\\udc00"}
    (tmp_path / "config.json").write_text(json.dumps(value))
    assert read_json(tmp_path, "config.json") == value
