"""Exercises of the chapter on SqueezeBERT: groups, their matrix, their price, a shuffle."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from npbert import kernels
from npbert.exercises.exercise import Exercise, Mistake


def convolve_groups(x, weight, bias):  # [T, I], [O, I/G, 1], [O] -> [T, O]
    """Apply a convolution one token wide in G groups: the first I/G channels enter the first O/G
    filters and no others, and so on.
    """
    O, width, _ = weight.shape
    G = x.shape[1] // width
    filters = weight.reshape(G, O // G, width)
    groups = x.reshape(len(x), G, width)
    return np.einsum("tgi,goi->tgo", groups, filters).reshape(len(x), O) + bias


def inputs_of_groups(rng):
    for G, inner, outer in ((2, 3, 3), (3, 2, 4)):
        O = G * outer
        yield rng.normal(size=(4, G * inner)), rng.normal(size=(O, inner, 1)), rng.normal(size=O)


def read_as_stored(x, weight, bias):
    O, width, _ = weight.shape
    G = x.shape[1] // width
    matrices = weight.reshape(G, width, O // G)
    return (
        np.einsum("tgi,gio->tgo", x.reshape(len(x), G, width), matrices).reshape(len(x), O) + bias
    )


def interleaved(x, weight, bias):
    G = x.shape[1] // weight.shape[1]
    turned = x.reshape(len(x), -1, G).swapaxes(1, 2).reshape(x.shape)
    return convolve_groups(turned, weight, bias)


def outputs_interleaved(x, weight, bias):
    O, width, _ = weight.shape
    G = x.shape[1] // width
    out = (convolve_groups(x, weight, bias) - bias).reshape(len(x), G, O // G)
    return out.swapaxes(1, 2).reshape(len(x), O) + bias


def block_matrix(weight, G):  # [O, I/G] -> [O, I]
    """Write a map in G groups as one matrix for all channels, with zeros where a group does not
    look.
    """
    O, width = weight.shape
    matrix = np.zeros((O, G * width), weight.dtype)
    for g in range(G):
        rows = slice(g * O // G, (g + 1) * O // G)
        matrix[rows, g * width : (g + 1) * width] = weight[rows]
    return matrix


def inputs_of_blocks(rng):
    for G, inner, outer in ((2, 3, 2), (3, 2, 2)):
        yield rng.normal(size=(G * outer, inner)), G


def blocks_interleaved(weight, G):
    matrix = np.zeros((len(weight), G * weight.shape[1]), weight.dtype)
    for row, values in enumerate(weight):
        matrix[row, row * G // len(weight) :: G] = values
    return matrix


def weights_of_layer(D, I, G):
    """Count the weights of a layer without biases and norms: query, key, value, the output map and
    the two maps between D and I, all in G groups but for the output map.
    """
    return (3 * D * D + 2 * D * I) // G + D * D


def inputs_of_weights(rng):
    for G in (2, 4):
        D, I = (int(n) * G for n in rng.integers(2, 60, 2))
        yield D, I, G


def shuffle_channels(x, G):  # [T, D] -> [T, D]
    """Mix groups by reordering: first the first channel of each of G groups, then the second of
    each, and so on.
    """
    return x.reshape(len(x), G, -1).swapaxes(1, 2).reshape(x.shape)


def inputs_of_shuffle(rng):
    yield rng.normal(size=(2, 6)), 2
    yield rng.normal(size=(3, 12)), 3


EXERCISES = (
    Exercise(
        convolve_groups,
        inputs_of_groups,
        (
            Mistake(
                "The weight is read as ConvBERT's [G, I/G, O/G]; here it is [O, I/G, 1].",
                read_as_stored,
            ),
            Mistake(
                "The channels of the groups are interleaved; a group has neighbouring ones.",
                interleaved,
            ),
            Mistake(
                "The outputs of the groups are interleaved; those of a group stand together.",
                outputs_interleaved,
            ),
        ),
        "Give x the axes [T, G, I/G] and the weight [G, O/G, I/G]. Which letter is summed over?",
        lambda x, weight, bias: kernels.grouped_convolution(
            x, SimpleNamespace(weight=weight, bias=bias)
        ),
    ),
    Exercise(
        block_matrix,
        inputs_of_blocks,
        (
            Mistake(
                "The weight is repeated in every group; outside of a group there should be zeros.",
                lambda weight, G: np.tile(weight, (1, G)),
            ),
            Mistake(
                "The columns of a group are interleaved with those of the others.",
                blocks_interleaved,
            ),
            Mistake(
                "The blocks stand on the other diagonal.",
                lambda weight, G: np.concatenate(
                    np.split(block_matrix(weight, G), G, axis=1)[::-1], axis=1
                ),
            ),
        ),
        "Begin with zeros, and copy O/G rows at a time.",
    ),
    Exercise(
        weights_of_layer,
        inputs_of_weights,
        (
            Mistake(
                "The output map is divided as well; it has one group, so that the groups mix.",
                lambda D, I, G: (4 * D * D + 2 * D * I) // G,
            ),
            Mistake("The groups save nothing here.", lambda D, I, G: 4 * D * D + 2 * D * I),
            Mistake(
                "Divided by G twice: a map has G blocks of D/G times D/G.",
                lambda D, I, G: (3 * D * D + 2 * D * I) // G**2 + D * D,
            ),
        ),
        "A map from D to D in G groups has G blocks. How large is each?",
    ),
    Exercise(
        shuffle_channels,
        inputs_of_shuffle,
        (
            Mistake(
                "This is the way back: cut into G groups, not into groups of G.",
                lambda x, G: x.reshape(len(x), -1, G).swapaxes(1, 2).reshape(x.shape),
            ),
            Mistake(
                "The groups are exchanged as a whole, and nothing is mixed.",
                lambda x, G: x.reshape(len(x), G, -1)[:, ::-1].reshape(x.shape),
            ),
            Mistake("Nothing has moved: a reshape alone moves no number.", lambda x, G: x.copy()),
        ),
        "`reshape`, `swapaxes`, `reshape`.",
    ),
)
