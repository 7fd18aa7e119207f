"""The quirks of the reference, one test each; those of loading are in test_loading_reference.py.

A quirk is where a port that did the obvious would give other numbers. Each test shows that npbert
does as the reference does and, where that alone would not show it, that the obvious is something
else.
"""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference_models import (
    DIFFERENT,
    HEADS,
    SMALL,
    assert_agrees,
    assert_disagrees,
    assert_same,
    errors,
    for_head,
    ids_of,
    largest_error,
    mask_with_zeros,
    npbert_class,
    random_ids,
    random_model,
    random_positions,
    reference,
    reference_class,
    reference_config,
    run,
    torch,
)

from npbert import activations, bert, convbert, kernels, ops
from npbert.model import config
from npbert.model.params import Node

pytestmark = pytest.mark.reference

CLASSES = [
    (family, head)
    for family in ("Bert", "ConvBert", "MobileBert")
    for head in ("Model", "ForMaskedLM")
]
each_class = pytest.mark.parametrize("family, head", CLASSES, ids="".join)
each_family = pytest.mark.parametrize("family", ["Bert", "ConvBert", "MobileBert"])
every_family = pytest.mark.parametrize("family", HEADS)
ZEROS = np.zeros(2, np.int64)


# ---- all families --------------------------------------------------------------------------


@each_family
def test_gelu_is_the_erf_form(family, monkeypatch):
    truth = reference(family, "Model", hidden_act="gelu")
    assert_agrees(truth, **ids_of(truth))
    monkeypatch.setitem(activations.ACTIVATIONS, "gelu", activations.gelu_tanh)
    got = truth.load("float64")(**ids_of(truth))
    assert largest_error(got, truth("float64", **ids_of(truth)), "float64") > 1e-5


@each_family
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wholly_masked_row_attends_to_all_tokens_equally(family, dtype, monkeypatch):
    """The smallest finite number is added at padding; minus infinity would give NaN."""
    truth = reference(family, "Model")
    inputs = ids_of(truth) | dict(attention_mask=mask_with_zeros(2, 9, 1), output_attentions=True)
    got, expected = truth.load(dtype)(**inputs), truth(dtype, **inputs)
    assert_same(got, expected, dtype)
    for attention in (*got.attentions, *expected["attentions"]):
        assert (attention[1] == np.asarray(1 / 9, dtype)).all()


def test_fused_attention_differs_on_wholly_masked_rows_alone():
    """Why the comparison pins eager attention: fused kernels let such rows attend to nothing."""
    truth = reference("Bert", "Model")
    fused = copy.deepcopy(truth.models["float64"])
    fused.set_attn_implementation("sdpa")
    inputs = ids_of(truth, B=3) | dict(attention_mask=mask_with_zeros(3, 9, 1))
    expected = run(fused, "float64", **inputs)["last_hidden_state"]
    off = np.abs(assert_agrees(truth, **inputs).last_hidden_state - expected).max(axis=(1, 2))
    assert off[0] < 1e-12 and off[1] > DIFFERENT and off[2] < 1e-12


@each_family
def test_what_is_added_at_padding_swallows_the_scores(family, monkeypatch):
    """-10000, as the first BERT had it, would leave a wholly masked row its differences."""
    truth = reference(family, "Model")
    inputs = ids_of(truth) | dict(attention_mask=mask_with_zeros(2, 9, 1))
    assert_agrees(truth, **inputs)
    right = ops.mask_bias
    monkeypatch.setattr(
        "npbert.model.inputs.mask_bias", lambda mask, dtype: np.maximum(right(mask, dtype), -10_000)
    )
    assert_disagrees(truth, **inputs)


@each_family
def test_any_number_but_zero_in_a_mask_counts(family):
    truth = reference(family, "Model")
    mask = np.array([[1, 1, 0, 0, 1], [0.5, -3, 7, 0, 1e-3]], np.float32)
    got = assert_agrees(truth, **ids_of(truth, 2, 5), attention_mask=mask)
    same = assert_agrees(truth, **ids_of(truth, 2, 5), attention_mask=mask != 0)
    assert np.array_equal(got.last_hidden_state, same.last_hidden_state)


@each_class
@pytest.mark.parametrize("wrong", [-1, 53])
def test_an_id_outside_the_vocabulary_is_an_error(family, head, wrong):
    """The reference fails deep inside; NumPy alone would take -1 for the last row, in silence."""
    truth = reference(family, head)
    assert truth.config.vocab_size == 53
    ids = np.array([[3, 4, 5], [6, wrong, 7]])
    with pytest.raises(IndexError):
        truth("float64", input_ids=ids)
    with pytest.raises(ValueError, match=rf"input_ids\[1, 1\] is {wrong}, expected 0 to 52"):
        truth.load("float64")(input_ids=ids)


@each_family
def test_token_types_are_added_where_nobody_gave_any(family):
    """A text without token types gets the embedding of type 0, not none."""
    truth = reference(family, "Model")
    got = assert_agrees(truth, **ids_of(truth))
    zeros = np.zeros((2, 9), np.int64)
    assert_same(assert_agrees(truth, **ids_of(truth), token_type_ids=zeros), got, "float64")


@each_family
def test_positions_do_not_skip_padding(family):
    truth = reference(family, "Model")
    mask = mask_with_zeros(2, 9, (0, slice(3)), (1, slice(3)))
    got = assert_agrees(truth, **ids_of(truth), attention_mask=mask)
    skipping = np.maximum(np.arange(9) - 3, 0)[None]
    other = assert_agrees(truth, **ids_of(truth), attention_mask=mask, position_ids=skipping)
    assert errors(other, got, "float64")["last_hidden_state"] > DIFFERENT


@each_family
def test_the_padding_token_has_an_embedding_that_counts(family):
    """nn.Embedding's padding_idx only starts that row at zero; a trained or loaded one is used."""
    truth = reference(family, "Model", pad_token_id=0)
    got = assert_agrees(truth, input_ids=np.zeros((1, 4), np.int64))
    assert truth.load("float64").params.embeddings.word_embeddings.weight[0].any()
    assert got.last_hidden_state.any()


@each_family
def test_positions_given_make_texts_longer_than_the_table_possible(family):
    truth = reference(family, "Model")
    inputs = ids_of(truth, 2, 30) | dict(token_type_ids=np.zeros((2, 30), np.int64))
    assert_agrees(truth, **inputs, position_ids=random_positions(truth.config, 2, 30))
    for call in (truth.load("float64"), lambda **given: truth("float64", **given)):
        with pytest.raises((ValueError, RuntimeError), match="30"):
            call(**inputs)


@each_family
def test_without_a_label_that_counts_the_loss_is_nan(family):
    truth = reference(family, "ForMaskedLM")
    got = assert_agrees(truth, **ids_of(truth), labels=np.full((2, 9), -100))
    assert np.isnan(got.loss) and got.loss.dtype == np.float64


@each_family
def test_the_loss_counts_padding_unless_its_labels_are_minus_100(family):
    truth = reference(family, "ForMaskedLM")
    mask = mask_with_zeros(2, 9, (1, slice(4, None)))
    labels = random_ids(truth.config, 2, 9, seed=5)
    everywhere = assert_agrees(truth, **ids_of(truth), attention_mask=mask, labels=labels)
    real = assert_agrees(
        truth, **ids_of(truth), attention_mask=mask, labels=np.where(mask == 1, labels, -100)
    )
    assert abs(everywhere.loss - real.loss) > DIFFERENT


@each_family
def test_the_feed_forward_in_chunks_gives_the_same(family):
    truth = reference(family, "Model", chunk_size_feed_forward=3)
    whole = reference(family, "Model")
    got = assert_agrees(truth, **ids_of(truth))
    assert_same(got, whole("float64", **ids_of(whole)), "float64")
    if family != "MobileBert":  # whose reference pays no heed to it
        with pytest.raises(ValueError):  # it wants chunks without a remainder; npbert does not
            truth("float64", **ids_of(truth, 2, 10))
    got = truth.load("float64")(**ids_of(truth, 2, 10))
    assert_same(got, whole("float64", **ids_of(whole, 2, 10)), "float64")


# ---- BERT ----------------------------------------------------------------------------------


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


# ---- ConvBERT ------------------------------------------------------------------------------


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


def test_bert_padding_changes_nothing_before_it():
    """The counterpart: BERT's padding is seen by nobody."""
    truth = reference("Bert", "Model")
    ids = ids_of(truth)["input_ids"]
    padded = assert_agrees(
        truth, input_ids=ids, attention_mask=mask_with_zeros(2, 9, (..., slice(6, 9)))
    )
    alone = assert_agrees(truth, input_ids=ids[:, :6])
    assert np.abs(padded.last_hidden_state[:, :6] - alone.last_hidden_state).max() < 1e-12


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


# ---- masks with more axes ------------------------------------------------------------------


@every_family
def test_a_mask_with_four_axes_is_added_as_it_is(family):
    """Numbers go to the scores: zeros and ones hide nothing, as 1 is added where it says "look"."""
    truth = reference(family, "Model")
    hiding = mask_with_zeros(2, 9, (0, slice(5)))
    bias = np.where(hiding, 0, np.finfo(np.float64).min)[:, None, None]
    plain = assert_agrees(truth, **ids_of(truth), attention_mask=hiding)
    assert_same(assert_agrees(truth, **ids_of(truth), attention_mask=bias), plain, "float64")
    ones = assert_agrees(truth, **ids_of(truth), attention_mask=hiding[:, None, None])
    assert largest_error(ones, plain, "float64") > DIFFERENT


@every_family
def test_booleans_with_four_axes_are_refused(family):
    """The reference adds 1 at each True, which is never what was meant."""
    truth = reference(family, "Model")
    hiding = mask_with_zeros(2, 9, (0, slice(5)))[:, None, None]
    as_numbers = truth("float64", **ids_of(truth), attention_mask=hiding)
    as_booleans = truth("float64", **ids_of(truth), attention_mask=hiding.astype(bool))
    assert_same(as_booleans, as_numbers, "float64")
    with pytest.raises(ValueError, match="given booleans"):
        truth.load("float64")(**ids_of(truth), attention_mask=hiding.astype(bool))


@every_family
def test_a_mask_with_three_axes_is_refused(family):
    """The reference takes one that hides nothing, as it then drops it, and fails on all others."""
    truth = reference(family, "Model")
    ones = np.ones((2, 9, 9), np.int64)
    expected = truth("float64", **ids_of(truth))
    assert_same(truth("float64", **ids_of(truth), attention_mask=ones), expected, "float64")
    hiding = ones.copy()
    hiding[0, 0, 0] = 0
    with pytest.raises(RuntimeError):
        truth("float64", **ids_of(truth), attention_mask=hiding)
    for mask in (ones, hiding):
        with pytest.raises(ValueError, match=r"has shape \[2, 9, 9\], expected \[2, 9\]"):
            truth.load("float64")(**ids_of(truth), attention_mask=mask)


# ---- heads ---------------------------------------------------------------------------------


@every_family
def test_the_first_labels_decide_on_the_problem_in_the_reference(family):
    """It writes what it inferred into its config; npbert infers anew at every call."""
    config = random_model(family, "ForSequenceClassification").config
    model = reference_class(family, "ForSequenceClassification")(config)
    ids = torch.zeros(2, 3, dtype=torch.long)
    model(ids, labels=torch.tensor([0, 1]))
    assert model.config.problem_type == "single_label_classification"
    truth = reference(family, "ForSequenceClassification")
    model = truth.load("float64")
    for labels in (np.array([0, 1]), np.array([[0, 0.5, 1], [1, 1, 0]], np.float32)):
        inputs = ids_of(truth) | dict(labels=labels)
        assert_same(model(**inputs), truth("float64", **inputs), "float64")
        assert model.config.problem_type is None


@every_family
def test_an_answer_beyond_the_text_does_not_count_and_one_below_counts_as_the_first(family):
    truth = reference(family, "ForQuestionAnswering")
    first = assert_agrees(truth, **ids_of(truth), start_positions=ZEROS, end_positions=ZEROS)
    below = assert_agrees(
        truth, **ids_of(truth), start_positions=np.array([-100, -1]), end_positions=ZEROS
    )
    assert first.loss == below.loss
    beyond = assert_agrees(
        truth, **ids_of(truth), start_positions=np.array([0, 9]), end_positions=ZEROS
    )
    assert abs(first.loss - beyond.loss) > DIFFERENT


@every_family
@pytest.mark.parametrize("labels", [1, 3])
def test_question_answering_has_two_labels(family, labels, tmp_path):
    """The reference makes other models, too, and fails when one is called."""
    model = random_model(family, "ForQuestionAnswering", num_labels=labels)
    with pytest.raises(ValueError, match="values to unpack"):
        model(torch.zeros(1, 3, dtype=torch.long))
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"num_labels is {labels}, expected 2"):
        npbert_class(family, "ForQuestionAnswering").from_pretrained(tmp_path)


@every_family
def test_a_loss_without_anything_that_counts_is_nan(family):
    truth = reference(family, "ForTokenClassification")
    assert np.isnan(assert_agrees(truth, **ids_of(truth), labels=np.full((2, 9), -100)).loss)


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


# ---- configs -------------------------------------------------------------------------------


@every_family
def test_a_model_without_layers(family):
    """It has no hidden states to show, not even the embeddings; SqueezeBERT's has these."""
    truth = reference(family, "Model", num_hidden_layers=0)
    inputs = dict(input_ids=random_ids(truth.config, 2, 9))
    inputs |= dict(output_hidden_states=True, output_attentions=True)
    expected, got = truth("float64", **inputs), truth.load("float64")(**inputs)
    assert_same(got, expected, "float64")
    assert got.attentions == () and len(got.hidden_states) == (family == "SqueezeBert")


@each_family
def test_the_defaults_of_the_config_are_those_of_the_reference(family):
    ours = getattr(config, f"{family}Config")().to_dict()
    theirs = reference_class(family, "Config")().to_dict()
    # The summary of ConvBERT's multiple choice is read where it is set, and not declared.
    ours = {name: value for name, value in ours.items() if not name.startswith("summary_")}
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.parametrize("family", ["Bert", "ConvBert"])  # of MobileBERT: in a file of its own
@pytest.mark.parametrize(
    "options",
    [
        dict(hidden_size=25),
        dict(hidden_size=26, num_attention_heads=4),
        dict(num_groups=5),
        dict(num_groups=3, intermediate_size=40),
        dict(hidden_size=20, num_attention_heads=8, head_ratio=1),
        dict(hidden_size=18, num_attention_heads=2, head_ratio=1, embedding_size=18),
        dict(hidden_size=18, num_attention_heads=6, head_ratio=2, embedding_size=18),
        dict(hidden_act="no such thing"),
        dict(conv_kernel_size=2),
        dict(head_ratio=1, num_attention_heads=5),
    ],
    ids=str,
)
def test_what_npbert_refuses_the_reference_cannot_run(family, options):
    own = {name for name in ("num_groups", "head_ratio", "conv_kernel_size", "embedding_size")}
    if family == "Bert":
        options = {name: value for name, value in options.items() if name not in own}
    try:
        getattr(config, f"{family}Config")(**{**SMALL, **options})
        refused = False
    except ValueError:
        refused = True
    try:
        model = reference_class(family, "Model")(reference_config(family, **options)).eval()
        model(torch.zeros(2, 9, dtype=torch.long))
        failed = False
    except Exception:  # of many kinds, from many depths
        failed = True
    assert refused == failed
