"""Operations in every version, arguments for them, and the comparison with a definition."""

import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import strategies as st

from npbert import activations, bert, convbert, kernels, mobilebert, ops, squeezebert
from npbert.compiled import backend, program, threads
from npbert.model.params import Node

VERSIONS = ["plain", "twin", "twin in 3 parts", "twin in Python"]
IN_STEPS = [
    "layers",
    "layer_norm",
    "linear",
    "grouped_convolution",
]  # whose twins are steps of a program
HELPERS = ThreadPoolExecutor(2)
DTYPES = ["float64", "float32"]
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in DTYPES}
# Whose operations may have a twin.
FILES = [ops, activations, kernels, bert, convbert, mobilebert, squeezebert]

each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_version = pytest.mark.parametrize("version", VERSIONS)


def call(operation, version, *arguments):
    """Return what one version of an operation makes of the arguments.

    A twin works in 3 parts however little there is to do. Its loops as Python runs them leave no
    array by an index that is too large, and what no part fills of the result shows as NaN. What an
    operation yields is returned as a list.
    """
    if version == "plain":
        return listed(operation.plain(*arguments))
    if importlib.util.find_spec("numba") is None:
        pytest.skip("the twins need numba")
    with pytest.MonkeyPatch.context() as patch, backend.using("numba"):
        assert operation.twin  # imports its file before anything is patched there
        if version != "twin":
            patch.setattr(threads, "SMALLEST_PART", 1)
            patch.setattr(threads, "count_threads", lambda: 3)
            patch.setattr(threads, "_helpers", lambda: HELPERS)
            patch.setattr(program, "FEW", 0)
        if version == "twin in Python":
            patch.setattr(np, "empty", with_nan(np.empty))
            patch.setattr(np, "empty_like", with_nan(np.empty_like))
            if operation.__name__ in IN_STEPS and (
                operation.__name__ == "layers" or arguments[0].dtype == "float32"
            ):
                pytest.skip("vectors are for compiled code alone")
            file = importlib.import_module(operation.twin.__module__)
            for name, function in vars(file).copy().items():
                if hasattr(function, "py_func"):
                    patch.setattr(file, name, function.py_func)
        return listed(operation(*arguments))


def listed(result):
    """Return what was yielded as a list, anything else as it is."""
    return list(result) if isinstance(result, Iterator) else result


def with_nan(make):
    """Return np.empty or np.empty_like filled with NaN where the numbers would be any."""

    def filled(*arguments, **options):
        array = make(*arguments, **options)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        return array

    return filled


# ---- arguments -----------------------------------------------------------------------------


def normal(seed, *shape, dtype="float64", spread=1):
    return (spread * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def node(**children):
    """Return a node of the parameter tree."""
    made = Node("p")
    vars(made).update(children)
    return made


def contiguous(array):
    return array.copy()


def read_only(array):
    """As arrays that are mapped from a checkpoint are."""
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    """The same values, but no axis steps by one element."""
    roomy = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    roomy[..., ::2] = array
    return roomy[..., ::2]


LAYOUTS = [contiguous, read_only, strided]


layouts = st.sampled_from(LAYOUTS)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**32 - 1)


# ---- results -------------------------------------------------------------------------------


def assert_close(got, expected, dtype, ulps=8, scale=None):
    """Assert the dtype, and that got is within some units in the last place of the scale.

    The scale is the largest value expected, or 1, where no other is given.
    """
    assert got.dtype == dtype and got.shape == expected.shape
    scale = max(1.0, np.abs(expected).max()) if scale is None else scale
    assert (np.abs(got.astype(np.float64) - expected) <= ulps * EPS[dtype] * scale).all()
