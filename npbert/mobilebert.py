"""MobileBERT (Sun et al. 2020): BERT with many thin layers, each between two bottlenecks.

MobileBERT is as deep as the large BERT. What goes from layer to layer is two thirds as wide as in
the base one, and a quarter of that inside a layer: a bottleneck leads in, an inverted one leads out
(section 3.1). Attention still reads the full width, so the feed-forward network would be left with
too small a part; there are several of them in a row (3.2). The norms only scale and shift (3.3).
Word embeddings are narrow, but each token is given those of both its neighbours, too (3.4).

    embeddings -> N x (bottleneck -> attention -> several feed-forward -> inverted bottleneck)
               -> pooler or head

Axes   B sentences   T tokens   V vocabulary   E embedding width   D hidden width between layers
       C width inside a layer, that of the bottleneck, or D without one   H heads
       S width of one head, C = H*S   I width of the feed-forward layers   L labels
Names  `p` is one node of the parameter tree; every array is read under its name in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from npbert.activations import ACTIVATIONS
from npbert.model.base import PreTrainedModel
from npbert.model.config import MobileBertConfig
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
    MobileBertForPreTrainingOutput,
    ModelOutput,
)
from npbert.model.params import Shapes, below, linear_shapes, norm_shapes
from npbert.ops import attend, layer_norm, linear, split_heads

# The reference does not tell two of its norms layer_norm_eps, and PyTorch's default counts there:
# after the embeddings, and after the last feed-forward network of a layer.
DEFAULT_EPS = 1e-5

# ---- norm (section 3.3) --------------------------------------------------------------------


def no_norm(x, p):  # [...] -> [...]
    """Scale and shift every channel, as after normalising, but without normalising (3.3)."""
    return x * p.weight + p.bias


def norm(x, p, config, eps):  # [...] -> [...]
    """What stands where BERT has a layer norm: a real one, or its scale and shift alone."""
    return no_norm(x, p) if config.normalization_type == "no_norm" else layer_norm(x, p, eps)


# ---- embeddings (section 3.4) --------------------------------------------------------------


def trigrams(words):  # [B, T, E] -> [B, T, 3*E]
    """Put next to each other what follows a token, the token, and what precedes it.

    The linear map that follows makes a convolution over three tokens of it. Past both ends stand
    zeros. Padding is no end: the last real token of a padded text is given the padding's embedding.
    """
    padded = np.pad(words, ((0, 0), (1, 1), (0, 0)))  # [B, T+2, E]
    following = padded[:, 2:]  # [B, T, E]
    preceding = padded[:, :-2]  # [B, T, E]
    return np.concatenate([following, words, preceding], axis=2)


def embeddings(inputs, p, config):  # -> [B, T, D]
    """Widen what the word pieces say, three by three; add their positions and their segments."""
    words = inputs.inputs_embeds  # [B, T, E]
    if words is None:
        words = p.word_embeddings.weight[inputs.input_ids]  # [B, T, E]
    grams = trigrams(words) if config.trigram_input else words  # [B, T, 3*E] or [B, T, E]
    # Words that are as wide as the layers go without the map, though every checkpoint has one.
    mapped = config.trigram_input or config.embedding_size != config.hidden_size
    wide = linear(grams, p.embedding_transformation) if mapped else grams  # [B, T, D]
    positions = p.position_embeddings.weight[inputs.position_ids]  # [B, T, D] or [1, T, D]
    types = p.token_type_embeddings.weight[inputs.token_type_ids]  # [B, T, D]
    return norm(wide + positions + types, p.LayerNorm, config, DEFAULT_EPS)


# ---- layer ---------------------------------------------------------------------------------


def squeeze(x, p, config):  # [B, T, D] -> [B, T, C]
    """Lead into a layer through a bottleneck (section 3.1)."""
    squeezed = linear(x, p.dense)  # [B, T, C]
    return norm(squeezed, p.LayerNorm, config, config.layer_norm_eps)


def bottleneck(x, p, config):  # [B, T, D] -> [B, T, C], [B, T, D] or [B, T, C], [B, T, C]
    """Return what query and key are made of, what value is made of, and what attention adds to."""
    if not config.use_bottleneck:
        return x, x, x
    narrow = squeeze(x, p.bottleneck.input, config)  # [B, T, C]
    if config.use_bottleneck_attention:
        return narrow, narrow, narrow
    if config.key_query_shared_bottleneck:
        shared = squeeze(x, p.bottleneck.attention, config)  # [B, T, C]
        return shared, x, narrow
    return x, x, narrow  # the config sees to it that C is D then


def self_attention(shared, x, p, config, mask_bias):  # [B, T, C] -> [B, T, C]
    """Let every token gather from all tokens what its heads look for.

    Query and key are made of a bottleneck that they share; value of x, which is all that the layer
    was given, [B, T, D], or with use_bottleneck_attention what leaves the bottleneck, [B, T, C].
    """
    H = config.num_attention_heads
    query, key = linear(shared, p.query), linear(shared, p.key)  # [B, T, C]
    value = linear(x, p.value)  # [B, T, C]
    context, probs = attend(
        split_heads(query, H), split_heads(key, H), split_heads(value, H), mask_bias
    )
    return context.reshape(query.shape), probs


def feed_forward(x, p, config, eps):  # [B, T, C] -> [B, T, C]
    """Treat every token by itself: to a wider layer and back, then add and normalise."""
    activation = ACTIVATIONS[config.hidden_act]
    wide = activation(linear(x, p.intermediate.dense))  # [B, T, I]
    narrow = linear(wide, p.output.dense)  # [B, T, C]
    return norm(x + narrow, p.output.LayerNorm, config, eps)


def expand(narrow, x, p, config):  # [B, T, C], [B, T, D] -> [B, T, D]
    """Lead out of a layer through the inverted bottleneck, and add what entered it (3.1)."""
    expanded = linear(narrow, p.dense)  # [B, T, D]
    return norm(x + expanded, p.LayerNorm, config, config.layer_norm_eps)


def layer(x, p, config, mask_bias):  # [B, T, D] -> [B, T, D]
    """One layer: attention, then feed-forward networks in a row, between two bottlenecks.

    Each has a residual around it, and so has the whole (section 3, figure 1).
    """
    attention, output, eps = p.attention.self, p.attention.output, config.layer_norm_eps
    shared, full, narrow = bottleneck(x, p, config)  # [B, T, C], [B, T, D] or [B, T, C], [B, T, C]
    context, probs = self_attention(
        shared, full, attention, config, mask_bias
    )  # [B, T, C], [B, H, T, T]
    gathered = linear(context, output.dense)  # [B, T, C]
    narrow = norm(narrow + gathered, output.LayerNorm, config, eps)  # [B, T, C]
    for i in range(config.num_feedforward_networks - 1):  # one more follows (section 3.2)
        narrow = feed_forward(narrow, p.ffn[i], config, eps)  # [B, T, C]
    narrow = feed_forward(narrow, p, config, DEFAULT_EPS)  # [B, T, C]
    if config.use_bottleneck:
        return expand(narrow, x, p.output.bottleneck, config), probs
    return narrow, probs


def body(inputs, p, config):
    """Yield what enters the first layer, then what leaves each one, with its attention shares."""
    x = embeddings(inputs, p.embeddings, config)  # [B, T, D]
    yield x, None
    for i in range(config.num_hidden_layers):
        x, probs = layer(x, p.encoder.layer[i], config, inputs.mask_bias)
        yield x, probs


# ---- heads ---------------------------------------------------------------------------------


def pool(x, p, config):  # [B, T, D] -> [B, D]
    """Summarise a sentence by its first token, [CLS]; trained by next-sentence prediction.

    Without classifier_activation it is that token as it is, and `p` has no pooler.
    """
    first = x[:, 0]  # [B, D]
    pooled = first
    if config.classifier_activation:
        pooled = np.tanh(linear(first, p.pooler.dense))  # [B, D]
    return pooled


def masked_lm_head(x, p, config):  # [B, T, D] -> [B, T, V]
    """Score every word piece at every position, by its likeness to the piece's embedding.

    The embeddings have E channels; `dense` has the D - E more that a piece is given for this. The
    norm is a real one here, whatever `normalization_type` says: the reference fixes it.
    """
    E = config.embedding_size
    activation = ACTIVATIONS[config.hidden_act]
    activated = activation(linear(x, p.transform.dense))  # [B, T, D]
    transformed = layer_norm(activated, p.transform.LayerNorm, config.layer_norm_eps)
    # The same as one product with both matrices on top of each other, [D, V]; `dense` lies as used.
    by_embedding = transformed[..., :E] @ p.decoder.weight.T  # [B, T, V]
    by_dense = transformed[..., E:] @ p.dense.weight  # [B, T, V]: all 0 where E is D
    return by_embedding + by_dense + p.decoder.bias


# ---- what a checkpoint holds ---------------------------------------------------------------


def feed_forward_shapes(config: MobileBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of one feed-forward network."""
    C, I = config.true_hidden_size, config.intermediate_size
    return {
        **below("intermediate.dense", linear_shapes(I, C)),
        **below("output.dense", linear_shapes(C, I)),
        **below("output.LayerNorm", norm_shapes(C)),
    }


def layer_shapes(config: MobileBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of one layer."""
    D, C = config.hidden_size, config.true_hidden_size
    full = C if config.use_bottleneck_attention else D
    shapes = {
        **below("attention.self.query", linear_shapes(C, C)),
        **below("attention.self.key", linear_shapes(C, C)),
        **below("attention.self.value", linear_shapes(C, full)),
        **below("attention.output.dense", linear_shapes(C, C)),
        **below("attention.output.LayerNorm", norm_shapes(C)),
        **feed_forward_shapes(config),
    }
    if config.use_bottleneck:
        # The one of attention is there even where use_bottleneck_attention leaves it unused.
        for name in ("input", "attention") if config.key_query_shared_bottleneck else ("input",):
            shapes |= below(f"bottleneck.{name}.dense", linear_shapes(C, D))
            shapes |= below(f"bottleneck.{name}.LayerNorm", norm_shapes(C))
        shapes |= below("output.bottleneck.dense", linear_shapes(D, C))
        shapes |= below("output.bottleneck.LayerNorm", norm_shapes(D))
    for i in range(config.num_feedforward_networks - 1):
        shapes |= below(f"ffn.{i}", feed_forward_shapes(config))
    return shapes


def body_shapes(config: MobileBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the body, without the pooler."""
    E, D = config.embedding_size, config.hidden_size
    shapes = {
        "embeddings.word_embeddings.weight": (config.vocab_size, E),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, D),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, D),
        **below(
            "embeddings.embedding_transformation",
            linear_shapes(D, 3 * E if config.trigram_input else E),
        ),
        **below("embeddings.LayerNorm", norm_shapes(D)),
    }
    for i in range(config.num_hidden_layers):
        shapes |= below(f"encoder.layer.{i}", layer_shapes(config))
    return shapes


def pooler_shapes(config: MobileBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the pooler, which may have none."""
    if not config.classifier_activation:
        return {}
    return below("pooler.dense", linear_shapes(config.hidden_size, config.hidden_size))


def masked_lm_shapes(config: MobileBertConfig) -> Shapes:
    """Return the names and shapes of the parameters of the masked-LM head."""
    E, D, V = config.embedding_size, config.hidden_size, config.vocab_size
    config.require(
        E <= D, f"embedding_size {E} is more than hidden_size {D}: no masked-LM head fits"
    )
    shapes = {
        **below("cls.predictions.transform.dense", linear_shapes(D, D)),
        **below("cls.predictions.transform.LayerNorm", norm_shapes(D)),
        "cls.predictions.dense.weight": (D - E, V),
        "cls.predictions.bias": (V,),
    }
    if not config.tie_word_embeddings:
        shapes |= below("cls.predictions.decoder", linear_shapes(V, E))
    return shapes


# ---- model classes -------------------------------------------------------------------------


class MobileBertPreTrainedModel(PreTrainedModel):
    """What all MobileBERT models share; below it, one class for each head."""

    config: MobileBertConfig
    config_class = MobileBertConfig
    base_model_prefix = "mobilebert"

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        """Return the names and shapes of the parameters of the head, and of the pooler it uses."""
        raise NotImplementedError

    @classmethod
    def parameter_shapes(cls, config: MobileBertConfig) -> Shapes:
        return {**below("mobilebert", body_shapes(config)), **cls.head_shapes(config)}

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params.mobilebert, self.config)


class MobileBertModel(MobileBertPreTrainedModel, Encoder):
    """MobileBERT without a head: hidden states [B, T, D], and the pooled first token [B, D]."""

    optional = ("pooler.",)

    @classmethod
    def parameter_shapes(cls, config: MobileBertConfig, add_pooling_layer: bool = True) -> Shapes:
        return body_shapes(config) | (pooler_shapes(config) if add_pooling_layer else {})

    def body(self, inputs: Inputs) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        return body(inputs, self.params, self.config)

    def finish(self, encoded: BaseModelOutput) -> ModelOutput:
        pooled = None
        if self.options.get("add_pooling_layer", True):
            pooled = pool(encoded.last_hidden_state, self.params, self.config)
        return BaseModelOutputWithPooling(
            encoded.last_hidden_state, pooled, encoded.hidden_states, encoded.attentions
        )


class TiedDecoder(MobileBertPreTrainedModel):
    """The masked-LM head's scores use the word embeddings themselves, unless the config unties."""

    @classmethod
    def tied(cls, config: MobileBertConfig) -> dict[str, str]:
        if not config.tie_word_embeddings:
            return {}
        return {
            "cls.predictions.decoder.weight": "mobilebert.embeddings.word_embeddings.weight",
            "cls.predictions.decoder.bias": "cls.predictions.bias",
        }


class MobileBertForPreTraining(TiedDecoder, PreTraining):
    """MobileBERT with both heads of its pre-training: logits [B, T, V] and [B, 2]."""

    optional = ("mobilebert.pooler.", "cls.predictions.", "cls.seq_relationship.")
    output_class = MobileBertForPreTrainingOutput

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("mobilebert", pooler_shapes(config)),
            **masked_lm_shapes(config),
            **below("cls.seq_relationship", linear_shapes(2, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        p = self.params
        predictions = masked_lm_head(x, p.cls.predictions, self.config)
        return predictions, linear(pool(x, p.mobilebert, self.config), p.cls.seq_relationship)


class MobileBertForMaskedLM(TiedDecoder, MaskedLM):
    """MobileBERT with the head that fills in masked word pieces: logits [B, T, V]."""

    optional = ("cls.predictions.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return masked_lm_shapes(config)

    def head(self, x: np.ndarray) -> Any:
        return masked_lm_head(x, self.params.cls.predictions, self.config)


class MobileBertForNextSentencePrediction(MobileBertPreTrainedModel, NextSentencePrediction):
    """MobileBERT with the head that says whether a text follows another: logits [B, 2]."""

    optional = ("mobilebert.pooler.", "cls.seq_relationship.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("mobilebert", pooler_shapes(config)),
            **below("cls.seq_relationship", linear_shapes(2, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        p = self.params
        return linear(pool(x, p.mobilebert, self.config), p.cls.seq_relationship)


class MobileBertForSequenceClassification(MobileBertPreTrainedModel, SequenceClassification):
    """MobileBERT with a head that classifies texts: logits [B, L]."""

    optional = ("mobilebert.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("mobilebert", pooler_shapes(config)),
            **below("classifier", linear_shapes(config.num_labels, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.mobilebert, self.config), self.params.classifier)


class MobileBertForMultipleChoice(MobileBertPreTrainedModel, MultipleChoice):
    """MobileBERT with a head that scores several texts against each other: logits [Q, N]."""

    optional = ("mobilebert.pooler.", "classifier.")

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return {
            **below("mobilebert", pooler_shapes(config)),
            **below("classifier", linear_shapes(1, config.hidden_size)),
        }

    def head(self, x: np.ndarray) -> Any:
        return linear(pool(x, self.params.mobilebert, self.config), self.params.classifier)


class MobileBertForTokenClassification(MobileBertPreTrainedModel, TokenClassification):
    """MobileBERT with a head that classifies every token: logits [B, T, L]."""

    optional = ("classifier.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        return below("classifier", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.classifier)


class MobileBertForQuestionAnswering(MobileBertPreTrainedModel, QuestionAnswering):
    """MobileBERT with a head that marks an answer in the text: start and end logits [B, T]."""

    optional = ("qa_outputs.",)

    @classmethod
    def head_shapes(cls, config: Any) -> Shapes:
        config.require_two_labels("question answering")
        return below("qa_outputs", linear_shapes(config.num_labels, config.hidden_size))

    def head(self, x: np.ndarray) -> Any:
        return linear(x, self.params.qa_outputs)
