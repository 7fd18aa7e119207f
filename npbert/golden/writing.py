"""Writes a golden kit beside its place, and moves it there: there is never half of one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import read_json
from npbert.golden.kit import MANIFEST
from npbert.golden.manifest import FORMAT


def check_target(directory: Path) -> None:
    """Raise ValueError unless a kit can be written there: nothing, an empty directory, or a kit."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(f"{directory} is a file, expected a directory for the kit")
    if not any(directory.iterdir()):
        return
    found = None
    if (directory / MANIFEST).is_file():
        found = read_json(directory, MANIFEST).get("format")
    if found != FORMAT:
        raise ValueError(f"{directory} holds something else than a golden kit: nothing was written")


def write_kit(
    directory: Path, values: Mapping[str, Any], files: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """Write the manifest and the files of arrays; an older kit gives way when all are there.

    The same contents give the same bytes. Whatever fails leaves the older kit as it was; only a
    crash between the two renamings at the end can leave it under its hidden name.
    """
    check_target(directory)
    directory = Path(os.path.abspath(directory))
    directory.parent.mkdir(parents=True, exist_ok=True)
    mark = os.urandom(4).hex()
    new = directory.with_name(f".{directory.name}.{mark}.new")
    old = directory.with_name(f".{directory.name}.{mark}.old")
    new.mkdir()
    try:
        for name, arrays in files.items():
            safetensors.write(new / name, arrays)
        with atomic_write(new / MANIFEST) as file:
            file.write("".join(lines(values)).encode())
        if directory.exists():
            os.replace(directory, old)
        os.replace(new, directory)
    except BaseException:
        if old.exists() and not directory.exists():
            os.replace(old, directory)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the manifest as JSON, with line breaks where a reader of the file wants them."""
    yield "{\n"
    for number, (name, value) in enumerate(values.items()):
        end = "\n" if number == len(values) - 1 else ",\n"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{text(name)}: [\n"
            yield ",\n".join(entry(part) for part in value)
            yield f"\n]{end}"
        else:
            yield f"{text(name)}: {text(value)}{end}"
    yield "}\n"


def entry(part: Mapping[str, Any]) -> str:
    """Return one entry of a list: on a line, but for the cases of a tensor, each on its own."""
    cases = part.get("cases")
    if not isinstance(cases, dict):
        return text(part)
    head = text({name: value for name, value in part.items() if name != "cases"})
    below = ",\n".join(f"  {text(name)}:{text(case)}" for name, case in cases.items())
    return f'{head[:-1]},"cases":{{\n{below}}}}}'


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
