"""The shipped checkpoints against values of transformers that are stored in weights/reference."""

import json
from pathlib import Path

import numpy as np
import pytest

import npbert
from npbert.checkpoints import safetensors
from npbert.checkpoints.shipped import shipped_checkpoints

REFERENCE = Path(__file__).parents[2] / "weights" / "reference"
CASES = ["sentence", "pair", "padded_batch", "one_token", "full_length"]
TOLERANCE = {"float64": 1e-10, "float32": 2e-5}


def test_every_shipped_checkpoint_has_its_values():
    assert {file.stem for file in REFERENCE.glob("*.safetensors")} == set(shipped_checkpoints())


@pytest.fixture(scope="module", params=sorted(shipped_checkpoints()))
def stored(request):
    return request.param, safetensors.read(REFERENCE / f"{request.param}.safetensors")


def load(name, dtype):
    """Load a checkpoint with the class that its config.json names."""
    config = json.loads((shipped_checkpoints()[name] / "config.json").read_text())
    (architecture,) = config["architectures"]
    return getattr(npbert, architecture).from_pretrained(name, dtype=dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_logits_and_hidden_states_equal_the_reference_s(stored, case, dtype):
    name, tensors = stored
    values = {n.removeprefix(f"{case}."): a for n, a in tensors.items() if n.startswith(f"{case}.")}
    inputs = {n: values.pop(n) for n in ("input_ids", "attention_mask", "token_type_ids")}
    positions = values.pop("positions")
    model = load(name, dtype)
    output = model(**inputs, output_hidden_states=True)

    ours = {f"hidden_states.{i}": x[:, positions, ::8] for i, x in enumerate(output.hidden_states)}
    for field in output:
        if output[field][0].shape[-1:] == (model.config.vocab_size,):  # a part of them is kept
            if f"{field}.all" in values:
                ours[f"{field}.all"] = output[field][:, positions[-2:][0]]
            ours[field] = output[field][:, positions, ::64]
        elif field != "hidden_states":
            ours[field] = output[field]
    assert ours.keys() == values.keys()
    for field, theirs in values.items():
        mine = ours[field]
        assert mine.dtype == dtype and theirs.dtype == "float64" and mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() <= TOLERANCE[dtype] * np.abs(theirs).max(), field
