"""Exercises of the chapter on ConvBERT: convolutions, filters, the two halves, groups, reach."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from npbert import kernels, ops
from npbert.exercises.exercise import Exercise, Mistake


def convolve_channels(x, weight):  # [T, D], [D, K] -> [T, D]
    """Convolve each channel by its own filter: sum weight[d, k] * x[t + k - K//2, d] over k, zeros
    past both ends.
    """
    T, K = len(x), weight.shape[1]
    padded = np.pad(x, ((K // 2, K // 2), (0, 0)))
    return sum(padded[k : k + T] * weight[:, k] for k in range(K))


def inputs_of_channels(rng):
    for T, D, K in ((6, 2, 3), (4, 3, 5)):
        yield rng.normal(size=(T, D)), rng.normal(size=(D, K))


def convolve_padded(x, weight, before, after, mode="constant"):
    T, K = len(x), weight.shape[1]
    padded = np.pad(x, ((before, after), (0, 0)), mode=mode)
    return sum(padded[k : k + T] * weight[:, k] for k in range(K))


def filters_of_heads(scores, H):  # [T, H*K] -> [T, H, K]
    """Make filters of a token's scores: each of H heads has K scores in a row, and its weights are
    positive and sum to 1.
    """
    return ops.softmax(scores.reshape(len(scores), H, -1))


def inputs_of_filters(rng):
    yield rng.normal(size=(3, 6)), 2
    yield rng.normal(size=(4, 15)), 3


def both_halves(far, near):  # [T, H, S], [T, H, S] -> [T, 2*H*S]
    """Put the heads of attention and then those of the convolution side by side."""
    return np.concatenate([far, near], axis=1).reshape(len(far), -1)


def inputs_of_halves(rng):
    for T, H, S in ((3, 2, 4), (5, 3, 2)):
        yield rng.normal(size=(T, H, S)), rng.normal(size=(T, H, S))


def map_in_groups(x, weight, bias):  # [T, I], [G, I/G, O/G], [O] -> [T, O]
    """Map each of G groups of neighbouring channels by a matrix of its own, and add the bias. The
    matrices are stored as they are used, not transposed.
    """
    G, width, _ = weight.shape
    groups = x.reshape(len(x), G, 1, width)
    return (groups @ weight).reshape(len(x), -1) + bias


def inputs_of_groups(rng):
    for G, width in ((2, 3), (3, 2)):
        yield (
            rng.normal(size=(4, G * width)),
            rng.normal(size=(G, width, width)),
            rng.normal(size=G * width),
        )


def interleaved(x, weight, bias):
    G, width, _ = weight.shape
    groups = x.reshape(len(x), width, G).swapaxes(1, 2)[:, :, None]
    return (groups @ weight).reshape(len(x), -1) + bias


def reach_of_convolutions(layers, K):
    """Return how many tokens can influence one through so many layers of convolutions of odd width
    K, the token itself included.
    """
    return 1 + layers * (K - 1)


def inputs_of_reach(rng):
    for K in (3, 9):
        yield int(rng.integers(2, 13)), K


EXERCISES = (
    Exercise(
        convolve_channels,
        inputs_of_channels,
        (
            Mistake(
                "The filters are applied from right to left, as a mathematician's convolution is.",
                lambda x, weight: convolve_channels(x, weight[:, ::-1]),
            ),
            Mistake(
                "All zeros stand before the text: the window ends at the token, and should be "
                "centred on it.",
                lambda x, weight: convolve_padded(x, weight, weight.shape[1] - 1, 0),
            ),
            Mistake(
                "The tokens at the ends are repeated; zeros should stand past both ends.",
                lambda x, weight: convolve_padded(
                    x, weight, weight.shape[1] // 2, weight.shape[1] // 2, "edge"
                ),
            ),
        ),
        "Pad by K//2 rows on both sides; neighbour k of all tokens is one slice, `weight[:, k]` "
        "its "
        "weight in every channel.",
        lambda x, weight: kernels.depthwise_convolution(x[None], weight[:, None])[0],
    ),
    Exercise(
        filters_of_heads,
        inputs_of_filters,
        (
            Mistake(
                "The softmax comes before the heads are apart: all heads together then sum to 1.",
                lambda scores, H: ops.softmax(scores).reshape(len(scores), H, -1),
            ),
            Mistake(
                "The scores of the heads are interleaved; each head has K in a row.",
                lambda scores, H: ops.softmax(scores.reshape(len(scores), -1, H).swapaxes(1, 2)),
            ),
            Mistake(
                "The softmax runs over the heads, not over the K neighbours.",
                lambda scores, H: ops.softmax(
                    scores.reshape(len(scores), H, -1).swapaxes(1, 2)
                ).swapaxes(1, 2),
            ),
        ),
        "First `reshape`, then `ops.softmax`, which runs over the last axis.",
    ),
    Exercise(
        both_halves,
        inputs_of_halves,
        (
            Mistake(
                "The convolution comes first; attention does.",
                lambda far, near: both_halves(near, far),
            ),
            Mistake(
                "Joined head by head along the channels: all heads of attention come first.",
                lambda far, near: np.concatenate([far, near], axis=2).reshape(len(far), -1),
            ),
        ),
        "Join them along the axis of the heads, then flatten heads and channels.",
    ),
    Exercise(
        map_in_groups,
        inputs_of_groups,
        (
            Mistake(
                "The matrices are transposed; these alone are stored as they are used.",
                lambda x, weight, bias: map_in_groups(x, weight.swapaxes(1, 2), bias),
            ),
            Mistake(
                "The groups are interleaved: a group is made of neighbouring channels.", interleaved
            ),
            Mistake("The bias is left out.", lambda x, weight, bias: map_in_groups(x, weight, 0.0)),
        ),
        "`@` multiplies stacks of matrices: make x [T, G, 1, I/G].",
        lambda x, weight, bias: kernels.grouped_linear(
            x, SimpleNamespace(weight=weight, bias=bias)
        ),
    ),
    Exercise(
        reach_of_convolutions,
        inputs_of_reach,
        (
            Mistake(
                "K for every layer counts the token again each time.", lambda layers, K: layers * K
            ),
            Mistake(
                "The reach grows by addition, not by multiplication.", lambda layers, K: K**layers
            ),
            Mistake("The token itself is not counted.", lambda layers, K: layers * (K - 1)),
        ),
        "One layer adds K//2 tokens on either side.",
    ),
)
