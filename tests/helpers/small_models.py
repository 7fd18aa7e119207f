"""Small models of every family and head, all of whose numbers are random; texts and checkpoints."""

import numpy as np
import pytest

import npbert

IN_EVERY_FAMILY = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
]
HEADS = {
    "Bert": [*IN_EVERY_FAMILY, "ForPreTraining", "ForNextSentencePrediction"],
    "ConvBert": IN_EVERY_FAMILY,
    "MobileBert": [*IN_EVERY_FAMILY, "ForPreTraining", "ForNextSentencePrediction"],
    "SqueezeBert": IN_EVERY_FAMILY,
}
ALL_HEADS = [(family, head) for family, heads in HEADS.items() for head in heads]

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat on mat ##s . , ? a".split()
SIZES = dict(
    vocab_size=20,
    hidden_size=12,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=6,
    max_position_embeddings=8,
    initializer_range=0.5,  # spread out, so that attention is far from uniform
)
OF_FAMILY = {
    "Bert": {},
    "ConvBert": dict(embedding_size=4, conv_kernel_size=3, num_groups=3),
    "MobileBert": dict(
        embedding_size=5,
        intra_bottleneck_size=8,
        num_feedforward_networks=2,
        initializer_range=0.2,  # it has no norms that would keep its hidden states from growing
    ),
    "SqueezeBert": dict(intermediate_groups=2, output_groups=3),
}

IDS = np.array([[2, 3, 4, 5], [6, 7, 8, 0]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])

each_family = pytest.mark.parametrize("family", HEADS)
each_head = pytest.mark.parametrize("family, head", [c for c in ALL_HEADS if c[1] != "Model"])


def small_config(family, **options):
    """Return a config of the sizes above, with some options changed or added."""
    options = SIZES | OF_FAMILY[family] | options
    if family == "SqueezeBert":  # which knows no other width for its embeddings
        options.setdefault("embedding_size", options["hidden_size"])
    return getattr(npbert, f"{family}Config")(**options)


def small_model(family, head="Model", seed=0, dtype=np.float64, **options):
    """Return a model of these sizes, its parameters all random."""
    model_class = getattr(npbert, family + head)
    return randomise(model_class(small_config(family, **options), seed, dtype), seed)


def randomise(model, seed=0):
    """Let no bias of a model be 0 and no norm 1, so that a lost one shows; return the model."""
    rng = np.random.default_rng(seed)
    for array in {id(array): array for array in model.state_dict().values()}.values():  # ties once
        array += rng.normal(0, 0.3, array.shape)
    return model


def inputs_for(head, B, T, seed=0):
    """Return B texts of T tokens, padded but for the first; as two choices for multiple choice."""
    rng = np.random.default_rng(seed)
    ends = np.r_[T, rng.integers(0, T, B - 1) + 1]
    inputs = dict(
        input_ids=rng.integers(0, SIZES["vocab_size"], (B, T)),
        attention_mask=(np.arange(T) < ends[:, None]).astype(int),
        token_type_ids=rng.integers(0, 2, (B, T)),
    )
    if head == "ForMultipleChoice":
        return {name: np.stack([array, array[::-1]], axis=1) for name, array in inputs.items()}
    return inputs
