"""The tokenizer's golden kit: what ships, its schema and its page, and damage to it."""

import argparse
import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest

from npbert import BertTokenizer
from npbert.__main__ import main
from npbert.commands.golden_tokenizer import add_check_tokenizer
from npbert.golden.wordpiece.kit import EXPECTED, FILES, INPUTS, MANIFEST, SCHEMA, TokenizerKit
from npbert.golden.wordpiece.making import make_tokenizer_kit
from npbert.golden.wordpiece.mistakes import KINDS, MISTAKES
from npbert.golden.wordpiece.steps import FIELDS, STAGES

WEIGHTS = Path(__file__).parents[2] / "weights"
DIRECTORY = WEIGHTS / "golden" / "wordpiece"


@pytest.fixture(scope="module")
def kit():
    return TokenizerKit.read(DIRECTORY)


def lines(name):
    return [json.loads(line) for line in (DIRECTORY / name).read_text("ascii").splitlines()]


# ---- what ships --------------------------------------------------------------------------------


def test_it_is_what_the_command_makes(tmp_path):
    made = make_tokenizer_kit(tmp_path / "wordpiece")
    for name in (*FILES, SCHEMA):
        assert (made / name).read_bytes() == (DIRECTORY / name).read_bytes(), (
            "npbert golden make-tokenizer weights/golden/wordpiece makes it anew"
        )


def test_everything_is_as_the_schema_says(kit):
    schema = json.loads((DIRECTORY / SCHEMA).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((DIRECTORY / MANIFEST).read_text("utf-8")), schema)
    for name, entries in (("input", lines(INPUTS)), ("expected", lines(EXPECTED))):
        part = {"$defs": schema["$defs"], "$ref": f"#/$defs/{name}"}
        validator = jsonschema.Draft202012Validator(part)
        for entry in entries:
            validator.validate(entry)
        assert [entry["name"] for entry in entries] == [*kit.cases]


def test_size_and_breadth(kit):
    assert sum(path.stat().st_size for path in DIRECTORY.iterdir()) < 500_000
    assert len({case.script for case in kit.cases.values()}) > 12
    traps = {trap for case in kit.cases.values() for trap in case.traps}
    assert traps == {kind.partition(" in ")[0] for kind in KINDS}
    assert set(kit.settings) == {"uncased", "cased", "accents"}


def test_values_are_those_of_the_tokenizer(kit):
    """Every stage of `explain`, and the row of a call: another implementation than the kit's."""
    tokenizers = {
        name: BertTokenizer(
            kit.vocabulary,
            do_lower_case=settings["do_lower_case"],
            strip_accents=settings["strip_accents"],
        )
        for name, settings in kit.settings.items()
    }
    for case in kit.cases.values():
        tokenizer, expected = tokenizers[case.settings], kit.expected[case.name]
        row = tokenizer(
            *case.texts,
            add_special_tokens=case.add_special_tokens,
            truncation=case.truncation or False,
            max_length=case.max_length,
        )[0]
        assert (row.ids, row.type_ids) == (expected["ids"], expected["type_ids"])
        assert [[*place] for place in row.offsets] == expected["offsets"]
        for place, in_bytes, number in zip(row.offsets, expected["byte_offsets"], row.sequence_ids):
            if number is not None:
                before, inside = case.texts[number][: place[0]], slice(*place)
                start = len(before.encode())
                assert in_bytes == [start, start + len(case.texts[number][inside].encode())]
        if case.text_pair is None:
            explained = tokenizer.explain(case.text)
            for stage in STAGES:
                assert [part.text for part in explained[stage].parts] == expected[stage], case.name


def test_a_stranger_fills_in_what_is_left_out(kit):
    texts = {entry["name"]: entry["text"] for entry in lines(INPUTS) if "text_pair" not in entry}
    for entry in lines(EXPECTED):
        if entry["name"] in texts:
            before = [texts[entry["name"]]] if texts[entry["name"]] else []
            for stage in STAGES:
                before = entry.get(stage, before)
                assert before == kit.expected[entry["name"]][stage]
        else:
            assert not set(STAGES) & set(entry)


def test_the_page_explains_every_option_and_field():
    page = (DIRECTORY / "README.md").read_text("utf-8")
    parser = argparse.ArgumentParser()
    add_check_tokenizer(parser.add_subparsers())
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    actions = subparsers.choices["check-tokenizer"]._actions
    options = {o for a in actions for o in a.option_strings} - {"-h", "--help"}
    assert options == {*re.findall(r"^\| `(--[a-z]+)", page, re.MULTILINE)}
    assert all(f"`{name}`" in page for name in (*FIELDS, *FILES))
    example = re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0]
    assert all("name" in json.loads(line) for line in example.splitlines())


def test_mistakes_have_names_of_their_own():
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) > 50
    assert {mistake.stage for mistake in MISTAKES} <= {*FIELDS}


# ---- making ------------------------------------------------------------------------------------


def test_a_kit_of_another_vocabulary(tmp_path, capsys):
    vocabulary = WEIGHTS / "convbert-tiny" / "vocab.txt"
    assert main(["golden", "make-tokenizer", str(tmp_path), "--vocabulary", str(vocabulary)]) == 0
    assert "8192 tokens" in capsys.readouterr().out
    ours = TokenizerKit.read(tmp_path)
    tokenizer = BertTokenizer(vocabulary)
    case = ours.cases["uncased/latin"]
    assert ours.expected[case.name]["ids"] == tokenizer(case.text)["input_ids"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\n", r"no \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\] in the vocabulary"),
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n", "a token is there twice"),
        ("[PAD]\n\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", "or a line is empty"),
    ],
)
def test_vocabularies_that_are_refused(tmp_path, text, message):
    path = tmp_path / "vocab.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        make_tokenizer_kit(tmp_path / "kit", path)
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    "name, text", [("thesis.tex", "all of it"), (MANIFEST, '{"format": "another kit"}')]
)
def test_a_folder_with_something_else_is_left_alone(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="holds something else than a tokenizer's kit"):
        make_tokenizer_kit(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == text


# ---- damage ------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(DIRECTORY, tmp_path / "wordpiece")


@pytest.mark.parametrize("name", FILES[1:])
def test_a_file_that_was_changed_or_is_missing(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}: the kit is damaged"):
        TokenizerKit.read(copy)
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {name}"):
        TokenizerKit.read(copy)


def change(folder, **values):
    manifest = json.loads((folder / MANIFEST).read_text("utf-8")) | values
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "other"}, "format is 'other', expected 'npbert tokenizer kit 1'"),
        ({"settings": {"uncased": {"do_lower_case": True}}}, "something is missing"),
        ({"settings": []}, "something is missing"),
        ({"files": None}, "the kit is damaged"),
        (
            {"settings": {
                name: dict(do_lower_case=True, strip_accents=True, tokenize_chinese_chars=True)
                for name in ("uncased", "cased", "accents")
            }},
            "is not what npbert gives",
        ),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit(copy, values, message):
    change(copy, **values)
    with pytest.raises(ValueError, match=message):
        TokenizerKit.read(copy)


def test_the_kit_of_a_model_is_told_apart(tmp_path):
    with pytest.raises(ValueError, match="is the kit of a model, expected one of a tokenizer"):
        TokenizerKit.read(WEIGHTS / "golden" / "bert-model")
    with pytest.raises(FileNotFoundError, match=MANIFEST):
        TokenizerKit.read(tmp_path)
