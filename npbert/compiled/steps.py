"""The loop in which threads run the steps of a program, and the simple kinds of steps.

Threads. All of them call `run` with the same table, and go through it row by row. Each step is cut
into items (some rows of a matrix and some panels, a head of a text, ...), which they take by
counting up a number that they share. Where a step has WAIT, nobody goes on before all items so far
are done; steps without it run at the same time as those that follow.
"""

from __future__ import annotations

import os

import numpy as np

from npbert.compiled.mixing import attention, depthwise, dynamic
from npbert.compiled.products import count_blocks, product
from npbert.compiled.table import (
    ATTENTION,
    DEPTHWISE,
    DYNAMIC,
    ENTER,
    EPS,
    FIELDS,
    HEADS,
    KIND,
    NORM,
    PRODUCT,
    ROW_BYTES,
    ROWS,
    SCALE,
    SHIFT,
    SOURCE,
    TARGET,
    WAIT,
    buffer_of,
    row,
)
from npbert.compiled.threads import compile_loops, compile_part
from npbert.compiled.vectors import (
    LANES,
    PANEL,
    VECTOR_BYTES,
    breathe,
    count_up,
    counted,
    fma,
    integer,
    load,
    number_at,
    put_number,
    root,
    sleep_microseconds,
    splat,
    store,
    where_less,
)

FEWEST = 2  # panels that a thread has for its own, or else all threads share all panels
LOOKS = 2000  # so often a thread looks whether others are done, for some 0.1 ms, before it sleeps
PAUSE = 50 if os.name == "posix" else 1  # microseconds, or else milliseconds
LARGEST = np.finfo(np.float32).max


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
        scale = number_at(integer(step, SCALE) + 4 * d)
        shift = number_at(integer(step, SHIFT) + 4 * d)
        store(out + d * ROW_BYTES, fma(y, splat(scale), splat(shift)))


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
    apart = parts // shares
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
                    product(item, apart, step, buffers, first, last, panels, last_halves, scratch)
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
