"""BERT (Devlin et al. 2019): the encoder of the Transformer, trained to fill in missing words.

    embeddings -> N x (attention -> feed-forward) -> pooler or head

Axes   B sentences   T tokens   V vocabulary   D hidden width   I width of the feed-forward layer
       H heads   S width of one head, D = H*S   L labels   Q questions   N choices of each
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
       `mask_bias` [B, 1, 1, T] is added to the attention scores: 0, or very low at padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS
from npbert.compiled.backend import operation
from npbert.model.base import PreTrainedModel
from npbert.model.config import BertConfig
from npbert.model.heads import (
    EncoderWithPooler,
    MaskedLM,
    MultipleChoice,
    NextSentencePrediction,
    PreTraining,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from npbert.model.outputs import BertForPreTrainingOutput
from npbert.model.params import linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, split_heads

# ---- embeddings ----------------------------------------------------------------------------


def embeddings(inputs, p, config):  # -> [B, T, D]
    """Add the embeddings of word piece, segment and position; normalise the sum (figure 2)."""
    words = inputs.inputs_embeds  # [B, T, D]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, D]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, D] or [1, T, D]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, D]
    # In the other families the reference adds the positions first, and rounding shows it.
    summed = words + types + positions  # [B, T, D]
    return layer_norm(summed, p.LayerNorm, config.layer_norm_eps)


# ---- layer (Vaswani et al. 2017, section 3) ------------------------------------------------


def self_attention(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Let every token gather what its heads look for from all tokens (section 3.2.2)."""
    H = config.num_attention_heads
    query = linear(x, p.query)  # [B, T, D]
    key = linear(x, p.key)  # [B, T, D]
    value = linear(x, p.value)  # [B, T, D]
    queries = split_heads(query, H)  # [B, H, T, S]
    keys = split_heads(key, H)  # [B, H, T, S]
    values = split_heads(value, H)  # [B, H, T, S]
    context, probs, _ = attend(queries, keys, values, mask_bias)  # [B, T, H, S], [B, H, T, T]
    return context.reshape(x.shape), probs


def feed_forward(x, p, config):  # [B, T, D] -> [B, T, D]
    """Map every token by itself to a wider layer and back, add the residual, normalise (3.3)."""
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(linear(x, p.intermediate.dense))  # [B, T, I]
    narrow = linear(wide, p.output.dense)  # [B, T, D]
    return layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Attention, then the feed-forward network, each with a residual connection (section 3.1)."""
    eps = config.layer_norm_eps
    context, probs = self_attention(x, p.attention.self, config, mask_bias)
    projected = linear(context, p.attention.output.dense)  # [B, T, D]
    x = layer_norm(x + projected, p.attention.output.LayerNorm, eps)  # [B, T, D]
    return feed_forward(x, p, config), probs


@operation()  # its twin: npbert/compiled/bert.py
def layers(x, p, config, inputs):
    """Yield each layer's output [B, T, D] with its attention probabilities [B, H, T, T]."""
    for i in range(config.num_hidden_layers):
        x, probs = layer(x, p.encoder.layer[i], config, inputs.mask_bias)
        yield x, probs


def encoder(inputs, p, config):
    """Yield the embeddings, then each layer's output [B, T, D] with its attention probabilities."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, D]
    yield x, None
    yield from layers(x, p, config, inputs)


# ---- heads ---------------------------------------------------------------------------------


def pool(x, p):  # [B, T, D] -> [B, D]
    """Summarise a text by its first token, [CLS]; trained by next-sentence prediction (3.1)."""
    first = x[:, 0]  # [B, D]
    return np.tanh(linear(first, p.dense))


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position by its similarity to the piece's embedding (3.1)."""
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(x, p.transform.dense))  # [B, T, D]
    transformed = layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)
    return linear(transformed, p.decoder)


# ---- what a checkpoint holds ---------------------------------------------------------------


def layer_shapes(config: BertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of one layer, as a nested table."""
    D, I = config.hidden_size, config.intermediate_size
    return {
        "attention": {
            "self": dict.fromkeys(("query", "key", "value"), linear_shapes(D, D)),
            "output": {"dense": linear_shapes(D, D), "LayerNorm": norm_shapes(D)},
        },
        "intermediate": {"dense": linear_shapes(I, D)},
        "output": {"dense": linear_shapes(D, I), "LayerNorm": norm_shapes(D)},
    }


def encoder_shapes(config: BertConfig, add_pooling_layer: bool) -> dict[str, Any]:
    """Return the shapes of the parameters of the encoder, with its pooler or without."""
    D = config.hidden_size
    return {
        "embeddings": {
            "word_embeddings": {"weight": (config.vocab_size, D)},
            "position_embeddings": {"weight": (config.max_position_embeddings, D)},
            "token_type_embeddings": {"weight": (config.type_vocab_size, D)},
            "LayerNorm": norm_shapes(D),
        },
        "encoder": {"layer": [layer_shapes(config)] * config.num_hidden_layers},
        "pooler": {"dense": linear_shapes(D, D)} if add_pooling_layer else {},
    }


def masked_lm_shapes(config: BertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of the masked-LM head."""
    D, V = config.hidden_size, config.vocab_size
    return {
        "transform": {"dense": linear_shapes(D, D), "LayerNorm": norm_shapes(D)},
        "bias": (V,),
        "decoder": {} if config.tie_word_embeddings else linear_shapes(V, D),
    }


# ---- model classes -------------------------------------------------------------------------


class BertPreTrainedModel(PreTrainedModel):
    """What all BERT models share; below it, one class for each head."""

    config: BertConfig
    config_class = BertConfig
    base_model_prefix = "bert"
    encoder = staticmethod(encoder)
    encoder_shapes = staticmethod(encoder_shapes)


class BertModel(BertPreTrainedModel, EncoderWithPooler):
    """BERT without a head: hidden states [B, T, D], and the pooled first token [B, D]."""

    def pool(self, x: np.ndarray) -> np.ndarray:
        return pool(x, self.params.pooler)


TIED = {  # the scores of word pieces use the word embeddings themselves
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


class BertForPreTraining(BertPreTrainedModel, PreTraining):
    """BERT with both heads of its pre-training: logits [B, T, V] and [B, 2]."""

    add_pooling_layer = True
    tied_weights = TIED
    output_class = BertForPreTrainingOutput

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {
            "cls.predictions": masked_lm_shapes(config),
            "cls.seq_relationship": linear_shapes(2, config.hidden_size),
        }

    def head(self, x: np.ndarray) -> Any:
        p = self.params
        predictions = masked_lm_head(x, p.cls.predictions, self.config)
        return predictions, linear(pool(x, p.bert.pooler), p.cls.seq_relationship)


class BertForMaskedLM(BertPreTrainedModel, MaskedLM):
    """BERT with the head that fills in masked word pieces: logits [B, T, V]."""

    tied_weights = TIED

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"cls.predictions": masked_lm_shapes(config)}

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params.cls.predictions, self.config)


class BertForNextSentencePrediction(BertPreTrainedModel, NextSentencePrediction):
    """BERT with the head that says whether the second text follows the first: logits [B, 2]."""

    add_pooling_layer = True

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.bert.pooler), self.params.cls.seq_relationship)


class BertForSequenceClassification(BertPreTrainedModel, SequenceClassification):
    """BERT with a head that classifies texts: logits [B, L]."""

    add_pooling_layer = True

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.bert.pooler), self.params.classifier)


class BertForMultipleChoice(BertPreTrainedModel, MultipleChoice):
    """BERT with a head that scores several texts against each other: logits [Q, N]."""

    add_pooling_layer = True

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.bert.pooler), self.params.classifier)


class BertForTokenClassification(BertPreTrainedModel, TokenClassification):
    """BERT with a head that classifies every token: logits [B, T, L]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class BertForQuestionAnswering(BertPreTrainedModel, QuestionAnswering):
    """BERT with a head that marks an answer in the text: start and end logits [B, T]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
