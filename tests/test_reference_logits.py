"""The shipped checkpoints against values of transformers that are stored in weights/reference."""

from pathlib import Path

import numpy as np
import pytest

from npbert import AutoModelForMaskedLM, safetensors
from npbert.shipped import shipped_checkpoints

REFERENCE = Path(__file__).parent.parent / "weights" / "reference"
CASES = ["sentence", "pair", "padded_batch", "one_token", "full_length"]
TOLERANCE = {"float64": 1e-10, "float32": 2e-5}


def test_every_shipped_checkpoint_has_its_values():
    assert {file.stem for file in REFERENCE.glob("*.safetensors")} == set(shipped_checkpoints())


@pytest.fixture(scope="module", params=sorted(shipped_checkpoints()))
def stored(request):
    return request.param, safetensors.read(REFERENCE / f"{request.param}.safetensors")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_logits_and_hidden_states_equal_the_reference_s(stored, case, dtype):
    name, tensors = stored
    values = {n.removeprefix(f"{case}."): a for n, a in tensors.items() if n.startswith(f"{case}.")}
    inputs = {n: values[n] for n in ("input_ids", "attention_mask", "token_type_ids")}
    model = AutoModelForMaskedLM.from_pretrained(name, dtype=dtype)
    output = model(**inputs, output_hidden_states=True)
    assert len(output.hidden_states) == 1 + model.config.num_hidden_layers

    pairs = [(output.logits[:, values["positions"]], values["logits"])]
    for i, state in enumerate(output.hidden_states):
        pairs.append((state, values[f"hidden_states.{i}"]))
    for ours, theirs in pairs:
        assert ours.dtype == dtype and theirs.dtype == "float64" and ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= TOLERANCE[dtype] * np.abs(theirs).max()
