"""ConvBERT (Jiang et al. 2020): BERT in which a convolution takes the place of half of the heads.

Most attention heads of a trained BERT look only at the neighbouring tokens. ConvBERT gives that
work to a convolution whose filters each token makes for itself, from the few tokens around it
("span-based dynamic convolution", section 3.2), and keeps fewer heads for what lies far away.

    embeddings -> projection -> N x (mixed attention -> feed-forward) -> head

Axes   B sentences   T tokens   V vocabulary   E embedding width   D hidden width
       I width of the feed-forward layer   G groups of its two maps
       H heads: num_attention_heads // head_ratio, at least 1 (γ in section 3.3), so many of
       attention and as many of the convolution   S width of one head   A = H*S, half of D
       K kernel width   L labels   Q questions   N choices of each
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
       `mask_bias` [B, 1, 1, T] is added to the attention scores: 0, or very low at padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS, gelu
from npbert.compiled.backend import operation
from npbert.kernels import depthwise_convolution, dynamic_convolution, grouped_linear
from npbert.model.base import PreTrainedModel
from npbert.model.config import ConvBertConfig
from npbert.model.heads import (
    Encoder,
    MaskedLM,
    MultipleChoice,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from npbert.model.params import linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, softmax, split_heads

# ---- embeddings ----------------------------------------------------------------------------


def embeddings(inputs, p, config):  # -> [B, T, E]
    """Add the embeddings of word piece, position and segment; normalise the sum."""
    words = inputs.inputs_embeds  # [B, T, E]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, E]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, E] or [1, T, E]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, E]
    summed = words + positions + types  # [B, T, E]
    return layer_norm(summed, p.LayerNorm, config.layer_norm_eps)


# ---- mixed attention (section 3.3) ---------------------------------------------------------


def span_summary(x, p):  # [B, T, D] -> [B, T, A]
    """Summarise the K tokens around each token by a depthwise separable convolution (3.2)."""
    span = depthwise_convolution(x, p.depthwise.weight)  # [B, T, D]
    return span @ p.pointwise.weight[:, :, 0].T + p.bias[:, 0]


def span_filters(x, query, p, H):  # [B, T, D], [B, T, A] -> [B, T, H, K]
    """Let each token choose, for each head, how to weigh the K tokens around it (section 3.2).

    The filters of ordinary dynamic convolution depend on the token alone; these also depend on its
    neighbours, so that the same word is read differently in different phrases.
    """
    B, T, _ = x.shape
    summary = span_summary(x, p.key_conv_attn_layer)  # [B, T, A]
    matched = summary * query  # [B, T, A]
    flat_scores = linear(matched, p.conv_kernel_layer)  # [B, T, H*K]
    filter_scores = flat_scores.reshape(B, T, H, -1)  # [B, T, H, K]
    return softmax(filter_scores)


def mixed_attention(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Look everywhere with half of the channels and nearby with the other half (section 3.3)."""
    H = config.heads  # num_attention_heads // head_ratio, at least 1
    query = linear(x, p.query)  # [B, T, A]
    key = linear(x, p.key)  # [B, T, A]
    value = linear(x, p.value)  # [B, T, A]
    queries = split_heads(query, H)  # [B, H, T, S]
    keys = split_heads(key, H)  # [B, H, T, S]
    values = split_heads(value, H)  # [B, H, T, S]
    far, probs, _ = attend(queries, keys, values, mask_bias)  # [B, T, H, S], [B, H, T, T]
    # The mask does not reach the convolutions: real tokens within K//2 of padding see it, as they
    # do in the reference, so padding changes the numbers of the same sentence.
    local = linear(x, p.conv_out_layer)  # [B, T, A]
    filters = span_filters(x, query, p, H)  # [B, T, H, K]
    near = dynamic_convolution(local, filters)  # [B, T, H, S]
    mixed = np.concatenate([far, near], axis=2)  # [B, T, 2*H, S]
    return mixed.reshape(x.shape), probs


# ---- layer ---------------------------------------------------------------------------------


def feed_forward(x, p, config):  # [B, T, D] -> [B, T, D]
    """Map every token by itself to a wider layer and back, add the residual, normalise.

    With num_groups the two maps work on groups of channels (section 3.3).
    """
    transform = linear if config.num_groups == 1 else grouped_linear
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(transform(x, p.intermediate.dense))  # [B, T, I]
    narrow = transform(wide, p.output.dense)  # [B, T, D]
    return layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Mixed attention, then the feed-forward network, each with a residual connection."""
    eps = config.layer_norm_eps
    mixed, probs = mixed_attention(x, p.attention.self, config, mask_bias)
    projected = linear(mixed, p.attention.output.dense)  # [B, T, D]
    x = layer_norm(x + projected, p.attention.output.LayerNorm, eps)  # [B, T, D]
    return feed_forward(x, p, config), probs


@operation()  # its twin: npbert/compiled/convbert.py
def layers(x, p, config, inputs):
    """Yield each layer's output [B, T, D] with its attention probabilities [B, H, T, T]."""
    for i in range(config.num_hidden_layers):
        x, probs = layer(x, p.encoder.layer[i], config, inputs.mask_bias)
        yield x, probs


def encoder(inputs, p, config):
    """Yield the embeddings, then each layer's output [B, T, D] with its attention probabilities."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, E]
    if config.embedding_size != config.hidden_size:
        x = linear(x, p.embeddings_project)  # [B, T, D]
    yield x, None
    yield from layers(x, p, config, inputs)


# ---- heads ---------------------------------------------------------------------------------


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position by its similarity to the piece's embedding.

    The activation is the exact GELU whatever hidden_act says: the reference fixes it here.
    """
    predictions = p.generator_predictions
    activated = gelu(linear(x, predictions.dense))  # [B, T, E]
    transformed = layer_norm(activated, predictions.LayerNorm, config.layer_norm_eps)
    return linear(transformed, p.generator_lm_head)


def classification_head(x, p, config):  # [B, T, D] -> [B, L]
    """Classify a text by its first token, [CLS], through two linear maps; there is no pooler."""
    first = x[:, 0]  # [B, D]
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(first, p.dense))  # [B, D]
    return linear(activated, p.out_proj)


def sequence_summary(x, p, config):  # [B, T, D] -> [B, D]
    """Summarise a text for multiple choice.

    The default is the last position, padding included: a padded text is summarised by its padding.
    """
    if config.summary_type == "first":
        summary = x[:, 0]  # [B, D]
    elif config.summary_type == "mean":
        summary = x.mean(axis=1)  # [B, D]
    else:  # "last"; the reference reads it for "cls_index", too
        summary = x[:, -1]  # [B, D]
    if config.summary_use_proj:
        summary = linear(summary, p.sequence_summary.summary)  # [B, D]
    activation = ACTIVATIONS[config.summary_activation or "linear"]
    return activation(summary)


# ---- what a checkpoint holds ---------------------------------------------------------------


def dense_shapes(O: int, I: int, G: int) -> dict[str, Any]:
    """Return the shapes of a linear map from I to O channels in G groups."""
    return linear_shapes(O, I) if G == 1 else {"weight": (G, I // G, O // G), "bias": (O,)}


def layer_shapes(config: ConvBertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of one layer, as a nested table."""
    D, I, G = config.hidden_size, config.intermediate_size, config.num_groups
    H, A, K = config.heads, config.mixed_size, config.conv_kernel_size
    return {
        "attention": {
            "self": {
                **dict.fromkeys(("query", "key", "value"), linear_shapes(A, D)),
                "conv_out_layer": linear_shapes(A, D),
                "key_conv_attn_layer": {
                    "depthwise": {"weight": (D, 1, K)},
                    "pointwise": {"weight": (A, D, 1)},
                    "bias": (A, 1),
                },
                "conv_kernel_layer": linear_shapes(H * K, A),
            },
            "output": {"dense": linear_shapes(D, D), "LayerNorm": norm_shapes(D)},
        },
        "intermediate": {"dense": dense_shapes(I, D, G)},
        "output": {"dense": dense_shapes(D, I, G), "LayerNorm": norm_shapes(D)},
    }


def encoder_shapes(config: ConvBertConfig, add_pooling_layer: bool = False) -> dict[str, Any]:
    """Return the shapes of the parameters of the encoder, which has no pooler."""
    E, D = config.embedding_size, config.hidden_size
    return {
        "embeddings": {
            "word_embeddings": {"weight": (config.vocab_size, E)},
            "position_embeddings": {"weight": (config.max_position_embeddings, E)},
            "token_type_embeddings": {"weight": (config.type_vocab_size, E)},
            "LayerNorm": norm_shapes(E),
        },
        "embeddings_project": {} if E == D else linear_shapes(D, E),
        "encoder": {"layer": [layer_shapes(config)] * config.num_hidden_layers},
    }


# ---- model classes -------------------------------------------------------------------------


class ConvBertPreTrainedModel(PreTrainedModel):
    """What all ConvBERT models share; below it, one class for each head."""

    config: ConvBertConfig
    config_class = ConvBertConfig
    base_model_prefix = "convbert"
    encoder = staticmethod(encoder)
    encoder_shapes = staticmethod(encoder_shapes)


class ConvBertModel(ConvBertPreTrainedModel, Encoder):
    """ConvBERT without a head: hidden states [B, T, D]."""


class ConvBertForMaskedLM(ConvBertPreTrainedModel, MaskedLM):
    """ConvBERT with the head that fills in masked word pieces: logits [B, T, V]."""

    tied_weights = {  # noqa: RUF012
        "generator_lm_head.weight": "convbert.embeddings.word_embeddings.weight"
    }

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        E, D, V = config.embedding_size, config.hidden_size, config.vocab_size
        decoder = linear_shapes(V, E)
        if config.tie_word_embeddings:  # the scores then use the word embeddings themselves
            del decoder["weight"]
        return {
            "generator_predictions": {"dense": linear_shapes(E, D), "LayerNorm": norm_shapes(E)},
            "generator_lm_head": decoder,
        }

    @classmethod
    def optional(cls, config: Any) -> tuple[str, ...]:
        return ("generator_",)  # both modules are missing, or none

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params, self.config)


class ConvBertForSequenceClassification(ConvBertPreTrainedModel, SequenceClassification):
    """ConvBERT with a head that classifies texts: logits [B, L]."""

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        D, L = config.hidden_size, config.num_labels
        return {"classifier": {"dense": linear_shapes(D, D), "out_proj": linear_shapes(L, D)}}

    def head(self, x: np.ndarray) -> Any:
        return classification_head(x, self.params.classifier, self.config)


class ConvBertForMultipleChoice(ConvBertPreTrainedModel, MultipleChoice):
    """ConvBERT with a head that scores several texts against each other: logits [Q, N]."""

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        D = width = config.hidden_size
        if not config.summary_use_proj:
            return {"classifier": linear_shapes(1, D)}
        if config.summary_proj_to_labels:  # unless this is D, the reference's classifier fails
            width = config.num_labels
        config.require(
            width == D,
            f"summary_proj_to_labels with num_labels {width}, expected hidden_size {D} for "
            "multiple choice",
        )
        return {
            "sequence_summary": {"summary": linear_shapes(D, D)},
            "classifier": linear_shapes(1, D),
        }

    def head(self, x: np.ndarray) -> Any:
        return linear(sequence_summary(x, self.params, self.config), self.params.classifier)


class ConvBertForTokenClassification(ConvBertPreTrainedModel, TokenClassification):
    """ConvBERT with a head that classifies every token: logits [B, T, L]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class ConvBertForQuestionAnswering(ConvBertPreTrainedModel, QuestionAnswering):
    """ConvBERT with a head that marks an answer in the text: start and end logits [B, T]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
