"""Exercises of the chapter on quirks: GELU, positions, summaries, labels."""

from __future__ import annotations

import math

import numpy as np

from npbert import activations, ops
from npbert.exercises.exercise import Exercise, Mistake


def exact_gelu(x):  # [N] -> [N]
    """Compute x times the probability that a standard normal variable lies below x, exactly: by
    `math.erf`.
    """
    return np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x.tolist()])


def inputs_of_gelu(rng):
    yield (rng.normal(size=9) * 2,)


def positions_of(mask):  # [B, T] -> [B, T]
    """Return the position of every token as the four families count them: from 0, padding included,
    wherever it stands (mask: 1 for tokens, 0 for padding).
    """
    B, T = mask.shape
    return np.tile(np.arange(T), (B, 1))


def inputs_of_positions(rng):
    yield (np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]]),)
    yield (rng.integers(0, 2, (3, 6)),)


def summary_of_choice(x, mask):  # [B, T, D], [B, T] -> [B, D]
    """Summarise each text for ConvBERT's multiple choice as the reference does: by its last
    position, even if that is padding.
    """
    return x[:, -1]


def inputs_of_summaries(rng):
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    yield rng.normal(size=(2, 5, 3)), mask


def last_token(x, mask):
    return x[np.arange(len(x)), mask.sum(axis=1) - 1]


def probability_of_next(logits):  # [B, 2] -> [B]
    """Return the probability that the second text follows the first: the one of index 0."""
    return ops.softmax(logits)[:, 0]


def inputs_of_next(rng):
    yield (rng.normal(size=(4, 2)) * 3,)


def map_as_stored(x, weight, bias):  # [..., I], [O, I], [O] -> [..., O]
    """Apply a linear map whose weight is stored as PyTorch does, one row for each output."""
    return x @ weight.T + bias


def inputs_of_maps(rng):
    yield rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)
    yield rng.normal(size=(5, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)


EXERCISES = (
    Exercise(
        exact_gelu,
        inputs_of_gelu,
        (
            Mistake("This is the approximation by tanh, gelu_new.", activations.gelu_tanh),
            Mistake("This is the approximation by a logistic function.", activations.quick_gelu),
            Mistake(
                "The argument of erf is x divided by the root of 2.",
                lambda x: np.array([v * (1 + math.erf(v)) / 2 for v in x.tolist()]),
            ),
        ),
        "The probability is (1 + erf(x / √2)) / 2.",
        activations.gelu,
    ),
    Exercise(
        positions_of,
        inputs_of_positions,
        (
            Mistake(
                "Padding is not counted, as some other models do; these four count it.",
                lambda mask: np.maximum(mask.cumsum(axis=1) - 1, 0),
            ),
            Mistake(
                "Counted from 1.",
                lambda mask: np.tile(np.arange(1, mask.shape[1] + 1), (len(mask), 1)),
            ),
            Mistake(
                "Padding is given position 0; it has its own.",
                lambda mask: np.tile(np.arange(mask.shape[1]), (len(mask), 1)) * mask,
            ),
        ),
        "The mask is only needed for its shape.",
    ),
    Exercise(
        summary_of_choice,
        inputs_of_summaries,
        (
            Mistake(
                "The last real token: sensible, but the reference takes the last position.",
                last_token,
            ),
            Mistake(
                "The first token: BERT's pooler reads [CLS], this head does not.",
                lambda x, mask: x[:, 0],
            ),
            Mistake("The mean of the positions.", lambda x, mask: x.mean(axis=1)),
        ),
        "One index is enough.",
    ),
    Exercise(
        probability_of_next,
        inputs_of_next,
        (
            Mistake(
                "Index 1 means that the second text is a random one.",
                lambda logits: ops.softmax(logits)[:, 1],
            ),
            Mistake(
                "The two logits belong to one softmax, not each to a logistic function.",
                lambda logits: activations.sigmoid(logits[:, 0]),
            ),
        ),
        "Softmax over the last axis, then one column.",
    ),
    Exercise(
        map_as_stored,
        inputs_of_maps,
        (
            Mistake(
                "The weight is not transposed; with a square one no shape complains.",
                lambda x, weight, bias: x @ weight + bias,
            ),
            Mistake("The bias is left out.", lambda x, weight, bias: x @ weight.T),
            Mistake(
                "The bias is added before the product.",
                lambda x, weight, bias: (x + bias) @ weight.T,
            ),
        ),
        "The axis of x that is summed over is its last; which one of the weight?",
    ),
)
