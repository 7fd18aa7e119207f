"""A golden kit of the tokenizer: texts, settings, a vocabulary, and what every stage gives.

    kit = TokenizerKit.read("weights/golden/wordpiece")
    kit.cases["uncased/greek"].text, kit.expected["uncased/greek"]["ids"]

The directory holds tokenizer_kit.json, vocab.txt, inputs.jsonl and expected.jsonl, in which a line
is a case. Everything outside ASCII is escaped in the lines, so that none breaks at a character in
the text. A stage that expected.jsonl does not name gives what the one before it gave.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from npbert.checkpoints.directory import read_json
from npbert.checkpoints.files import naming, short
from npbert.checkpoints.saving import reading, saving
from npbert.checkpoints.writing import atomic_write
from npbert.golden.kit import check_target as check_directory
from npbert.golden.kit import digest
from npbert.golden.wordpiece.steps import RIGHT, SPECIAL, STAGES, Case, Values, run

FORMAT = "npbert tokenizer kit 1"
MANIFEST, SCHEMA = "tokenizer_kit.json", "tokenizer_kit.schema.json"
VOCABULARY, INPUTS, EXPECTED = "vocab.txt", "inputs.jsonl", "expected.jsonl"
FILES = (MANIFEST, VOCABULARY, INPUTS, EXPECTED)
DEFAULTS = {each.name: each.default for each in fields(Case)}


@dataclass
class TokenizerKit:
    """A kit that was read, is complete, and holds what npbert's own steps give.

    settings    by name: which of the optional stages run
    vocabulary  tokens and their ids
    cases, expected
                by name: what to tokenize, and every field of what comes out
    made        what came out with mistakes, by their names and that of the case, once computed
    """

    name: str
    settings: dict[str, dict[str, bool]]
    vocabulary: dict[str, int]
    cases: dict[str, Case]
    expected: dict[str, Values]
    made: dict[tuple[tuple[str, ...], str], Values] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"TokenizerKit({self.name}: {len(self.cases)} cases)"

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> TokenizerKit:
        """Read a kit, and check every file and every value.

        Raises FileNotFoundError for a directory or file that is missing, ValueError for what is
        damaged, or is no such kit.
        """
        directory = Path(directory)
        with reading(directory):
            return cls._read(directory)

    @classmethod
    def _read(cls, directory: Path) -> TokenizerKit:
        if (directory / "manifest.json").is_file() and not (directory / MANIFEST).is_file():
            raise ValueError(
                f"{directory} is the kit of a model, expected one of a tokenizer "
                "(npbert golden check checks a model)"
            )
        manifest = read_json(directory, MANIFEST)
        if manifest.get("format") != FORMAT:
            found = short.repr(manifest.get("format"))
            raise ValueError(f"{directory / MANIFEST}: format is {found}, expected {FORMAT!r}")
        digests = manifest.get("files")
        for name in FILES[1:]:
            if not (directory / name).is_file():
                raise FileNotFoundError(f"{directory}: no {name}")
            if not isinstance(digests, dict) or digest(directory / name) != digests.get(name):
                raise damaged(directory / name, f"not the file of which {MANIFEST} has the SHA-256")
        try:
            kit = cls(
                str(manifest["name"]),
                {
                    name: {switch: bool(is_on) for switch, is_on in switches.items()}
                    for name, switches in manifest["settings"].items()
                },
                read_vocabulary(directory / VOCABULARY),
                {entry["name"]: case_of(entry) for entry in read_lines(directory / INPUTS)},
                {},
            )
            kit.expected = {
                case.name: run(RIGHT, kit.vocabulary, kit.settings[case.settings], case)
                for case in kit.cases.values()
            }
        except (KeyError, TypeError, AttributeError) as error:
            what = f"{type(error).__name__} {error}"
            raise damaged(directory / MANIFEST, f"something is missing ({what})") from None
        written = {entry.pop("name"): entry for entry in read_lines(directory / EXPECTED)}
        for name, values in kit.expected.items():
            if written.get(name) != without_repetitions(values, kit.cases[name]):
                raise damaged(directory / EXPECTED, f"{name} is not what npbert gives")
        return kit


def damaged(path: Path, how: str) -> ValueError:
    return ValueError(
        f"{path}: the kit is damaged or was made for another version of npbert: {how}; "
        "nothing was judged"
    )


def read_vocabulary(path: Path) -> dict[str, int]:
    """Read a vocabulary, a token a line: {token: the number of its line}.

    Raises ValueError for a file without the five special tokens.
    """
    with naming(path):
        try:
            lines = path.read_bytes().decode().split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8 at byte {error.start}") from None
        found = {token.removesuffix("\r"): number for number, token in enumerate(lines)}
        found.pop("", None)
        missing = [token for token in SPECIAL if token not in found]
        if missing:
            raise ValueError(f"no {', '.join(missing)} in the vocabulary")
    return found


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines, each with a "name" of its own; skip blank lines.

    Raises ValueError that names the line.
    """
    names = set()
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        with naming(f"{path}, line {number}"):
            try:
                entry = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError:
                raise ValueError("not UTF-8") from None
            except (ValueError, RecursionError):
                raise ValueError(f"not JSON: {short.repr(line.decode(errors='replace'))}") from None
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ValueError('expected a JSON object with a "name"')
            if entry["name"] in names:
                raise ValueError(f"a second line for {short.repr(entry['name'])}")
            names.add(entry["name"])
        yield entry


def case_of(entry: Mapping[str, Any]) -> Case:
    traps = entry.get("traps", ())
    return Case(**{**entry, "traps": tuple(traps)})


# ---- writing -----------------------------------------------------------------------------------


def without_repetitions(values: Values, case: Case) -> Values:
    """Leave out every stage that gives what the one before it gave; the first is the text."""
    kept: Values = {}
    before = [case.text] if case.text else []
    for name, value in values.items():
        if name not in STAGES:
            kept[name] = value
        elif value != before:
            kept[name] = before = value
    return kept


def check_target(directory: str | os.PathLike[str]) -> Path:
    """Return a directory that a kit can be written to; raise ValueError where something else is."""
    return check_directory(directory, MANIFEST, FORMAT, "a tokenizer's kit")


def write_kit(
    directory: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    vocabulary: Iterable[str],
    cases: Iterable[Case],
) -> None:
    """Write a kit, the same bytes for the same contents; an older one is replaced as a whole."""
    directory = check_target(directory)
    tokens = {token: number for number, token in enumerate(vocabulary)}
    settings = manifest["settings"]
    inputs, expected = [], []
    for case in cases:
        inputs.append({n: v for n, v in vars(case).items() if v != DEFAULTS[n] or n == "script"})
        values = run(RIGHT, tokens, settings[case.settings], case)
        expected.append({"name": case.name, **without_repetitions(values, case)})
    texts = {
        VOCABULARY: "".join(f"{token}\n" for token in tokens),
        INPUTS: "".join(f"{json.dumps(entry)}\n" for entry in inputs),
        EXPECTED: "".join(f"{json.dumps(e, separators=(',', ':'))}\n" for e in expected),
    }
    with saving(directory, obsolete=FILES) as new:
        for name, text in texts.items():
            (new / name).write_bytes(text.encode())
        (new / SCHEMA).write_bytes(Path(__file__).with_name(SCHEMA).read_bytes())
        values = {**manifest, "files": {name: digest(new / name) for name in (*texts, SCHEMA)}}
        with atomic_write(new / MANIFEST) as file:
            file.write((json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode())
