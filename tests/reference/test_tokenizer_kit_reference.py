"""The tokenizer's golden kit against the Rust library: no value differs."""

from pathlib import Path

import pytest

from npbert.golden.wordpiece.kit import TokenizerKit

tokenizers = pytest.importorskip(
    "tokenizers", reason="compares with the Rust library (extra `reference`)"
)
pytestmark = pytest.mark.reference

DIRECTORY = Path(__file__).parents[2] / "weights" / "golden" / "wordpiece"
KIT = TokenizerKit.read(DIRECTORY)


@pytest.fixture(params=KIT.settings)
def settings(request):
    return request.param


@pytest.fixture
def reference(settings):
    switches = KIT.settings[settings]
    return tokenizers.BertWordPieceTokenizer(
        str(DIRECTORY / "vocab.txt"),
        lowercase=switches["do_lower_case"],
        strip_accents=switches["strip_accents"],
        handle_chinese_chars=switches["tokenize_chinese_chars"],
    )


def cases_in(settings):
    return [case for case in KIT.cases.values() if case.settings == settings]


def test_rows(reference, settings):
    for case in cases_in(settings):
        expected = KIT.expected[case.name]
        if case.max_length is None:
            reference.no_truncation()
        else:
            reference.enable_truncation(case.max_length, strategy=case.truncation)
        row = reference.encode(*case.texts, add_special_tokens=case.add_special_tokens)
        assert row.ids == expected["ids"], case.name
        assert row.type_ids == expected["type_ids"], case.name
        assert [[*place] for place in row.offsets] == expected["offsets"], case.name


def test_stages(reference, settings):
    normalize, split = reference.normalizer.normalize_str, reference.pre_tokenizer.pre_tokenize_str
    compared = 0
    for case in cases_in(settings):
        expected = KIT.expected[case.name]
        if case.text_pair is None and expected["find_raw"] == [case.text]:
            normalized = normalize(case.text)
            assert expected["lower"] == [normalized], case.name
            assert expected["isolate_punctuation"] == [word for word, _ in split(normalized)]
            compared += 1
    assert compared > 80
