"""Classic mistakes in the heads."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.golden.mistakes.conditions import (
    activates_in_head,
    fills_masks,
    pools,
    reads_first_token,
)
from npbert.golden.mistakes.planting import Edit, Mistake
from npbert.model import heads

ACTIVATION = "activation = ACTIVATIONS[config.hidden_act]"
TANH_GELU = 'activation = ACTIVATIONS["gelu_new"]'


WITHOUT_BIAS = "linear(transformed, p.decoder)", "transformed @ p.decoder.weight.T"
DECODER_BIASES = ("cls.predictions.decoder.bias", "generator_lm_head.bias")


def decoder_bias_times(factor: int) -> Any:
    """Return a change of parameters: the bias of the decoder times a number."""

    def change(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {n: factor * a if n in DECODER_BIASES else a for n, a in tensors.items()}

    return change


def in_other_order(name: str) -> Any:
    """Return a change of parameters: what the two outputs of a module are called is swapped."""

    def change(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        parts = (f"{name}.weight", f"{name}.bias")
        return {key: array[::-1] if key in parts else array for key, array in tensors.items()}

    return change


HEADS: tuple[Mistake, ...] = (
    Mistake(
        "pooler_without_tanh",
        "a pooler without tanh",
        (Edit("family.pool", "np.tanh(linear(", "np.positive(linear("),),
        when=pools,
    ),
    Mistake(
        "last_token_pooled",
        "a text summed up by its last position instead of its first",
        (
            Edit("bert.pool", "x[:, 0]", "x[:, -1]"),
            Edit("mobilebert.pool", "x[:, 0]", "x[:, -1]"),
            Edit("squeezebert.pool", "x[:, 0]", "x[:, -1]"),
            Edit("convbert.classification_head", "x[:, 0]", "x[:, -1]"),
        ),
        when=reads_first_token,
    ),
    Mistake(
        "first_token_summed_up",
        "a choice summed up by its first position instead of its last",
        (Edit("convbert.sequence_summary", "summary = x[:, -1]", "summary = x[:, 0]"),),
        when=lambda model: (
            isinstance(model, heads.MultipleChoice)
            and getattr(model.config, "summary_type", "last") not in ("first", "mean")
        ),
    ),
    Mistake(
        "tanh_gelu_in_head",
        "the tanh approximation of GELU in the head",
        (
            Edit("bert.masked_lm_head", ACTIVATION, TANH_GELU),
            Edit("mobilebert.masked_lm_head", ACTIVATION, TANH_GELU),
            Edit("squeezebert.masked_lm_head", ACTIVATION, TANH_GELU),
            Edit("convbert.masked_lm_head", "gelu(linear", 'ACTIVATIONS["gelu_new"](linear'),
            Edit("convbert.classification_head", ACTIVATION, TANH_GELU),
        ),
        when=activates_in_head,
    ),
    Mistake(
        "no_decoder_bias",
        "scores of word pieces without the bias of the decoder",
        parameters=decoder_bias_times(0),
        when=fills_masks,
        typed=(
            Edit("bert.masked_lm_head", *WITHOUT_BIAS),
            Edit(
                "convbert.masked_lm_head",
                "linear(transformed, p.generator_lm_head)",
                "transformed @ p.generator_lm_head.weight.T",
            ),
            Edit(
                "mobilebert.masked_lm_head",
                "linear(narrow, p.decoder)",
                "narrow @ p.decoder.weight.T",
            ),
            Edit("squeezebert.masked_lm_head", *WITHOUT_BIAS),
        ),
    ),
    Mistake(
        "decoder_without_dense",
        "scores of word pieces by the word embeddings alone, without the part of `dense`",
        (Edit("mobilebert.masked_lm_head", "by_embedding + by_dense", "by_embedding + 0"),),
        when=lambda model: (
            fills_masks(model) and model.config.embedding_size < model.config.hidden_size
        ),
    ),
    Mistake(
        "next_sentence_labels_swapped",
        "the two labels of next-sentence prediction swapped",
        parameters=in_other_order("cls.seq_relationship"),
        when=lambda model: isinstance(model, (heads.PreTraining, heads.NextSentencePrediction)),
        typed=tuple(
            Edit(
                f"{family.lower()}.{family}{head}.head",
                "cls.seq_relationship)",
                "cls.seq_relationship)[..., ::-1]",
            )
            for family in ("Bert", "MobileBert")
            for head in ("ForPreTraining", "ForNextSentencePrediction")
        ),
    ),
    Mistake(
        "start_and_end_swapped",
        "the start and the end of the answer swapped",
        parameters=in_other_order("qa_outputs"),
        when=lambda model: isinstance(model, heads.QuestionAnswering),
        typed=tuple(
            Edit(
                f"{family.lower()}.{family}ForQuestionAnswering.head",
                "linear(x, self.params.qa_outputs)",
                "linear(x, self.params.qa_outputs)[..., ::-1]",
            )
            for family in ("Bert", "ConvBert", "MobileBert", "SqueezeBert")
        ),
    ),
)
