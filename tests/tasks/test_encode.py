"""encode follows a sentence-embedding folder; that the numbers are right is shown in
tests/reference/test_encode_reference.py."""

import json

import numpy as np
import pytest
from alone import assert_same_where_compiled
from sentence_folders import make_folder, write

import npbert
from npbert.tasks.pooling import POOLINGS

TEXTS = ["the cat sat on the mat.", "a dog", "", "plants make sugar from light in the garden"]


def states_of(folder, text):
    return npbert.feature_extraction(text, folder, truncation=True)[0]


def test_a_plain_checkpoint_gives_the_mean(checkpoint):
    vectors = npbert.encode(["the cat", "a dog sat"], checkpoint)
    expected = npbert.feature_extraction(["the cat", "a dog sat"], checkpoint, pooling="mean")
    assert vectors.dtype == np.float32 and vectors.shape == (2, 16)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert_same_where_compiled(npbert.encode("the cat", checkpoint), vectors[0])
    assert npbert.encode([], checkpoint).shape == (0, 16)


def test_without_a_model_it_is_the_shipped_one():
    texts = ["The cat sleeps.", "Prices rise."]
    expected = npbert.feature_extraction(texts, pooling="mean")
    np.testing.assert_allclose(npbert.encode(texts), expected, atol=1e-6)


@pytest.mark.parametrize("skip", [0, 2, 4, 9])
def test_poolings_by_hand(skip):
    x = np.random.default_rng(0).normal(size=(4, 3))
    kept = [i for i in range(4) if i >= skip]
    total = np.zeros(3)
    weighted, weights = np.zeros(3), 0.0
    largest = np.full(3, -np.inf)
    for i in kept:
        total += x[i]
        weighted += (i + 1) * x[i]
        weights += i + 1
        largest = np.maximum(largest, x[i])
    expected = {
        "cls": x[kept[0]] if kept else x[0],
        "max": largest,
        "mean": total / max(len(kept), 1),
        "mean_sqrt_len_tokens": total / max(len(kept), 1) ** 0.5,
        "weightedmean": weighted / max(weights, 1),
        "lasttoken": x[-1] if kept else np.zeros(3),
    }
    for name, pooling in POOLINGS.items():
        np.testing.assert_allclose(pooling(x, skip), expected[name], err_msg=name)
        assert pooling(x.astype(np.float32), skip).dtype == np.float32, name


def test_modules_in_their_order(tmp_path):
    folder = make_folder(tmp_path, dense=(5, "activation.Tanh", {}), normalize=True)
    tensors = npbert.checkpoints.directory.read_weights(folder / "2_Dense")
    weight, bias = tensors["linear.weight"], tensors["linear.bias"]
    for text, vector in zip(TEXTS, npbert.encode(TEXTS, folder)):
        expected = np.tanh(states_of(folder, text).mean(axis=0) @ weight.T + bias)
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
        unscaled = npbert.encode(text, folder, normalize=False)
        np.testing.assert_allclose(unscaled, expected, atol=1e-6)


def test_old_and_new_layouts_say_the_same(tmp_path):
    new = make_folder(tmp_path / "new", pooling=("cls", "max"))
    old = make_folder(tmp_path / "old", pooling=("max", "cls"), body="0_Transformer", switches=True)
    np.testing.assert_array_equal(npbert.encode(TEXTS, new), npbert.encode(TEXTS, old))


def test_max_seq_length_cuts(tmp_path):
    folder = make_folder(tmp_path, pooling=("lasttoken",), of_body={"max_seq_length": 5})
    short, long = npbert.encode(["the cat sat", "the cat sat on the mat"], folder)
    assert_same_where_compiled(short, long)


def test_prompts(tmp_path):
    prompts = {"prompts": {"query": "the river: "}, "default_prompt_name": "query"}
    folder = make_folder(tmp_path, of_sentences=prompts)
    plain = make_folder(tmp_path / "plain")
    expected = npbert.encode("the river: a dog", plain)
    np.testing.assert_array_equal(npbert.encode("a dog", folder), expected)
    np.testing.assert_array_equal(npbert.encode("a dog", folder, "query"), expected)
    assert np.abs(npbert.encode("a dog", folder, "document") - expected).max() > 1e-3
    with pytest.raises(ValueError, match="prompt_name is 'serch', expected one of query, document"):
        npbert.encode("a dog", folder, "serch")


def test_a_loaded_model_follows_its_folder(tmp_path):
    folder = make_folder(tmp_path, pooling=("cls",), normalize=True)
    model = npbert.AutoModel.from_pretrained(folder)
    np.testing.assert_array_equal(npbert.encode(TEXTS, model), npbert.encode(TEXTS, folder))


def test_a_model_that_was_not_loaded_takes_a_tokenizer(checkpoint):
    tokenizer = npbert.AutoTokenizer.from_pretrained(checkpoint)
    model = npbert.BertModel(npbert.BertConfig(
        vocab_size=16, hidden_size=12, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=9))  # fmt: skip
    vector = npbert.encode("the cat", model, tokenizer=tokenizer)
    ids = tokenizer("the cat")["input_ids"]
    np.testing.assert_allclose(vector, model([ids]).last_hidden_state[0].mean(axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="pass its tokenizer too"):
        npbert.encode("the cat", model)


def test_company_and_batches_change_nothing(tmp_path):
    folder = make_folder(tmp_path, "ConvBert")
    together = npbert.encode(TEXTS, folder)
    np.testing.assert_allclose(npbert.encode(TEXTS, folder, batch_tokens=1), together, atol=1e-6)
    alone = [npbert.encode(text, folder) for text in TEXTS]
    np.testing.assert_allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("modules.json", {}, "expected a list of modules"),
        ("modules.json", [{"type": "x.Pooling", "path": "1_Pooling"}], "expected a Transformer"),
        ("modules.json", [{"type": "x.Transformer", "path": "../up"}], "expected a folder below"),
        ("modules.json", [{"type": "x.Transformer", "path": ""}], "has no Pooling"),
        ("modules.json", [{"type": "x.Transformer", "path": ""}, {"type": "x.WordWeights"}],
         "has Transformer, WordWeights; npbert has a Transformer, a Pooling"),
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "pooling_mode is 'median', expected"),
        ("2_Dense/config.json", {"activation_function": "my.Sinus"}, "is 'Sinus', expected one of"),
        ("2_Dense/config.json", {"in_features": 3, "out_features": 5}, "the weights have"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "module_input_name is"),
        ("sentence_bert_config.json", {"max_seq_length": -1}, "max_seq_length is -1"),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, "prompts is"),
        ("config_sentence_transformers.json", {"default_prompt_name": "x"}, "default_prompt_name"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said(path, value, message, tmp_path):
    folder = make_folder(tmp_path, dense=(5, "activation.Tanh", {}))
    write(folder / path, value)
    with pytest.raises(ValueError, match=message) as error:
        npbert.encode("a dog", folder)
    assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)


def test_wrong_arguments(checkpoint):
    for arguments, message in (
        ({"texts": 3}, "text is int, expected str or a list of str"),
        ({"texts": ["a", None]}, "text 2 of 2 is NoneType"),
        ({"normalize": "yes"}, "normalize is 'yes', expected True, False or None"),
        ({"batch_tokens": 0}, "batch_tokens is 0, expected at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            npbert.encode(**{"texts": "a", "model": checkpoint} | arguments)
    with pytest.raises(TypeError, match=r"encode\(\) got an unexpected keyword argument 'pooling'"):
        npbert.encode("a", checkpoint, pooling="mean")


def test_a_folder_of_the_hub_is_fetched_with_its_modules(hub, tmp_path):
    folder = make_folder(
        tmp_path / "made", body="0_Transformer", dense=(5, "activation.Tanh", {}), normalize=True,
        of_body={"max_seq_length": 9}, of_sentences={"prompts": {"query": "a: "}},
    )  # fmt: skip
    write(folder / "README.md", "not read")
    hub.add("org/sentences", folder)
    ours = npbert.encode(TEXTS, "org/sentences", "query")
    np.testing.assert_array_equal(ours, npbert.encode(TEXTS, folder, "query"))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {*hub.fetched()} == files - {"README.md"}
    asked = len(hub.requests)
    npbert.encode(TEXTS, "org/sentences")
    assert len(hub.requests) == asked
    assert json.loads((folder / "modules.json").read_text())
