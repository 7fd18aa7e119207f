"""A checkpoint that was fetched by its name gives what transformers makes of the same folder."""

import numpy as np
import pytest
from task_checkpoints import FAMILIES, make_checkpoint

import npbert
from npbert.checkpoints.hub_cache import cached_snapshot

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch", reason="needs torch (extra `reference`)")
transformers = pytest.importorskip("transformers", reason="needs transformers (extra `reference`)")

TEXTS = ["the cat sat on the mat.", "a dog", "plants make sugar from light and water."]


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_equal_those_of_transformers(family, hub, tmp_path):
    name = f"org/{family.lower()}"
    hub.add(name, make_checkpoint(tmp_path / "made", family, "ForMaskedLM"))
    model = npbert.AutoModelForMaskedLM.from_pretrained(name, dtype=np.float64)
    tokenizer = npbert.AutoTokenizer.from_pretrained(name)
    snapshot = cached_snapshot(name)
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(
        snapshot, dtype=torch.float64, attn_implementation="eager"
    ).eval()
    for text in TEXTS:
        row = tokenizer([text], return_tensors="np")
        with torch.no_grad():
            expected = theirs(**{key: torch.tensor(array) for key, array in row.items()}).logits
        np.testing.assert_allclose(model(**row).logits, expected.numpy(), rtol=1e-9, atol=1e-10)


def test_a_cache_that_transformers_filled_is_read(hub, tmp_path, monkeypatch):
    """What transformers has fetched is there for npbert, with no further request."""
    import huggingface_hub.constants as constants

    # The library has read its variables long ago.
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    cache = tmp_path / "cache"
    hub.add("org/bert", make_checkpoint(tmp_path / "made", "Bert", "ForMaskedLM"))
    theirs = transformers.AutoModelForMaskedLM.from_pretrained("org/bert", cache_dir=cache)
    transformers.AutoTokenizer.from_pretrained("org/bert", cache_dir=cache)
    asked = len(hub.requests)
    ours = npbert.AutoModelForMaskedLM.from_pretrained("org/bert", cache_dir=cache)
    assert npbert.AutoTokenizer.from_pretrained("org/bert", cache_dir=cache)("the cat")
    assert len(hub.requests) == asked > 0
    ids = [[2, 5, 6, 3]]
    with torch.no_grad():
        expected = theirs.eval()(torch.tensor(ids)).logits.numpy()
    np.testing.assert_allclose(ours(ids).logits, expected, atol=1e-4)
