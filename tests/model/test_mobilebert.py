"""npbert/mobilebert.py and its configuration on small random models, without the reference."""

import dataclasses
import math

import numpy as np
import pytest
from small_models import HEADS, IDS, MASK, small_config, small_model

import npbert
from npbert import mobilebert
from npbert.model.config import MobileBertConfig
from npbert.model.outputs import MobileBertForPreTrainingOutput

# Every way to be a MobileBERT.
VARIANTS = {
    "as published": dict(classifier_activation=False),
    "no trigrams": dict(trigram_input=False),
    "no map": dict(trigram_input=False, embedding_size=12),
    "no bottleneck": dict(use_bottleneck=False),
    "attention in the bottleneck": dict(use_bottleneck_attention=True),
    "nothing shared": dict(key_query_shared_bottleneck=False, intra_bottleneck_size=12),
    "layer_norm": dict(normalization_type="layer_norm"),
    "1 feed-forward network": dict(num_feedforward_networks=1),
    "wide embeddings": dict(embedding_size=12),
    "untied": dict(tie_word_embeddings=False),
}
variants = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)


SIZES = dict(num_hidden_layers=2, num_feedforward_networks=4)


def settings(**options):
    return small_config("MobileBert", **SIZES | options)


def make(head, **options):
    return small_model("MobileBert", head, **SIZES | options)


# ---- the configuration ---------------------------------------------------------------------


def test_defaults_are_those_of_the_published_model_but_for_its_pooler():
    config = MobileBertConfig()
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (
        512,
        24,
        4,
    )
    assert (config.embedding_size, config.intra_bottleneck_size) == (128, 128)
    assert (config.num_feedforward_networks, config.normalization_type) == (4, "no_norm")
    assert config.trigram_input and config.use_bottleneck and config.key_query_shared_bottleneck
    assert config.classifier_activation and not config.use_bottleneck_attention


def test_the_width_inside_a_layer():
    assert settings().true_hidden_size == 8
    assert settings(use_bottleneck=False).true_hidden_size == 12


@pytest.mark.parametrize(
    "options, message",
    [
        *[
            ({name: 0}, f"{name} is 0, expected >= 1")
            for name in ("embedding_size", "intra_bottleneck_size", "num_feedforward_networks")
        ],
        ({"trigram_input": 1}, "trigram_input is 1, expected bool"),
        (
            {"normalization_type": "batch_norm"},
            "normalization_type is 'batch_norm', expected one of no_norm, layer_norm",
        ),
        (
            {"num_attention_heads": 3},
            "intra_bottleneck_size 8 is not a multiple of num_attention_heads 3",
        ),
        (
            {"num_attention_heads": 8, "use_bottleneck": False},
            "hidden_size 12 is not a multiple of num_attention_heads 8",
        ),
        (
            {"key_query_shared_bottleneck": False},
            "without key_query_shared_bottleneck and use_bottleneck_attention, "
            "intra_bottleneck_size 8 must be hidden_size 12",
        ),
        (
            {"other": {"true_hidden_size": 12}},
            "true_hidden_size is 12, but intra_bottleneck_size is 8",
        ),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError) as error:
        settings(**options)
    assert str(error.value) == f"MobileBertConfig: {message}"


@pytest.mark.parametrize(
    "options",
    [
        dict(num_attention_heads=3, use_bottleneck=False),  # 12 is a multiple, 8 does not count
        dict(key_query_shared_bottleneck=False, use_bottleneck_attention=True),
        dict(key_query_shared_bottleneck=False, use_bottleneck=False),
        dict(intra_bottleneck_size=40),
        dict(embedding_size=40),
        dict(other={"true_hidden_size": 8}),
    ],
)
def test_not_refused(options):
    model = mobilebert.MobileBertModel(settings(**options))
    assert np.isfinite(model(IDS, MASK).last_hidden_state).all()


@pytest.mark.parametrize("head", ["ForMaskedLM", "ForPreTraining"])
def test_words_wider_than_the_layers_have_no_masked_lm_head(head):
    with pytest.raises(ValueError, match="embedding_size 13 is more than hidden_size 12"):
        getattr(mobilebert, f"MobileBert{head}")(settings(embedding_size=13))


# ---- the functions -------------------------------------------------------------------------


def test_trigrams():
    words = np.array([[[1, 2], [3, 4], [5, 6]]], np.float32)
    expected = [[[3, 4, 1, 2, 0, 0], [5, 6, 3, 4, 1, 2], [0, 0, 5, 6, 3, 4]]]
    assert mobilebert.trigrams(words).tolist() == expected
    assert mobilebert.trigrams(words).dtype == np.float32


def by_the_definition(model, ids, mask):
    """MobileBERT token by token and head by head, with the default options: no array axes."""
    p, c = model.params, model.config
    embed = p.embeddings
    table, E = embed.word_embeddings.weight, c.embedding_size

    def linear(v, p):
        return p.weight @ v + p.bias

    def no_norm(v, p):
        return p.weight * v + p.bias

    x = []
    for t, _ in enumerate(ids):
        before = table[ids[t - 1]] if t > 0 else np.zeros(E)
        after = table[ids[t + 1]] if t + 1 < len(ids) else np.zeros(E)
        trigram = np.concatenate([after, table[ids[t]], before])
        total = linear(trigram, embed.embedding_transformation)
        total = total + embed.position_embeddings.weight[t] + embed.token_type_embeddings.weight[0]
        x.append(no_norm(total, embed.LayerNorm))
    for layer in p.encoder.layer:
        attention, into = layer.attention, layer.bottleneck
        narrow = [no_norm(linear(v, into.input.dense), into.input.LayerNorm) for v in x]
        shared = [no_norm(linear(v, into.attention.dense), into.attention.LayerNorm) for v in x]
        queries = [linear(v, attention.self.query) for v in shared]
        keys = [linear(v, attention.self.key) for v in shared]
        values = [linear(v, attention.self.value) for v in x]
        out, S = [], c.intra_bottleneck_size // c.num_attention_heads
        for t, _ in enumerate(ids):
            context = []
            for h in range(c.num_attention_heads):
                mine = slice(h * S, (h + 1) * S)
                weights = [
                    math.exp(queries[t][mine] @ key[mine] / math.sqrt(S)) if real else 0
                    for key, real in zip(keys, mask)
                ]
                mixed = sum(w * value[mine] for w, value in zip(weights, values)) / sum(weights)
                context.append(mixed)
            gathered = linear(np.concatenate(context), attention.output.dense)
            v = no_norm(narrow[t] + gathered, attention.output.LayerNorm)
            for network in (*layer.ffn, layer):
                wide = np.maximum(linear(v, network.intermediate.dense), 0)
                v = no_norm(v + linear(wide, network.output.dense), network.output.LayerNorm)
            end = layer.output.bottleneck
            out.append(no_norm(x[t] + linear(v, end.dense), end.LayerNorm))
        x = out
    return np.array(x)


def test_the_body_is_what_the_definition_says():
    model = make("Model", initializer_range=0.2)
    got = model(IDS, MASK).last_hidden_state
    for ids, mask, states in zip(IDS, MASK, got):
        np.testing.assert_allclose(states, by_the_definition(model, ids, mask), rtol=1e-10)


def test_scores_are_of_all_channels():
    model = make("ForMaskedLM")
    p = model.params.cls.predictions
    assert p.dense.weight.shape == (7, 20)
    logits = model(IDS).logits
    p.dense.weight[:, 3] += 1
    changed = np.abs(model(IDS).logits - logits).max(axis=(0, 1)) > 1e-6
    assert changed.tolist() == [v == 3 for v in range(20)]


# ---- the models ----------------------------------------------------------------------------

SHAPES = {
    "Model": [(2, 4, 12), (2, 12)],
    "ForMaskedLM": [(2, 4, 20)],
    "ForPreTraining": [(2, 4, 20), (2, 2)],
    "ForNextSentencePrediction": [(2, 2)],
    "ForSequenceClassification": [(2, 3)],
    "ForTokenClassification": [(2, 4, 3)],
    "ForQuestionAnswering": [(2, 4), (2, 4)],
    "ForMultipleChoice": [(1, 2)],
}


@pytest.mark.parametrize("head", HEADS["MobileBert"])
@variants
def test_every_class_runs_and_comes_back_from_its_checkpoint(head, options, tmp_path):
    labels = {} if head in ("ForQuestionAnswering", "ForMultipleChoice") else dict(num_labels=3)
    model = make(head, **options, **labels)
    ids, mask = (IDS[None], MASK[None]) if head == "ForMultipleChoice" else (IDS, MASK)
    output = model(ids, mask, output_hidden_states=True, output_attentions=True)
    assert [array.shape for array in output.to_tuple()[:-2]] == SHAPES[head]
    assert [state.shape for state in output.hidden_states] == 3 * [(2, 4, 12)]
    assert [probs.shape for probs in output.attentions] == 2 * [(2, 2, 4, 4)]
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path, dtype=np.float64)
    assert again.config == dataclasses.replace(model.config, other=again.config.other)
    for got, expected in zip(again(ids, mask).to_tuple(), output.to_tuple()[:-2]):
        assert np.array_equal(got, expected)


def test_the_auto_classes_know_the_family(tmp_path):
    make("ForMaskedLM", classifier_activation=False).save_pretrained(tmp_path)
    assert type(npbert.AutoModel.from_pretrained(tmp_path)) is npbert.MobileBertModel
    assert isinstance(npbert.AutoConfig.from_pretrained(tmp_path), npbert.MobileBertConfig)
    model = npbert.AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert type(model) is npbert.MobileBertForMaskedLM


def test_the_output_of_pre_training_has_its_own_class():
    labels = dict(labels=[[2, -100, 9, -100], [-100, 19, 0, -100]], next_sentence_label=[0, 1])
    output = make("ForPreTraining")(IDS, MASK, **labels)
    assert type(output) is MobileBertForPreTrainingOutput is npbert.MobileBertForPreTrainingOutput
    assert output.keys() == ["loss", "prediction_logits", "seq_relationship_logits"]
    assert np.isfinite(output.loss)


def test_a_pooler_without_weights_is_left_out_as_any_other():
    for activation in (True, False):
        config = settings(classifier_activation=activation)
        output = mobilebert.MobileBertModel(config)(IDS)
        first = output.last_hidden_state[:, 0]
        assert np.array_equal(output.pooler_output, first) == (not activation)
        bare = mobilebert.MobileBertModel(config, add_pooling_layer=False)
        assert bare(IDS).pooler_output is None


@variants
def test_float32_stays_float32(options):
    model = mobilebert.MobileBertForPreTraining(settings(**options))
    output = model(IDS, MASK, output_hidden_states=True, output_attentions=True)
    arrays = [*output.to_tuple()[:-2], *output.hidden_states, *output.attentions]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_what_is_tied_is_saved_once(tmp_path):
    model = make("ForMaskedLM")
    untied = make("ForMaskedLM", tie_word_embeddings=False)
    words, bias = 20 * 5, 20
    assert untied.num_parameters() - model.num_parameters() == words + bias
    model.save_pretrained(tmp_path)
    saved = npbert.checkpoints.directory.read_weights(tmp_path)
    assert not any("decoder" in name for name in saved)
    assert saved["cls.predictions.dense.weight"].shape == (7, 20)


def test_how_many_parameters_the_published_model_has():
    """24.6 million, without a head; word embeddings of the full width would have 15.6 alone."""
    shapes = mobilebert.MobileBertForPreTraining.parameter_shapes(
        MobileBertConfig(classifier_activation=False)
    )
    assert sum(math.prod(s) for n, s in shapes.items() if n.startswith("mobilebert.")) == 24_581_888
