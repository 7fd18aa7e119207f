"""npbert/checkpoints/numpy_weights.py: archives of np.savez, damaged ones, nothing unpickled."""

import functools
import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import refusal_of

from npbert.checkpoints import numpy_weights

TENSORS = {
    "encoder.layer.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "half": np.float16([1, 2]),
    "big": np.arange(3, dtype=">i4"),
    "scalar": np.array(True),
    "empty": np.zeros((3, 0), np.complex64),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.npz"


refusal = functools.partial(refusal_of, numpy_weights.read)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(path, save):
    save(path, **TENSORS)
    got = numpy_weights.read(path)
    assert list(got) == list(TENSORS)
    for name, array in got.items():
        assert array.dtype == TENSORS[name].dtype and array.shape == TENSORS[name].shape
        assert (array == TENSORS[name]).all() and not array.flags.writeable


def test_a_highly_compressed_archive_is_no_bomb(path):
    np.savez_compressed(path, a=np.zeros(10**6))
    assert numpy_weights.read(path)["a"].shape == (10**6,)


class Hostile:
    def __init__(self, where):
        self.where = where

    def __reduce__(self):
        return os.mkdir, (str(self.where),)


def test_nothing_is_unpickled(path, tmp_path):
    sentinel = tmp_path / "executed"
    objects = np.array([Hostile(sentinel)], dtype=object)
    np.savez(path, good=np.ones(2), bad=objects)
    assert refusal(path) == "array 'bad': dtype dtype('O'), expected numbers or booleans"
    assert not sentinel.exists()
    with np.load(path, allow_pickle=True) as archive:  # it is hostile
        archive["bad"]
    assert sentinel.exists()


@pytest.mark.parametrize("array", [np.array(["x"]), np.zeros(1, "V2"), np.zeros(1, "M8[s]"),
                                   np.zeros(1, [("a", "f4")])])  # fmt: skip
def test_only_numbers(path, array):
    np.savez(path, a=array)
    assert refusal(path).startswith("array 'a': dtype ")


def npy(header, data=b"", version=b"\1\0"):
    header = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "content, message",
    [
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", b"12345678"),
         "8 bytes, expected 12 for float32 (3,)"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}"),
         "0 bytes, expected 4398046511104 for float32 (1099511627776,)"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2)}", b"12345678"),
         "8 bytes, expected 8 for float32 (-1, -2)"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\n"),
         "dtype dtype('O'), expected numbers or booleans"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", b"1234", b"\3\0"),
         "version (3, 0) of the .npy format, expected (1, 0) or (2, 0)"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1180591620717411303424)}"),
         "shape (0, 1180591620717411303424), expected less than 2**63 bytes"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,"), "EOF in multi-line"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}" + " " * 20_000),
         "Header info length"),
        (npy("(" * 5000), "array 'a': "),
        (npy("__import__('os').mkdir('executed')"), "malformed node"),
        (b"text", "magic string"),
    ],
    ids=["short", "giant", "negative", "object", "version",
         "beyond 64 bits", "no end", "long", "nested", "code", "text"],
)  # fmt: skip
def test_wrong_arrays(path, content, message):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    assert refusal(path).startswith("array 'a': ") and message in refusal(path)
    assert not os.path.exists("executed")


def test_two_arrays_of_one_name(path):
    np.savez(path, a=np.ones(1))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", b"")
    assert refusal(path) == "two arrays are called 'a'"


def test_a_size_that_nothing_compresses_to(path):
    np.savez_compressed(path, a=np.zeros(1000))
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    content[directory + 24 : directory + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    assert refusal(path).startswith("array 'a': 2147483648 bytes said to be compressed to ")


def test_what_is_no_archive(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    assert refusal(path) == "a damaged zip archive: File is not a zip file"
    path.write_bytes(b"")
    assert refusal(path) == "a damaged zip archive: File is not a zip file"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        numpy_weights.read(path)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), compressed=st.booleans())
def test_a_mutated_archive_is_refused_or_whole(path, data, compressed):
    whole = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(whole, **TENSORS)
    content = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        arrays = numpy_weights.read(path)
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return
    for array in arrays.values():
        array.copy()
