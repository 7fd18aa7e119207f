"""npbert/model/heads.py and npbert/auto.py: losses by hand, loading heads, choosing a family."""

import dataclasses
import json
import linecache
import math
import warnings

import numpy as np
import pytest
from small_models import HEADS, IDS, each_family, each_head, small_config, small_model

import npbert
from npbert import auto, bert
from npbert.checkpoints import safetensors
from npbert.model import outputs

CLASSIFIER = ["classifier.weight", "classifier.bias"]
ANSWER = ["qa_outputs.weight", "qa_outputs.bias"]
NEXT = ["cls.seq_relationship.weight", "cls.seq_relationship.bias"]
TRANSFORM = [
    "cls.predictions.transform.dense.weight",
    "cls.predictions.transform.dense.bias",
    "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.transform.LayerNorm.bias",
]
WORDS = [*TRANSFORM, "cls.predictions.bias"]
WORDS_OF_MOBILEBERT = [*TRANSFORM, "cls.predictions.dense.weight", "cls.predictions.bias"]
OF_MOST_FAMILIES = {
    "ForMaskedLM": WORDS,
    "ForSequenceClassification": CLASSIFIER,
    "ForMultipleChoice": CLASSIFIER,
    "ForTokenClassification": CLASSIFIER,
    "ForQuestionAnswering": ANSWER,
}
# Family and head: what a body lacks of it. The pooler is part of a bare model where it has one.
HEAD_TENSORS = {
    "Bert": OF_MOST_FAMILIES | {"ForPreTraining": WORDS + NEXT, "ForNextSentencePrediction": NEXT},
    "ConvBert": OF_MOST_FAMILIES
    | {
        "ForMaskedLM": [
            "generator_predictions.dense.weight",
            "generator_predictions.dense.bias",
            "generator_predictions.LayerNorm.weight",
            "generator_predictions.LayerNorm.bias",
            "generator_lm_head.bias",
        ],
        "ForSequenceClassification": [
            "classifier.dense.weight",
            "classifier.dense.bias",
            "classifier.out_proj.weight",
            "classifier.out_proj.bias",
        ],
    },
    "MobileBert": OF_MOST_FAMILIES
    | {
        "ForMaskedLM": WORDS_OF_MOBILEBERT,
        "ForPreTraining": WORDS_OF_MOBILEBERT + NEXT,
        "ForNextSentencePrediction": NEXT,
    },
    "SqueezeBert": OF_MOST_FAMILIES,
}
POOLER = ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
WITH_POOLER = [
    "ForPreTraining",
    "ForNextSentencePrediction",
    "ForSequenceClassification",
    "ForMultipleChoice",
]

each_new_head = pytest.mark.parametrize(
    "family, head", [(family, head) for family, heads in HEAD_TENSORS.items() for head in heads]
)


def test_the_table_has_every_head():
    for family, heads in HEADS.items():
        assert {"Model", *HEAD_TENSORS[family]} == set(heads)


def ids_for(head):
    return IDS[None] if head == "ForMultipleChoice" else IDS


def run(model):
    head = type(model).__name__
    return model(ids_for("ForMultipleChoice") if "Choice" in head else IDS)[0]


def load(family, head, directory, **options):
    """Load a checkpoint; return the model and the messages of all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = getattr(npbert, family + head).from_pretrained(directory, np.float64, **options)
    return model, [str(warning.message) for warning in caught]


def likelihood(scores, label):
    """The negative log likelihood of a label, in nats, by the definition."""
    return math.log(sum(math.exp(score) for score in scores)) - scores[label]


# ---- losses by hand ------------------------------------------------------------------------


@each_family
def test_loss_of_tokens(family):
    model = small_model(family, "ForTokenClassification", num_labels=3)
    output = model(IDS, labels=[[0, -100, 2, 1], [-100, -100, -100, 1]])
    scores = output.logits
    assert scores.shape == (2, 4, 3)
    counted = [(scores[0, 0], 0), (scores[0, 2], 2), (scores[0, 3], 1), (scores[1, 3], 1)]
    expected = sum(likelihood(*one) for one in counted) / 4
    assert output.loss == pytest.approx(expected, rel=1e-12)
    assert np.isnan(model(IDS, labels=np.full((2, 4), -100)).loss)


@each_family
def test_loss_of_classes(family):
    model = small_model(family, "ForSequenceClassification", num_labels=3)
    for problem in (None, "single_label_classification"):
        model.config.problem_type = problem
        output = model(IDS, labels=[2, 0])
        first, second = output.logits
        expected = (likelihood(first, 2) + likelihood(second, 0)) / 2
        assert output.loss == pytest.approx(expected, rel=1e-12)
        assert model(IDS, labels=[[2], [0]]).loss == output.loss
        alone = likelihood(second, 0)
        assert model(IDS, labels=[-100, 0]).loss == pytest.approx(alone, rel=1e-12)
    assert model.config.problem_type == "single_label_classification"


@each_family
def test_loss_of_a_number(family):
    model = small_model(family, "ForSequenceClassification", num_labels=1)
    output = model(IDS, labels=[1, -2])
    (a,), (b,) = output.logits
    assert output.loss == pytest.approx(((a - 1) ** 2 + (b + 2) ** 2) / 2, rel=1e-12)
    assert model(IDS, labels=[[1.0], [-2.0]]).loss == output.loss
    assert model(IDS, labels=[-100, -100]).loss > 1000  # a number like any other


@each_family
def test_loss_of_several_numbers(family):
    model = small_model(
        family, "ForSequenceClassification", num_labels=3, problem_type="regression"
    )
    labels = [[1, 2, 3], [4, 5, 6]]
    output = model(IDS, labels=labels)
    expected = sum((x - y) ** 2 for x, y in zip(output.logits.flat, np.array(labels).flat)) / 6
    assert output.loss == pytest.approx(expected, rel=1e-12)


@each_family
@pytest.mark.parametrize("problem", [None, "multi_label_classification"])
def test_loss_of_shares(family, problem):
    model = small_model(family, "ForSequenceClassification", num_labels=3, problem_type=problem)
    labels = np.array([[0, 1, 0.25], [1, 0, 0.5]])
    output = model(IDS, labels=labels)
    expected = 0
    for score, share in zip(output.logits.flat, labels.flat):
        yes = 1 / (1 + math.exp(-score))
        expected -= share * math.log(yes) + (1 - share) * math.log(1 - yes)
    assert output.loss == pytest.approx(expected / 6, rel=1e-12)
    whole = model(IDS, labels=labels > 0.3).loss  # booleans are yes or no
    assert whole == model(IDS, labels=(labels > 0.3).astype(float)).loss


def test_every_call_infers_the_problem_anew():
    """In the reference the first labels decide for all that come later."""
    model = small_model("Bert", "ForSequenceClassification", num_labels=2)
    classes = model(IDS, labels=[0, 1]).loss
    shares = model(IDS, labels=np.eye(2)).loss
    assert classes != shares
    assert model(IDS, labels=[0, 1]).loss == classes and model.config.problem_type is None


@each_family
def test_loss_of_an_answer(family):
    model = small_model(family, "ForQuestionAnswering")
    output = model(IDS, start_positions=[1, 2], end_positions=[3, 0])
    start, end = output.start_logits, output.end_logits
    assert start.shape == end.shape == (2, 4)
    starts = (likelihood(start[0], 1) + likelihood(start[1], 2)) / 2
    ends = (likelihood(end[0], 3) + likelihood(end[1], 0)) / 2
    assert output.loss == pytest.approx((starts + ends) / 2, rel=1e-12)
    column = model(IDS, start_positions=[[1], [2]], end_positions=[[3], [0]])
    assert column.loss == output.loss
    for beyond in (4, 5, 10**9):  # does not count
        got = model(IDS, start_positions=[beyond, 2], end_positions=[3, beyond]).loss
        expected = (likelihood(start[1], 2) + likelihood(end[0], 3)) / 2
        assert got == pytest.approx(expected, rel=1e-12)
    first = model(IDS, start_positions=[0, 2], end_positions=[3, 0]).loss
    for below in (-1, -100):  # counts as the first
        assert model(IDS, start_positions=[below, 2], end_positions=[3, below]).loss == first
    assert np.isnan(model(IDS, start_positions=[4, 4], end_positions=[0, 0]).loss)
    assert model(IDS, start_positions=[1, 2]).loss is None
    assert model(IDS, end_positions=[1, 2]).loss is None


@each_family
def test_loss_of_a_choice(family):
    model = small_model(family, "ForMultipleChoice")
    choices = np.stack([IDS, IDS[::-1], IDS + 1], axis=1)  # [2, 3, 4]
    output = model(choices, labels=[2, 0])
    assert output.logits.shape == (2, 3)
    expected = (likelihood(output.logits[0], 2) + likelihood(output.logits[1], 0)) / 2
    assert output.loss == pytest.approx(expected, rel=1e-12)
    states = model(choices, output_hidden_states=True).hidden_states
    assert states[-1].shape == (6, 4, 12)


def test_loss_of_pre_training():
    model = small_model("Bert", "ForPreTraining")
    words = [[-100, 9, -100, -100], [-100, -100, 0, -100]]
    output = model(IDS, labels=words, next_sentence_label=[1, 0])
    assert type(output) is npbert.BertForPreTrainingOutput
    scores, follows = output.prediction_logits, output.seq_relationship_logits
    assert scores.shape == (2, 4, 20) and follows.shape == (2, 2)
    expected = (likelihood(scores[0, 1], 9) + likelihood(scores[1, 2], 0)) / 2
    expected += (likelihood(follows[0], 1) + likelihood(follows[1], 0)) / 2
    assert output.loss == pytest.approx(expected, rel=1e-12)
    assert model(IDS, labels=words).loss is None
    assert model(IDS, next_sentence_label=[1, 0]).loss is None


def test_loss_of_the_next_sentence():
    model = small_model("Bert", "ForNextSentencePrediction")
    output = model(IDS, labels=[1, 0])
    expected = (likelihood(output.logits[0], 1) + likelihood(output.logits[1], 0)) / 2
    assert output.loss == pytest.approx(expected, rel=1e-12)
    assert model(IDS, labels=[1, -100]).loss == pytest.approx(
        likelihood(output.logits[0], 1), rel=1e-12
    )


@each_head
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_has_the_dtype_of_the_model(family, head, dtype):
    model = small_model(family, head, dtype=dtype)
    name = {"ForQuestionAnswering": "start_positions"}.get(head, "labels")
    labels = {name: IDS % 2 if head in ("ForMaskedLM", "ForTokenClassification") else [1, 0]}
    if head == "ForPreTraining":
        labels = dict(labels=IDS, next_sentence_label=[1, 0])
    if head == "ForQuestionAnswering":
        labels["end_positions"] = [3, 3]
    if head == "ForMultipleChoice":
        labels = dict(labels=[1])
    output = model(ids_for(head), **labels)
    assert all(field.dtype == dtype for field in output.values()) and output.loss.shape == ()
    as_tuple = model(ids_for(head), **labels, return_dict=False)
    assert isinstance(as_tuple, tuple) and as_tuple[0] == output.loss
    assert len(as_tuple) == len(output) == len(model(ids_for(head))) + 1


# ---- what a head computes ------------------------------------------------------------------


@pytest.mark.parametrize("head", WITH_POOLER)
def test_a_head_on_the_pooler_reads_the_first_token_alone(head):
    model = small_model("Bert", head)
    x = np.random.default_rng(0).normal(size=(2, 4, 12))
    other = x.copy()
    other[:, 1:] = 0
    found, same = model.head(x), model.head(other)
    if head == "ForPreTraining":
        found, same = found[1], same[1]
    np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize(
    "options, reads",
    [
        ({}, [3]),
        ({"summary_type": "last"}, [3]),
        ({"summary_type": "cls_index"}, [3]),
        ({"summary_type": "first"}, [0]),
        ({"summary_type": "mean"}, [0, 1, 2, 3]),
        ({"summary_type": "mean", "summary_use_proj": True}, [0, 1, 2, 3]),
    ],
)
def test_what_the_choices_of_convbert_are_summed_up_by(options, reads):
    """The last position by default, padding or not."""
    model = small_model("ConvBert", "ForMultipleChoice", **options)
    x = np.random.default_rng(0).normal(size=(2, 4, 12))
    for t in range(4):
        other = x.copy()
        other[:, t] += 1
        assert (model.head(other) != model.head(x)).any() == (t in reads)


def test_a_summary_by_hand():
    options = dict(summary_use_proj=True, summary_activation="tanh")
    model = small_model("ConvBert", "ForMultipleChoice", **options)
    x = np.random.default_rng(0).normal(size=(2, 4, 12))
    p = model.state_dict()
    summary = np.tanh(
        x[:, -1] @ p["sequence_summary.summary.weight"].T + p["sequence_summary.summary.bias"]
    )
    expected = summary @ p["classifier.weight"].T + p["classifier.bias"]
    np.testing.assert_allclose(model.head(x), expected, rtol=1e-12)


def test_a_summary_as_wide_as_there_are_labels():
    """The reference makes any such model, and can run it where that is the hidden width, too."""
    options = dict(summary_use_proj=True, summary_proj_to_labels=True)
    model = small_model("ConvBert", "ForMultipleChoice", **options, num_labels=12)
    assert model.state_dict()["sequence_summary.summary.weight"].shape == (12, 12)
    with pytest.raises(ValueError) as error:
        small_model("ConvBert", "ForMultipleChoice", **options, num_labels=3)
    assert str(error.value) == (
        "ConvBertConfig: summary_proj_to_labels with num_labels 3, expected hidden_size 12 for "
        "multiple choice"
    )
    small_model("ConvBert", "ForTokenClassification", **options, num_labels=3)  # has no summary


# ---- add_pooling_layer ---------------------------------------------------------------------


def test_a_body_without_a_pooler(tmp_path):
    settings = small_config("Bert")
    with_pooler = bert.BertModel(settings, seed=1, dtype=np.float64)
    without = bert.BertModel(settings, seed=1, dtype=np.float64, add_pooling_layer=False)
    assert "pooler_output" in with_pooler(IDS)
    assert list(without(IDS)) == ["last_hidden_state"] and without(IDS).pooler_output is None
    assert len(without(IDS, return_dict=False)) == 1
    assert with_pooler.num_parameters() - without.num_parameters() == 12 * 12 + 12
    np.testing.assert_array_equal(without(IDS)[0], with_pooler(IDS)[0])

    without.save_pretrained(tmp_path)
    again, messages = load("Bert", "Model", tmp_path, add_pooling_layer=False)
    assert not messages and not again.newly_initialized
    np.testing.assert_array_equal(again(IDS)[0], without(IDS)[0])
    again, messages = load("Bert", "Model", tmp_path)
    assert again.newly_initialized == ["pooler.dense.weight", "pooler.dense.bias"]
    assert len(messages) == 1 and "2 tensors: pooler.dense.weight, pooler.dense.bias" in messages[0]

    with_pooler.save_pretrained(tmp_path)
    again, messages = load("Bert", "Model", tmp_path, add_pooling_layer=False)
    assert not messages  # a pooler is a known part
    assert again(IDS).pooler_output is None and not hasattr(again.params, "pooler")


@each_head
@pytest.mark.parametrize("option", ["add_pooling_layer", "num_lables"])
def test_options_that_a_class_does_not_have(tmp_path, family, head, option):
    model = small_model(family, head)
    with pytest.raises(TypeError, match=option):
        type(model)(model.config, **{option: False})
    model.save_pretrained(tmp_path)
    with pytest.raises(TypeError, match=option):
        type(model).from_pretrained(tmp_path, **{option: False})


@pytest.mark.parametrize("head", ["ForSequenceClassification", "ForTokenClassification"])
@each_family
def test_number_of_labels(family, head):
    assert small_model(family, head)(IDS).logits.shape[-1] == 2
    assert small_model(family, head, num_labels=7)(IDS).logits.shape[-1] == 7
    assert (
        small_model(family, head, id2label={"0": "a", "1": "b", "2": "c"})(IDS).logits.shape[-1]
        == 3
    )


@each_family
def test_options_of_the_config_go_before_config_json(tmp_path, family):
    names = {0: "no", 1: "yes", 2: "both"}
    small_model(family, "Model", id2label=names).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="lacks 2 tensors: classifier"):
        model = npbert.AutoModelForTokenClassification.from_pretrained(
            tmp_path, num_labels=5, output_hidden_states=True
        )
    assert model(IDS).logits.shape == (2, 4, 5) and len(model(IDS).hidden_states) == 2
    assert model.config.id2label[4] == "LABEL_4" and model.config.num_labels == 5
    same = npbert.AutoConfig.from_pretrained(tmp_path, num_labels=3)
    assert same.id2label == names  # as many as there are: they keep their names
    named = npbert.AutoConfig.from_pretrained(tmp_path, id2label={0: "a"}, label2id=None)
    assert named.num_labels == 1 and named.label2id == {"a": 0}
    with pytest.raises(TypeError, match="Config has no option hiden_size, num_lables"):
        npbert.AutoConfig.from_pretrained(tmp_path, num_lables=3, hiden_size=4, hidden_act="relu")
    with pytest.raises(ValueError, match="num_hidden_layers is -1, expected 0 to 10000"):
        npbert.AutoModel.from_pretrained(tmp_path, num_hidden_layers=-1)


# ---- loading -------------------------------------------------------------------------------


@each_head
def test_round_trip(tmp_path, family, head):
    model = small_model(family, head)
    model.save_pretrained(tmp_path)
    again, messages = load(family, head, tmp_path)
    assert not messages and not again.newly_initialized and again.config.num_labels == 2
    np.testing.assert_array_equal(run(again), run(model))


@each_new_head
def test_a_bare_body_is_given_a_random_head(tmp_path, family, head):
    body = small_model(family, "Model")
    body.save_pretrained(tmp_path)
    model, messages = load(family, head, tmp_path, seed=3)
    new = HEAD_TENSORS[family][head]
    assert model.newly_initialized == new
    expected = f"the checkpoint lacks {len(new)} tensors: {', '.join(new)}; "
    assert len(messages) == 1 and "initialised" in messages[0] and expected in messages[0]
    np.testing.assert_array_equal(run(load(family, head, tmp_path, seed=3)[0]), run(model))
    state, saved = model.state_dict(), body.state_dict()
    prefix = type(model).base_model_prefix
    if family in ("Bert", "MobileBert") and head not in WITH_POOLER:
        saved = {name: array for name, array in saved.items() if not name.startswith("pooler.")}
    for name, array in saved.items():
        np.testing.assert_array_equal(state[f"{prefix}.{name}"], array)


@pytest.mark.parametrize("head", WITH_POOLER)
def test_a_body_without_a_pooler_is_given_one_with_the_head(tmp_path, head):
    bert.BertModel(small_config("Bert"), dtype=np.float64, add_pooling_layer=False).save_pretrained(
        tmp_path
    )
    model, messages = load("Bert", head, tmp_path)
    new = POOLER + HEAD_TENSORS["Bert"][head]
    assert model.newly_initialized == new
    assert len(messages) == 1 and f"lacks {len(new)} tensors: {', '.join(new)}; " in messages[0]


@pytest.mark.parametrize(
    "old, new, missing",
    [
        ("ForPreTraining", "ForMaskedLM", []),
        ("ForMaskedLM", "ForPreTraining", [*POOLER, *NEXT]),
        ("ForTokenClassification", "ForQuestionAnswering", ANSWER),
        ("ForNextSentencePrediction", "ForSequenceClassification", CLASSIFIER),
        ("ForTokenClassification", "ForSequenceClassification", POOLER),
        ("ForSequenceClassification", "ForTokenClassification", []),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_head(tmp_path, old, new, missing):
    """What fits is taken over, even a classifier of tokens by one of texts with as many labels.

    Tensors of a head that the family has are passed over without a word.
    """
    model = small_model("Bert", old)
    model.save_pretrained(tmp_path)
    other, messages = load("Bert", new, tmp_path)
    assert other.newly_initialized == missing
    assert len(messages) == bool(missing)
    for message in messages:
        assert "initialised them randomly" in message and ", ".join(missing) in message
    saved, state = model.state_dict(), other.state_dict()
    for name in saved.keys() & state.keys():
        np.testing.assert_array_equal(state[name], saved[name])


@each_family
def test_only_what_no_head_has_is_named(tmp_path, family):
    """Also where the encoder was saved alone, and where another class is the user's own."""

    class Own(getattr(npbert, f"{family}ForMaskedLM")):
        @classmethod
        def head_shapes(cls, config):
            return {**super().head_shapes(config), "own": {"weight": (1,)}}

    model = small_model(family, "ForMaskedLM")
    model.save_pretrained(tmp_path)
    tensors = dict(safetensors.read(tmp_path / "model.safetensors"))
    more = {"own.weight": np.zeros(1), "classifier.weight": np.zeros((7, 7))}
    safetensors.write(tmp_path / "model.safetensors", tensors | more)
    _, messages = load(family, "ForMaskedLM", tmp_path)
    assert len(messages) == 1
    assert messages[0].endswith(f"{family}ForMaskedLM does not use 1 tensor: own.weight")


def test_a_long_list_of_unused_tensors_is_cut(tmp_path):
    model = small_model("Bert", "Model")
    model.save_pretrained(tmp_path)
    tensors = dict(safetensors.read(tmp_path / "model.safetensors"))
    more = {f"{i:03}" + "x" * 1000: np.zeros(1) for i in range(100)} | {"a\nb": np.zeros(1)}
    safetensors.write(tmp_path / "model.safetensors", tensors | more)
    _, (message,) = load("Bert", "Model", tmp_path)
    assert "does not use 101 tensors: " in message and message.endswith(", and 71 more")
    assert len(message) < 10_000 and "\n" not in message


@pytest.mark.parametrize("chosen", [npbert.AutoModel, npbert.BertModel])
def test_a_warning_points_at_the_line_that_loads(tmp_path, chosen):
    small_model("Bert", "ForMaskedLM").save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="lacks 2 tensors: pooler") as caught:
        chosen.from_pretrained(tmp_path)
    assert [warning.filename for warning in caught] == [__file__]
    line = linecache.getline(__file__, caught[0].lineno)
    assert line.strip() == "chosen.from_pretrained(tmp_path)"


# ---- positions ---------------------------------------------------------------------------------


def asking_for(directory, kind):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"position_embedding_type": kind}))


@each_family
def test_embeddings_of_distances_are_refused(tmp_path, family):
    model = small_model(family, "Model")
    model.save_pretrained(tmp_path)
    for kind in ("relative_key", "relative_key_query", "x" * 5000):
        asking_for(tmp_path, kind)
        _, messages = load(family, "Model", tmp_path)
        assert len(messages) == 1 and len(messages[0]) < len(str(tmp_path)) + 400
        start = f"{tmp_path}: position_embedding_type is '{kind[:9]}"
        assert messages[0].startswith(start) and "npbert has absolute positions only" in messages[0]
    tensors = dict(safetensors.read(tmp_path / "model.safetensors"))
    name = "encoder.layer.0.attention.self.distance_embedding.weight"
    safetensors.write(tmp_path / "model.safetensors", tensors | {name: np.zeros((9, 4))})
    asking_for(tmp_path, "relative_key")
    with pytest.raises(
        ValueError, match=f"'relative_key', and the weights have {name}: npbert has"
    ):
        load(family, "Model", tmp_path)
    for kind in ("absolute", None):  # then the reference does not use them either
        asking_for(tmp_path, kind)
        _, messages = load(family, "Model", tmp_path)
        assert len(messages) == 1 and f"does not use 1 tensor: {name}" in messages[0]
    asking_for(tmp_path, 3)
    with pytest.raises(ValueError, match=r"json: .*position_embedding_type is 3, expected str"):
        load(family, "Model", tmp_path)


@each_family
def test_a_classifier_of_other_labels_does_not_fit(tmp_path, family):
    model = small_model(family, "ForTokenClassification", num_labels=5)
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"classifier.weight: is \[5, 12\], expected \[1, 12\]"):
        load(family, "ForMultipleChoice", tmp_path)


# ---- choosing by the checkpoint ------------------------------------------------------------

AUTO = {name.removeprefix("AutoModel"): name for name in npbert.__all__ if "AutoModelFor" in name}


@pytest.mark.parametrize("kind", [None, -1, "x" * 5000, [[0] * 999] * 99, {}, True])
def test_a_model_type_that_is_none(tmp_path, kind):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    for chosen in (npbert.AutoConfig, npbert.AutoModel):
        with pytest.raises(ValueError) as error:
            chosen.from_pretrained(tmp_path)
        assert str(error.value).startswith(f"{tmp_path / 'config.json'}: model_type is ")
        assert len(str(error.value)) < len(str(tmp_path)) + 600


def test_there_is_an_auto_class_for_every_head():
    assert {"Model", *AUTO} == {*HEADS["Bert"]}


@each_head
def test_the_family_is_chosen_by_the_checkpoint(tmp_path, family, head):
    model = small_model(family, head)
    model.save_pretrained(tmp_path)
    chosen = getattr(npbert, AUTO[head]).from_pretrained(tmp_path, dtype=np.float64)
    assert type(chosen) is type(model)
    np.testing.assert_array_equal(run(chosen), run(model))


def test_options_pass_through_an_auto_class(tmp_path):
    small_model("Bert", "Model").save_pretrained(tmp_path)
    model = npbert.AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert model(IDS).pooler_output is None


@pytest.mark.parametrize("head", ["ForPreTraining", "ForNextSentencePrediction"])
def test_a_head_that_the_family_does_not_have(tmp_path, head):
    small_model("ConvBert", "Model").save_pretrained(tmp_path)
    having = [family for _, family in auto.FAMILIES.values() if hasattr(npbert, f"{family}{head}")]
    assert "Bert" in having and "ConvBert" not in having
    with pytest.raises(ValueError) as error:
        getattr(npbert, AUTO[head]).from_pretrained(tmp_path)
    message = f"{tmp_path}: there is no ConvBert{head}; the families that have one are "
    assert str(error.value).startswith(message + ", ".join(having))


def test_squeezebert_was_pre_trained_on_masked_words_alone(tmp_path):
    """As in the reference, where this Auto class has no ConvBERT and that for SqueezeBERT."""
    small_model("SqueezeBert", "ForMaskedLM").save_pretrained(tmp_path)
    model = npbert.AutoModelForPreTraining.from_pretrained(tmp_path)
    assert type(model) is npbert.SqueezeBertForMaskedLM


def test_a_tokenizer_is_the_same_whatever_the_name():
    assert npbert.BertTokenizer is npbert.MobileBertTokenizer is npbert.SqueezeBertTokenizerFast
    assert issubclass(npbert.ConvBertTokenizer, npbert.BertTokenizer)


# ---- outputs -------------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize(
    "name",
    [
        "NextSentencePredictorOutput",
        "SequenceClassifierOutput",
        "MultipleChoiceModelOutput",
        "TokenClassifierOutput",
        "QuestionAnsweringModelOutput",
    ],
)
def test_fields_are_those_of_the_reference(name):
    theirs = pytest.importorskip("transformers.modeling_outputs")
    ours = getattr(outputs, name)
    names = [field.name for field in dataclasses.fields(ours)]
    assert names == [*getattr(theirs, name).__annotations__]


@pytest.mark.reference
def test_fields_of_pre_training_are_those_of_the_reference():
    theirs = pytest.importorskip("transformers.models.bert.modeling_bert")
    names = [field.name for field in dataclasses.fields(outputs.BertForPreTrainingOutput)]
    assert names == [*theirs.BertForPreTrainingOutput.__annotations__]
    assert issubclass(outputs.BertForPreTrainingOutput, outputs.ForPreTrainingOutput)
