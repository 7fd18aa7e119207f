"""What the trace page says in words is what the tasks answer."""

import numpy as np
import pytest

import npbert
from npbert.tracing.page import answers
from npbert.tracing.page.answers import answers_of
from npbert.tracing.page.reading import read

PAIR = "He was tired and cold.", "He drank a cup of [MASK] by the fire."


def said_by(name, texts, head=None):
    """Return what a model says, kind by kind, and its reading."""
    reading = read(name, [*texts], head)
    output = reading.model(**reading.inputs, output_hidden_states=True)
    found = answers_of(reading, output.hidden_states)
    layers = reading.model.config.num_hidden_layers
    assert all(len(each["layers"]) == layers + 1 for each in found)
    return {each["kind"]: each["layers"] for each in found}, reading


def test_word_pieces_are_those_of_fill_mask():
    text = "The children went to [MASK] to learn to read."
    said, reading = said_by("convbert-tiny", [text])
    t = reading.tokens[0].index("[MASK]")
    for (piece, share), best in zip(said["pieces"][-1][0][t], npbert.fill_mask(text, top_k=3)):
        assert piece == best["token_str"] and share == pytest.approx(best["score"], rel=1e-4)
    assert said["pieces"][0][0][t] != said["pieces"][-1][0][t]  # the embedding alone knows nothing


def test_where_all_positions_are_too_many_the_masks_remain(monkeypatch):
    whole, reading = said_by("bert-tiny", PAIR)
    monkeypatch.setattr(answers, "MOST_SCORES", 10)
    masks, _ = said_by("bert-tiny", PAIR)
    for layer, of_all in zip(masks["pieces"], whole["pieces"]):
        for token, said, before in zip(reading.tokens[0], layer[0], of_all[0]):
            assert (said is None) == (token != "[MASK]")
            if said:
                assert [piece for piece, _ in said] == [piece for piece, _ in before]


def test_the_second_text_follows_as_next_sentence_says():
    said, _ = said_by("bert-tiny", PAIR, "ForNextSentencePrediction")
    expected = npbert.next_sentence(*PAIR)
    for (words, share), best in zip(said["classes"][-1][0], expected):
        assert words.startswith(best["label"]) and share == pytest.approx(best["score"], rel=1e-4)


def test_labels_of_tokens():
    text = "in 1969 neil armstrong walked on the moon"
    said, reading = said_by("squeezebert-tiny-restore", [text])
    expected = npbert.token_classification(text, "squeezebert-tiny-restore", ignore_labels=[])
    of_tokens = said["labels"][-1][0][1:-1]
    assert len(of_tokens) == len(expected) == len(reading.tokens[0]) - 2
    for best, entity in zip(of_tokens, expected):
        assert best[0][0] == entity["entity"]
        assert best[0][1] == pytest.approx(entity["score"], rel=1e-4)


def test_the_answer_to_a_question():
    texts = "Plants use light to make [MASK].", "They take in air, and make sugar from the light."
    said, reading = said_by("convbert-tiny-answer", texts)
    best = npbert.question_answering(*texts, "convbert-tiny-answer", align_to_words=False)
    words, share = said["spans"][-1][0][0]
    assert words.lower() == best["answer"].lower() and share == pytest.approx(
        best["score"], rel=0.01
    )
    start = [each and each[0] for each in said["labels"][-1][0]]
    question = reading.tokens[0].index("[SEP]")
    assert all(each is None for each in start[: question + 1])
    assert max(each[1] for each in start if each) >= share


def test_classes_of_a_text():
    text = "He go to to school."
    said, _ = said_by("convbert-tiny-disturbed", [text])
    best = npbert.text_classification(text, "convbert-tiny-disturbed")[0]
    assert said["classes"][-1][0][0] == [best["label"], pytest.approx(best["score"], rel=1e-4)]


def test_choices_are_said_as_they_were_given():
    texts = "It rained all night.", "The road was gone.", "Prices rise."
    said, reading = said_by("mobilebert-tiny-choice", texts)
    logits = reading.model(**reading.inputs).logits[0].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum()
    best = said["classes"][-1][0]
    assert [share for _, share in best] == pytest.approx(sorted(shares, reverse=True), rel=1e-4)
    assert best[0][0] == texts[1 + int(shares.argmax())]


def test_a_model_without_a_head_says_nothing():
    assert said_by("bert-tiny", PAIR, "Model")[0] == {}
