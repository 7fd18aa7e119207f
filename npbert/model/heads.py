"""The kinds of heads: what their models are called with and return, and the loss.

A family's class says what its head computes (`head`); everything around that is here, once.

Axes   B sentences   T tokens   D hidden width   V vocabulary   L labels
       Q questions   N choices of each; their B = Q*N texts are sentences
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.model.base import PreTrainedModel
from npbert.model.inputs import (
    check_class_labels,
    check_labels,
    check_positions,
    check_text_labels,
    flatten_choices,
)
from npbert.model.outputs import (
    BaseModelOutput,
    ForPreTrainingOutput,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from npbert.ops import binary_cross_entropy, cross_entropy, mean_squared_error


class Encoder(PreTrainedModel):
    """A body without a head."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Encode sentences: ids [B, T] or embeddings [B, T, E] -> hidden states [B, T, D].

        attention_mask: [B, T], 0 at padding (default: all count), or what is added to the attention
        scores, [B, H, T, T] or with any of these 1. token_type_ids: [B, T], which segment a token
        belongs to (default 0). position_ids: [B, T] or [1, T] (default 0, 1, ...).
        Raises ValueError for inputs that do not fit the model, before any work.
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        output = self.finish(self.encode(inputs, output_attentions, output_hidden_states))
        return self.returned(output, return_dict)

    def finish(self, encoded: BaseModelOutput) -> ModelOutput:
        """Make what is returned of what the body gave; a family with a pooler adds to it."""
        return encoded


class WithHead(PreTrainedModel):
    """A body with a head on it."""

    def head(self, x: np.ndarray) -> Any:
        """Map the hidden states of the last layer [B, T, D] to logits."""
        raise NotImplementedError


class MaskedLM(WithHead):
    """A head that scores every word piece at every position."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Score every word piece at every position: ids [B, T] -> logits [B, T, V].

        labels: [B, T], the true ids, -100 where they do not count; with them, `loss` is the mean
        negative log likelihood in nats. The other arguments are those of the body.
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        V = self.config.vocab_size
        if labels is not None:
            labels = check_labels("labels", labels, inputs.shape, V)
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        logits = self.head(encoded.last_hidden_state)  # [B, T, V]
        loss = None
        if labels is not None:
            loss = cross_entropy(logits.reshape(-1, V), labels.reshape(-1))
        output = MaskedLMOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.returned(output, return_dict)


class PreTraining(WithHead):
    """The two heads of pre-training: masked word pieces, and whether two texts belong together."""

    output_class: type[ForPreTrainingOutput] = ForPreTrainingOutput

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        next_sentence_label: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Score word pieces [B, T, V], and [B, 2]: the second text follows the first, or does not.

        labels: [B, T], as for masked language modelling. next_sentence_label: [B], 0 where the
        second text follows, 1 where it does not. `loss`, the sum of both, needs both labels.
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        V = self.config.vocab_size
        if labels is not None:
            labels = check_labels("labels", labels, inputs.shape, V)
        if next_sentence_label is not None:
            next_sentence_label = check_text_labels(
                "next_sentence_label", next_sentence_label, inputs.shape[0], 2
            )
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        predictions, relationship = self.head(encoded.last_hidden_state)  # [B, T, V], [B, 2]
        loss = None
        if labels is not None and next_sentence_label is not None:
            loss = cross_entropy(predictions.reshape(-1, V), labels.reshape(-1))
            loss = loss + cross_entropy(relationship, next_sentence_label)
        output = self.output_class(
            loss, predictions, relationship, encoded.hidden_states, encoded.attentions
        )
        return self.returned(output, return_dict)


class NextSentencePrediction(WithHead):
    """A head that says whether the second text follows the first."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Score pairs: ids [B, T] -> logits [B, 2], 0 for "follows", 1 for "does not".

        labels: [B], 0 or 1, -100 where they do not count; with them, `loss` in nats.
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        if labels is not None:
            labels = check_text_labels("labels", labels, inputs.shape[0], 2)
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        logits = self.head(encoded.last_hidden_state)  # [B, 2]
        loss = None if labels is None else cross_entropy(logits, labels)
        output = NextSentencePredictorOutput(
            loss, logits, encoded.hidden_states, encoded.attentions
        )
        return self.returned(output, return_dict)


class SequenceClassification(WithHead):
    """A head that gives a text labels, or a number."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Classify texts: ids [B, T] -> logits [B, L].

        labels: what they are, and the loss, follow from the config's problem_type: "regression",
        numbers [B] or [B, L], mean squared error; "single_label_classification", classes [B], cross
        entropy; "multi_label_classification", shares [B, L], binary cross entropy. Where it is
        None: regression for one label, single label for whole numbers, else multi label. (The
        reference keeps what it inferred first in its config; here every call infers anew.)
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        B, L = inputs.shape[0], self.config.num_labels
        if labels is not None:
            problem, labels = check_class_labels(labels, B, L, self.config.problem_type)
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        logits = self.head(encoded.last_hidden_state)  # [B, L]
        loss = None
        if labels is not None:
            losses = {
                "regression": mean_squared_error,
                "single_label_classification": cross_entropy,
                "multi_label_classification": binary_cross_entropy,
            }
            loss = losses[problem](logits, labels)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.returned(output, return_dict)


class TokenClassification(WithHead):
    """A head that gives every token a label."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Classify tokens: ids [B, T] -> logits [B, T, L].

        labels: [B, T], classes, -100 where they do not count; with them, `loss` in nats.
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        L = self.config.num_labels
        if labels is not None:
            labels = check_labels("labels", labels, inputs.shape, L)
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        logits = self.head(encoded.last_hidden_state)  # [B, T, L]
        loss = None
        if labels is not None:
            loss = cross_entropy(logits.reshape(-1, L), labels.reshape(-1))
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.returned(output, return_dict)


class QuestionAnswering(WithHead):
    """A head that says where in the text an answer starts and where it ends."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        start_positions: Any = None,
        end_positions: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Score every token as an answer's start and as its end: ids [B, T] -> two of [B, T].

        start_positions, end_positions: [B]; with both, `loss` is the mean of the two cross
        entropies. As in the reference a position beyond the text does not count, and one below 0
        counts as 0.
        """
        inputs = self.check(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        B, T = inputs.shape
        if start_positions is not None:
            start_positions = check_positions("start_positions", start_positions, B, T)
        if end_positions is not None:
            end_positions = check_positions("end_positions", end_positions, B, T)
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        logits = self.head(encoded.last_hidden_state)  # [B, T, 2]
        start_logits, end_logits = logits[..., 0], logits[..., 1]  # [B, T]
        loss = None
        if start_positions is not None and end_positions is not None:
            start_loss = cross_entropy(start_logits, start_positions)
            end_loss = cross_entropy(end_logits, end_positions)
            loss = np.mean([start_loss, end_loss], dtype=logits.dtype)
        output = QuestionAnsweringModelOutput(
            loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions
        )
        return self.returned(output, return_dict)


class MultipleChoice(WithHead):
    """A head that scores several texts against each other."""

    def __call__(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Score N choices for each of Q questions: ids [Q, N, T] -> logits [Q, N].

        All arguments have the axis of the choices; inside, and in hidden_states and attentions,
        the Q*N texts are simply sentences. labels: [Q], the right choice; with them, `loss`.
        """
        choices, entries = flatten_choices(
            input_ids=(input_ids, 3),
            attention_mask=(attention_mask, 3),
            token_type_ids=(token_type_ids, 3),
            position_ids=(position_ids, 3),
            inputs_embeds=(inputs_embeds, 4),
        )
        inputs = self.check(**entries)
        Q = inputs.shape[0] // choices
        if labels is not None:
            labels = check_labels("labels", labels, (Q,), choices)
        encoded = self.encode(inputs, output_attentions, output_hidden_states)
        logits = self.head(encoded.last_hidden_state).reshape(Q, choices)  # [Q, N]
        loss = None if labels is None else cross_entropy(logits, labels)
        output = MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return self.returned(output, return_dict)
