"""What the manifest of a golden kit says: read from JSON, checked, and held as dataclasses.

manifest.schema.json beside this file describes every field for readers in other languages. The
checks here are in plain Python: what reading a kit relies on, with an error that names the place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from npbert.checkpoints.files import short

FORMAT = "npbert golden kit"
FORMAT_VERSION = 1
DTYPES = ("float32", "float16", "bfloat16")  # a tensor has a tolerance in each, or null
EPSILON = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
CASE_NAME = re.compile(r"[A-Za-z0-9_]+")
ARGUMENTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
KINDS = ("input", "module", "intermediate", "output")


@dataclass(frozen=True)
class Tolerance:
    """How far a tensor may be off, as its largest absolute error.

    expected  from the kit's values         local  from the step recomputed from the port's own
    ..._padded  the same at padded positions, None where a case has none
    """

    expected: float
    local: float
    expected_padded: float | None = None
    local_padded: float | None = None


@dataclass(frozen=True)
class TensorCase:
    """A tensor in one case: its whole shape, and a tolerance for each dtype.

    None stands for a dtype that cannot hold the values: nothing can be judged there.
    """

    shape: tuple[int, ...]
    tolerance: dict[str, Tolerance | None]


@dataclass(frozen=True)
class Sampled:
    """Only every `step`-th entry along `axis` is in the files of expected values."""

    axis: int
    step: int


@dataclass(frozen=True)
class Tensor:
    """One quantity of the forward pass: its names, where it comes from, how it is judged."""

    name: str
    aliases: tuple[str, ...]
    kind: str
    from_reference: bool
    axes: tuple[str, ...] | None
    equation: str | None
    code: str | None
    section: str | None
    function: str
    file: str
    line: int
    inputs: tuple[str, ...]
    depends_on_mask: bool
    cases: dict[str, TensorCase]
    sampled: Sampled | None = None


@dataclass(frozen=True)
class Case:
    """Inputs of one pass. A row is a sentence, for multiple choice one choice of one question.

    inputs          names of the arguments in inputs.safetensors
    lengths         real tokens of each row
    real            [B, T]: which positions hold real tokens
    undefined_rows  rows of padding only: what depends on the mask is not compared there
    texts           a text, or a list of two, for each row; None for random ids
    tokens          of each row, None without a vocabulary
    """

    name: str
    about: str
    inputs: tuple[str, ...]
    lengths: tuple[int, ...]
    real: np.ndarray
    undefined_rows: tuple[int, ...] = ()
    texts: tuple[Any, ...] | None = None
    tokens: tuple[tuple[str | None, ...], ...] | None = None


@dataclass(frozen=True)
class Parameter:
    """A parameter: what its axes are, how it is applied, and how the file of weights stores it.

    same_as   the parameter that it is, stored under that name alone; the rest is empty then
    """

    name: str
    shape: tuple[int, ...] = ()
    axes: tuple[str, ...] = ()
    orientation: str = ""
    dtype: str = ""
    same_as: str | None = None


@dataclass(frozen=True)
class Mistake:
    """A classic mistake, and for each case the first tensor that it moves out of its tolerance."""

    name: str
    about: str
    first_divergence: dict[str, str | None]


@dataclass(frozen=True)
class Manifest:
    """A checked manifest; `values` is the JSON that it was made from."""

    values: dict[str, Any] = field(repr=False)
    name: str
    about: str
    versions: dict[str, str]
    architecture: str
    config: dict[str, Any]
    weights: str
    axes: dict[str, str]
    method: str
    cases: dict[str, Case]
    tensors: tuple[Tensor, ...]
    mistakes: tuple[Mistake, ...]
    documentation: str = ""
    files: dict[str, str] = field(default_factory=dict)  # sha256 by path
    parameters: tuple[Parameter, ...] = ()


# ---- reading -------------------------------------------------------------------------------


def read_manifest(values: Any) -> Manifest:
    """Check a parsed manifest.json; raise a ValueError that names the first place that is wrong."""
    top = Place(values, "manifest")
    if top.get("format", str) != FORMAT:
        top.fail("format", repr(FORMAT))
    version = top.get("format_version", int)
    if version != FORMAT_VERSION:
        raise ValueError(
            f"format_version is {short.repr(version)}; this npbert reads version {FORMAT_VERSION}"
        )
    cases = unique([read_case(place) for place in top.each("cases")], "cases")
    tensors = unique([read_tensor(place, cases) for place in top.each("tensors")], "tensors")
    if not cases or not tensors:
        raise ValueError("no cases or no tensors in the manifest")
    check_names(tensors)
    return Manifest(
        values=values,
        name=top.get("name", str),
        about=top.get("about", str),
        versions=top.table("versions", str),
        architecture=top.get("architecture", str),
        config=top.get("config", dict),
        weights=top.get("weights", str),
        axes=top.table("axes", str),
        method=top.get("method", str),
        cases=cases,
        tensors=tuple(tensors.values()),
        mistakes=tuple(read_mistake(place, cases, tensors) for place in top.each("mistakes")),
        documentation=top.get("documentation", str),
        files=top.table("files", str),
        parameters=tuple(read_parameter(place) for place in top.each("parameters")),
    )


def read_case(place: Place) -> Case:
    if not CASE_NAME.fullmatch(place.get("name", str)):
        place.fail("name", "letters, digits and _")
    real = place.get("real", list)
    rows = [row for row in real if isinstance(row, list) and all(type(r) is bool for r in row)]
    widths = {len(row) for row in rows}
    if not rows or len(rows) != len(real) or len(widths) != 1 or widths == {0}:
        place.fail("real", "rows of true and false, all of one length")
    lengths = place.list_of("lengths", int)
    if lengths != tuple(map(sum, rows)):
        place.fail("lengths", f"how many are true in each row of real, {[*map(sum, rows)]}")
    inputs = place.list_of("inputs", str)
    if "input_ids" not in inputs or not set(inputs) <= set(ARGUMENTS):
        place.fail("inputs", f"input_ids and perhaps {', '.join(ARGUMENTS[1:])}")
    undefined = place.list_of("undefined_rows", int)
    if not set(undefined) <= set(range(len(rows))):
        place.fail("undefined_rows", f"numbers of rows, below {len(rows)}")
    return Case(
        name=place.get("name", str),
        about=place.get("about", str),
        inputs=inputs,
        lengths=lengths,
        real=np.array(rows),
        undefined_rows=undefined,
        texts=read_texts(place, len(rows)),
        tokens=read_tokens(place, rows),
    )


def read_texts(place: Place, count: int) -> tuple[Any, ...] | None:
    texts = place.get("texts", list, None)
    if texts is None:
        return None
    for text in texts:
        parts = text if type(text) is list else [text]
        if len(texts) != count or not all(type(part) is str for part in parts):
            place.fail("texts", f"a text or a list of texts for each of {count} rows")
    return tuple(texts)


def read_tokens(place: Place, rows: list[list[bool]]) -> tuple[tuple[str | None, ...], ...] | None:
    tokens = place.get("tokens", list, None)
    if tokens is None:
        return None
    for row in tokens:
        known = type(row) is list and all(t is None or type(t) is str for t in row)
        if len(tokens) != len(rows) or not known or len(row) != len(rows[0]):
            place.fail("tokens", f"{len(rows[0])} tokens for each of {len(rows)} rows")
    return tuple(tuple(row) for row in tokens)


def read_parameter(place: Place) -> Parameter:
    if "same_as" in place.values:
        return Parameter(place.get("name", str), same_as=place.get("same_as", str))
    shape, axes = place.list_of("shape", int), place.list_of("axes", str)
    if len(shape) != len(axes):
        place.fail("axes", f"a name for each axis of {short.repr(list(shape))}")
    orientation, dtype = place.get("orientation", str), place.get("dtype", str)
    return Parameter(place.get("name", str), shape, axes, orientation, dtype)


def read_tensor(place: Place, cases: Mapping[str, Case]) -> Tensor:
    axes = None if place.get("axes", list, None) is None else place.list_of("axes", str)
    if place.get("line", int) < 1:
        place.fail("line", "1 or more")
    if place.get("kind", str) not in KINDS:
        place.fail("kind", f"one of {', '.join(KINDS)}")
    sampled = None
    if "sampled" in place.values:
        how = place.below("sampled")
        sampled = Sampled(how.get("axis", int), how.get("step", int))
        if sampled.step < 1:
            how.fail("step", "at least 1")
    parts = place.below("cases")
    if parts.values.keys() != cases.keys():
        place.fail("cases", f"an entry for each of {short.repr([*cases])}")
    of_case = {name: read_tensor_case(parts.below(name)) for name in parts.values}
    for name, part in of_case.items():
        number = len(part.shape)
        if axes is not None and number != len(axes):
            parts.below(name).fail("shape", f"{len(axes)} sizes, for the axes {list(axes)}")
        if sampled and not -number <= sampled.axis < number:
            place.below("sampled").fail("axis", f"an axis of {list(part.shape)}")
    return Tensor(
        name=place.get("name", str),
        aliases=place.list_of("aliases", str),
        kind=place.get("kind", str),
        from_reference=place.get("from_reference", bool),
        axes=axes,
        equation=place.get("equation", str, None),
        code=place.get("code", str, None),
        section=place.get("section", str, None),
        function=place.get("function", str),
        file=place.get("file", str),
        line=place.get("line", int),
        inputs=place.list_of("inputs", str),
        depends_on_mask=place.get("depends_on_mask", bool),
        cases=of_case,
        sampled=sampled,
    )


def read_tensor_case(place: Place) -> TensorCase:
    tolerance = place.below("tolerance")
    found: dict[str, Tolerance | None] = {}
    if any(size < 0 for size in place.list_of("shape", int)):
        place.fail("shape", "sizes of 0 or more")
    for dtype in DTYPES:
        if tolerance.get(dtype, dict, None) is None:
            found[dtype] = None
            continue
        part = tolerance.below(dtype)
        numbers = [part.number(name) for name in ("expected", "local")]
        padded = [
            part.number(name) if name in part.values else None
            for name in ("expected_padded", "local_padded")
        ]
        found[dtype] = Tolerance(*numbers, *padded)
    return TensorCase(place.list_of("shape", int), found)


def read_mistake(place: Place, cases: Mapping[str, Case], tensors: Mapping[str, Any]) -> Mistake:
    first = place.below("first_divergence")
    for name in first.values:
        tensor = first.get(name, str, None)
        if name not in cases or tensor not in (None, *tensors):
            first.fail(name, "a tensor of the kit, or null, for a case of the kit")
    return Mistake(place.get("name", str), place.get("about", str), first.values)


def check_names(tensors: Mapping[str, Tensor]) -> None:
    """Let every name and alias stand for one tensor."""
    owners: dict[str, str] = {}
    for tensor in tensors.values():
        for name in (tensor.name, *tensor.aliases):
            if owners.setdefault(name, tensor.name) != tensor.name:
                raise ValueError(
                    f"{short.repr(name)} is a name of two tensors, {owners[name]} and {tensor.name}"
                )


def unique(parts: list[Any], what: str) -> dict[str, Any]:
    found = {part.name: part for part in parts}
    if len(found) != len(parts):
        raise ValueError(f"{what}: two have the same name")
    return found


class Place:
    """A JSON object within the manifest, and the way to it, for errors."""

    def __init__(self, values: Any, where: str):
        self.where = where
        if not isinstance(values, dict):
            raise ValueError(f"{where} is {short.repr(values)}, expected a JSON object")
        self.values: dict[str, Any] = values

    def fail(self, name: str, expected: str) -> NoReturn:
        found = short.repr(self.values[name]) if name in self.values else "missing"
        raise ValueError(f"{self.where}.{name} is {found}, expected {expected}")

    def get(self, name: str, kind: type, *also: Any) -> Any:
        """Return a field of this type, or one of the values in `also`."""
        value = self.values.get(name)
        allowed = name in self.values and any(value is other for other in also)
        if not allowed and type(value) is not kind:  # isinstance takes True for a 1
            self.fail(name, f"{kind.__name__}{' or null' if also else ''}")
        return value

    def number(self, name: str) -> float:
        """Return a finite number of 0 or more."""
        value = self.values.get(name)
        # `type`, for isinstance takes True for a 1
        if value is None or type(value) not in (int, float) or not 0 <= value < float("inf"):
            self.fail(name, "a finite number of 0 or more")
        return float(value)

    def list_of(self, name: str, kind: type) -> tuple[Any, ...]:
        values = self.get(name, list)
        for number, value in enumerate(values):
            if type(value) is not kind:
                self.fail_at(f"{name}[{number}]", value, kind)
        return tuple(values)

    def table(self, name: str, kind: type) -> dict[str, Any]:
        values = self.get(name, dict)
        for key, value in values.items():
            if type(value) is not kind:
                self.fail_at(f"{name}.{short.repr(key)[1:-1]}", value, kind)
        return values

    def fail_at(self, name: str, value: Any, kind: type) -> NoReturn:
        found = short.repr(value)
        raise ValueError(f"{self.where}.{name} is {found}, expected {kind.__name__}")

    def below(self, name: str) -> Place:
        return Place(self.get(name, dict), f"{self.where}.{name}")

    def each(self, name: str) -> list[Place]:
        values = self.get(name, list)
        return [Place(value, f"{self.where}.{name}[{i}]") for i, value in enumerate(values)]
