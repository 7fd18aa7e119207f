"""The twins of the convolutions in npbert/kernels.py."""

from __future__ import annotations

import numpy as np

from npbert.compiled.threads import compile_loops, share


def dynamic_convolution(values, filters):
    """Fast because nothing is copied: NumPy pads the values and multiplies views of windows."""
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
    """Fast because tiles of 4 tokens by 4 filters use every number that is loaded four times."""
    x = np.ascontiguousarray(x)
    out = np.empty((*x.shape[:-1], len(p.weight)), x.dtype)
    weight, bias = np.ascontiguousarray(p.weight), np.ascontiguousarray(p.bias)
    share(grouped_loops, out.size, out, x, weight, bias)
    return out


@compile_loops
def grouped_loops(part, parts, out, x, weight, bias):
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
