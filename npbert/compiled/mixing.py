"""What mixes the tokens of a text: attention and the convolutions."""

from __future__ import annotations

import numpy as np

from npbert.compiled.curves import exponential
from npbert.compiled.products import multiply
from npbert.compiled.table import (
    COMBINE,
    HEADS,
    OTHER,
    OTHER_CHANNELS,
    PROBS,
    ROW_BYTES,
    ROWS,
    SCORES,
    SOURCE,
    SOURCE_CHANNELS,
    SOURCE_FIRST,
    TARGET,
    TARGET_CHANNELS,
    TARGET_FIRST,
    TERMS,
    WEIGHT,
    buffer_of,
)
from npbert.compiled.threads import compile_copied, compile_part
from npbert.compiled.vectors import (
    LANES,
    PANEL,
    VECTOR_BYTES,
    fma,
    integer,
    larger,
    load,
    number_at,
    put_number,
    splat,
    store,
)


@compile_part
def take(buffer, channels, channel, start, length, out):
    """Copy the numbers of one channel for the tokens of a text to one place, [length]."""
    t = 0
    while t < length:
        token = start + t
        lane = token % PANEL
        source = buffer + (token // PANEL * channels + channel) * ROW_BYTES + 4 * lane
        n = min(PANEL - lane, length - t)
        i = 0
        while i + LANES <= n:
            store(out + 4 * (t + i), load(source + 4 * i))
            i += LANES
        while i < n:
            put_number(out + 4 * (t + i), number_at(source + 4 * i))
            i += 1
        t += n


@compile_part
def put(buffer, channels, channel, start, length, numbers):
    """Copy numbers to one channel of the tokens of a text: the inverse of `take`."""
    t = 0
    while t < length:
        token = start + t
        lane = token % PANEL
        target = buffer + (token // PANEL * channels + channel) * ROW_BYTES + 4 * lane
        n = min(PANEL - lane, length - t)
        i = 0
        while i + LANES <= n:
            store(target + 4 * i, load(numbers + 4 * (t + i)))
            i += LANES
        while i < n:
            put_number(target + 4 * i, number_at(numbers + 4 * (t + i)))
            i += 1
        t += n


# ---- attention -----------------------------------------------------------------------------


@compile_part
def attention(item, step, buffers, texts, mask, scratch):
    """Attention of one head in one text, for a panel of queries at a time.

    The keys are channels of the source after the queries, the values after the keys. mask: where
    the mask bias begins, or 0, and how many bytes lie between texts, heads, queries and keys.

    Keys and values are copied once, [S, tokens]. Then scores [keys, 32 queries] are a product whose
    matrix is the keys, turned by its steps, and the context [S, 32] one whose matrix is the values.
    """
    H, A = integer(step, HEADS), integer(step, ROWS)
    text, head, S = item // H, item % H, A // H
    start, T = integer(texts, 2 * text), integer(texts, 2 * text + 1)
    source, width = buffer_of(buffers, step, SOURCE), integer(step, SOURCE_CHANNELS)
    target = buffer_of(buffers, step, TARGET)
    factor = splat(np.float32(1 / np.sqrt(np.float64(S))))
    row_bytes = 4 * ((T + PANEL - 1) // PANEL * PANEL)
    keys, values = scratch, scratch + S * row_bytes
    queries = values + S * row_bytes
    scores = queries + S * ROW_BYTES
    context = scores + T * ROW_BYTES
    bias = integer(mask, 0)
    if bias:
        bias += text * integer(mask, 1) + head * integer(mask, 2)
    for s in range(S):
        take(source, width, A + head * S + s, start, T, keys + s * row_bytes)
        take(source, width, 2 * A + head * S + s, start, T, values + s * row_bytes)
    for t in range(0, T, PANEL):
        n = min(PANEL, T - t)
        halves = 1 if n <= LANES else 2
        for s in range(S):
            take(source, width, head * S + s, start + t, n, queries + s * ROW_BYTES)
            for place in range(s * ROW_BYTES, s * ROW_BYTES + halves * VECTOR_BYTES, VECTOR_BYTES):
                store(queries + place, load(queries + place) * factor)
        multiply(keys, 4, row_bytes, queries, S, scores, T, halves, 0)
        if bias:
            add_bias(scores, bias + t * integer(mask, 3), mask, T, n, halves)
        kept = buffer_of(buffers, step, OTHER) + 4 * T * (item * T + t)
        if integer(step, COMBINE) == SCORES:
            give(scores, T, n, kept)
        for h in range(halves):
            soften(scores + h * VECTOR_BYTES, ROW_BYTES, T)
        if integer(step, COMBINE) == PROBS:
            give(scores, T, n, kept)
        multiply(values, row_bytes, 4, scores, T, context, S, halves, 0)
        for s in range(S):
            channel = integer(step, TARGET_FIRST) + head * S + s
            put(target, integer(step, TARGET_CHANNELS), channel, start + t, n,
                context + s * ROW_BYTES)  # fmt: skip


@compile_part
def add_bias(scores, bias, mask, keys, queries, halves):
    """Add the mask bias to a panel of scores, [keys, queries]. bias: that of its first query."""
    for k in range(keys):
        at, to_key = scores + k * ROW_BYTES, k * integer(mask, 4)
        if integer(mask, 3):
            for q in range(queries):
                number = number_at(bias + q * integer(mask, 3) + to_key)
                put_number(at + 4 * q, number_at(at + 4 * q) + number)
        else:
            for h in range(halves):
                place = at + h * VECTOR_BYTES
                store(place, load(place) + splat(number_at(bias + to_key)))


@compile_copied
def soften(column, step_bytes, terms):
    """Softmax over rows that lie so many bytes apart, of 16 columns."""
    highest = load(column)
    for k in range(1, terms):
        highest = larger(load(column + k * step_bytes), highest)
    total = splat(np.float32(0))
    for k in range(terms):
        y = exponential(load(column + k * step_bytes) - highest)
        store(column + k * step_bytes, y)
        total = total + y
    share = splat(np.float32(1)) / total
    for k in range(terms):
        store(column + k * step_bytes, load(column + k * step_bytes) * share)


@compile_part
def give(panel, keys, queries, out):
    """Copy a panel of scores, [keys, queries], to rows of a result, [queries, keys]."""
    for q in range(queries):
        for k in range(keys):
            put_number(out + 4 * (q * keys + k), number_at(panel + k * ROW_BYTES + 4 * q))


# ---- convolutions --------------------------------------------------------------------------


@compile_part
def padded(buffer, channels, channel, start, length, K, out):
    """Copy a channel of a text to one place, with the zeros that stand past both ends."""
    for k in range(K // 2):
        put_number(out + 4 * k, np.float32(0))
    take(buffer, channels, channel, start, length, out + 4 * (K // 2))
    for k in range(K // 2 + LANES):
        put_number(out + 4 * (K // 2 + length + k), np.float32(0))


@compile_part
def depthwise(item, step, buffers, texts, scratch):
    """Convolve 32 channels over one text, each by a filter of its own."""
    D, K = integer(step, ROWS), integer(step, TERMS)
    blocks = (D + PANEL - 1) // PANEL
    text, first = item // blocks, item % blocks * PANEL
    start, T = integer(texts, 2 * text), integer(texts, 2 * text + 1)
    source = buffer_of(buffers, step, SOURCE)
    target = buffer_of(buffers, step, TARGET)
    out = scratch + 4 * (T + 2 * K + 2 * PANEL)
    for d in range(first, min(first + PANEL, D)):
        padded(source, D, d, start, T, K, scratch)
        for t in range(0, T, LANES):
            y = splat(np.float32(0))
            for k in range(K):
                tap = splat(number_at(integer(step, WEIGHT) + 4 * (d * K + k)))
                y = fma(tap, load(scratch + 4 * (t + k)), y)
            store(out + 4 * t, y)
        put(target, D, d, start, T, out)


@compile_part
def dynamic(item, step, buffers, texts, scratch):
    """Make one head's filters of their scores, and mix each token's neighbours, in one text."""
    H, K = integer(step, HEADS), integer(step, TERMS)
    S = integer(step, ROWS) // H
    text, head = item // H, item % H
    start, T = integer(texts, 2 * text), integer(texts, 2 * text + 1)
    source = buffer_of(buffers, step, SOURCE)
    target = buffer_of(buffers, step, TARGET)
    scores = buffer_of(buffers, step, OTHER)
    row_bytes = 4 * (T + PANEL)
    neighbours = scratch + K * row_bytes
    out = neighbours + row_bytes + 8 * K
    for k in range(K):
        channel = head * K + k
        take(scores, integer(step, OTHER_CHANNELS), channel, start, T, scratch + k * row_bytes)
    for t in range(0, T, LANES):
        soften(scratch + 4 * t, row_bytes, K)
    for s in range(head * S, (head + 1) * S):
        channel = integer(step, SOURCE_FIRST) + s
        padded(source, integer(step, SOURCE_CHANNELS), channel, start, T, K, neighbours)
        for t in range(0, T, LANES):
            y = splat(np.float32(0))
            for k in range(K):
                weight = load(scratch + k * row_bytes + 4 * t)
                y = fma(weight, load(neighbours + 4 * (t + k)), y)
            store(out + 4 * t, y)
        channel = integer(step, TARGET_FIRST) + s
        put(target, integer(step, TARGET_CHANNELS), channel, start, T, out)
