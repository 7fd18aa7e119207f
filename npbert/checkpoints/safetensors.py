"""One .safetensors file, read by memory map and written atomically.

File    N as 8 little-endian bytes, then N bytes of JSON (the header), then the data
Header  {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [2, 3],
        "data_offsets": [0, 24]}, ...}; offsets count bytes from the beginning of the data
Source  https://huggingface.co/docs/safetensors

What the reference library refuses is refused here, too. Some of what it takes is refused on
purpose, for no writer means it: one name twice (it takes the last), a tensor as a list of its three
fields or a dtype as an object, dtypes that NumPy lacks, more dimensions than NumPy has, sizes
beyond 63 bits even beside a 0, and booleans that are neither 0 nor 1.
"""

import json
import math
import mmap
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple, TypeGuard

import numpy as np

from npbert.checkpoints.files import MAX_DIMENSIONS, MAX_SIZE, naming, short
from npbert.checkpoints.writing import atomic_write

# What the file calls a dtype and how NumPy reads its bytes. The order is the one in which the
# reference library lays tensors out: the widest first, so that every tensor is aligned.
DTYPES = {
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
    "C64": "<c8",
    "F32": "<f4",
    "U32": "<u4",
    "I32": "<i4",
    "BF16": "<u2",  # NumPy has no bfloat16: these are its bits, which `read` widens
    "F16": "<f2",
    "U16": "<u2",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
STORED = {numpy: name for name, numpy in DTYPES.items() if name != "BF16"}
RANK = {name: i for i, name in enumerate(DTYPES)}

MAX_HEADER = 100_000_000  # bytes; the reference library's limit
MAX_DEPTH = 127  # objects and lists within each other; the same


class TensorInfo(NamedTuple):
    """What the header says of one tensor."""

    dtype: str  # as the file spells it: a key of DTYPES
    shape: tuple[int, ...]
    start: int  # its bytes are file[start:stop]
    stop: int


class Header(NamedTuple):
    """A validated header: what the file holds, the tensors in the header's order."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every tensor of a .safetensors file: name -> read-only array.

    The arrays are views of the memory-mapped file, so a tensor costs nothing until it is used.
    The exceptions are copies: BF16, widened exactly to float32, and tensors that lie unaligned.
    As with every memory map, shortening the file in place (`write` never does) ends a process that
    uses the arrays (SIGBUS).

    Raises FileNotFoundError, and ValueError for a file that `header` refuses or whose booleans
    are neither 0 nor 1.
    """
    with open(path, "rb") as file, naming(path):
        tensors = _read_header(file).tensors
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data = np.frombuffer(mapped, np.uint8)
        return {name: _array(name, info, data) for name, info in tensors.items()}


def header(path: str | os.PathLike[str]) -> Header:
    """Read dtype, shape and place of every tensor, and the metadata, without touching the data.

    Raises FileNotFoundError, and ValueError in one line that begins with the path: for a file
    that breaks the format, names a tensor twice, or needs more than NumPy has (dimensions,
    dtypes such as F8_E4M3).
    """
    with open(path, "rb") as file, naming(path):
        return _read_header(file)


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays to a .safetensors file, atomically; the same arrays give the same bytes.

    tensors   name -> anything that np.asarray takes, of any memory layout and byte order
    metadata  text -> text; transformers wants {"format": "pt"}

    Raises ValueError, before anything is written, for a dtype that the format does not have.
    """
    with naming(path):
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        dtypes = {name: _dtype_name(name, array.dtype) for name, array in arrays.items()}
        order = sorted(arrays, key=lambda name: (RANK[dtypes[name]], name))
        entries: dict[str, Any] = {}
        if metadata is not None:
            entries["__metadata__"] = dict(sorted(_texts(dict(metadata)).items()))
        end = 0
        for name in order:
            start, end = end, end + arrays[name].nbytes
            shape = list(arrays[name].shape)
            entries[name] = dict(dtype=dtypes[name], shape=shape, data_offsets=[start, end])
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:  # one tensor at a time: at most one is copied
            file.write(np.ascontiguousarray(arrays[name], DTYPES[dtypes[name]]).data)


def _read_header(file: BinaryIO) -> Header:
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise ValueError(f"{size} bytes long, expected at least the 8 that give the header's size")
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError(f"a header of {length} bytes, expected at most {MAX_HEADER}")
    if length > size - 8:
        raise ValueError(f"a header of {length} bytes, but only {size - 8} bytes follow its size")
    entries = _parse(file.read(length))
    metadata = entries.pop("__metadata__", None)
    begin = 8 + length  # of the data
    tensors = {name: _tensor_info(name, entry, begin) for name, entry in entries.items()}
    _check_layout(tensors, begin, size)
    return Header(tensors, {} if metadata is None else _texts(metadata))


def _parse(text: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(
            text.decode(), object_pairs_hook=_unique, parse_int=_whole, parse_float=_finite,
            parse_constant=_finite,
        )  # fmt: skip
        _check_depth(entries)
        json.dumps(entries, ensure_ascii=False).encode()  # fails for half of a surrogate pair
    except UnicodeError as error:
        raise ValueError(f"the header is not UTF-8: {error}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the header is not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise ValueError(f"the header is {short.repr(entries)}, expected a JSON object")
    return entries


def _whole(text: str) -> int | float:
    # As in the reference library: a -0 and what has more than 64 bits are no whole numbers.
    return _finite(text) if text == "-0" or len(text) > 20 else int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the header holds {short.repr(text)}, expected finite numbers")
    return number


def _check_depth(entries: Any) -> None:
    level, depth = [entries], 0  # all that stands within as many objects and lists
    while level:
        lists = [value for value in level if isinstance(value, (dict, list))]
        level = [
            v for value in lists for v in (value.values() if isinstance(value, dict) else value)
        ]
        depth += bool(lists)
        if depth > MAX_DEPTH:
            raise ValueError(
                f"the header holds more than {MAX_DEPTH} objects and lists within each other"
            )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"the header names {short.repr(name)} twice")
        table[name] = value
    return table


def _tensor_info(name: str, entry: Any, begin: int) -> TensorInfo:
    what = f"tensor {short.repr(name)}"
    if not isinstance(entry, dict):
        raise ValueError(f"{what}: {short.repr(entry)}, expected dtype, shape and data_offsets")
    dtype, shape, offsets = (entry.get(field) for field in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{what}: dtype {short.repr(dtype)}, expected one of {', '.join(DTYPES)}")
    if not _are_sizes(shape):
        raise ValueError(f"{what}: shape {short.repr(shape)}, expected integers from 0 to 2**63-1")
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{what}: {len(shape)} dimensions, expected at most {MAX_DIMENSIONS}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        found = short.repr(offsets)
        raise ValueError(f"{what}: data_offsets {found}, expected 2 integers from 0 to 2**63-1")
    width = np.dtype(DTYPES[dtype]).itemsize
    # NumPy multiplies the sizes even where one of them is 0, and so must not overflow either.
    if math.prod(size for size in shape if size) * width > MAX_SIZE:
        raise ValueError(f"{what}: shape {short.repr(shape)}, expected less than 2**63 bytes")
    span, expected = offsets[1] - offsets[0], math.prod(shape) * width
    if span != expected:
        raise ValueError(
            f"{what}: data_offsets {offsets} span {span} bytes, expected {expected} for "
            f"{dtype} {short.repr(shape)}"
        )
    return TensorInfo(dtype, tuple(shape), begin + offsets[0], begin + offsets[1])


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    # `type`, for isinstance takes True for a 1
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= MAX_SIZE for n in value)


def _check_layout(tensors: dict[str, TensorInfo], begin: int, size: int) -> None:
    """Check that the tensors cover the data, file[begin:size], without overlaps or holes."""
    end, last = 0, ""  # counted, as data_offsets are, from the beginning of the data
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        what = f"tensor {short.repr(name)}"
        start, stop = info.start - begin, info.stop - begin
        if stop > size - begin:
            raise ValueError(f"{what}: ends at data byte {stop}, but there are {size - begin}")
        if start < end:
            where = f"starts at data byte {start}, before {short.repr(last)} ends at {end}"
            raise ValueError(f"{what}: {where}: they overlap")
        if start > end:
            raise ValueError(f"{what}: starts at data byte {start}, expected {end}: a hole")
        end, last = stop, name
    if end != size - begin:
        raise ValueError(f"{size - begin} bytes of data, expected {end}: the tensors end there")


def _array(name: str, info: TensorInfo, data: np.ndarray) -> np.ndarray:
    raw = data[info.start : info.stop]
    array = raw.view(DTYPES[info.dtype]).reshape(info.shape)
    if info.dtype == "BF16":  # bfloat16 is the upper half of a float32
        bits = array.astype("<u4")
        bits <<= np.uint32(16)  # a plain 16 is signed to NumPy 1
        array = bits.view("<f4")
    if info.dtype == "BOOL" and raw.max(initial=0) > 1:  # NumPy computes nonsense with those
        raise ValueError(f"tensor {short.repr(name)}: BOOL byte {raw.max()}, expected 0 or 1")
    if not array.flags.aligned:  # only in files with an unpadded header or mixed widths
        array = array.copy()
    array.flags.writeable = False
    return array


def _dtype_name(name: Any, dtype: np.dtype) -> str:
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"a tensor cannot be called {name!r}")
    if dtype.newbyteorder("<").str not in STORED:
        known = ", ".join(np.dtype(numpy).name for numpy in STORED)
        raise ValueError(f"tensor {name!r}: dtype {dtype}, expected one of {known}")
    return STORED[dtype.newbyteorder("<").str]


def _texts(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(
        isinstance(text, str) for pair in metadata.items() for text in pair
    ):
        raise ValueError(f"__metadata__ {short.repr(metadata)}, expected text for every name")
    return metadata
