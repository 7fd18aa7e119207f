"""What holds of every task: lists are the results of each, options are checked, heads are needed.

That the numbers are right is shown against transformers in test_tasks_reference.py.
"""

import re
import sys
import warnings

import numpy as np
import pytest
from alone import assert_as_alone
from task_checkpoints import ENTITIES, FAMILIES, labelled, make_checkpoint

import npbert
from npbert.compiled import backend
from npbert.tasks import rows

TEXTS = [
    "the cat sat on the mat.",
    "a dog",
    "plants make sugar from light and water in the garden.",
    "a cat",
    "Naïve CAFÉS, un-lightable!",
    "the cat sat on the mat.",
    "is new york not london?",
]
OTHERS = TEXTS[3:] + TEXTS[:3]
HEADS = {
    "fill_mask": ("ForMaskedLM", {}),
    "text_classification": ("ForSequenceClassification", labelled("x", "y", "z")),
    "token_classification": ("ForTokenClassification", labelled(*ENTITIES)),
    "question_answering": ("ForQuestionAnswering", {}),
    "multiple_choice": ("ForMultipleChoice", {}),
    "next_sentence": ("ForNextSentencePrediction", {}),
    "feature_extraction": ("Model", {}),
}
WITH_TASK = [
    (task, family)
    for task in HEADS
    for family in FAMILIES
    if task != "next_sentence" or family in ("Bert", "MobileBert")
]


def call(task, texts, others, model):
    """Call a task with a list of texts, or a single one."""
    if task == "fill_mask":
        mask = "{} [MASK]".format
        texts = mask(texts) if isinstance(texts, str) else list(map(mask, texts))
        return npbert.fill_mask(texts, model)
    if task == "text_classification":
        return npbert.text_classification(texts, model, top_k=None)
    if task == "token_classification":
        return npbert.token_classification(texts, model, ignore_labels=[])
    if task == "question_answering":
        return npbert.question_answering(texts, others, model, top_k=3)
    if task == "multiple_choice":
        choices = [TEXTS[1], TEXTS[2]]
        return npbert.multiple_choice(
            texts, [choices] * len(texts) if isinstance(texts, list) else choices, model
        )
    if task == "next_sentence":
        return npbert.next_sentence(texts, others, model)
    return npbert.feature_extraction(texts, model)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    made = {}

    def directory(task, family):
        head, options = HEADS[task]
        if (head, family) not in made:
            place = tmp_path_factory.mktemp(f"{family}{head}")
            made[head, family] = make_checkpoint(place, family, head, **options)
        return made[head, family]

    return directory


def assert_same(ours, theirs):
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            assert_same(mine, its)
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, (float, np.ndarray)):
        assert_as_alone(ours, theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("task, family", WITH_TASK)
def test_a_list_has_the_results_of_each_in_its_order(directories, task, family):
    """Also in ConvBERT and MobileBERT, where padding would change the numbers."""
    model = directories(task, family)
    alone = [call(task, text, other, model) for text, other in zip(TEXTS, OTHERS)]
    if task in ("text_classification", "fill_mask"):
        assert all(isinstance(result, list) for result in alone)
    assert_same(call(task, TEXTS, OTHERS, model), alone)


@pytest.mark.parametrize("task, family", WITH_TASK)
def test_a_shared_batch_changes_nothing(directories, task, family, monkeypatch):
    model = directories(task, family)
    together = call(task, TEXTS * 3, OTHERS * 3, model)
    monkeypatch.setattr(rows, "BATCH_TOKENS", 1)
    assert_same(call(task, TEXTS * 3, OTHERS * 3, model), together)


@pytest.mark.parametrize("task, family", WITH_TASK)
def test_compiled_a_list_has_the_very_same_results(directories, task, family):
    pytest.importorskip("numba", reason="the twins need numba")
    model = directories(task, family)
    with backend.using("numba"):
        together = call(task, TEXTS, OTHERS, model)
        alone = [call(task, text, other, model) for text, other in zip(TEXTS, OTHERS)]
    np.testing.assert_equal(together, alone)


@pytest.mark.parametrize("task", HEADS)
def test_texts_of_unlike_lengths_are_run_together(directories, task, monkeypatch):
    """Seven texts are one call of the encoder; only a window with padding has one of its own."""
    directory = directories(task, "Bert")
    head, _ = HEADS[task]
    calls, encode = [], npbert.BertModel.encode
    monkeypatch.setattr(
        getattr(npbert, f"Bert{head}"),
        "encode",
        lambda self, inputs, *options: calls.append(inputs.shape) or encode(self, inputs, *options),
    )
    call(task, TEXTS, OTHERS, directory)
    assert len(calls) == 1


def test_padding_would_change_what_convbert_says(directories):
    """The reason for batches without padding: this fails if it ever ceases to be one."""
    model = npbert.ConvBertModel.from_pretrained(directories("feature_extraction", "ConvBert"))
    ids = [2, 10, 11, 12, 3]
    padded = model([[*ids, 0, 0]], attention_mask=[[1] * 5 + [0] * 2]).last_hidden_state
    assert np.abs(padded[0, :5] - model([ids]).last_hidden_state[0]).max() > 1e-3


@pytest.mark.parametrize("task", HEADS)
def test_empty_lists_have_empty_results(directories, task):
    assert len(call(task, [], [], directories(task, "Bert"))) == 0


# What a pipeline computes something for. The others need something to look at.
TAKE_EMPTY_TEXTS = (
    "text_classification",
    "token_classification",
    "feature_extraction",
)


@pytest.mark.parametrize("task", [task for task in HEADS if task not in TAKE_EMPTY_TEXTS])
@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_text_is_refused(directories, task, text):
    if task == "fill_mask":
        with pytest.raises(ValueError, match="the text is empty"):
            npbert.fill_mask(text, directories(task, "Bert"))
        return
    with pytest.raises(ValueError, match=r"^the [a-z ]+ is empty$"):
        call(task, text, "a", directories(task, "Bert"))
    with pytest.raises(ValueError, match=r"^[a-z ]+ 2 of 2 is empty$"):
        call(task, ["a", text], ["a", "a"], directories(task, "Bert"))


@pytest.mark.parametrize("task", TAKE_EMPTY_TEXTS)
@pytest.mark.parametrize("text", ["", " \n\t", "\u200b"])
def test_a_batch_does_not_die_of_an_empty_text(directories, task, text):
    model = directories(task, "Bert")
    alone = [call(task, each, "", model) for each in ("the cat", text)]
    assert_same(call(task, ["the cat", text], ["", ""], model), alone)
    if task == "token_classification":
        assert alone[1] == []


def test_an_empty_text_has_the_vectors_of_its_special_tokens(directories):
    directory = directories("feature_extraction", "Bert")
    states = npbert.BertModel.from_pretrained(directory)([[2, 3]]).last_hidden_state
    np.testing.assert_allclose(npbert.feature_extraction("", directory), states, rtol=1e-6)


@pytest.mark.parametrize("task", HEADS)
def test_a_token_beyond_the_model_is_refused_before_any_work(tmp_path, task, monkeypatch):
    head, options = HEADS[task]
    directory = make_checkpoint(tmp_path, "Bert", head, **options)
    size = len((directory / "vocab.txt").read_text("utf-8").splitlines())
    with (directory / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("owl\n")
    call(task, ["a cat"], ["the"], directory)
    monkeypatch.setattr(npbert.BertModel, "encode", None)
    monkeypatch.setattr(getattr(npbert, f"Bert{head}"), "encode", None)
    message = rf"2 of 2.* has the token 'owl' with id {size}, .* rows for ids below {size}"
    with pytest.raises(ValueError, match=message):
        call(task, ["a cat", "the owl"], ["the", "a"], directory)


@pytest.mark.parametrize("task", HEADS)
def test_a_broken_config_is_reported_before_a_missing_vocabulary(tmp_path, task):
    (tmp_path / "config.json").write_text('{"model_type": "bert", ')
    with pytest.raises(ValueError, match=r"config\.json: not JSON at line 1"):
        call(task, "a cat", "the", tmp_path)


@pytest.mark.parametrize("task", HEADS)
def test_what_is_no_text_is_refused(directories, task):
    if task == "fill_mask":
        return  # its own tests do
    with pytest.raises(ValueError, match=r"is int, expected"):
        call(task, 7, "a", directories(task, "Bert"))
    with pytest.raises(ValueError, match="is NoneType, expected"):
        call(task, ["a", None], ["a", "a"], directories(task, "Bert"))


TRUNCATING = ["text_classification", "feature_extraction", "next_sentence", "multiple_choice"]


@pytest.mark.parametrize("task", TRUNCATING)
def test_a_long_text_is_refused_unless_it_is_to_be_cut(directories, task):
    model = directories(task, "Bert")
    long = "cat " * 50
    function = getattr(npbert, task)
    arguments = {
        "text_classification": (long,),
        "feature_extraction": (long,),
        "next_sentence": (long, "a dog"),
        "multiple_choice": (long, ["a dog", "a cat"]),
    }[task]
    with pytest.raises(ValueError, match=r"has 5\d tokens.* 40 positions; truncation=True"):
        function(*arguments, model)
    short = "cat " * (38 if len(arguments) == 1 else 35)  # two, or three and two pieces
    assert_same(
        function(*arguments, model, truncation=True), function(short, *arguments[1:], model)
    )


# ---- the model -----------------------------------------------------------------------------


@pytest.mark.parametrize("task, family", WITH_TASK)
def test_a_checkpoint_without_the_head_is_refused_by_the_names_of_its_tensors(
    tmp_path, task, family, recwarn
):
    make_checkpoint(tmp_path, family, "Model")
    if task == "feature_extraction":
        call(task, "a", "a", tmp_path)
        return
    head, _ = HEADS[task]
    expected = getattr(npbert, family + head).optional(npbert.AutoConfig.from_pretrained(tmp_path))
    with pytest.raises(ValueError, match=r"has no trained [\w -]+ head; missing: ") as error:
        call(task, "a", "a", tmp_path)
    named = str(error.value).partition("missing: ")[2].split(", ")
    assert named and all(name.startswith(expected) for name in named)
    assert not recwarn.list  # the error says it all


@pytest.mark.parametrize("task", HEADS)
def test_a_model_of_another_class_is_refused(directories, task):
    if task == "feature_extraction":
        return  # for which any class will do
    model = npbert.BertModel.from_pretrained(directories("feature_extraction", "Bert"))
    head = re.escape(HEADS[task][0])
    with pytest.raises(ValueError, match=rf"{task} takes a \.\.\.{head}.*, BertModel given"):
        call(task, "a", "a", model)


def test_a_family_without_the_head_is_refused(directories):
    with pytest.raises(ValueError, match=r"no ConvBertForNextSentence.*Bert, MobileBert"):
        npbert.next_sentence("a", "a", directories("fill_mask", "ConvBert"))


@pytest.mark.parametrize("task", HEADS)
def test_a_loaded_model_is_taken(directories, task):
    directory = directories(task, "Bert")
    model = getattr(npbert, f"Bert{HEADS[task][0]}").from_pretrained(directory)
    assert_same(call(task, "a cat", "a dog", model), call(task, "a cat", "a dog", directory))


def test_a_body_is_taken_out_of_any_checkpoint_without_a_word(directories, recwarn):
    for task in ("fill_mask", "question_answering", "multiple_choice"):
        assert call("feature_extraction", "a", "a", directories(task, "Bert")).shape == (1, 3, 24)
    npbert.feature_extraction("a")  # the shipped one
    assert not recwarn.list


def test_features_of_a_loaded_model_are_those_of_its_body(directories):
    directory = directories("text_classification", "SqueezeBert")
    model = npbert.SqueezeBertForSequenceClassification.from_pretrained(directory)
    states = model([[2, 5, 3]], output_hidden_states=True).hidden_states[-1]
    np.testing.assert_array_equal(npbert.feature_extraction("the", model), states)


@pytest.mark.parametrize("family", ["Bert", "MobileBert"])
def test_a_checkpoint_with_both_heads_of_pre_training_does_both(tmp_path, family, recwarn):
    directory = make_checkpoint(tmp_path, family, "ForPreTraining")
    for task, head in (
        ("fill_mask", "ForMaskedLM"),
        ("next_sentence", "ForNextSentencePrediction"),
    ):
        ours = call(task, "the cat", "a dog", directory)
        assert not recwarn.list
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the other head is not used
            model = getattr(npbert, family + head).from_pretrained(directory)
        assert_same(ours, call(task, "the cat", "a dog", model))


def test_of_two_heads_only_the_one_in_use_must_be_trained(directories):
    directory = directories("fill_mask", "Bert")
    with pytest.warns(UserWarning, match="initialised them randomly"):
        model = npbert.BertForPreTraining.from_pretrained(directory)
    assert_same(call("fill_mask", "a", "a", model), call("fill_mask", "a", "a", directory))
    with pytest.raises(ValueError, match=r"no trained next sentence head.*seq_relationship"):
        call("next_sentence", "a", "a", model)


def test_every_task_has_a_default_checkpoint():
    from npbert.checkpoints.shipped import shipped_checkpoints
    from npbert.tasks.loading import TASKS

    # `encode` reads what a sentence-embedding folder says and has no head of its own.
    assert {task.name for task in TASKS} == {*npbert.tasks.__all__} - {"encode"}
    for task in TASKS:
        if task.default not in shipped_checkpoints():
            continue
        from npbert.tasks.loading import load

        load(task, None, None)


def test_progress_is_shown_when_it_is_asked_for(directories, capsys, monkeypatch):
    classifier = directories("text_classification", "Bert")
    npbert.text_classification(TEXTS, classifier, progress=True)
    assert f"{len(TEXTS)}/{len(TEXTS)}" in capsys.readouterr().err
    monkeypatch.setattr("npbert.terminal.PATIENCE", 0)
    npbert.text_classification(TEXTS, classifier)
    assert capsys.readouterr().err == ""  # no terminal


def test_a_terminal_sees_progress_of_several_texts(directories, capsys, monkeypatch):
    classifier = directories("text_classification", "Bert")
    monkeypatch.setattr("npbert.terminal.PATIENCE", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    npbert.text_classification(TEXTS[0], classifier)
    npbert.text_classification(TEXTS, classifier, progress=False)
    assert capsys.readouterr().err == ""
    npbert.text_classification(TEXTS, classifier)
    assert f"{len(TEXTS)}/{len(TEXTS)}" in capsys.readouterr().err
