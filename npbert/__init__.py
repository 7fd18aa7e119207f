"""BERT, ConvBERT, MobileBERT and SqueezeBERT as readable forward passes in plain NumPy."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HEADS = ["ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice", "ForTokenClassification",
          "ForQuestionAnswering"]  # fmt: skip
_ALL_HEADS = [*_HEADS, "ForPreTraining", "ForNextSentencePrediction"]  # not of every family

# Every public name and the file it is written in: a file is imported when a name is first wanted.
_HOMES = {
    "tokenizer.added_tokens": ["AddedToken"],
    "auto": ["AutoConfig", "AutoModel", *(f"AutoModel{head}" for head in _ALL_HEADS)],
    "compiled.backend": ["get_backend", "set_backend"],
    "tokenizer.batch_encoding": ["BatchEncoding"],
    "bert": ["BertModel", *(f"Bert{head}" for head in _ALL_HEADS)],
    "model.config": ["BertConfig", "ConvBertConfig", "MobileBertConfig", "SqueezeBertConfig"],
    "convbert": ["ConvBertModel", *(f"ConvBert{head}" for head in _HEADS)],
    "mobilebert": ["MobileBertModel", *(f"MobileBert{head}" for head in _ALL_HEADS)],
    "model.outputs": ["BertForPreTrainingOutput", "MobileBertForPreTrainingOutput"],
    "checkpoints.shipped": ["shipped_checkpoints"],
    "squeezebert": ["SqueezeBertModel", *(f"SqueezeBert{head}" for head in _HEADS)],
    "tasks": [
        "feature_extraction",
        "fill_mask",
        "multiple_choice",
        "next_sentence",
        "question_answering",
        "restore",
        "text_classification",
        "token_classification",
    ],
    "tokenizer.bert_tokenizer": [
        "AutoTokenizer",
        *(
            f"{family}{kind}"
            for family in ("Bert", "ConvBert", "MobileBert", "SqueezeBert")
            for kind in ("Tokenizer", "TokenizerFast")
        ),
    ],
    "tracing.recording": ["trace"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"npbert.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
