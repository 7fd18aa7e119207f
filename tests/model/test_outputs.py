"""npbert/model/outputs.py: a result by attribute, key, index, slice and as a tuple."""

import dataclasses

import numpy as np
import pytest

from npbert.model.outputs import BaseModelOutputWithPooling, MaskedLMOutput

LOGITS = np.zeros((1, 2, 3))
STATES = (np.ones(1), np.zeros(1))


@pytest.fixture
def output():
    return MaskedLMOutput(logits=LOGITS, hidden_states=STATES)


def test_three_ways_to_one_field(output):
    assert output.logits is output["logits"] is output[0] is LOGITS
    assert output.hidden_states is output["hidden_states"] is output[1] is output[-1] is STATES


def test_what_is_none_is_skipped(output):
    assert output.loss is None and output.attentions is None
    assert list(output.keys()) == list(output) == ["logits", "hidden_states"]
    assert len(output) == 2 and "logits" in output and "loss" not in output
    assert output.to_tuple() == output[:] == tuple(output.values()) == (LOGITS, STATES)
    assert output[1:] == (STATES,)
    assert output.items() == [("logits", LOGITS), ("hidden_states", STATES)]
    assert dict(output) == {"logits": LOGITS, "hidden_states": STATES}


def test_a_loss_comes_first():
    loss = np.float32(1)
    assert MaskedLMOutput(loss, LOGITS)[0] is loss


@pytest.mark.parametrize("key", ["loss", "logit", ""])
def test_a_key_that_is_not_there_names_those_that_are(output, key):
    with pytest.raises(KeyError) as error:
        output[key]
    assert error.value.args == (f"{key!r}; this MaskedLMOutput has logits, hidden_states",)


def test_an_index_past_the_end(output):
    with pytest.raises(IndexError):
        output[2]


@pytest.mark.reference
@pytest.mark.parametrize("ours", [BaseModelOutputWithPooling, MaskedLMOutput])
def test_fields_are_those_of_the_reference(ours):
    theirs = pytest.importorskip("transformers.modeling_outputs")
    names = [field.name for field in dataclasses.fields(ours)]
    assert names == [*getattr(theirs, ours.__name__).__annotations__]
