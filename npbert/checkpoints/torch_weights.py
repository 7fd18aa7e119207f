"""One pytorch_model.bin, in both of torch's file formats, by memory map and without torch.

Zip     since torch 1.6: stored, uncompressed records NAME/data.pkl, NAME/byteorder and
        NAME/data/KEY, the last ones the bytes of the storages
Older   five pickles (the magic number, the version, about the machine, the object, the keys of the
        storages), then for each key the count of its numbers in 8 bytes, and the numbers
Source  torch/serialization.py; torch_pickle.py has the pickles, none of which is executed
"""

import io
import math
import mmap
import os
import re
import zipfile
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np

from npbert.checkpoints import torch_pickle
from npbert.checkpoints.files import MAX_SIZE, naming, short
from npbert.checkpoints.torch_pickle import Storage, Tensor, described
from npbert.checkpoints.zip_records import BEGINNING, read_directory

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
ZIP_VERSIONS = range(1, 11)  # those that torch reads; the newest that it writes is 6
MAX_SHARING = (
    100  # how many times the numbers of a file may be in its tensors: layers can be shared
)
# How training scripts call the weights that they save beside an optimizer and an epoch.
WRAPPERS = ("state_dict", "model_state_dict", "model")

ByteOrder = Literal["<", ">"]
Places = dict[str, tuple[int, int]]  # key of a storage -> its bytes are file[start:stop]


class Contents(NamedTuple):
    """What a file holds, nothing of it read yet."""

    tensors: dict[str, Tensor]
    places: Places
    order: ByteOrder  # of the bytes in a number, as NumPy marks it


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every tensor of a pytorch_model.bin: name -> read-only array.

    The arrays are views of the memory-mapped file; whoever shortens it in place ends the process
    (SIGBUS). Tensors that share memory there share it here.
    Copies, one for each storage, are bfloat16 (widened exactly to float32), what lies unaligned, as
    in the older format it may, and numbers whose bytes are in another order than the machine's.

    Raises FileNotFoundError, and ValueError in one line that begins with the path: for a damaged
    file, a pickle that asks for anything but tensors, and a tensor that reaches out of its storage.
    """
    with open(path, "rb") as file, naming(path):
        mapped, contents = _open(file)
        data = np.frombuffer(mapped, np.uint8)
        rows: dict[tuple[str, str], np.ndarray] = {}
        arrays = {
            name: _array(name, tensor, data, contents, rows)
            for name, tensor in contents.tensors.items()
        }
        total = sum(array.size for array in arrays.values())
        if total > MAX_SHARING * len(data):
            raise ValueError(
                f"the tensors have {total} numbers, expected at most {MAX_SHARING} times the "
                f"{len(data)} bytes of the file"
            )
        return arrays


def header(path: str | os.PathLike[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Read the stored dtype and shape of every tensor, without touching the data.

    Raises as `read` does, but does not notice a tensor that reaches out of its storage.
    """
    with open(path, "rb") as file, naming(path):
        _, contents = _open(file)
        return {name: (tensor.dtype, tensor.shape) for name, tensor in contents.tensors.items()}


def _open(file: BinaryIO) -> tuple[mmap.mmap, Contents]:
    if os.fstat(file.fileno()).st_size == 0:
        raise ValueError("0 bytes long")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if mapped[:4] == BEGINNING:
        return mapped, _open_zip(file, mapped)
    return mapped, _open_older(mapped)


# ---- the zip format --------------------------------------------------------------------------


def _open_zip(file: BinaryIO, mapped: mmap.mmap) -> Contents:
    records = read_directory(file)
    pickles = [record.name for record in records if record.name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"a zip archive with {len(pickles)} records data.pkl, expected 1")
    top = pickles[0].removesuffix("data.pkl")
    places: Places = {}
    for record in records:
        if record.name.startswith(top):
            what, name = short.repr(record.name), record.name.removeprefix(top)
            if record.compression != zipfile.ZIP_STORED:
                raise ValueError(f"record {what} is compressed; torch only stores")
            if name in places:
                raise ValueError(f"two records are called {what}")
            places[name] = record.start, record.stop
    _check_version(mapped, places)
    description, _ = torch_pickle.load(io.BytesIO(mapped[slice(*places["data.pkl"])]))
    order = mapped[slice(*places["byteorder"])] if "byteorder" in places else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"byteorder is {short.repr(order)}, expected little or big")
    storages = {n.removeprefix("data/"): p for n, p in places.items() if n.startswith("data/")}
    return Contents(_state_dict(description), storages, "<" if order == b"little" else ">")


def _check_version(mapped: mmap.mmap, places: Places) -> None:
    place = places.get(".data/version", places.get("version"))
    if place is None:
        raise ValueError("a zip archive without a record version, expected that of torch.save")
    text = mapped[slice(*place)]
    digits = re.fullmatch(rb"\s*(\d{1,9})\s*", text)
    if digits is None or int(digits[1]) not in ZIP_VERSIONS:
        expected = f"a number from {ZIP_VERSIONS[0]} to {ZIP_VERSIONS[-1]}"
        raise ValueError(f"version {short.repr(text)} of the zip format, expected {expected}")


# ---- the older format ------------------------------------------------------------------------


def _open_older(mapped: mmap.mmap) -> Contents:
    try:
        magic, _ = torch_pickle.load(mapped)
    except ValueError as error:
        raise ValueError(f"neither a zip archive nor torch's older format: {error}") from None
    if magic != MAGIC:
        raise ValueError("neither a zip archive nor a file with torch's magic number")
    version, _ = torch_pickle.load(mapped)
    if version != VERSION:
        raise ValueError(f"version {described(version)} of the older format, expected {VERSION}")
    torch_pickle.load(mapped)  # about the machine; but the numbers are little-endian on all of them
    description, storages = torch_pickle.load(mapped)
    tensors = _state_dict(description)
    keys, _ = torch_pickle.load(mapped)
    if not isinstance(keys, list):
        raise ValueError(f"a {type(keys).__name__} of storage keys, expected a list")
    places: Places = {}
    position = mapped.tell()
    for key in keys:
        if not isinstance(key, str) or key not in storages:
            raise ValueError(f"storage {described(key)} belongs to no tensor")
        count = int.from_bytes(mapped[position : position + 8], "little")
        start = position + 8
        position = start + count * _dtype(storages[key].dtype).itemsize
        if position > len(mapped):
            raise ValueError(
                f"storage {short.repr(key)} ends at byte {position}, but there are {len(mapped)}"
            )
        places[key] = start, position
    return Contents(tensors, places, "<")


# ---- from the description to arrays ----------------------------------------------------------


def _state_dict(description: Any) -> dict[str, Tensor]:
    """Return the named tensors of a file, or of what it has under one of the WRAPPERS."""
    found = description
    if isinstance(found, dict) and not _is_state_dict(found):
        inside = [name for name in WRAPPERS if _is_state_dict(found.get(name))]
        if len(inside) > 1:
            raise ValueError(f"weights under {' and '.join(inside)}: which ones are meant?")
        found = found[inside[0]] if inside else found
    if not isinstance(found, dict):
        raise ValueError(f"holds a {type(found).__name__}, expected a dictionary of tensors")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            what = f"{described(name)}: {type(tensor).__name__}"
            raise ValueError(f"holds {what}, expected a dictionary of named tensors")
    return dict(found)


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, Tensor) for item in value.values())


def _dtype(name: str, order: ByteOrder = "<") -> np.dtype:
    return np.dtype("uint16" if name == "bfloat16" else name).newbyteorder(order)


def _array(
    name: str,
    tensor: Tensor,
    data: np.ndarray,
    contents: Contents,
    rows: dict[tuple[str, str], np.ndarray],
) -> np.ndarray:
    shape = tensor.shape
    with naming(f"tensor {short.repr(name)}"):
        row_of = (tensor.storage.key, tensor.dtype)
        if row_of not in rows:
            rows[row_of] = _row(tensor.storage, tensor.dtype, data, contents)
        start, stop = tensor.storage.window
        row = rows[row_of] if stop == tensor.storage.length else rows[row_of][:stop]
        width = row.itemsize
        # NumPy multiplies the sizes even where one of them is 0, and so must not overflow either.
        if math.prod(size for size in shape if size) * width > MAX_SIZE:
            raise ValueError(f"shape {short.repr(shape)}, expected less than 2**63 bytes")
        if 0 in shape:
            row, first, strides = row[:0], 0, None
        else:
            first, strides = start + tensor.offset, [stride * width for stride in tensor.strides]
            last = first + sum((n - 1) * stride for n, stride in zip(shape, tensor.strides))
            if last >= len(row):
                raise ValueError(f"reaches number {last} of a storage of {len(row)}")
            # A stride of 0 repeats numbers: a few bytes could stand for more than any memory holds.
            if math.prod(shape) > len(data):
                raise ValueError(
                    f"shape {short.repr(shape)} has more numbers than the file has bytes"
                )
        return np.ndarray(shape, row.dtype, row, first * width, strides)


def _row(storage: Storage, dtype: str, data: np.ndarray, contents: Contents) -> np.ndarray:
    """Return a whole storage as numbers: a window on the file wherever that is possible."""
    what = f"storage {short.repr(storage.key)}"
    if storage.key not in contents.places:
        raise ValueError(f"{what} is not in the file")
    start, stop = contents.places[storage.key]
    expected = storage.length * _dtype(storage.dtype).itemsize
    if stop - start != expected:
        raise ValueError(f"{what} has {stop - start} bytes, expected {expected}")
    wanted = _dtype(dtype, contents.order)
    if expected % wanted.itemsize:
        raise ValueError(f"{what} has {expected} bytes, no whole number of {dtype}")
    raw = data[start:stop]
    row = raw.view(wanted)
    if dtype == "bool" and raw.max(initial=0) > 1:  # NumPy computes nonsense with those
        raise ValueError(f"{what} has the byte {raw.max()} for a bool, expected 0 or 1")
    if dtype == "bfloat16":  # the upper half of a float32
        bits = row.astype(np.uint32)
        bits <<= 16
        row = bits.view(np.float32)
    row = row.astype(row.dtype.newbyteorder("="), copy=False)
    if not row.flags.aligned:
        row = row.copy()
    row.flags.writeable = False
    return row
