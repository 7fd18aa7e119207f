"""Reads what a page shows: a model by its name, and texts as tokens and as inputs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npbert.auto import class_for
from npbert.checkpoints.hub_cache import hub_name
from npbert.checkpoints.shipped import checkpoint_directory, checkpoint_name
from npbert.model.base import PreTrainedModel
from npbert.model.heads import MultipleChoice
from npbert.tasks.rows import Row, encode, texts_of
from npbert.tokenizer.bert_tokenizer import AutoTokenizer, BertTokenizer


@dataclass
class Reading:
    """A model and what it is called with.

    name     the name of the model
    texts    as they were given
    inputs   what the model is called with
    tokens   the word pieces of each row
    """

    name: str
    model: PreTrainedModel
    tokenizer: BertTokenizer
    texts: list[str]
    inputs: dict[str, np.ndarray]
    tokens: list[list[str]]


def read(
    name: str | Path, texts: list[str], head: str | None = None, truncation: bool = False
) -> Reading:
    """Load a checkpoint and turn texts into its inputs.

    name: a directory, or the name of a checkpoint (shipped or of the Hub).
    texts: one, or two for a pair; for a multiple-choice head a prompt and its choices.
    head: "Model", "ForMaskedLM", ...; by default what the checkpoint was saved as.
    truncation: cut a text that is longer than the model can take, instead of refusing it.

    Raises FileNotFoundError where there is no such checkpoint; ValueError for a head that the
    family does not have or the checkpoint has not trained, for a text that is empty, for more texts
    than the model takes, and for more tokens than it has positions.
    """
    return read_texts(load(name, head), texts, truncation)


class Loaded(NamedTuple):
    """A checkpoint: its name, its model with a trained head, and its tokenizer."""

    name: str
    model: PreTrainedModel
    tokenizer: BertTokenizer


def load(name: str | Path, head: str | None = None) -> Loaded:
    """Load a checkpoint. Arguments and errors are those of `read`."""
    directory = checkpoint_directory(name)
    chosen = class_for(directory, head)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    with warnings.catch_warnings():  # an untrained head is an error, below
        warnings.simplefilter("ignore")
        model = chosen.from_pretrained(directory)
    if model.newly_initialized:
        missing = ", ".join(model.newly_initialized)
        raise ValueError(
            f"{hub_name(name) or name} has no trained {chosen.__name__}; missing: {missing}"
        )
    return Loaded(checkpoint_name(directory), model, tokenizer)


def read_texts(loaded: Loaded, texts: list[str], truncation: bool = False) -> Reading:
    """Turn texts into the inputs of a model. Arguments and errors are those of `read`."""
    name, model, tokenizer = loaded
    rows = rows_of(texts_of(texts), model, tokenizer, truncation)
    padded = tokenizer.pad(rows, return_tensors="np")
    inputs = {key: padded[key] for key in rows[0]}
    if isinstance(model, MultipleChoice):
        inputs = {key: array[None] for key, array in inputs.items()}
    ids = padded["input_ids"].tolist()
    tokens = [tokenizer.convert_ids_to_tokens(row) for row in ids]
    return Reading(name, model, tokenizer, list(texts), inputs, tokens)


def rows_of(
    texts: list[str], model: PreTrainedModel, tokenizer: BertTokenizer, truncation: bool
) -> list[Row]:
    """Return what the model takes for the texts: one row, or one for each choice."""
    if not texts:
        raise ValueError("no text given, expected at least one")
    first, *others = texts
    if isinstance(model, MultipleChoice):
        if len(others) < 2:
            raise ValueError(
                f"a prompt and {len(others)} choices given, expected at least two choices: "
                f"{type(model).__name__} chooses between texts"
            )
        return [
            encode(first, model, tokenizer, choice, truncation, name=f"the prompt with choice {i}")
            for i, choice in enumerate(others)
        ]
    if len(others) > 1:
        raise ValueError(
            f"{len(texts)} texts given, expected one or two: {type(model).__name__} takes a text "
            "or a pair"
        )
    pair = others[0] if others else None
    return [encode(first, model, tokenizer, pair, truncation)]
