"""npbert/compiled/backend.py: which version of an operation runs, and when numba is imported."""

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import npbert
from npbert import kernels
from npbert.compiled import backend
from npbert.compiled.backend import Operation, get_backend, set_backend, using

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
def operation(monkeypatch):
    """An operation of the file npbert/files.py, whose twin is in npbert/compiled/files.py."""

    def which(x):
        return "plain", x

    which.__module__ = "npbert.files"
    twins = types.SimpleNamespace(which=lambda x: ("twin", x))
    monkeypatch.setitem(sys.modules, "npbert.compiled.files", twins)
    monkeypatch.setattr(backend, "OPERATIONS", [])
    return Operation(which)


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


def test_the_file_of_a_twin_is_imported_only_when_it_is_wanted(monkeypatch, fake_numba, operation):
    twins = sys.modules.pop("npbert.compiled.files")
    set_backend("numpy")
    assert operation(1) == ("plain", 1)
    set_backend("numba")
    with pytest.raises(ImportError, match=r"npbert\.compiled\.files"):
        operation(1)
    sys.modules["npbert.compiled.files"] = twins
    assert operation(1) == ("twin", 1)
    assert operation.twin is twins.which


def test_a_pass_runs_on_what_it_was_begun_with(fake_numba, operation):
    set_backend("numba")
    with using("numpy"):
        assert (get_backend(), operation(1)) == ("numpy", ("plain", 1))
        set_backend("numba")  # for passes that begin from now on
        assert operation(1) == ("plain", 1)
        with using("numba"):
            assert operation(1) == ("twin", 1)
        assert operation(1) == ("plain", 1)
        with ThreadPoolExecutor(1) as other:  # another thread has not begun anything
            assert other.submit(operation, 1).result() == ("twin", 1)
    assert operation(1) == ("twin", 1)


def test_without_a_twin_the_definition_runs_everywhere(fake_numba, operation):
    operation.has_twin = False
    for name in ("numpy", "numba"):
        set_backend(name)
        assert operation(1) == ("plain", 1)


def test_every_operation_is_registered_once(operation):
    assert backend.OPERATIONS == [operation]


def test_an_operation_looks_like_its_plain_version():
    assert kernels.dynamic_convolution.__name__ == "dynamic_convolution"
    assert "K neighbours" in kernels.dynamic_convolution.__doc__
