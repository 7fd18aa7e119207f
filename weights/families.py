"""The four families: their sizes, how each is trained, and where their parts are found.

One table for all of them, FAMILIES. The sizes keep what is particular to each paper and let the
rest be equal: hidden size 256, the vocabulary, at most 128 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from corpus import SPECIAL
from transformers import (
    BertConfig,
    BertForPreTraining,
    ConvBertConfig,
    ConvBertForMaskedLM,
    MobileBertConfig,
    MobileBertForPreTraining,
    SqueezeBertConfig,
    SqueezeBertForMaskedLM,
)

SHARED = {
    "vocab_size": 8192,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "hidden_dropout_prob": 0.0,  # a few passes over the corpus leave nothing to over-fit
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-12,
    "pad_token_id": SPECIAL["[PAD]"],
    "bos_token_id": None,
    "eos_token_id": None,
}


@dataclass(frozen=True)
class Family:
    """What one family is and how it is trained; numbers can be overruled on the command line."""

    architecture: type
    config_class: type
    sizes: dict
    steps: int
    tokenizer: str  # the class that transformers loads the vocabulary with
    layouts: dict[str, float]  # what a row of a batch holds, and how often; see batches.py
    batch: int = 24  # windows of 64 pieces a worker and step
    sentences: int = 0  # steps more at the end, of which half hold what people type:
    closing: dict[str, float] = field(default_factory=lambda: {"sentence": 1.0})
    closing_length: int = 32  # pieces in such a row
    rate: float = 1.5e-3  # peak learning rate of AdamW
    muon_rate: float = 3e-3  # peak learning rate of Muon
    mask_rate: float = 0.2  # the share of pieces to hide, before the rate falls
    falling: float = 0.5  # the last share of the steps, in which the rate falls to zero
    # The last share of the steps, with windows of 128 pieces: all, where only the position
    # embeddings say what is near, and places that were never trained would not.
    long: float = 1.0
    # The teacher's layer that a layer is taught to equal; empty without a teacher.
    taught: dict[int, int] = field(default_factory=dict)
    # For each layer and head, the neighbour it looks at when training begins; 0 for a free head.
    near: tuple[tuple[int, ...], ...] = ()


FAMILIES = {
    "convbert": Family(
        ConvBertForMaskedLM,
        ConvBertConfig,
        {
            "embedding_size": 128,
            "num_hidden_layers": 4,
            "head_ratio": 2,
            "conv_kernel_size": 9,
            "intermediate_size": 1024,
        },
        steps=5200,
        tokenizer="ConvBertTokenizer",
        batch=48,
        sentences=500,
        mask_rate=0.3,
        falling=0.355,
        long=0.15,
        layouts={"whole": 0.7, "pair": 0.2, "sentence": 0.1},
    ),
    "bert": Family(
        BertForPreTraining,
        BertConfig,
        {"num_hidden_layers": 4, "intermediate_size": 512},
        steps=1800,
        sentences=2200,
        closing={"short": 0.8, "sentence": 0.2},
        closing_length=84,
        tokenizer="BertTokenizer",
        falling=0.42,
        long=0.704,
        layouts={"whole": 0.35, "next": 0.5, "sentence": 0.15},
        taught={1: 1, 2: 2, 3: 3, 4: 4},
        near=((0, 0, -1, 1), (0, 0, -2, 2), (0, 0, -1, 1), (0, 0, -2, 2)),
    ),
    "mobilebert": Family(
        MobileBertForPreTraining,
        MobileBertConfig,
        {
            "embedding_size": 128,
            "num_hidden_layers": 8,
            "intra_bottleneck_size": 96,
            "intermediate_size": 192,
            "num_feedforward_networks": 3,
            "trigram_input": True,
            "normalization_type": "no_norm",
            "classifier_activation": True,
        },
        steps=2120,
        tokenizer="MobileBertTokenizer",
        layouts={"whole": 0.45, "next": 0.5, "sentence": 0.05},
        taught={2: 1, 4: 2, 6: 3, 8: 4},
        near=4 * ((0, 0, -1, 1), (0, 0, -2, 2)),
    ),
    "squeezebert": Family(
        SqueezeBertForMaskedLM,
        SqueezeBertConfig,
        {
            "embedding_size": 256,
            "num_hidden_layers": 6,
            "intermediate_size": 1024,
            "q_groups": 4,
            "k_groups": 4,
            "v_groups": 4,
            "post_attention_groups": 1,
            "intermediate_groups": 4,
            "output_groups": 4,
        },
        steps=4100,
        tokenizer="SqueezeBertTokenizer",
        long=0.956,
        layouts={"whole": 0.75, "pair": 0.2, "sentence": 0.05},
        taught={2: 1, 3: 2, 5: 3, 6: 4},
        near=((-1, 1, -1, 1), (1, -1, 0, 0), (0, 0, 1, -1), (2, -2, 0, 0), (0, 0, -1, 1)),
    ),
}


def new_model(name: str, seed: int):
    """Return a model of a family with random weights."""
    torch.manual_seed(seed)
    family = FAMILIES[name]
    config = family.config_class(**SHARED | family.sizes)
    config._attn_implementation = "eager"
    return family.architecture(config)


def hidden_states(model, batch):
    """Return what enters the first layer and leaves each layer, and the pooled state or None."""
    output = model.base_model(
        batch["ids"],
        attention_mask=batch["attended"],
        token_type_ids=batch["types"],
        output_hidden_states=True,
    )
    return output.hidden_states, output.get("pooler_output")


def vocabulary_logits(model, hidden):
    """Return the logits of the masked-LM head for hidden states [N, D], in single precision."""
    if isinstance(model, ConvBertForMaskedLM):
        return model.generator_lm_head(model.generator_predictions(hidden)).float()
    return model.cls.predictions(hidden).float()


def vocabulary_bias(model):
    """Return the bias of the masked-LM head."""
    if isinstance(model, ConvBertForMaskedLM):
        return model.generator_lm_head.bias
    return model.cls.predictions.decoder.bias


def predicts_next_sentence(model) -> bool:
    """Say whether the model has a next-sentence head."""
    return hasattr(getattr(model, "cls", None), "seq_relationship")
