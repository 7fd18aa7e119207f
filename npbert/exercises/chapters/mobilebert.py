"""Exercises of the chapter on MobileBERT: trigrams, NoNorm, stacked networks, the head."""

from __future__ import annotations

import numpy as np

from npbert import mobilebert
from npbert.exercises.exercise import Exercise, Mistake


def trigrams_of(words):  # [T, E] -> [T, 3*E]
    """Put beside each other the vector of the next token, of the token itself and of the previous
    one; zeros stand past both ends.
    """
    zeros = np.zeros_like(words[:1])
    following = np.concatenate([words[1:], zeros])
    preceding = np.concatenate([zeros, words[:-1]])
    return np.concatenate([following, words, preceding], axis=1)


def inputs_of_trigrams(rng):
    yield (rng.normal(size=(4, 3)),)
    yield (rng.normal(size=(1, 2)),)


def trigrams_backwards(words):
    zeros = np.zeros_like(words[:1])
    following = np.concatenate([words[1:], zeros])
    preceding = np.concatenate([zeros, words[:-1]])
    return np.concatenate([preceding, words, following], axis=1)


def fold_norm(weight, bias, scale, shift):  # [O, I], [O], [O], [O] -> [O, I], [O]
    """Fold a NoNorm into the linear map before it: return weight and bias of the one map that does
    (x Wᵀ + b) * scale + shift.
    """
    return weight * scale[:, None], bias * scale + shift


def inputs_of_folding(rng):
    for width in (3, 4):
        yield rng.normal(size=(width, width)), *rng.normal(size=(3, width))


def stack_of_networks(x, networks):  # [T, C] -> [T, C]
    """Run feed-forward networks one after another, each x + relu(x W1ᵀ) W2ᵀ with weights (W1, W2)
    of its own.
    """
    for first, second in networks:
        x = x + np.maximum(x @ first.T, 0) @ second.T
    return x


def inputs_of_networks(rng):
    for number in (2, 3):
        networks = [(rng.normal(size=(5, 3)), rng.normal(size=(3, 5))) for _ in range(number)]
        yield rng.normal(size=(4, 3)), networks


def one_residual(x, networks):
    y = x
    for first, second in networks:
        y = np.maximum(y @ first.T, 0) @ second.T
    return x + y


def without_relu(x, networks):
    for first, second in networks:
        x = x + x @ first.T @ second.T
    return x


def scores_of_words(h, embeddings, rest):  # [T, D], [V, E], [D-E, V] -> [T, V]
    """Score every piece of the vocabulary: the first E channels by its embedding, the other D - E
    by its column of `rest`.
    """
    E = embeddings.shape[1]
    return h[:, :E] @ embeddings.T + h[:, E:] @ rest


def inputs_of_scores(rng):
    for E in (2, 4):
        yield rng.normal(size=(3, 2 * E)), rng.normal(size=(7, E)), rng.normal(size=(E, 7))


def scores_exchanged(h, embeddings, rest):
    E = embeddings.shape[1]
    return h[:, -E:] @ embeddings.T + h[:, :-E] @ rest


EXERCISES = (
    Exercise(
        trigrams_of,
        inputs_of_trigrams,
        (
            Mistake("The previous token comes first; the next one should.", trigrams_backwards),
            Mistake(
                "The ends are joined to a ring, as np.roll does; zeros stand past them.",
                lambda words: np.concatenate(
                    [np.roll(words, -1, axis=0), words, np.roll(words, 1, axis=0)], axis=1
                ),
            ),
            Mistake(
                "Joined along the text; they belong side by side, along the channels.",
                lambda words: np.concatenate(np.split(trigrams_of(words), 3, axis=1), axis=0),
            ),
        ),
        "`words[1:]` with a row of zeros behind it has the next token of every token.",
        lambda words: mobilebert.trigrams(words[None])[0],
    ),
    Exercise(
        fold_norm,
        inputs_of_folding,
        (
            Mistake(
                "The columns of the weight are scaled; an output channel is a row of it.",
                lambda weight, bias, scale, shift: (weight * scale, bias * scale + shift),
            ),
            Mistake(
                "The bias is not scaled, though it is there before the norm.",
                lambda weight, bias, scale, shift: (weight * scale[:, None], bias + shift),
            ),
            Mistake(
                "The shift is scaled, too; it comes after the scale.",
                lambda weight, bias, scale, shift: (
                    weight * scale[:, None],
                    (bias + shift) * scale,
                ),
            ),
        ),
        "Multiply the bracket out: what stands beside x, and what stands alone?",
    ),
    Exercise(
        stack_of_networks,
        inputs_of_networks,
        (
            Mistake("One residual connection for all: every network has its own.", one_residual),
            Mistake(
                "The same weights in every network.",
                lambda x, networks: stack_of_networks(x, [networks[0]] * len(networks)),
            ),
            Mistake("The activation is left out: then all is one linear map.", without_relu),
        ),
        "What goes into a network is what the one before it gave, its residual included.",
    ),
    Exercise(
        scores_of_words,
        inputs_of_scores,
        (
            Mistake("The two halves of the channels are exchanged.", scores_exchanged),
            Mistake(
                "The second half is left out.",
                lambda h, embeddings, rest: h[:, : embeddings.shape[1]] @ embeddings.T,
            ),
        ),
        "`embeddings` is stored with one row for each piece, `rest` with one column.",
    ),
)
