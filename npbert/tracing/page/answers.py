"""What a model says, in words: its answer, and what its head would say after each layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.model.heads import (
    MaskedLM,
    MultipleChoice,
    NextSentencePrediction,
    PreTraining,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
    WithHead,
)
from npbert.ops import softmax
from npbert.tasks.answers import best_spans
from npbert.tasks.pairs import NEXT_LABELS
from npbert.tasks.rows import label_names
from npbert.tasks.texts import FUNCTIONS, function_name
from npbert.tracing.page.reading import Reading
from npbert.tracing.page.values import shortened

Said = list[Any]  # [words, probability], ...: best first
BEST = 3  # of word pieces and labels for a token; of spans and classes as many as MOST_CLASSES
MOST_CLASSES = 5
LONGEST_SPAN = 15  # word pieces, as in npbert.question_answering
MOST_SCORES = 2 * 10**8  # of word pieces, positions and states; beyond it only those of [MASK]
MEANINGS = {"IsNext": "the second text follows the first", "NotNext": "it does not"}


def answers_of(reading: Reading, states: tuple[np.ndarray, ...]) -> list[dict[str, Any]]:
    """Return what the head says of each state [B, T, D], the last of which gives the answer.

    Nothing for a model without a head. Each answer has:

    kind    what is said, and of what: "pieces" and "labels" of each token, "spans" and "classes" of
            a whole row
    title   the same in words
    layers  of each state, of each row, of each token where it is said of tokens: [words,
            probability], best first; null for a token that nothing is said of
    """
    model = reading.model
    if not isinstance(model, WithHead):
        return []
    logits = [model.head(state) for state in states if not scores_too_much(reading, states)]
    if not logits:
        return [masks_alone(reading, states)]
    if isinstance(model, PreTraining):
        pieces, follows = zip(*logits)
        return [
            answer("pieces", "word pieces", [best_pieces(each, reading) for each in pieces]),
            answer("classes", "the second text", [next_words(each) for each in follows]),
        ]
    if isinstance(model, MaskedLM):
        return [answer("pieces", "word pieces", [best_pieces(each, reading) for each in logits])]
    if isinstance(model, NextSentencePrediction):
        return [answer("classes", "the second text", [next_words(each) for each in logits])]
    if isinstance(model, MultipleChoice):
        return [answer("classes", "the choice", [choices(each, reading) for each in logits])]
    if isinstance(model, QuestionAnswering):
        return [
            answer("spans", "the answer", [spans(each, reading) for each in logits]),
            answer("labels", "start and end", [ends(each, reading) for each in logits]),
        ]
    if isinstance(model, TokenClassification):
        return [answer("labels", "labels", [labels(each, reading) for each in logits])]
    assert isinstance(model, SequenceClassification)
    return [answer("classes", "the text", [classes(each, reading) for each in logits])]


def answer(kind: str, title: str, layers: list[Any]) -> dict[str, Any]:
    return {"kind": kind, "title": title, "layers": layers}


def said(words: list[str], scores: np.ndarray, most: int) -> Said:
    """Return the words with the highest scores, best first."""
    order = np.argsort(-scores, kind="stable")[:most]
    return [[words[k], shortened(scores[k])] for k in order.tolist()]


# ---- of tokens -----------------------------------------------------------------------------


def scores_too_much(reading: Reading, states: tuple[np.ndarray, ...]) -> bool:
    is_large = isinstance(reading.model, (MaskedLM, PreTraining))
    positions = states[0].shape[0] * states[0].shape[1]
    return is_large and positions * len(states) * reading.model.config.vocab_size > MOST_SCORES


def best_pieces(logits: np.ndarray, reading: Reading) -> list[list[Said]]:
    """Return the best word pieces at each position, with their probabilities."""
    pieces = reading.tokenizer.convert_ids_to_tokens
    probs = softmax(logits)  # [B, T, V]
    order = np.argpartition(-probs, range(BEST), axis=-1)[..., :BEST] if probs.shape[-1] > BEST \
        else np.argsort(-probs, axis=-1)  # fmt: skip
    return [
        [
            [[piece, shortened(row[t, k])] for piece, k in zip(pieces(best.tolist()), best)]
            for t, best in enumerate(places)
        ]
        for row, places in zip(probs, order)
    ]


def masks_alone(reading: Reading, states: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """Return the best word pieces at the [MASK]s alone: at all positions they would take long."""
    model, mask = reading.model, reading.tokenizer.mask_token
    assert isinstance(model, WithHead)
    layers = []
    for state in states:
        rows: list[Any] = [[None] * len(tokens) for tokens in reading.tokens]
        for b, tokens in enumerate(reading.tokens):
            for t in [t for t, token in enumerate(tokens) if token == mask]:
                logits = model.head(state[b : b + 1, t : t + 1])
                logits = logits[0] if isinstance(model, PreTraining) else logits
                rows[b][t] = best_pieces(logits, reading)[0][0]
        layers.append(rows)
    return answer("pieces", "word pieces", layers)


def labels(logits: np.ndarray, reading: Reading) -> list[list[Said]]:
    """Return the best labels of each token, with their probabilities."""
    names = names_of(reading, logits.shape[-1])
    return [[said(names, token, BEST) for token in row] for row in softmax(logits)]


def ends(logits: np.ndarray, reading: Reading) -> list[list[Said | None]]:
    """Return for each token how probable it is that the answer starts there, and that it ends."""
    probs = span_probabilities(logits, reading)  # [B, T, 2]
    inside = in_context(reading)
    return [
        [
            [["start", shortened(token[0])], ["end", shortened(token[1])]] if is_inside else None
            for token, is_inside in zip(row, places)
        ]
        for row, places in zip(probs, inside)
    ]


# ---- of rows -------------------------------------------------------------------------------


def in_context(reading: Reading) -> np.ndarray:
    """Tell which tokens [B, T] may be in an answer: those of the second text, or of the only."""
    special = {*reading.tokenizer.all_special_tokens} - {reading.tokenizer.mask_token}
    words = np.array([[token not in special for token in row] for row in reading.tokens])
    types = reading.inputs.get("token_type_ids")
    is_second = types == 1 if types is not None and len(reading.texts) > 1 else True
    return words & is_second


def span_probabilities(logits: np.ndarray, reading: Reading) -> np.ndarray:
    """Return the probabilities [B, T, 2] of start and end, among the context and [CLS]: none."""
    allowed = in_context(reading)
    allowed |= np.array(reading.tokens) == reading.tokenizer.cls_token
    masked = np.where(allowed[:, :, None], logits, -10000.0)  # as the task has it
    return softmax(masked.swapaxes(1, 2).astype(logits.dtype)).swapaxes(1, 2)


def spans(logits: np.ndarray, reading: Reading) -> list[Said]:
    """Return the most probable answers of each row."""
    found, inside = [], in_context(reading)
    for b, row in enumerate(span_probabilities(logits, reading)):
        places = np.flatnonzero(inside[b])
        best = best_spans(row[places, 0], row[places, 1], LONGEST_SPAN, MOST_CLASSES)
        ids = reading.inputs["input_ids"][b]
        decode = reading.tokenizer.decode
        found.append([[decode(ids[places[i] : places[j] + 1]), shortened(p)] for i, j, p in best])
    return found


def next_words(logits: np.ndarray) -> list[Said]:
    names = [f"{label}: {MEANINGS[label]}" for label in NEXT_LABELS]
    return [said(names, row, MOST_CLASSES) for row in softmax(logits)]


def choices(logits: np.ndarray, reading: Reading) -> list[Said]:
    """Return the choices; each row of tokens says the same of all of them."""
    scores = softmax(logits.reshape(-1))  # [N]
    texts = [*reading.texts[1:], *map(str, range(len(reading.texts) - 1, len(scores)))]
    return [said(texts, scores, MOST_CLASSES)] * len(scores)


def classes(logits: np.ndarray, reading: Reading) -> list[Said]:
    """Return the labels of each text, or the number that a regression gives."""
    name = function_name(None, reading.model.config)
    names = names_of(reading, logits.shape[-1])
    return [said(names, row, MOST_CLASSES) for row in FUNCTIONS[name](logits)]


def names_of(reading: Reading, count: int) -> list[str]:
    known = label_names(reading.model)
    return [str(known.get(k, k)) for k in range(count)]
