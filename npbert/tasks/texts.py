"""text_classification: which label a text has, or a pair of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.ops import softmax
from npbert.tasks.loading import TEXT_CLASSIFICATION, HubOptions, Model, load
from npbert.tasks.rows import (
    best_first,
    check_count,
    check_text,
    encode,
    label_names,
    run,
    text_name,
)
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

NOT_GIVEN: Any = ""  # as in the pipeline, where top_k=None means all labels

FUNCTIONS = {
    "sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)),  # 1 / (1 + exp(-x)) without overflow
    "softmax": softmax,
    "none": lambda x: x,
}


def text_classification(
    text: Any,
    model: Model = None,
    top_k: int | None = NOT_GIVEN,
    function_to_apply: str | None = None,
    tokenizer: BertTokenizer | None = None,
    *,
    truncation: bool | str = False,
    max_length: int | None = None,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Return the label of a text, with its score.

    text: a string; a pair, as {"text": ..., "text_pair": ...} or as a tuple of two strings; or a
        list of any of these.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means convbert-tiny-disturbed, which tells disturbed sentences from original ones.
    top_k: how many labels, best first; None for all. Left out, the best one alone.
    function_to_apply: what makes scores of the logits, "sigmoid", "softmax" or "none". None leaves
        it to the config: none for a regression, the sigmoid for several labels that may hold at
        once and for a single one, else the softmax.
    tokenizer: for a model that was not loaded from a directory.
    truncation: cut a text that is longer than the model can take (True; of a pair "only_first" or
        "only_second"), instead of refusing it; max_length: in tokens, if not what the model takes.
    progress: show a bar; None: after a second, where standard error is a terminal.
    hub: of a checkpoint on the Hub its revision, cache_dir, token and local_files_only.

    A label is {"label": name, "score": number}. As in transformers the result for one string is a
    list, of the best label or of top_k; for one pair without top_k it is the label itself; for a
    list of texts it is a list of labels, with top_k a list of lists.

    As in transformers a text may be empty, and an empty second text is none. Raises ValueError for
    a text that is longer than the model can take, for an option out of range, and for a model
    without a trained head.
    """
    model, tokenizer = load(TEXT_CLASSIFICATION, model, tokenizer, hub)
    only_best = isinstance(top_k, str) and top_k == NOT_GIVEN
    if top_k is not None and not only_best:
        check_count("top_k", top_k)
    apply = FUNCTIONS[function_name(function_to_apply, model.config)]
    is_list = isinstance(text, list)
    entries = text if is_list else [text]
    rows = []
    for i, entry in enumerate(entries):
        name = text_name(i, len(entries))
        first, second = _text_and_pair(entry, name)
        options: dict[str, Any] = {"truncation": truncation, "max_length": max_length}
        rows.append(encode(first, model, tokenizer, second, name=name, **options))
    results: list[Any] = [None] * len(rows)
    names = label_names(model)
    for i, output in run(model, rows, progress):
        scores = apply(output.logits[0])  # [L]
        best = best_first(scores, 1 if only_best else top_k)
        labels = [{"label": names[k], "score": float(scores[k])} for k in best]
        results[i] = labels[0] if only_best else labels
    if is_list:
        return results
    return results if only_best and isinstance(text, str) else results[0]


def function_name(function_to_apply: str | None, config: Any) -> str:
    """Return which of FUNCTIONS makes scores of the logits, or raise a ValueError."""
    if function_to_apply is None:
        if config.problem_type == "regression":
            return "none"
        several = config.problem_type == "multi_label_classification"
        return "sigmoid" if several or config.num_labels == 1 else "softmax"
    name = str(function_to_apply).lower()
    if name not in FUNCTIONS:
        raise ValueError(
            f"function_to_apply is {function_to_apply!r}, "
            f"expected None or one of {', '.join(FUNCTIONS)}"
        )
    return name


def _text_and_pair(entry: Any, name: str) -> tuple[str, str | None]:
    """Return what the tokenizer takes, of any way to give a text or a pair."""
    if isinstance(entry, dict):
        if "text" not in entry or not entry.keys() <= {"text", "text_pair"}:
            raise ValueError(f"{name} has the keys {[*entry]}, expected text and text_pair")
        pair = entry.get("text_pair")
        entry = (entry["text"],) if pair is None else (entry["text"], pair)
    elif isinstance(entry, list) and len(entry) == 1:  # an old way of the pipeline's: [[a, b]]
        entry = entry[0]
    parts = (entry,) if isinstance(entry, str) else entry
    if not isinstance(parts, (list, tuple)) or not 1 <= len(parts) <= 2:
        kind = type(entry).__name__
        raise ValueError(f"{name} is {kind}, expected str, a pair of str or a list of these")
    first = check_text(parts[0], name, may_be_empty=True)
    if len(parts) == 1:
        return first, None
    return first, check_text(parts[1], f"the pair of {name}", may_be_empty=True)
