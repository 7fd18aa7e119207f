"""SqueezeBERT (Iandola et al. 2020): BERT whose linear maps work on groups of channels.

Most of the time of BERT goes into its linear maps. SqueezeBERT writes them as convolutions over the
text, one token wide, and makes them cheap as computer vision does: it cuts the channels into G
groups and lets each group see only itself, for a G-th of the weights and of the work. One map,
after attention, has a single group, so that the groups mix.

    embeddings -> N x (attention -> feed-forward) -> pooler or head

Axes   B sentences   T tokens   V vocabulary   D hidden width   I width of the feed-forward layer
       H heads   S width of one head, D = H*S   L labels   Q questions   N choices of each
       G groups of a convolution
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
       `mask_bias` [B, 1, 1, T] is added to the attention scores: 0, or very low at padding.

The reference keeps channels before tokens inside its encoder, [B, D, T], because its convolutions
want them so. One token wide, they are linear maps of each token's channels, and the layout here is
that of the other families, [B, T, D].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS
from npbert.compiled.backend import operation
from npbert.kernels import grouped_convolution
from npbert.model.base import PreTrainedModel
from npbert.model.config import SqueezeBertConfig
from npbert.model.heads import (
    EncoderWithPooler,
    MaskedLM,
    MultipleChoice,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from npbert.model.params import Shapes, flat_shapes, linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, split_heads

# The reference hard-codes the epsilon of the norms in its encoder, whatever layer_norm_eps says.
ENCODER_EPS = 1e-12

# ---- embeddings ----------------------------------------------------------------------------


def embeddings(inputs, p, config):  # -> [B, T, D]
    """Add the embeddings of word piece, position and segment; normalise the sum."""
    words = inputs.inputs_embeds  # [B, T, D]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, D]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, D] or [1, T, D]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, D]
    summed = words + positions + types  # [B, T, D]
    return layer_norm(summed, p.LayerNorm, config.layer_norm_eps)


# ---- layer ---------------------------------------------------------------------------------


def self_attention(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Let every token gather what its heads look for from all tokens.

    Besides the context this returns the masked scores, not the attention probabilities that softmax
    makes of them: they are what the reference calls attentions in this family.
    """
    H = config.num_attention_heads
    query = grouped_convolution(x, p.query)  # [B, T, D]
    key = grouped_convolution(x, p.key)  # [B, T, D]
    value = grouped_convolution(x, p.value)  # [B, T, D]
    queries = split_heads(query, H)  # [B, H, T, S]
    keys = split_heads(key, H)  # [B, H, T, S]
    values = split_heads(value, H)  # [B, H, T, S]
    context, _, scores = attend(queries, keys, values, mask_bias)  # [B, T, H, S], [B, H, T, T]
    return context.reshape(x.shape), scores


def feed_forward(x, p, config):  # [B, T, D] -> [B, T, D]
    """Map every token by itself to a wider layer and back, add the residual, normalise."""
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(grouped_convolution(x, p.intermediate.conv1d))  # [B, T, I]
    narrow = grouped_convolution(wide, p.output.conv1d)  # [B, T, D]
    return layer_norm(x + narrow, p.output.layernorm, ENCODER_EPS)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D], [B, H, T, T]
    """Attention, then the feed-forward network, each with a residual connection."""
    eps = ENCODER_EPS
    context, scores = self_attention(x, p.attention, config, mask_bias)
    projected = grouped_convolution(context, p.post_attention.conv1d)  # [B, T, D]
    x = layer_norm(x + projected, p.post_attention.layernorm, eps)  # [B, T, D]
    return feed_forward(x, p, config), scores


@operation()  # its twin: npbert/compiled/squeezebert.py
def layers(x, p, config, inputs):
    """Yield each layer's output [B, T, D] with its masked scores [B, H, T, T]."""
    for i in range(config.num_hidden_layers):
        x, scores = layer(x, p.encoder.layers[i], config, inputs.mask_bias)
        yield x, scores


def encoder(inputs, p, config):
    """Yield the embeddings, then each layer's output [B, T, D] with its masked scores."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, D]
    yield x, None
    yield from layers(x, p, config, inputs)


# ---- heads ---------------------------------------------------------------------------------


def pool(x, p):  # [B, T, D] -> [B, D]
    """Summarise a text by its first token, [CLS]."""
    first = x[:, 0]  # [B, D]
    return np.tanh(linear(first, p.dense))


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position by its similarity to the piece's embedding."""
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(x, p.transform.dense))  # [B, T, D]
    transformed = layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)
    return linear(transformed, p.decoder)


# ---- what a checkpoint holds ---------------------------------------------------------------


def conv1d_shapes(O: int, I: int, G: int) -> dict[str, Any]:
    """Return the shapes of a convolution from I to O channels in G groups, one token wide."""
    return {"weight": (O, I // G, 1), "bias": (O,)}


def layer_shapes(config: SqueezeBertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of one layer, as a nested table."""
    D, I = config.hidden_size, config.intermediate_size
    return {
        "attention": {
            "query": conv1d_shapes(D, D, config.q_groups),
            "key": conv1d_shapes(D, D, config.k_groups),
            "value": conv1d_shapes(D, D, config.v_groups),
        },
        "post_attention": {
            "conv1d": conv1d_shapes(D, D, config.post_attention_groups),
            "layernorm": norm_shapes(D),
        },
        "intermediate": {"conv1d": conv1d_shapes(I, D, config.intermediate_groups)},
        "output": {
            "conv1d": conv1d_shapes(D, I, config.output_groups),
            "layernorm": norm_shapes(D),
        },
    }


def encoder_shapes(config: SqueezeBertConfig, add_pooling_layer: bool = True) -> dict[str, Any]:
    """Return the shapes of the parameters of the encoder, which always has its pooler."""
    D = config.hidden_size
    return {
        "embeddings": {
            "word_embeddings": {"weight": (config.vocab_size, D)},
            "position_embeddings": {"weight": (config.max_position_embeddings, D)},
            "token_type_embeddings": {"weight": (config.type_vocab_size, D)},
            "LayerNorm": norm_shapes(D),
        },
        "encoder": {"layers": [layer_shapes(config)] * config.num_hidden_layers},
        "pooler": {"dense": linear_shapes(D, D)},
    }


def masked_lm_shapes(config: SqueezeBertConfig) -> dict[str, Any]:
    """Return the shapes of the parameters of the masked-LM head."""
    D, V = config.hidden_size, config.vocab_size
    return {
        "transform": {"dense": linear_shapes(D, D), "LayerNorm": norm_shapes(D)},
        "bias": (V,),
        "decoder": {} if config.tie_word_embeddings else linear_shapes(V, D),
    }


# ---- model classes -------------------------------------------------------------------------


class SqueezeBertPreTrainedModel(PreTrainedModel):
    """What all SqueezeBERT models share; below it, one class for each head."""

    config: SqueezeBertConfig
    config_class = SqueezeBertConfig
    base_model_prefix = "transformer"
    encoder = staticmethod(encoder)
    encoder_shapes = staticmethod(encoder_shapes)
    keeps_embeddings_alone = True


class SqueezeBertModel(SqueezeBertPreTrainedModel, EncoderWithPooler):
    """SqueezeBERT without a head: hidden states [B, T, D], and the pooled first token [B, D]."""

    @classmethod
    def parameter_shapes(cls, config: Any) -> Shapes:  # type: ignore[override]
        return flat_shapes(encoder_shapes(config))

    def pool(self, x: np.ndarray) -> np.ndarray:
        return pool(x, self.params.pooler)


class SqueezeBertForMaskedLM(SqueezeBertPreTrainedModel, MaskedLM):
    """SqueezeBERT with the head that fills in masked word pieces: logits [B, T, V]."""

    tied_weights = {  # noqa: RUF012
        "cls.predictions.decoder.weight": "transformer.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        return {"cls.predictions": masked_lm_shapes(config)}

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params.cls.predictions, self.config)


class SqueezeBertForSequenceClassification(SqueezeBertPreTrainedModel, SequenceClassification):
    """SqueezeBERT with a head that classifies texts: logits [B, L]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.transformer.pooler), self.params.classifier)


class SqueezeBertForMultipleChoice(SqueezeBertPreTrainedModel, MultipleChoice):
    """SqueezeBERT with a head that scores several texts against each other: logits [Q, N]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.transformer.pooler), self.params.classifier)


class SqueezeBertForTokenClassification(SqueezeBertPreTrainedModel, TokenClassification):
    """SqueezeBERT with a head that classifies every token: logits [B, T, L]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class SqueezeBertForQuestionAnswering(SqueezeBertPreTrainedModel, QuestionAnswering):
    """SqueezeBERT with a head that marks an answer in the text: start and end logits [B, T]."""

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
