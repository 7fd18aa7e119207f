"""The steps of a layer as compiled loops over panels of 32 tokens, and the loop that runs them.

A panel holds, channel after channel, one number of each of its 32 tokens: [channels, 32]. Sums over
channels (products, norms) are then sums of vectors, one token in each lane, so that no token's
result depends on what else is in the batch. Buffers are rows of panels, [panels, channels, 32].

A step is a row of whole numbers, the fields of `Step`. Every thread runs all steps, each its part.
"""

from __future__ import annotations

import os

import numpy as np

from npbert.compiled.threads import compile_loops
from npbert.compiled.vectors import (
    LANES,
    PANEL,
    ROOM,
    VECTOR_BYTES,
    absolute,
    count_up,
    counted,
    fma,
    larger,
    load,
    number_at,
    put_number,
    root,
    shifted_bits,
    sleep_microseconds,
    splat,
    store,
    tile,
    where_less,
)

# ---- the fields of a step ------------------------------------------------------------------

FIELDS = 24
(
    KIND,  # which step: one of the kinds below
    WAIT,  # whether all threads wait for each other after it
    SOURCE, SOURCE_CHANNELS, SOURCE_FIRST,  # a buffer, its channels, the first that is read
    TARGET, TARGET_CHANNELS, TARGET_FIRST,
    OTHER, OTHER_CHANNELS, OTHER_FIRST,  # what is added or multiplied
    WEIGHT, BIAS, SCALE, SHIFT,  # addresses of parameters; 0 for none
    ROWS, TERMS, GROUPS,  # of a product: results and summands, of one group, and how many groups
    ROW_STEP, COLUMN_STEP, GROUP_STEP,  # of its matrix, in bytes
    ACTIVATION, COMBINE,  # what follows a product
    HEADS,
) = range(FIELDS)  # fmt: skip
ENTER, LEAVE, PRODUCT, NORM, ATTENTION, DEPTHWISE, DYNAMIC = range(7)  # KIND
NO_ACTIVATION, GELU, RELU = range(3)  # ACTIVATION
NOTHING, ADD, MULTIPLY = range(3)  # COMBINE
KEYS, VALUES, FILTERS = SOURCE_FIRST, OTHER_FIRST, OTHER_FIRST

ROW_BYTES = 4 * PANEL  # of one channel in a panel
BLOCK = 24  # rows of a matrix that one thread takes at a time
NEAR = 2**20  # bytes of panels that stay in a core's own cache while the matrix passes by
SPINS = 4000  # so often a thread looks before it sleeps

wide_tile, wide_rest, wide_row = tile(ROOM // 2, 2), tile(3, 2), tile(1, 2)
thin_tile, thin_rest, thin_row = tile(ROOM, 1), tile(4, 1), tile(1, 1)
WIDE, THIN = ROOM // 2, ROOM

# ---- functions of vectors ------------------------------------------------------------------

LOG2_E = np.float32(1.4426950408889634)
LN_2_HIGH = np.float32(0.693359375)  # few digits: its products with whole numbers are exact
LN_2_LOW = np.float32(-2.1219444005469057e-4)
ROUNDING = np.float32(1.5 * 2**23)  # added and taken away again, it rounds to a whole number
LOWEST = np.float32(-87)  # e to this and to less: the smallest numbers without loss of digits


@compile_loops
def exponential(x):
    """e^x for x <= 0, and 0 below -87: a power of 2 from its bits, times Taylor's series."""
    rounding = splat(ROUNDING)
    bounded = where_less(x, splat(LOWEST), splat(LOWEST), x)
    n = fma(bounded, splat(LOG2_E), rounding) - rounding
    rest = fma(n, splat(-LN_2_LOW), fma(n, splat(-LN_2_HIGH), bounded))
    series = splat(np.float32(1 / 720))
    series = fma(series, rest, splat(np.float32(1 / 120)))
    series = fma(series, rest, splat(np.float32(1 / 24)))
    series = fma(series, rest, splat(np.float32(1 / 6)))
    series = fma(series, rest, splat(np.float32(1 / 2)))
    series = fma(series, rest, splat(np.float32(1)))
    series = fma(series, rest, splat(np.float32(1)))
    power = series * shifted_bits(n + splat(ROUNDING + np.float32(127)))
    return where_less(x, splat(LOWEST), splat(np.float32(0)), power)


@compile_loops
def normal_gelu(x):
    """x times the normal distribution's share below x: the twin of `gelu`, vector by vector."""
    z = absolute(x) * splat(np.float32(0.70710678))
    t = splat(np.float32(2)) / (splat(np.float32(2)) + z)
    u = t + t - splat(np.float32(1))
    s = splat(np.float32(-8.728381e-05))
    s = fma(s, u, splat(np.float32(8.0007385e-06)))
    s = fma(s, u, splat(np.float32(0.00057376636)))
    s = fma(s, u, splat(np.float32(-0.00022791096)))
    s = fma(s, u, splat(np.float32(-0.0022887653)))
    s = fma(s, u, splat(np.float32(0.0017940663)))
    s = fma(s, u, splat(np.float32(0.008808825)))
    s = fma(s, u, splat(np.float32(-0.009880019)))
    s = fma(s, u, splat(np.float32(-0.04689364)))
    s = fma(s, u, splat(np.float32(0.047343887)))
    s = fma(s, u, splat(np.float32(0.6726431)))
    s = fma(s, u, splat(np.float32(-0.6717941)))
    tail = splat(np.float32(0.5)) * t * exponential(s - z * z)
    below = where_less(splat(np.float32(0)), x, splat(np.float32(1)) - tail, tail)
    return x * below


# ---- products ------------------------------------------------------------------------------


@compile_loops
def multiply(weight, row_step, column_step, panel, terms, out, rows, halves):
    """Multiply rows of a matrix by a panel, or by the first half of its tokens."""
    r = 0
    if halves == 2:
        while r + WIDE <= rows:
            wide_tile(weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES)
            r += WIDE
        while r + 3 <= rows:
            wide_rest(weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES)
            r += 3
        while r < rows:
            wide_row(weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES)
            r += 1
    else:
        while r + THIN <= rows:
            thin_tile(weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES)
            r += THIN
        while r + 4 <= rows:
            thin_rest(weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES)
            r += 4
        while r < rows:
            thin_row(weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES)
            r += 1


@compile_loops
def product(part, parts, step, buffers, panels, last_halves, scratch):
    """Multiply a matrix, or one for each group of channels, by all panels, and finish the rows."""
    terms, groups = step[TERMS], step[GROUPS]
    rows_of_group = step[ROWS]
    blocks = (rows_of_group + BLOCK - 1) // BLOCK
    first = part * groups * blocks // parts
    last = (part + 1) * groups * blocks // parts
    near = max(1, NEAR // (terms * ROW_BYTES))
    for p0 in range(0, panels, near):
        for block in range(first, last):
            group, start = block // blocks, block % blocks * BLOCK
            rows = min(BLOCK, rows_of_group - start)
            weight = step[WEIGHT] + group * step[GROUP_STEP] + start * step[ROW_STEP]
            channel = group * rows_of_group + start
            for p in range(p0, min(p0 + near, panels)):
                halves = last_halves if p == panels - 1 else 2
                x = row(buffers, step[SOURCE], step[SOURCE_CHANNELS], p,
                        step[SOURCE_FIRST] + group * terms)  # fmt: skip
                out = row(buffers, step[TARGET], step[TARGET_CHANNELS], p,
                          step[TARGET_FIRST] + channel)  # fmt: skip
                multiply(
                    weight, step[ROW_STEP], step[COLUMN_STEP], x, terms, scratch, rows, halves
                )
                other = 0
                if step[COMBINE] != NOTHING:
                    other = row(buffers, step[OTHER], step[OTHER_CHANNELS], p,
                                step[OTHER_FIRST] + channel)  # fmt: skip
                finish(step, channel, scratch, other, out, rows, halves)


@compile_loops
def row(buffers, buffer, channels, panel, channel):
    """Return the address of a channel in a panel of a buffer."""
    return buffers[buffer] + (panel * channels + channel) * ROW_BYTES


@compile_loops
def finish(step, channel, sums, other, out, rows, halves):
    """Add the bias, apply the activation, combine with another array, scale and shift."""
    bias = step[BIAS] + 4 * channel
    for r in range(rows):
        constant = splat(number_at(bias + 4 * r)) if step[BIAS] else splat(np.float32(0))
        for h in range(halves):
            place = r * ROW_BYTES + h * VECTOR_BYTES
            y = load(sums + place) + constant
            if step[ACTIVATION] == GELU:
                y = normal_gelu(y)
            elif step[ACTIVATION] == RELU:
                y = where_less(y, splat(np.float32(0)), splat(np.float32(0)), y)
            if step[COMBINE] == ADD:
                y = y + load(other + place)
            elif step[COMBINE] == MULTIPLY:
                y = y * load(other + place)
            if step[SCALE]:
                scale = splat(number_at(step[SCALE] + 4 * (channel + r)))
                y = fma(y, scale, splat(number_at(step[SHIFT] + 4 * (channel + r))))
            store(out + place, y)


# ---- norms ---------------------------------------------------------------------------------


@compile_loops
def norm(part, parts, step, eps, buffers, panels, last_halves):
    """Layer normalization over the channels of each token."""
    D = step[ROWS]
    vectors = 2 * (panels - 1) + last_halves
    width, one = splat(np.float32(D)), splat(np.float32(1))
    for v in range(part * vectors // parts, (part + 1) * vectors // parts):
        x = row(buffers, step[SOURCE], D, v // 2, 0) + v % 2 * VECTOR_BYTES
        out = row(buffers, step[TARGET], D, v // 2, 0) + v % 2 * VECTOR_BYTES
        total = splat(np.float32(0))
        for d in range(D):
            total = total + load(x + d * ROW_BYTES)
        mean = total / width
        squares = splat(np.float32(0))
        for d in range(D):
            centred = load(x + d * ROW_BYTES) - mean
            squares = fma(centred, centred, squares)
        inverse = one / root(squares / width + splat(np.float32(eps)))
        for d in range(D):
            y = (load(x + d * ROW_BYTES) - mean) * inverse
            scale, shift = number_at(step[SCALE] + 4 * d), number_at(step[SHIFT] + 4 * d)
            store(out + d * ROW_BYTES, fma(y, splat(scale), splat(shift)))


# ---- tokens of one text --------------------------------------------------------------------


@compile_loops
def take(buffer, channels, channel, start, length, out):
    """Copy the numbers of one channel for the tokens of a text to one place."""
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


@compile_loops
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


@compile_loops
def attention(step, claims, buffers, texts, mask_bias, scratch):
    """Attention of every text and head; threads take them one by one.

    The keys are channels of SOURCE after the queries, the values after the keys.
    """
    H, D = step[HEADS], step[ROWS]
    S = D // H
    factor = np.float32(1 / np.sqrt(np.float64(S)))
    queries, keys, values = buffers[step[SOURCE]], buffers[step[SOURCE]], buffers[step[SOURCE]]
    while True:
        item = count_up(claims)
        if item >= len(texts) * H:
            return
        start, T = texts[item // H, 0], texts[item // H, 1]
        head = item % H * S
        row_bytes = 4 * ((T + PANEL - 1) // PANEL * PANEL)
        key = scratch
        value = key + S * row_bytes
        query = value + S * row_bytes
        score = query + S * ROW_BYTES
        context = score + T * ROW_BYTES
        channels = step[SOURCE_CHANNELS]
        for s in range(S):
            take(keys, channels, D + head + s, start, T, key + s * row_bytes)
            take(values, channels, 2 * D + head + s, start, T, value + s * row_bytes)
        for t in range(0, T, PANEL):
            n = min(PANEL, T - t)
            halves = 1 if n <= LANES else 2
            for s in range(S):
                place = query + s * ROW_BYTES
                take(queries, channels, head + s, start + t, n, place)
                for h in range(halves):
                    at = place + h * VECTOR_BYTES
                    store(at, load(at) * splat(factor))
            multiply(key, 4, row_bytes, query, S, score, T, halves)
            weigh(score, mask_bias + 4 * start if mask_bias else 0, T, halves)
            multiply(value, row_bytes, 4, score, T, context, S, halves)
            for s in range(S):
                put(buffers[step[TARGET]], step[TARGET_CHANNELS], step[TARGET_FIRST] + head + s,
                    start + t, n, context + s * ROW_BYTES)  # fmt: skip


@compile_loops
def weigh(score, mask_bias, terms, halves):
    """Softmax over the rows of a panel, after the mask bias of each row was added."""
    for h in range(halves):
        column = score + h * VECTOR_BYTES
        highest = splat(np.float32(-np.inf))
        for k in range(terms):
            y = load(column + k * ROW_BYTES)
            if mask_bias:
                y = y + splat(number_at(mask_bias + 4 * k))
                store(column + k * ROW_BYTES, y)
            highest = larger(y, highest)
        total = splat(np.float32(0))
        for k in range(terms):
            y = exponential(load(column + k * ROW_BYTES) - highest)
            store(column + k * ROW_BYTES, y)
            total = total + y
        share = splat(np.float32(1)) / total
        for k in range(terms):
            store(column + k * ROW_BYTES, load(column + k * ROW_BYTES) * share)


@compile_loops
def padded(buffer, channels, channel, start, length, K, out):
    """Copy a channel of a text to one place, with the zeros that stand past both ends."""
    for k in range(K // 2):
        put_number(out + 4 * k, np.float32(0))
    take(buffer, channels, channel, start, length, out + 4 * (K // 2))
    for k in range(K // 2 + LANES):
        put_number(out + 4 * (K // 2 + length + k), np.float32(0))


@compile_loops
def depthwise(step, claims, buffers, texts, scratch):
    """Convolve each channel over the text; threads take texts and 32 channels at a time."""
    D, K = step[ROWS], step[TERMS]
    blocks = (D + PANEL - 1) // PANEL
    while True:
        item = count_up(claims)
        if item >= len(texts) * blocks:
            return
        start, T = texts[item // blocks, 0], texts[item // blocks, 1]
        out = scratch + 4 * (T + 2 * K + 2 * PANEL)
        for d in range(item % blocks * PANEL, min((item % blocks + 1) * PANEL, D)):
            padded(buffers[step[SOURCE]], D, d, start, T, K, scratch)
            for t in range(0, T, LANES):
                y = splat(np.float32(0))
                for k in range(K):
                    tap = splat(number_at(step[WEIGHT] + 4 * (d * K + k)))
                    y = fma(tap, load(scratch + 4 * (t + k)), y)
                store(out + 4 * t, y)
            put(buffers[step[TARGET]], D, d, start, T, out)


@compile_loops
def dynamic(step, claims, buffers, texts, scratch):
    """Softmax the scores of the filters, and mix each token's neighbours; by text and head."""
    H, K, S = step[HEADS], step[TERMS], step[ROWS] // step[HEADS]
    while True:
        item = count_up(claims)
        if item >= len(texts) * H:
            return
        start, T, head = texts[item // H, 0], texts[item // H, 1], item % H
        row_bytes = 4 * (T + PANEL)
        near = scratch + K * row_bytes
        out = near + row_bytes + 8 * K
        for k in range(K):
            take(buffers[step[OTHER]], step[OTHER_CHANNELS], head * K + k, start, T,
                 scratch + k * row_bytes)  # fmt: skip
        for t in range(0, T, LANES):
            filters = scratch + 4 * t
            highest = load(filters)
            for k in range(1, K):
                highest = larger(load(filters + k * row_bytes), highest)
            total = splat(np.float32(0))
            for k in range(K):
                y = exponential(load(filters + k * row_bytes) - highest)
                store(filters + k * row_bytes, y)
                total = total + y
            share = splat(np.float32(1)) / total
            for k in range(K):
                store(filters + k * row_bytes, load(filters + k * row_bytes) * share)
        for s in range(head * S, (head + 1) * S):
            padded(buffers[step[SOURCE]], step[SOURCE_CHANNELS], step[SOURCE_FIRST] + s,
                   start, T, K, near)  # fmt: skip
            for t in range(0, T, LANES):
                y = splat(np.float32(0))
                for k in range(K):
                    y = fma(load(scratch + k * row_bytes + 4 * t), load(near + 4 * (t + k)), y)
                store(out + 4 * t, y)
            put(buffers[step[TARGET]], step[TARGET_CHANNELS], step[TARGET_FIRST] + s, start, T, out)


# ---- rows of tokens and panels -------------------------------------------------------------


@compile_loops
def enter(part, parts, step, buffers, tokens):
    """Turn rows of tokens, [tokens, channels], into panels; zeros stand where no token is."""
    D = step[ROWS]
    panels = (tokens + PANEL - 1) // PANEL
    first, last = part * D // parts, (part + 1) * D // parts
    for n in range(panels * PANEL):
        panel = row(buffers, step[TARGET], D, n // PANEL, 0) + 4 * (n % PANEL)
        source = buffers[step[SOURCE]] + 4 * n * D
        for d in range(first, last):
            number = number_at(source + 4 * d) if n < tokens else np.float32(0)
            put_number(panel + d * ROW_BYTES, number)


@compile_loops
def leave(part, parts, step, buffers, tokens):
    """Turn panels into rows of tokens: the inverse of `enter`."""
    D = step[ROWS]
    for n in range(part * tokens // parts, (part + 1) * tokens // parts):
        panel = row(buffers, step[SOURCE], D, n // PANEL, 0) + 4 * (n % PANEL)
        target = buffers[step[TARGET]] + 4 * n * D
        for d in range(D):
            put_number(target + 4 * d, number_at(panel + d * ROW_BYTES))


# ---- the whole -----------------------------------------------------------------------------


@compile_loops
def run(part, parts, steps, eps, buffers, texts, tokens, mask_bias, scratches, counters):
    """Run all steps, as thread `part` of `parts`.

    steps [steps, FIELDS]; eps [steps]; buffers: addresses; texts [texts, 2]: first token and length
    of each; mask_bias: address of a number for every token, or 0; scratches: an address for each
    thread; counters: the address of a counter for the waiting and one for each step, all 0.
    """
    panels = (tokens + PANEL - 1) // PANEL
    last_halves = 1 if 0 < tokens % PANEL <= LANES else 2
    scratch, arrivals = scratches[part], 0
    for i in range(len(steps)):
        step, claims = steps[i], counters + 8 * (i + 1)
        if step[KIND] == PRODUCT:
            product(part, parts, step, buffers, panels, last_halves, scratch)
        elif step[KIND] == NORM:
            norm(part, parts, step, eps[i], buffers, panels, last_halves)
        elif step[KIND] == ATTENTION:
            attention(step, claims, buffers, texts, mask_bias, scratch)
        elif step[KIND] == DEPTHWISE:
            depthwise(step, claims, buffers, texts, scratch)
        elif step[KIND] == DYNAMIC:
            dynamic(step, claims, buffers, texts, scratch)
        elif step[KIND] == ENTER:
            enter(part, parts, step, buffers, tokens)
        elif step[KIND] == LEAVE:
            leave(part, parts, step, buffers, tokens)
        if step[WAIT] and parts > 1:
            arrivals += parts
            count_up(counters)
            looked = 0
            while counted(counters) < arrivals:
                looked += 1
                if looked > SPINS:
                    sleep_microseconds(np.uint32(PAUSE))


PAUSE = 50 if os.name == "posix" else 1  # microseconds, or else milliseconds
