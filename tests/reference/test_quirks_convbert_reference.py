"""The quirks of ConvBERT against the reference, one test each, as in test_quirks_reference.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference_models import (
    DIFFERENT,
    assert_agrees,
    assert_disagrees,
    assert_same,
    errors,
    for_head,
    ids_of,
    mask_with_zeros,
    npbert_class,
    random_model,
    reference,
    torch,
)

from npbert import activations, convbert, kernels
from npbert.model import config
from npbert.model.params import Node

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(
    "attention_heads, ratio, left",
    [(4, 2, 2), (4, 1, 4), (5, 2, 2), (6, 3, 2), (2, 4, 1), (1, 2, 1)],
)
def test_convbert_heads_are_divided_by_the_ratio_and_one_is_left(attention_heads, ratio, left):
    truth = reference("ConvBert", "Model", num_attention_heads=attention_heads, head_ratio=ratio)
    got = assert_agrees(truth, **ids_of(truth), output_attentions=True)
    assert got.attentions[0].shape[1] == left
    query = truth.models["float32"].encoder.layer[0].attention.self.query
    assert query.weight.shape == (12, 24)  # (24 // left) // 2 channels for each head


def test_convbert_attention_heads_come_before_the_convolution_heads(monkeypatch):
    truth = reference("ConvBert", "Model")
    assert_agrees(truth, **ids_of(truth))
    right = convbert.mixed_attention

    def convolution_first(x, p, config, mask_bias):
        mixed, probs = right(x, p, config, mask_bias)
        return np.roll(mixed, 12, axis=-1), probs

    monkeypatch.setattr(convbert, "mixed_attention", convolution_first)
    assert_disagrees(truth, **ids_of(truth))


def test_convbert_padding_changes_what_stands_before_it():
    """Neither convolution sees the mask, in the reference as here."""
    truth = reference("ConvBert", "Model", num_hidden_layers=1, conv_kernel_size=5)
    ids = ids_of(truth)["input_ids"]
    inputs = dict(input_ids=ids, attention_mask=mask_with_zeros(2, 9, (..., slice(6, None))))
    for call in (truth.load("float64"), lambda **given: truth("float64", **given)):
        padded = call(**inputs)["last_hidden_state"][:, :6]
        alone = call(input_ids=ids[:, :6])["last_hidden_state"]
        moved = np.abs(padded - alone).max(axis=(0, 2)) > DIFFERENT
        # K//2 tokens see the padding beside them: in the span summary and in the windows.
        assert moved.tolist() == [False] * 4 + [True] * 2


def test_convbert_what_the_padding_token_is_changes_what_stands_before_it():
    truth = reference("ConvBert", "Model")
    ids = ids_of(truth)["input_ids"]
    mask = mask_with_zeros(2, 9, (..., slice(6, None)))
    got = assert_agrees(truth, input_ids=np.where(mask == 1, ids, 0), attention_mask=mask)
    other = assert_agrees(truth, input_ids=np.where(mask == 1, ids, 1), attention_mask=mask)
    difference = np.abs(got.last_hidden_state - other.last_hidden_state)[:, :6]
    assert difference.max() > DIFFERENT


def test_convbert_windows_are_channel_major(monkeypatch):
    truth = reference("ConvBert", "Model")
    assert_agrees(truth, **ids_of(truth))

    def kernel_major(values, filters):
        B, T, H, K = filters.shape
        padded = np.pad(values, ((0, 0), (K // 2, K // 2), (0, 0)))
        windows = np.stack([padded[:, k : k + T] for k in range(K)], axis=2)  # [B, T, K, A]
        return np.einsum("bthsk,bthk->bths", windows.reshape(B, T, H, -1, K), filters)

    monkeypatch.setattr(convbert, "dynamic_convolution", kernel_major)
    assert_disagrees(truth, **ids_of(truth))


def test_convbert_filters_are_multiplied_with_the_query_before_they_are_made(monkeypatch):
    truth = reference("ConvBert", "Model")
    assert_agrees(truth, **ids_of(truth))
    right = convbert.span_filters
    monkeypatch.setattr(
        convbert, "span_filters", lambda x, query, p, H: right(x, np.ones_like(query), p, H)
    )
    assert_disagrees(truth, **ids_of(truth))


def test_convbert_filters_are_not_flipped(monkeypatch):
    """What is called a convolution is a correlation: tap 0 looks at the token furthest back."""
    truth = reference("ConvBert", "Model")
    assert_agrees(truth, **ids_of(truth))
    monkeypatch.setattr(
        convbert,
        "dynamic_convolution",
        lambda values, filters: kernels.dynamic_convolution(values, filters[..., ::-1].copy()),
    )
    assert_disagrees(truth, **ids_of(truth))


def test_convbert_bias_of_the_span_summary_is_a_column():
    truth = reference("ConvBert", "Model")
    name = "encoder.layer.0.attention.self.key_conv_attn_layer.bias"
    assert truth.models["float32"].state_dict()[name].shape == (12, 1)
    assert truth.load("float32").state_dict()[name].shape == (12, 1)


def test_convbert_even_kernels_fail():
    """In the reference at the first call, in npbert when the config is made."""
    model = random_model("ConvBert", "Model", conv_kernel_size=4)
    with pytest.raises(RuntimeError):
        model(torch.zeros(2, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="conv_kernel_size is 4, expected an odd number"):
        config.ConvBertConfig(conv_kernel_size=4)


@pytest.mark.parametrize("T", [1, 2, 4, 5, 8, 9])
def test_convbert_texts_shorter_than_the_kernel_work(T):
    truth = reference("ConvBert", "ForMaskedLM", conv_kernel_size=9)
    assert_agrees(truth, **ids_of(truth, 2, T), output_hidden_states=True, output_attentions=True)


@pytest.mark.parametrize("width", [1, 23, 24, 25])
def test_convbert_projects_embeddings_only_where_the_widths_differ(width):
    truth = reference("ConvBert", "Model", embedding_size=width)
    assert_agrees(truth, **ids_of(truth))
    for tensors in (truth.models["float32"].state_dict(), truth.load("float32").state_dict()):
        assert ("embeddings_project.weight" in tensors) == (width != 24)


@pytest.mark.parametrize("groups", [2, 4])
def test_convbert_group_weights_are_not_transposed(groups, monkeypatch):
    # As wide as x, so that the transposed weight fits as well.
    truth = reference("ConvBert", "Model", num_groups=groups, intermediate_size=24)
    assert_agrees(truth, **ids_of(truth))
    right = convbert.grouped_linear

    def transposed(x, p):
        turned = Node("turned")
        turned.weight, turned.bias = p.weight.swapaxes(1, 2), p.bias
        return right(x, turned)

    monkeypatch.setattr(convbert, "grouped_linear", transposed)
    assert_disagrees(truth, **ids_of(truth))


@pytest.mark.parametrize("hidden_act", ["relu", "gelu_new", "silu"])
def test_convbert_masked_lm_head_is_the_exact_gelu_whatever_hidden_act_says(
    hidden_act, monkeypatch
):
    truth = reference("ConvBert", "ForMaskedLM", hidden_act=hidden_act)
    assert_agrees(truth, **ids_of(truth))
    monkeypatch.setattr(convbert, "gelu", activations.ACTIVATIONS[hidden_act])
    got, expected = truth.load("float64")(**ids_of(truth)), truth("float64", **ids_of(truth))
    assert errors(got, expected, "float64")["logits"] > 1e-5


@pytest.mark.parametrize("width", [10, 40])
def test_convbert_masked_lm_head_is_tied_at_the_width_of_the_embeddings(width):
    truth = reference("ConvBert", "ForMaskedLM", embedding_size=width)
    assert_agrees(truth, **ids_of(truth))
    p = truth.load("float64").params
    assert p.generator_lm_head.weight is p.convbert.embeddings.word_embeddings.weight
    assert p.generator_lm_head.weight.shape == (53, width)
    assert p.generator_predictions.dense.weight.shape == (width, 24)


def test_convbert_saved_as_a_bare_model_has_no_trained_head():
    """As YituTech/conv-bert-base was: the missing tensors are named, and the model remembers."""
    truth = reference("ConvBert", "Model")
    expected = [
        "generator_predictions.LayerNorm.weight",
        "generator_predictions.LayerNorm.bias",
        "generator_predictions.dense.weight",
        "generator_predictions.dense.bias",
        "generator_lm_head.bias",
    ]
    with pytest.warns(UserWarning) as caught:
        model = npbert_class("ConvBert", "ForMaskedLM").from_pretrained(truth.directory.name)
    assert len(caught) == 1
    assert all(name in str(caught[0].message) for name in expected)
    assert sorted(model.newly_initialized) == sorted(expected)


def test_convbert_early_configs_say_conv_bert(tmp_path):
    truth = reference("ConvBert", "Model")
    shutil.copytree(truth.directory.name, tmp_path, dirs_exist_ok=True)
    file = Path(tmp_path, "config.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "conv_bert"}))
    got = npbert_class("ConvBert", "Model").from_pretrained(tmp_path, "float64")(**ids_of(truth))
    assert_same(got, truth("float64", **ids_of(truth)), "float64")


def test_convbert_masked_lm_of_the_reference_has_no_tuple_by_config():
    """return_dict=False in the config breaks the reference; npbert returns the tuple."""
    truth = reference("ConvBert", "ForMaskedLM", return_dict=False)
    with pytest.raises(AttributeError):
        truth("float64", **ids_of(truth))
    assert isinstance(truth.load("float64")(**ids_of(truth)), tuple)


@pytest.mark.parametrize("summary_type", ["last", "cls_index"])
def test_choices_of_convbert_are_summed_up_by_the_last_position(summary_type, monkeypatch):
    """Padding or not: a padded text is summed up by its padding."""
    truth = reference("ConvBert", "ForMultipleChoice", summary_type=summary_type)
    mask = mask_with_zeros(2, 9, (0, slice(5, None)))
    inputs = for_head("ForMultipleChoice", ids_of(truth) | dict(attention_mask=mask))
    assert_agrees(truth, **inputs)
    monkeypatch.setattr(convbert, "sequence_summary", lambda x, p, config: x[:, 0])
    assert_disagrees(truth, **inputs)


def test_the_classifier_of_convbert_reads_the_first_token_and_has_no_pooler(monkeypatch):
    truth = reference("ConvBert", "ForSequenceClassification", hidden_act="relu")
    assert_agrees(truth, **ids_of(truth))
    monkeypatch.setitem(activations.ACTIVATIONS, "relu", np.tanh)  # as in a pooler
    assert not any("pooler" in name for name in truth.load("float64").state_dict())
    assert_disagrees(truth, **ids_of(truth))
