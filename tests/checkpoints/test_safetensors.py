"""npbert/checkpoints/safetensors.py: round trips, damaged files, every refusal, atomic writing."""

import json
import os
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors_files import REFUSED, dicts, entry, file_of, metadatas, quick, same

from npbert.checkpoints import safetensors
from npbert.checkpoints.files import MAX_DIMENSIONS
from npbert.checkpoints.writing import atomic_write


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# ---- round trips ---------------------------------------------------------------------------


@quick
@given(tensors=dicts, metadata=metadatas)
def test_what_is_written_is_read(path, tensors, metadata):
    safetensors.write(path, tensors, metadata)
    got = safetensors.read(path)
    assert got.keys() == tensors.keys()
    assert all(same(got[name], tensors[name]) for name in tensors)
    assert not any(array.flags.writeable for array in got.values())
    assert all(array.flags.aligned and type(array) is np.ndarray for array in got.values())
    header = safetensors.header(path)
    assert header.metadata == (metadata or {})
    for name, info in header.tensors.items():
        raw = path.read_bytes()[info.start : info.stop]
        assert info.shape == tensors[name].shape and raw == got[name].tobytes()


@quick
@given(tensors=dicts, metadata=metadatas)
def test_the_same_arrays_give_the_same_bytes(path, tensors, metadata):
    safetensors.write(path, tensors, metadata)
    first = path.read_bytes()
    backwards = None if metadata is None else dict(reversed(metadata.items()))
    safetensors.write(path, dict(reversed(tensors.items())), backwards)
    assert path.read_bytes() == first
    assert (8 + int.from_bytes(first[:8], "little")) % 8 == 0


def test_the_layout_byte_by_byte(path):
    tensors = {"b": np.array([True, False]), "a": np.float16([1, 2]), "c": np.float16(3)}
    safetensors.write(path, tensors, {"format": "pt"})
    header = (
        b'{"__metadata__":{"format":"pt"},'
        b'"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},'
        b'"c":{"dtype":"F16","shape":[],"data_offsets":[4,6]},'
        b'"b":{"dtype":"BOOL","shape":[2],"data_offsets":[6,8]}}'
    )
    header += b" " * (-len(header) % 8)
    data = b"\x00\x3c\x00\x40\x00\x42\x01\x00"
    assert path.read_bytes() == struct.pack("<Q", len(header)) + header + data


def test_as_many_dimensions_as_numpy_has(path):
    safetensors.write(path, {"a": np.ones((1,) * MAX_DIMENSIONS)})
    assert safetensors.read(path)["a"].ndim == MAX_DIMENSIONS
    with pytest.raises(ValueError):
        np.ones((1,) * (MAX_DIMENSIONS + 1))


def test_no_tensors(path):
    safetensors.write(path, {})
    assert path.read_bytes() == struct.pack("<Q", 8) + b"{}      "
    assert safetensors.read(path) == {} and safetensors.header(path) == ({}, {})


def test_anything_that_asarray_takes(path):
    safetensors.write(path, {"list": [[1.5, 2]], "scalar": np.float32(3), "int": 4})
    got = safetensors.read(path)
    assert got["list"].dtype == np.float64 and got["list"].tolist() == [[1.5, 2.0]]
    assert got["scalar"].shape == () and got["scalar"].dtype == np.float32
    assert got["int"].dtype == np.int64 and got["int"] == 4


def test_bfloat16_is_widened_exactly(path):
    bits = np.arange(2**16, dtype="<u2")  # every bfloat16 there is
    header = {
        "x": entry("BF16", [256, 256], [0, 2**17]),
        "y": entry("BF16", [], [2**17, 2**17 + 2]),
    }
    path.write_bytes(file_of(header, bits.tobytes() + b"\x80\x3f"))
    got = safetensors.read(path)
    assert got["x"].dtype == np.float32 and got["x"].shape == (256, 256)
    assert (got["x"].view(np.uint32).ravel() == bits.astype(np.uint32) << 16).all()
    assert type(got["y"]) is np.ndarray and got["y"].shape == () and got["y"] == 1
    assert not got["x"].flags.writeable


def test_nothing_is_copied(path):
    safetensors.write(path, {"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float16)})
    a, b = safetensors.read(path).values()
    assert not a.flags.owndata and not b.flags.owndata
    with open(path, "r+b") as file:  # the map shows the file itself, as long as it is mapped
        file.seek(safetensors.header(path).tensors["a"].start)
        file.write(np.float32(7).tobytes())
    assert a[0, 0] == 7


def test_unaligned_tensors_are_copied_into_alignment(path):
    header = {"a": entry("U8", [1], [0, 1]), "b": entry("F64", [2], [1, 17])}
    path.write_bytes(file_of(header, b"\x05" + np.array([1.5, -2.0]).tobytes()))
    got = safetensors.read(path)
    assert got["a"].tolist() == [5] and got["b"].tolist() == [1.5, -2.0]
    assert got["b"].flags.aligned and not got["b"].flags.writeable


def test_empty_tensors_at_one_place(path):
    header = {
        "c": entry("F32", [2**60, 0], [4, 4]),
        "b": entry(),
        "a": entry("F32", [0, 3], [0, 0]),
    }
    path.write_bytes(file_of(header, b"\0" * 4))
    shapes = {name: array.shape for name, array in safetensors.read(path).items()}
    assert shapes == {"c": (2**60, 0), "b": (1,), "a": (0, 3)}
    assert list(shapes) == ["c", "b", "a"]  # the order of the header


@pytest.mark.parametrize(
    "value", ["[" * 125 + "]" * 125, "1e308", "-0", "9" * 300, '{"x": "\\u0000"}']
)
def test_what_a_field_that_nobody_reads_may_hold(path, value):
    header = '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": VALUE}}'
    path.write_bytes(file_of(header.replace("VALUE", value), b"\0" * 4))
    assert safetensors.read(path)["a"].shape == (1,)


def test_spaces_and_unknown_fields_are_no_fault(path):
    header = ' {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": {}}} \n'
    path.write_bytes(file_of(header, b"\0" * 4))
    assert safetensors.read(path)["a"].shape == (1,)
    path.write_bytes(file_of('{"__metadata__": null}'))
    assert safetensors.header(path) == ({}, {})


# ---- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED)
def test_refused(path, case):
    data, message = REFUSED[case]
    path.write_bytes(data)
    for read in (safetensors.read, safetensors.header):
        with pytest.raises(ValueError) as error:
            read(path)
        line = str(error.value)
        assert type(error.value) is ValueError
        assert line.startswith(f"{path}: ") and message in line
        assert line.isprintable() and len(line) < len(str(path)) + 500


def test_booleans_that_are_neither(path):
    path.write_bytes(file_of({"a": entry("BOOL", [2], [0, 2])}, b"\1\2"))
    assert safetensors.header(path).tensors["a"].dtype == "BOOL"  # it never looks at the data
    with pytest.raises(ValueError, match="tensor 'a': BOOL byte 2, expected 0 or 1"):
        safetensors.read(path)


def test_missing_file(path):
    for read in (safetensors.read, safetensors.header):
        with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
            read(path)


def test_a_damaged_file_is_refused_or_read_whole(path):
    """Every single bit of a small file flipped, and every end cut off."""
    tensors = {"a": np.array([[1.5, -2]]), "b": np.array([True]), "c": np.uint8([1, 2, 3])}
    safetensors.write(path, tensors, {"format": "pt"})
    good = path.read_bytes()
    outcomes = {check_damaged(path, good[:stop]) for stop in range(len(good))}
    assert outcomes == {"refused"}
    for i in range(len(good)):
        for bit in range(8):
            check_damaged(path, good[:i] + bytes([good[i] ^ 1 << bit]) + good[i + 1 :])
    assert check_damaged(path, good) == "read"


@settings(quick, max_examples=200)
@given(tensors=dicts, data=st.data())
def test_a_mutated_file_is_refused_or_read_whole(path, tensors, data):
    safetensors.write(path, tensors, {"format": "pt"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        header = min(len(content), 8 + int.from_bytes(content[:8], "little"))
        ends = st.sampled_from([7, header, len(content)])  # dwell on the header, there is more
        at = data.draw(st.integers(0, min(data.draw(ends), len(content))))
        action = data.draw(st.sampled_from(["flip", "insert", "delete", "truncate", "digit"]))
        if action == "flip" and at < len(content):
            content[at] ^= data.draw(st.integers(1, 255))
        elif action == "insert":
            content[at:at] = data.draw(st.binary(max_size=9))
        elif action == "delete":
            del content[at : at + data.draw(st.integers(1, 9))]
        elif action == "truncate":
            del content[at:]
        elif digits := [i for i in range(8, header) if chr(content[i]) in "0123456789"]:
            content[data.draw(st.sampled_from(digits))] = data.draw(st.sampled_from(b"0123456789-"))
    check_damaged(path, bytes(content))


@quick
@given(
    dtype=st.sampled_from([*safetensors.DTYPES, "F8", None, 0]),
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**62, 2**64, -1, 1.0, True]), max_size=4),
    offsets=st.lists(st.sampled_from([0, 4, 8, 12, 2**63, -4, None]), min_size=1, max_size=3),
    size=st.integers(0, 16),
)
def test_an_invented_header_is_refused_or_read_whole(path, dtype, shape, offsets, size):
    check_damaged(path, file_of({"a": entry(dtype, shape, offsets)}, b"\0" * size))


def check_damaged(path, content):
    path.write_bytes(content)
    try:
        tensors = safetensors.read(path)
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return "refused"
    declared = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    declared.pop("__metadata__", None)
    assert tensors.keys() == declared.keys()
    for name, array in tensors.items():
        dtype = declared[name]["dtype"]
        assert list(array.shape) == declared[name]["shape"]
        assert array.dtype == ("<f4" if dtype == "BF16" else safetensors.DTYPES[dtype])
        array.copy()  # every byte can be touched
    return "read"


# ---- writing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tensors, message",
    [
        ({"a": np.array(["x"])}, "tensor 'a': dtype <U1, expected one of uint64, int64, float64"),
        ({"a": np.array([None])}, "tensor 'a': dtype object, expected one of"),
        ({"a": np.zeros(1, np.complex128)}, "tensor 'a': dtype complex128, expected one of"),
        ({"a": np.zeros(1, "V2")}, "tensor 'a': dtype |V2, expected one of"),
        ({"a": np.zeros(1, "M8[s]")}, r"tensor 'a': dtype datetime64[s], expected one of"),
        ({"__metadata__": np.zeros(1)}, "a tensor cannot be called '__metadata__'"),
        ({3: np.zeros(1)}, "a tensor cannot be called 3"),
        ({"\ud800": np.zeros(1)}, "surrogates not allowed"),
    ],
)
def test_what_cannot_be_written(path, tensors, message):
    path.write_bytes(b"old")
    with pytest.raises(ValueError) as error:
        safetensors.write(path, {"good": np.zeros(2), **tensors})
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert os.listdir(path.parent) == [path.name] and path.read_bytes() == b"old"


def test_metadata_that_is_not_text(path):
    with pytest.raises(ValueError, match=r"__metadata__ \{'a': 1\}, expected text"):
        safetensors.write(path, {}, {"a": 1})


class Crash(BaseException):
    """Like KeyboardInterrupt, no Exception."""


@pytest.mark.parametrize("where", ["replace", "fsync", "write"])
@pytest.mark.parametrize("error", [OSError, Crash])
def test_a_crash_leaves_the_old_file_and_no_litter(path, monkeypatch, where, error):
    safetensors.write(path, {"a": np.zeros(3)})
    old = path.read_bytes()
    crashes = []

    def crash(*args):
        crashes.append(os.listdir(path.parent))
        raise error

    with pytest.raises(error), monkeypatch.context() as patched:
        if where == "write":  # when the header is out and the first tensor's turn has come
            patched.setattr(np, "ascontiguousarray", crash)
        else:
            patched.setattr(os, where, crash)
        safetensors.write(path, {"a": np.ones(1000)})
    assert len(crashes) == 1 and len(crashes[0]) == 2  # the new file was there beside the old
    assert path.read_bytes() == old and os.listdir(path.parent) == [path.name]


def test_a_process_that_dies_leaves_the_old_file(path):
    safetensors.write(path, {"a": np.zeros(3)})
    old = path.read_bytes()
    script = (
        "import os, sys; from npbert.checkpoints.writing import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == 9
    assert path.read_bytes() == old and (safetensors.read(path)["a"] == 0).all()


def test_the_old_file_stands_until_the_end(path):
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old" and len(os.listdir(path.parent)) == 2
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace a mapped file")
def test_arrays_outlive_the_file_that_they_came_from(path):
    safetensors.write(path, {"a": np.arange(5000)})
    mapped = safetensors.read(path)
    safetensors.write(path, {"a": mapped["a"][::-1]})  # read from the very file it replaces
    assert (mapped["a"] == np.arange(5000)).all()
    assert (safetensors.read(path)["a"] == np.arange(5000)[::-1]).all()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_others_may_read_what_is_written(path):
    """The file gets the permissions of any new file, not those of a private temporary one."""
    path.with_name("plain").touch()
    safetensors.write(path, {})
    modes = [stat.S_IMODE(os.stat(p).st_mode) for p in (path, path.with_name("plain"))]
    assert modes[0] == modes[1]


def test_no_directory_to_write_to(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*absent"):
        safetensors.write(tmp_path / "absent" / "x.safetensors", {})
