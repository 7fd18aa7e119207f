"""The fast versions of operations, compiled by numba, and the switch that chooses them.

    backend.py      the switch: `operation` marks a definition that has a twin here
    texts.py        texts of any lengths in one batch: operations that mix tokens, text by text
    threads.py      how a twin shares its work between threads
    ops.py activations.py kernels.py    the twins, in a file and under a name like the definition's

The definitions in npbert/ops.py, activations.py and kernels.py are what a reader reads and what the
twins are held to. A twin's module is imported when its first twin is wanted, and numba with it.
"""
