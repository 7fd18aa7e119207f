"""The arrays of a port: which tensor of a kit each is, and the dtype it is judged in."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npbert.checkpoints import safetensors
from npbert.golden.kit import Kit
from npbert.golden.manifest import Case

STORED = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float32"}
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
        header = safetensors.header(given).tensors
        arrays = safetensors.read(given)
        return arrays, {name: STORED.get(header[name].dtype, "") for name in arrays}
    arrays = {name: np.asarray(value) for name, value in given.items()}
    known = {"float16": "float16", "float32": "float32", "float64": "float32"}
    return arrays, {name: known.get(str(array.dtype), "") for name, array in arrays.items()}


def sort_out(
    kit: Kit, arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, str], case: str | None
) -> tuple[dict[str, Port], dict[str, str | None], int]:
    """Assign each array to a tensor of a case.

    Returns what there is for each case; the names that the kit does not know, with the nearest it
    does; and how many arrays are of cases that were not asked for.
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
    nearest = nearest_names(kit, unknown, only)
    if not ports:
        raise ValueError(nothing_known(kit, arrays, nearest, bare, case))
    return ports, nearest, elsewhere


def nearest_names(kit: Kit, unknown: list[str], only: str | None) -> dict[str, str | None]:
    """Return unknown names, each with the nearest one that the kit knows, if any is near."""
    found: dict[str, str | None] = dict.fromkeys(unknown)
    for written in unknown[:SEARCHED]:
        beginning, slash, rest = written.rpartition("/")
        if rest in kit.by_name:  # the case is what is wrong
            near = difflib.get_close_matches(beginning, kit.cases, 1, 0)
            found[written] = f"{near[0]}/{rest}"
            continue
        names = difflib.get_close_matches(rest, kit.by_name, 1)
        found[written] = f"{beginning}{slash}{names[0]}" if names else None
    return found


def nothing_known(
    kit: Kit, arrays: Mapping, nearest: Mapping[str, str | None], bare: int, case: str | None
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
    written, near = next(iter(nearest.items()))
    hint = f", the nearest to it is {near!r}" if near else ""
    return (
        f"none of the {len(arrays)} arrays is a tensor of the kit {kit.name}: {written!r} is the "
        f"first{hint} (names are '<case>/<name>', cases are {cases})"
    )
