"""npbert/checkpoints/torch_weights.py, torch_pickle.py: both formats, hostile pickles, damage."""

import copyreg
import functools
import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import refusal_of
from torch_files import (
    Call,
    Name,
    Persistent,
    Raw,
    opcodes,
    pickled,
    storage,
    tensor,
    text,
    write_older,
    write_zip,
)

from npbert.checkpoints import numpy_weights, torch_pickle, torch_weights

FIXTURES = Path(__file__).parents[1] / "fixtures" / "torch"
SIX = np.arange(6, dtype="<f4").tobytes()
quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
both_files = pytest.mark.parametrize("file", ["zip.bin", "older.bin"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pytorch_model.bin"


def in_zip(path, value, content=SIX, **more):
    return write_zip(path, value, {"0": content}, **more)


def in_older(path, value, content=SIX):
    return write_older(path, value, {"0": (len(content) // 4, content)})


both_formats = pytest.mark.parametrize("write", [in_zip, in_older])


refusal = functools.partial(refusal_of, torch_weights.read)


# ---- files that torch wrote ------------------------------------------------------------------


@both_files
def test_every_dtype_and_view_that_torch_wrote(file):
    expected = numpy_weights.read(FIXTURES / "expected.npz")
    got = torch_weights.read(FIXTURES / file)
    assert list(got) == list(expected) and len(got) == 25
    for name, array in got.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape), name
        assert array.tobytes() == expected[name].tobytes(), name
        assert type(array) is np.ndarray and array.flags.aligned and not array.flags.writeable


@both_files
def test_shared_storages_are_shared_here(file):
    got = torch_weights.read(FIXTURES / file)
    assert np.shares_memory(got["tied"], got["transposed"])
    assert np.shares_memory(got["tail"], got["transposed"])
    assert np.shares_memory(got["bfloat16"], got["bfloat16.column"])  # even after widening
    assert not np.shares_memory(got["float32"], got["transposed"])


@both_files
def test_the_header_says_what_is_stored(file):
    header = torch_weights.header(FIXTURES / file)
    got = torch_weights.read(FIXTURES / file)
    assert list(header) == list(got)
    for name, (dtype, shape) in header.items():
        assert shape == got[name].shape
        assert dtype == ("bfloat16" if "bfloat16" in name else got[name].dtype.name)


def test_nothing_is_copied_from_a_zip_that_torch_wrote(tmp_path):
    path = tmp_path / "zip.bin"
    path.write_bytes((FIXTURES / "zip.bin").read_bytes())
    got = torch_weights.read(path)
    before = got["float32"][0, 1]
    content = path.read_bytes()
    place = content.index(got["float32"].tobytes())
    with open(path, "r+b") as file:  # the map shows the file itself, as long as it is mapped
        file.seek(place + 4)
        file.write(np.float32(7).tobytes())
    assert before == 1.25 and got["float32"][0, 1] == 7


# ---- what a file may say ---------------------------------------------------------------------


@both_formats
def test_a_written_file_is_read(path, write):
    got = torch_weights.read(write(path, {"a": tensor(), "b": tensor((3, 2), (1, 3))}))
    assert got["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert got["b"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("name", torch_pickle.STORAGES)
def test_every_storage_class(path, name):
    kind, dtype = name.split()[1], torch_pickle.STORAGES[name]
    raw = np.arange(4) % 2
    numbers = raw.astype("u2") * 0x3F80 if dtype == "bfloat16" else raw.astype(dtype)
    value = {"a": tensor((4,), (1,), of=storage("0", 4, kind))}
    for order, content in [("little", numbers), ("big", numbers.byteswap())]:
        write_zip(path, value, {"0": content.tobytes()}, byteorder=order)
        got = torch_weights.read(path)["a"]
        assert got.tolist() == raw.tolist() and got.dtype.isnative
        assert got.dtype == ("float32" if dtype == "bfloat16" else dtype)


def test_every_bfloat16_is_widened_exactly(path):
    bits = np.arange(2**16, dtype="<u2")
    value = {"a": tensor((2**16,), (1,), of=storage("0", 2**16, "BFloat16Storage"))}
    got = torch_weights.read(write_zip(path, value, {"0": bits.tobytes()}))["a"]
    assert got.dtype == np.float32 and (got.view("u4") == bits.astype("u4") << 16).all()


@both_formats
@pytest.mark.parametrize("wrapper", torch_weights.WRAPPERS)
def test_the_weights_in_a_training_checkpoint(path, write, wrapper):
    weights = OrderedDict(a=tensor())
    write(path, {"epoch": 3, wrapper: weights, "optimizer": {"state": {0: tensor()}, "lr": 0.1}})
    assert list(torch_weights.read(path)) == ["a"]


def test_a_tensor_may_be_called_model(path):
    assert list(torch_weights.read(in_zip(path, {"model": tensor()}))) == ["model"]


@both_formats
def test_attributes_of_a_dictionary_are_passed_over(path, write):
    state = opcodes({"_metadata": {"": {"version": 1}}, "__class__": "x"}) + b"b"
    write(path, Raw(opcodes(OrderedDict(a=tensor())) + state))
    assert list(torch_weights.read(path)) == ["a"]


def test_lists_and_dictionaries_of_the_oldest_protocols(path):
    """Of what stands above a mark, by LIST and DICT."""
    pair = b"(" + text("a") + opcodes(tensor()) + b"l"
    in_zip(path, Raw(opcodes(Name("collections", "OrderedDict")) + b"(" + pair + b"l\x85R"))
    assert list(torch_weights.read(path)) == ["a"]
    in_zip(path, Raw(b"(" + text("a") + opcodes(tensor()) + b"d"))
    assert list(torch_weights.read(path)) == ["a"]


def test_what_python_2_wrote(path):
    """Text as bytes, and an ordered dictionary made of a list of pairs."""
    names = [Raw(b"U\2\xc3\xa9"), Raw(b"T\1\0\0\0b")]
    value = Call(Name("collections", "OrderedDict"), ([[name, tensor()] for name in names],))
    assert list(torch_weights.read(in_older(path, value))) == ["é", "b"]


@pytest.mark.parametrize(
    "function, more",
    [("_rebuild_tensor", ()), ("_rebuild_tensor_v2", (True, OrderedDict(), None)),
     ("_rebuild_tensor_v3", (True, OrderedDict(), Name("torch", "float32")))],
)  # fmt: skip
def test_every_way_to_build_a_tensor(path, function, more):
    built = Call(Name("torch._utils", function), (storage(), 1, (5,), (1,), *more))
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), (built, True, OrderedDict()))
    in_zip(path, {"a": built, "b": parameter})
    assert {name: a.tolist() for name, a in torch_weights.read(path).items()} == {
        "a": [1, 2, 3, 4, 5],
        "b": [1, 2, 3, 4, 5],
    }


def test_untyped_bytes_are_read_as_the_tensor_says(path):
    of = storage("0", 24, "UntypedStorage")
    more = (False, OrderedDict(), Name("torch", "uint32"))
    built = Call(Name("torch._utils", "_rebuild_tensor_v3"), (of, 2, (2,), (1,), *more))
    got = torch_weights.read(in_zip(path, {"a": built}, np.arange(6, dtype="<u4").tobytes()))
    assert got["a"].tolist() == [2, 3] and got["a"].dtype == np.uint32


def test_untyped_bytes_that_are_no_whole_number_of_numbers(path):
    more = (False, OrderedDict(), Name("torch", "uint32"))
    of = storage("0", 7, "UntypedStorage")
    built = Call(Name("torch._utils", "_rebuild_tensor_v3"), (of, 0, (1,), (1,), *more))
    in_zip(path, {"a": built}, b"1234567")
    assert refusal(path) == "tensor 'a': storage '0' has 7 bytes, no whole number of uint32"


def test_views_of_the_oldest_files(path):
    of = storage("0", 6, "FloatStorage", ("view", 2, 3))
    value = {"a": tensor((3,), (1,), of=of), "b": tensor((1,), (1,), 2, of)}
    got = torch_weights.read(in_older(path, value))
    assert got["a"].tolist() == [2, 3, 4] and got["b"].tolist() == [4]
    in_older(path, {"a": tensor((4,), (1,), of=of)})
    assert refusal(path) == "tensor 'a': reaches number 5 of a storage of 5"


def test_no_tensors(path):
    assert torch_weights.read(write_zip(path, {})) == {}
    assert torch_weights.read(write_older(path, OrderedDict())) == {}


def test_a_file_that_is_not_there(path):
    with pytest.raises(FileNotFoundError):
        torch_weights.read(path)


# ---- what a file may not say -----------------------------------------------------------------

WRONG_TENSORS = {
    "beyond": (tensor((7,), (1,)), "tensor 'a': reaches number 6 of a storage of 6"),
    "offset": (tensor(offset=1), "reaches number 6 of a storage of 6"),
    "scalar": (tensor((), (), 6), "reaches number 6 of a storage of 6"),
    "strides": (tensor((2, 2), (5, 1)), "reaches number 6 of a storage of 6"),
    "negative stride": (tensor((6,), (-1,), 5), "not whole numbers from 0"),
    "negative offset": (tensor(offset=-1), "not whole numbers from 0"),
    "negative shape": (tensor((-2, -3)), "not whole numbers from 0"),
    "float": (tensor((2.0, 3)), "not whole numbers from 0"),
    "bool": (tensor((True,), (1,)), "not whole numbers from 0"),
    "list": (tensor([2, 3]), "a list in the place of a tuple"),
    "fewer strides": (tensor((2, 3), (3,)), "a tensor of 2 dimensions with 1 strides"),
    "too large": (tensor((2**63,), (0,)), "not whole numbers from 0"),
    "giant": (tensor((2**62,), (0,)), "expected less than 2**63 bytes"),
    "bomb": (tensor((2**20, 2**20), (0, 0)), "has more numbers than the file has bytes"),
    "giant and empty": (tensor((2**62, 2**62, 0), (0, 0, 0)), "expected less than 2**63 bytes"),
    "dimensions": (tensor((1,) * 99, (1,) * 99), "99 dimensions, expected at most"),
    "overflow": (tensor((2**40, 1), (2**40, 1)), "reaches number"),
    "no storage": (tensor(of=7), "a int in the place of a Storage"),
    "absent storage": (tensor(of=storage("1")), "storage '1' is not in the file"),
    "shorter storage": (tensor(of=storage("0", 7)), "has 24 bytes, expected 28"),
    "longer storage": (tensor((1,), (1,), of=storage("0", 5)), "has 24 bytes, expected 20"),
    "giant storage": (tensor(of=storage("0", 2**62)), f"expected {2**64}"),
    "negative storage": (tensor(of=storage("0", -1)), "storage '0': (0, -1) of -1 numbers"),
    "storage type": (tensor(of=storage("0", 6, "QInt8Storage")), "'torch.QInt8Storage'"),
    "short identity": (tensor(of=Persistent(("storage",))), "a persistent id that is no storage"),
    "module": (tensor(of=Persistent(("module", "x", None))), "a persistent id that is no storage"),
    "metadata": (
        Call(Name("torch._utils", "_rebuild_tensor_v2"),
             (storage(), 0, (6,), (1,), False, OrderedDict(), {"conj": True})),
        "a tensor with metadata, a dict",
    ),
    "few arguments": (Call(Name("torch._utils", "_rebuild_tensor_v2"), (storage(),)), "not there"),
    "float8": (
        Call(Name("torch._utils", "_rebuild_tensor_v3"),
             (storage(), 0, (6,), (1,), False, OrderedDict(), Name("torch", "float8_e5m2"))),
        "it asks for 'torch.float8_e5m2', which no tensor needs",
    ),
    "parameter": (
        Call(Name("torch._utils", "_rebuild_parameter"), (3, False, None)),
        "a int in the place of a Tensor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("value, message", WRONG_TENSORS.values(), ids=WRONG_TENSORS)
def test_wrong_tensors(path, value, message):
    assert message in refusal(in_zip(path, {"a": value}))


WRONG_CONTENTS = {
    "list": ([tensor()], "holds a list, expected a dictionary of tensors"),
    "none": (None, "holds a NoneType, expected a dictionary"),
    "number": ({"a": tensor(), "epoch": 3}, "holds 'epoch': int, expected a dictionary of named"),
    "nested": ({"net": {"a": tensor()}}, "holds 'net': dict, expected a dictionary of named"),
    "number as name": ({1: tensor()}, "holds 1: Tensor, expected a dictionary of named"),
    "two wrappers": (
        {"model": {"a": tensor()}, "state_dict": {"b": tensor()}},
        "weights under state_dict and model: which ones are meant?",
    ),
    "tuple as key": ({(1, 2): tensor()}, "a tuple as the key of a dictionary"),
    "two descriptions": (
        {"a": tensor(), "b": tensor(of=storage("0", 6, "IntStorage"))},
        "storage '0' is described in two ways",
    ),
    "global": ({"a": Name("torch", "FloatStorage")}, "holds 'a': Global, expected"),
    "large number": ({"a": 2**200}, "a whole number beyond 128 bits"),
    "pairs": (Call(Name("collections", "OrderedDict"), ([3],)), "other things than pairs"),
    "call of text": (Raw(b"X\1\0\0\0a)R"), "a call of what is no function of tensors"),
    "call of a class": (Call(Name("torch", "FloatStorage"), ()), "a call of what is no function"),
    "left over": (Raw(b"NN"), "values are left over at its end"),
    "empty": (Raw(b""), "it takes what is not there"),
    "memo": (Raw(b"h\x05"), "it takes what is not there"),
    "mark": (Raw(b"t"), "it takes what is not there"),
    "odd items": (Raw(b"}(X\1\0\0\0au"), "a key without a value"),
    "append": (Raw(b"}Na"), "a dict in the place of a list"),
    "bytes": (Raw(b"C\1a"), "the opcode SHORT_BINBYTES b'a', which no tensor needs"),
}


@both_formats
@pytest.mark.parametrize("value, message", WRONG_CONTENTS.values(), ids=WRONG_CONTENTS)
def test_wrong_contents(path, write, value, message):
    assert message in refusal(write(path, value))


def test_too_many_opcodes(path, monkeypatch):
    monkeypatch.setattr(torch_pickle, "MAX_OPCODES", 1000)
    in_zip(path, [None] * 1000)
    assert "more than 1000 opcodes" in refusal(path)


def test_a_memo_of_giant_numbers_takes_no_memory(path):
    """Python's unpickler makes a table as long as the largest number in its memo."""
    value = Raw(opcodes({"a": tensor()}) + b"r\xff\xff\xff\xff")
    assert list(torch_weights.read(in_zip(path, value))) == ["a"]


def test_hashing_takes_no_exponential_time(path):
    doubled = b"N\x85q\0" + b"h\0\x86q\0h\0" * 60  # a tuple of two same ones, sixty times
    assert "tuple as the key" in refusal(in_zip(path, Raw(b"(" + doubled + b"Nd")))


@both_formats
def test_a_dictionary_that_holds_itself(path, write):
    value = Raw(b"}q\0X\5\0\0\0modelh\0s")
    assert "holds 'model': dict" in refusal(write(path, value))


# ---- hostile pickles -------------------------------------------------------------------------


class Victim:
    """Makes a directory whenever an unpickler creates it or gives it a state."""

    def __new__(cls, where=None):
        if where:
            os.mkdir(where)
        return object.__new__(cls)

    def __setstate__(self, where):
        os.mkdir(where)


EXTENSION = 240


def hostile(where):
    """Pickles that make the directory `where` in Python's unpickler, each in its way."""
    mkdir, victim = b"cos\nmkdir\n", f"c{__name__}\nVictim\n".encode()
    argument, getattr_ = text(where), b"cbuiltins\ngetattr\n"
    reduced = mkdir + argument + b"\x85R"
    return {
        "GLOBAL": reduced,
        "STACK_GLOBAL": b"\x8c\x02os\x8c\x05mkdir\x93" + argument + b"\x85R",
        "STACK_GLOBAL memo": b"\x8c\x05mkdir\x940\x8c\x02osh\0\x93" + argument + b"\x85R",
        "INST": b"(" + argument + b"ios\nmkdir\n",
        "OBJ": b"(" + mkdir + argument + b"o",
        "NEWOBJ": victim + argument + b"\x85\x81",
        "NEWOBJ_EX": victim + argument + b"\x85}\x92",
        "BUILD": victim + b")R" + argument + b"b",
        "EXT1": b"\x82" + bytes([EXTENSION]) + argument + b"\x85R",
        "EXT2": b"\x83" + struct.pack("<H", EXTENSION) + argument + b"\x85R",
        "EXT4": b"\x84" + struct.pack("<I", EXTENSION) + argument + b"\x85R",
        "eval": b"cbuiltins\neval\n" + text(f"__import__('os').mkdir({where!r})") + b"\x85R",
        "getattr": getattr_ + getattr_ + b"cos\npath\n" + text("os") + b"\x86R" + text("mkdir")
        + b"\x86R" + argument + b"\x85R",
        "in a list": b"](" + reduced + b"e",
        "in a tensor": b"ctorch._utils\n_rebuild_tensor_v2\n(" + reduced + b"tR",
        "popped": reduced + b"0}",
    }  # fmt: skip


HOSTILE = list(hostile("x"))


@pytest.fixture
def extension():
    copyreg.add_extension("os", "mkdir", EXTENSION)
    yield
    copyreg.remove_extension("os", "mkdir", EXTENSION)
    copyreg._extension_cache.pop(EXTENSION, None)


@pytest.fixture
def sentinel(tmp_path):
    return tmp_path / "executed"


@pytest.mark.parametrize("how", [how for how in HOSTILE if how != "in a tensor"])
def test_the_hostile_pickles_are_hostile(sentinel, extension, how):
    pickle.loads(b"\x80\x04" + hostile(str(sentinel))[how] + b".")
    assert sentinel.is_dir()


@both_formats
@pytest.mark.parametrize("how", HOSTILE)
def test_nothing_is_executed(path, sentinel, extension, write, how):
    message = refusal(write(path, Raw(hostile(str(sentinel))[how])))
    assert not sentinel.exists()
    assert any(asked in message for asked in (
        "os.mkdir", "os mkdir", "EXT", "Victim", "builtins.eval", "builtins.getattr", "POP"
    ))  # fmt: skip


@pytest.mark.parametrize("place", ["magic", "version", "machine", "keys", "identity", "key"])
def test_nothing_is_executed_anywhere_in_a_file(path, sentinel, place):
    payload = Raw(hostile(str(sentinel))["GLOBAL"])
    value = {"a": tensor()}
    match place:
        case "magic":
            path.write_bytes(pickled(payload))
        case "version" | "machine" | "keys":
            write_older(path, value, **{place: payload})
        case "identity":
            in_zip(path, {"a": tensor(of=Persistent(payload))})
        case "key":
            in_zip(path, {payload: tensor()})
    assert "asks for 'os.mkdir'" in refusal(path)
    assert not sentinel.exists()


@both_formats
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_in_a_persistent_id_is_text(path, sentinel, write, protocol):
    inner = pickled(Raw(hostile(str(sentinel))["GLOBAL"])).decode("latin-1")
    for identity in (inner, ("storage", inner, "0", "cpu", 6), (inner,), ("module", inner, "", "")):
        write(path, {"a": tensor(of=Persistent(identity))})
        assert "a persistent id that is no storage" in refusal(path)
    write(path, Raw(b"Pcos\n"))  # the textual one
    assert "the opcode PERSID 'cos'" in refusal(path)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    "module, name",
    [
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch._utils _rebuild_tensor_v2", ""),
        ("", "torch._utils _rebuild_tensor_v2"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_import_dotted_name"),
        ("torch.nn.modules.linear", "Linear"),
        ("collections", "namedtuple"),
        ("builtins", "dict"),
        ("argparse", "Namespace"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("npbert.checkpoints.torch_pickle", "load"),
    ],
)
def test_other_globals_are_refused_by_name(path, module, name):
    code = text(module) + text(name) + b"\x93"
    message = refusal(in_zip(path, Raw(code)))
    assert repr(f"{module} {name}".replace(" ", ".")) in message


@pytest.mark.parametrize("function", ["_rebuild_tensor_v2", "_rebuild_parameter"])
def test_a_permitted_function_cannot_be_given_a_state(path, function):
    code = opcodes(Name("torch._utils", function)) + opcodes({"__code__": "x"}) + b"b"
    assert "a Global in the place of a OrderedDict" in refusal(in_zip(path, Raw(code)))
    code = opcodes(tensor()) + opcodes({"shape": (9,)}) + b"b"
    assert "a Tensor in the place of a OrderedDict" in refusal(in_zip(path, Raw(code)))


def test_every_opcode_is_known_or_refused():
    """Whatever stands on the stack: an opcode works, or the refusal is a ValueError."""
    refused = set()
    for opcode in pickletools.opcodes:
        machine = torch_pickle._Machine()
        try:
            machine.step(opcode.name, None)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if "which no tensor needs" in str(error):
                refused.add(opcode.name)
    assert refused >= {
        "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "INT", "LONG",
        "FLOAT", "STRING", "UNICODE", "GET", "PUT", "BINBYTES", "BYTEARRAY8", "NEXT_BUFFER",
        "READONLY_BUFFER", "FROZENSET", "EMPTY_SET", "ADDITEMS",
    }  # fmt: skip


# ---- damaged files ---------------------------------------------------------------------------


def test_what_is_no_checkpoint(path):
    for content, message in {
        b"": "0 bytes long",
        b"PK\3\4": "a damaged zip archive: File is not a zip file",
        b"hello": "neither a zip archive nor torch's older format",
        pickled({"a": 1}): "neither a zip archive nor a file with torch's magic number",
    }.items():
        path.write_bytes(content)
        assert message in refusal(path)


def test_wrong_zip_archives(path):
    value = {"a": tensor()}
    in_zip(path, value, byteorder="middle")
    assert refusal(path) == "byteorder is b'middle', expected little or big"
    in_zip(path, value, compression=zipfile.ZIP_DEFLATED)
    assert refusal(path) == "record 'archive/data.pkl' is compressed; torch only stores"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/version", "3")
    assert refusal(path) == "a zip archive with 0 records data.pkl, expected 1"
    in_zip(path, value)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data/0", b"")
    assert refusal(path) == "two records are called 'archive/data/0'"


def test_a_record_that_ends_behind_the_file(path):
    content = bytearray(in_zip(path, {"a": tensor()}).read_bytes())
    entry = content.rindex(b"PK\1\2")  # of the storage, in the directory at the end
    content[entry + 20 : entry + 28] = struct.pack("<II", 10**6, 10**6)
    path.write_bytes(content)
    assert refusal(path).startswith("record 'archive/data/0' ends at byte 1000")


@pytest.mark.parametrize("version", ["1", "3\n", "10", " 6 "])
def test_versions_of_the_zip_format(path, version):
    for record in ({"version": version}, {"version": "99", ".data/version": version}):
        assert list(torch_weights.read(in_zip(path, {"a": tensor()}, **record))) == ["a"]


@pytest.mark.parametrize("version", ["0", "11", "-3", "", "x", "3.5", "9" * 5000])
def test_other_versions_of_the_zip_format(path, version):
    in_zip(path, {"a": tensor()}, version=version)
    found = refusal(path)
    assert found.startswith(f"version b'{version[:50]}'") and len(found) < 200
    assert found.endswith(" of the zip format, expected a number from 1 to 10")


def test_no_version_of_the_zip_format(path):
    in_zip(path, {"a": tensor()}, version=None)
    assert refusal(path) == "a zip archive without a record version, expected that of torch.save"


def test_wrong_older_files(path):
    value, good = {"a": tensor()}, {"0": (6, SIX)}
    write_older(path, value, good, version=1000)
    assert refusal(path) == "version 1000 of the older format, expected 1001"
    write_older(path, value, good, keys="0")
    assert refusal(path) == "a str of storage keys, expected a list"
    write_older(path, value, good, keys=["1"])
    assert refusal(path) == "storage '1' belongs to no tensor"
    write_older(path, value, good, keys=[])
    assert refusal(path) == "tensor 'a': storage '0' is not in the file"
    write_older(path, value, {"0": (5, SIX)})
    assert refusal(path) == "tensor 'a': storage '0' has 20 bytes, expected 24"
    write_older(path, value, {"0": (2**62, SIX)})
    assert refusal(path).startswith("storage '0' ends at byte ")


def test_booleans_are_0_or_1(path):
    value = {"a": tensor((2,), (1,), of=storage("0", 2, "BoolStorage"))}
    write_zip(path, value, {"0": b"\1\2"})
    assert refusal(path) == "tensor 'a': storage '0' has the byte 2 for a bool, expected 0 or 1"


@both_files
def test_a_truncated_file_is_refused(path, file):
    content = (FIXTURES / file).read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        assert refusal(path)


@quick
@given(data=st.data(), file=st.sampled_from(["zip.bin", "older.bin"]))
def test_a_mutated_file_is_refused_or_gives_its_arrays(path, data, file):
    content = bytearray((FIXTURES / file).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "copy"])):
            case "set":
                content[at] = data.draw(st.integers(0, 255))
            case "insert":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del content[at : at + data.draw(st.integers(1, 4))]
            case "copy":
                start = data.draw(st.integers(0, len(content) - 1))
                content[at : at + 8] = content[start : start + 8]
    check_damaged(path, bytes(content))


@quick
@given(st.lists(st.sampled_from([
    *(bytes([code]) for code in range(256)), b"K\1", b"h\0", b"h\1", b"q\0", b"q\1", text("a"),
    b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", opcodes(storage()),
    opcodes(tensor()), opcodes((2, 3)), b"}", b")R", b"\x86", b"t", b"u", b"(", b"Q", b"R", b"b",
]), max_size=25))  # fmt: skip
def test_an_invented_pickle_is_refused_or_gives_its_arrays(path, code):
    in_zip(path, Raw(b"}" + text("a") + opcodes(tensor()) + b"".join(code)))
    check_damaged(path, path.read_bytes())


@quick
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**62, 2**63, -1]), max_size=4),
    strides=st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**62, 2**63, -1]), max_size=4),
    offset=st.sampled_from([0, 1, 5, 6, 2**62, -1]),
    length=st.sampled_from([6, 5, 0, 2**62, -1]),
)
def test_an_invented_tensor_is_refused_or_whole(path, shape, strides, offset, length):
    of = storage("0", length)
    in_zip(path, {"a": tensor(tuple(shape), tuple(strides), offset, of)})
    check_damaged(path, path.read_bytes())


def check_damaged(path, content):
    path.write_bytes(content)
    try:
        arrays = torch_weights.read(path)
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return
    header = torch_weights.header(path)
    assert arrays.keys() == header.keys()
    for name, array in arrays.items():
        dtype, shape = header[name]
        assert array.shape == shape and array.dtype == (dtype if dtype != "bfloat16" else "f4")
        assert not array.flags.writeable and array.size <= len(content)
        array.copy()  # every byte can be touched
