"""The museum of mistakes: each one rebuilt is found, most are named, and the page is up to date."""

import importlib
import re

import chapters
import pytest

from npbert.golden.mistakes.catalogue import around

pytestmark = pytest.mark.thorough

with chapters.in_folder():
    museum = importlib.import_module("write_museum")

ENTRIES = museum.ENTRIES
NUMBERS = range(len(ENTRIES))
SHARE = 0.9  # of the mistakes that the check has to name


@pytest.mark.parametrize("number", NUMBERS, ids=[entry["id"] for entry in ENTRIES])
def test_a_mistake_is_found_and_named(number):
    entry, report = ENTRIES[number], museum.checked(number)
    assert not report.passed and report.first is not None
    assert museum.named(number) == ([entry["named"]] if entry["named"] else []), entry["id"]
    if entry["named"] and entry["kit"] != "wordpiece":
        assert report.blames or entry["named"] == "misshapen"


def test_enough_are_named():
    assert len(ENTRIES) >= 20 and len({entry["id"] for entry in ENTRIES}) == len(ENTRIES)
    assert sum(entry["named"] is not None for entry in ENTRIES) >= SHARE * len(ENTRIES)


def test_every_entry_has_its_report():
    links = [link for entry in ENTRIES for link in entry["reports"]]
    assert all(entry["reports"] for entry in ENTRIES) and len({*links}) == len(links)
    for link in links:
        assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", link)
    for entry in ENTRIES:
        assert min(len(entry[part]) for part in ("symptom", "cause", "cure")) > 5


def test_the_same_ports_without_their_mistakes_are_right():
    right = {"kit": "bert-model", "cases": ["padded_end", "pair"], "plant": {}}
    assert museum.check_kit(museum.kit_of("bert-model"), museum.port_of(right)).passed


def test_the_page_is_what_the_script_writes():
    assert museum.PAGE.read_text("utf-8") == museum.page(), "python tutorials/write_museum.py"


@pytest.mark.parametrize("family", ["bert", "convbert", "mobilebert", "squeezebert"])
@pytest.mark.parametrize("mistake", [mistake.name for mistake in museum.AROUND])
def test_a_mistake_around_the_formulas_is_named_in_every_family(family, mistake):
    head = "masked-lm" if mistake == "decoder_bias_twice" else "model"
    kit = museum.kit_of(f"{family}-{head}")
    if mistake not in {each.name for each in around(kit.model())}:
        assert mistake == "norm_first" and family != "bert"
        return
    cases = ["pair"] if "pair" in kit.cases else ["padded_end"]
    given = museum.port_of({"kit": kit.name, "cases": cases, "plant": {"mistake": mistake}})
    named = [(each.mistake.name, each.complete) for each in museum.check_kit(kit, given).findings]
    assert named == [(mistake, True)]
