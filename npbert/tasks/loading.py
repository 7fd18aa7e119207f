"""Which model does a task, and whether it can: its class, its trained head, its tokenizer."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npbert import auto
from npbert.checkpoints.hub_cache import hub_name
from npbert.checkpoints.saving import reading
from npbert.checkpoints.shipped import (
    WITHOUT,
    HubOptions,
    checkpoint_directory,
    shipped_checkpoints,
)
from npbert.model.base import PreTrainedModel
from npbert.terminal import counted
from npbert.tokenizer.bert_tokenizer import AutoTokenizer, BertTokenizer

Model = str | Path | PreTrainedModel | None  # how the tasks are told which model to use


ROWS_WITHOUT_TOKEN = 0.1  # of all rows of a model; more are suspicious


@dataclass(frozen=True)
class Task:
    """What a task needs of a model.

    name: of its function. command: of its command. default: the checkpoint that does it when none
    is named. heads: how the classes that can do it end; a checkpoint is loaded as the first, unless
    it was saved as another of them. what: what such a model has, in words. unused: tensors with one
    of these in their names may be untrained.
    """

    name: str
    command: str
    default: str
    heads: tuple[str, ...]
    what: str
    unused: tuple[str, ...] = ()


FILL_MASK = Task(
    "fill_mask",
    "fill-mask",
    "convbert-tiny",
    ("ForMaskedLM", "ForPreTraining"),
    "masked-LM head",
    unused=("pooler.", "cls.seq_relationship."),
)
TEXT_CLASSIFICATION = Task(
    "text_classification",
    "classify",
    "convbert-tiny-disturbed",
    ("ForSequenceClassification",),
    "text classification head",
)
RESTORE = Task(
    "restore",
    "restore",
    "squeezebert-tiny-restore",
    ("ForTokenClassification",),
    "token classification head",
)
TOKEN_CLASSIFICATION = Task(
    "token_classification",
    "tokens",
    "squeezebert-tiny-restore",
    ("ForTokenClassification",),
    "token classification head",
)
QUESTION_ANSWERING = Task(
    "question_answering",
    "answer",
    "convbert-tiny-answer",
    ("ForQuestionAnswering",),
    "question answering head",
)
MULTIPLE_CHOICE = Task(
    "multiple_choice",
    "choose",
    "mobilebert-tiny-choice",
    ("ForMultipleChoice",),
    "multiple choice head",
)
NEXT_SENTENCE = Task(
    "next_sentence",
    "next",
    "bert-tiny",
    ("ForNextSentencePrediction", "ForPreTraining"),
    "next sentence head",
    unused=("cls.predictions.",),
)
# Every class has an encoder, so every checkpoint will do; its head need not be trained.
FEATURE_EXTRACTION = Task(
    "feature_extraction", "embed", "convbert-tiny", ("",), "encoder", unused=("",)
)
TASKS = (
    FILL_MASK,
    TEXT_CLASSIFICATION,
    RESTORE,
    TOKEN_CLASSIFICATION,
    QUESTION_ANSWERING,
    MULTIPLE_CHOICE,
    NEXT_SENTENCE,
    FEATURE_EXTRACTION,
)
BY_COMMAND = {task.command: task for task in TASKS}


def check_hub_options(function: str, hub: HubOptions) -> None:
    """Raise a TypeError for an argument that no option of the Hub is."""
    for name in hub.keys() - HubOptions.__annotations__.keys():
        raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def load(
    task: Task,
    model: Model,
    tokenizer: BertTokenizer | None,
    hub: HubOptions | None = None,
) -> tuple[PreTrainedModel, BertTokenizer]:
    """Return a model that can do the task, and its tokenizer.

    Raises FileNotFoundError where there is no such checkpoint, ValueError for a task that none
    ships for, for a model of another class, for a head that is untrained (naming its tensors), for
    a loaded model without tokenizer; TypeError for what is no option of the Hub.
    """
    hub = {} if hub is None else hub
    check_hub_options(task.name, hub)
    if model is None:
        model = task.default
        if model not in shipped_checkpoints():
            raise ValueError(
                f"{model}, which does {task.name}, does not ship with this version of npbert: "
                f"give another model (--model), by name or directory; {WITHOUT}"
            )
    if not isinstance(model, PreTrainedModel):
        directory = checkpoint_directory(model, **hub)
        with reading(directory):  # both are of one save
            model, own_tokenizer = _load(task, directory.resolve())
        tokenizer = own_tokenizer if tokenizer is None else tokenizer
        if unfit := _misfit(model, tokenizer):
            warnings.warn(f"{directory}: {unfit}", stacklevel=3)
        return model, tokenizer
    if hub:
        raise ValueError(f"{', '.join(hub)} go with the name of a checkpoint, a model was given")
    given = type(model).__name__
    if not given.endswith(task.heads):
        wanted = " or ".join(f"a ...{head}" for head in task.heads)
        raise ValueError(f"{task.name} takes {wanted}, {given} given")
    _check_trained(task, model, model.name_or_path or "the model")
    if tokenizer is None:
        if model.name_or_path is None:
            raise ValueError("the model was not loaded from a directory: pass its tokenizer too")
        tokenizer = _load_tokenizer(model.name_or_path.resolve())
    if unfit := _misfit(model, tokenizer):
        warnings.warn(unfit, stacklevel=3)
    return model, tokenizer


@functools.cache  # a directory is read once a process
def _load(task: Task, directory: Path) -> tuple[PreTrainedModel, BertTokenizer]:
    auto.AutoConfig.from_pretrained(directory)  # what is wrong with it is said first
    tokenizer = _load_tokenizer(directory)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = _model_class(task, directory).from_pretrained(directory)
    _check_trained(task, model, directory)
    for (
        warning
    ) in said:  # an untrained head was an error, and an encoder is always part of something
        needless = "initialised them randomly" in str(warning.message) or task.heads == ("",)
        if not needless:
            warnings.warn(warning.message, warning.category, stacklevel=4)
    return model, tokenizer


@functools.cache
def _load_tokenizer(directory: Path) -> BertTokenizer:
    return AutoTokenizer.from_pretrained(directory)


def _misfit(model: PreTrainedModel, tokenizer: BertTokenizer) -> str:
    """Say that a vocabulary and a model can hardly belong together, "" where they may.

    A few rows without a token are usual: they fill the table up to a round number.
    """
    tokens, rows = len(tokenizer), model.config.vocab_size
    if rows - tokens > ROWS_WITHOUT_TOKEN * rows:
        what = "so that some rows have no token"
    elif tokens - rows > ROWS_WITHOUT_TOKEN * rows:
        what = "so that some tokens have no row"
    else:
        return ""
    return (
        f"the vocabulary has {counted(tokens, 'token')} and the model {counted(rows, 'row')} for "
        f"them, {what}: do they "
        "belong together?"
    )


def _model_class(task: Task, directory: Path) -> Any:
    saved_as = auto.architecture_of(directory)
    heads = [head for head in task.heads if saved_as.endswith(head)]
    return getattr(auto, f"AutoModel{(heads or task.heads)[0]}")


def _check_trained(task: Task, model: PreTrainedModel, source: Any) -> None:
    missing = [
        name for name in model.newly_initialized if not any(part in name for part in task.unused)
    ]
    if missing:
        if isinstance(source, Path):
            source = hub_name(source) or source
        raise ValueError(f"{source} has no trained {task.what}; missing: {', '.join(missing)}")
