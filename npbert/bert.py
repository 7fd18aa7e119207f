"""BERT (Devlin et al. 2019): the encoder of the Transformer, trained to fill in missing words.

    embeddings -> N x (attention -> feed-forward) -> pooler or head

Axes   B sentences   T tokens   V vocabulary   D hidden width   I width of the feed-forward layer
       H heads   S width of one head, D = H*S   L labels
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS
from npbert.model.base import PreTrainedModel
from npbert.model.config import BertConfig
from npbert.model.heads import (
    Encoder,
    MaskedLM,
    MultipleChoice,
    NextSentencePrediction,
    PreTraining,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from npbert.model.inputs import Inputs
from npbert.model.outputs import (
    BaseModelOutput,
    BaseModelOutputWithPooling,
    BertForPreTrainingOutput,
    ModelOutput,
)
from npbert.model.params import Shapes, below, children, linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, split_heads

# ---- embeddings ----------------------------------------------------------------------------


def embeddings(inputs, p, config):  # -> [B, T, D]
    """Add what the word piece, its segment and its position say; normalise the sum (figure 2)."""
    words = inputs.inputs_embeds  # [B, T, D]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, D]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, D]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, D] or [1, T, D]
    return layer_norm(words + types + positions, p.LayerNorm, config.layer_norm_eps)


# ---- layer (Vaswani et al. 2017, section 3) ------------------------------------------------


def self_attention(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D]
    """Let every token gather from all tokens what its heads look for (section 3.2.2)."""
    H = config.num_attention_heads
    query, key, value = linear(x, p.query), linear(x, p.key), linear(x, p.value)  # [B, T, D]
    context, probs = attend(
        split_heads(query, H), split_heads(key, H), split_heads(value, H), mask_bias
    )
    return context.reshape(x.shape), probs


def feed_forward(x, p, config):  # [B, T, D] -> [B, T, D]
    """Treat every token by itself: to a wider layer and back, then add and normalise (3.3)."""
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(linear(x, p.intermediate.dense))  # [B, T, I]
    narrow = linear(wide, p.output.dense)  # [B, T, D]
    return layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D]
    """One layer: attention, then the feed-forward network, each with a residual around it (3.1)."""
    attention, output = p.attention.self, p.attention.output
    context, probs = self_attention(x, attention, config, mask_bias)  # [B, T, D], [B, H, T, T]
    x = layer_norm(x + linear(context, output.dense), output.LayerNorm, config.layer_norm_eps)
    return feed_forward(x, p, config), probs


def body(inputs, p, config):
    """Yield what enters the first layer, then what leaves each one, with its attention shares."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, D]
    yield x, None
    for i in range(config.num_hidden_layers):
        x, probs = layer(x, p.encoder.layer[i], config, inputs.mask_bias)
        yield x, probs


# ---- heads ---------------------------------------------------------------------------------


def pool(x, p):  # [B, T, D] -> [B, D]
    """Summarise a sentence by its first token, [CLS]; trained by next-sentence prediction."""
    first = x[:, 0]  # [B, D]
    return np.tanh(linear(first, p.dense))


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position, by its likeness to the piece's embedding (3.1)."""
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(x, p.transform.dense))  # [B, T, D]
    transformed = layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)
    return transformed @ p.decoder.weight.T + p.decoder.bias


# ---- what a checkpoint holds ---------------------------------------------------------------


def layer_shapes(config: BertConfig) -> Shapes:
    """Return the names and shapes of the parameters of one layer."""
    D, I = config.hidden_size, config.intermediate_size
    return {
        **below("attention.self.query", linear_shapes(D, D)),
        **below("attention.self.key", linear_shapes(D, D)),
        **below("attention.self.value", linear_shapes(D, D)),
        **below("attention.output.dense", linear_shapes(D, D)),
        **below("attention.output.LayerNorm", norm_shapes(D)),
        **below("intermediate.dense", linear_shapes(I, D)),
        **below("output.dense", linear_shapes(D, I)),
        **below("output.LayerNorm", norm_shapes(D)),
    }


def body_shapes(config: BertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the body, without the pooler."""
    D = config.hidden_size
    shapes = {
        "embeddings.word_embeddings.weight": (config.vocab_size, D),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, D),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, D),
        **below("embeddings.LayerNorm", norm_shapes(D)),
    }
    for i in range(config.num_hidden_layers):
        shapes |= below(f"encoder.layer.{i}", layer_shapes(config))
    return shapes


def pooler_shapes(config: BertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the pooler."""
    return below("pooler.dense", linear_shapes(config.hidden_size, config.hidden_size))


def masked_lm_shapes(config: BertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the masked-LM head."""
    D, V = config.hidden_size, config.vocab_size
    shapes = {
        **below("cls.predictions.transform.dense", linear_shapes(D, D)),
        **below("cls.predictions.transform.LayerNorm", norm_shapes(D)),
        "cls.predictions.bias": (V,),
    }
    if not config.tie_word_embeddings:
        shapes |= below("cls.predictions.decoder", linear_shapes(V, D))
    return shapes


# ---- model classes -------------------------------------------------------------------------


class BertPreTrainedModel(PreTrainedModel):
    """What all BERT models share; below it, one class for each head."""

    config: BertConfig
    config_class = BertConfig
    base_model_prefix = "bert"

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        """Return the names and shapes of the parameters of the head, and of the pooler it uses."""
        raise NotImplementedError

    @classmethod
    def parameter_shapes(cls, config: BertConfig) -> Shapes:
        return {**below("bert", body_shapes(config)), **cls.head_shapes(config)}

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params.bert, self.config)


class BertModel(BertPreTrainedModel, Encoder):
    """BERT without a head: hidden states [B, T, D], and the pooled first token [B, D]."""

    optional = ("pooler.",)

    @classmethod
    def parameter_shapes(cls, config: BertConfig, add_pooling_layer: bool = True) -> Shapes:
        return body_shapes(config) | (pooler_shapes(config) if add_pooling_layer else {})

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params, self.config)

    def finish(self, encoded: BaseModelOutput) -> ModelOutput:
        pooled = None
        if "pooler" in children(self.params):
            pooled = pool(encoded.last_hidden_state, self.params.pooler)
        return BaseModelOutputWithPooling(
            encoded.last_hidden_state, pooled, encoded.hidden_states, encoded.attentions
        )


class TiedDecoder(BertPreTrainedModel):
    """The masked-LM head's scores use the word embeddings themselves, unless the config unties."""

    @classmethod
    def tied(cls, config: BertConfig) -> dict[str, str]:
        if not config.tie_word_embeddings:
            return {}
        return {
            "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
            "cls.predictions.decoder.bias": "cls.predictions.bias",
        }


class BertForPreTraining(TiedDecoder, PreTraining):
    """BERT with both heads of its pre-training: logits [B, T, V] and [B, 2]."""

    optional = ("bert.pooler.", "cls.predictions.", "cls.seq_relationship.")
    output_class = BertForPreTrainingOutput

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("bert", pooler_shapes(config)),
            **masked_lm_shapes(config),
            **below("cls.seq_relationship", linear_shapes(2, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        p = self.params
        predictions = masked_lm_head(x, p.cls.predictions, self.config)
        return predictions, linear(pool(x, p.bert.pooler), p.cls.seq_relationship)


class BertForMaskedLM(TiedDecoder, MaskedLM):
    """BERT with the head that fills in masked word pieces: logits [B, T, V]."""

    optional = ("cls.predictions.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return masked_lm_shapes(config)

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params.cls.predictions, self.config)


class BertForNextSentencePrediction(BertPreTrainedModel, NextSentencePrediction):
    """BERT with the head that says whether the second text follows the first: logits [B, 2]."""

    optional = ("bert.pooler.", "cls.seq_relationship.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("bert", pooler_shapes(config)),
            **below("cls.seq_relationship", linear_shapes(2, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.bert.pooler), self.params.cls.seq_relationship)


class BertForSequenceClassification(BertPreTrainedModel, SequenceClassification):
    """BERT with a head that classifies texts: logits [B, L]."""

    optional = ("bert.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("bert", pooler_shapes(config)),
            **below("classifier", linear_shapes(config.num_labels, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.bert.pooler), self.params.classifier)


class BertForMultipleChoice(BertPreTrainedModel, MultipleChoice):
    """BERT with a head that scores several texts against each other: logits [Q, N]."""

    optional = ("bert.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("bert", pooler_shapes(config)),
            **below("classifier", linear_shapes(1, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.bert.pooler), self.params.classifier)


class BertForTokenClassification(BertPreTrainedModel, TokenClassification):
    """BERT with a head that classifies every token: logits [B, T, L]."""

    optional = ("classifier.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return below("classifier", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class BertForQuestionAnswering(BertPreTrainedModel, QuestionAnswering):
    """BERT with a head that marks an answer in the text: start and end logits [B, T]."""

    optional = ("qa_outputs.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        config.require_two_labels("question answering")
        return below("qa_outputs", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
