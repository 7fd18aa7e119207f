"""Numbers too large for float32: NaN comes out of the same places as of the reference."""

import numpy as np
import pytest
from reference_models import random_model, run, torch

import npbert
from npbert import kernels
from npbert.compiled import backend

pytestmark = pytest.mark.reference

# The reference takes its sums in pieces as wide as a register, and only where these fill a row does
# an overflow of theirs become NaN, from a thousand times the first overflow on; npbert is NaN from
# the first on, at any width.
WIDTHS = dict(hidden_size=64, embedding_size=64, intermediate_size=64)
MANY = {"SqueezeBert": dict(k_groups=4, post_attention_groups=4), "MobileBert": {}}


@pytest.mark.parametrize("version", ["numpy", "numba"])
@pytest.mark.parametrize("factor", [1e15, 1e23, 1e30, 1e37])
@pytest.mark.parametrize("family", ["Bert", "ConvBert", "MobileBert", "SqueezeBert"])
def test_the_same_tokens_are_nan(family, factor, version, tmp_path):
    if version == "numba":
        pytest.importorskip("numba")
    options = WIDTHS | MANY.get(family, {})
    if family == "MobileBert":
        options |= dict(intra_bottleneck_size=32, normalization_type="layer_norm")
    if family == "Bert":
        del options["embedding_size"]
    theirs = random_model(family, "Model", **options)
    theirs.save_pretrained(tmp_path)
    ours = npbert.AutoModel.from_pretrained(tmp_path)
    embeds = np.random.default_rng(0).standard_normal((3, 5, 64)).astype(np.float32)
    embeds[1] *= np.float32(factor)
    embeds[2, 3] *= np.float32(factor)
    expected = run(theirs, "float32", inputs_embeds=embeds, output_hidden_states=True)
    with backend.using(version), np.errstate(all="ignore"):
        got = ours(inputs_embeds=embeds, output_hidden_states=True)
    for name in ("last_hidden_state", "hidden_states"):
        for one, other in zip(np.atleast_1d(got[name]), np.atleast_1d(expected[name])):
            np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    assert np.isnan(got["last_hidden_state"]).any() == (factor > 1e20)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
@pytest.mark.parametrize("K", [3, 5, 9])
def test_what_is_not_finite_spreads_no_further_than_the_kernel(K, value):
    """With finite weights. Past the ends a weight that is not finite may meet a zero or nothing:
    which of the two depends in torch on sizes, so that no pattern is the reference's."""
    rng = np.random.default_rng(K)
    for T, D in ((1, 4), (4, 8), (12, 20)):
        x = rng.standard_normal((2, T, D)).astype(np.float32)
        x[1, T // 2, 1] = x[0, 0, 0] = value
        weight = (10 * rng.standard_normal((D, 1, K))).astype(np.float32)
        convolution = torch.nn.Conv1d(D, D, K, groups=D, padding=K // 2, bias=False)
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(weight))
            expected = convolution(torch.from_numpy(x).transpose(1, 2)).transpose(1, 2).numpy()
        with np.errstate(all="ignore"):
            got = kernels.depthwise_convolution(x, weight)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(expected))
        assert not np.isfinite(got).all() or np.isfinite(value)
