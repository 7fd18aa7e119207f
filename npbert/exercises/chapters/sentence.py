"""Exercises of the chapter from a sentence to a word: softmax, scores, what is nearby."""

from __future__ import annotations

import math

import numpy as np

from npbert import kernels, ops
from npbert.exercises.exercise import Exercise, Mistake


def stable_softmax(x):  # [..., K] -> [..., K]
    """Compute the softmax over the last axis, also where numbers are as large as 1000."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def inputs_of_softmax(rng):
    yield (rng.normal(size=5),)
    yield (rng.normal(size=(3, 3)),)
    yield (rng.normal(size=(2, 3, 4)) * 1000,)


def softmax_over_all(x):
    exponentials = np.exp(x - x.max())
    return exponentials / exponentials.sum()


def softmax_down(x):
    exponentials = np.exp(x - x.max(axis=0, keepdims=True))
    return exponentials / exponentials.sum(axis=0, keepdims=True)


def attention_scores(query, key):  # [T, S], [T, S] -> [T, T]
    """Compute how well the key of token j matches the query of token i, as entry [i, j]: the inner
    product divided by the root of S.
    """
    return query @ key.T / math.sqrt(query.shape[-1])


def inputs_of_scores(rng):
    for T, S in ((4, 9), (3, 5)):
        yield rng.normal(size=(T, S)), rng.normal(size=(T, S))


def mix_nearby(values, filters):  # [T, S], [T, K] -> [T, S]
    """Sum for every token t filters[t, k] * values[t + k - K//2] over k, zeros past both ends."""
    T, K = filters.shape
    padded = np.pad(values, ((K // 2, K // 2), (0, 0)))
    return sum(filters[:, k, None] * padded[k : k + T] for k in range(K))


def inputs_of_nearby(rng):
    for T, S, K in ((6, 2, 3), (4, 3, 5)):
        yield rng.normal(size=(T, S)), rng.normal(size=(T, K))


def mix_of_one_head(values, filters):
    return kernels.dynamic_convolution(values[None], filters[None, :, None])[0, :, 0]


def mix_from_here_on(values, filters):
    T, K = filters.shape
    padded = np.pad(values, ((0, K), (0, 0)))
    return sum(filters[:, k, None] * padded[k : k + T] for k in range(K))


def mix_with_repeated_ends(values, filters):
    T, K = filters.shape
    padded = np.pad(values, ((K // 2, K // 2), (0, 0)), mode="edge")
    return sum(filters[:, k, None] * padded[k : k + T] for k in range(K))


def share_nearby(probs, K):  # [H, T, T] -> [H]
    """Return for each head the share of attention that goes to at most K//2 tokens to either side,
    averaged over the tokens; the token itself is nearby, too.
    """
    i = np.arange(probs.shape[-1])
    is_near = np.abs(i[:, None] - i) <= K // 2
    return (probs * is_near).sum(axis=-1).mean(axis=-1)


def inputs_of_share(rng):
    for H, T, K in ((2, 7, 3), (3, 12, 5)):
        yield ops.softmax(rng.normal(size=(H, T, T))), K


def share_within(probs, reach, least=0):
    i = np.arange(probs.shape[-1])
    distance = np.abs(i[:, None] - i)
    return (probs * ((distance <= reach) & (distance >= least))).sum(axis=-1).mean(axis=-1)


def with_temperature(logits, temperature):  # [V] -> [V]
    """Return the probabilities at a temperature: above 1 they are more even, below 1 less."""
    return ops.softmax(logits / temperature)


def inputs_of_temperature(rng):
    for temperature in (0.5, 1.0, 2.0):
        yield rng.normal(size=6), temperature


EXERCISES = (
    Exercise(
        stable_softmax,
        inputs_of_softmax,
        (
            Mistake(
                "The maximum is not subtracted first, so e^x overflows and inf / inf is NaN.",
                lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
            ),
            Mistake(
                "The sum is taken over the whole array, not over the last axis.", softmax_over_all
            ),
            Mistake("The sum is taken over the first axis, not over the last.", softmax_down),
        ),
        "Adding the same number to all of a row changes nothing. With which one is no exponential "
        "larger than 1? `keepdims=True` keeps an axis for broadcasting.",
        ops.softmax,
    ),
    Exercise(
        attention_scores,
        inputs_of_scores,
        (
            Mistake("The root of S is missing.", lambda query, key: query @ key.T),
            Mistake(
                "Divided by S, not by its root.", lambda query, key: query @ key.T / query.shape[-1]
            ),
            Mistake(
                "Query and key are exchanged: rows are tokens that ask, columns those that are "
                "asked.",
                lambda query, key: key @ query.T / math.sqrt(query.shape[-1]),
            ),
        ),
        "One product of matrices gives all inner products at once: which of the two is transposed?",
    ),
    Exercise(
        mix_nearby,
        inputs_of_nearby,
        (
            Mistake(
                "The filters are applied from right to left: k = 0 is the leftmost neighbour.",
                lambda values, filters: mix_nearby(values, filters[:, ::-1]),
            ),
            Mistake(
                "The window begins at the token itself; it should be centred on it.",
                mix_from_here_on,
            ),
            Mistake(
                "The tokens at the ends are repeated; zeros should stand past both ends.",
                mix_with_repeated_ends,
            ),
        ),
        "Pad `values` with K//2 rows of zeros on both sides. Then neighbour k of all tokens is one "
        "slice of T rows.",
        mix_of_one_head,
    ),
    Exercise(
        share_nearby,
        inputs_of_share,
        (
            Mistake(
                "K tokens to either side are counted, not K//2.",
                lambda probs, K: share_within(probs, K),
            ),
            Mistake(
                "The token itself is left out.", lambda probs, K: share_within(probs, K // 2, 1)
            ),
            Mistake(
                "Averaged over all entries: the shares of a token should be summed, then averaged "
                "over the tokens.",
                lambda probs, K: share_nearby(probs, K) / probs.shape[-1],
            ),
        ),
        "`np.abs(i[:, None] - i)` with `i = np.arange(T)` is the distance of every pair.",
    ),
    Exercise(
        with_temperature,
        inputs_of_temperature,
        (
            Mistake(
                "The logits are multiplied by the temperature, not divided by it.",
                lambda logits, temperature: stable_softmax(logits * temperature),
            ),
            Mistake(
                "The probabilities are divided by the temperature: then they do not sum to 1.",
                lambda logits, temperature: stable_softmax(logits) / temperature,
            ),
        ),
        "The temperature belongs inside the softmax, where the root of S stands as well.",
    ),
)
