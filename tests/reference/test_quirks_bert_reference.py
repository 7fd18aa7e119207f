"""The quirks of BERT against the reference, one test each, as in test_quirks_reference.py."""

import numpy as np
import pytest
from reference_models import (
    assert_agrees,
    assert_disagrees,
    ids_of,
    mask_with_zeros,
    reference,
)

from npbert import activations, bert

pytestmark = pytest.mark.reference


def test_bert_masked_lm_head_obeys_hidden_act(monkeypatch):
    """Unlike ConvBERT's."""
    truth = reference("Bert", "ForMaskedLM", hidden_act="relu")
    assert_agrees(truth, **ids_of(truth))
    right = bert.masked_lm_head

    def with_gelu(x, p, config):
        monkeypatch.setitem(activations.ACTIVATIONS, "relu", activations.gelu)
        return right(x, p, config)

    monkeypatch.setattr(bert, "masked_lm_head", with_gelu)
    assert_disagrees(truth, **ids_of(truth))


def test_bert_masked_lm_head_has_one_bias_under_two_names():
    truth = reference("Bert", "ForMaskedLM")
    for tensors in (truth.models["float32"].state_dict(), truth.load("float32").state_dict()):
        assert tensors["cls.predictions.bias"] is not None
        assert (tensors["cls.predictions.bias"] == tensors["cls.predictions.decoder.bias"]).all()
    p = truth.load("float64").params.cls.predictions
    assert p.bias is p.decoder.bias


def test_bert_pooler_takes_the_first_token_even_where_it_is_padding():
    truth = reference("Bert", "Model")
    got = assert_agrees(truth, **ids_of(truth), attention_mask=mask_with_zeros(2, 9, (1, slice(4))))
    p = truth.load("float64").params.pooler
    assert np.array_equal(got.pooler_output, bert.pool(got.last_hidden_state[:, :1], p))


def test_bert_padding_changes_nothing_before_it():
    """The counterpart: BERT's padding is seen by nobody."""
    truth = reference("Bert", "Model")
    ids = ids_of(truth)["input_ids"]
    padded = assert_agrees(
        truth, input_ids=ids, attention_mask=mask_with_zeros(2, 9, (..., slice(6, 9)))
    )
    alone = assert_agrees(truth, input_ids=ids[:, :6])
    assert np.abs(padded.last_hidden_state[:, :6] - alone.last_hidden_state).max() < 1e-12
