"""ConvBERT (Jiang et al. 2020): BERT in which a convolution takes the place of half of the heads.

Most attention heads of a trained BERT look only at the neighbouring tokens. ConvBERT gives that
work to a convolution whose filters each token makes for itself, from the few tokens around it
("span-based dynamic convolution", section 3.2), and keeps fewer heads for what lies far away.

    embeddings -> projection -> N x (mixed attention -> feed-forward) -> head

Axes   B sentences   T tokens   V vocabulary   E embedding width   D hidden width
       H heads   S width of one head   A = H*S, half of D   K kernel width   L labels
       I width of the feed-forward layer   G groups of a map; I of its channels enter, O leave
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS, gelu
from npbert.kernels import dynamic_convolution
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
from npbert.model.inputs import Inputs
from npbert.model.params import Shapes, below, linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, softmax, split_heads

# ---- embeddings ----------------------------------------------------------------------------


def embeddings(inputs, p, config):  # -> [B, T, E]
    """Add what the word piece, its position and its segment say, and normalise the sum."""
    words = inputs.inputs_embeds  # [B, T, E]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, E]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, E] or [1, T, E]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, E]
    return layer_norm(words + positions + types, p.LayerNorm, config.layer_norm_eps)


# ---- mixed attention (section 3.3) --------------------------------------------------------


def span_summary(x, p):  # [B, T, D] -> [B, T, A]
    """Summarise the K tokens around each token: one filter a channel, then a map from D to A.

    A depthwise separable convolution. Past both ends of the text stand zeros.
    """
    T, K = x.shape[1], p.depthwise.weight.shape[-1]
    taps = p.depthwise.weight[:, 0].T  # [K, D]
    padded = np.pad(x, ((0, 0), (K // 2, K // 2), (0, 0)))  # [B, T+K-1, D]
    span = sum(padded[:, k : k + T] * taps[k] for k in range(K))  # [B, T, D]
    return span @ p.pointwise.weight[:, :, 0].T + p.bias[:, 0]


def span_filters(x, query, p, H):  # [B, T, D], [B, T, A] -> [B, T, H, K]
    """Let each token choose, for each head, how to weigh the K tokens around it (section 3.2).

    The filters of ordinary dynamic convolution depend on the token alone; these also on its
    neighbours, so that the same word is read differently in different phrases.
    """
    B, T, _ = x.shape
    summary = span_summary(x, p.key_conv_attn_layer)  # [B, T, A]
    matched = summary * query  # [B, T, A]
    flat_scores = linear(matched, p.conv_kernel_layer)  # [B, T, H*K]
    filter_scores = flat_scores.reshape(B, T, H, -1)  # [B, T, H, K]
    return softmax(filter_scores)


def mixed_attention(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D]
    """Look everywhere with one half of the channels and nearby with the other (section 3.3)."""
    B, T, D = x.shape
    H = config.heads
    query, key, value = linear(x, p.query), linear(x, p.key), linear(x, p.value)  # [B, T, A]
    far, probs = attend(
        split_heads(query, H), split_heads(key, H), split_heads(value, H), mask_bias
    )
    # The mask does not reach the convolutions: real tokens within K//2 of padding see it, as they
    # do in the reference, so the same sentence gives other numbers with padding than without.
    local = linear(x, p.conv_out_layer)  # [B, T, A]
    filters = span_filters(x, query, p, H)  # [B, T, H, K]
    near = dynamic_convolution(local, filters)  # [B, T, H, S]
    mixed = np.concatenate([far, near], axis=2)  # [B, T, 2*H, S]
    return mixed.reshape(B, T, D), probs


# ---- layer ---------------------------------------------------------------------------------


def grouped_linear(x, p):  # [..., I] -> [..., O]
    """Map each of G groups of channels by a matrix of its own (section 3.3).

    The weight is [G, I/G, O/G]: unlike all others it is stored as it is used, not transposed.
    """
    G, group_width, _ = p.weight.shape
    groups = x.reshape(*x.shape[:-1], G, 1, group_width)  # [..., G, 1, I/G]
    mapped = groups @ p.weight  # [..., G, 1, O/G]
    return mapped.reshape(*x.shape[:-1], -1) + p.bias


def feed_forward(x, p, config):  # [B, T, D] -> [B, T, D]
    """Treat every token by itself: to a wider layer and back, then add and normalise."""
    transform = linear if config.num_groups == 1 else grouped_linear
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(transform(x, p.intermediate.dense))  # [B, T, I]
    narrow = transform(wide, p.output.dense)  # [B, T, D]
    return layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D]
    """One layer: mixed attention, then the feed-forward network, each with a residual around it."""
    attention, output = p.attention.self, p.attention.output
    mixed, probs = mixed_attention(x, attention, config, mask_bias)  # [B, T, D], [B, H, T, T]
    x = layer_norm(x + linear(mixed, output.dense), output.LayerNorm, config.layer_norm_eps)
    return feed_forward(x, p, config), probs


def body(inputs, p, config):
    """Yield what enters the first layer, then what leaves each one, with its attention shares."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, E]
    if config.embedding_size != config.hidden_size:
        x = linear(x, p.embeddings_project)  # [B, T, D]
    yield x, None
    for i in range(config.num_hidden_layers):
        x, probs = layer(x, p.encoder.layer[i], config, inputs.mask_bias)
        yield x, probs


# ---- heads ---------------------------------------------------------------------------------


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position, by its likeness to the piece's embedding.

    The activation is the exact GELU whatever `hidden_act` says: the reference fixes it here.
    """
    predictions = p.generator_predictions
    activated = gelu(linear(x, predictions.dense))  # [B, T, E]
    transformed = layer_norm(activated, predictions.LayerNorm, config.layer_norm_eps)
    return linear(transformed, p.generator_lm_head)


def classification_head(x, p, config):  # [B, T, D] -> [B, L]
    """Classify a text by its first token, [CLS], through two linear maps; there is no pooler."""
    first = x[:, 0]  # [B, D]
    activated = ACTIVATIONS[config.hidden_act](linear(first, p.dense))  # [B, D]
    return linear(activated, p.out_proj)


def sequence_summary(x, p, config):  # [B, T, D] -> [B, D]
    """Sum up a text for multiple choice.

    The default is the last position, padding included: a padded text is summed up by its padding.
    """
    summary = {"first": x[:, 0], "mean": x.mean(axis=1)}.get(
        config.summary_type, x[:, -1]
    )  # [B, D]
    if config.summary_use_proj:
        summary = linear(summary, p.sequence_summary.summary)  # [B, D]
    return ACTIVATIONS[config.summary_activation or "linear"](summary)


# ---- what a checkpoint holds ---------------------------------------------------------------


def layer_shapes(config: ConvBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of one layer."""
    D, I = config.hidden_size, config.intermediate_size
    A, K = config.mixed_size, config.conv_kernel_size

    def dense(O, I):
        G = config.num_groups
        return linear_shapes(O, I) if G == 1 else {"weight": (G, I // G, O // G), "bias": (O,)}

    return {
        **below("attention.self.query", linear_shapes(A, D)),
        **below("attention.self.key", linear_shapes(A, D)),
        **below("attention.self.value", linear_shapes(A, D)),
        "attention.self.key_conv_attn_layer.bias": (A, 1),
        "attention.self.key_conv_attn_layer.depthwise.weight": (D, 1, K),
        "attention.self.key_conv_attn_layer.pointwise.weight": (A, D, 1),
        **below("attention.self.conv_kernel_layer", linear_shapes(config.heads * K, A)),
        **below("attention.self.conv_out_layer", linear_shapes(A, D)),
        **below("attention.output.dense", linear_shapes(D, D)),
        **below("attention.output.LayerNorm", norm_shapes(D)),
        **below("intermediate.dense", dense(I, D)),
        **below("output.dense", dense(D, I)),
        **below("output.LayerNorm", norm_shapes(D)),
    }


def body_shapes(config: ConvBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the body."""
    E, D = config.embedding_size, config.hidden_size
    shapes = {
        "embeddings.word_embeddings.weight": (config.vocab_size, E),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, E),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, E),
        **below("embeddings.LayerNorm", norm_shapes(E)),
    }
    if E != D:
        shapes |= below("embeddings_project", linear_shapes(D, E))
    for i in range(config.num_hidden_layers):
        shapes |= below(f"encoder.layer.{i}", layer_shapes(config))
    return shapes


# ---- model classes -------------------------------------------------------------------------


class ConvBertPreTrainedModel(PreTrainedModel):
    """What all ConvBERT models share; below it, one class for each head."""

    config: ConvBertConfig
    config_class = ConvBertConfig
    base_model_prefix = "convbert"

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        """Return the names and shapes of the parameters of the head."""
        raise NotImplementedError

    @classmethod
    def parameter_shapes(cls, config: ConvBertConfig) -> Shapes:
        return {**below("convbert", body_shapes(config)), **cls.head_shapes(config)}

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params.convbert, self.config)


class ConvBertModel(ConvBertPreTrainedModel, Encoder):
    """ConvBERT without a head: hidden states [B, T, D]."""

    @classmethod
    def parameter_shapes(cls, config: ConvBertConfig) -> Shapes:
        return body_shapes(config)

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params, self.config)


class ConvBertForMaskedLM(ConvBertPreTrainedModel, MaskedLM):
    """ConvBERT with the head that fills in masked word pieces: logits [B, T, V]."""

    optional = ("generator_",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        E, D, V = config.embedding_size, config.hidden_size, config.vocab_size
        shapes = {
            **below("generator_predictions.LayerNorm", norm_shapes(E)),
            **below("generator_predictions.dense", linear_shapes(E, D)),
            **below("generator_lm_head", linear_shapes(V, E)),
        }
        if config.tie_word_embeddings:  # the scores then use the word embeddings themselves
            del shapes["generator_lm_head.weight"]
        return shapes

    @classmethod
    def tied(cls, config: ConvBertConfig) -> dict[str, str]:
        source = "convbert.embeddings.word_embeddings.weight"
        return {"generator_lm_head.weight": source} if config.tie_word_embeddings else {}

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params, self.config)


class ConvBertForSequenceClassification(ConvBertPreTrainedModel, SequenceClassification):
    """ConvBERT with a head that classifies texts: logits [B, L]."""

    optional = ("classifier.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        D, L = config.hidden_size, config.num_labels
        return {
            **below("classifier.dense", linear_shapes(D, D)),
            **below("classifier.out_proj", linear_shapes(L, D)),
        }

    def head(self, x: np.ndarray) -> Any:
        return classification_head(x, self.params.classifier, self.config)


class ConvBertForMultipleChoice(ConvBertPreTrainedModel, MultipleChoice):
    """ConvBERT with a head that scores several texts against each other: logits [Q, N]."""

    optional = ("sequence_summary.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        D, shapes = config.hidden_size, {}
        if config.summary_use_proj:
            width = config.num_labels if config.summary_proj_to_labels else D
            config.require(  # in the reference the classifier then fails
                width == D,
                f"summary_proj_to_labels with num_labels {width}, expected hidden_size {D} for "
                "multiple choice",
            )
            shapes = below("sequence_summary.summary", linear_shapes(width, D))
        return {**shapes, **below("classifier", linear_shapes(1, D))}

    def head(self, x: np.ndarray) -> Any:
        return linear(sequence_summary(x, self.params, self.config), self.params.classifier)


class ConvBertForTokenClassification(ConvBertPreTrainedModel, TokenClassification):
    """ConvBERT with a head that classifies every token: logits [B, T, L]."""

    optional = ("classifier.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return below("classifier", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class ConvBertForQuestionAnswering(ConvBertPreTrainedModel, QuestionAnswering):
    """ConvBERT with a head that marks an answer in the text: start and end logits [B, T]."""

    optional = ("qa_outputs.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        config.require_two_labels("question answering")
        return below("qa_outputs", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
