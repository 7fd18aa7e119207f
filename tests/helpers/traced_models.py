"""Small random models whose passes are traced: two layers, float64."""

import numpy as np

import npbert

SMALL = dict(
    vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=40, max_position_embeddings=16,
)  # fmt: skip
OPTIONS = {
    "Bert": {},
    "ConvBert": dict(embedding_size=16),
    "MobileBert": dict(embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=2),
    "SqueezeBert": dict(embedding_size=32),
}


def small_model(family, head="ForMaskedLM", **options):
    config = getattr(npbert, f"{family}Config")(**SMALL | OPTIONS[family] | options)
    return getattr(npbert, family + head)(config, dtype=np.float64)
