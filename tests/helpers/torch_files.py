"""Writes torch checkpoints without torch, byte by byte, right ones and wrong ones."""

import struct
import zipfile
from collections import OrderedDict
from typing import NamedTuple

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4}}


class Name(NamedTuple):
    """A global: pickled by its module and its name."""

    module: str
    name: str


class Call(NamedTuple):
    """The result of calling a global."""

    function: Name
    arguments: tuple


class Persistent(NamedTuple):
    """What torch keeps outside of its pickle, by an identity."""

    identity: object


class Raw(NamedTuple):
    """Opcodes as they are."""

    opcodes: bytes


def storage(key="0", length=6, kind="FloatStorage", *more):
    """A storage in the file; the older format has `None` or a view behind its length."""
    module = "torch.storage" if kind == "UntypedStorage" else "torch"
    return Persistent(("storage", Name(module, kind), key, "cpu", length, *more))


def tensor(shape=(2, 3), strides=(3, 1), offset=0, of=None):
    """A tensor as torch pickles it since 0.4; by default a view of six floats under the key "0"."""
    of = storage() if of is None else of
    arguments = (of, offset, shape, strides, False, OrderedDict())
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), arguments)


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def opcodes(value):
    """Return the opcodes, of protocol 2, that leave a value on the stack."""
    match value:
        case Raw(code):
            return code
        case Name(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, arguments):
            return opcodes(function) + opcodes(arguments) + b"R"
        case Persistent(identity):
            return opcodes(identity) + b"Q"
        case OrderedDict():
            return opcodes(Name("collections", "OrderedDict")) + b")R" + items(value)
        case dict():
            return b"}" + items(value)
        case tuple():
            return b"(" + b"".join(map(opcodes, value)) + b"t"
        case list():
            return b"](" + b"".join(map(opcodes, value)) + b"e"
        case str():
            return text(value)
        case None | True | False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int() if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        case int():
            number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(number)]) + number
        case float():
            return b"G" + struct.pack(">d", value)
    raise TypeError(value)


def items(value):
    return b"(" + b"".join(opcodes(part) for pair in value.items() for part in pair) + b"u"


def pickled(value):
    return b"\x80\x02" + opcodes(value) + b"."


def write_zip(path, value, storages=(), compression=zipfile.ZIP_STORED, top="archive", **records):
    """Write the zip format: storages are key -> bytes, `byteorder` and others come by name."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{top}/data.pkl", pickled(value))
        for name, content in {"version": "3\n", **records}.items():
            if content is not None:
                archive.writestr(f"{top}/{name}", content)
        for key, numbers in dict(storages).items():
            archive.writestr(f"{top}/data/{key}", numbers)
    return path


def write_older(path, value, storages=(), machine=MACHINE, keys=None, version=1001, tail=b""):
    """Write the older format: storages are key -> (count, bytes)."""
    storages = dict(storages)
    keys = list(storages) if keys is None else keys
    pickles = [pickled(part) for part in (version, machine, value, keys)]
    numbers = [struct.pack("<q", count) + content for count, content in storages.values()]
    path.write_bytes(MAGIC + b"".join(pickles) + b"".join(numbers) + tail)
    return path
