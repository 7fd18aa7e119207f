"""What a model returns: named fields that can also be read by key and, skipping None, by index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass
class ModelOutput:
    """A result with fields: output.logits, output["logits"], and output[0], the first that is set.

    As in transformers, indices, slices, iteration and `to_tuple` skip fields that are None, and
    iteration goes over names, as over the keys of a dictionary.
    """

    def keys(self) -> list[str]:
        return [f.name for f in fields(self) if getattr(self, f.name) is not None]

    def values(self) -> list[Any]:
        return [getattr(self, name) for name in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        return list(zip(self.keys(), self.values(), strict=True))

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(self.values())

    def __getitem__(self, key: str | int | slice) -> Any:
        if not isinstance(key, str):
            return self.to_tuple()[key]
        if key not in self.keys():
            raise KeyError(f"{key!r}; this {type(self).__name__} has {', '.join(self.keys())}")
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()


Arrays = tuple[np.ndarray, ...]


@dataclass
class BaseModelOutput(ModelOutput):
    """The encoder's output [B, T, D]; where asked for, every layer's input and attention."""

    last_hidden_state: np.ndarray
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None


@dataclass
class BaseModelOutputWithPooling(ModelOutput):
    """The output of an encoder with a pooler: [B, T, D], and [B, D] made from the first token."""

    last_hidden_state: np.ndarray
    pooler_output: np.ndarray | None = None
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None


@dataclass
class LogitsOutput(ModelOutput):
    """The logits of a head; the loss where labels were given."""

    loss: np.floating | None = None
    logits: Any = None
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None


class MaskedLMOutput(LogitsOutput):
    """Scores of every word piece at every position [B, T, V]; the loss where labels were given."""


@dataclass
class ForPreTrainingOutput(ModelOutput):
    """Scores of word pieces [B, T, V] and of "follows", "does not follow" [B, 2]; their loss."""

    loss: np.floating | None = None
    prediction_logits: np.ndarray | None = None
    seq_relationship_logits: np.ndarray | None = None
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None


class BertForPreTrainingOutput(ForPreTrainingOutput):
    """What BertForPreTraining returns."""


class MobileBertForPreTrainingOutput(ForPreTrainingOutput):
    """What MobileBertForPreTraining returns."""


class NextSentencePredictorOutput(LogitsOutput):
    """Scores of "follows" and "does not follow" [B, 2]; the loss where labels were given."""


class SequenceClassifierOutput(LogitsOutput):
    """Scores of every label for every text [B, L]; the loss where labels were given."""


class TokenClassifierOutput(LogitsOutput):
    """Scores of every label for every token [B, T, L]; the loss where labels were given."""


class MultipleChoiceModelOutput(LogitsOutput):
    """Scores of the choices for every question [Q, N]; the loss where labels were given."""


@dataclass
class QuestionAnsweringModelOutput(ModelOutput):
    """Scores of every token as start and as end of an answer, [B, T] each; the loss with labels."""

    loss: np.floating | None = None
    start_logits: np.ndarray | None = None
    end_logits: np.ndarray | None = None
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None
