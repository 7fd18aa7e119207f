"""The table of steps that a program is, and how buffers lie in memory.

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

Compiled code is given whole numbers and addresses, and checks nothing: program.py does.
"""

from __future__ import annotations

from npbert.compiled.threads import compile_copied
from npbert.compiled.vectors import PANEL, integer

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


@compile_copied
def buffer_of(buffers, step, which):
    """Return the address of the buffer that is the SOURCE, the OTHER or the TARGET."""
    return integer(buffers, integer(step, which))


@compile_copied
def row(buffers, step, which, panel, channel):
    """Return the address of a channel in a panel of the SOURCE, the OTHER or the TARGET."""
    place = panel * integer(step, which + 1) + integer(step, which + 2) + channel
    return buffer_of(buffers, step, which) + place * ROW_BYTES
