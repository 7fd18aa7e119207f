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

from npbert.compiled.backend import operation


@operation()  # its twin: npbert/compiled/ops.py
def linear(x, p):  # [..., I] -> [..., O]
    """Map every vector of x by a matrix and a bias: x Wᵀ + b, weight [O, I] as stored, bias [O]."""
    return x @ p.weight.T + p.bias


@operation()  # its twin: npbert/compiled/ops.py
def layer_norm(x, p, eps):  # [..., D] -> [..., D]
    """Give every vector mean 0 and variance 1, then scale and shift (Ba et al. 2016, eq. 3, 4).

    NaN where the variance overflows, as the reference gives.
    """
    centred = x - x.mean(axis=-1, keepdims=True)  # [..., D]
    variance = (centred * centred).mean(axis=-1, keepdims=True)  # [..., 1]: by D, not by D - 1
    variance[np.isinf(variance)] = np.nan  # too large for the dtype: x / inf would hide it as 0
    return centred / np.sqrt(variance + eps) * p.weight + p.bias


def softmax(x):  # [..., K] -> [..., K]
    """Softmax over the last axis: e^x divided by its sum.

    Subtracting the maximum avoids overflow and does not change the result.
    """
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))  # [..., K]
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_softmax(x):  # [..., K] -> [..., K]
    """The logarithm of softmax, computed without the underflow of softmax."""
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


@operation(has_twin=False, tokens=((2, 2, 2, None), (1, None, None)))
def attend(query, key, value, mask_bias):  # -> [B, T, H, S], [B, H, T, T], [B, H, T, T]
    """Mix the values of all tokens, weighted by how well each key matches each query.

    softmax(Q Kᵀ / √S + mask_bias) V, Vaswani et al. 2017, eq. 1. query, key and value are
    [B, H, T, S]; mask_bias is [B, 1, 1, T] or anything that broadcasts to the scores. Returns the
    mixture (context), the attention probabilities, and the masked scores they are the softmax of.
    """
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])  # [B, H, T, T]
    masked_scores = scores + mask_bias  # [B, H, T, T]
    probs = softmax(masked_scores)  # [B, H, T, T]
    context = (probs @ value).swapaxes(1, 2)  # [B, T, H, S]
    return context, probs, masked_scores


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
    """The mean negative log likelihood, in nats, of L yes-or-no questions.

    The labels y are probabilities from 0 to 1.
    -y ln σ(x) - (1 - y) ln(1 - σ(x)), written so that no exponential overflows.
    """
    softplus = np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))  # [B, L]
    return (softplus - logits * labels.astype(logits.dtype)).mean()
