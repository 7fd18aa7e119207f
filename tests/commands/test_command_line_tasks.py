"""The commands of the tasks: what they print for a reader and as JSON, and their examples."""

import json
import re
import shlex

import numpy as np
import pytest
from commanding import run_command
from task_checkpoints import ENTITIES, labelled, make_checkpoint

import npbert
from npbert.__main__ import main
from npbert.commands import tables
from npbert.commands.options import make_parser
from npbert.corpus.json_results import shortest
from npbert.tasks.restoration import LABELS

CONTEXT = "the cat sat on a mat in the garden. plants make sugar from light and water."


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    def make(family, head, **options):
        return make_checkpoint(tmp_path_factory.mktemp(head), family, head, **options)

    return {
        "fill-mask": make("ConvBert", "ForMaskedLM"),
        "classify": make("SqueezeBert", "ForSequenceClassification", **labelled("same", "other")),
        "tokens": make("Bert", "ForTokenClassification", **labelled(*ENTITIES)),
        "restore": make("ConvBert", "ForTokenClassification", **labelled(*LABELS)),
        "answer": make("Bert", "ForQuestionAnswering"),
        "choose": make("MobileBert", "ForMultipleChoice"),
        "next": make("Bert", "ForPreTraining"),
        "embed": make("ConvBert", "Model"),
    }


@pytest.fixture
def run(directories, capsys, monkeypatch):
    """Run a command on its small checkpoint; return (status, stdout, stderr)."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")

    def run(command, *arguments):
        return run_command(capsys, command, *arguments, "--model", directories[command])

    return run


CALLS = {
    "fill-mask": (["the [MASK] sat"], lambda d: npbert.fill_mask("the [MASK] sat", d)),
    "classify": (["the cat"], lambda d: npbert.text_classification("the cat", d, None)),
    "tokens": (["the cat sat"], lambda d: npbert.token_classification("the cat sat", d)),
    "restore": (["the cat sat"], lambda d: npbert.restore("the cat sat", d)),
    "answer": (
        ["plants make ___", CONTEXT],
        lambda d: npbert.question_answering("plants make [MASK]", CONTEXT, d),
    ),
    "choose": (
        ["the cat", "sat on a mat", "plants"],
        lambda d: npbert.multiple_choice("the cat", ["sat on a mat", "plants"], d),
    ),
    "next": (["the cat", "sat"], lambda d: npbert.next_sentence("the cat", "sat", d)),
}


@pytest.mark.parametrize("command", CALLS)
def test_json_is_what_the_function_returns(run, directories, command):
    arguments, function = CALLS[command]
    status, out, err = run(command, *arguments, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == shortest(function(directories[command]))


@pytest.mark.parametrize("pooling", ["none", "first", "mean"])
def test_json_of_vectors_has_the_digits_of_float32(run, directories, pooling):
    _, out, _ = run("embed", "the cat", "--json", "--pooling", pooling)
    vector = npbert.feature_extraction("the cat", directories["embed"], pooling)
    assert np.array_equal(np.array(json.loads(out), np.float32), vector)
    assert max(len(number.strip("-0.")) for number in re.findall(r"[-\d.]+", out)) <= 10


def test_json_of_several_texts_is_a_list(run):
    _, out, _ = run("classify", "the cat", "a dog", "--json", "--top-k", "1")
    assert [[list(row) for row in rows] for rows in json.loads(out)] == [[["label", "score"]]] * 2


@pytest.mark.parametrize("command", CALLS)
def test_scores_stand_in_a_column(run, command):
    if command == "restore":
        return
    status, out, _ = run(command, *CALLS[command][0])
    assert status == 0 and out
    for line in out.splitlines():
        assert re.match(r" {0,2}\d{1,3}\.\d\d%  \S", line), line


def test_a_relation_is_said_in_words(run):
    _, out, _ = run("next", "the cat", "sat")
    meanings = {line.split()[1]: line.split(maxsplit=2)[2] for line in out.splitlines()}
    assert meanings == {"IsNext": "the second text follows the first", "NotNext": "it does not"}


def test_labels_of_several_texts_have_headings(run):
    _, out, _ = run("classify", "the cat", "a dog")
    blocks = [block.splitlines() for block in out.split("\n\n")]
    assert [block[0] for block in blocks] == ["the cat", "a dog"]
    assert all({line.split()[1] for line in block[1:]} == {"same", "other"} for block in blocks)


def test_pairs_are_two_texts_each(run, directories):
    _, out, _ = run("classify", "--pairs", "the cat", "a dog", "--json")
    pair = {"text": "the cat", "text_pair": "a dog"}
    results = npbert.text_classification(pair, directories["classify"], None)
    assert json.loads(out) == shortest(results)
    assert run("classify", "--pairs", "a", "b", "c")[0] == 2


def test_numbers_that_are_no_shares_are_not_shown_as_such(run):
    _, out, _ = run("classify", "the cat", "--function-to-apply", "none")
    assert "%" not in out and len(out.splitlines()) == 2


def test_the_mended_text_is_all_that_is_printed(run, directories):
    _, out, _ = run("restore", "the cat", "a dog")
    assert out.splitlines() == npbert.restore(["the cat", "a dog"], directories["restore"])


def test_an_answer_is_shown_where_it_stands(run, directories):
    _, out, _ = run("answer", "what?", CONTEXT, "--top-k", "3", "--max-answer-len", "2")
    answers = npbert.question_answering(
        "what?", CONTEXT, directories["answer"], top_k=3, max_answer_len=2
    )
    for line, answer in zip(out.splitlines(), answers, strict=True):
        assert answer["answer"] in line.split("  ")[1:]
        assert f"[{answer['answer']}]" in line


def test_a_context_is_read_from_a_file(run, tmp_path):
    (tmp_path / "context.txt").write_text(CONTEXT)
    there = run("answer", "what?", CONTEXT)
    assert run("answer", "what?", "--context-file", str(tmp_path / "context.txt")) == there
    assert run("answer", "what?", "--context-file", str(tmp_path / "nowhere"))[0] == 2
    assert run("answer", "what?", CONTEXT, "--context-file", "-")[0] == 2


def test_several_texts_are_compared(run):
    _, out, _ = run("embed", "the cat", "a dog", "the cat")
    head, *lines = out.splitlines()
    assert head.split() == ["1", "2", "3"]
    assert lines[0].split() == ["1", "1.000", lines[1].split()[1], "1.000", "the", "cat"]


def test_the_numbers_of_a_vector_are_printed(run, directories):
    _, out, _ = run("embed", "the cat", "--pooling", "first")
    vector = npbert.feature_extraction("the cat", directories["embed"], "first")
    assert [float(number) for number in out.split()] == pytest.approx(vector, abs=1e-4)
    _, out, _ = run("embed", "the cat", "--pooling", "none")
    assert [line.split()[0] for line in out.splitlines()] == ["[CLS]", "the", "cat", "[SEP]", "4"]


def test_tokens_are_grouped(run, directories):
    _, out, _ = run("tokens", "the cat sat", "--aggregation-strategy", "first",
                    "--ignore-labels", "O,MISC")  # fmt: skip
    entities = npbert.token_classification(
        "the cat sat", directories["tokens"], "first", ["O", "MISC"]
    )
    assert [line.split()[1] for line in out.splitlines()] == [e["entity_group"] for e in entities]
    _, out, _ = run("tokens", "the cat sat", "--ignore-labels", ",".join(ENTITIES))
    assert out == "nothing found\n"


WRONG = {
    "fill-mask": (["cat"], "no [MASK]"),
    "classify": (["a", "--function-to-apply", "tanh"], "expected None or one of sigmoid"),
    "tokens": (["a", "--stride", "3"], "stride needs an aggregation_strategy"),
    "restore": ([" "], "the text is empty"),
    "answer": (["who?"], "required: QUESTION, CONTEXT"),
    "choose": (["a", "b"], "expected at least two"),
    "next": (["a"], "required: FIRST, SECOND"),
    "embed": (["cat " * 50], "52 tokens"),
    "embed ": (["cat", ""], "text 2 of 2 is empty"),
    "classify ": (["--pairs", "cat", " "], "the second text is empty"),
    "classify  ": (["cat", "", "--json"], "text 2 of 2 is empty"),
    "tokens ": (["cat", "--ignore-labels", "O,nosuch"], "ignore_labels has 'nosuch', expected"),
    "tokens  ": ([""], "the text is empty"),
    "answer ": (["who?", ""], "the context is empty"),
    "next ": (["a", ""], "the second text is empty"),
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_input_is_one_line_and_status_2(run, command):
    arguments, message = WRONG[command]
    status, out, err = run(command.strip(), *arguments)
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_checkpoint_without_the_head_is_one_line_that_names_its_tensors(directories, capsys):
    status = main(["classify", "a", "--model", str(directories["embed"])])
    err = capsys.readouterr().err
    assert status == 2 and err.count("\n") == 1
    assert "no trained text classification head; missing: classifier.dense.weight" in err


# ---- help, models, tables ------------------------------------------------------------------


def commands():
    [subparsers] = [a for a in make_parser()._actions if a.choices and "classify" in a.choices]
    return subparsers.choices


@pytest.mark.parametrize("command", commands())
def test_help_ends_in_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == 0
    example = capsys.readouterr().out.rstrip().splitlines()[-1]
    program, *arguments = shlex.split(example)
    assert program == "npbert" and arguments[0] == command
    make_parser().parse_args(arguments)


# What the example of each command prints, at its best: one that fails is no example.
WHAT_EXAMPLES_SAY = {
    "fill-mask": r"^ 6\d\.\d\d%  tea ",
    "classify": r"^ 9\d\.\d\d%  disturbed",
    "tokens": r"lower\. +mat ",
    "restore": r"^Where did he go\? I asked, but Mary did not know\.$",
    "answer": r"^ 9\d\.\d\d%  Black Sea ",
    "choose": r"^ 8\d\.\d\d%  She opened her umbrella\.",
    "next": r"^ 8\d\.\d\d%  IsNext",
    "embed": r"^1  1\.000  0\.8\d\d  0\.5\d\d  The cat sleeps\.$",
}


@pytest.mark.parametrize("command", WHAT_EXAMPLES_SAY)
def test_the_example_in_the_help_of_a_task_works(command, capsys, monkeypatch):
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    example = commands()[command].epilog.splitlines()[-1]
    assert main(shlex.split(example)[1:]) == 0
    out, err = capsys.readouterr()
    assert re.search(WHAT_EXAMPLES_SAY[command], out, re.MULTILINE) and err == ""


def test_a_question_without_a_gap_gets_a_hint_from_the_shipped_model(run, capsys, tmp_path):
    context = "The Danube flows into the Black Sea."
    (tmp_path / "lines").write_text(f"what sea?\t{context}\nwhere?\t{context}\n")
    lines = ["--input", str(tmp_path / "lines"), "--output", str(tmp_path / "out")]
    for arguments in (["Where does it end?", context], lines):
        assert main(["answer", *arguments]) == 0
        err = capsys.readouterr().err
        assert err.startswith("npbert: note: convbert-tiny-answer fills gaps: ")
        assert err.count("\n") == 1 and "___" in err
    for question in ("The Danube flows into the ___.", "[MASK] is black."):
        assert main(["answer", question, context]) == 0
        assert capsys.readouterr().err == ""
    assert run("answer", "what?", CONTEXT)[2] == ""  # another model


def test_models_are_listed(capsys):
    assert main(["models"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "family", "head", "parameters", "MB", "commands"]
    rows = {line.split()[0]: line for line in lines}
    assert rows["convbert-tiny"].split()[1:3] == ["ConvBert", "ForMaskedLM"]
    assert rows["convbert-tiny"].endswith("4,185,800  8.4  fill-mask, embed")
    assert len({line.index("For") for line in lines}) == 1
    assert main(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert {model["name"] for model in models} == {*npbert.shipped_checkpoints()} == {*rows}


def test_columns_are_aligned_by_what_a_terminal_shows():
    rows = [("a", "東京", "x"), ("e\u0301", "b", "y"), ("cc", "d", "z")]
    assert list(tables.aligned(rows)) == ["a   東京  x", "e\u0301   b     y", "cc  d     z"]
    assert list(tables.aligned([("1", "a"), ("22", "b")], right=(0,))) == [" 1  a", "22  b"]
    assert list(tables.aligned([])) == []


def test_nothing_steers_the_terminal():
    assert tables.printable("a\x1b[31m\nb\u202e") == "a\\x1b[31m b\\u202e"


def test_an_answer_in_a_long_context_is_shown_with_its_surroundings():
    context = "word " * 20 + "here" + " word" * 20
    shown = tables.around({"start": 100, "end": 104}, context)
    assert shown.startswith("...word word") and shown.endswith("word word ...")
    assert " [here] " in shown
    assert tables.around({"start": 0, "end": 4}, "word is") == "[word] is"
    assert tables.around({"start": 0, "end": 0}, "word is") == ""
