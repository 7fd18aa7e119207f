"""MobileBERT (Sun et al. 2020): BERT with many thin layers, each between two bottlenecks.

MobileBERT is as deep as the large BERT. What goes from layer to layer is two thirds as wide as in
the base BERT, and a layer works on a quarter of that: a linear map leads in (bottleneck), another
leads out (inverted bottleneck, section 3.1). Attention still reads the full width, and would leave
the feed-forward network too small a share of the parameters, so several of them follow each other
(3.2). The norms only scale and shift (3.3). Word embeddings are narrow, but each token also gets
those of both its neighbours (3.4).

    embeddings -> N x (bottleneck -> attention -> several feed-forward -> inverted bottleneck)
               -> pooler or head

Axes   B sentences   T tokens   V vocabulary   E embedding width   D hidden width between layers
       C width inside a layer: that of the bottleneck, or D without one   H heads
       S width of one head, C = H*S   I width of the feed-forward layers   L labels
       Q questions   N choices of each
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
       `mask_bias` [B, 1, 1, T] is added to the attention scores: 0, or very low at padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS
from npbert.compiled.backend import operation
from npbert.model.base import PreTrainedModel
from npbert.model.config import MobileBertConfig
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
from npbert.model.outputs import MobileBertForPreTrainingOutput
from npbert.model.params import linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, split_heads

# The reference does not pass layer_norm_eps to two of its norms, so PyTorch's default applies:
# after the embeddings, and after the last feed-forward network of a layer.
DEFAULT_EPS = 1e-5

# ---- norm (section 3.3) --------------------------------------------------------------------


def no_norm(x, p):  # [...] -> [...]
    """Scale and shift every channel, as a norm does after normalising (NoNorm, 3.3)."""
    return x * p.weight + p.bias


def norm(x, p, config, eps):  # [...] -> [...]
    """Apply NoNorm or a layer normalization, as normalization_type says."""
    return no_norm(x, p) if config.normalization_type == "no_norm" else layer_norm(x, p, eps)


# ---- embeddings (section 3.4) --------------------------------------------------------------


@operation(has_twin=False, tokens=((1,), (1,)))
def trigrams(words):  # [B, T, E] -> [B, T, 3*E]
    """Concatenate the embeddings of the next token, the token itself and the previous token.

    With the linear map that follows, this is a convolution over three tokens. Zeros stand past both
    ends. Padding is no end: the last real token of a padded text gets the embedding of the padding.
    """
    padded = np.pad(words, ((0, 0), (1, 1), (0, 0)))  # [B, T+2, E]
    following = padded[:, 2:]  # [B, T, E]
    preceding = padded[:, :-2]  # [B, T, E]
    return np.concatenate([following, words, preceding], axis=2)


def embeddings(inputs, p, config):  # -> [B, T, D]
    """Map the trigrams of word embeddings to the hidden width; add positions and segments."""
    words = inputs.inputs_embeds  # [B, T, E]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, E]
    grams = trigrams(words) if config.trigram_input else words  # [B, T, 3*E] or [B, T, E]
    # When embedding_size equals hidden_size the map is skipped, though every checkpoint has one.
    mapped = config.trigram_input or config.embedding_size != config.hidden_size
    full = linear(grams, p.embedding_transformation) if mapped else grams  # [B, T, D]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, D] or [1, T, D]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, D]
    summed = full + positions + types  # [B, T, D]
    return norm(summed, p.LayerNorm, config, DEFAULT_EPS)


# ---- layer ---------------------------------------------------------------------------------


def squeeze(x, p, config):  # [B, T, D] -> [B, T, C]
    """Lead into a layer through a bottleneck (section 3.1)."""
    squeezed = linear(x, p.dense)  # [B, T, C]
    return norm(squeezed, p.LayerNorm, config, config.layer_norm_eps)


def bottleneck(x, p, config):  # [B, T, D] -> [B, T, C], [B, T, D] or [B, T, C], [B, T, C]
    """Return the inputs of query and key, of value, and of attention's residual connection."""
    if not config.use_bottleneck:
        return x, x, x
    narrow = squeeze(x, p.bottleneck.input, config)  # [B, T, C]
    if config.use_bottleneck_attention:
        return narrow, narrow, narrow
    if config.key_query_shared_bottleneck:
        shared = squeeze(x, p.bottleneck.attention, config)  # [B, T, C]
        return shared, x, narrow
    return x, x, narrow  # the config guarantees C == D here


def self_attention(shared, x, p, config, mask_bias):  # [B, T, C] -> [B, T, C], [B, H, T, T]
    """Let every token gather what its heads look for from all tokens.

    Query and key read `shared`, a bottleneck of their own; value reads x, the layer's whole input
    [B, T, D], or with use_bottleneck_attention the output of the bottleneck, [B, T, C].
    """
    H = config.num_attention_heads
    query = linear(shared, p.query)  # [B, T, C]
    key = linear(shared, p.key)  # [B, T, C]
    value = linear(x, p.value)  # [B, T, C]
    queries = split_heads(query, H)  # [B, H, T, S]
    keys = split_heads(key, H)  # [B, H, T, S]
    values = split_heads(value, H)  # [B, H, T, S]
    context, probs, _ = attend(queries, keys, values, mask_bias)  # [B, T, H, S], [B, H, T, T]
    return context.reshape(shared.shape), probs


def feed_forward(x, p, config, eps):  # [B, T, C] -> [B, T, C]
    """Map every token by itself to a wider layer and back, add the residual, normalise (3.2)."""
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(linear(x, p.intermediate.dense))  # [B, T, I]
    narrow = linear(wide, p.output.dense)  # [B, T, C]
    return norm(x + narrow, p.output.LayerNorm, config, eps)


def expand(narrow, x, p, config):  # [B, T, C], [B, T, D] -> [B, T, D]
    """Lead out of a layer through the inverted bottleneck, and add the layer's input (3.1)."""
    expanded = linear(narrow, p.dense)  # [B, T, D]
    return norm(x + expanded, p.LayerNorm, config, config.layer_norm_eps)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Attention, then several feed-forward networks, between two bottlenecks (3, figure 1).

    Each has a residual connection, and so has the whole layer.
    """
    eps = config.layer_norm_eps
    shared, full, narrow = bottleneck(x, p, config)  # [B, T, C], [B, T, D] or [B, T, C], [B, T, C]
    context, probs = self_attention(shared, full, p.attention.self, config, mask_bias)
    projected = linear(context, p.attention.output.dense)  # [B, T, C]
    narrow = norm(narrow + projected, p.attention.output.LayerNorm, config, eps)  # [B, T, C]
    for i in range(config.num_feedforward_networks - 1):  # one more follows (section 3.2)
        narrow = feed_forward(narrow, p.ffn[i], config, eps)  # [B, T, C]
    narrow = feed_forward(narrow, p, config, DEFAULT_EPS)  # [B, T, C]
    if config.use_bottleneck:
        return expand(narrow, x, p.output.bottleneck, config), probs
    return narrow, probs


@operation()  # its twin: npbert/compiled/mobilebert.py
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


def pool(x, p, config):  # [B, T, D] -> [B, D]
    """Summarise a text by its first token, [CLS]; trained by next-sentence prediction.

    Without classifier_activation it is that token unchanged, and `p` has no pooler.
    """
    first = x[:, 0]  # [B, D]
    pooled = first
    if config.classifier_activation:
        pooled = np.tanh(linear(first, p.pooler.dense))  # [B, D]
    return pooled


@operation()  # its twin: npbert/compiled/mobilebert.py
def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position by its similarity to the piece's embedding.

    The embeddings have E channels; `dense` holds D - E further ones of each piece for this purpose.
    The norm is a layer normalization here whatever normalization_type says, as in the reference.
    """
    E = config.embedding_size
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(x, p.transform.dense))  # [B, T, D]
    transformed = layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)
    # The same as one product with both matrices concatenated, [D, V]; `dense` is not transposed.
    narrow = transformed[..., :E]  # [B, T, E]
    rest = transformed[..., E:]  # [B, T, D-E]
    by_embedding = linear(narrow, p.decoder)  # [B, T, V]
    by_dense = rest @ p.dense.weight  # [B, T, V]: all 0 where E is D
    return by_embedding + by_dense


# ---- what a checkpoint holds ---------------------------------------------------------------


def feed_forward_shapes(config: MobileBertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of one feed-forward network, as a nested table."""
    C, I = config.true_hidden_size, config.intermediate_size
    return {
        "intermediate": {"dense": linear_shapes(I, C)},
        "output": {"dense": linear_shapes(C, I), "LayerNorm": norm_shapes(C)},
    }


def layer_shapes(config: MobileBertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of one layer."""
    D, C = config.hidden_size, config.true_hidden_size
    squeezed = {"dense": linear_shapes(C, D), "LayerNorm": norm_shapes(C)}
    # The one of attention is there even where use_bottleneck_attention leaves it unused.
    names = ("input", "attention") if config.key_query_shared_bottleneck else ("input",)
    shapes = {
        "bottleneck": dict.fromkeys(names if config.use_bottleneck else (), squeezed),
        "attention": {
            "self": {
                "query": linear_shapes(C, C),
                "key": linear_shapes(C, C),
                "value": linear_shapes(C, C if config.use_bottleneck_attention else D),
            },
            "output": {"dense": linear_shapes(C, C), "LayerNorm": norm_shapes(C)},
        },
        "ffn": [feed_forward_shapes(config)] * (config.num_feedforward_networks - 1),
        **feed_forward_shapes(config),
    }
    if config.use_bottleneck:
        expanded = {"dense": linear_shapes(D, C), "LayerNorm": norm_shapes(D)}
        shapes["output"]["bottleneck"] = expanded
    return shapes


def encoder_shapes(config: MobileBertConfig, add_pooling_layer: bool) -> dict[str, Any]:
    """Return the shapes of the parameters of the encoder, with its pooler or without."""
    E, D = config.embedding_size, config.hidden_size
    pools = add_pooling_layer and config.classifier_activation
    return {
        "embeddings": {
            "word_embeddings": {"weight": (config.vocab_size, E)},
            "position_embeddings": {"weight": (config.max_position_embeddings, D)},
            "token_type_embeddings": {"weight": (config.type_vocab_size, D)},
            "embedding_transformation": linear_shapes(D, 3 * E if config.trigram_input else E),
            "LayerNorm": norm_shapes(D),
        },
        "encoder": {"layer": [layer_shapes(config)] * config.num_hidden_layers},
        "pooler": {"dense": linear_shapes(D, D)} if pools else {},
    }


def masked_lm_shapes(config: MobileBertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of the masked-LM head."""
    E, D, V = config.embedding_size, config.hidden_size, config.vocab_size
    wrong = f"embedding_size {E} is more than hidden_size {D}: no masked-LM head fits"
    config.require(E <= D, wrong)
    return {
        "transform": {"dense": linear_shapes(D, D), "LayerNorm": norm_shapes(D)},
        "dense": {"weight": (D - E, V)},
        "bias": (V,),
        "decoder": {} if config.tie_word_embeddings else linear_shapes(V, E),
    }


# ---- model classes -------------------------------------------------------------------------


class MobileBertPreTrainedModel(PreTrainedModel):
    """What all MobileBERT models share; below it, one class for each head."""

    config: MobileBertConfig
    config_class = MobileBertConfig
    base_model_prefix = "mobilebert"
    encoder = staticmethod(encoder)
    encoder_shapes = staticmethod(encoder_shapes)


class MobileBertModel(MobileBertPreTrainedModel, EncoderWithPooler):
    """MobileBERT without a head: hidden states [B, T, D], and the pooled first token [B, D]."""

    def pool(self, x: np.ndarray) -> np.ndarray:
        return pool(x, self.params, self.config)


TIED = {  # the scores of word pieces use the word embeddings themselves
    "cls.predictions.decoder.weight": "mobilebert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


class MobileBertForPreTraining(MobileBertPreTrainedModel, PreTraining):
    """MobileBERT with both heads of its pre-training: logits [B, T, V] and [B, 2]."""

    add_pooling_layer = True
    tied_weights = TIED
    output_class = MobileBertForPreTrainingOutput

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {
            "cls.predictions": masked_lm_shapes(config),
            "cls.seq_relationship": linear_shapes(2, config.hidden_size),
        }

    def head(self, x: np.ndarray) -> Any:
        p = self.params
        predictions = masked_lm_head(x, p.cls.predictions, self.config)
        return predictions, linear(pool(x, p.mobilebert, self.config), p.cls.seq_relationship)


class MobileBertForMaskedLM(MobileBertPreTrainedModel, MaskedLM):
    """MobileBERT with the head that fills in masked word pieces: logits [B, T, V]."""

    tied_weights = TIED

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"cls.predictions": masked_lm_shapes(config)}

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params.cls.predictions, self.config)


class MobileBertForNextSentencePrediction(MobileBertPreTrainedModel, NextSentencePrediction):
    """MobileBERT with the head that says whether a text follows another: logits [B, 2]."""

    add_pooling_layer = True

    def head(self, x: np.ndarray) -> Any:
        p = self.params
        return linear(pool(x, p.mobilebert, self.config), p.cls.seq_relationship)


class MobileBertForSequenceClassification(MobileBertPreTrainedModel, SequenceClassification):
    """MobileBERT with a head that classifies texts: logits [B, L]."""

    add_pooling_layer = True

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.mobilebert, self.config), self.params.classifier)


class MobileBertForMultipleChoice(MobileBertPreTrainedModel, MultipleChoice):
    """MobileBERT with a head that scores several texts against each other: logits [Q, N]."""

    add_pooling_layer = True

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.mobilebert, self.config), self.params.classifier)


class MobileBertForTokenClassification(MobileBertPreTrainedModel, TokenClassification):
    """MobileBERT with a head that classifies every token: logits [B, T, L]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class MobileBertForQuestionAnswering(MobileBertPreTrainedModel, QuestionAnswering):
    """MobileBERT with a head that marks an answer in the text: start and end logits [B, T]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
