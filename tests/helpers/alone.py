"""Compares what a text gives among others with what it gives alone."""

import numpy as np

from npbert.compiled import backend


def assert_as_alone(ours, alone):
    """Check float32 numbers to 1e-6 of the largest one.

    In plain NumPy the order of a product's sums depends on its size, on some processors and not on
    others.
    """
    largest = np.abs(alone).max()
    np.testing.assert_allclose(ours, alone, rtol=0, atol=1e-6 * max(1.0, largest))


def assert_same_where_compiled(ours, alone):
    """Check float32 numbers to the bit with the backend that promises it, else as above."""
    if backend.get_backend() == "numba":
        np.testing.assert_array_equal(ours, alone)
    else:
        assert_as_alone(ours, alone)
