"""npbert/model/fingerprint.py: weights beside a config that they were not saved with."""

import json

import numpy as np
import pytest

from npbert import BertConfig, BertModel, ConvBertForMaskedLM
from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import weights_metadata, write_weights
from npbert.commands.conversion import convert
from npbert.model import base
from npbert.model.fingerprint import KEY


@pytest.fixture
def directory(tmp_path):
    config = BertConfig(vocab_size=8, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=4, max_position_embeddings=4)  # fmt: skip
    BertModel(config).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def edit(directory, **changes):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_another_config_of_the_same_shapes_is_named(directory):
    edit(directory, num_attention_heads=1, layer_norm_eps=1e-5)
    with pytest.warns(UserWarning) as caught:
        model = BertModel.from_pretrained(directory)
    (warning,) = caught
    assert str(warning.message) == (
        f"{directory / 'config.json'}: num_attention_heads is 1, but 2 where the weights were "
        "saved, layer_norm_eps is 1e-05, but 1e-12 where the weights were saved: changed by hand, "
        "or that of other weights"
    )
    assert warning.filename == __file__ and model.config.num_attention_heads == 1
    model.save_pretrained(directory)  # from now on they belong together
    assert BertModel.from_pretrained(directory).config.num_attention_heads == 1


def test_what_users_edit_is_theirs(directory):
    edit(directory, id2label={"0": "cat", "1": "dog", "2": "cow"}, problem_type="regression",
         hidden_dropout_prob=0.0, transformers_version="4", a_note="mine")  # fmt: skip
    assert BertModel.from_pretrained(directory).config.id2label[2] == "cow"
    assert BertModel.from_pretrained(directory, num_attention_heads=1, hidden_act="relu")


@pytest.mark.parametrize("metadata", [{}, {KEY: "{oops"}, {KEY: "[1]"}, {KEY: '{"new": 1}'}])
def test_weights_without_a_fingerprint(directory, metadata):
    """Checkpoints of others have none; one that cannot be read says nothing."""
    write_weights(directory, dict(safetensors.read(directory / "model.safetensors")), metadata)
    edit(directory, num_attention_heads=1)
    assert BertModel.from_pretrained(directory).config.num_attention_heads == 1
    np.savez(directory / "weights.npz", **safetensors.read(directory / "model.safetensors"))
    (directory / "model.safetensors").unlink()
    assert BertModel.from_pretrained(directory).config.num_attention_heads == 1


def test_files_that_change_while_they_are_read_are_read_again(directory, monkeypatch):
    """Where there are no locks, a save may fall between two files."""
    seen = []

    def racing(directory):
        seen.append(directory)
        return weights_metadata(directory) if len(seen) > 1 else {KEY: '{"hidden_act": "relu"}'}

    monkeypatch.setattr(base, "weights_metadata", racing)
    BertModel.from_pretrained(directory)
    assert len(seen) == 2


def test_a_converted_checkpoint_has_one(checkpoint, tmp_path):
    for dtype in (None, "float16"):
        convert(checkpoint, tmp_path / "new", dtype, force=True)
        assert ConvBertForMaskedLM.from_pretrained(tmp_path / "new")
        assert KEY in weights_metadata(tmp_path / "new")
    edit(tmp_path / "new", head_ratio=1, num_attention_heads=2)
    with pytest.warns(UserWarning, match="num_attention_heads is 2, but 4 where the weights were"):
        ConvBertForMaskedLM.from_pretrained(tmp_path / "new")
