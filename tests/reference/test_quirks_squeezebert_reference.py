"""The quirks of SqueezeBERT against the reference, as in test_quirks_reference.py."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from reference_models import (
    HEADS,
    SMALL,
    assert_agrees,
    assert_disagrees,
    assert_same,
    from_reference_checkpoint,
    ids_of,
    mask_with_zeros,
    npbert_class,
    reference,
    reference_class,
    reference_config,
    run,
    torch,
)

from npbert import ops, squeezebert
from npbert.checkpoints import safetensors
from npbert.model import config

pytestmark = pytest.mark.reference

GROUPS = ["q_groups", "k_groups", "v_groups", "post_attention_groups", "intermediate_groups",
          "output_groups"]  # fmt: skip
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
each_head = pytest.mark.parametrize("head", HEADS["SqueezeBert"])


# ---- attention -----------------------------------------------------------------------------


@each_dtype
def test_attentions_are_the_scores_before_the_softmax(dtype):
    truth = reference("SqueezeBert", "Model")
    inputs = ids_of(truth) | dict(
        attention_mask=mask_with_zeros(2, 9, (1, slice(5, None))), output_attentions=True
    )
    got, expected = truth.load(dtype)(**inputs), truth(dtype, **inputs)
    assert_same(got, expected, dtype)
    for scores in (*got.attentions, *expected["attentions"]):
        assert scores.min(where=scores > -1e38, initial=0) < -1  # a share is never negative
        # At padding the smallest number has swallowed the score: no digit of it is left.
        assert (scores[1, :, :, 5:] == np.finfo(dtype).min).all()
        assert (np.abs(scores[1, :, :, :5]) < 1e3).all() and (np.abs(scores[0]) < 1e3).all()
        np.testing.assert_allclose(ops.softmax(scores).sum(axis=-1), 1, rtol=1e-6)


def test_in_every_other_family_they_are_the_shares():
    for family in ("Bert", "ConvBert", "MobileBert"):
        truth = reference(family, "Model")
        shares = assert_agrees(truth, **ids_of(truth), output_attentions=True).attentions[0]
        np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-12)


@each_dtype
def test_a_wholly_masked_row_attends_to_all_tokens_equally(dtype):
    truth = reference("SqueezeBert", "Model")
    inputs = ids_of(truth) | dict(attention_mask=mask_with_zeros(2, 9, 1), output_attentions=True)
    got, expected = truth.load(dtype)(**inputs), truth(dtype, **inputs)
    assert_same(got, expected, dtype)
    for scores in (*got.attentions, *expected["attentions"]):
        assert (scores[1] == np.finfo(dtype).min).all()
        assert (ops.softmax(scores[1]) == np.asarray(1 / 9, dtype)).all()


def test_groups_may_cut_through_heads():
    """Groups divide the channels and heads divide the channels: neither knows of the other."""
    truth = reference("SqueezeBert", "Model", num_attention_heads=2, q_groups=3, k_groups=8)
    assert_agrees(truth, **ids_of(truth), output_attentions=True)


def test_padding_changes_nothing_before_it():
    """A convolution one token wide sees no neighbour: unlike ConvBERT's, it needs no mask."""
    truth = reference("SqueezeBert", "Model")
    ids = ids_of(truth)["input_ids"]
    padded = assert_agrees(
        truth, input_ids=ids, attention_mask=mask_with_zeros(2, 9, (..., slice(6, 9)))
    )
    alone = assert_agrees(truth, input_ids=ids[:, :6])
    assert np.abs(padded.last_hidden_state[:, :6] - alone.last_hidden_state).max() < 1e-12


# ---- norms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.1])
def test_epsilon_in_the_encoder_is_hard_coded(eps, monkeypatch):
    truth = reference("SqueezeBert", "ForMaskedLM", layer_norm_eps=eps)
    assert_agrees(truth, **ids_of(truth))
    body = truth.models["float32"].transformer
    assert body.embeddings.LayerNorm.eps == eps
    for block in body.encoder.layers:
        assert block.post_attention.layernorm.eps == block.output.layernorm.eps == 1e-12
    if eps == 0.1:
        monkeypatch.setattr(squeezebert, "ENCODER_EPS", eps)
        assert_disagrees(truth, **ids_of(truth))


def test_epsilon_of_embeddings_and_head_is_the_config_s(monkeypatch):
    truth = reference("SqueezeBert", "ForMaskedLM", layer_norm_eps=0.1)
    assert_agrees(truth, **ids_of(truth))
    right = squeezebert.layer_norm
    monkeypatch.setattr(squeezebert, "layer_norm", lambda x, p, eps: right(x, p, 1e-12))
    assert_disagrees(truth, **ids_of(truth))


# ---- names and shapes ----------------------------------------------------------------------


def test_names_and_shapes_of_a_block():
    truth = reference("SqueezeBert", "ForMaskedLM")  # groups 2, 3, 4, 6, 4, 2 of 24 and 40 channels
    expected = {
        "attention.query.weight": (24, 12, 1),
        "attention.key.weight": (24, 8, 1),
        "attention.value.weight": (24, 6, 1),
        "post_attention.conv1d.weight": (24, 4, 1),
        "post_attention.layernorm.weight": (24,),
        "intermediate.conv1d.weight": (40, 6, 1),
        "output.conv1d.weight": (24, 20, 1),
        "output.layernorm.bias": (24,),
    }
    for tensors in (truth.models["float32"].state_dict(), truth.load("float32").state_dict()):
        block = {name: tensors[f"transformer.encoder.layers.1.{name}"].shape for name in expected}
        assert {name: tuple(shape) for name, shape in block.items()} == expected
        assert "transformer.encoder.layers.2.output.layernorm.bias" not in tensors


@each_head
def test_the_pooler_belongs_to_the_body(head):
    """Also where no head asks for it: masked words, tokens, answers."""
    truth = reference("SqueezeBert", head)
    prefix = "" if head == "Model" else "transformer."
    names = set(truth.load("float32").state_dict())
    assert {f"{prefix}pooler.dense.weight", f"{prefix}pooler.dense.bias"} <= names
    assert names == set(truth.models["float32"].state_dict())
    assert truth.load("float32").num_parameters() == truth.models["float32"].num_parameters()


def test_masked_lm_head_has_one_bias_under_two_names():
    p = reference("SqueezeBert", "ForMaskedLM").load("float64").params
    assert p.cls.predictions.bias is p.cls.predictions.decoder.bias
    assert p.cls.predictions.decoder.weight is p.transformer.embeddings.word_embeddings.weight


def test_pooler_takes_the_first_token_even_where_it_is_padding():
    truth = reference("SqueezeBert", "Model")
    got = assert_agrees(truth, **ids_of(truth), attention_mask=mask_with_zeros(2, 9, (1, slice(4))))
    p = truth.load("float64").params.pooler
    assert np.array_equal(got.pooler_output, squeezebert.pool(got.last_hidden_state[:, :1], p))


# ---- loading -------------------------------------------------------------------------------


def without(directory, tmp_path, *beginnings):
    """Copy a checkpoint without the tensors whose names begin so."""
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "model.safetensors"
    tensors = {n: np.array(a) for n, a in safetensors.read(file).items()}
    kept = {n: a for n, a in tensors.items() if not n.startswith(beginnings)}
    assert len(kept) < len(tensors)
    file.unlink()
    safetensors.write(file, kept)
    return tmp_path


def newly_initialised(head, directory):
    """Load quietly; return npbert's model and what it and the reference had to make up."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = npbert_class("SqueezeBert", head).from_pretrained(directory, "float64")
    _, info = reference_class("SqueezeBert", head).from_pretrained(
        directory, output_loading_info=True
    )
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    theirs = set(info["missing_keys"]) - tied
    ours = set(model.newly_initialized)
    assert len(caught) == bool(ours) and all(n in str(caught[0].message) for n in ours)
    return model, ours, theirs


@each_head
def test_a_body_without_pooler(head, tmp_path):
    """It loads, and the pooler is reported as new, into whatever class."""
    truth = reference("SqueezeBert", head)
    prefix = "" if head == "Model" else "transformer."
    directory = without(truth.directory.name, tmp_path, f"{prefix}pooler.")
    model, ours, theirs = newly_initialised(head, directory)
    assert ours == theirs == {f"{prefix}pooler.dense.weight", f"{prefix}pooler.dense.bias"}
    if head in ("ForMaskedLM", "ForTokenClassification", "ForQuestionAnswering"):  # need no pooler
        assert_same(model(**ids_of(truth)), truth("float64", **ids_of(truth)), "float64")


@each_head
def test_a_bare_body_in_a_head(head):
    truth = reference("SqueezeBert", "Model")
    model, ours, theirs = newly_initialised(head, truth.directory.name)
    assert ours == theirs and bool(ours) == (head != "Model")
    assert not any("pooler" in name for name in ours)
    body = model.params if head == "Model" else model.params.transformer
    pooler = truth.models["float64"].state_dict()["pooler.dense.weight"].numpy()
    assert np.array_equal(body.pooler.dense.weight, pooler)


@pytest.mark.parametrize("head", ["Model", "ForTokenClassification"])
def test_weights_of_another_head(head):
    """As the published masked-LM checkpoint loads elsewhere: body and pooler come along."""
    truth = reference("SqueezeBert", "ForMaskedLM")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = npbert_class("SqueezeBert", head).from_pretrained(truth.directory.name, "float64")
    messages = " ".join(str(warning.message) for warning in caught)
    assert ("initialised" in messages) == (head != "Model") == len(caught)
    theirs = from_reference_checkpoint("SqueezeBert", head, truth.directory.name)["float64"]
    if head == "Model":
        expected = run(theirs, "float64", **ids_of(truth))
        assert_same(model(**ids_of(truth)), expected, "float64")
    assert sorted(model.newly_initialized) == (
        [] if head == "Model" else ["classifier.bias", "classifier.weight"]
    )


@each_head
def test_what_npbert_saves_the_reference_loads(head, tmp_path):
    truth = reference("SqueezeBert", head)
    truth.load("float32").save_pretrained(tmp_path)
    theirs = from_reference_checkpoint("SqueezeBert", head, tmp_path)["float32"].state_dict()
    for name, tensor in truth.models["float32"].state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def test_more_ids_than_word_pieces(tmp_path):
    """As published: vocab_size 30528, 30522 lines of vocabulary; the others are no answers."""
    from npbert import fill_mask

    truth = reference("SqueezeBert", "ForMaskedLM")
    shutil.copytree(truth.directory.name, tmp_path, dirs_exist_ok=True)
    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK]".split()
    pieces += [f"piece{i}" for i in range(SMALL["vocab_size"] - 3 - len(pieces))]
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    found = fill_mask("piece0 [MASK] piece1", tmp_path, top_k=SMALL["vocab_size"])
    assert sorted(result["token"] for result in found) == [*range(len(pieces))]
    assert {result["token_str"] for result in found} == {*pieces}


# ---- configs -------------------------------------------------------------------------------


def test_the_defaults_of_the_config_are_those_of_the_reference():
    ours = config.SqueezeBertConfig().to_dict()
    theirs = reference_class("SqueezeBert", "Config")().to_dict()
    assert ours == {name: theirs[name] for name in ours}
    declared = set(reference_class("SqueezeBert", "Config").__annotations__) - {"model_type"}
    assert declared <= set(ours)


@pytest.mark.parametrize("name", ["classifier_dropout", "is_decoder", "add_cross_attention"])
def test_what_the_config_of_this_family_does_not_know_is_kept_and_saved(name, tmp_path):
    assert not hasattr(reference_class("SqueezeBert", "Config")(), name)
    settings = config.SqueezeBertConfig.from_dict({name: True})
    assert settings.other == {name: True} and settings.to_dict()[name] is True
    settings.save_pretrained(tmp_path)
    assert config.SqueezeBertConfig.from_pretrained(tmp_path) == settings
    assert json.loads(Path(tmp_path, "config.json").read_text())[name] is True


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(embedding_size=12), "embedding_size 12 is not hidden_size 24"),
        (dict(num_attention_heads=5), "24 is not a multiple of num_attention_heads 5"),
        *(({name: 5}, f"hidden_size 24 is not a multiple of {name} 5") for name in GROUPS),
        (dict(intermediate_groups=3), "intermediate_size 40 is not a multiple of"),
        (dict(output_groups=12), "intermediate_size 40 is not a multiple of output_groups 12"),
        *(({name: 0}, f"{name} is 0, expected >= 1") for name in GROUPS),
        *(({name: -2}, f"{name} is -2, expected >= 1") for name in GROUPS),
        (dict(hidden_act="no such thing"), "hidden_act is 'no such thing'"),
    ],
    ids=str,
)
def test_what_npbert_refuses_the_reference_cannot_run(options, message):
    small = {**SMALL, **dict.fromkeys(GROUPS, 2), "embedding_size": 24}
    config.SqueezeBertConfig(**small)
    with pytest.raises(ValueError, match=message):
        config.SqueezeBertConfig(**small | options)
    with pytest.raises((RuntimeError, ValueError, AssertionError, KeyError, ZeroDivisionError)):
        settings = reference_config("SqueezeBert", **small | options)
        model = reference_class("SqueezeBert", "Model")(settings).eval()
        model(torch.zeros(2, 9, dtype=torch.long))


@pytest.mark.parametrize("groups", [2, 4, 12])
def test_one_count_may_differ_from_all_others(groups):
    for name in GROUPS:
        if groups == 12 and name in GROUPS[4:]:
            continue  # 40 channels do not divide
        settings = dict.fromkeys(GROUPS, 1) | {name: groups}
        truth = reference("SqueezeBert", "Model", **settings)
        assert_agrees(truth, **ids_of(truth))


@each_head
def test_auto_classes_find_the_family(head):
    import npbert

    truth = reference("SqueezeBert", head)
    auto = getattr(npbert, f"AutoModel{head.removeprefix('Model')}")
    model = auto.from_pretrained(truth.directory.name)
    assert type(model) is npbert_class("SqueezeBert", head)
    assert type(npbert.AutoConfig.from_pretrained(truth.directory.name)) is type(model.config)
