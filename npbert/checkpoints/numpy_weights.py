"""One weights.npz, as np.savez and np.savez_compressed write it: a zip archive of NAME.npy files.

Read as np.load(path, allow_pickle=False) reads it, but no array may promise more than its file
holds: memory is taken only for what is there.
"""

import math
import os
import struct
import zipfile
import zlib

import numpy as np

from npbert.checkpoints.files import naming, short

MAX_DEFLATION = 1032  # deflate turns a byte into no more bytes than these
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What zipfile and NumPy raise at damage, and a RuntimeError for an encrypted member.
DAMAGE = (ValueError, LookupError, TypeError, OSError, EOFError, RuntimeError, SyntaxError,
          MemoryError, struct.error, zipfile.BadZipFile, zlib.error)  # fmt: skip


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every array of an .npz archive: name -> read-only array.

    Raises FileNotFoundError, and ValueError in one line that begins with the path: for a damaged
    archive, two arrays of one name, and arrays of anything but numbers and booleans.
    """
    arrays: dict[str, np.ndarray] = {}
    with open(path, "rb") as file, naming(path):
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise ValueError(f"no .npz archive: {_line(error)}") from None
        with archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise ValueError(f"two arrays are called {short.repr(name)}")
                with naming(f"array {short.repr(name)}"):
                    arrays[name] = _array(archive, member)
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    try:
        _check_size(archive, member)
        with archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except DAMAGE as error:
        raise ValueError(_line(error)) from None
    array.flags.writeable = False
    return array


def _check_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.file_size > MAX_DEFLATION * member.compress_size:
        raise ValueError(
            f"{member.file_size} bytes said to be compressed to {member.compress_size}"
        )
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:  # later ones exist for structured arrays
            raise ValueError(f"version {version} of the .npy format, expected (1, 0) or (2, 0)")
        shape, _, dtype = HEADERS[version](file)
        length = member.file_size - file.tell()
    if dtype.kind not in "biufc":
        raise ValueError(f"dtype {short.repr(dtype)}, expected numbers or booleans")
    expected = math.prod(shape) * dtype.itemsize
    if length != expected or min(shape, default=0) < 0:
        raise ValueError(f"{length} bytes, expected {expected} for {dtype} {short.repr(shape)}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
