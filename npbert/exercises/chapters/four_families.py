"""Exercises of the chapter on all four families: counting weights and operations, agreement."""

from __future__ import annotations

import math

import numpy as np

from npbert.exercises.exercise import Exercise, Mistake


def operations_of_maps(T, shapes):
    """Count the additions and multiplications of linear maps on T tokens; `shapes` has (O, I) of
    each weight.
    """
    return 2 * T * sum(O * I for O, I in shapes)


def inputs_of_maps(rng):
    for number in (2, 4):
        yield (
            int(rng.integers(2, 200)),
            [tuple(map(int, rng.integers(1, 99, 2))) for _ in range(number)],
        )


def count_parameters(shapes, tied):
    """Count the numbers of a checkpoint: `shapes` maps names to shapes, and the names in `tied`
    stand for arrays that are counted under another name.
    """
    return sum(math.prod(shape) for name, shape in shapes.items() if name not in tied)


def inputs_of_parameters(rng):
    for _ in range(2):
        a, b, c = map(int, rng.integers(3, 50, 3))
        shapes = {"words": (a, b), "dense.weight": (c, b), "dense.bias": (c,), "decoder": (a, b)}
        yield shapes, ["decoder"]


def cheaper_from(K):
    """Return the shortest text, in tokens, for which a dynamic convolution of width K (2 T A K
    operations) takes fewer operations than the two products of attention (4 T T A).
    """
    return K // 2 + 1


def inputs_of_cheaper(rng):
    for K in (int(rng.integers(2, 20)) * 2 + 1, int(rng.integers(2, 20)) * 2):
        yield (K,)


def agreement(first, second):  # [N, V], [N, V] -> []
    """Return the share of the N places at which two models find the same piece the likeliest."""
    return float((first.argmax(axis=-1) == second.argmax(axis=-1)).mean())


def inputs_of_agreement(rng):
    for N, V in ((20, 3), (30, 4)):
        first = rng.normal(size=(N, V))
        yield first, first * 2 + rng.normal(size=(N, V))


EXERCISES = (
    Exercise(
        operations_of_maps,
        inputs_of_maps,
        (
            Mistake(
                "Multiplications only: each comes with an addition.",
                lambda T, shapes: T * sum(O * I for O, I in shapes),
            ),
            Mistake(
                "Those of one token; every token is mapped.",
                lambda T, shapes: 2 * sum(O * I for O, I in shapes),
            ),
        ),
        "For one token every number of a weight takes part in one multiplication and one addition.",
    ),
    Exercise(
        count_parameters,
        inputs_of_parameters,
        (
            Mistake(
                "The tied arrays are counted twice.",
                lambda shapes, tied: sum(math.prod(shape) for shape in shapes.values()),
            ),
            Mistake(
                "The sides of an array are added; its numbers are their product.",
                lambda shapes, tied: sum(sum(s) for name, s in shapes.items() if name not in tied),
            ),
            Mistake(
                "Vectors, biases for one, are left out.",
                lambda shapes, tied: sum(
                    math.prod(s) for name, s in shapes.items() if name not in tied and len(s) > 1
                ),
            ),
        ),
        "`math.prod` multiplies the sides of a shape.",
    ),
    Exercise(
        cheaper_from,
        inputs_of_cheaper,
        (
            Mistake("At K/2 tokens both cost the same (or attention less).", lambda K: K // 2),
            Mistake(
                "Attention has two products of tokens with tokens, hence 4 T T A, not 2.",
                lambda K: K + 1,
            ),
            Mistake("The length is a whole number of tokens.", lambda K: K / 2),
        ),
        "Divide both counts by 2 T A.",
    ),
    Exercise(
        agreement,
        inputs_of_agreement,
        (
            Mistake(
                "The logits are compared; the likeliest pieces should be.",
                lambda first, second: float((first == second).mean()),
            ),
            Mistake(
                "The likeliest place of every piece instead of the likeliest piece of every place.",
                lambda first, second: float(np.mean(first.argmax(axis=0) == second.argmax(axis=0))),
            ),
            Mistake(
                "The number of places, not their share.",
                lambda first, second: float((first.argmax(-1) == second.argmax(-1)).sum()),
            ),
        ),
        "The mean of an array of booleans is the share that is true.",
    ),
)
