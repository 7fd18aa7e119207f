"""npbert golden check-tokenizer: right tokenizers pass, every planted mistake is named."""

import json
from pathlib import Path

import pytest

from npbert.__main__ import main
from npbert.golden.wordpiece.checking import check_tokenizer
from npbert.golden.wordpiece.diagnosis import values_with
from npbert.golden.wordpiece.kit import TokenizerKit
from npbert.golden.wordpiece.mistakes import MISTAKES
from npbert.golden.wordpiece.rows import Row
from npbert.golden.wordpiece.steps import STAGES

pytestmark = pytest.mark.thorough

DIRECTORY = Path(__file__).parents[2] / "weights" / "golden" / "wordpiece"
BY_NAME = {mistake.name: mistake for mistake in MISTAKES}


@pytest.fixture(scope="module")
def kit():
    return TokenizerKit.read(DIRECTORY)


def port(kit, mistakes=(), fields=None):
    """Return what a tokenizer with some mistakes gives, as a port would write it."""
    found = {}
    for case in kit.cases.values():
        values = values_with(kit, mistakes, Row(case, {}, kit.expected[case.name], []))
        found[case.name] = {n: v for n, v in values.items() if fields is None or n in fields}
    return found


def planted(*names):
    return tuple(BY_NAME[name] for name in names)


def found_in(report):
    return [finding.mistakes[0].name for finding in report.findings]


# ---- right ports -------------------------------------------------------------------------------


def test_a_right_port_passes(kit):
    report = check_tokenizer(kit, port(kit), strict=True)
    assert report.passed and not report.findings and not report.kind
    assert "Right: find_raw, clean, space_out_cjk" in report.render()


def test_ids_are_enough(kit):
    report = check_tokenizer(kit, port(kit, fields={"ids"}), strict=True)
    assert report.passed and "Right: ids, in " in report.render()


def test_other_forms_of_right_values(kit):
    given = port(kit)
    for values in given.values():
        if "lower" in values:
            values["lower"] = "".join(values["lower"])
        values["offsets"] = [None if place == [0, 0] else place for place in values["offsets"]]
        values["tokens"] = "not judged"
    assert check_tokenizer(kit, given).passed


# ---- planted mistakes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_NAME)
def test_a_planted_mistake_is_named(kit, name):
    """By the ids alone, or, for what ids do not show, with the field that shows it."""
    mistake = BY_NAME[name]
    fields = {"ids"} if mistake.stage in (*STAGES, "ids") else {"ids", mistake.stage}
    report = check_tokenizer(kit, port(kit, planted(name), fields))
    assert not report.passed
    assert found_in(report) == [name], report.render()
    assert len(report.findings[0].mistakes) == 1 and not report.unexplained
    text = report.render()
    assert mistake.about in text and f"({mistake.kind}; first field {mistake.stage})" in text


@pytest.mark.parametrize("name", [m.name for m in MISTAKES if m.stage in STAGES])
def test_the_first_stage_that_differs_is_the_one_with_the_mistake(kit, name):
    report = check_tokenizer(kit, port(kit, planted(name)))
    assert report.first.wrong[0] == BY_NAME[name].stage
    assert found_in(report)[0] == name


@pytest.mark.parametrize(
    "names",
    [
        ("accents_kept", "no_special_tokens"),
        ("final_sigma", "punctuation_of_ascii", "longest_word_200"),
        ("cjk_with_kana", "controls_kept", "types_all_zero"),
        ("unknown_rest", "offsets_in_bytes"),
        ("case_kept", "offsets_in_utf16", "byte_offsets_in_characters"),
    ],
)
def test_several_mistakes_at_once(kit, names):
    report = check_tokenizer(kit, port(kit, planted(*names)))
    assert set(found_in(report)) == set(names), report.render()
    assert not report.unexplained
    assert "With that, a further mistake" in report.render()


def test_mistakes_that_the_given_cases_do_not_tell_apart(kit):
    given = port(kit, planted("no_longest_word"), {"ids"})
    few = {name: given[name] for name in ("uncased/too-long", "uncased/latin")}
    (finding,) = check_tokenizer(kit, few).findings
    assert {m.name for m in finding.mistakes} >= {"no_longest_word", "longest_word_200"}
    assert "these cases do not tell" in check_tokenizer(kit, few).render()


def test_a_mistake_that_nobody_knows_has_a_likely_kind(kit):
    given = port(kit, fields={"ids"})
    for name, case in kit.cases.items():
        if "a long word" in case.traps:
            given[name]["ids"] = [0, *given[name]["ids"]]
    report = check_tokenizer(kit, given)
    assert not report.findings and report.kind == "a long word" and not report.passed
    assert "No mistake that npbert knows explains" in report.render()


def test_every_wrong_case_is_listed_where_asked_for(kit):
    report = check_tokenizer(kit, port(kit, planted("cjk_left_out"), {"ids"}))
    assert len(report.render(whole=True).splitlines()) > len(report.failures)
    assert "expected" in report.render() and "given" in report.render()


# ---- the command -------------------------------------------------------------------------------


@pytest.fixture
def check(kit, tmp_path, capsys, monkeypatch):
    """Return a function that runs the command on {name: fields} or bytes: (status, out, error)."""

    def check(given, *options):
        monkeypatch.setattr(TokenizerKit, "read", lambda directory: kit)  # once is enough
        path = tmp_path / "mine.jsonl"
        if not isinstance(given, bytes):
            entries = [{"name": name, **values} for name, values in given.items()]
            given = "\n".join(map(json.dumps, entries)).encode()
        path.write_bytes(given)
        status = main(["golden", "check-tokenizer", str(DIRECTORY), str(path), *options])
        return status, *capsys.readouterr()

    return check


def test_exit_statuses(kit, check):
    right = port(kit, fields={"ids"})
    assert check(right, "--strict")[::2] == (0, "")
    few = {name: right[name] for name in [*right][:5]}
    assert check(few)[0] == 0 and check(few, "--require", "uncased/latin")[0] == 0
    status, out, _ = check(few, "--require", "cased/*")
    assert status == 1 and "Not given, but required: cased/latin" in out
    assert check({**right, "more": {"ids": []}})[0] == 0
    status, out, _ = check({**right, "more": {"ids": []}}, "--strict")
    assert status == 1 and 'Not in the kit: "more"' in out
    status, out, _ = check(few, "--missing")
    assert status == 0 and "\n  cased/latin\n" in out


def test_json_and_annotations(kit, check):
    wrong = port(kit, planted("accents_kept"), {"ids"})
    status, out, _ = check(wrong, "--json")
    report = json.loads(out)
    assert status == 1 and report["passed"] is False
    assert report["diagnosis"][0]["mistakes"][0]["name"] == "accents_kept"
    assert report["first"]["field"] == "ids" and report["unexplained"] == []
    assert report["cases"]["uncased/latin"] == {"given": ["ids"], "right": True}
    assert report["cases"]["uncased/french"]["index"] == 1
    status, out, _ = check(wrong, "--github", "--settings", "uncased")
    assert status == 1 and "\n::error title=golden check-tokenizer::First wrong: " in out
    status, out, _ = check(port(kit), "--github", "--all")
    assert status == 0 and "::notice title=golden check-tokenizer::Right: " in out


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (b"", (), "no cases were given"),
        (b"{", (), "line 1: not JSON"),
        (b'{"name": "uncased/latin", "ids": []}\n\xff', (), "line 2: not UTF-8"),
        (b"[1]", (), 'line 1: expected a JSON object with a "name"'),
        (b'{"ids": []}', (), 'line 1: expected a JSON object with a "name"'),
        (b'{"name": "other"}', (), "'other' is the first"),
        (b'{"name": "uncased/latin"}', (), "none of its fields is known, expected some of find"),
        (b'{"name": "uncased/pair", "lower": "a"}', (), "expected some of ids, type_ids, offsets"),
        (b'{"name": "uncased/latin", "ids": 3}', (), "ids is 3, expected a list"),
        (b'{"name": "uncased/latin", "ids": ["a"]}', (), "ids holds 'a', expected whole numbers"),
        (b'{"name": "uncased/latin", "ids": [true]}', (), "ids holds True, expected whole"),
        (b'{"name": "uncased/latin", "offsets": [3]}', (), "expected [start, end]"),
        (b'{"name": "uncased/latin", "clean": [3]}', (), "clean holds 3, expected texts"),
        (b'{"name": "cased/latin", "ids": []}\n' * 2, (), "line 2: a second line for"),
        (b'{"name": "cased/latin", "ids": []}', ("--settings", "cases"), "no settings 'cases'"),
        (b'{"name": "cased/latin", "ids": []}', ("--settings", "uncased"), "in the settings 'unc"),
        (b'{"name": "cased/latin", "ids": []}', ("--require", "x*"), "has a name like 'x*'"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged(check, given, options, message):
    status, out, error = check(given, *options)
    assert (status, out) == (2, "") and message in error
    assert error.startswith("npbert: error: ") and error.count("\n") == 1


def test_hostile_values_do_no_harm(check):
    huge = {"uncased/latin": {"ids": [10**30, -1], "offsets": [[-5, 10**30]], "lower": "\ud800"}}
    status, out, error = check(huge)
    assert status == 1 and error == "" and "First wrong" in out


def test_a_file_that_is_missing(tmp_path, capsys):
    assert main(["golden", "check-tokenizer", str(DIRECTORY), str(tmp_path / "no.jsonl")]) == 2
    assert "no.jsonl" in capsys.readouterr().err
