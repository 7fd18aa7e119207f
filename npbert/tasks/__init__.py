"""The tasks: one function each, from text to an answer, shaped as the transformers pipelines'.

    masks.py     fill_mask               pairs.py     next_sentence, multiple_choice
    texts.py     text_classification     features.py  feature_extraction
    tokens.py    token_classification    mending.py   restore
    answers.py   question_answering      sentences.py encode

and what they have in common:

    loading.py   which model does a task, and whether its head is trained
    rows.py      texts to rows of ids; rows in batches through the model, and back in order
    windows.py   a text that is longer than the model, in overlapping windows
    grouping.py  labelled tokens to words and entities
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers
    from npbert.tasks.answers import question_answering
    from npbert.tasks.features import feature_extraction
    from npbert.tasks.masks import fill_mask
    from npbert.tasks.mending import restore
    from npbert.tasks.pairs import multiple_choice, next_sentence
    from npbert.tasks.sentences import encode
    from npbert.tasks.texts import text_classification
    from npbert.tasks.tokens import token_classification

__all__ = [
    "encode", "feature_extraction", "fill_mask", "multiple_choice", "next_sentence",
    "question_answering", "restore", "text_classification", "token_classification",
]  # fmt: skip
# The file of every task, which is imported when the task is first used.
_HOMES = {
    "encode": "sentences",
    "feature_extraction": "features",
    "fill_mask": "masks",
    "multiple_choice": "pairs",
    "next_sentence": "pairs",
    "question_answering": "answers",
    "restore": "mending",
    "text_classification": "texts",
    "token_classification": "tokens",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
