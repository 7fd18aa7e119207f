"""The operations that the families share, as plain functions on arrays.

Axes   B sentences   T tokens   D hidden width   H heads   S width of one head   V vocabulary
       I, O widths of what enters and leaves a linear map   K choices   L labels
       N texts or tokens   M those of them whose label counts
Names  `p` is a node of the parameter tree: p.weight is the array under that name in the checkpoint.

Nothing here changes a dtype: float32 stays float32 and float64 stays float64.
"""

from __future__ import annotations

import math

import numpy as np

from npbert.compiled.backend import Operation


def linear(x, p):  # [..., I] -> [..., O]
    """Map every vector of x by a matrix and a bias: x Wᵀ + b, weight [O, I] as stored, bias [O]."""
    return x @ p.weight.T + p.bias


def layer_norm(x, p, eps):  # [..., D] -> [..., D]
    """Give every vector mean 0 and variance 1, then scale and shift (Ba et al. 2016, eq. 4)."""
    return normalise(x, p.weight, p.bias, eps)


@Operation
def normalise(x, weight, bias, eps):  # [..., D], [D], [D] -> [..., D]
    """Do the work of `layer_norm`, on arrays alone."""
    centred = x - x.mean(axis=-1, keepdims=True)  # [..., D]
    variance = (centred * centred).mean(axis=-1, keepdims=True)  # [..., 1]: by D, not by D - 1
    return centred / np.sqrt(variance + eps) * weight + bias


@normalise.shared_twin(lambda x, weight, bias, eps: np.empty_like(x))
def normalise_loops(out, part, parts, x, weight, bias, eps):
    D = x.shape[-1]
    rows, results = x.reshape(-1, D), out.reshape(-1, D)
    zero = out.dtype.type(0)
    for n in range(part * len(rows) // parts, (part + 1) * len(rows) // parts):
        row, result = rows[n], results[n]
        total = zero
        for d in range(D):
            total += row[d]
        mean = total / out.dtype.type(D)
        squares = zero
        for d in range(D):
            squares += (row[d] - mean) * (row[d] - mean)
        deviation = math.sqrt(squares / out.dtype.type(D) + out.dtype.type(eps))
        for d in range(D):
            result[d] = (row[d] - mean) / deviation * weight[d] + bias[d]


def softmax(x):  # [..., K] -> [..., K]
    """Turn scores into shares that sum to 1 over the last axis; taking the largest off is exact."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))  # [..., K]
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_softmax(x):  # [..., K] -> [..., K]
    """The logarithm of softmax, without the underflow of taking it afterwards."""
    shifted = x - x.max(axis=-1, keepdims=True)  # [..., K]
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def mask_bias(attention_mask, dtype):  # [B, T] -> [B, 1, 1, T]
    """What is added to the attention scores: 0 at tokens that count, the smallest float at padding.

    The reference adds the smallest finite number, not minus infinity. A row that is padding
    altogether therefore attends to all of its tokens equally, where minus infinity would give NaN.
    """
    bias = np.where(attention_mask, 0, np.finfo(dtype).min).astype(dtype)  # [B, T]
    return bias[:, None, None, :]


def split_heads(x, H):  # [B, T, D] -> [B, H, T, S]
    """Give every head its own slice of the channels: head h reads channels h*S to (h+1)*S."""
    B, T, _ = x.shape
    return x.reshape(B, T, H, -1).swapaxes(1, 2)


def attend(query, key, value, bias):  # [B, H, T, S], [B, H, T, S], [B, H, T, S] -> [B, T, H, S]
    """Mix the values of all tokens by how well each key answers each query.

    softmax(Q Kᵀ / √S + bias) V, Vaswani et al. 2017, eq. 1. The bias is [B, 1, 1, T] or anything
    that fits the scores. Returns the mixture, and the shares [B, H, T, T].
    """
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])  # [B, H, T, T]
    masked_scores = scores + bias  # [B, H, T, T]
    probs = softmax(masked_scores)  # [B, H, T, T]
    context = (probs @ value).swapaxes(1, 2)  # [B, T, H, S]
    return context, probs


def cross_entropy(logits, labels):  # [N, V] -> []
    """The mean negative log likelihood of the labels [N], in nats; labels of -100 do not count.

    With nothing to count the mean is NaN, as it is in the reference.
    """
    counted = labels != -100  # [N]
    log_probs = log_softmax(logits[counted])  # [M, V]
    log_likelihoods = np.take_along_axis(log_probs, labels[counted][:, None], axis=-1)  # [M, 1]
    with np.errstate(invalid="ignore"):  # 0 / 0, which is the NaN that is wanted
        return -log_likelihoods.sum() / logits.dtype.type(counted.sum())


def mean_squared_error(x, labels):  # [B, L] -> []
    """The mean of the squared differences to the labels, [B, L]."""
    return np.square(x - labels.astype(x.dtype)).mean()


def binary_cross_entropy(logits, labels):  # [B, L] -> []
    """The mean negative log likelihood, in nats, of L yes-or-no questions; labels are shares.

    -y ln σ(x) - (1 - y) ln(1 - σ(x)), written so that no exponential overflows.
    """
    softplus = np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))  # [B, L]
    return (softplus - logits * labels.astype(logits.dtype)).mean()
