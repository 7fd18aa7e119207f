"""SqueezeBERT (Iandola et al. 2020): BERT whose linear maps work on groups of channels.

Most of the time of BERT goes into its linear maps. SqueezeBERT writes them as convolutions over the
text, one token wide, and borrows from computer vision what makes convolutions cheap: it cuts the
channels into groups and lets each group see only itself, for a G-th of the weights and of the work.
One map, after attention, stays whole, so that the groups mix.

    embeddings -> N x (attention -> feed-forward) -> pooler or head

Axes   B sentences   T tokens   V vocabulary   D hidden width   I width of the feed-forward layer
       H heads   S width of one head, D = H*S   L labels
       G groups of a convolution; I of its channels enter and O leave
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.

The reference keeps channels before tokens inside its encoder, [B, D, T], because its convolutions
want them so. One token wide, they are linear maps of each token's channels, and those lie side by
side in [B, T, D]: here the layout is that of the other families, and nothing is turned round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS
from npbert.kernels import grouped_convolution
from npbert.model.base import PreTrainedModel
from npbert.model.config import SqueezeBertConfig
from npbert.model.heads import (
    Encoder,
    MaskedLM,
    MultipleChoice,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from npbert.model.inputs import Inputs
from npbert.model.outputs import BaseModelOutput, BaseModelOutputWithPooling, ModelOutput
from npbert.model.params import Shapes, below, linear_shapes, norm_shapes
from npbert.ops import layer_norm, linear, softmax, split_heads

# The reference hard-codes the epsilon of the norms in its encoder, whatever layer_norm_eps says.
ENCODER_EPS = 1e-12

# ---- embeddings ----------------------------------------------------------------------------


def embeddings(inputs, p, config):  # -> [B, T, D]
    """Add what the word piece, its position and its segment say, and normalise the sum."""
    words = inputs.inputs_embeds  # [B, T, D]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, D]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, D] or [1, T, D]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, D]
    return layer_norm(words + positions + types, p.LayerNorm, config.layer_norm_eps)


# ---- layer ---------------------------------------------------------------------------------


def conv1d(x, p):  # [..., I] -> [..., O]
    """Map the channels of every token, each group of channels by filters of its own."""
    return grouped_convolution(x, p.weight, p.bias)


def self_attention(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Let every token gather from all tokens what its heads look for.

    Besides the mixture this returns the scores with the mask on them, not yet the shares that
    softmax makes of them: what the reference calls attentions in this family.
    """
    H = config.num_attention_heads
    query, key, value = conv1d(x, p.query), conv1d(x, p.key), conv1d(x, p.value)  # [B, T, D]
    queries, keys = split_heads(query, H), split_heads(key, H)  # [B, H, T, S]
    values = split_heads(value, H)  # [B, H, T, S]
    scores = queries @ keys.swapaxes(-1, -2) / math.sqrt(queries.shape[-1])  # [B, H, T, T]
    masked_scores = scores + mask_bias  # [B, H, T, T]
    probs = softmax(masked_scores)  # [B, H, T, T]
    context = (probs @ values).swapaxes(1, 2)  # [B, T, H, S]
    return context.reshape(x.shape), masked_scores


def feed_forward(x, p, config):  # [B, T, D] -> [B, T, D]
    """Treat every token by itself: to a wider layer and back, then add and normalise."""
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(conv1d(x, p.intermediate.conv1d))  # [B, T, I]
    narrow = conv1d(wide, p.output.conv1d)  # [B, T, D]
    return layer_norm(x + narrow, p.output.layernorm, ENCODER_EPS)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D]
    """One layer: attention, then the feed-forward network, each with a residual around it."""
    context, scores = self_attention(x, p.attention, config, mask_bias)  # [B, T, D], [B, H, T, T]
    mixed = conv1d(context, p.post_attention.conv1d)  # [B, T, D]
    x = layer_norm(x + mixed, p.post_attention.layernorm, ENCODER_EPS)
    return feed_forward(x, p, config), scores


def body(inputs, p, config):
    """Yield what enters the first layer, then what leaves each one, with its attention scores."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, D]
    yield x, None
    for i in range(config.num_hidden_layers):
        x, scores = layer(x, p.encoder.layers[i], config, inputs.mask_bias)
        yield x, scores


# ---- heads ---------------------------------------------------------------------------------


def pool(x, p):  # [B, T, D] -> [B, D]
    """Summarise a sentence by its first token, [CLS]."""
    first = x[:, 0]  # [B, D]
    return np.tanh(linear(first, p.dense))


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position, by its likeness to the piece's embedding."""
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(x, p.transform.dense))  # [B, T, D]
    transformed = layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)
    return transformed @ p.decoder.weight.T + p.decoder.bias


# ---- what a checkpoint holds ---------------------------------------------------------------


def conv1d_shapes(O: int, I: int, G: int) -> Shapes:
    """Return the shapes of a convolution from I to O channels in G groups, one token wide."""
    return {"weight": (O, I // G, 1), "bias": (O,)}


def layer_shapes(config: SqueezeBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of one layer."""
    D, I = config.hidden_size, config.intermediate_size
    return {
        **below("attention.query", conv1d_shapes(D, D, config.q_groups)),
        **below("attention.key", conv1d_shapes(D, D, config.k_groups)),
        **below("attention.value", conv1d_shapes(D, D, config.v_groups)),
        **below("post_attention.conv1d", conv1d_shapes(D, D, config.post_attention_groups)),
        **below("post_attention.layernorm", norm_shapes(D)),
        **below("intermediate.conv1d", conv1d_shapes(I, D, config.intermediate_groups)),
        **below("output.conv1d", conv1d_shapes(D, I, config.output_groups)),
        **below("output.layernorm", norm_shapes(D)),
    }


def body_shapes(config: SqueezeBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the body; it always has its pooler."""
    D = config.hidden_size
    shapes = {
        "embeddings.word_embeddings.weight": (config.vocab_size, D),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, D),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, D),
        **below("embeddings.LayerNorm", norm_shapes(D)),
    }
    for i in range(config.num_hidden_layers):
        shapes |= below(f"encoder.layers.{i}", layer_shapes(config))
    return {**shapes, **below("pooler.dense", linear_shapes(D, D))}


def masked_lm_shapes(config: SqueezeBertConfig) -> Shapes:
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


class SqueezeBertPreTrainedModel(PreTrainedModel):
    """What all SqueezeBERT models share; below it, one class for each head."""

    config: SqueezeBertConfig
    config_class = SqueezeBertConfig
    base_model_prefix = "transformer"
    keeps_embeddings_alone = True

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        """Return the names and shapes of the parameters of the head."""
        raise NotImplementedError

    @classmethod
    def parameter_shapes(cls, config: SqueezeBertConfig) -> Shapes:
        return {**below("transformer", body_shapes(config)), **cls.head_shapes(config)}

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params.transformer, self.config)


class SqueezeBertModel(SqueezeBertPreTrainedModel, Encoder):
    """SqueezeBERT without a head: hidden states [B, T, D], and the pooled first token [B, D]."""

    optional = ("pooler.",)

    @classmethod
    def parameter_shapes(cls, config: SqueezeBertConfig) -> Shapes:
        return body_shapes(config)

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params, self.config)

    def finish(self, encoded: BaseModelOutput) -> ModelOutput:
        pooled = pool(encoded.last_hidden_state, self.params.pooler)
        return BaseModelOutputWithPooling(
            encoded.last_hidden_state, pooled, encoded.hidden_states, encoded.attentions
        )


class SqueezeBertForMaskedLM(SqueezeBertPreTrainedModel, MaskedLM):
    """SqueezeBERT with the head that fills in masked word pieces: logits [B, T, V]."""

    optional = ("transformer.pooler.", "cls.predictions.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return masked_lm_shapes(config)

    @classmethod
    def tied(cls, config: SqueezeBertConfig) -> dict[str, str]:
        if not config.tie_word_embeddings:
            return {}
        return {
            "cls.predictions.decoder.weight": "transformer.embeddings.word_embeddings.weight",
            "cls.predictions.decoder.bias": "cls.predictions.bias",
        }

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params.cls.predictions, self.config)


class SqueezeBertForSequenceClassification(SqueezeBertPreTrainedModel, SequenceClassification):
    """SqueezeBERT with a head that classifies texts: logits [B, L]."""

    optional = ("transformer.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return below("classifier", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.transformer.pooler), self.params.classifier)


class SqueezeBertForMultipleChoice(SqueezeBertPreTrainedModel, MultipleChoice):
    """SqueezeBERT with a head that scores several texts against each other: logits [Q, N]."""

    optional = ("transformer.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return below("classifier", linear_shapes(1, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.transformer.pooler), self.params.classifier)


class SqueezeBertForTokenClassification(SqueezeBertPreTrainedModel, TokenClassification):
    """SqueezeBERT with a head that classifies every token: logits [B, T, L]."""

    optional = ("transformer.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return below("classifier", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class SqueezeBertForQuestionAnswering(SqueezeBertPreTrainedModel, QuestionAnswering):
    """SqueezeBERT with a head that marks an answer in the text: start and end logits [B, T]."""

    optional = ("transformer.pooler.", "qa_outputs.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        config.require_two_labels("question answering")
        return below("qa_outputs", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
