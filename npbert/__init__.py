"""BERT, ConvBERT, MobileBERT and SqueezeBERT as readable forward passes in plain NumPy."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public names are imported when they are first used, so that `import npbert` costs nothing. Type
# checkers and editors read the imports here; tests hold the two lists to each other.
TYPE_CHECKING = False  # as typing has it, whose import would take longer than all of this
if TYPE_CHECKING:
    from typing import Any

    from npbert.auto import (
        AutoConfig,
        AutoModel,
        AutoModelForMaskedLM,
        AutoModelForMultipleChoice,
        AutoModelForNextSentencePrediction,
        AutoModelForPreTraining,
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )
    from npbert.bert import (
        BertForMaskedLM,
        BertForMultipleChoice,
        BertForNextSentencePrediction,
        BertForPreTraining,
        BertForQuestionAnswering,
        BertForSequenceClassification,
        BertForTokenClassification,
        BertModel,
    )
    from npbert.checkpoints.shipped import shipped_checkpoints
    from npbert.compiled.backend import get_backend, set_backend
    from npbert.convbert import (
        ConvBertForMaskedLM,
        ConvBertForMultipleChoice,
        ConvBertForQuestionAnswering,
        ConvBertForSequenceClassification,
        ConvBertForTokenClassification,
        ConvBertModel,
    )
    from npbert.mobilebert import (
        MobileBertForMaskedLM,
        MobileBertForMultipleChoice,
        MobileBertForNextSentencePrediction,
        MobileBertForPreTraining,
        MobileBertForQuestionAnswering,
        MobileBertForSequenceClassification,
        MobileBertForTokenClassification,
        MobileBertModel,
    )
    from npbert.model.config import BertConfig, ConvBertConfig, MobileBertConfig, SqueezeBertConfig
    from npbert.model.outputs import BertForPreTrainingOutput, MobileBertForPreTrainingOutput
    from npbert.squeezebert import (
        SqueezeBertForMaskedLM,
        SqueezeBertForMultipleChoice,
        SqueezeBertForQuestionAnswering,
        SqueezeBertForSequenceClassification,
        SqueezeBertForTokenClassification,
        SqueezeBertModel,
    )
    from npbert.tasks import (
        encode,
        feature_extraction,
        fill_mask,
        multiple_choice,
        next_sentence,
        question_answering,
        restore,
        text_classification,
        token_classification,
    )
    from npbert.tokenizer.added_tokens import AddedToken
    from npbert.tokenizer.batch_encoding import BatchEncoding
    from npbert.tokenizer.bert_tokenizer import (
        AutoTokenizer,
        BertTokenizer,
        BertTokenizerFast,
        ConvBertTokenizer,
        ConvBertTokenizerFast,
        MobileBertTokenizer,
        MobileBertTokenizerFast,
        SqueezeBertTokenizer,
        SqueezeBertTokenizerFast,
    )
    from npbert.tracing.recording import trace

_HEADS = ["ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice", "ForTokenClassification",
          "ForQuestionAnswering"]  # fmt: skip
_ALL_HEADS = [*_HEADS, "ForPreTraining", "ForNextSentencePrediction"]  # not of every family

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
        "encode",
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
__all__ = [
    "AddedToken", "AutoConfig", "AutoModel", "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice", "AutoModelForNextSentencePrediction",
    "AutoModelForPreTraining", "AutoModelForQuestionAnswering",
    "AutoModelForSequenceClassification", "AutoModelForTokenClassification", "AutoTokenizer",
    "BatchEncoding", "BertConfig", "BertForMaskedLM", "BertForMultipleChoice",
    "BertForNextSentencePrediction", "BertForPreTraining", "BertForPreTrainingOutput",
    "BertForQuestionAnswering", "BertForSequenceClassification", "BertForTokenClassification",
    "BertModel", "BertTokenizer", "BertTokenizerFast", "ConvBertConfig", "ConvBertForMaskedLM",
    "ConvBertForMultipleChoice", "ConvBertForQuestionAnswering",
    "ConvBertForSequenceClassification", "ConvBertForTokenClassification", "ConvBertModel",
    "ConvBertTokenizer", "ConvBertTokenizerFast", "MobileBertConfig", "MobileBertForMaskedLM",
    "MobileBertForMultipleChoice", "MobileBertForNextSentencePrediction",
    "MobileBertForPreTraining", "MobileBertForPreTrainingOutput",
    "MobileBertForQuestionAnswering", "MobileBertForSequenceClassification",
    "MobileBertForTokenClassification", "MobileBertModel", "MobileBertTokenizer",
    "MobileBertTokenizerFast", "SqueezeBertConfig", "SqueezeBertForMaskedLM",
    "SqueezeBertForMultipleChoice", "SqueezeBertForQuestionAnswering",
    "SqueezeBertForSequenceClassification", "SqueezeBertForTokenClassification",
    "SqueezeBertModel", "SqueezeBertTokenizer", "SqueezeBertTokenizerFast",
    "encode", "feature_extraction", "fill_mask", "get_backend", "multiple_choice", "next_sentence",
    "question_answering", "restore", "set_backend", "shipped_checkpoints",
    "text_classification", "token_classification", "trace",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"npbert.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
