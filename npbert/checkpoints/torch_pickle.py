"""The pickle inside a torch checkpoint, run by a stack machine that can only describe tensors.

A pickle is a program: its opcodes push values, collect them into tuples, lists and dicts, fetch
any Python function by its name (GLOBAL) and call it (REDUCE). Python's own unpickler, restricted or
not, does so; this one knows a table of names, each of which stands for a description and not for
the function itself, and refuses every other name and every other opcode.

Source  Python's pickletools, which splits the program into opcodes; torch/_utils.py, the functions
"""

import mmap
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, cast

from npbert.checkpoints.files import MAX_DIMENSIONS, short

MAX_OPCODES = 2**20  # a tensor takes about fifty
MAX_INTEGER = 2**127  # the largest number of the format, its magic one, has 80 bits

# A few bytes can repeat what came before them, and make the rest of the file endless to walk over.
# So nothing here looks into a container that the pickle fills, unless the work is bounded by the
# pickle's length; and messages name the types of containers, not what they hold.

# The storage classes by which a file names what its bytes are; in untyped ones the tensor does.
STORAGES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
    "torch ComplexDoubleStorage": "complex128",
    "torch ComplexFloatStorage": "complex64",
    "torch.storage UntypedStorage": "uint8",
}
# Newer dtypes have no storage class of their own: the tensor names them.
DTYPES = {f"torch {name}": name for name in {*STORAGES.values(), "uint16", "uint32", "uint64"}}


class Storage(NamedTuple):
    """Numbers in a row, in the file under a key; of the oldest files, a window on such a row."""

    dtype: str
    key: str
    length: int
    window: tuple[int, int]  # numbers [start, stop) of the row


class Tensor(NamedTuple):
    """A tensor as the pickle describes it: which numbers of a storage, in which order."""

    storage: Storage
    dtype: str
    offset: int  # counted in numbers, like the strides
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Global(NamedTuple):
    """A permitted name; what it names is never looked up."""

    name: str  # "module name"


class NumberKey(NamedTuple):
    """A whole number as the key of a dictionary.

    By its digits: numbers can be chosen such that all of them have one hash, texts cannot.
    """

    digits: str


def load(stream: BinaryIO | mmap.mmap) -> tuple[Any, dict[str, Storage]]:
    """Run one pickle; return what it describes, and every storage that it mentions, by key.

    The result is made of Tensor, Global, Storage, dict, OrderedDict, list, tuple, str, int, float,
    bool and None; the keys of a dictionary are str and NumberKey. A container may hold itself.
    The stream, BytesIO or mmap, is left behind the end of the pickle.
    Raises ValueError, in one line, for a damaged pickle and for one that asks for anything else.
    """
    machine = _Machine()
    at = -1
    opcodes = pickletools.genops(cast(BinaryIO, stream))  # an mmap has the methods that it calls
    try:
        for steps, (opcode, argument, position) in enumerate(opcodes):
            at = position or 0
            if steps == MAX_OPCODES:
                raise ValueError(f"more than {MAX_OPCODES} opcodes")
            machine.steps = steps
            machine.step(opcode.name, argument)
    except (LookupError, TypeError, ValueError) as error:
        # Only a ValueError speaks of what is wrong; the others are a stack that holds too little.
        reason = str(error) if isinstance(error, ValueError) else "it takes what is not there"
        where = "its first byte" if at < 0 else f"byte {at}"
        raise ValueError(f"the pickle is refused at {where}: {reason}") from None
    return machine.result, machine.storages


def described(value: Any) -> str:
    """Return a text or a number in short, and of what may hold others the type alone."""
    if isinstance(value, NumberKey):
        return value.digits
    if value is None or type(value) in (str, bytes, int, float, bool):
        return short.repr(value)
    return f"a {type(value).__name__}"


class _Machine:
    def __init__(self) -> None:
        self.steps = 0  # opcodes before the present one
        self.copied = 0  # entries of lists that calls were given
        self.stack: list[Any] = []
        self.below_mark: list[list[Any]] = []  # MARK puts the stack aside and begins a new one
        self.memo: dict[str, Any] = {}  # by the digits of a number: see NumberKey
        self.storages: dict[str, Storage] = {}
        self.result: Any = None

    def step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:
            case "PROTO" | "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4":
                if abs(argument) > MAX_INTEGER:
                    raise ValueError("a whole number beyond 128 bits")
                stack.append(argument)
            case "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                stack.append(argument)
            case "BINSTRING" | "SHORT_BINSTRING":  # what Python 2 wrote: bytes, here text
                stack.append(argument.encode("latin-1").decode())
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                stack.append({"TUPLE": (), "LIST": [], "DICT": {}}[opcode.removeprefix("EMPTY_")])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.push_tuple(*self.pop(int(opcode[-1])))
            case "MARK":
                self.below_mark.append(stack)
                self.stack = []
            case "TUPLE":
                self.push_tuple(*self.to_mark())
            case "LIST":
                values = self.to_mark()
                self.stack.append(values)
            case "DICT":
                pairs = self.to_mark()
                self.stack.append(_fill({}, pairs[::2], pairs[1::2]))
            case "APPEND" | "APPENDS":
                new = self.to_mark() if opcode == "APPENDS" else self.pop(1)
                _expect(self.stack[-1], list).extend(new)
            case "SETITEM" | "SETITEMS":
                pairs = self.to_mark() if opcode == "SETITEMS" else self.pop(2)
                _fill(_expect(self.stack[-1], dict), pairs[::2], pairs[1::2])
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                number = len(self.memo) if opcode == "MEMOIZE" else argument
                self.memo[str(number)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[str(argument)])
            case "GLOBAL":
                stack.append(_permitted(argument))
            case "STACK_GLOBAL":
                module, name = self.pop(2)
                stack.append(_permitted(f"{_expect(module, str)} {_expect(name, str)}"))
            case "REDUCE":
                stack.append(self.call(*self.pop(2)))
            case "BUILD":  # the attributes of an object, which nothing here has a use for
                instance, _ = self.pop(2)
                stack.append(_expect(instance, OrderedDict))
            case "BINPERSID":
                stack.append(self.storage(*self.pop(1)))
            case "STOP":
                (self.result,) = self.pop(1)
                if stack or self.below_mark:
                    raise ValueError("values are left over at its end")
            case _:  # INST, OBJ, NEWOBJ, EXT1, PERSID, ... and all of protocol 0
                what = "" if argument is None else f" {described(argument)}"
                raise ValueError(f"the opcode {opcode}{what}, which no tensor needs")

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def to_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below_mark.pop()
        return values

    def push_tuple(self, *values: Any) -> None:
        self.stack.append(values)

    def call(self, function: Any, arguments: Any) -> Any:
        """Return what a permitted function describes."""
        if not isinstance(function, Global) or function.name not in FUNCTIONS:
            raise ValueError("a call of what is no function of tensors")
        self.copied += sum(len(a) for a in _expect(arguments, tuple) if isinstance(a, list))
        if self.copied > self.steps:  # each entry took an opcode, unless a list is given twice
            raise ValueError("one list is given to many calls")
        return FUNCTIONS[function.name](*arguments)

    def storage(self, identity: Any) -> Storage:
        """Describe the storage of a persistent id: what torch keeps outside of its pickle."""
        match identity:
            case ("storage", Global(name), str(key), str(), int(length), *rest) if name in STORAGES:
                window: Any = (0, length)
                match rest:
                    case [] | [None]:
                        pass
                    case [(str(), int(start), int(size))] if 0 <= start and 0 <= size:
                        window = (start, start + size)
                    case _:
                        raise ValueError("a persistent id that is no storage")
                storage = Storage(STORAGES[name], key, length, window)
            case _:
                raise ValueError("a persistent id that is no storage")
        if not 0 <= window[1] <= length:
            raise ValueError(f"storage {short.repr(key)}: {window} of {length} numbers")
        known = self.storages.setdefault(key, storage)
        if (known.dtype, known.length) != (storage.dtype, storage.length):
            raise ValueError(f"storage {short.repr(key)} is described in two ways")
        return storage


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} in the place of a {kind.__name__}")
    return value


def _fill(target: dict[Any, Any], keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    if len(keys) != len(values):
        raise ValueError("a key without a value")
    for key, value in zip(keys, values):
        if not isinstance(key, (str, int)):  # hashing nested tuples can take for ever
            raise ValueError(f"a {type(key).__name__} as the key of a dictionary")
        target[key if isinstance(key, str) else NumberKey(str(key))] = value
    return target


# ---- the permitted names ---------------------------------------------------------------------


def _permitted(name: str) -> Global:
    if name not in FUNCTIONS and name not in STORAGES and name not in DTYPES:
        asked = short.repr(name.replace(" ", "."))
        raise ValueError(f"it asks for {asked}, which no tensor needs; nothing of it was run")
    return Global(name)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    dimensions = max(len(_expect(shape, tuple)), len(_expect(strides, tuple)))
    if dimensions > MAX_DIMENSIONS:
        raise ValueError(f"a tensor of {dimensions} dimensions, expected at most {MAX_DIMENSIONS}")
    numbers = [offset, *shape, *strides]
    if not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
        raise ValueError("a tensor whose offset, shape or strides are not whole numbers from 0")
    if len(shape) != len(strides):
        raise ValueError(f"a tensor of {len(shape)} dimensions with {len(strides)} strides")
    return Tensor(_expect(storage, Storage), storage.dtype, offset, shape, strides)


def _tensor_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    if metadata:  # bits that say: conjugate when read, negate when read
        raise ValueError(f"a tensor with metadata, {described(metadata)}")
    return _tensor(storage, offset, shape, strides)


def _tensor_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any,
    metadata: Any = None,
) -> Tensor:  # fmt: skip
    found = _tensor_v2(storage, offset, shape, strides, grad, hooks, metadata)
    return found._replace(dtype=DTYPES[_expect(dtype, Global).name])  # in numbers of this dtype


def _parameter(tensor: Any, grad: Any, hooks: Any, state: Any = None) -> Tensor:
    return _expect(tensor, Tensor)


def _ordered_dict(pairs: Any = None) -> OrderedDict[Any, Any]:
    pairs = [] if pairs is None else _expect(pairs, list)
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        raise ValueError("an ordered dictionary of other things than pairs")
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    ordered: OrderedDict[Any, Any] = OrderedDict()
    _fill(ordered, keys, values)
    return ordered


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor_v2,
    "torch._utils _rebuild_tensor_v3": _tensor_v3,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
}
