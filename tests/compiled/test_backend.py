"""npbert/backend.py and npbert/__init__.py: which version runs, and what is imported when."""

import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import npbert
from npbert import kernels
from npbert.compiled import backend
from npbert.compiled.backend import Operation, get_backend, set_backend

ROOT = Path(npbert.__file__).parents[1]


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    """Let each test begin with nothing chosen and nothing found out, and leave no trace."""
    monkeypatch.setattr(backend, "_chosen", None)
    monkeypatch.delenv("NPBERT_BACKEND", raising=False)
    backend._trouble_with_numba.cache_clear()
    yield
    backend._trouble_with_numba.cache_clear()


@pytest.fixture
def no_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # as Python marks what cannot be imported


@pytest.fixture
def fake_numba(monkeypatch):
    """Put a numba in place that compiles nothing and says what it was asked for."""
    asked = []

    def njit(function=None, **options):
        asked.append(options)
        return function if function is not None else lambda function: function

    numba = types.SimpleNamespace(njit=njit, asked=asked)
    monkeypatch.setitem(sys.modules, "numba", numba)
    return numba


@pytest.fixture
def operation():
    operation = Operation(lambda x: ("plain", x))
    operation.twin(lambda x: ("twin", x))
    return operation


# ---- choosing ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_the_function_goes_before_the_environment(monkeypatch, fake_numba, name):
    other = {"numpy": "numba", "numba": "numpy"}[name]
    monkeypatch.setenv("NPBERT_BACKEND", other)
    assert get_backend() == other
    set_backend(name)
    assert get_backend() == name
    set_backend(None)
    assert get_backend() == other


@pytest.mark.parametrize("environment", [None, "", "auto"])
def test_what_is_chosen_where_nothing_is(monkeypatch, fake_numba, environment):
    if environment is not None:
        monkeypatch.setenv("NPBERT_BACKEND", environment)
    assert get_backend() == "numba"


@pytest.mark.parametrize("name", ["torch", "NumPy", "", 1])
def test_an_unknown_name_lists_the_known(name):
    set_backend("numpy")
    with pytest.raises(ValueError) as error:
        set_backend(name)
    assert str(error.value) == f"set_backend was given {name!r}, expected one of auto, numpy, numba"
    assert get_backend() == "numpy"  # what was chosen before still holds


def test_an_unknown_name_in_the_environment(monkeypatch, operation):
    monkeypatch.setenv("NPBERT_BACKEND", "cuda")
    message = "NPBERT_BACKEND is 'cuda', expected one of auto, numpy, numba"
    with pytest.raises(ValueError, match=message):
        get_backend()
    with pytest.raises(ValueError, match=message):
        operation(1)
    set_backend("numpy")  # then nobody asks the environment
    assert operation(1) == ("plain", 1)


def test_auto_does_without_numba(no_numba, operation):
    assert get_backend() == "numpy"
    assert operation(1) == ("plain", 1)
    set_backend("auto")
    assert get_backend() == "numpy"


def test_numba_that_is_chosen_and_missing(monkeypatch, no_numba):
    with pytest.raises(ImportError, match="set_backend was given 'numba', which cannot be import"):
        set_backend("numba")
    monkeypatch.setenv("NPBERT_BACKEND", "numba")
    with pytest.raises(ImportError, match="NPBERT_BACKEND is 'numba', which cannot be imported: "):
        get_backend()


@pytest.mark.parametrize(
    "error", [ImportError("Numba needs NumPy 2.2 or less"), OSError("no LLVM")]
)
def test_numba_that_is_installed_and_broken(monkeypatch, tmp_path, operation, error):
    """numba refuses a NumPy that is newer than itself: auto goes on without, "numba" says so."""
    (tmp_path / "numba.py").write_text(f"raise {error!r}")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n == "numba" or n.startswith("numba.")]:
        monkeypatch.delitem(sys.modules, name)
    assert operation(1) == ("plain", 1)
    with pytest.raises(ImportError, match=str(error)):
        set_backend("numba")


# ---- operations ----------------------------------------------------------------------------


def test_the_backend_decides_at_every_call(fake_numba, operation):
    for name, version in (("numpy", "plain"), ("numba", "twin"), ("numpy", "plain")):
        set_backend(name)
        assert operation(1) == (version, 1)


def test_a_twin_is_compiled_once_and_only_when_wanted(fake_numba, operation):
    set_backend("numpy")
    operation(1)
    assert fake_numba.asked == []
    set_backend("numba")
    operation(1), operation(2)
    assert fake_numba.asked == [{"cache": True}]


def test_where_no_machine_code_can_be_kept(monkeypatch, fake_numba, operation):
    def njit(function=None, **options):
        def refuse(function):
            raise RuntimeError("cannot cache function: no locator available")

        return refuse if options.get("cache") else function

    monkeypatch.setattr(fake_numba, "njit", njit)
    set_backend("numba")
    assert operation(1) == ("twin", 1)


def test_an_operation_looks_like_its_plain_version():
    assert kernels.dynamic_convolution.__name__ == "dynamic_convolution"
    assert "K neighbours" in kernels.dynamic_convolution.__doc__


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_versions_agree_on_arrays_that_cannot_be_written(dtype):
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 4, 6)).astype(dtype)
    filters = rng.normal(size=(2, 4, 3, 5)).astype(dtype)
    values.flags.writeable = filters.flags.writeable = False  # as mapped weights are
    results = []
    for name in ("numpy", "numba"):
        set_backend(name)
        results.append(kernels.dynamic_convolution(values, filters))
    assert results[0].dtype == results[1].dtype == dtype
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


# ---- imports -------------------------------------------------------------------------------


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
