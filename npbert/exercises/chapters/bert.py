"""Exercises of the chapter on BERT: embeddings, heads, the mask, attention, the norm, the cost."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from npbert import ops
from npbert.exercises.exercise import Exercise, Mistake


def sum_of_embeddings(ids, types, words, positions, segments):  # [T], [T], ... -> [T, D]
    """Look up the vectors of the pieces, of the places (counted from 0) and of the segments in the
    three tables, and add them.
    """
    return words[ids] + positions[: len(ids)] + segments[types]


def inputs_of_embeddings(rng):
    for T in (3, 6):
        tables = [rng.normal(size=(rows, 4)) for rows in (9, 8, 2)]
        yield rng.integers(0, 9, T), np.arange(T) // 2 % 2, *tables


def heads_apart(x, H):  # [T, D] -> [H, T, S]
    """Give each of H heads its slice of the channels: head h gets channels h*S to (h+1)*S."""
    T, _ = x.shape
    return x.reshape(T, H, -1).swapaxes(0, 1)


def inputs_of_heads(rng):
    yield rng.normal(size=(4, 12)), 2
    yield rng.normal(size=(5, 12)), 3


def bias_of_mask(mask, dtype):  # [B, T] -> [B, 1, 1, T]
    """Make of a mask (1 for tokens, 0 for padding) what is added to the scores: 0, or the smallest
    finite number of the dtype.
    """
    bias = np.where(mask, 0, np.finfo(dtype).min).astype(dtype)
    return bias[:, None, None, :]


def inputs_of_mask(rng):
    for dtype in (np.float32, np.float64):
        yield rng.integers(0, 2, (3, 5)), dtype


def masked(mask, dtype, low):
    return np.where(mask, 0, low).astype(dtype)[:, None, None, :]


def attention(query, key, value, bias):  # [H, T, S], ..., [H, T, S], [T] -> [H, T, S]
    """Mix the values by softmax(Q Kᵀ / √S + bias), head by head; the bias belongs to the tokens
    that are looked at.
    """
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1]) + bias
    return ops.softmax(scores) @ value


def inputs_of_attention(rng):
    for H, T, S in ((2, 4, 3), (1, 5, 8)):
        bias = np.where(np.arange(T) < T - 1, 0.0, -1e4)
        yield *rng.normal(size=(3, H, T, S)), bias


def attention_by_npbert(query, key, value, bias):
    context, _, _ = ops.attend(query[None], key[None], value[None], bias)
    return context[0].swapaxes(0, 1)


def scores_of(query, key):
    return query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])


def normalised(x, weight, bias, eps):  # [..., D] -> [..., D]
    """Give every vector mean 0 and variance 1 (divide by the root of variance + eps), then scale by
    weight and shift by bias.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * weight + bias


def inputs_of_norm(rng):
    yield rng.normal(size=(2, 6)), rng.normal(size=6), rng.normal(size=6), 0.1
    yield rng.normal(3, 2, (2, 4, 4)), rng.normal(size=4), rng.normal(size=4), 1e-3


def norm_by(x, weight, bias, eps, by="root", axis=-1, less=0):
    centred = x - x.mean(axis=axis, keepdims=True)
    variance = (centred * centred).sum(axis=axis, keepdims=True) / (x.shape[-1] - less)
    if axis is None:
        variance = (centred * centred).mean()
    root = np.sqrt(variance + eps) if by == "root" else np.sqrt(variance) + eps
    return centred / root * weight + bias


def operations_of_layer(T, D, I):
    """Count the additions and multiplications in the products of a layer: four maps of D to D, two
    between D and I, scores and mixtures of all heads together.
    """
    return 2 * T * (4 * D * D + 2 * D * I) + 2 * (2 * T * T * D)


def inputs_of_operations(rng):
    for _ in range(3):
        yield tuple(int(n) for n in rng.integers(1, 500, 3))


EXERCISES = (
    Exercise(
        sum_of_embeddings,
        inputs_of_embeddings,
        (
            Mistake(
                "Positions are counted from 1; they begin with 0.",
                lambda ids, types, words, positions, segments: (
                    words[ids] + positions[1 : len(ids) + 1] + segments[types]
                ),
            ),
            Mistake(
                "The segments are left out.",
                lambda ids, types, words, positions, segments: words[ids] + positions[: len(ids)],
            ),
            Mistake(
                "The table of positions is read by the ids of the pieces.",
                lambda ids, types, words, positions, segments: (
                    words[ids] + positions[ids % len(positions)] + segments[types]
                ),
            ),
        ),
        "An array of indices in square brackets looks up one row for each.",
    ),
    Exercise(
        heads_apart,
        inputs_of_heads,
        (
            Mistake(
                "Cut by a reshape to [H, T, S] alone, which mixes tokens: first [T, H, S], then "
                "turn.",
                lambda x, H: x.reshape(H, len(x), -1),
            ),
            Mistake(
                "The channels of the heads are interleaved: a head reads S channels in a row.",
                lambda x, H: x.reshape(len(x), -1, H).transpose(2, 0, 1),
            ),
        ),
        "`reshape` never moves a number. So first cut the last axis in two, then exchange axes.",
        lambda x, H: ops.split_heads(x[None], H)[0],
    ),
    Exercise(
        bias_of_mask,
        inputs_of_mask,
        (
            Mistake(
                "Minus infinity: a row of padding alone would become NaN.",
                lambda mask, dtype: masked(mask, dtype, -np.inf),
            ),
            Mistake(
                "-10000 is what older versions added; here it is the smallest finite number.",
                lambda mask, dtype: masked(mask, dtype, -10000),
            ),
            Mistake(
                "The mask is turned round: 1 marks tokens that count.",
                lambda mask, dtype: masked(mask == 0, dtype, np.finfo(dtype).min),
            ),
            Mistake(
                "Always float64: it would turn all that follows into float64.",
                lambda mask, dtype: masked(mask, np.float64, np.finfo(dtype).min),
            ),
        ),
        "`np.where` and `np.finfo(dtype).min`; `None` in square brackets makes an axis of length "
        "1.",
        ops.mask_bias,
    ),
    Exercise(
        attention,
        inputs_of_attention,
        (
            Mistake(
                "The root of S is missing.",
                lambda query, key, value, bias: (
                    ops.softmax(query @ key.swapaxes(-1, -2) + bias) @ value
                ),
            ),
            Mistake(
                "The softmax runs over the tokens that look, not over those that are looked at.",
                lambda query, key, value, bias: (
                    ops.softmax((scores_of(query, key) + bias).swapaxes(-1, -2)).swapaxes(-1, -2)
                    @ value
                ),
            ),
            Mistake(
                "The bias is left out: padding takes part.",
                lambda query, key, value, bias: ops.softmax(scores_of(query, key)) @ value,
            ),
            Mistake(
                "Padding is set to 0 after the softmax: then the weights do not sum to 1.",
                lambda query, key, value, bias: (
                    ops.softmax(scores_of(query, key)) * (bias == 0) @ value
                ),
            ),
        ),
        "`@` multiplies the last two axes and repeats for all before. `ops.softmax` may be used.",
        attention_by_npbert,
    ),
    Exercise(
        normalised,
        inputs_of_norm,
        (
            Mistake(
                "The variance is divided by D - 1, as for a sample; here by D.",
                lambda x, weight, bias, eps: norm_by(x, weight, bias, eps, less=1),
            ),
            Mistake(
                "eps is added to the root; it belongs under it.",
                lambda x, weight, bias, eps: norm_by(x, weight, bias, eps, by="sum"),
            ),
            Mistake(
                "Mean and variance are those of the whole array; each vector has its own.",
                lambda x, weight, bias, eps: norm_by(x, weight, bias, eps, axis=None),
            ),
        ),
        "Centre first: the variance is then the mean of the squares.",
        lambda x, weight, bias, eps: ops.layer_norm(
            x, SimpleNamespace(weight=weight, bias=bias), eps
        ),
    ),
    Exercise(
        operations_of_layer,
        inputs_of_operations,
        (
            Mistake(
                "Multiplications only: each comes with an addition.",
                lambda T, D, I: T * (4 * D * D + 2 * D * I) + 2 * T * T * D,
            ),
            Mistake(
                "The products of tokens with tokens are left out.",
                lambda T, D, I: 2 * T * (4 * D * D + 2 * D * I),
            ),
            Mistake(
                "Of the two products of tokens with tokens, scores and mixture, one is missing.",
                lambda T, D, I: 2 * T * (4 * D * D + 2 * D * I) + 2 * T * T * D,
            ),
        ),
        "A product of [n, k] with [k, m] takes 2 n k m operations.",
    ),
)
