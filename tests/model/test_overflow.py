"""What becomes of numbers too large for a dtype: a layer norm whose variance overflows is NaN."""

import numpy as np
import pytest
from operations import call, each_dtype, each_version, node, normal

from npbert import ops

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")


@each_version
@each_dtype
@pytest.mark.parametrize("D", [1, 8, 20])
def test_a_layer_norm_whose_variance_overflows_is_nan(version, dtype, D):
    largest = np.sqrt(np.finfo(dtype).max)
    x = normal(0, 6, D, dtype=dtype)
    x[1] *= largest * 10
    x[4] *= largest * 1e6
    x[2] *= largest / 100
    p = node(weight=np.full(D, 2, dtype), bias=np.ones(D, dtype))
    got = call(ops.layer_norm, version, x, p, 1e-12)
    overflown = [1, 4] if D > 1 else []  # one channel has no variance
    assert np.isnan(got).all(axis=-1).nonzero()[0].tolist() == overflown
    assert np.isfinite(np.delete(got, overflown, axis=0)).all()
    assert got.dtype == dtype
