"""Texts to rows of ids, checked before any is run; rows in batches through a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from npbert.model.base import PreTrainedModel
from npbert.terminal import progress
from npbert.tokenizer.bert_tokenizer import BertTokenizer

# A row is what a model takes for one text: ids, type ids and mask, each a list of T numbers.
Row = dict[str, list[int]]
ENTRIES = ("input_ids", "token_type_ids", "attention_mask")

BATCH_TOKENS = 512  # so many tokens at most are run together: more is not faster, and takes memory


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
    call: Callable[[dict[str, np.ndarray]], np.ndarray],
    rows: Sequence[Row],
    show: bool | None = None,
    what: str = "texts",
) -> Iterable[tuple[int, np.ndarray]]:
    """Run rows in batches; yield (number of the row, its part of the output), shortest rows first.

    call: takes inputs by name, [B, T] each, and returns an array [B, ...]. show: a progress bar,
    by default where standard error is a terminal and there is more than one row.
    """
    if show is None and len(rows) < 2:
        show = False
    return progress(_run(call, rows), len(rows), what, show)


def _run(
    call: Callable[[dict[str, np.ndarray]], np.ndarray], rows: Sequence[Row]
) -> Iterator[tuple[int, np.ndarray]]:
    # Only rows of one length share a batch. The convolutions of ConvBERT, and MobileBERT's trigram
    # of the last token, see the padding: with padded batches the result for a text would depend on
    # the texts beside it.
    def length(i: int) -> int:
        return len(rows[i]["input_ids"])

    for T, group in groupby(sorted(range(len(rows)), key=length), length):
        same = list(group)
        size = max(1, BATCH_TOKENS // T)
        for start in range(0, len(same), size):
            batch = same[start : start + size]
            inputs = {name: np.array([rows[i][name] for i in batch]) for name in ENTRIES}
            yield from zip(batch, call(inputs))


def logits(model: PreTrainedModel, field: str = "logits") -> Callable[[Any], np.ndarray]:
    """Return a function that runs a model on inputs by name and returns one of its outputs."""

    def call(inputs: dict[str, np.ndarray]) -> np.ndarray:
        output = model(  # type: ignore[operator]
            **inputs, output_attentions=False, output_hidden_states=False, return_dict=True
        )
        return output[field]

    return call


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
