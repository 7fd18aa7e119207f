"""The convolutions: each in plain NumPy, and right below it the loops that numba compiles.

Axes   B sentences   T tokens   A = H*S channels   H heads   S width of one head   K kernel width
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from npbert.backend import Operation


@Operation
def dynamic_convolution(values, filters):  # [B, T, A], [B, T, H, K] -> [B, T, H, S]
    """Mix every token's K neighbours with weights of its own, one set of weights for each head.

    Sums filters[b, t, h, k] * values[b, t + k - K//2, h*S + s] over k; past the ends stand zeros.
    """
    B, T, H, K = filters.shape
    padded = np.pad(values, ((0, 0), (K // 2, K // 2), (0, 0)))  # [B, T+K-1, A]
    windows = sliding_window_view(padded, K, axis=1)  # [B, T, A, K]
    windows = windows.reshape(B, T, H, -1, K)  # [B, T, H, S, K]
    return np.einsum("bthsk,bthk->bths", windows, filters)


@dynamic_convolution.twin
def dynamic_convolution_loops(values, filters):
    B, T, H, K = filters.shape
    S = values.shape[2] // H
    out = np.zeros((B, T, H, S), values.dtype)
    for b in range(B):
        for t in range(T):
            for k in range(K):
                neighbour = t + k - K // 2
                if 0 <= neighbour < T:
                    for h in range(H):
                        for s in range(S):
                            out[b, t, h, s] += filters[b, t, h, k] * values[b, neighbour, h * S + s]
    return out
