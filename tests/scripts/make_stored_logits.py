"""Write fixtures/stored: of every class a small random model, inputs, the reference's outputs.

    python tests/scripts/make_stored_logits.py [CLASS ...]

Needs the extra `reference`; test_stored_logits.py needs nothing. Without arguments every class is
made anew, and what belongs to none is removed. The files are the same on every run.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from reference_models import (
    ALL_HEADS,
    for_head,
    in_both_dtypes,
    mask_with_zeros,
    random_ids,
    random_labels,
    random_model,
    random_types,
    run,
)

from npbert.checkpoints import safetensors

FOLDER = Path(__file__).parents[1] / "fixtures" / "stored"
B, T = 3, 7

# Small, and yet with all that a family can do.
SIZES = dict(
    vocab_size=29,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=18,
    max_position_embeddings=9,
    type_vocab_size=2,
    layer_norm_eps=1e-3,
)
OPTIONS = {
    "Bert": {},
    "ConvBert": dict(
        num_attention_heads=4, embedding_size=10, conv_kernel_size=5, num_groups=3, head_ratio=2
    ),
    "MobileBert": dict(
        embedding_size=8, intra_bottleneck_size=9, num_feedforward_networks=2, hidden_act="relu"
    ),
    "SqueezeBert": dict(
        embedding_size=12,
        q_groups=2,
        k_groups=3,
        v_groups=4,
        post_attention_groups=6,
        intermediate_groups=2,
        output_groups=3,
    ),
}


def inputs_of(head, config):
    """Padding in front, at the end, and none; two segments; the labels that the head takes."""
    inputs = dict(
        input_ids=random_ids(config, B, T),
        attention_mask=mask_with_zeros(B, T, (0, slice(2)), (1, slice(4, None))),
        token_type_ids=random_types(config, B, T),
    )
    return for_head(head, inputs | random_labels(head, config, B, T))


def make(family, head):
    """Write the directory of one class: config.json, model.safetensors, case.safetensors."""
    directory = FOLDER / (family + head)
    shutil.rmtree(directory, ignore_errors=True)
    model = random_model(family, head, seed=1, **SIZES | OPTIONS[family])
    model.save_pretrained(directory)
    inputs = inputs_of(head, model.config)
    outputs = run(
        in_both_dtypes(model)["float64"],
        "float64",
        **inputs,
        output_hidden_states=True,
        output_attentions=True,
    )
    tensors = {f"inputs.{name}": array for name, array in inputs.items()}
    for name, field in outputs.items():
        parts = field if isinstance(field, tuple) else [field]
        for i, array in enumerate(parts):
            part = f".{i}" if isinstance(field, tuple) else ""
            tensors[f"outputs.{name}{part}"] = np.asarray(array)
    safetensors.write(directory / "case.safetensors", tensors)


def main(names):
    classes = {family + head: (family, head) for family, head in ALL_HEADS}
    for name in names or classes:
        make(*classes[name])
    for directory in FOLDER.iterdir():
        if directory.name not in classes:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main(sys.argv[1:])
