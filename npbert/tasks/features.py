"""feature_extraction: the hidden states of a text, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.model.base import PreTrainedModel
from npbert.model.together import Encoded
from npbert.tasks.loading import FEATURE_EXTRACTION, HubOptions, Model, load
from npbert.tasks.rows import encode, run, text_name, texts_of
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

POOLINGS = ("none", "first", "mean")


def feature_extraction(
    text: str | list[str],
    model: Model = None,
    pooling: str = "none",
    tokenizer: BertTokenizer | None = None,
    *,
    truncation: bool = False,
    max_length: int | None = None,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Return the hidden states of the last layer for a text, or one vector for all of it.

    text: a string, or a list of them.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model of any
        class, whose encoder is used; None means convbert-tiny.
    pooling: "none", a vector for each token; "first", that of the first token, [CLS]; "mean", the
        mean over all tokens, [CLS] and [SEP] included.
    tokenizer, truncation, max_length, progress, hub: as of `text_classification`.

    Returns NumPy arrays, where the pipeline of transformers gives nested lists of the same numbers:
    [1, T, D] for a text and a list of such arrays for a list; pooled, [D] for a text and [N, D] for
    a list.

    As in transformers a text may be empty: it has the vectors of [CLS] and [SEP]. Raises ValueError
    for a text that is longer than the model can take, and for an unknown pooling.
    """
    model, tokenizer = load(FEATURE_EXTRACTION, model, tokenizer, hub)
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}, expected one of {', '.join(POOLINGS)}")
    is_list = isinstance(text, (list, tuple))
    rows = []
    texts = texts_of(text, may_be_empty=True)
    for i, each in enumerate(texts):
        name = text_name(i, len(texts))
        rows.append(encode(each, model, tokenizer, None, truncation, max_length, name))

    results: list[Any] = [None] * len(rows)
    for i, states in run(model, rows, progress, finish=_hidden_states):  # [T, D]
        if pooling == "none":
            results[i] = states[None].copy()  # not a view that would keep its whole batch
        else:
            results[i] = states[0].copy() if pooling == "first" else states.mean(axis=0)
    if not is_list:
        return results[0]
    if pooling == "none":
        return results
    return np.stack(results) if results else np.empty((0, model.config.hidden_size), model.dtype)


def _hidden_states(model: PreTrainedModel, encoded: Encoded) -> list[np.ndarray]:
    """Return the states of each text, whatever the model has for a head."""
    return [encoded.states[0, place] for place in encoded.places()]
