"""Rebuilds the mistakes of museum.json, checks each by a golden kit, and writes museum.md.

    python tutorials/write_museum.py

An entry is a mistake that a public port made, with its report. It is rebuilt as an edit of npbert's
source, of a parameter or of the inputs, and the port that makes it is checked like any other.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

import npbert
from npbert.golden import Kit
from npbert.golden.checking import check_kit
from npbert.golden.mistakes.around import AROUND
from npbert.golden.mistakes.catalogue import MISTAKES, planted
from npbert.golden.mistakes.planting import Edit, Mistake
from npbert.golden.report import about_first, diagnosis
from npbert.golden.wordpiece.checking import check_tokenizer
from npbert.golden.wordpiece.diagnosis import values_with
from npbert.golden.wordpiece.kit import TokenizerKit
from npbert.golden.wordpiece.mistakes import MISTAKES as OF_TOKENIZERS
from npbert.golden.wordpiece.rows import Row

FOLDER = Path(__file__).parent
KITS = FOLDER.parent / "weights" / "golden"
ENTRIES = json.loads((FOLDER / "museum.json").read_text("utf-8"))
PAGE = FOLDER / "museum.md"
SHOWN = 4  # numbers of an array
HEAD = """# A museum of mistakes

Every mistake here was made in a public implementation of BERT or of one of its relatives, and
reported; the link leads to the report. Each was rebuilt in npbert's own forward pass and checked by
a [golden kit](../weights/golden/README.md), as one checks a port. *Values* are those of the first
array in computing order that is wrong; below them stands what the check says. None of them crashes.
"""


# ---- rebuilding --------------------------------------------------------------------------------


@functools.cache
def kit_of(name: str) -> Any:
    read = TokenizerKit.read if name == "wordpiece" else Kit.read
    return read(KITS / name)


def mistake_of(plant: dict[str, Any]) -> Mistake:
    """Return the mistake that an entry plants in the model; one that changes nothing for inputs."""
    if "mistake" in plant:
        return next(m for m in (*MISTAKES, *AROUND) if m.name == plant["mistake"])
    if "transposed" in plant:
        names = plant["transposed"]
        return Mistake(
            "transposed",
            "",
            parameters=lambda tensors: {n: a.T if n in names else a for n, a in tensors.items()},
        )
    return Mistake("edited", "", tuple(Edit(*edit) for edit in plant.get("edits", ())))


def port_of(entry: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a port with the mistake, computed in float64."""
    kit, plant = kit_of(entry["kit"]), entry["plant"]
    mistake, swapped = mistake_of(plant), plant.get("inputs", {})
    given = {}
    for case in entry["cases"]:
        right = kit.inputs(case)
        if swapped and "attention_mask" not in right:
            right["attention_mask"] = np.ones_like(right["input_ids"])
        inputs = {name: right[swapped.get(name, name)] for name in right if swapped.get(name, name)}
        with planted(mistake, kit.model()) as model, np.errstate(all="ignore"):
            for quantity in npbert.trace(model, **inputs):
                hidden = mistake.hidden and quantity.name.endswith(mistake.hidden)
                own = quantity.name.startswith("inputs.") or quantity.name not in kit.by_name
                if not (hidden or own):
                    given[f"{case}/{quantity.name}"] = quantity.value
    return given


@functools.cache
def checked(number: int) -> Any:
    """Return the report of an entry, by its number."""
    entry = ENTRIES[number]
    kit, plant = kit_of(entry["kit"]), entry["plant"]
    if "tokenizer" not in plant:
        return check_kit(kit, port_of(entry))
    mistake = tuple(m for m in OF_TOKENIZERS if m.name == plant["tokenizer"])
    rows = [Row(case, {}, kit.expected[name], []) for name, case in kit.cases.items()]
    return check_tokenizer(
        kit, {row.name: {"ids": values_with(kit, mistake, row)["ids"]} for row in rows}
    )


def named(number: int) -> list[str]:
    """Return the names of the mistakes that the check finds in an entry, or what is its shape's."""
    report = checked(number)
    if ENTRIES[number]["kit"] == "wordpiece":
        return [mistake.name for finding in report.findings for mistake in finding.mistakes]
    shapes = [row.verdict for row in report.given if row.verdict == "misshapen"]
    return [finding.mistake.name for finding in report.findings] + shapes[:1]


# ---- the page ----------------------------------------------------------------------------------


def values(number: int) -> list[str]:
    """Return a table of a few expected numbers and the port's, where the first array is wrong."""
    entry, report = ENTRIES[number], checked(number)
    if entry["kit"] == "wordpiece":
        return []
    row = report.first
    kit = kit_of(entry["kit"])
    expected = kit.expected(row.case)[row.name]
    given = port_of(entry)[row.written]
    where = row.expected.worst if row.expected and row.expected.worst else (0,) * expected.ndim
    place, first = where[:-1], where[-1] // SHOWN * SHOWN
    part = slice(first, first + SHOWN)
    rows = [expected, given]
    cells = [[shown(number) for number in array[place][part]] for array in rows]
    width = max(map(len, cells))
    lines = [f"`{row.name}`{list(place)}, from {first} on:", ""]
    lines += ["| |" + " |" * width, "|---|" + "--:|" * width]
    for name, numbers in zip(("expected", "the port"), cells):
        lines.append(f"| {name} | " + " | ".join(numbers + [""] * (width - len(numbers))) + " |")
    return [*lines, ""]


def shown(number: float) -> str:
    return "masked" if number < -1e30 else f"{number:.6g}"


def says(number: int) -> list[str]:
    """Return what the check says of an entry."""
    report = checked(number)
    if ENTRIES[number]["kit"] == "wordpiece":
        return report.sentences()
    return [*about_first(report, report.first), *diagnosis(report)]


def exhibit(number: int) -> str:
    """Return one entry of the gallery."""
    entry = ENTRIES[number]
    links = ", ".join(f"[{label(link)}]({link})" for link in entry["reports"])
    return "\n".join([
        f"## {number + 1}. {entry['title']}", "",
        f"**Symptom.** {entry['symptom']}", "",
        "**Values.** " + "\n".join(values(number) or ["Ids are all that was given.", ""]),
        "```text", *says(number), "```", "",
        f"**Cause.** {entry['cause']}", "",
        f"**Cure.** {entry['cure']}", "",
        f"Reported in {links}.", "",
    ])  # fmt: skip


def label(link: str) -> str:
    owner, name, kind, number = link.removeprefix("https://github.com/").split("/")
    return f"{owner}/{name}, {'issue' if kind == 'issues' else 'pull request'} {number}"


def page() -> str:
    return HEAD + "\n" + "\n".join(exhibit(number) for number in range(len(ENTRIES)))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
