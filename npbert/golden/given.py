"""The arrays of a port: which tensor of a kit each is, and the dtype it is judged in."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from npbert.checkpoints import numpy_weights, safetensors
from npbert.checkpoints.files import naming, short
from npbert.golden.kit import Kit
from npbert.golden.manifest import Case

STORED = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float32"}
JUDGED = {"float16": "float16", "float32": "float32", "float64": "float32"}  # by NumPy's names
SEARCHED = 50  # unknown names for which the nearest known one is looked up


@dataclass
class Port:
    """The arrays of a port for one case, and their dtypes, by the names of the kit.

    dtypes   what each is judged as, "" for what is no floating-point number
    written  what each is called in the file
    """

    case: Case
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)


def read_given(given: Any) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a port's arrays and the dtype that each is judged in, as the file names them."""
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if path.is_dir():
            given = read_folder(path)
        elif path.suffix == ".npz":
            given = numpy_weights.read(path)
        else:
            header = safetensors.header(path).tensors
            arrays = safetensors.read(path)
            return arrays, {name: STORED.get(header[name].dtype, "") for name in arrays}
    if not isinstance(given, Mapping):
        raise ValueError(f"{short.repr(given)} given, expected a file, a folder or arrays by name")
    arrays, dtypes = {}, {}
    for name, value in flattened(given).items():
        arrays[name], dtypes[name] = as_array(name, value)
    return arrays, dtypes


def flattened(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given under "<case>/<name>", where it was given as {case: {name: array}}."""
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise ValueError(f"{short.repr(name)} is no name of an array, expected a text")
        inner = value if isinstance(value, Mapping) else {"": value}
        flat |= {f"{name}/{rest}" if rest else name: each for rest, each in inner.items()}
    return flat


def as_array(name: str, value: Any) -> tuple[np.ndarray, str]:
    """Return one array of a port, and the dtype that it is judged in; "" for one without any.

    Tensors of other frameworks are taken, too; those in bfloat16, which NumPy lacks, are widened.
    """
    if hasattr(value, "detach"):  # torch's, which may require gradients or be on another device
        value = value.detach().cpu()
    dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if dtype == "bfloat16":
        value = value.float() if hasattr(value, "float") else value.astype(np.float32)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: no array, {short.repr(str(error))}") from None
    return array, "bfloat16" if dtype == "bfloat16" else JUDGED.get(str(array.dtype), "")


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Read a folder of CASE/NAME.npy files, or of NAME.npy files of one case.

    Raises ValueError for a folder without any, and for a damaged file.
    """
    arrays = {}
    for path in sorted(folder.rglob("*.npy")):
        name = path.relative_to(folder).as_posix().removesuffix(".npy")
        with naming(path):
            try:
                arrays[name] = np.load(path, allow_pickle=False)
            except (EOFError, OSError, SyntaxError, TypeError, MemoryError, TokenError) as error:
                raise ValueError(f"no .npy file: {short.repr(str(error))}") from None
    if not arrays:
        raise ValueError(f"{folder}: no .npy files in it, expected CASE/NAME.npy")
    return arrays


def sort_out(
    kit: Kit, arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, str], case: str | None
) -> tuple[dict[str, Port], dict[str, str], int]:
    """Assign each array to a tensor of a case.

    Returns what there is for each case; the names that the kit does not know, with what may have
    been meant; and how many arrays are of cases that were not asked for.
    """
    if case is not None:
        kit.case(case)
    only = case or (next(iter(kit.cases)) if len(kit.cases) == 1 else None)
    found: dict[str, Port] = {name: Port(kit.cases[name]) for name in kit.cases}
    unknown, bare, elsewhere = [], 0, 0
    for written, array in arrays.items():
        beginning, slash, rest = written.partition("/")
        name, of_case = (rest, beginning) if slash and beginning in kit.cases else (written, only)
        if case is not None and of_case != case:
            elsewhere += 1
        elif name not in kit.by_name or of_case is None:
            unknown.append(written)
            bare += name in kit.by_name
        else:
            tensor, port = kit.tensor(name), found[of_case]
            if tensor.name in port.arrays and name != tensor.name:
                continue  # the same tensor once more, under another name
            port.arrays[tensor.name] = array
            port.dtypes[tensor.name] = dtypes[written]
            port.written[tensor.name] = written
    ports = {name: port for name, port in found.items() if port.arrays}
    nearest = remarks_on(kit, unknown)
    if not ports:
        raise ValueError(nothing_known(kit, arrays, nearest, bare, case))
    return ports, nearest, elsewhere


def remarks_on(kit: Kit, unknown: list[str]) -> dict[str, str]:
    """Return unknown names, each with what may have been meant, "" where nothing is near."""
    found = dict.fromkeys(unknown, "")
    for written in unknown[:SEARCHED]:
        beginning, slash, rest = written.rpartition("/")
        if rest in kit.by_name and not slash:
            found[written] = f"of which case? They are {', '.join(kit.cases)}"
        elif rest in kit.by_name:  # the case is what is wrong
            near = difflib.get_close_matches(beginning, kit.cases, 1, 0)
            found[written] = f"the nearest name is {near[0]}/{rest}"
        elif layers := layers_instead(kit, rest):
            found[written] = layers
        elif names := difflib.get_close_matches(rest, kit.by_name, 1):
            found[written] = f"the nearest name is {beginning}{slash}{names[0]}"
    return found


def layers_instead(kit: Kit, name: str) -> str:
    """Say which layers a kit holds, if it does not hold the one of this name."""
    of_layer = re.compile(r"(.*encoder\.layers?\.)(\d+)((?:\..*)?)")
    match = of_layer.fullmatch(name)
    if not match:
        return ""
    known = [found for found in map(of_layer.fullmatch, kit.by_name) if found]
    same = {int(found[2]) for found in known if (found[1], found[3]) == (match[1], match[3])}
    if not same or int(match[2]) in same:
        return ""
    *most, last = map(str, sorted(same))
    held = f"{', '.join(most)} and {last}" if most else last
    where = f" of layer {match[2]}" if any(found[2] == match[2] for found in known) else ""
    what = f"{match[3][1:]}{where}" if where else f"layer {match[2]}"
    return f"this kit does not hold {what} (it holds {held})"


def nothing_known(
    kit: Kit, arrays: Mapping, nearest: Mapping[str, str], bare: int, case: str | None
) -> str:
    if not arrays:
        return "no arrays were given"
    cases = ", ".join(kit.cases)
    if case is not None and not nearest:
        return f"none of the {len(arrays)} arrays is of case {case!r}"
    if bare:
        return (
            f"{bare} names say nothing of the case: write '<case>/<name>', or choose one "
            f"(--case) of {cases}"
        )
    written, remark = next(iter(nearest.items()))
    hint = f", {remark}" if remark else ""
    return (
        f"none of the {len(arrays)} arrays is a tensor of the kit {kit.name}: "
        f"{short.repr(written)} is the first{hint} (names are '<case>/<name>', cases are {cases})"
    )
