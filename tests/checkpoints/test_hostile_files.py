"""Checkpoint files made on purpose to hang or to fill the memory: refused in little of both.

Each file is small and stands for a way to make much of it. The limits of the processes in which
they are read are far above what a refusal takes, and far below what the file was made to take.
"""

import io
import struct
import zipfile
import zlib
from collections import OrderedDict

import numpy as np
import pytest
from limits import within
from torch_files import Call, Name, Raw, opcodes, storage, tensor, write_older
from torch_files import write_zip as written_zip

from npbert.checkpoints import numpy_weights, tensorflow_weights, torch_weights

pytestmark = pytest.mark.thorough

SIX = np.arange(6, dtype="<f4").tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights"


def in_zip(path, value):
    return written_zip(path, value, {"0": SIX})


def in_older(path, value, **more):
    return write_older(path, value, {"0": (6, SIX)}, **more)


both_formats = pytest.mark.parametrize("write", [in_zip, in_older])


def refusal(path, read=torch_weights.read, **limits):
    """Return why a file is refused: one short line, the path first."""
    with pytest.raises(ValueError) as error:
        within(read, path, **limits)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert len(message) < len(str(path)) + 600
    return message.removeprefix(f"{path}: ")


def test_the_limits_are_limits():
    with pytest.raises(AssertionError, match=r"took more than 0\.1 s"):
        within(list, iter(int, 1), seconds=0.1, megabytes=10_000)
    with pytest.raises(MemoryError):
        within(bytearray, 2**30, megabytes=100)  # much more than others may give back
    with pytest.raises(KeyError, match="no"):
        within({}.__getitem__, "no")
    assert within(sum, [1, 2]) == 3


# ---- pickles ---------------------------------------------------------------------------------

ENDLESS = b"]q\0(" + b"h\0" * 33 + b"e"  # a list that holds itself 33 times
CALL = {"_rebuild_tensor_v2": (False, OrderedDict()),
        "_rebuild_tensor_v3": (False, OrderedDict(), Name("torch", "float32"))}  # fmt: skip


@pytest.mark.parametrize("place", ["magic", "version", "keys", "key"])
def test_a_list_that_holds_itself_is_not_printed(path, place):
    match place:
        case "magic":
            path.write_bytes(b"\x80\2" + ENDLESS + b".")
            assert "neither a zip archive nor a file with torch's magic number" in refusal(path)
        case "version":
            in_older(path, {}, version=Raw(ENDLESS))
            assert refusal(path) == "version a list of the older format, expected 1001"
        case "keys":
            in_older(path, {"a": tensor()}, keys=Raw(ENDLESS))
            assert refusal(path) == "storage a list belongs to no tensor"
        case "key":
            in_older(path, {"a": tensor(of=storage(Raw(ENDLESS)))})
            assert "a persistent id that is no storage" in refusal(path)


@both_formats
def test_what_stands_for_tensors_is_not_printed(path, write):
    for value in (Raw(ENDLESS), {"a": Raw(ENDLESS)}, {"model": {"a": Raw(ENDLESS)}}):
        assert "expected a dictionary of" in refusal(write(path, value))
    assert "holds a list" in refusal(write(path, Raw(ENDLESS)))


@both_formats
@pytest.mark.parametrize("function", CALL)
def test_the_metadata_of_a_tensor_are_not_printed(path, write, function):
    in_itself = b"}q\0(X\1\0\0\0ah\0X\1\0\0\0bh\0u"
    doubled = b"N\x85q\0" + b"h\0\x86q\0" * 60  # a tuple of two same ones, sixty times
    for endless, kind in [(ENDLESS, "list"), (in_itself, "dict"), (doubled, "tuple")]:
        arguments = (storage(), 0, (6,), (1,), *CALL[function], Raw(endless))
        write(path, {"a": Call(Name("torch._utils", function), arguments)})
        assert f"a tensor with metadata, a {kind}" in refusal(path)


@both_formats
def test_a_dictionary_that_is_made_again_and_again(path, write):
    pairs = opcodes([[str(i), None] for i in range(4000)]) + b"q\1"
    again = opcodes(Name("collections", "OrderedDict")) + b"q\2" + b"h\2h\1\x85R" * 4000
    value = Raw(b"](" + pairs + again + b"e")
    assert "one list is given to many calls" in refusal(write(path, value))


@both_formats
def test_a_shape_that_many_tensors_share(path, write):
    first = opcodes(tensor((1,) * 20_000, (1,) * 20_000)) + b"0"
    function = opcodes(Name("torch._utils", "_rebuild_tensor"))
    shape = opcodes((1,) * 20_000) + b"q\1" + opcodes(storage()) + b"q\2" + function + b"q\3"
    value = Raw(b"](" + shape + b"h\3(h\2K\0h\1h\1tR" * 5000 + b"e")
    assert "a tensor of 20000 dimensions, expected at most" in refusal(write(path, value))
    assert "a tensor of 20000 dimensions, expected at most" in refusal(write(path, Raw(first)))


@both_formats
def test_numbers_of_one_hash_as_keys(path, write):
    """As the keys of a dictionary they would each be compared with all the others."""
    keys = b"".join(opcodes(i * (2**61 - 1)) + b"N" for i in range(1, 20_000))
    assert hash(2**61 - 1) == hash(7 * (2**61 - 1)) == 0
    message = refusal(write(path, Raw(b"}(" + keys + b"u")))
    assert message == "holds 2305843009213693951: NoneType, expected a dictionary of named tensors"


def test_numbers_of_one_place_in_the_memo(path):
    """A table of the memo's size would find the last one behind all the others."""
    places, number, last = [], 1, 114890326
    for _ in range(60_000):
        places.append(number)
        number = (5 * number + 1) % 2**17  # where a dictionary looks next
    put = b"".join(b"r" + struct.pack("<I", n) for n in [*places, last])
    got = b"(" + (b"j" + struct.pack("<I", last)) * 60_000 + b"t"
    assert "holds a tuple" in refusal(in_zip(path, Raw(b"}" + put + got + b"\x86")))


@both_formats
def test_tensors_that_are_many_times_the_file(path, write):
    """Each is a view of the same numbers; whoever copies them fills the memory, or a disk."""
    content, of = bytes(200_000), storage("0", 200_000, "ByteStorage")
    view = tensor((200_000,), (1,), of=of)

    def written(count):
        value = {str(i): view for i in range(count)}
        if write is in_older:
            return write_older(path, value, {"0": (200_000, content)})
        return written_zip(path, value, {"0": content})

    assert len(within(torch_weights.read, written(50))) == 50  # as layers are shared
    assert refusal(written(400)).startswith(
        "the tensors have 80000000 numbers, expected at most 100 times the "
    )


# ---- zip archives ----------------------------------------------------------------------------


def local_header(name, compression):
    return (
        struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, compression, 0, 0, 0, 0, 0, len(name), 0) + name
    )


def directory(entries, begin):
    """Return the end of an archive: entries are (name, compression, begin, packed, unpacked)."""
    listed = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, compression, 0, 0, zlib.crc32(unpacked),
                    packed, len(unpacked), len(name), 0, 0, 0, 0, 0, start) + name
        for name, compression, start, packed, unpacked in entries
    )  # fmt: skip
    count = len(entries)
    return listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(listed), begin, 0)


def nested(names, beginning_of, content, packed):
    """Return an archive each of whose deflated members holds the next one: the last, `content`."""

    def stored_block(text):
        return b"\0" + struct.pack("<HH", len(text), len(text) ^ 0xFFFF) + text

    entries, begins, tail, unpacked = [], [], packed, content
    for name in reversed(names):
        beginning = beginning_of(len(unpacked))
        tail, unpacked = stored_block(beginning) + tail, beginning + unpacked
        entries.append((name, zipfile.ZIP_DEFLATED, -len(tail), len(tail), unpacked))
        header = local_header(name, zipfile.ZIP_DEFLATED)
        begins.append(len(header) + len(tail))
        tail, unpacked = stored_block(header) + tail, header + unpacked
    whole = tail[5:]  # the first header is quoted by nobody
    placed = [(name, how, len(whole) - begin, packed, unpacked)
              for (name, how, _, packed, unpacked), begin in zip(entries, begins)]  # fmt: skip
    return whole + directory(placed[::-1], len(whole))


def npy_header(size):
    file = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.getvalue()


def test_arrays_that_lie_within_each_other(path):
    content, deflate = bytes(2**20), zlib.compressobj(9, wbits=-15)
    packed = deflate.compress(content) + deflate.flush()
    names = [b"%d.npy" % i for i in range(300)]
    path.write_bytes(nested(names, npy_header, content, packed))
    assert path.stat().st_size < 100_000
    assert refusal(path, numpy_weights.read) == "record '1.npy' begins within '0.npy'"
    path.write_bytes(nested(names[:1], npy_header, content, packed))
    assert within(numpy_weights.read, path)["0"].nbytes == 2**20  # it is no fault to be nested in


def stored_within_each_other(names, content):
    """Return an archive in which each record reaches to the end of the last."""
    headers = [local_header(name, zipfile.ZIP_STORED) for name in names]
    whole = b"".join(headers) + content
    begins = np.cumsum([0, *map(len, headers)])
    entries = [(name, zipfile.ZIP_STORED, int(begin), len(whole) - int(end), whole[end:])
               for name, begin, end in zip(names, begins, begins[1:])]  # fmt: skip
    return whole + directory(entries, len(whole))


def test_records_that_lie_within_each_other(path):
    path.write_bytes(stored_within_each_other([b"x/data/%d" % i for i in range(100)], bytes(10**5)))
    assert refusal(path) == "record 'x/data/1' begins within 'x/data/0'"
    path.write_bytes(stored_within_each_other([b"x/version"], b"3"))
    assert refusal(path) == "a zip archive with 0 records data.pkl, expected 1"


@pytest.mark.parametrize("read", [torch_weights.read, numpy_weights.read])
def test_a_record_that_many_names_share(path, read):
    record = local_header(b"x/data/0", zipfile.ZIP_STORED) + b"12345678"
    entries = [(b"x/data/%d" % i, zipfile.ZIP_STORED, 0, 8, b"12345678") for i in range(9)]
    path.write_bytes(record + directory(entries, len(record)))
    assert refusal(path, read) == "record 'x/data/1' is called 'x/data/0' in its place"
    path.write_bytes(record + directory(entries[:1] * 9, len(record)))  # all of one name
    assert refusal(path, read) == "record 'x/data/0' begins within 'x/data/0'"
    path.write_bytes(record + directory([(*entries[0][:3], 9, b"123456789")], len(record)))
    assert (
        refusal(path, read) == "record 'x/data/0' ends at byte 47, but the directory begins at 46"
    )
    path.write_bytes(record + directory([(*entries[0][:3], 4, b"12345678")], len(record)))
    assert refusal(path, read) == "record 'x/data/0' has 4 bytes, and is said to have 8"


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_to_more_than_deflation_can(path, compression):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", npy_header(2**16) + bytes(2**16))
    expected = "array 'a': neither stored nor deflated, as NumPy does it"
    assert refusal(path, numpy_weights.read) == expected


def test_an_encrypted_record(path):
    record = local_header(b"a.npy", zipfile.ZIP_STORED)
    entry = bytearray(directory([(b"a.npy", zipfile.ZIP_STORED, 0, 0, b"")], len(record)))
    entry[8] |= 1
    path.write_bytes(record + entry)
    assert refusal(path, numpy_weights.read) == "record 'a.npy' is encrypted"


# ---- HDF5 ------------------------------------------------------------------------------------


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py", reason="needs the extra `tf`")


def test_datasets_that_share_their_bytes(path, h5py):
    with h5py.File(path, "w") as file:
        file["first"] = np.zeros(2**18, "<f4")
        place = file["first"].id.get_offset()
        for i in range(300):  # none of them written: they have no place yet
            file.create_dataset(f"{i}", (2**18,), "<f4")
    nowhere = b"\3\1" + b"\xff" * 8 + struct.pack("<Q", 2**20)
    content = path.read_bytes()
    assert content.count(nowhere) == 300
    path.write_bytes(content.replace(nowhere, b"\3\1" + struct.pack("<QQ", place, 2**20)))
    found = refusal(path, tensorflow_weights.read)
    assert found.startswith("not an HDF5 file as Keras writes it: the arrays have 315621376 bytes ")
    assert found.endswith(f" and the file {len(content)}: they share some")


def test_a_chunk_of_more_than_its_dataset(path, h5py):
    packed = zlib.compress(bytes(2**28), 9)
    packed += bytes(-len(packed) % 4)
    with h5py.File(path, "w") as file:
        shape = (len(packed) // 4,)
        made = file.create_dataset("a", shape, "<f4", chunks=(2**26,), maxshape=(None,),
                                   compression="gzip")  # fmt: skip
        made.id.write_direct_chunk((0,), packed)
    assert ", in a row and uncompressed" in refusal(path, tensorflow_weights.read)


def test_groups_within_each_other(path, h5py):
    with h5py.File(path, "w", libver="latest") as file:
        group = file
        for _ in range(2000):
            group = group.create_group("a")
        group["b"] = np.ones(2)
    assert "more than 32 groups within each other" in refusal(path, tensorflow_weights.read)


def test_two_ways_to_every_group(path, h5py):
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(30):
            group = group.create_group("a")
            group.parent["b"] = group
        group["bias"] = np.ones(2)
        group["self"] = file
    assert len(within(tensorflow_weights.read, path)) == 1


def test_texts_objects_and_dates_are_no_weights(path, h5py):
    dates = np.array([1, 2]).astype("M8[s]")
    for kind, values in {
        "O": np.array(["text"] * 3, h5py.string_dtype()),
        "S": np.array([b"text"]),
        "M8": dates.astype(h5py.opaque_dtype(dates.dtype)),
        "V": np.zeros(2, "V3"),
        "f4": np.zeros(2, [("a", "f4")]),
    }.items():
        with h5py.File(path, "w") as file:
            file["good"] = np.zeros(1000)
            file["a"] = values
        found = refusal(path, tensorflow_weights.read)
        assert f"'/a': dtype {'dtype('}" in found and kind in found, found
        assert found.endswith(", expected numbers")


def test_a_dataset_of_nothing(path, h5py):
    with h5py.File(path, "w") as file:
        file["a"] = h5py.Empty("f4")
    assert refusal(path, tensorflow_weights.read).endswith("as Keras writes it: '/a': no array")
