"""Exercises of the chapter on checking a port: layouts, fused weights, the first fault."""

from __future__ import annotations

import numpy as np

from npbert.exercises.exercise import Exercise, Mistake


def tokens_first(x):  # [B, D, T] -> [B, T, D]
    """Bring what a convolution keeps channels first, [B, D, T], into the layout of npbert."""
    return x.swapaxes(1, 2)


def inputs_of_layouts(rng):
    yield (rng.normal(size=(2, 3, 4)),)
    yield (rng.normal(size=(2, 3, 3)),)


def split_fused(weight):  # [3*D, D] -> [D, D], [D, D], [D, D]
    """Split a fused weight, rows of query, then of key, then of value, into the three."""
    D = weight.shape[1]
    return weight[:D], weight[D : 2 * D], weight[2 * D :]


def inputs_of_fused(rng):
    for D in (2, 3):
        yield (rng.normal(size=(3 * D, D)),)


def excess_over(got, expected, tolerance):  # [...], [...] -> []
    """Return how many tolerances the largest difference is; infinity where one of the two values is
    NaN and the other is not.
    """
    if (np.isnan(got) != np.isnan(expected)).any():
        return float("inf")
    return float(np.nanmax(np.abs(got - expected)) / tolerance)


def inputs_of_excess(rng):
    expected = rng.normal(size=6)
    yield expected - np.array([0, 0, 0.5, 0.1, 0.2, 0]), expected, 1e-3
    yield np.where(np.arange(6) == 2, np.nan, expected), expected, 1e-3


def first_fault(mine, kit, tolerance):
    """Return the name of the first array, in the order of the kit, that is missing in mine, has
    another shape, or anywhere differs by more than the tolerance or is NaN; "" if none does.
    """
    for name, expected in kit.items():
        if name not in mine or mine[name].shape != expected.shape:
            return name
        if not (np.abs(mine[name] - expected) <= tolerance).all():
            return name
    return ""


def inputs_of_faults(rng):
    kit = {name: rng.normal(size=(3, 2)) for name in ("embeddings", "layer.0", "layer.1", "logits")}
    yield dict(reversed(kit.items())), kit, 1e-6
    wrong = {**kit, "layer.1": kit["layer.1"] - 1, "logits": kit["logits"] + 1}
    yield dict(reversed(wrong.items())), kit, 1e-6
    yield {**kit, "layer.0": kit["layer.0"] * np.nan, "logits": kit["logits"] + 1}, kit, 1e-6
    alike = {**kit, "layer.0": np.ones((3, 2))}
    yield {**alike, "layer.0": np.ones((1, 2))}, alike, 1e-6
    yield {name: array for name, array in kit.items() if name != "layer.0"}, kit, 1e-6


def fault_in(mine, kit, order=None, nan=True, shapes=True, lacks=True):
    for name in order or kit:
        if name not in mine:
            if lacks:
                return name
            continue
        if shapes and mine[name].shape != kit[name].shape:
            return name
        error = np.abs(mine[name] - kit[name])
        if not (error <= 1e-6).all() if nan else (error > 1e-6).any():
            return name
    return ""


EXERCISES = (
    Exercise(
        tokens_first,
        inputs_of_layouts,
        (
            Mistake(
                "A reshape gives the right shape and moves nothing.",
                lambda x: x.reshape(x.shape[0], x.shape[2], x.shape[1]),
            ),
            Mistake("All axes are turned round, the batch as well.", lambda x: x.T),
        ),
        "Two axes change places.",
    ),
    Exercise(
        split_fused,
        inputs_of_fused,
        (
            Mistake(
                "The rows of the three are taken in turns; each has D in a row.",
                lambda weight: (weight[::3], weight[1::3], weight[2::3]),
            ),
            Mistake(
                "Key and value are exchanged.",
                lambda weight: tuple(split_fused(weight)[i] for i in (0, 2, 1)),
            ),
            Mistake(
                "The parts are transposed; they stay as stored.",
                lambda weight: tuple(part.T for part in split_fused(weight)),
            ),
        ),
        "`weight.shape[1]` is D.",
    ),
    Exercise(
        excess_over,
        inputs_of_excess,
        (
            Mistake(
                "NaN is passed over: a port that computes NaN would pass.",
                lambda got, expected, tolerance: float(
                    np.nanmax(np.abs(got - expected)) / tolerance
                ),
            ),
            Mistake(
                "NaN comes through, and is greater than nothing.",
                lambda got, expected, tolerance: float(np.max(np.abs(got - expected)) / tolerance),
            ),
            Mistake(
                "Negative differences are lost without np.abs.",
                lambda got, expected, tolerance: (
                    float("inf")
                    if np.isnan(got).any()
                    else float(np.nanmax(got - expected) / tolerance)
                ),
            ),
        ),
        "`np.isnan` of both, compared, before anything else.",
    ),
    Exercise(
        first_fault,
        inputs_of_faults,
        (
            Mistake(
                "NaN passes: it is not greater than the tolerance. Ask whether all is within it.",
                lambda mine, kit, tolerance: fault_in(mine, kit, nan=False),
            ),
            Mistake(
                "Another shape passes where it can be broadcast.",
                lambda mine, kit, tolerance: fault_in(mine, kit, shapes=False),
            ),
            Mistake(
                "What is missing passes.",
                lambda mine, kit, tolerance: fault_in(mine, kit, lacks=False),
            ),
            Mistake(
                "The last fault, not the first: the others follow from it.",
                lambda mine, kit, tolerance: fault_in(mine, kit, [*kit][::-1]),
            ),
        ),
        "A NaN makes every comparison false: `not (error <= tolerance).all()`.",
    ),
)
