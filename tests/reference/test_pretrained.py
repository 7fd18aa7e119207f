"""Published values of the original checkpoints, for whoever has the files.

Set NPBERT_PRETRAINED to a folder with the directories of the checkpoints, named as on the hub
(FOLDER/google/mobilebert-uncased/config.json, ...); those that are not there are skipped.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import npbert

pytestmark = pytest.mark.pretrained


def checkpoint(name):
    folder = os.environ.get("NPBERT_PRETRAINED")
    if not folder or not Path(folder, name).is_dir():
        pytest.skip(f"needs {name} in the folder that NPBERT_PRETRAINED names")
    return Path(folder, name)


def test_conv_bert_base():
    model = npbert.ConvBertModel.from_pretrained(checkpoint("YituTech/conv-bert-base"))
    output = model([[1, 2, 3, 4, 5, 6]])
    expected = [-0.0864, -0.4898, -0.3677]
    np.testing.assert_allclose(output.last_hidden_state[0, 0, :3], expected, atol=1e-4)


def test_conv_bert_base_has_no_trained_head():
    with pytest.raises(ValueError, match=r"generator_predictions\.dense\.weight"):
        npbert.fill_mask("a [MASK]", checkpoint("YituTech/conv-bert-base"))


def test_squeezebert_mnli():
    directory = checkpoint("squeezebert/squeezebert-mnli")
    model = npbert.SqueezeBertForSequenceClassification.from_pretrained(directory)
    output = model([[1, 29414, 232, 328, 740, 1140, 12695, 69, 13, 1588, 2]])
    np.testing.assert_allclose(output.logits[0], [0.6401, -0.0349, -0.6041], atol=1e-4)


def test_mobilebert_uncased():
    model = npbert.MobileBertModel.from_pretrained(checkpoint("google/mobilebert-uncased"))
    output = model([[101, 7110, 1005, 1056, 2023, 11333, 17413, 1029, 102]])
    expected = [-2.4736526e7, 8.2691656e4, 1.6521838e5]
    np.testing.assert_allclose(output.last_hidden_state[0, 0, :3], expected, rtol=1e-3)


def test_mobilebert_uncased_fills_a_mask():
    directory = checkpoint("google/mobilebert-uncased")
    candidates = npbert.fill_mask("the man worked as a [MASK].", directory)
    found = [candidate["token_str"] for candidate in candidates]
    assert found == ["carpenter", "waiter", "mechanic", "teacher", "clerk"]
