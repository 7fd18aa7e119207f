"""fill_mask: the shape of its results, what it refuses, and that it answers what the model says."""

import re

import numpy as np
import pytest

import npbert
from npbert import ConvBertForMaskedLM, ConvBertModel, fill_mask
from npbert.ops import softmax


def test_the_shipped_model_answers():
    candidates = fill_mask("The children went to [MASK] to learn to read and write.")
    assert len(candidates) == 5
    assert candidates[0]["token_str"] == "school"
    assert candidates[0]["sequence"] == "the children went to school to learn to read and write."


def test_candidates_are_the_model_s_own_probabilities(checkpoint):
    candidates = fill_mask("the [MASK] sat", checkpoint, top_k=16)
    model = ConvBertForMaskedLM.from_pretrained(checkpoint)
    probs = softmax(model([[2, 5, 4, 8, 3]]).logits[0, 2])
    assert [c["token"] for c in candidates] == np.argsort(-probs, kind="stable").tolist()
    scores = [c["score"] for c in candidates]
    np.testing.assert_allclose(scores, np.sort(probs)[::-1], rtol=0, atol=1e-6 * probs.max())
    assert sum(c["score"] for c in candidates) == pytest.approx(1)
    for candidate in candidates:
        assert set(candidate) == {"score", "token", "token_str", "sequence"}
        assert all(
            type(candidate[name]) is kind
            for name, kind in {
                "score": float,
                "token": int,
                "token_str": str,
                "sequence": str,
            }.items()
        )


def test_several_masks_give_a_list_for_each_and_show_special_tokens(checkpoint):
    first, second = fill_mask("[MASK] cat [MASK]", checkpoint, top_k=2)
    assert len(first) == len(second) == 2
    piece = first[0]["token_str"]
    assert first[0]["sequence"] == f"[CLS] {piece} cat [MASK] [SEP]"


def test_padding_is_left_out_of_the_sequence(checkpoint):
    """Both what the text holds and what is filled in."""
    first, _ = fill_mask("[MASK] [PAD] cat [MASK]", checkpoint, targets=["[PAD]", "dog"])
    sequences = {row["token_str"]: row["sequence"] for row in first}
    assert sequences == {"[PAD]": "[CLS] cat [MASK] [SEP]", "dog": "[CLS] dog cat [MASK] [SEP]"}


def test_a_list_of_texts_gives_a_list(checkpoint):
    texts = ["the [MASK] sat", "a [MASK]"]
    for found, text in zip(fill_mask(texts, checkpoint), texts, strict=True):
        alone = fill_mask(text, checkpoint)
        # In plain NumPy a product's rounding depends on how many rows it has.
        assert [c.pop("score") for c in found] == pytest.approx([c.pop("score") for c in alone])
        assert found == alone


def test_a_list_of_one_text_gives_the_result_of_that_text(checkpoint):
    assert fill_mask(["a [MASK]"], checkpoint) == fill_mask("a [MASK]", checkpoint)


def test_targets_keep_their_scores(checkpoint):
    everything = {c["token_str"]: c["score"] for c in fill_mask("a [MASK]", checkpoint, top_k=16)}
    some = fill_mask("a [MASK]", checkpoint, targets=["cat", "dog", "cat"])
    assert {c["token_str"]: c["score"] for c in some} == {p: everything[p] for p in ("cat", "dog")}
    assert some[0]["score"] >= some[1]["score"]
    assert fill_mask("a [MASK]", checkpoint, targets="cat")[0]["token_str"] == "cat"


def test_a_loaded_model_is_taken(checkpoint):
    model = ConvBertForMaskedLM.from_pretrained(checkpoint)
    assert fill_mask("a [MASK]", model) == fill_mask("a [MASK]", checkpoint)


def test_a_model_made_by_hand_needs_its_tokenizer(checkpoint):
    model = ConvBertForMaskedLM(ConvBertForMaskedLM.from_pretrained(checkpoint).config)
    with pytest.raises(ValueError, match="pass its tokenizer"):
        fill_mask("a [MASK]", model)
    tokenizer = npbert.BertTokenizer.from_pretrained(checkpoint)
    assert len(fill_mask("a [MASK]", model, tokenizer=tokenizer)) == 5


def test_a_directory_is_loaded_once(checkpoint, monkeypatch):
    first = fill_mask("a [MASK]", checkpoint)
    monkeypatch.setattr(ConvBertForMaskedLM, "from_pretrained", None)
    monkeypatch.setattr(npbert.BertTokenizer, "from_pretrained", None)
    assert fill_mask("a [MASK]", checkpoint) == first


# ---- a vocabulary that is not the model's ----


def keep_tokens(checkpoint, count):
    """Leave the first tokens in the vocabulary of the checkpoint of 16."""
    lines = (checkpoint / "vocab.txt").read_text().splitlines()[:count]
    (checkpoint / "vocab.txt").write_text("\n".join(lines) + "\n")


def test_a_row_without_a_token_is_no_candidate(checkpoint):
    """Published checkpoints have a few more rows than tokens."""
    everything = fill_mask("the [MASK] sat", checkpoint, top_k=16)
    shorter = checkpoint.with_name("shorter")
    checkpoint.rename(shorter)
    keep_tokens(shorter, 15)
    candidates = fill_mask("the [MASK] sat", shorter, top_k=16)
    assert candidates == [c for c in everything if c["token"] < 15]


def test_many_rows_without_a_token_are_a_warning(checkpoint):
    keep_tokens(checkpoint, 14)
    with pytest.warns(UserWarning, match="14 tokens and the model 16 rows.*no token") as warned:
        fill_mask("the [MASK] sat", checkpoint)
    assert [w.filename for w in warned] == [__file__]
    tokenizer = npbert.BertTokenizer.from_pretrained(checkpoint)
    model = ConvBertForMaskedLM.from_pretrained(checkpoint)
    with pytest.warns(UserWarning, match="14 tokens and the model 16 rows"):
        fill_mask("the [MASK] sat", model, tokenizer=tokenizer)


def test_a_token_beyond_the_model_is_refused_before_any_work(checkpoint, monkeypatch):
    with (checkpoint / "vocab.txt").open("a") as file:
        file.write("owl\n")
    assert len(fill_mask("the [MASK] sat", checkpoint, top_k=16)) == 16
    monkeypatch.setattr(ConvBertForMaskedLM, "__call__", None)
    message = "text 2 of 2 has the token 'owl' with id 16, and the model has rows for ids below 16"
    with pytest.raises(ValueError, match=message):
        fill_mask(["a [MASK]", "the owl [MASK]"], checkpoint)
    with pytest.raises(ValueError, match="the target 'owl' has the token 'owl' with id 16"):
        fill_mask("a [MASK]", checkpoint, targets=["cat", "owl"])


def test_many_tokens_beyond_the_model_are_a_warning(checkpoint):
    with (checkpoint / "vocab.txt").open("a") as file:
        file.write("owl\nfox\n")
    with pytest.warns(UserWarning, match="18 tokens and the model 16 rows.*no row"):
        fill_mask("the [MASK] sat", checkpoint)


# ---- targets ----

STAND_INS = {
    "capitals": ("Cat", "cat"),
    "accents": ("cät", "cat"),
    "several pieces": ("cats", "cat"),
    "a space": ("dog the", "dog"),
    "an unknown character": ("東", "[UNK]"),
}


@pytest.mark.parametrize("target, piece", STAND_INS.values(), ids=STAND_INS.keys())
def test_the_first_piece_stands_for_a_target(checkpoint, target, piece):
    with pytest.warns(UserWarning, match=f"'{target}' is no .*: '{re.escape(piece)}'") as warned:
        found = fill_mask("a [MASK]", checkpoint, targets=["mat", target])
    assert [w.filename for w in warned] == [__file__]
    assert found == fill_mask("a [MASK]", checkpoint, targets=["mat", piece])


def test_a_target_without_a_piece_is_left_out(checkpoint):
    with pytest.warns(UserWarning, match="' ' has no word piece and is left out"):
        found = fill_mask("a [MASK]", checkpoint, targets=[" ", "mat"])
    assert found == fill_mask("a [MASK]", checkpoint, targets="mat")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="expected at least one"):
        fill_mask("a [MASK]", checkpoint, targets=[""])


# ---- what is refused ----


WRONG = {
    "no mask": ({"text": "a cat"}, r"no \[MASK\] in 'a cat'; write \[MASK\]"),
    "empty": ({"text": ""}, "text is empty"),
    "blank": ({"text": " \n"}, "text is empty"),
    "not text": ({"text": 7}, "text is int, expected str"),
    "one of several": ({"text": ["a [MASK]", "a cat"]}, r"no \[MASK\] in 'a cat'"),
    "too long": ({"text": "a " * 11 + "[MASK]"}, "14 tokens.* 12 positions"),
    "the mask cut off": (
        {"text": "a " * 11 + "[MASK]", "truncation": True},
        r"truncation to 12 tokens removed the \[MASK\] from 'a a ",
    ),
    "no mask to be cut off": ({"text": "a " * 12, "truncation": True}, r"no \[MASK\] in 'a a "),
    "top_k 0": ({"top_k": 0}, "top_k is 0, expected 1 to 16"),
    "top_k 17": ({"top_k": 17}, "top_k is 17, expected 1 to 16"),
    "top_k text": ({"top_k": "5"}, "top_k is '5'"),
    "top_k bool": ({"top_k": True}, "top_k is True"),
    "no text as a target": ({"targets": ["cat", 3]}, "a target is int, expected str"),
    "no targets": ({"targets": []}, r"targets is \[\], expected at least one"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_refused(checkpoint, arguments, message):
    with pytest.raises(ValueError, match=message):
        fill_mask(**{"text": "a [MASK]", "model": checkpoint} | arguments)


def test_no_texts_have_no_results(checkpoint):
    assert fill_mask([], checkpoint) == []


def test_an_empty_path_is_not_the_current_directory(checkpoint, monkeypatch):
    monkeypatch.chdir(checkpoint)
    with pytest.raises(ValueError, match="the path of the checkpoint is empty"):
        fill_mask("a [MASK]", "")


@pytest.mark.parametrize("file", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_missing_file_is_named(checkpoint, file):
    (checkpoint / file).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(file)):
        fill_mask("a [MASK]", checkpoint)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_named(checkpoint, file):
    (checkpoint / file).write_bytes((checkpoint / file).read_bytes()[:-30])
    with pytest.raises(ValueError, match=re.escape(file)):
        fill_mask("a [MASK]", checkpoint)


def test_a_checkpoint_without_a_trained_head_is_refused(checkpoint, recwarn):
    body = ConvBertModel(ConvBertForMaskedLM.from_pretrained(checkpoint).config)
    body.save_pretrained(checkpoint)
    missing = "generator_predictions.dense.weight.*generator_lm_head.bias"
    with pytest.raises(ValueError, match=f"no trained masked-LM head; missing: {missing}"):
        fill_mask("a [MASK]", checkpoint)
    assert not recwarn.list  # the error says it all


def test_a_model_without_the_head_s_class_is_refused(checkpoint):
    with pytest.raises(ValueError, match=r"takes a ...ForMaskedLM or .*, ConvBertModel given"):
        fill_mask("a [MASK]", ConvBertModel(ConvBertForMaskedLM.from_pretrained(checkpoint).config))


def test_another_head_is_refused(checkpoint):
    config = ConvBertForMaskedLM.from_pretrained(checkpoint).config
    with pytest.raises(
        ValueError, match=r"a \.\.\.ForMaskedLM or .*, ConvBertForTokenClassification given"
    ):
        fill_mask("a [MASK]", npbert.ConvBertForTokenClassification(config))
