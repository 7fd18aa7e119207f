"""The twins of the convolutions in npbert/kernels.py."""

from __future__ import annotations

import numpy as np

from npbert.compiled import prepared
from npbert.compiled.threads import compile_loops, is_native


def dynamic_convolution(values, filters):
    """Fast because nothing is copied: NumPy pads the values and multiplies views of windows."""
    A, H = values.shape[-1], filters.shape[2]
    if not is_native(values, filters) or A % H or values.shape[:2] != filters.shape[:2]:
        return NotImplemented
    return dynamic_convolution_loops(np.ascontiguousarray(values), np.ascontiguousarray(filters))


@compile_loops
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


def grouped_convolution(x, p):
    """Fast because the filters are read once for 32 tokens, whose sums stay in registers."""
    return prepared.grouped_convolution(x, p)
