"""The quirks of the reference in all families, one test each; those of one family have a file each.

A quirk is where a port that did the obvious would give other numbers. Each test shows that npbert
does as the reference does and, where that alone would not show it, that the obvious is something
else.
"""

import copy

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

from npbert import activations, ops
from npbert.model import config

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
