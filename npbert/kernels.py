"""The convolutions: each in plain NumPy, and right below it the loops that numba compiles.

Axes   B sentences   T tokens   A = H*S channels   H heads   S width of one head   K kernel width
       N tokens of all sentences   I channels that enter and O that leave, in G groups
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from npbert.compiled.backend import Operation


@Operation
def dynamic_convolution(values, filters):  # [B, T, A], [B, T, H, K] -> [B, T, H, S]
    """Mix every token's K neighbours with weights of its own, one set of weights for each head.

    Sums filters[b, t, h, k] * values[b, t + k - K//2, h*S + s] over k; past the ends stand zeros.
    """
    B, T, H, K = filters.shape
    padded = np.pad(values, ((0, 0), (K // 2, K // 2), (0, 0)))  # [B, T+K-1, A]
    spans = sliding_window_view(padded, K, axis=1)  # [B, T, A, K]
    windows = spans.reshape(B, T, H, -1, K)  # [B, T, H, S, K]
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


@Operation
def grouped_convolution(x, weight, bias):  # [..., I], [O, I/G, 1], [O] -> [..., O]
    """Convolve over the text, one token wide, each of G groups of channels by filters of its own.

    The first I/G channels enter the first O/G filters and no others, and so on. One token wide, a
    convolution is a linear map of each token's channels; with one group it is `linear`.
    """
    O, group_width, _ = weight.shape
    rows = x.reshape(-1, x.shape[-1] // group_width, group_width)  # [N, G, I/G]
    G = rows.shape[1]
    filters = weight.reshape(G, -1, group_width)  # [G, O/G, I/G]
    out = np.empty((len(rows), G, O // G), x.dtype)  # [N, G, O/G]
    # Group by group, each product straight to its place in `out`.
    np.matmul(rows.swapaxes(0, 1), filters.swapaxes(1, 2), out=out.swapaxes(0, 1))
    return out.reshape(*x.shape[:-1], O) + bias


@grouped_convolution.shared_twin(
    lambda x, weight, bias: np.empty((*x.shape[:-1], len(weight)), x.dtype)
)
def grouped_convolution_loops(out, part, parts, x, weight, bias):
    # Tiles of 4 tokens by 4 filters: every number that is loaded is used four times, and the 16
    # sums stay in registers. The last tile of a group may reach beyond its end: it then computes
    # the last token or filter again.
    O, group_width, _ = weight.shape
    rows = x.reshape(-1, x.shape[-1] // group_width, group_width)
    filters = weight.reshape(O, group_width)
    N, G, _ = rows.shape
    results = out.reshape(N, O)
    blocks = (N + 3) // 4
    for block in range(part * G * blocks // parts, (part + 1) * G * blocks // parts):
        g, n0 = block // blocks, 4 * (block % blocks)
        n1, n2, n3 = min(n0 + 1, N - 1), min(n0 + 2, N - 1), min(n0 + 3, N - 1)
        x0, x1, x2, x3 = rows[n0, g], rows[n1, g], rows[n2, g], rows[n3, g]
        end = (g + 1) * (O // G)
        for o0 in range(end - O // G, end, 4):
            o1, o2, o3 = min(o0 + 1, end - 1), min(o0 + 2, end - 1), min(o0 + 3, end - 1)
            w0, w1, w2, w3 = filters[o0], filters[o1], filters[o2], filters[o3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = out.dtype.type(0)
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = out.dtype.type(0)
            for i in range(group_width):
                a0, a1, a2, a3 = x0[i], x1[i], x2[i], x3[i]
                b0, b1, b2, b3 = w0[i], w1[i], w2[i], w3[i]
                s00 += a0 * b0
                s01 += a0 * b1
                s02 += a0 * b2
                s03 += a0 * b3
                s10 += a1 * b0
                s11 += a1 * b1
                s12 += a1 * b2
                s13 += a1 * b3
                s20 += a2 * b0
                s21 += a2 * b1
                s22 += a2 * b2
                s23 += a2 * b3
                s30 += a3 * b0
                s31 += a3 * b1
                s32 += a3 * b2
                s33 += a3 * b3
            c0, c1, c2, c3 = bias[o0], bias[o1], bias[o2], bias[o3]
            y0, y1, y2, y3 = results[n0], results[n1], results[n2], results[n3]
            y0[o0], y0[o1], y0[o2], y0[o3] = s00 + c0, s01 + c1, s02 + c2, s03 + c3
            y1[o0], y1[o1], y1[o2], y1[o3] = s10 + c0, s11 + c1, s12 + c2, s13 + c3
            y2[o0], y2[o1], y2[o2], y2[o3] = s20 + c0, s21 + c1, s22 + c2, s23 + c3
            y3[o0], y3[o1], y3[o2], y3[o3] = s30 + c0, s31 + c1, s32 + c2, s33 + c3
