"""Writes tests/fixtures/tensorflow: small tf_model.h5 files and what their TF classes answer.

    python tests/scripts/make_tensorflow_fixtures.py [DIRECTORY]

transformers lost its TensorFlow classes with version 5, so this runs in an environment of its own:

    pip install tensorflow-cpu==2.21.0 tf-keras==2.21.0 transformers==4.57.6

Every class becomes a directory of its name: config.json; tf_model.h5.xz, the file as the class
saved it, compressed, for two thirds of it are padding; and expected.npz with the inputs
(`input.NAME`) and the outputs (`output.NAME`, each hidden state `output.hidden_states.I`). Every
variable is random, also norms, biases and the decoder that other classes tie to the embeddings,
so that one that is lost, swapped or transposed shows in the outputs.
"""

from __future__ import annotations

import argparse
import lzma
import os
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # transformers 4 has Keras 2 models

import numpy as np
import transformers

TARGET = Path(__file__).parents[1] / "fixtures" / "tensorflow"

COMMON: dict[str, Any] = dict(
    vocab_size=37,
    num_hidden_layers=2,
    max_position_embeddings=12,
    type_vocab_size=3,
    pad_token_id=0,
    output_hidden_states=True,
)
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": dict(hidden_size=12, num_attention_heads=3, intermediate_size=20),
    "ConvBert": dict(hidden_size=16, num_attention_heads=4, intermediate_size=24,
                     embedding_size=10, conv_kernel_size=5, num_groups=2),
    "MobileBert": dict(hidden_size=16, num_attention_heads=4, intermediate_size=20,
                       embedding_size=10, intra_bottleneck_size=12, num_feedforward_networks=2),
}  # fmt: skip
HEADS = ["Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
         "ForTokenClassification", "ForQuestionAnswering"]  # fmt: skip
PRETRAINING = ["ForPreTraining", "ForNextSentencePrediction"]  # not in ConvBERT

# The other side of an option, in a class or two each.
VARIANTS: dict[str, dict[str, Any]] = {
    "TFBertForSequenceClassification": dict(num_labels=3),
    "TFBertForTokenClassification": dict(num_labels=5),
    "TFConvBertModel": dict(embedding_size=16, num_groups=1),  # no projection, ordinary dense
    "TFConvBertForSequenceClassification": dict(num_labels=3),
    "TFConvBertForMultipleChoice": dict(summary_type="first", summary_use_proj=True,
                                        summary_activation="tanh"),
    "TFConvBertForTokenClassification": dict(num_labels=5),
    "TFMobileBertForPreTraining": dict(embedding_size=16),  # then the head's `dense` is empty
    "TFMobileBertForNextSentencePrediction": dict(use_bottleneck=False),
    "TFMobileBertForMultipleChoice": dict(classifier_activation=False),
    "TFMobileBertForQuestionAnswering": dict(trigram_input=False, num_feedforward_networks=1),
    # Two of its norms have this epsilon in PyTorch whatever the config says; in TensorFlow all
    # have the config's.
    "TFMobileBertForTokenClassification": dict(normalization_type="layer_norm",
                                               layer_norm_eps=1e-5, num_labels=5),
    "TFMobileBertForSequenceClassification": dict(use_bottleneck_attention=True,
                                                  key_query_shared_bottleneck=False, num_labels=3),
}  # fmt: skip


def inputs(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two texts of 7 tokens, one of them padded; for multiple choice, three choices for each."""
    shape = (2, 3, 7) if name.endswith("MultipleChoice") else (2, 7)
    mask = np.ones(shape, np.int32)
    mask[1, ..., 4:] = 0
    return {
        "input_ids": rng.integers(1, COMMON["vocab_size"], shape, np.int32) * mask,
        "attention_mask": mask,
        "token_type_ids": rng.integers(0, COMMON["type_vocab_size"], shape, np.int32) * mask,
    }


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Fill all variables so that values stay near 1, also where a NoNorm does not see to it."""
    for variable in model.weights:
        values = rng.normal(0, 0.25, variable.shape)
        if variable.name.endswith(("gamma:0", "LayerNorm/weight:0")):
            values += 1
        variable.assign(values.astype(np.float32))


def make(name: str, options: dict[str, Any], directory: Path, rng: np.random.Generator) -> None:
    model_class = getattr(transformers, name)
    model = model_class(model_class.config_class(**options))
    given = inputs(name, rng)
    model(given)  # the first call makes the variables
    randomise(model, rng)
    stored = {f"input.{key}": value for key, value in given.items()}
    for key, value in model(given).items():
        if key == "hidden_states":
            stored |= {f"output.{key}.{i}": np.asarray(state) for i, state in enumerate(value)}
        else:
            stored[f"output.{key}"] = np.asarray(value)
    assert all(np.isfinite(array).all() for array in stored.values()), name
    model.save_pretrained(directory)
    weights = directory / "tf_model.h5"
    Path(f"{weights}.xz").write_bytes(lzma.compress(weights.read_bytes(), preset=9))
    weights.unlink()
    np.savez_compressed(directory / "expected.npz", **stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", type=Path, default=TARGET)
    directory = parser.parse_args().directory
    for family, sizes in FAMILIES.items():
        for head in HEADS + (PRETRAINING if family != "ConvBert" else []):
            name = f"TF{family}{head}"
            rng = np.random.default_rng(list(name.encode()))  # each class by itself
            make(name, {**COMMON, **sizes, **VARIANTS.get(name, {})}, directory / name, rng)


if __name__ == "__main__":
    main()
