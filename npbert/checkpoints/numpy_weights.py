"""One weights.npz, as np.savez and np.savez_compressed write it: a zip archive of NAME.npy files.

Read as np.load(path, allow_pickle=False) reads it, but no array may promise more than its file
holds: memory is taken only for what is there.
"""

import math
import os
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from npbert.checkpoints.files import MAX_SIZE, naming, short
from npbert.checkpoints.zip_records import Record, read_directory

MAX_DEFLATION = 1032  # deflate turns a byte into no more bytes than these
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What zipfile raises at damage, and what NumPy's parser of headers does.
DAMAGE = (ValueError, LookupError, TypeError, OSError, EOFError, RuntimeError, SyntaxError,
          MemoryError, OverflowError, struct.error, tokenize.TokenError, zipfile.BadZipFile,
          zlib.error)  # fmt: skip


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every array of an .npz archive: name -> read-only array.

    Raises FileNotFoundError, and ValueError in one line that begins with the path: for a damaged
    archive, members that overlap, two arrays of one name, and arrays of anything but numbers and
    booleans.
    """
    arrays: dict[str, np.ndarray] = {}
    with open(path, "rb") as file, naming(path):
        members = read_directory(file)
        with zipfile.ZipFile(file) as archive:
            for member in members:
                name = member.name.removesuffix(".npy")
                if name in arrays:
                    raise ValueError(f"two arrays are called {short.repr(name)}")
                with naming(f"array {short.repr(name)}"):
                    arrays[name] = _array(archive, member)
    return arrays


def _array(archive: zipfile.ZipFile, member: Record) -> np.ndarray:
    try:
        _check_size(archive, member)
        with archive.open(member.entry) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except DAMAGE as error:
        raise ValueError(_line(error)) from None
    array.flags.writeable = False
    return array


def _check_size(archive: zipfile.ZipFile, member: Record) -> None:
    if member.compression not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("neither stored nor deflated, as NumPy does it")
    stored = member.stop - member.start
    if member.size > MAX_DEFLATION * stored:
        raise ValueError(f"{member.size} bytes said to be compressed to {stored}")
    with archive.open(member.entry) as file:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:  # later ones exist for structured arrays
            raise ValueError(f"version {version} of the .npy format, expected (1, 0) or (2, 0)")
        shape, _, dtype = HEADERS[version](file)
        length = member.size - file.tell()
    if dtype.kind not in "biufc":
        raise ValueError(f"dtype {short.repr(dtype)}, expected numbers or booleans")
    # NumPy multiplies the sizes even where one of them is 0, and so must not overflow either.
    if math.prod(size for size in shape if size) * dtype.itemsize > MAX_SIZE:
        raise ValueError(f"shape {short.repr(shape)}, expected less than 2**63 bytes")
    expected = math.prod(shape) * dtype.itemsize
    if length != expected or min(shape, default=0) < 0:
        raise ValueError(f"{length} bytes, expected {expected} for {dtype} {short.repr(shape)}")


def _line(error: BaseException) -> str:
    """Return the message of an error in one line that is not too long."""
    return " ".join(str(error).split())[:300] or type(error).__name__
