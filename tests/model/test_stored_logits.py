"""Every class against stored outputs of the reference (fixtures/stored), without torch."""

from pathlib import Path

import numpy as np
import pytest

import npbert
from npbert.checkpoints import safetensors
from npbert.compiled.backend import set_backend

FOLDER = Path(__file__).parents[1] / "fixtures" / "stored"
CLASSES = sorted(directory.name for directory in FOLDER.iterdir())
TOLERANCES = {"float64": 1e-10, "float32": 2e-5}  # relative to the largest value of an array
HUGE = 1e30  # and beyond: scores at masked places, the smallest float of a dtype


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba", reason="the twins need numba")
    set_backend(request.param)
    yield request.param
    set_backend(None)


def test_every_class_has_its_outputs():
    families = [name.removesuffix("Config") for name in npbert.__all__ if name.endswith("Config")]
    assert CLASSES == sorted(
        name
        for name in npbert.__all__
        if name.startswith(tuple(families))
        and not name.startswith("Auto")
        and not name.endswith(("Config", "Output", "Tokenizer", "TokenizerFast"))
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_are_those_of_the_reference(name, dtype, backend):
    model = getattr(npbert, name).from_pretrained(FOLDER / name, dtype)
    case = safetensors.read(FOLDER / name / "case.safetensors")
    inputs = {key[7:]: array for key, array in case.items() if key.startswith("inputs.")}
    expected = {key[8:]: array for key, array in case.items() if key.startswith("outputs.")}
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    got = {}
    for key, field in output.items():
        if isinstance(field, tuple):
            got |= {f"{key}.{i}": part for i, part in enumerate(field)}
        else:
            got[key] = field
    assert got.keys() == expected.keys()
    off = {}
    for key, want in expected.items():
        have = got[key]
        assert have.dtype == dtype and have.shape == want.shape, key
        masked = np.abs(want) > HUGE
        assert (np.abs(have[masked]) > HUGE).all(), key
        largest = np.abs(want[~masked]).max()
        error = np.abs(have[~masked] - want[~masked]).max() / largest
        if not error <= TOLERANCES[dtype]:
            off[key] = error
    assert not off
