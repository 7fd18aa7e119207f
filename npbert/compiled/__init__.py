"""The fast versions of operations, compiled by numba, and the switch that chooses them.

    backend.py      the switch: `operation` marks a definition that has a twin here
    texts.py        texts of any lengths in one batch: operations that mix tokens, text by text
    cache.py        machine code kept on disk, where nothing damaged and nothing old is believed
    threads.py      how twins are compiled, and share their work between threads
    ops.py activations.py kernels.py    the twins, in a file and under a name like the definition's
    bert.py convbert.py mobilebert.py squeezebert.py    those of all layers of an encoder at once

In float32 the twins are programs, tables of steps that one compiled function runs:

    prepared.py     keeps the program of each node of parameters, for the twins
    program.py      writes programs step by step, and runs them
    table.py        what a step, a buffer and a panel of 32 tokens are
    steps.py        the loop in which threads run the steps, and the simple kinds of them
    products.py     matrices times buffers, and what follows before the results leave the cache
    mixing.py       attention and the convolutions
    curves.py       e^x and GELU
    vectors.py      16 numbers at once, products in registers, and counters that threads share

To read how a layer is computed begin with bert.py, then the methods of `Program`, then table.py.

The definitions in npbert/ops.py, activations.py and kernels.py are what a reader reads and what the
twins are held to. A twin's module is imported when its first twin is wanted, and numba with it.
"""
