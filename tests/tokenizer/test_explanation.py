"""What becomes of a text, stage by stage, and how it is shown: explanation.py, display.py."""

import json
import shlex
import unicodedata

import pytest
from commanding import run_command
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_data import ANY, AWKWARD, LINES, TINY

from npbert.terminal import cells, padded, shown, table, underlined, width_of, wrap
from npbert.tokenizer import explanation as explaining
from npbert.tokenizer import stages
from npbert.tokenizer.bert_tokenizer import BertTokenizer

NAMES = [
    "find_raw", "clean", "space_out_cjk", "strip_accents", "lower",
    "find_normalized", "split_white_space", "isolate_punctuation", "wordpiece", "row",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer({token: number for number, token in enumerate(LINES)})


def texts_after(explanation, name):
    return [part.text for part in explanation[name].parts]


# ---- stages --------------------------------------------------------------------------------


def test_every_stage_shows_what_it_did(tokenizer):
    got = tokenizer.explain("The[MASK]unaffable\tmañ,\x00 中!")
    assert [stage.name for stage in got] == NAMES and len(got) == 10
    assert texts_after(got, NAMES[0]) == ["The", "[MASK]", "unaffable\tmañ,\x00 中!"]
    assert texts_after(got, "clean")[2] == "unaffable mañ, 中!"
    assert texts_after(got, "space_out_cjk")[2] == "unaffable mañ,  中 !"
    assert texts_after(got, "strip_accents")[2] == "unaffable man,  中 !"
    assert texts_after(got, "lower")[0] == "the"
    assert texts_after(got, "split_white_space")[2:] == ["unaffable", "man,", "中", "!"]
    assert texts_after(got, "isolate_punctuation")[3:5] == ["man", ","]
    assert texts_after(got, "wordpiece")[2:5] == ["un", "##aff", "##able"]
    assert all(stage.changed for stage in got if stage.name != "find_normalized")
    mask = got["clean"].parts[1]
    assert (mask.start, mask.end, mask.is_special, mask.text) == (3, 9, True, "[MASK]")
    last = got[-1].parts
    assert [(p.text, p.start, p.end, p.sequence, p.type_id) for p in last[:3]] == [
        ("[CLS]", 0, 0, None, 0), ("the", 0, 3, 0, 0), ("[MASK]", 3, 9, 0, 0)
    ]  # fmt: skip
    assert [part.id for part in last] == got.encoding.ids


def test_stages_that_did_nothing_say_so(tokenizer):
    got = tokenizer.explain("the man")
    changed = [stage.name for stage in got if stage.changed]
    assert changed == ["split_white_space", "row"]
    assert str(got["lower"]) == "lower: (changed nothing)"
    cased = BertTokenizer(tokenizer.get_vocab(), do_lower_case=False, tokenize_chinese_chars=False)
    got = cased.explain("É中")
    assert str(got["lower"]) == "lower: (left out: do_lower_case is False)"
    assert got["strip_accents"].switched_off and not got["lower"].changed
    assert str(got["space_out_cjk"]) == "space_out_cjk: (left out: tokenize_chinese_chars is False)"
    assert str(tokenizer.explain("\x00")["clean"]) == "clean: ''"
    assert str(tokenizer.explain(" ")["split_white_space"]).endswith("(nothing is left)")


def test_pairs_and_empty_texts(tokenizer):
    got = tokenizer.explain("the man", "É!")
    assert [(p.sequence, p.type_id) for p in got["row"].parts] == [
        (None, 0), (0, 0), (0, 0), (None, 0), (1, 1), (1, 1), (None, 1)
    ]  # fmt: skip
    assert repr(got) == "Explanation('the man', 'É!': 10 stages, 7 tokens)"
    assert got["row"].state == "'[CLS]' 'the' 'man' '[SEP]' / 'e' '!' '[SEP]'"
    assert tokenizer.explain("the", "").encoding.n_sequences == 1
    assert [p.text for p in tokenizer.explain("", "the")["row"].parts] == [
        "[CLS]", "[SEP]", "the", "[SEP]"
    ]  # fmt: skip
    assert [stage.changed for stage in tokenizer.explain("")] == [False] * 9 + [True]
    with pytest.raises(KeyError, match="no stage 'upper'; there are find_raw"):
        got["upper"]


@pytest.mark.parametrize(
    "options",
    [{}, {"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}],
    ids=str,
)
def test_the_row_is_the_tokenizers(options):
    tokenizer = BertTokenizer(TINY, **options)
    texts = st.lists(AWKWARD | ANY | st.sampled_from("aeTh "), max_size=20).map("".join)

    @settings(max_examples=30)
    @given(texts, st.none() | texts)
    def check(first, second):
        got = tokenizer.explain(first, second)  # which asserts ids, type ids and offsets
        row = tokenizer(first, second)[0]
        assert [part.text for part in got["row"].parts] == row.tokens
        assert got.render(60) and json.dumps(got.as_dict())

    check()


def test_a_stage_that_differs_from_the_call_is_noticed(tokenizer, monkeypatch):
    monkeypatch.setattr(stages, "lower", lambda characters: characters)
    assert tokenizer.explain("the man")
    BertTokenizer(tokenizer.get_vocab()).explain("the man")
    tokenizer("The")  # remembered by the call
    with pytest.raises(AssertionError):
        tokenizer.explain("The")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "text is 3, expected a string"),
        ((["a"],), r"text is \['a'\]"),
        (("a", 3), "text_pair is 3"),
        (("a\ud800",), "lone surrogate"),
    ],
)
def test_what_is_no_text_is_refused(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.explain(*arguments)


def test_every_stage_has_a_sentence_that_fits(tokenizer):
    assert list(explaining.WHAT_IT_DOES) == NAMES
    for line in str(tokenizer.explain("the man")).splitlines():
        assert width_of(line) <= 80
    assert all(callable(getattr(stages, name)) for name in NAMES[1:-1] if name[:4] != "find")


# ---- in a terminal -------------------------------------------------------------------------


def test_what_cannot_be_shown_is_an_escape():
    assert (
        "".join(map(shown, "a\t\x1b[1m\u200b\u202e\xa0é中")) == "a\\t\\x1b[1m\\u200b\\u202e\\xa0é中"
    )


def test_widths():
    wide = ("ab", "中", "Ａ", "\u1112\u1161\u11ab", "👍")
    assert [width_of(text) for text in wide] == [2] * 5 and width_of("e\u0301") == 1
    assert padded("中", 4) == "中  "


def test_underlines_stand_below_their_characters():
    assert underlined("a\tb", [(0, 1), (2, 3)], 80).splitlines() == ["a\\tb", "^  ^"]
    assert underlined("中e\u0301fg", [(0, 1), (1, 4), (4, 5)], 80).splitlines() == [
        "中e\u0301fg", "^~^~^"
    ]  # fmt: skip
    # A token that begins with a mark is marked where its first visible character is.
    assert underlined("e\u0301f", [(0, 1), (1, 3)], 80).splitlines()[1] == "^^"


def test_wide_texts_wrap_after_spaces():
    text = "the man [MASK] unaffable"
    assert underlined(text, [(8, 14)], 16, "  ").split("\n") == [
        "  the man [MASK]", "          ^~~~~~", "  unaffable", ""
    ]  # fmt: skip
    assert underlined("x" * 20, [(0, 20)], 10).splitlines() == ["x" * 10, "^" + "~" * 9, "x" * 10,
                                                                "~" * 10]  # fmt: skip


@settings(max_examples=50)
@given(st.lists(st.sampled_from("ab 中\u0301\t\U000e0001👍"), max_size=40), st.integers(8, 30))
def test_no_line_is_too_wide_and_nothing_is_lost(characters, width):
    text = "".join(characters)
    lines = wrap(cells(text), width)
    assert "".join(c.shown for line in lines for c in line) == "".join(map(shown, text))
    for line in lines:
        assert all(cell.width == len(cell.mark) for cell in line)
        used = sum(cell.width for cell in line) - (line[-1:] != [] and line[-1].shown == " ")
        assert used <= max(width, 10)  # an escape alone may be wider than a narrow line
        assert all(unicodedata.category(c)[0] != "C" for cell in line for c in cell.shown)


def test_tables_are_aligned():
    rows = [("中", "1", "x"), ("abc", "22", "one two three four")]
    assert table(rows, 20).splitlines() == [
        "中   1   x", "abc  22  one two", "         three four"
    ]  # fmt: skip


# ---- the command ---------------------------------------------------------------------------


def run(capsys, *arguments):
    return run_command(capsys, "tokenize", *arguments)


def test_the_command_prints_the_explanation(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    status, out, err = run(capsys, "The man, 東京!", "É", "--model", str(TINY.parent))
    assert (status, err) == (0, "")
    expected = BertTokenizer.from_pretrained(TINY.parent).explain("The man, 東京!", "É")
    assert out == expected.render(70) + "\n"
    assert "  The man, 東京!\n  ^~~ ^~~^ ^~^~^\n" in out
    assert run(capsys, "The man, 東京!", "É")[1] == out  # the shipped tokenizer


def test_the_command_prints_json(capsys):
    _, out, _ = run(capsys, "the man", "--json")
    got = json.loads(out)
    assert got["tokens"] == ["[CLS]", "the", "man", "[SEP]"] and got["text_pair"] is None
    assert [stage["name"] for stage in got["stages"]] == NAMES
    assert got["stages"][-1]["parts"][1]["text"] == "the"
    assert got["offset_mapping"] == [[0, 0], [0, 3], [4, 7], [0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: TEXT"),
        (["a", "b", "c"], "unrecognized arguments: c"),
        (["a", "--model", "nowhere"], "no directory nowhere"),
        (["a\udc80"], "lone surrogate"),  # what the shell passed was not UTF-8
    ],
)
def test_wrong_input_is_one_line_and_status_2(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1


def test_the_example_in_the_help_works(capsys):
    status, out, _ = run(capsys, "--help")
    program, command, *arguments = shlex.split(out.rstrip().splitlines()[-1])
    assert (status, program, command) == (0, "npbert", "tokenize")
    status, out, _ = run(capsys, *arguments)
    assert status == 0 and "[UNK]" in out
