"""The quirks of MobileBERT against the reference, one test each, as in test_quirks_reference.py."""

import re

import numpy as np
import pytest
from reference_models import (
    DIFFERENT,
    SMALL,
    Folder,
    Reference,
    assert_agrees,
    assert_disagrees,
    assert_same,
    ids_of,
    in_both_dtypes,
    largest_error,
    mask_with_zeros,
    npbert_class,
    random_embeddings,
    random_ids,
    random_model,
    reference,
    reference_class,
    reference_config,
    run,
    torch,
)

from npbert import mobilebert
from npbert.model import config
from npbert.model.params import path

pytestmark = pytest.mark.reference

LAYER_NORM = dict(normalization_type="layer_norm")


def mobile_bert(head="Model", **options):
    return reference("MobileBert", head, **options)


# ---- embeddings ----------------------------------------------------------------------------


@pytest.mark.parametrize("of_embeddings", [False, True], ids=["ids", "embeddings"])
def test_trigrams_are_next_current_previous(of_embeddings, monkeypatch):
    """For ids and for embeddings that are given, alike; zeros stand past both ends."""
    truth = mobile_bert()
    inputs = ids_of(truth)
    if of_embeddings:
        inputs = dict(inputs_embeds=random_embeddings(truth.config, 2, 9))
    assert_agrees(truth, **inputs)

    def in_reading_order(words):
        padded = np.pad(words, ((0, 0), (1, 1), (0, 0)))
        return np.concatenate([padded[:, :-2], words, padded[:, 2:]], axis=2)

    monkeypatch.setattr(mobilebert, "trigrams", in_reading_order)
    assert_disagrees(truth, **inputs)


def test_a_text_of_one_token_has_zeros_for_both_neighbours():
    truth = mobile_bert()
    assert_agrees(truth, input_ids=np.array([[7]]))
    zeros = np.zeros((1, 1, 10))
    trigram = mobilebert.trigrams(zeros + 1)
    assert np.array_equal(trigram, np.concatenate([zeros, zeros + 1, zeros], axis=2))


def test_the_last_real_token_reads_the_padding():
    """Padding changes what enters the layers, at the last real token and nowhere before it."""
    truth = mobile_bert()
    ids = random_ids(truth.config, 1, 9)
    alone = assert_agrees(truth, input_ids=ids[:, :6], output_hidden_states=True)
    mask = mask_with_zeros(1, 9, (0, slice(6, None)))
    padded = assert_agrees(truth, input_ids=ids, attention_mask=mask, output_hidden_states=True)
    off = np.abs(padded.hidden_states[0][0, :6] - alone.hidden_states[0][0]).max(axis=-1)
    assert (off[:5] == 0).all() and off[5] > DIFFERENT
    # From the first layer on it is in all tokens: attention carries it there.
    off = np.abs(padded.last_hidden_state[0, :6] - alone.last_hidden_state[0]).max(axis=-1)
    assert (off > 1e-9).all()


def test_words_as_wide_as_the_layers_go_without_the_map():
    """The map is there, and saved, but used for trigrams and for words of another width alone."""
    truth = mobile_bert(trigram_input=False, embedding_size=24)
    got = assert_agrees(truth, **ids_of(truth))
    model = truth.load("float64")
    unused = model.params.embeddings.embedding_transformation
    assert unused.weight.shape == (24, 24)
    unused.weight[:], unused.bias[:] = 7, 7
    assert_same(model(**ids_of(truth)), got, "float64")
    other = mobile_bert(trigram_input=True, embedding_size=24)
    assert_agrees(other, **ids_of(other))
    assert other.load("float64").params.embeddings.embedding_transformation.weight.shape == (24, 72)


# ---- norms ---------------------------------------------------------------------------------


def test_no_norm_is_a_scale_and_a_shift():
    """Twice the hidden state is twice the result, but for the shift: nothing is normalised."""
    truth = mobile_bert()
    module = truth.models["float64"].encoder.layer[1].output.bottleneck.LayerNorm
    p = truth.load("float64").params.encoder.layer[1].output.bottleneck.LayerNorm
    x = np.random.default_rng(0).standard_normal((2, 3, 24))
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    got = mobilebert.norm(x, p, truth.load("float64").config, 1e-12)
    assert largest_error({"": got}, {"": expected}, "float64") < 1e-15
    np.testing.assert_allclose(
        mobilebert.no_norm(2 * x, p) - p.bias, 2 * (mobilebert.no_norm(x, p) - p.bias), atol=1e-14
    )


def test_the_masked_lm_head_has_a_real_norm(monkeypatch):
    """Whatever normalization_type says."""
    truth = mobile_bert("ForMaskedLM", normalization_type="no_norm")
    assert_agrees(truth, **ids_of(truth))
    monkeypatch.setattr(mobilebert, "layer_norm", lambda x, p, eps: mobilebert.no_norm(x, p))
    assert_disagrees(truth, **ids_of(truth))


@pytest.mark.parametrize(
    "options", [{}, dict(use_bottleneck=False), dict(use_bottleneck_attention=True)], ids=str
)
def test_two_norms_have_the_epsilon_of_pytorch(options, monkeypatch):
    """The embeddings', and the last one inside every layer: 1e-5, whatever the config says."""
    truth = mobile_bert("ForMaskedLM", **LAYER_NORM, layer_norm_eps=0.01, **options)
    assert_agrees(truth, **ids_of(truth))

    used, right = {}, mobilebert.layer_norm

    def layer_norm(x, p, eps):
        used[path(p)] = eps
        return right(x, p, eps)

    monkeypatch.setattr(mobilebert, "layer_norm", layer_norm)
    assert_agrees(truth, **ids_of(truth))
    modules = truth.models["float64"].named_modules()
    expected = {name: m.eps for name, m in modules if isinstance(m, torch.nn.LayerNorm)}
    # The reference makes a bottleneck that nothing reads where attention reads the other one.
    unused = {name for name in expected if "bottleneck.attention" in name}
    assert bool(unused) == ("use_bottleneck" not in options)
    if "use_bottleneck_attention" in options:
        expected = {name: eps for name, eps in expected.items() if name not in unused}
    assert used == expected
    odd = [name for name, eps in used.items() if eps == 1e-5]
    pattern = r"mobilebert\.(embeddings|encoder\.layer\.\d\.output)\.LayerNorm"
    assert len(odd) == 3 and all(re.fullmatch(pattern, name) for name in odd)

    monkeypatch.setattr(mobilebert, "DEFAULT_EPS", 0.01)
    assert_disagrees(truth, **ids_of(truth))


# ---- the bottleneck and attention ----------------------------------------------------------

WIDE = dict(intra_bottleneck_size=24)  # what is read from the wrong place would fit


def change_bottleneck(monkeypatch, change):
    right = mobilebert.bottleneck
    monkeypatch.setattr(mobilebert, "bottleneck", lambda x, p, c: change(x, *right(x, p, c)))


def test_query_and_key_share_a_bottleneck_and_value_has_none(monkeypatch):
    truth = mobile_bert(**WIDE)
    assert_agrees(truth, **ids_of(truth))
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, shared, narrow))
    assert_disagrees(truth, **ids_of(truth))


def test_value_reads_the_full_width():
    value = mobile_bert().load("float32").params.encoder.layer[0].attention.self.value
    assert value.weight.shape == (16, 24)
    inside = mobile_bert(use_bottleneck_attention=True)
    assert_agrees(inside, **ids_of(inside))
    value = inside.load("float32").params.encoder.layer[0].attention.self.value
    assert value.weight.shape == (16, 16)


def test_the_residual_of_attention_is_the_other_bottleneck(monkeypatch):
    """That of `bottleneck.input`, neither what query and key read, nor what entered the layer."""
    truth = mobile_bert(**WIDE)
    assert_agrees(truth, **ids_of(truth))
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, full, shared))
    assert_disagrees(truth, **ids_of(truth))
    change_bottleneck(monkeypatch, lambda x, shared, full, narrow: (shared, full, x))
    assert_disagrees(truth, **ids_of(truth))


def test_the_shared_bottleneck_is_saved_where_nothing_uses_it():
    """use_bottleneck_attention goes before key_query_shared_bottleneck."""
    truth = mobile_bert(use_bottleneck_attention=True, key_query_shared_bottleneck=True)
    got = assert_agrees(truth, **ids_of(truth))
    model = truth.load("float64")
    unused = model.params.encoder.layer[0].bottleneck.attention
    for array in (unused.dense.weight, unused.dense.bias, unused.LayerNorm.weight):
        array[:] = 7
    assert_same(model(**ids_of(truth)), got, "float64")


def test_without_a_bottleneck_its_width_is_not_used():
    truth = mobile_bert(
        use_bottleneck=False, intra_bottleneck_size=7, key_query_shared_bottleneck=False
    )
    assert_agrees(truth, **ids_of(truth))
    names = truth.load("float32").state_dict()
    assert not any("bottleneck" in name for name in names)


def test_scores_are_scaled_by_the_width_of_a_narrow_head():
    """16 / 4 channels, not the 24 / 4 that a head would have without the bottleneck."""
    truth = mobile_bert()
    got = assert_agrees(truth, **ids_of(truth), output_attentions=True, output_hidden_states=True)
    p = truth.load("float64").params.encoder.layer[0]
    x = got.hidden_states[0]
    shared = mobilebert.squeeze(x, p.bottleneck.attention, truth.load("float64").config)
    query, key = (
        shared @ q.weight.T + q.bias for q in (p.attention.self.query, p.attention.self.key)
    )
    query, key = (a.reshape(2, 9, 4, 4).swapaxes(1, 2) for a in (query, key))
    scores = query @ key.swapaxes(-1, -2) / 2
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(shares, got.attentions[0], atol=1e-12)


# ---- feed-forward networks -----------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_last_feed_forward_network_is_the_layers_own(count, monkeypatch):
    """num_feedforward_networks - 1 are in `ffn`; of one, there is no `ffn` at all."""
    truth = mobile_bert(num_feedforward_networks=count)
    assert_agrees(truth, **ids_of(truth))
    names = truth.load("float64").state_dict()
    found = {name.split(".")[4] for name in names if name.startswith("encoder.layer.0.ffn.")}
    assert found == {str(i) for i in range(count - 1)}
    called, right = [], mobilebert.feed_forward

    def feed_forward(x, p, config, eps):
        called.append(path(p))
        return right(x, p, config, eps)

    monkeypatch.setattr(mobilebert, "feed_forward", feed_forward)
    assert_agrees(truth, **ids_of(truth))
    ffn = [f"encoder.layer.0.ffn.{i}" for i in range(count - 1)]
    assert called[:count] == [*ffn, "encoder.layer.0"]


# ---- heads ---------------------------------------------------------------------------------


def test_the_pooler_can_be_the_raw_first_position():
    """So it is in the published checkpoint: classifier_activation False, and no weights."""
    truth = mobile_bert(classifier_activation=False)
    got = assert_agrees(truth, **ids_of(truth))
    assert np.array_equal(got.pooler_output, got.last_hidden_state[:, 0])
    assert not any("pooler" in name for name in truth.load("float32").state_dict())
    head = mobile_bert("ForNextSentencePrediction", classifier_activation=False)
    assert_agrees(head, **ids_of(head))


@pytest.mark.parametrize("activation", [True, False])
def test_without_a_pooling_layer_nothing_is_pooled(activation):
    """Even where the pooler would have no weights that could be missing."""
    settings = reference_config("MobileBert", classifier_activation=activation)
    theirs = reference_class("MobileBert", "Model")(settings, add_pooling_layer=False).eval()
    ids = random_ids(settings, 2, 9)
    assert "pooler_output" not in run(theirs, "float32", input_ids=ids)
    ours = config.MobileBertConfig.from_dict(settings.to_dict())
    model = mobilebert.MobileBertModel(ours, add_pooling_layer=False)
    assert model(ids).pooler_output is None
    assert mobilebert.MobileBertModel(ours)(ids).pooler_output is not None


def test_without_a_pooling_layer_a_loaded_model_pools_nothing(tmp_path):
    for activation in (True, False):
        random_model("MobileBert", "Model", classifier_activation=activation).save_pretrained(
            tmp_path
        )
        ids = np.array([[1, 2, 3]])
        cls = npbert_class("MobileBert", "Model")
        assert cls.from_pretrained(tmp_path)(ids).pooler_output is not None
        model = cls.from_pretrained(tmp_path, add_pooling_layer=False)
        assert model(ids).pooler_output is None


def test_scores_are_of_the_word_embeddings_and_of_channels_that_dense_adds(monkeypatch):
    """h @ concat(decoder.weightᵀ, dense.weight) + bias; dense is stored [D - E, V]."""
    truth = mobile_bert("ForMaskedLM")
    assert_agrees(truth, **ids_of(truth))
    p = truth.load("float64").params
    assert p.cls.predictions.dense.weight.shape == (14, 53)
    assert p.cls.predictions.decoder.weight is p.mobilebert.embeddings.word_embeddings.weight
    stacked = np.concatenate([p.cls.predictions.decoder.weight.T, p.cls.predictions.dense.weight])
    h = np.random.default_rng(0).standard_normal((2, 3, 24))
    linear, dense = mobilebert.linear, p.cls.predictions.transform.dense
    monkeypatch.setattr(mobilebert, "linear", lambda x, p: x if p is dense else linear(x, p))
    monkeypatch.setattr(mobilebert, "layer_norm", lambda x, p, eps: x)
    settings = config.MobileBertConfig(hidden_size=24, embedding_size=10, hidden_act="linear")
    got = mobilebert.masked_lm_head(h, p.cls.predictions, settings)
    np.testing.assert_allclose(got, h @ stacked + p.cls.predictions.bias, atol=1e-12)


def test_dense_is_empty_where_the_embeddings_are_as_wide_as_the_layers(tmp_path):
    """It is saved all the same, [0, V], and asked for."""
    truth = mobile_bert("ForMaskedLM", embedding_size=24)
    assert_agrees(truth, **ids_of(truth))
    model = truth.load("float64")
    assert model.params.cls.predictions.dense.weight.shape == (0, 53)
    model.save_pretrained(tmp_path)
    theirs = reference_class("MobileBert", "ForMaskedLM").from_pretrained(
        tmp_path, dtype=torch.float64, attn_implementation="eager"
    )
    assert theirs.cls.predictions.dense.weight.shape == (0, 53)
    assert_same(model(**ids_of(truth)), run(theirs, "float64", **ids_of(truth)), "float64")


def test_untied_it_is_the_decoders_bias_that_counts():
    """`cls.predictions.bias` is saved too, and used for nothing."""
    truth = mobile_bert("ForMaskedLM", tie_word_embeddings=False)
    got = assert_agrees(truth, **ids_of(truth))
    model = truth.load("float64")
    predictions = model.params.cls.predictions
    assert np.abs(predictions.bias - predictions.decoder.bias).max() > DIFFERENT
    predictions.bias[:] = 7
    assert_same(model(**ids_of(truth)), got, "float64")


# ---- sizes ---------------------------------------------------------------------------------


def test_values_of_millions_are_compared_relatively():
    """The published checkpoint's hidden states reach 1e7, beyond any absolute tolerance.

    Nothing normalises them, and what counts is small again only behind the bottleneck of query and
    key. float16 cannot hold them; float32 is as exact as ever, relative to the largest.
    """
    model = random_model("MobileBert", "Model", num_hidden_layers=4)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("embeddings.LayerNorm") or ".bottleneck.dense." in name:
                weight *= 1e5
            if name.endswith("bottleneck.attention.dense.weight"):
                weight *= 1e-5
    truth = saved(model)
    inputs = ids_of(truth) | dict(output_hidden_states=True, output_attentions=True)
    exact = assert_agrees(truth, **inputs)
    assert np.abs(exact.last_hidden_state).max() > 1e6  # float16 ends at 65504
    got, expected = truth.load("float32")(**inputs), truth("float32", **inputs)
    assert_same(got, expected, "float32")
    assert np.abs(got.last_hidden_state - exact.last_hidden_state).max() > 0.01


def saved(model):
    directory = Folder()
    model.save_pretrained(directory.name)
    return Reference("MobileBert", "Model", model.config, in_both_dtypes(model), directory)


REFUSED = [
    ({"normalization_type": "batch_norm"}, "normalization_type is 'batch_norm'"),
    ({"num_feedforward_networks": 0}, "num_feedforward_networks is 0"),
    ({"num_attention_heads": 5}, "intra_bottleneck_size 16 is not a multiple"),
    ({"num_attention_heads": 16, "use_bottleneck": False}, "hidden_size 24 is not a multiple"),
    ({"intra_bottleneck_size": 0}, "intra_bottleneck_size is 0"),
    ({"key_query_shared_bottleneck": False}, "intra_bottleneck_size 16 must be hidden_size 24"),
    ({"true_hidden_size": 24}, "true_hidden_size is 24, but intra_bottleneck_size is 16"),
    ({"true_hidden_size": 16, "use_bottleneck": False}, "true_hidden_size is 16, but hidden_size"),
]


@pytest.mark.parametrize("options, message", REFUSED, ids=str)
def test_what_the_reference_cannot_run_is_refused_with_the_config(options, message):
    options = SMALL | dict(embedding_size=10, intra_bottleneck_size=16) | options
    with pytest.raises(ValueError, match=message):
        config.MobileBertConfig.from_dict(options)
    with pytest.raises((RuntimeError, KeyError, AttributeError, ZeroDivisionError)):
        settings = reference_config("MobileBert", **options)
        model = reference_class("MobileBert", "Model")(settings).eval()
        run(model, "float32", input_ids=np.array([[1, 2, 3]]))


@pytest.mark.parametrize("head", ["ForMaskedLM", "ForPreTraining"])
def test_words_wider_than_the_layers_have_no_masked_lm_head(head):
    """The body runs; only the head's dense would have fewer than no channels."""
    body = mobile_bert(embedding_size=40)
    assert_agrees(body, **ids_of(body))
    settings = config.MobileBertConfig.from_dict(body.config.to_dict())
    with pytest.raises(ValueError, match="embedding_size 40 is more than hidden_size 24"):
        npbert_class("MobileBert", head)(settings)
    with pytest.raises(RuntimeError):
        reference_class("MobileBert", head)(body.config)
