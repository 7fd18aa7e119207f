"""Texts to rows of ids, checked before any is run; rows of any lengths through a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from npbert.model import together
from npbert.model.base import PreTrainedModel
from npbert.terminal import progress
from npbert.tokenizer.bert_tokenizer import BertTokenizer

# A row is what a model takes for one text: ids, type ids and mask, each a list of T numbers.
Row = dict[str, list[int]]
ENTRIES = ("input_ids", "token_type_ids", "attention_mask")

BATCH_TOKENS = together.BATCH_TOKENS


# ---- texts to rows -------------------------------------------------------------------------


def check_text(text: Any, name: str = "the text", may_be_empty: bool = False) -> str:
    """Return a text, which is not empty unless it may be, or raise a ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{name} is {type(text).__name__}, expected str")
    if not text.strip() and not may_be_empty:
        raise ValueError(f"{name} is empty")
    return text


def text_name(i: int, count: int, kind: str = "text") -> str:
    """Return what an error calls the text at place i among so many: "text 1 of 2" for 0."""
    return f"the {kind}" if count == 1 else f"{kind} {i + 1} of {count}"


def texts_of(texts: Any, kind: str = "text", may_be_empty: bool = False) -> list[str]:
    """Return one text or a list of them as a list, each checked."""
    if isinstance(texts, (list, tuple)):
        names = [text_name(i, len(texts), kind) for i in range(len(texts))]
        return [check_text(text, name, may_be_empty) for text, name in zip(texts, names)]
    if not isinstance(texts, str):
        raise ValueError(f"{kind} is {type(texts).__name__}, expected str or a list of str")
    return [check_text(texts, f"the {kind}", may_be_empty)]


def check_ids(
    ids: Sequence[int], model: PreTrainedModel, tokenizer: BertTokenizer, name: str = "the text"
) -> None:
    """Raise a ValueError for a token that the model has no row for: another model's vocabulary."""
    rows = model.config.vocab_size
    if ids and max(ids) >= rows:
        largest = max(ids)
        token = tokenizer.convert_ids_to_tokens(largest)
        raise ValueError(
            f"{name} has the token {token!r} with id {largest}, and the model has rows for ids "
            f"below {rows}: this vocabulary and this model do not belong together"
        )


def longest_row(model: PreTrainedModel, tokenizer: BertTokenizer) -> int:
    """Return how many tokens a row may have: the model's positions, or what the tokenizer says."""
    return min(model.config.max_position_embeddings, tokenizer.model_max_length)


def encode(
    text: str,
    model: PreTrainedModel,
    tokenizer: BertTokenizer,
    pair: str | None = None,
    truncation: bool | str = False,
    max_length: int | None = None,
    name: str = "the text",
) -> Row:
    """Return the row of a text, or of a pair of texts.

    truncation: True cuts what is longer than max_length, by default what the model and the
    tokenizer allow; "only_first" and "only_second" say which text gives way. Raises ValueError for
    what is longer than the model's positions.
    """
    if truncation and max_length is None:
        max_length = longest_row(model, tokenizer)
    encoded = tokenizer(text, pair, truncation=truncation, max_length=max_length)
    row = {entry: encoded[entry] for entry in ENTRIES}
    check_ids(row["input_ids"], model, tokenizer, name)
    positions = model.config.max_position_embeddings
    if len(row["input_ids"]) > positions:
        raise ValueError(
            f"{name} has {len(row['input_ids'])} tokens, special tokens included, more than the "
            f"model's {positions} positions; truncation=True (--truncation) cuts it"
        )
    return row


# ---- rows through a model ------------------------------------------------------------------


def run(
    model: PreTrainedModel,
    rows: Sequence[Row],
    show: bool | None = None,
    what: str = "texts",
    finish: together.Finish = together.finish,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterable[tuple[int, Any]]:
    """Run rows together; yield (number of the row, its result), shortest rows first.

    finish: makes the results of rows that were encoded together, by default what the model returns
    for each alone. show: a progress bar, by default where standard error is a terminal and there is
    more than one row. A row with padding, which no other may share, is run by the model alone.
    """
    if show is None and len(rows) < 2:
        show = False
    padded = [i for i, row in enumerate(rows) if 0 in row["attention_mask"]]
    whole = [i for i, row in enumerate(rows) if 0 not in row["attention_mask"]]
    found = together.run(model, [rows[i] for i in whole], batch_tokens, finish)
    results = chain(((whole[n], result) for n, result in found), _alone(model, rows, padded))
    return progress(results, len(rows), what, show)


def _alone(
    model: PreTrainedModel, rows: Sequence[Row], numbers: list[int]
) -> Iterator[tuple[int, Any]]:
    for i in numbers:
        inputs = {name: [rows[i][name]] for name in ENTRIES}
        options = dict(output_attentions=False, output_hidden_states=False, return_dict=True)
        yield i, model(**inputs, **options)  # type: ignore[operator]


def label_names(model: PreTrainedModel) -> dict[int, str]:
    """Return the names of a model's classes."""
    return model.config.id2label or {}  # a config always has them, though its type does not say so


def best_first(scores: np.ndarray, top_k: int | None) -> list[int]:
    """Return the places of the `top_k` largest scores, or of all, largest first."""
    places = np.arange(len(scores))
    if top_k is not None and top_k < len(scores):  # sorting a whole vocabulary would take longer
        places = places[scores >= np.partition(scores, -top_k)[-top_k]]
    return places[np.argsort(-scores[places], kind="stable")][:top_k].tolist()


def check_count(name: str, count: Any, low: int = 1, high: float = np.inf, why: str = "") -> None:
    """Raise a ValueError unless `count` is a whole number from low to high."""
    fits = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
    if not fits or not low <= count <= high:
        expected = f"{low} to {high}" if high < np.inf else f"at least {low}"
        raise ValueError(f"{name} is {count!r}, expected {expected}{why}")
