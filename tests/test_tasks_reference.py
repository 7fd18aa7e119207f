"""fill_mask against the pipeline of transformers, on the shipped checkpoint."""

import pytest

pytestmark = pytest.mark.reference
transformers = pytest.importorskip("transformers", reason="needs transformers and torch")
pytest.importorskip("torch", reason="needs torch")

from npbert import fill_mask  # noqa: E402
from npbert.shipped import checkpoint_directory  # noqa: E402

CALLS = {
    "one mask": (["The sky is [MASK]."], {}),
    "a text": ("Plants create [MASK] through a process known as photosynthesis.", {"top_k": 20}),
    "two masks": ("The [MASK] of the [MASK] is red.", {"top_k": 3}),
    "several texts": (["The sky is [MASK].", "[MASK]", "[MASK] and [MASK]"], {"top_k": 2}),
    "targets": ("The sky is [MASK].", {"targets": ["blue", "dark", "cold"]}),
    "one target": ("The sky is [MASK].", {"targets": "blue", "top_k": 3}),
    "accents, unknown characters": ("Zürich — 東京 — is a [MASK] city.", {}),
    "glued": ("re[MASK]ing", {}),
}


@pytest.fixture(scope="module")
def pipeline():
    import torch

    torch.set_num_threads(1)
    return transformers.pipeline(
        "fill-mask",
        model=str(checkpoint_directory("convbert-tiny")),
        model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"},
    )


def assert_same(ours, theirs):
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            assert_same(mine, its)
    else:
        assert ours.pop("score") == pytest.approx(theirs.pop("score"), rel=1e-4)
        assert ours == theirs


@pytest.mark.parametrize("text, options", CALLS.values(), ids=CALLS.keys())
def test_results_equal_the_pipeline_s(pipeline, text, options):
    assert_same(fill_mask(text, **options), pipeline(text, **options))
