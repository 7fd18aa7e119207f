"""The kinds of heads: what models with them are called with and return, and the loss.

A family's class says what its head computes (`head`); everything around that is here, once.
A call with return_dict=False, or of a model whose config has it, returns the tuple of the output.

Axes   B sentences   T tokens   D hidden width   V vocabulary   L labels
       Q questions   N choices of each; their B = Q*N texts are sentences
"""

from __future__ import annotations

from typing import Any, ClassVar

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
    BaseModelOutputWithPooling,
    ForPreTrainingOutput,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from npbert.model.params import Shapes, flat_shapes, linear_shapes
from npbert.model.together import FIRST, TOKENS
from npbert.ops import binary_cross_entropy, cross_entropy, mean_squared_error


class Encoder(PreTrainedModel):
    """An encoder without a head."""

    made_of: ClassVar[dict[str, str]] = {"last_hidden_state": TOKENS}

    @property
    def encoder_params(self) -> Any:
        return self.params

    @classmethod
    def parameter_shapes(cls, config: Any) -> Shapes:
        return flat_shapes(cls.encoder_shapes(config, cls.add_pooling_layer))

    @classmethod
    def optional(cls, config: Any) -> tuple[str, ...]:
        return ("pooler.",)

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
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        return self.answer(entries, {}, output_attentions, output_hidden_states, return_dict)

    def finish(self, encoded: BaseModelOutput, labels: Any = None) -> ModelOutput:
        return encoded


class EncoderWithPooler(Encoder):
    """An encoder with a pooler, which add_pooling_layer=False leaves out."""

    add_pooling_layer = True
    made_of: ClassVar[dict[str, str]] = {"last_hidden_state": TOKENS, "pooler_output": FIRST}

    @classmethod
    def parameter_shapes(cls, config: Any, add_pooling_layer: bool = True) -> Shapes:
        return flat_shapes(cls.encoder_shapes(config, add_pooling_layer))

    def pool(self, x: np.ndarray) -> np.ndarray:
        """Summarise the hidden states of the last layer: [B, T, D] -> [B, D]."""
        raise NotImplementedError

    def finish(self, encoded: BaseModelOutput, labels: Any = None) -> ModelOutput:
        x, pooled = encoded.last_hidden_state, None
        if self.options.get("add_pooling_layer", True):
            pooled = self.pool(x)
        return BaseModelOutputWithPooling(x, pooled, encoded.hidden_states, encoded.attentions)


class WithHead(PreTrainedModel):
    """An encoder with a head."""

    output_class: ClassVar[Any]

    def head(self, x: np.ndarray) -> Any:
        """Map the hidden states of the last layer [B, T, D] to logits."""
        raise NotImplementedError

    def checked(self, labels: Any, shape: tuple[int, int]) -> Any:
        """Return labels for texts of `shape` [B, T] as an array, or raise ValueError."""
        raise NotImplementedError

    def check_labels(self, shape: tuple[int, int], labels: dict[str, Any]) -> Any:
        given = labels["labels"]
        return None if given is None else self.checked(given, shape)

    def loss(self, logits: np.ndarray, labels: Any) -> np.floating:
        return cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))

    def finish(self, encoded: BaseModelOutput, labels: Any) -> Any:
        logits = self.head(encoded.last_hidden_state)  # [B, T, V] or [B, T, L] or [B, L] or [B, 2]
        loss = None if labels is None else self.loss(logits, labels)
        return self.output_class(loss, logits, encoded.hidden_states, encoded.attentions)


class MaskedLM(WithHead):
    """A head that scores every word piece at every position."""

    output_class = MaskedLMOutput
    made_of: ClassVar[dict[str, str]] = {"logits": TOKENS}

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
    ) -> MaskedLMOutput:
        """Score every word piece at every position: ids [B, T] -> logits [B, T, V].

        labels: [B, T], the true ids, -100 where they do not count; with them, `loss` is the mean
        negative log likelihood in nats. The other arguments are those of the encoder.
        """
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        given = dict(labels=labels)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def checked(self, labels: Any, shape: tuple[int, int]) -> np.ndarray:
        return check_labels("labels", labels, shape, self.config.vocab_size)


class PreTraining(WithHead):
    """The two heads of pre-training: masked word pieces, and whether two texts belong together."""

    output_class = ForPreTrainingOutput
    made_of: ClassVar[dict[str, str]] = {
        "prediction_logits": TOKENS,
        "seq_relationship_logits": FIRST,
    }
    no_labels: ClassVar[dict[str, Any]] = {"labels": None, "next_sentence_label": None}

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
    ) -> ForPreTrainingOutput:
        """Score word pieces [B, T, V], and [B, 2]: the second text follows the first, or does not.

        labels: [B, T], as for masked language modelling. next_sentence_label: [B], 0 where the
        second text follows, 1 where it does not. `loss`, the sum of both, needs both labels.
        """
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        given = dict(labels=labels, next_sentence_label=next_sentence_label)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def check_labels(self, shape: tuple[int, int], labels: dict[str, Any]) -> Any:
        pieces, follows = labels["labels"], labels["next_sentence_label"]
        if pieces is not None:
            pieces = check_labels("labels", pieces, shape, self.config.vocab_size)
        if follows is not None:
            follows = check_text_labels("next_sentence_label", follows, shape[0], 2)
        return pieces, follows

    def finish(self, encoded: BaseModelOutput, labels: Any) -> ForPreTrainingOutput:
        predictions, relationship = self.head(encoded.last_hidden_state)  # [B, T, V], [B, 2]
        loss = None
        if all(given is not None for given in labels):
            loss = self.loss(predictions, labels[0]) + self.loss(relationship, labels[1])
        return self.output_class(
            loss, predictions, relationship, encoded.hidden_states, encoded.attentions
        )


class NextSentencePrediction(WithHead):
    """A head that says whether the second text follows the first."""

    output_class = NextSentencePredictorOutput
    made_of: ClassVar[dict[str, str]] = {"logits": FIRST}

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"cls.seq_relationship": linear_shapes(2, config.hidden_size)}

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
    ) -> NextSentencePredictorOutput:
        """Score pairs: ids [B, T] -> logits [B, 2], 0 for "follows", 1 for "does not".

        labels: [B], 0 or 1, -100 where they do not count; with them, `loss` in nats.
        """
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        given = dict(labels=labels)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def checked(self, labels: Any, shape: tuple[int, int]) -> np.ndarray:
        return check_text_labels("labels", labels, shape[0], 2)


class SequenceClassification(WithHead):
    """A head that gives a text labels, or a number."""

    output_class = SequenceClassifierOutput
    made_of: ClassVar[dict[str, str]] = {"logits": FIRST}

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"classifier": linear_shapes(config.num_labels, config.hidden_size)}

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
    ) -> SequenceClassifierOutput:
        """Classify texts: ids [B, T] -> logits [B, L].

        labels: what they are, and the loss, follow from the config's problem_type: "regression",
        numbers [B] or [B, L], mean squared error; "single_label_classification", classes [B], cross
        entropy; "multi_label_classification", probabilities [B, L], binary cross entropy. Where it
        is None: regression for one label, single label for integers, else multi label. (The
        reference keeps what it inferred first in its config; here every call infers it again.)
        """
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        given = dict(labels=labels)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def checked(self, labels: Any, shape: tuple[int, int]) -> tuple[str, np.ndarray]:
        L, problem_type = self.config.num_labels, self.config.problem_type
        return check_class_labels(labels, shape[0], L, problem_type)

    def loss(self, logits: np.ndarray, labels: tuple[str, np.ndarray]) -> np.floating:
        losses = {
            "regression": mean_squared_error,
            "single_label_classification": cross_entropy,
            "multi_label_classification": binary_cross_entropy,
        }
        return losses[labels[0]](logits, labels[1])


class TokenClassification(WithHead):
    """A head that gives every token a label."""

    output_class = TokenClassifierOutput
    made_of: ClassVar[dict[str, str]] = {"logits": TOKENS}

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"classifier": linear_shapes(config.num_labels, config.hidden_size)}

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
    ) -> TokenClassifierOutput:
        """Classify tokens: ids [B, T] -> logits [B, T, L].

        labels: [B, T], classes, -100 where they do not count; with them, `loss` in nats.
        """
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        given = dict(labels=labels)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def checked(self, labels: Any, shape: tuple[int, int]) -> np.ndarray:
        return check_labels("labels", labels, shape, self.config.num_labels)


class QuestionAnswering(WithHead):
    """A head that says where in the text an answer starts and where it ends."""

    made_of: ClassVar[dict[str, str]] = {"start_logits": TOKENS, "end_logits": TOKENS}
    no_labels: ClassVar[dict[str, Any]] = {"start_positions": None, "end_positions": None}

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        config.require_two_labels("question answering")
        return {"qa_outputs": linear_shapes(2, config.hidden_size)}

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
    ) -> QuestionAnsweringModelOutput:
        """Score every token as an answer's start and as its end: ids [B, T] -> two of [B, T].

        start_positions, end_positions: [B]; with both, `loss` is the mean of the two cross
        entropies. As in the reference a position beyond the text does not count, and one below 0
        counts as 0.
        """
        entries = input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds
        given = dict(start_positions=start_positions, end_positions=end_positions)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def check_labels(self, shape: tuple[int, int], labels: dict[str, Any]) -> Any:
        return [
            None if positions is None else check_positions(name, positions, *shape)
            for name, positions in labels.items()
        ]

    def finish(self, encoded: BaseModelOutput, labels: Any) -> QuestionAnsweringModelOutput:
        logits = self.head(encoded.last_hidden_state)  # [B, T, 2]
        start_logits, end_logits = logits[..., 0], logits[..., 1]  # [B, T]
        loss = None
        if all(given is not None for given in labels):
            start_loss = self.loss(start_logits, labels[0])
            end_loss = self.loss(end_logits, labels[1])
            loss = np.mean([start_loss, end_loss], dtype=logits.dtype)
        return QuestionAnsweringModelOutput(
            loss, start_logits, end_logits, encoded.hidden_states, encoded.attentions
        )


class MultipleChoice(WithHead):
    """A head that scores several texts against each other."""

    no_labels: ClassVar[dict[str, Any]] = {"labels": None, "choices": 1}

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"classifier": linear_shapes(1, config.hidden_size)}

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
    ) -> MultipleChoiceModelOutput:
        """Score N choices for each of Q questions: ids [Q, N, T] -> logits [Q, N].

        All arguments have the axis of the choices; inside, and in hidden_states and attentions,
        the Q*N texts are simply sentences. labels: [Q], the right choice; with them, `loss`.
        """
        choices, flat = flatten_choices(
            input_ids=(input_ids, 3),
            attention_mask=(attention_mask, 3),
            token_type_ids=(token_type_ids, 3),
            position_ids=(position_ids, 3),
            inputs_embeds=(inputs_embeds, 4),
        )
        entries, given = tuple(flat.values()), dict(labels=labels, choices=choices)
        return self.answer(entries, given, output_attentions, output_hidden_states, return_dict)

    def check_labels(self, shape: tuple[int, int], labels: dict[str, Any]) -> Any:
        given, choices = labels["labels"], labels["choices"]
        if given is not None:
            given = check_labels("labels", given, (shape[0] // choices,), choices)
        return {"labels": given, "choices": choices}

    def finish(self, encoded: BaseModelOutput, labels: Any) -> MultipleChoiceModelOutput:
        choices = labels["choices"]
        logits = self.head(encoded.last_hidden_state).reshape(-1, choices)  # [Q, N]
        loss = None
        if labels["labels"] is not None:
            loss = self.loss(logits, labels["labels"])
        return MultipleChoiceModelOutput(loss, logits, encoded.hidden_states, encoded.attentions)
