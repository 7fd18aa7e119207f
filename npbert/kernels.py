"""The convolutions, and the linear maps in groups, in plain NumPy.

Axes   B sentences   T tokens   D channels   A = H*S channels in heads   H heads
       S width of one head   K kernel width   N tokens of all sentences
       I channels that enter and O that leave a map, in G groups
Names  `p` is a node of the parameter tree: p.weight is the array under that name in the checkpoint.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from npbert.compiled.backend import operation


@operation(has_twin=False, tokens=((1, None), (1,)))
def depthwise_convolution(x, weight):  # [B, T, D], [D, 1, K] -> [B, T, D]
    """Convolve over the text, each channel by a filter of its own; zeros stand past both ends.

    Sums weight[d, 0, k] * x[b, t + k - K//2, d] over k.
    """
    T, K = x.shape[1], weight.shape[-1]
    taps = weight[:, 0].T  # [K, D]
    padded = np.pad(x, ((0, 0), (K // 2, K // 2), (0, 0)))  # [B, T+K-1, D]
    return sum(padded[:, k : k + T] * taps[k] for k in range(K))


@operation(tokens=((1, 1), (1,)))  # its twin: npbert/compiled/kernels.py
def dynamic_convolution(values, filters):  # [B, T, A], [B, T, H, K] -> [B, T, H, S]
    """Mix every token's K neighbours with weights of its own, one set of weights for each head.

    Sums filters[b, t, h, k] * values[b, t + k - K//2, h*S + s] over k; zeros stand past both ends.
    """
    B, T, H, K = filters.shape
    padded = np.pad(values, ((0, 0), (K // 2, K // 2), (0, 0)))  # [B, T+K-1, A]
    spans = sliding_window_view(padded, K, axis=1)  # [B, T, A, K]
    windows = spans.reshape(B, T, H, -1, K)  # [B, T, H, S, K]
    return np.einsum("bthsk,bthk->bths", windows, filters)


def grouped_linear(x, p):  # [..., I] -> [..., O]
    """Map each of G groups of channels by a matrix of its own (Jiang et al. 2020, section 3.3).

    The weight is [G, I/G, O/G]: unlike all others it is stored as it is used, not transposed.
    """
    G, group_width, _ = p.weight.shape
    groups = x.reshape(*x.shape[:-1], G, 1, group_width)  # [..., G, 1, I/G]
    mapped = groups @ p.weight  # [..., G, 1, O/G]
    return mapped.reshape(*x.shape[:-1], -1) + p.bias


@operation()  # its twin: npbert/compiled/kernels.py
def grouped_convolution(x, p):  # [..., I] -> [..., O]
    """Convolve over the text, one token wide, each of G groups of channels by filters of its own.

    The first I/G channels enter the first O/G filters and no others, and so on. The weight is
    [O, I/G, 1]. One token wide, a convolution is a linear map of each token's channels; with one
    group it is `linear`.
    """
    O, group_width, _ = p.weight.shape
    rows = x.reshape(-1, x.shape[-1] // group_width, group_width)  # [N, G, I/G]
    G = rows.shape[1]
    filters = p.weight.reshape(G, -1, group_width)  # [G, O/G, I/G]
    out = np.empty((len(rows), G, O // G), x.dtype)  # [N, G, O/G]
    # Group by group, each product straight to its place in `out`.
    np.matmul(rows.swapaxes(0, 1), filters.swapaxes(1, 2), out=out.swapaxes(0, 1))
    return out.reshape(*x.shape[:-1], O) + p.bias
