"""Safetensors files for tests: arrays that can be written, and files that every reader refuses."""

import json
import struct

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npbert.checkpoints import safetensors
from npbert.checkpoints.files import MAX_DIMENSIONS

DTYPES = [dtype for name, dtype in safetensors.DTYPES.items() if name != "BF16"]
quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def file_of(header, data=b"", length=None):
    """The bytes of a file with this header: an object, a text, or bytes as they are."""
    if not isinstance(header, (str, bytes)):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def same(a, b):
    """Equal in shape, dtype (whatever its byte order) and bits, those of a NaN included."""
    a, b = (np.ascontiguousarray(x, x.dtype.newbyteorder("<")).reshape(x.shape) for x in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@st.composite
def arrays(draw):
    """Arrays of every dtype, byte order and memory layout; empty ones and scalars too."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    dtype = dtype.newbyteorder(draw(st.sampled_from("<>")))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    seed = draw(st.integers(0, 2**32 - 1))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    raw = raw & 1 if dtype.kind == "b" else raw
    array = raw.view(dtype).reshape(shape)  # any bits at all: NaNs with payloads, subnormals
    layout = draw(st.sampled_from(["as is", "transposed", "reversed", "strided"]))
    if array.ndim and layout == "transposed":
        return array.T
    if array.ndim and layout == "reversed":
        return array[::-1]
    if array.ndim and layout == "strided":
        return array[..., ::2]
    return array


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda name: name != "__metadata__"
)
dicts = st.dictionaries(names, arrays(), max_size=6)
metadatas = st.none() | st.dictionaries(names, names, max_size=3)


SCALAR = b"\0" * 4  # the bytes of entry()
SIZES = "integers from 0 to 2**63-1"
REFUSED = {
    "empty file": (b"", "0 bytes long, expected at least the 8"),
    "short file": (b"1234567", "7 bytes long, expected at least the 8"),
    "header beyond the file": (file_of("{}", length=3), "a header of 3 bytes, but only 2 bytes"),
    "header over 100 MB": (
        file_of("{}", length=100_000_001),
        "a header of 100000001 bytes, expected at most 100000000",
    ),
    "header of 2**64 - 1": (b"\xff" * 8, "a header of 18446744073709551615 bytes"),
    "no header": (file_of(""), "the header is not JSON"),
    "not UTF-8": (file_of(b'{"\xff": {}}'), "the header is not UTF-8"),
    "half a surrogate pair": (file_of('{"\\ud800": {}}'), "the header is not UTF-8"),
    "not JSON": (file_of('{"a": }'), "the header is not JSON: Expecting value: line 1 column 7"),
    "byte order mark": (file_of("\ufeff{}"), "the header is not JSON"),
    "zero bytes behind": (file_of("{}\0"), "the header is not JSON: Extra data"),
    "nested too deeply": (file_of('{"a":' + "[" * 100_000), "the header is not JSON"),
    "a list": (file_of("[]"), "the header is [], expected a JSON object"),
    "a text": (file_of('"' + "x" * 1000 + '"'), "expected a JSON object"),
    "name twice": (
        file_of(f'{{"a": {json.dumps(entry())}, "\\u0061": {json.dumps(entry())}}}', b"\0" * 4),
        "the header names 'a' twice",
    ),
    "field twice": (file_of('{"a": {"dtype": "F32", "dtype": 1}}'), "names 'dtype' twice"),
    "metadata twice": (file_of('{"__metadata__": {"b": "", "b": ""}}'), "names 'b' twice"),
    "metadata a list": (file_of('{"__metadata__": []}'), "__metadata__ [], expected text"),
    "metadata a number": (
        file_of('{"__metadata__": {"a": 1}}'),
        "__metadata__ {'a': 1}, expected text for every name",
    ),
    "entry a list": (
        file_of({"a": ["F32", [1], [0, 4]]}, b"\0" * 4),
        "tensor 'a': ['F32', [1], [0, 4]], expected dtype, shape and data_offsets",
    ),
    "dtype missing": (file_of({"a": {}}), "tensor 'a': dtype None, expected one of U64, I64"),
    "dtype unknown": (
        file_of({"a": entry("F8_E4M3", [4])}, b"\0" * 4),
        "tensor 'a': dtype 'F8_E4M3', expected one of U64, I64",
    ),
    "dtype in lower case": (file_of({"a": entry("f32")}, b"\0" * 4), "dtype 'f32', expected one"),
    "dtype a list": (file_of({"a": entry(["F32"])}, b"\0" * 4), "dtype ['F32'], expected one"),
    "shape missing": (file_of({"a": {"dtype": "F32"}}), f"'a': shape None, expected {SIZES}"),
    "shape negative": (
        file_of({"a": entry(shape=[-1, -1])}, b"\0" * 4),
        f"tensor 'a': shape [-1, -1], expected {SIZES}",
    ),
    "shape a float": (file_of({"a": entry(shape=[1.0])}, b"\0" * 4), "shape [1.0], expected"),
    "shape a boolean": (file_of({"a": entry(shape=[True])}, b"\0" * 4), "shape [True], expected"),
    "shape a text": (file_of({"a": entry(shape="1")}, b"\0" * 4), "shape '1', expected"),
    "shape of 5,000 digits": (
        file_of('{"a":{"dtype":"F32","shape":[' + "9" * 5000 + ',0],"data_offsets":[0,0]}}'),
        "",
    ),
    "65 dimensions": (
        file_of({"a": entry(shape=[1] * 65)}, b"\0" * 4),
        f"tensor 'a': 65 dimensions, expected at most {MAX_DIMENSIONS}",
    ),
    "overflow to the right size": (
        file_of({"a": entry(shape=[2**62, 4, 4], offsets=[0, 0])}),
        "tensor 'a': shape [4611686018427387904, 4, 4], expected less than 2**63 bytes",
    ),
    "overflow beside a zero": (
        file_of({"a": entry(shape=[2**62, 2**62, 0], offsets=[0, 0])}),
        "expected less than 2**63 bytes",
    ),
    "offsets missing": (
        file_of({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4),
        f"tensor 'a': data_offsets None, expected 2 {SIZES}",
    ),
    "three offsets": (file_of({"a": entry(offsets=[0, 4, 4])}, b"\0" * 4), "[0, 4, 4], expected 2"),
    "offset a boolean": (file_of({"a": entry(offsets=[False, 4])}, b"\0" * 4), "[False, 4], exp"),
    "offset negative": (file_of({"a": entry(offsets=[-4, 0])}, b"\0" * 4), "[-4, 0], expected 2"),
    "offset a float": (file_of({"a": entry(offsets=[0, 4.0])}, b"\0" * 4), "[0, 4.0], expected 2"),
    "offsets of 4,000 digits": (
        file_of({"a": entry(offsets=[10**4000, 10**4000 + 4])}, b"\0" * 4),
        "expected finite numbers",
    ),
    "offsets of 30 digits": (
        file_of({"a": entry(offsets=[10**30, 10**30 + 4])}, b"\0" * 4),
        f"expected 2 {SIZES}",
    ),
    "shape -0": (
        file_of('{"a":{"dtype":"F32","shape":[1,-0],"data_offsets":[0,0]}}'),
        f"tensor 'a': shape [1, -0.0], expected {SIZES}",
    ),
    "offset -0": (
        file_of('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', b"\0" * 4),
        f"tensor 'a': data_offsets [-0.0, 4], expected 2 {SIZES}",
    ),
    **{
        f"{number[:9]} in a field that nobody reads": (
            file_of(
                json.dumps({"a": {**entry(), "x": [0]}}).replace("[0]}", f"[{number}]}}"), SCALAR
            ),
            "expected finite numbers",
        )
        for number in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400)
    },
    **{
        f"{end} within each other in a field that nobody reads": (
            file_of(
                f'{{"a": {{"x": {begin * 126}0{end * 126}, {json.dumps(entry())[1:]}}}', SCALAR
            ),
            "more than 127 objects and lists within each other",
        )
        for begin, end in [("[", "]"), ('{"":', "}")]
    },
    "offsets the wrong way": (
        file_of({"a": entry(offsets=[4, 0])}, b"\0" * 4),
        "tensor 'a': data_offsets [4, 0] span -4 bytes, expected 4 for F32 [1]",
    ),
    "span unlike shape": (
        file_of({"a": entry(shape=[2, 3], offsets=[0, 20])}, b"\0" * 20),
        "tensor 'a': data_offsets [0, 20] span 20 bytes, expected 24 for F32 [2, 3]",
    ),
    "out of bounds": (
        file_of({"a": entry(shape=[2], offsets=[0, 8])}, b"\0" * 4),
        "tensor 'a': ends at data byte 8, but there are 4",
    ),
    "overlap": (
        file_of({"a": entry(), "b": entry(offsets=[2, 6])}, b"\0" * 6),
        "tensor 'b': starts at data byte 2, before 'a' ends at 4: they overlap",
    ),
    "the same bytes twice": (file_of({"a": entry(), "b": entry()}, b"\0" * 4), "they overlap"),
    "hole in front": (
        file_of({"a": entry(offsets=[4, 8])}, b"\0" * 8),
        "tensor 'a': starts at data byte 4, expected 0: a hole",
    ),
    "hole between": (
        file_of({"a": entry(), "b": entry(offsets=[8, 12])}, b"\0" * 12),
        "tensor 'b': starts at data byte 8, expected 4: a hole",
    ),
    "bytes at the end": (
        file_of({"a": entry()}, b"\0" * 5),
        "5 bytes of data, expected 4: the tensors end there",
    ),
    "an absurd name": (file_of({"n" * 10_000 + "\n": entry("X")}, b"\0" * 4), "dtype 'X'"),
}
