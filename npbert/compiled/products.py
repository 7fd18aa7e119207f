"""Products of a matrix and a buffer, with all that follows before the results leave the cache."""

from __future__ import annotations

import numpy as np

from npbert.compiled.curves import normal_gelu
from npbert.compiled.table import (
    ACTIVATION,
    ADD,
    BIAS,
    COLUMN_STEP,
    COMBINE,
    GELU,
    GROUP_STEP,
    GROUPS,
    MULTIPLY,
    OTHER,
    RELU,
    ROW_BYTES,
    ROW_STEP,
    ROWS,
    SCALE,
    SHIFT,
    SOURCE,
    TARGET,
    TERMS,
    WEIGHT,
    row,
)
from npbert.compiled.threads import compile_copied, compile_part
from npbert.compiled.vectors import (
    ROOM,
    VECTOR_BYTES,
    fma,
    integer,
    load,
    number_at,
    splat,
    store,
    tile,
    where_less,
)

BLOCK = 24  # rows of a matrix in one item of a product
NEAR = 2**20  # bytes of panels that stay in a core's own cache while the matrix passes by


def multiplying(vectors, sizes):
    """Return a function that multiplies rows of a matrix by `vectors` vectors of a panel's tokens.

    sizes: how many rows it takes at a time: as long as there are so many, then fewer, then one.
    """
    many, few, _ = sizes
    tile_of_many, tile_of_few, tile_of_one = (tile(size, vectors) for size in sizes)

    def loops(weight, row_step, column_step, panel, terms, out, rows, following):
        r = 0
        while r + many <= rows:
            at, to = weight + r * row_step, out + r * ROW_BYTES
            tile_of_many(at, row_step, column_step, panel, terms, to, following)
            r += many
        while r + few <= rows:
            at, to = weight + r * row_step, out + r * ROW_BYTES
            tile_of_few(at, row_step, column_step, panel, terms, to, following)
            r += few
        while r < rows:
            at, to = weight + r * row_step, out + r * ROW_BYTES
            tile_of_one(at, row_step, column_step, panel, terms, to, following)
            r += 1

    return compile_part(loops)


multiply_wide = multiplying(2, (ROOM // 2, 3, 1))
multiply_thin = multiplying(1, (ROOM, 4, 1))


@compile_part
def multiply(weight, row_step, column_step, panel, terms, out, rows, halves, following):
    """Multiply rows of a matrix by a panel: [rows, terms] by [terms, 32] -> [rows, 32].

    row_step, column_step: bytes from one row of the matrix to the next, and from column to column.
    halves: 2 for all tokens of the panel, 1 for its first 16. following: bytes from these rows to
    those that this thread multiplies next, as far as that is known.
    """
    if halves == 2:
        multiply_wide(weight, row_step, column_step, panel, terms, out, rows, following)
    else:
        multiply_thin(weight, row_step, column_step, panel, terms, out, rows, following)


@compile_part
def product(item, apart, step, buffers, first, last, panels, last_halves, scratch):
    """Multiply a block of rows of a matrix by panels from `first` to `last`; finish the rows.

    An item is one block of one group, for as many panels as stay in a core's own cache: the matrix
    is read from memory once for all of these. panels: of the buffer; the last may be half empty.
    apart: how many items after this one the same thread probably takes the next.
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
        following = apart * BLOCK * row_step
        multiply(weight, row_step, column_step, x, terms, scratch, rows, halves, following)
        other, out = row(buffers, step, OTHER, p, channel), row(buffers, step, TARGET, p, channel)
        finish(step, channel, scratch, other, out, rows, halves)


@compile_copied
def near_panels(terms):
    """Return how many panels with so many channels stay in a core's own cache."""
    return max(1, NEAR // (terms * ROW_BYTES))


@compile_part
def count_blocks(step, panels):
    """Return how many parts a product with so many panels has."""
    blocks = (integer(step, ROWS) + BLOCK - 1) // BLOCK
    near = near_panels(integer(step, TERMS))
    return (panels + near - 1) // near * integer(step, GROUPS) * blocks


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
