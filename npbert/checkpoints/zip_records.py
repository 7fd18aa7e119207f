"""The directory of a zip archive, checked: where every record lies, and that no two share bytes.

The end of an archive says what lies where in it, and could say so of the same bytes a thousand
times, each time under another name. That is refused here: all records together are no longer than
the file.
"""

import struct
import zipfile
from typing import BinaryIO, NamedTuple

from npbert.checkpoints.files import short

BEGINNING = b"PK\3\4"  # of a record: 30 bytes, its name, extra fields, its content
ENCRYPTED, UTF8 = 1, 0x800  # bits of a record's flags
# What zipfile raises at damage.
DAMAGE = (zipfile.BadZipFile, NotImplementedError, OSError, LookupError, TypeError, ValueError,
          OverflowError, struct.error)  # fmt: skip


class Record(NamedTuple):
    """What the directory says of one record, compared with what stands before its content."""

    name: str
    start: int  # its bytes are file[start:stop]
    stop: int
    compression: int  # zipfile.ZIP_STORED, ...
    size: int  # bytes, when unpacked
    entry: zipfile.ZipInfo  # the same, as zipfile wants it


def read_directory(file: BinaryIO) -> list[Record]:
    """Read where every record of a zip archive lies, in the order of its directory.

    Raises ValueError for a damaged archive, and for a record that is encrypted, has another name in
    its place, reaches into another one or into the directory, or is stored but is said to be
    longer or shorter than its bytes.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries, directory = archive.infolist(), archive.start_dir
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"a damaged zip archive: {reason[:200]}") from None
    records = [_record(file, entry) for entry in entries]
    end, last = 0, ""
    for record in sorted(records, key=lambda record: record.entry.header_offset):
        if record.entry.header_offset < end:
            raise ValueError(f"record {short.repr(record.name)} begins within {short.repr(last)}")
        end, last = record.stop, record.name
    if end > directory:
        raise ValueError(
            f"record {short.repr(last)} ends at byte {end}, but the directory begins at {directory}"
        )
    return records


def _record(file: BinaryIO, entry: zipfile.ZipInfo) -> Record:
    what = f"record {short.repr(entry.filename)}"
    if entry.flag_bits & ENCRYPTED:
        raise ValueError(f"{what} is encrypted")
    beginning = b""
    if entry.header_offset >= 0:
        file.seek(entry.header_offset)
        beginning = file.read(30)
    if len(beginning) < 30 or beginning[:4] != BEGINNING:
        raise ValueError(f"{what} does not begin where the directory says")
    name_length, extra_length = struct.unpack("<HH", beginning[26:])
    name = file.read(name_length).decode("utf-8" if entry.flag_bits & UTF8 else "cp437", "replace")
    if name != entry.orig_filename:
        raise ValueError(f"{what} is called {short.repr(name)} in its place")
    start = entry.header_offset + 30 + name_length + extra_length
    stop = start + entry.compress_size
    if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
        raise ValueError(
            f"{what} has {entry.compress_size} bytes, and is said to have {entry.file_size}"
        )
    return Record(entry.filename, start, stop, entry.compress_type, entry.file_size, entry)
