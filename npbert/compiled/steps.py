"""The steps of a layer as compiled loops, and the loop in which threads run them.

Panels. The tokens of all texts follow each other, 32 to a panel. A panel holds, channel after
channel, one number of each of its tokens: [channels, 32], and a buffer is [panels, channels, 32].
What treats the channels of a token (products, norms) then sums over the rows of a panel, in vectors
of 16 numbers, one token in each lane. Every token's sums are taken in the same order wherever it
stands, so that its results do not depend on what else is in the batch, nor on how many threads
there are. What mixes tokens (attention, convolutions) copies the channels that it needs from the
panels, for the tokens of one text (`take`), and its results back (`put`).

Steps. A program (program.py) is a table of steps, each a row of whole numbers: the fields below.
Buffers have numbers; parameters stand as addresses, and are read where they lie.

    ENTER      rows of tokens, [tokens, channels] -> a buffer
    PRODUCT    a matrix, in groups or not, times a buffer; then bias, activation, and so on
    NORM       layer normalization of every token
    ATTENTION  of every head in every text: scores, mask, softmax, values
    DEPTHWISE  convolution of every channel by a filter of its own
    DYNAMIC    ConvBERT's convolution by filters that each token makes for itself
    LEAVE      a buffer -> rows of tokens

Threads. All of them call `run` with the same table, and go through it row by row. Each step is cut
into items (some rows of a matrix and some panels, a head of a text, ...), which they take by
counting up a number that they share. Where a step has WAIT, nobody goes on before all items so far
are done; steps without it run at the same time as those that follow.

Compiled code is given whole numbers and addresses, and checks nothing: program.py does.
"""

from __future__ import annotations

import os

import numpy as np

from npbert.compiled.threads import compile_copied, compile_loops, compile_part
from npbert.compiled.vectors import (
    LANES,
    PANEL,
    ROOM,
    VECTOR_BYTES,
    absolute,
    breathe,
    count_up,
    counted,
    first_of,
    fma,
    integer,
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

FIELDS = 25
(
    KIND,  # which step: one of the kinds below
    WAIT,  # 1 where no thread goes on before this step, and those before it, are done
    SOURCE, SOURCE_CHANNELS, SOURCE_FIRST,  # a buffer, its channels, the first that is read
    TARGET, TARGET_CHANNELS, TARGET_FIRST,
    OTHER, OTHER_CHANNELS, OTHER_FIRST,  # what is added or multiplied, filters, or attentions
    WEIGHT, BIAS, SCALE, SHIFT,  # addresses of parameters; 0 for none
    ROWS,  # channels: of the results, or those of one group; of all heads together
    TERMS,  # of a product: summands in one group; of a convolution: the width of its filters
    GROUPS, ROW_STEP, COLUMN_STEP, GROUP_STEP,  # of a product's matrix; steps in bytes
    ACTIVATION, COMBINE,  # what follows a product
    HEADS,
    EPS,  # address of a number
) = range(FIELDS)  # fmt: skip
ENTER, LEAVE, PRODUCT, NORM, ATTENTION, DEPTHWISE, DYNAMIC = range(7)  # KIND
NO_ACTIVATION, GELU, RELU = range(3)  # ACTIVATION
NOTHING, ADD, MULTIPLY, PROBS, SCORES = range(5)  # COMBINE; the last two: what attention gives

ROW_BYTES = 4 * PANEL  # of one channel in a panel
BLOCK = 24  # rows of a matrix in one item of a product
NEAR = 2**20  # bytes of panels that stay in a core's own cache while the matrix passes by
FEWEST = 2  # panels that a thread has for its own, or else all threads share all panels
LOOKS = 2000  # so often a thread looks whether others are done, for some 0.1 ms, before it sleeps
PAUSE = 50 if os.name == "posix" else 1  # microseconds, or else milliseconds

# Functions that multiply so many rows of a matrix by a whole panel (wide) or by half of one (thin).
wide_tile, wide_rest, wide_row = tile(ROOM // 2, 2), tile(3, 2), tile(1, 2)
thin_tile, thin_rest, thin_row = tile(ROOM, 1), tile(4, 1), tile(1, 1)
WIDE, THIN = ROOM // 2, ROOM

# ---- functions of vectors ------------------------------------------------------------------

LOG2_E = np.float32(1.4426950408889634)
LN_2_HIGH = np.float32(0.693359375)  # few digits: its products with whole numbers are exact
LN_2_LOW = np.float32(-2.1219444005469057e-4)
ROUNDING = np.float32(1.5 * 2**23)  # added and taken away again, it rounds to a whole number
LARGEST = np.finfo(np.float32).max
LOWEST = np.float32(-87.33654)  # e to this is the smallest number that has all digits


@compile_copied
def exponential(x):
    """e^x for x <= 0, off by less than a unit in the last place; 0 where it is below 2^-126.

    A power of 2 from its bits, times a polynomial on what is left of x, from -ln 2 / 2 to ln 2 / 2:
    1 + r + r^2 (...) with the least possible of largest relative errors, 3e-9.
    """
    rounding = splat(ROUNDING)
    bounded = where_less(x, splat(LOWEST), splat(LOWEST), x)
    n = fma(bounded, splat(LOG2_E), rounding) - rounding
    rest = fma(n, splat(-LN_2_LOW), fma(n, splat(-LN_2_HIGH), bounded))
    series = splat(np.float32(0.0013813145))
    series = fma(series, rest, splat(np.float32(0.008369419)))
    series = fma(series, rest, splat(np.float32(0.041668456)))
    series = fma(series, rest, splat(np.float32(0.16666515)))
    series = fma(series, rest, splat(np.float32(0.49999994)))
    series = fma(series, rest, splat(np.float32(1)))
    series = fma(series, rest, splat(np.float32(1)))
    power = series * shifted_bits(n + splat(ROUNDING + np.float32(127)))
    return where_less(x, splat(LOWEST), splat(np.float32(0)), power)


@compile_copied
def normal_gelu(x):
    """x times the probability that a normal variable lies below x: the twin of `gelu`.

    Up to |x| = 1 the probability is 1/2 + x f(x^2). The one beyond a larger |x| is
    t g(2t - 1) e^(-x^2 / 2) with t = 2 / (2 + z), z = |x| / sqrt(2). The polynomials f and g are
    made as that of `exponential` is: they are off by 2e-8 of the value at most.
    """
    square, half, one = x * x, splat(np.float32(0.5)), splat(np.float32(1))
    f = splat(np.float32(-0.000007462893))
    f = fma(f, square, splat(np.float32(0.00011295217)))
    f = fma(f, square, splat(np.float32(-0.0011857849)))
    f = fma(f, square, splat(np.float32(0.009973078)))
    f = fma(f, square, splat(np.float32(-0.066490315)))
    f = fma(f, square, splat(np.float32(0.3989423)))
    t = splat(np.float32(2)) / fma(absolute(x), splat(np.float32(0.70710678)), splat(np.float32(2)))
    u = t + t - one
    g = splat(np.float32(-0.00011101015))
    g = fma(g, u, splat(np.float32(0.00021254495)))
    g = fma(g, u, splat(np.float32(0.0007522752)))
    g = fma(g, u, splat(np.float32(-0.0016222348)))
    g = fma(g, u, splat(np.float32(-0.0053749047)))
    g = fma(g, u, splat(np.float32(0.009110871)))
    g = fma(g, u, splat(np.float32(0.069867894)))
    g = fma(g, u, splat(np.float32(0.17179017)))
    g = fma(g, u, splat(np.float32(0.25539568)))
    beyond = t * g * exponential(square * splat(np.float32(-0.5)))
    below = where_less(splat(np.float32(0)), x, one - beyond, beyond)
    return x * where_less(absolute(x), one, fma(x, f, half), below)


@compile_loops
def gelu_numbers(part, parts, numbers, out, count):
    """Apply GELU to `count` numbers at one address, and write the results to another."""
    vectors = count // LANES
    for v in range(part * vectors // parts, (part + 1) * vectors // parts):
        store(out + v * VECTOR_BYTES, normal_gelu(load(numbers + v * VECTOR_BYTES)))
    if part == 0:
        for n in range(vectors * LANES, count):
            put_number(out + 4 * n, first_of(normal_gelu(splat(number_at(numbers + 4 * n)))))


# ---- products ------------------------------------------------------------------------------


@compile_part
def multiply(weight, row_step, column_step, panel, terms, out, rows, halves):
    """Multiply rows of a matrix by a panel: [rows, terms] by [terms, 32] -> [rows, 32].

    row_step, column_step: bytes from one row of the matrix to the next, and from column to column.
    halves: 2 for all tokens of the panel, 1 for its first 16.
    """
    r = 0
    if halves == 2:
        while r + WIDE <= rows:
            wide_tile(
                weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES
            )
            r += WIDE
        while r + 3 <= rows:
            wide_rest(
                weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES
            )
            r += 3
        while r < rows:
            wide_row(
                weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES
            )
            r += 1
    else:
        while r + THIN <= rows:
            thin_tile(
                weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES
            )
            r += THIN
        while r + 4 <= rows:
            thin_rest(
                weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES
            )
            r += 4
        while r < rows:
            thin_row(
                weight + r * row_step, row_step, column_step, panel, terms, out + r * ROW_BYTES
            )
            r += 1


@compile_part
def product(item, step, buffers, first, last, panels, last_halves, scratch):
    """Multiply a block of rows of a matrix by panels from `first` to `last`; finish the rows.

    An item is one block of one group, for as many panels as stay in a core's own cache: the matrix
    is read from memory once for all of these. panels: of the buffer; the last may be half empty.
    """
    terms, rows_of_group = integer(step, TERMS), integer(step, ROWS)
    blocks = (rows_of_group + BLOCK - 1) // BLOCK
    near = near_panels(terms)
    first += item // (integer(step, GROUPS) * blocks) * near
    block = item % (integer(step, GROUPS) * blocks)
    group, start = block // blocks, block % blocks * BLOCK
    rows, channel = min(BLOCK, rows_of_group - start), group * rows_of_group + start
    row_step, column_step = integer(step, ROW_STEP), integer(step, COLUMN_STEP)
    weight = integer(step, WEIGHT) + group * integer(step, GROUP_STEP) + start * row_step
    for p in range(first, min(first + near, last)):
        halves = last_halves if p == panels - 1 else 2
        x = row(buffers, step, SOURCE, p, group * terms)
        multiply(weight, row_step, column_step, x, terms, scratch, rows, halves)
        other, out = row(buffers, step, OTHER, p, channel), row(buffers, step, TARGET, p, channel)
        finish(step, channel, scratch, other, out, rows, halves)


@compile_copied
def near_panels(terms):
    """Return how many panels with so many channels stay in a core's own cache."""
    return max(1, NEAR // (terms * ROW_BYTES))


@compile_copied
def buffer_of(buffers, step, which):
    """Return the address of the buffer that is the SOURCE, the OTHER or the TARGET."""
    return integer(buffers, integer(step, which))


@compile_copied
def row(buffers, step, which, panel, channel):
    """Return the address of a channel in a panel of the SOURCE, the OTHER or the TARGET."""
    place = panel * integer(step, which + 1) + integer(step, which + 2) + channel
    return buffer_of(buffers, step, which) + place * ROW_BYTES


@compile_part
def finish(step, channel, sums, other, out, rows, halves):
    """Make results of the sums of a product: add the bias, activate, combine, scale and shift.

    sums, other, out: addresses of rows of a panel, [rows, 32]; channel: that of the first row.
    """
    zero, activation = splat(np.float32(0)), integer(step, ACTIVATION)
    if integer(step, BIAS):
        for r in range(rows):
            constant = splat(number_at(integer(step, BIAS) + 4 * (channel + r)))
            for place in range(r * ROW_BYTES, r * ROW_BYTES + halves * VECTOR_BYTES, VECTOR_BYTES):
                store(sums + place, load(sums + place) + constant)
    if activation == GELU:
        for r in range(rows):
            for place in range(r * ROW_BYTES, r * ROW_BYTES + halves * VECTOR_BYTES, VECTOR_BYTES):
                store(sums + place, normal_gelu(load(sums + place)))
    for r in range(rows):
        for place in range(r * ROW_BYTES, r * ROW_BYTES + halves * VECTOR_BYTES, VECTOR_BYTES):
            y = load(sums + place)
            if activation == RELU:
                y = where_less(y, zero, zero, y)
            if integer(step, COMBINE) == ADD:
                y = y + load(other + place)
            elif integer(step, COMBINE) == MULTIPLY:
                y = y * load(other + place)
            if integer(step, SCALE):
                scale = splat(number_at(integer(step, SCALE) + 4 * (channel + r)))
                y = fma(y, scale, splat(number_at(integer(step, SHIFT) + 4 * (channel + r))))
            store(out + place, y)


# ---- norms ---------------------------------------------------------------------------------


@compile_part
def norm(item, step, buffers):
    """Layer normalization over the channels of each of 16 tokens, half a panel."""
    D = integer(step, ROWS)
    width, one = splat(np.float32(D)), splat(np.float32(1))
    half = item % 2 * VECTOR_BYTES
    x = row(buffers, step, SOURCE, item // 2, 0) + half
    out = row(buffers, step, TARGET, item // 2, 0) + half
    total = splat(np.float32(0))
    for d in range(D):
        total = total + load(x + d * ROW_BYTES)
    mean = total / width
    squares = splat(np.float32(0))
    for d in range(D):
        centred = load(x + d * ROW_BYTES) - mean
        squares = fma(centred, centred, squares)
    variance = squares / width
    # Too large for float32: infinity would hide it as 0.
    variance = where_less(splat(LARGEST), variance, splat(np.float32(np.nan)), variance)
    inverse = one / root(variance + splat(number_at(integer(step, EPS))))
    for d in range(D):
        y = (load(x + d * ROW_BYTES) - mean) * inverse
        scale, shift = (
            number_at(integer(step, SCALE) + 4 * d),
            number_at(integer(step, SHIFT) + 4 * d),
        )
        store(out + d * ROW_BYTES, fma(y, splat(scale), splat(shift)))


# ---- tokens of one text --------------------------------------------------------------------


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
        multiply(keys, 4, row_bytes, queries, S, scores, T, halves)
        if bias:
            add_bias(scores, bias + t * integer(mask, 3), mask, T, n, halves)
        kept = buffer_of(buffers, step, OTHER) + 4 * T * (item * T + t)
        if integer(step, COMBINE) == SCORES:
            give(scores, T, n, kept)
        weigh(scores, T, halves)
        if integer(step, COMBINE) == PROBS:
            give(scores, T, n, kept)
        multiply(values, row_bytes, 4, scores, T, context, S, halves)
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


@compile_part
def weigh(scores, terms, halves):
    """Softmax over the first `terms` rows of a panel, for each of its tokens."""
    for h in range(halves):
        column = scores + h * VECTOR_BYTES
        highest = splat(np.float32(-np.inf))
        for k in range(terms):
            highest = larger(load(column + k * ROW_BYTES), highest)
        total = splat(np.float32(0))
        for k in range(terms):
            y = exponential(load(column + k * ROW_BYTES) - highest)
            store(column + k * ROW_BYTES, y)
            total = total + y
        share = splat(np.float32(1)) / total
        for k in range(terms):
            store(column + k * ROW_BYTES, load(column + k * ROW_BYTES) * share)


@compile_part
def give(panel, keys, queries, out):
    """Copy a panel of scores, [keys, queries], to rows of a result, [queries, keys]."""
    for q in range(queries):
        for k in range(keys):
            put_number(out + 4 * (q * keys + k), number_at(panel + k * ROW_BYTES + 4 * q))


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
    source, target = (
        buffer_of(buffers, step, SOURCE),
        buffer_of(buffers, step, TARGET),
    )
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
    H, K, S = (
        integer(step, HEADS),
        integer(step, TERMS),
        integer(step, ROWS) // integer(step, HEADS),
    )
    text, head = item // H, item % H
    start, T = integer(texts, 2 * text), integer(texts, 2 * text + 1)
    source, target = (
        buffer_of(buffers, step, SOURCE),
        buffer_of(buffers, step, TARGET),
    )
    scores = buffer_of(buffers, step, OTHER)
    row_bytes = 4 * (T + PANEL)
    neighbours = scratch + K * row_bytes
    out = neighbours + row_bytes + 8 * K
    for k in range(K):
        channel = head * K + k
        take(scores, integer(step, OTHER_CHANNELS), channel, start, T, scratch + k * row_bytes)
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


# ---- rows of tokens and panels -------------------------------------------------------------


@compile_part
def enter(item, step, buffers, tokens):
    """Turn 16 rows of tokens, [tokens, channels], into half a panel; no token is a zero."""
    D = integer(step, ROWS)
    half = row(buffers, step, TARGET, item // 2, 0) + item % 2 * VECTOR_BYTES
    for lane in range(LANES):
        n = item * LANES + lane
        source = buffer_of(buffers, step, SOURCE) + 4 * n * D
        for d in range(D):
            number = number_at(source + 4 * d) if n < tokens else np.float32(0)
            put_number(half + d * ROW_BYTES + 4 * lane, number)


@compile_part
def leave(item, step, buffers, tokens):
    """Turn half a panel into rows of tokens: the inverse of `enter`."""
    D = integer(step, ROWS)
    half = row(buffers, step, SOURCE, item // 2, 0) + item % 2 * VECTOR_BYTES
    for lane in range(min(LANES, tokens - item * LANES)):
        target = buffer_of(buffers, step, TARGET) + 4 * (item * LANES + lane) * D
        for d in range(D):
            put_number(target + 4 * d, number_at(half + d * ROW_BYTES + 4 * lane))


# ---- the whole -----------------------------------------------------------------------------


@compile_part
def count_items(step, halves, texts):
    """Return how many parts a step has that threads take one by one, if it is not a product."""
    if integer(step, HEADS):  # head by head in every text
        return texts * integer(step, HEADS)
    if integer(step, KIND) == DEPTHWISE:
        return texts * ((integer(step, ROWS) + PANEL - 1) // PANEL)
    return halves


@compile_part
def count_blocks(step, panels):
    """Return how many parts a product with so many panels has."""
    blocks = (integer(step, ROWS) + BLOCK - 1) // BLOCK
    near = near_panels(integer(step, TERMS))
    return (panels + near - 1) // near * integer(step, GROUPS) * blocks


@compile_loops
def run(part, parts, steps, count, buffers, texts, how_many_texts, tokens, mask, scratches,
        counters):  # fmt: skip
    """Run all `count` steps, as thread `part` of `parts`.

    Arrays are given by their addresses. steps: the table. buffers: an address for each. texts:
    first token and length of each. tokens: how many there are. mask: as attention has it.
    scratches: an address for each thread. counters: whole numbers, 0 to begin with: how many items
    are done, of all steps together, and for each step and thread's share how many are taken.

    Each thread begins with the tokens that it had before, which are in its core's own cache. When
    all of those are taken it helps with the others', so that nobody waits for a thread that the
    system has put to sleep, unless for the item that it is in, nor for one that never came.
    """
    panels = (tokens + PANEL - 1) // PANEL
    last_halves = 1 if 0 < tokens % PANEL <= LANES else 2
    halves = 2 * (panels - 1) + last_halves
    shares = parts if panels >= FEWEST * parts else 1
    scratch, all_done = integer(scratches, part), 0
    for i in range(count):
        step = steps + 8 * FIELDS * i
        kind = integer(step, KIND)
        for turn in range(shares):
            share = (part + turn) % shares
            taken = counters + 8 * (1 + i * parts + share)
            first, last = share * panels // shares, (share + 1) * panels // shares
            start = 0
            if kind == PRODUCT:
                end = count_blocks(step, last - first)
            else:
                items = count_items(step, halves, how_many_texts)
                start, end = share * items // shares, (share + 1) * items // shares
            all_done += end - start
            item = start + count_up(taken)
            while item < end:
                if kind == PRODUCT:
                    product(item, step, buffers, first, last, panels, last_halves, scratch)
                elif kind == NORM:
                    norm(item, step, buffers)
                elif kind == ATTENTION:
                    attention(item, step, buffers, texts, mask, scratch)
                elif kind == DEPTHWISE:
                    depthwise(item, step, buffers, texts, scratch)
                elif kind == DYNAMIC:
                    dynamic(item, step, buffers, texts, scratch)
                elif kind == ENTER:
                    enter(item, step, buffers, tokens)
                else:
                    leave(item, step, buffers, tokens)
                count_up(counters)
                item = start + count_up(taken)
        if integer(step, WAIT):
            looked = 0
            while counted(counters) < all_done:
                looked += 1
                if looked > LOOKS:
                    sleep_microseconds(np.uint32(PAUSE))
                else:
                    breathe()
