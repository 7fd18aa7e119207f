"""question_answering: against stored answers of the pipeline of transformers 4, and its borders."""

import json
from pathlib import Path

import numpy as np
import pytest
from task_checkpoints import FAMILIES, make_checkpoint

import npbert
from npbert import question_answering
from npbert.tasks.answers import best_spans

STORED = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "question_answers.json").read_text("utf-8")
)
CALLS, ANSWERS = STORED["calls"], STORED["answers"]


# The pipeline takes a [CLS] that is written in the question for the one that means "no answer",
# lets answers begin there, and gives the word of that number in the context instead.
MISTAKEN = {("MobileBert", "[CLS] in the question")}


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """The checkpoints that made the stored answers: family -> directory."""
    return {
        family: make_checkpoint(
            tmp_path_factory.mktemp(family), family, "ForQuestionAnswering", STORED["max_length"]
        )
        for family in FAMILIES
    }


def possible(answers):
    """Leave out of several answers the spans of probability 0, which npbert does not give."""
    if isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
        return [answer for answer in answers if answer["score"] > 0]
    return [possible(each) for each in answers] if isinstance(answers, list) else answers


def assert_same(ours, theirs):
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            assert_same(mine, its)
    else:
        assert list(ours) == ["score", "start", "end", "answer"]
        assert ours["score"] == pytest.approx(theirs["score"], rel=2e-5, abs=1e-9)
        assert ours == theirs | {"score": ours["score"]}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CALLS)
def test_answers_equal_the_pipeline_s(directories, family, name):
    question, context, options = CALLS[name]
    ours = question_answering(question, context, directories[family], **options)
    if (family, name) in MISTAKEN:
        with pytest.raises(AssertionError):
            assert_same(ours, possible(ANSWERS[family][name]))
    else:
        assert_same(ours, possible(ANSWERS[family][name]))


def test_an_answer_is_the_text_at_its_place(directories):
    context = CALLS["long"][1]
    for answer in question_answering("Where?", context, directories["Bert"], top_k=9):
        assert answer["answer"] == context[answer["start"] : answer["end"]]
        assert [type(value) for value in answer.values()] == [float, int, int, str]


def test_a_list_of_questions_has_the_results_of_each(directories):
    model = directories["ConvBert"]
    contexts = [CALLS["long"][1], "Plants make sugar.", "the cat sat on the mat"]
    questions = ["Where is the cat?", "What?", "[MASK] sat"]
    together = question_answering(questions, contexts, model, top_k=2)
    for question, context, answers in zip(questions, contexts, together):
        alone = question_answering(question, context, model, top_k=2)
        assert [a["answer"] for a in alone] == [a["answer"] for a in answers]
        assert [a["score"] for a in alone] == pytest.approx([a["score"] for a in answers], rel=1e-5)


def test_top_k_above_1_is_a_list_even_of_one_answer(directories):
    answers = question_answering("Who?", "cat", directories["Bert"], top_k=3)
    assert [answer["answer"] for answer in answers] == ["cat"]


def test_a_question_that_leaves_little_room_gets_a_smaller_stride(directories):
    answer = question_answering("a " * 34, "the cat sat on a mat", directories["Bert"])
    assert answer["answer"]


def test_a_loaded_model_is_taken(directories):
    model = npbert.BertForQuestionAnswering.from_pretrained(directories["Bert"])
    call = ("Who?", "the cat sat")
    assert question_answering(*call, model) == question_answering(*call, directories["Bert"])


@pytest.mark.parametrize("longest", [1, 2, 15])
def test_the_best_spans_are_those_of_a_loop(longest):
    rng = np.random.default_rng(0)
    start, end = rng.random(9), rng.random(9)
    spans = [(i, j, start[i] * end[j]) for i in range(9) for j in range(i, min(9, i + longest))]
    spans.sort(key=lambda span: -span[2])
    assert best_spans(start, end, longest, 5) == [
        (i, j, pytest.approx(score)) for i, j, score in spans[:5]
    ]


WRONG = {
    "no question": (dict(question=""), "the question is empty"),
    "no context": (dict(context=" \n"), "the context is empty"),
    "one of several": (dict(question=["a", ""], context=["a", "b"]), "question 2 of 2 is empty"),
    "nothing to read": (dict(context="\u200b"), "has no word in it"),
    "not text": (dict(question=3), "question is int, expected str"),
    "lists of two lengths": (
        dict(question=["a"], context=["a", "b"]),
        "1 question and 2 contexts",
    ),
    "top_k": (dict(top_k=0), "top_k is 0, expected at least 1"),
    "max_answer_len": (dict(max_answer_len=0), "max_answer_len is 0, expected at least 1"),
    "max_seq_len": (dict(max_seq_len=41), "max_seq_len is 41, expected 4 to 40"),
    "doc_stride": (dict(doc_stride=-1), "doc_stride is -1, expected at least 0"),
    "large doc_stride": (dict(doc_stride=36), "doc_stride is 36, expected less than 36"),
    "long question": (dict(question="a " * 37), "37 word pieces.* nothing is left"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_refused(directories, arguments, message):
    call = {"question": "a", "context": "the cat " * 30, "model": directories["Bert"]}
    with pytest.raises(ValueError, match=message):
        question_answering(**call | arguments)


def test_a_large_stride_is_no_matter_where_the_context_fits(directories):
    model = directories["Bert"]
    assert question_answering("a", "cat", model, doc_stride=99)["answer"] == "cat"
