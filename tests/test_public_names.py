"""npbert/__init__.py: the public names, and what importing them imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import npbert

ROOT = Path(npbert.__file__).parents[1]


def modules_after(code, **environment):
    """Return the top-level modules that another process has imported after running `code`."""
    code += "\nimport sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


EXTRAS = {"torch", "transformers", "tokenizers", "safetensors", "h5py", "tensorflow", "matplotlib",
          "huggingface_hub", "scipy", "pandas"}  # fmt: skip


def test_import_npbert_is_cheap():
    modules = modules_after("import npbert; dir(npbert)")
    assert not modules & (EXTRAS | {"numba", "llvmlite", "regex", "numpy"})


def test_the_plain_path_never_imports_numba():
    code = """
import npbert
config = npbert.ConvBertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_groups=2,
    num_attention_heads=2, intermediate_size=8, embedding_size=4, max_position_embeddings=4)
assert npbert.ConvBertForMaskedLM(config)([[1, 2]]).logits.shape == (1, 2, 9)
"""
    modules = modules_after(code, NPBERT_BACKEND="numpy")
    assert "numpy" in modules and not modules & (EXTRAS | {"numba", "llvmlite", "regex"})


@pytest.mark.parametrize("name", npbert.__all__)
def test_every_public_name_is_there(name):
    assert callable(getattr(npbert, name)) and name in dir(npbert)


def test_a_name_that_is_not():
    with pytest.raises(AttributeError, match="module 'npbert' has no attribute 'BertModle'"):
        _ = npbert.BertModle
    with pytest.raises(ImportError, match="BertModle"):
        exec("from npbert import BertModle")


def test_star_imports_all():
    names = {}
    exec("from npbert import *", names)
    assert names.keys() >= set(npbert.__all__)


TYPES = """
import npbert
reveal_type(npbert.fill_mask)
reveal_type(npbert.trace)
reveal_type(npbert.AutoTokenizer.from_pretrained)
reveal_type(npbert.BertModel.from_pretrained("x"))
reveal_type(npbert.ConvBertForMaskedLM.from_pretrained("x")([[1]]))
"""


def test_editors_and_type_checkers_see_the_types(tmp_path):
    api = pytest.importorskip("mypy.api", reason="needs mypy (extra `dev`)")
    file = tmp_path / "shown.py"
    names = "\n".join(f"npbert.{name}" for name in npbert.__all__)
    file.write_text(f"{TYPES}\n{names}\n")
    found, errors, status = api.run(["--config-file=", "--cache-dir", str(tmp_path), str(file)])
    assert status == 0, found + errors
    types = [line.partition("Revealed type is ")[2] for line in found.splitlines()[:5]]
    assert not any('"Any"' in each for each in types), types
    assert types[3] == '"npbert.bert.BertModel"'
    assert types[4] == '"npbert.model.outputs.MaskedLMOutput"'
