"""Checks public WordPiece tokenizers by the golden kit, and prints a table of what differs.

    python -m pip install tokenizers tokie nanotoken iree-tokenizer flash-tokenizer kitoken
    npm install @huggingface/tokenizers
    python weights/compare_tokenizers.py [--modules node_modules] [NAME ...]

What is not installed is left out. Each tokenizer runs in a process of its own, for one that was
compiled may end it, and is given the kit's vocabulary in the form it takes: tokenizer.json or
vocab.txt. It gives what its interface has; a case that it cannot express (pairs, say) is not given,
and one at which it fails is counted. A table of a day is in tutorials/02_words_into_pieces.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from npbert import BertTokenizer
from npbert.golden.wordpiece.checking import check_tokenizer
from npbert.golden.wordpiece.kit import TokenizerKit
from npbert.golden.wordpiece.report import TokenizerReport
from npbert.golden.wordpiece.steps import Case

KIT = Path(__file__).parent / "golden" / "wordpiece"
CLS, SEP = 2, 3
Fields = dict[str, Any]
Encode = Callable[[Case], "Fields | None"]  # None: the interface has no way to say this


# ---- one function for each tokenizer: from the files of a setting to a function of a case ------


def rust(files: Path, settings: dict[str, bool]) -> Encode:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))

    def encode(case: Case) -> Fields:
        tokenizer.no_truncation()
        if case.max_length is not None:
            tokenizer.enable_truncation(case.max_length, strategy=case.truncation)
        row = tokenizer.encode(*case.texts, add_special_tokens=case.add_special_tokens)
        return {"ids": row.ids, "type_ids": row.type_ids, "offsets": [[*p] for p in row.offsets]}

    return encode


def tokie(files: Path, settings: dict[str, bool]) -> Encode:
    from tokie import Tokenizer

    tokenizer = Tokenizer.from_json(str(files / "tokenizer.json"))

    def encode(case: Case) -> Fields | None:
        tokenizer.no_truncation()
        if case.max_length is not None:
            tokenizer.enable_truncation(case.max_length, strategy=case.truncation)
        if case.text_pair is None:
            row = tokenizer.encode(case.text, case.add_special_tokens)
        elif case.add_special_tokens:
            row = tokenizer.encode_pair(*case.texts)
        else:
            return None
        return {"ids": [*row.ids], "type_ids": [*row.type_ids]}

    return encode


def nanotoken(files: Path, settings: dict[str, bool]) -> Encode:
    from nanotoken import Tokenizer

    tokenizer = Tokenizer(str(files / "tokenizer.json")).as_hf()

    def encode(case: Case) -> Fields | None:
        if case.text_pair is not None:
            return None
        options = {}
        if case.max_length is not None:
            options = {"truncation": True, "max_length": case.max_length}
        row = tokenizer(case.text, add_special_tokens=case.add_special_tokens, **options)
        return {"ids": [*row["input_ids"]], "type_ids": [*row["token_type_ids"]]}

    return encode


def iree(files: Path, settings: dict[str, bool]) -> Encode:
    from iree.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))

    def encode(case: Case) -> Fields | None:
        if case.text_pair is not None or case.max_length is not None:
            return None
        return {"ids": tokenizer.encode(case.text, add_special_tokens=case.add_special_tokens)}

    return encode


def flash(files: Path, settings: dict[str, bool]) -> Encode:
    from flash_tokenizer import BertTokenizerFlash

    if settings["strip_accents"] != settings["do_lower_case"]:
        return lambda case: None  # there is one switch for both
    tokenizer = BertTokenizerFlash(
        str(files / "vocab.txt"), do_lower_case=settings["do_lower_case"]
    )

    def encode(case: Case) -> Fields | None:
        if case.text_pair is not None or not case.add_special_tokens:
            return None
        row = tokenizer(case.text, padding="longest", max_length=case.max_length or 512)
        return {"ids": [*row["input_ids"][0]]}

    return encode


def kitoken(files: Path, settings: dict[str, bool]) -> Encode:
    from kitoken import Kitoken

    tokenizer = Kitoken.from_tokenizers_file(str(files / "tokenizer.json"))

    def encode(case: Case) -> Fields | None:
        if case.text_pair is not None or case.max_length is not None:
            return None
        ids = tokenizer.encode(case.text, True)  # special tokens are the caller's
        return {"ids": [CLS, *ids, SEP] if case.add_special_tokens else [*ids]}

    return encode


TOKENIZERS = {  # the name of the distribution: the function
    "tokenizers": rust,
    "tokie": tokie,
    "nanotoken": nanotoken,
    "iree-tokenizer": iree,
    "flash-tokenizer": flash,
    "kitoken": kitoken,
}
JAVASCRIPT = "@huggingface/tokenizers"
SCRIPT = """
import fs from "node:fs";
import { createRequire } from "node:module";
const [modules, inputs, folder, out] = process.argv.slice(2);
const { Tokenizer } = createRequire(modules + "/")("@huggingface/tokenizers");
const read = (path) => JSON.parse(fs.readFileSync(path));
const made = {};
const lines = fs.readFileSync(inputs, "utf8").split("\\n").filter(Boolean).map(JSON.parse);
fs.writeFileSync(out, "");
for (const line of lines) {
  if (line.max_length !== undefined) continue; // its interface does not truncate
  const files = `${folder}/${line.settings}`;
  made[line.settings] ??= new Tokenizer(
    read(`${files}/tokenizer.json`), read(`${files}/tokenizer_config.json`));
  const options = { add_special_tokens: line.add_special_tokens ?? true,
    text_pair: line.text_pair ?? null, return_token_type_ids: true };
  let entry;
  try {
    const row = made[line.settings].encode(line.text, options);
    entry = { name: line.name, ids: row.ids };
    if (row.token_type_ids) entry.type_ids = row.token_type_ids;
  } catch { entry = { name: line.name }; }
  fs.appendFileSync(out, JSON.stringify(entry) + "\\n");
}
"""


# ---- running and checking ----------------------------------------------------------------------


def write_files(kit: TokenizerKit, folder: Path) -> None:
    """Write what tokenizers are loaded from, a folder for each of the settings."""
    for name, settings in kit.settings.items():
        BertTokenizer(
            kit.vocabulary,
            do_lower_case=settings["do_lower_case"],
            strip_accents=settings["strip_accents"],
        ).save_pretrained(folder / name)


def run_one(name: str, folder: Path, out: Path) -> None:
    """Run a tokenizer on every case, and write what it gives; at what it fails, only the name."""
    kit = TokenizerKit.read(KIT)
    encoders = {
        each: TOKENIZERS[name](folder / each, settings) for each, settings in kit.settings.items()
    }
    with out.open("w") as file:
        for case in kit.cases.values():
            try:
                fields = encoders[case.settings](case)
            except BaseException as error:  # a panic of Rust is no Exception
                if isinstance(error, KeyboardInterrupt):
                    raise
                fields = {}
            if fields is not None:
                ids = {
                    key: [*map(int, fields[key])] for key in ("ids", "type_ids") if key in fields
                }
                file.write(json.dumps({"name": case.name, **fields, **ids}) + "\n")


def version_of(name: str, modules: Path) -> str | None:
    """Return the version of a distribution or a package of Node; None where it is missing."""
    if name == JAVASCRIPT:
        path = modules / name / "package.json"
        return json.loads(path.read_text("utf-8"))["version"] if path.is_file() else None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def row_of(name: str, version: str, report: TokenizerReport, failed: int) -> str:
    """Return the line of the table."""
    given, wrong = len(report.rows), len(report.failures)
    found = [f"{f.mistakes[0].about} ({len(f.explained)})" for f in report.findings]
    if report.kind:
        found.append(f"{len(report.unexplained)} more, most likely {report.kind}")
    if failed:
        found.append(f"fails at {failed}")
    cells = name, version, str(given), str(given - wrong), "; ".join(found) or "nothing"
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*TOKENIZERS, JAVASCRIPT]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--modules", type=Path, default=Path("node_modules"))
    parser.add_argument("--show", action="store_true", help="print each report as well")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        name, folder, out = arguments.run
        return run_one(name, Path(folder), Path(out))
    kit = TokenizerKit.read(KIT)
    print(f"{datetime.date.today()}, {len(kit.cases)} cases\n")
    print("| tokenizer | version | cases given | right | a tokenizer that differs in this |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        write_files(kit, Path(folder))
        for name in arguments.names or names:
            version = version_of(name, arguments.modules)
            if version is None:
                print(f"{name} is not installed", file=sys.stderr)
                continue
            out = Path(folder, "mine.jsonl")
            command = [sys.executable, __file__, "--run", name, folder, str(out)]
            if name == JAVASCRIPT:
                script = Path(folder, "run.mjs")
                script.write_text(SCRIPT)
                modules, inputs = arguments.modules.resolve(), KIT / "inputs.jsonl"
                command = ["node", *map(str, (script, modules.parent, inputs, folder, out))]
            subprocess.run(command, check=False)
            entries = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
            given = {entry.pop("name"): entry for entry in entries if len(entry) > 1}
            report = check_tokenizer(kit, given)
            print(row_of(name, version, report, len(entries) - len(given)), flush=True)
            if arguments.show:
                print(report.render())


if __name__ == "__main__":
    main()
