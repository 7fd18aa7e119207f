"""Makes the golden kits that ship with npbert, in weights/golden.

    python weights/make_golden_kits.py             all of them
    python weights/make_golden_kits.py convbert    those whose names begin so

Needs the extra `reference`. Every family with every head has a kit of a small model with random
weights, and every trained checkpoint in weights/ has one that reads the checkpoint's own weights.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import npbert
from npbert.golden import make_kit
from npbert.golden.making import load
from npbert.model.base import PreTrainedModel

HERE = Path(__file__).parent
OUT = HERE / "golden"

# ---- small models with random weights ------------------------------------------------------

SMALL = dict(
    vocab_size=32,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=6,
)
FAMILY = {
    "Bert": {},
    "ConvBert": dict(embedding_size=6, num_attention_heads=4, conv_kernel_size=5, pad_token_id=1),
    "MobileBert": dict(
        hidden_size=8, embedding_size=6, intra_bottleneck_size=4, num_feedforward_networks=2
    ),
    "SqueezeBert": dict(
        embedding_size=8,
        q_groups=2,
        k_groups=4,
        v_groups=2,
        post_attention_groups=1,
        intermediate_groups=4,
        output_groups=2,
    ),
}
HEADS = {
    "Model": "model",
    "ForMaskedLM": "masked-lm",
    "ForSequenceClassification": "sequence-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForPreTraining": "pre-training",
    "ForNextSentencePrediction": "next-sentence-prediction",
}
# What a head's model has else: labels, and options that no other kit shows.
OPTIONS: dict[str, dict[str, Any]] = {
    "ForMaskedLM": dict(num_hidden_layers=2),
    "ForSequenceClassification": dict(num_labels=3),
    "ForTokenClassification": dict(num_labels=5),
}
FAMILY_OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("ConvBert", "ForMaskedLM"): dict(num_groups=2),
    ("ConvBert", "ForTokenClassification"): dict(num_groups=4, embedding_size=8),
    ("ConvBert", "ForQuestionAnswering"): dict(conv_kernel_size=9),
    ("ConvBert", "ForMultipleChoice"): dict(summary_activation="tanh"),
    ("MobileBert", "ForTokenClassification"): dict(normalization_type="layer_norm"),
    ("MobileBert", "ForQuestionAnswering"): dict(use_bottleneck_attention=True),
    ("SqueezeBert", "ForTokenClassification"): dict(post_attention_groups=2, q_groups=4),
}
HEAD_CASES = ["padded_end"]


def small_models() -> Iterator[tuple[str, PreTrainedModel]]:
    """Yield the name of each kit of a small model, and the model."""
    for family in FAMILY:
        for head, name in HEADS.items():
            if hasattr(npbert, family + head):
                yield f"{family.lower()}-{name}", small_model(family, head)


def small_model(family: str, head: str) -> PreTrainedModel:
    options = SMALL | FAMILY[family] | OPTIONS.get(head, {})
    options |= FAMILY_OPTIONS.get((family, head), {})
    model = getattr(npbert, family + head)(getattr(npbert, f"{family}Config")(**options))
    tied = model.tied(model.config)
    for name, array in model.state_dict().items():
        if name not in tied:
            array[...] = random_weight(name, array.shape, family)
    return model


def random_weight(name: str, shape: tuple[int, ...], family: str) -> np.ndarray:
    """Draw a parameter so that every step matters, and a mistake in any shows far off.

    Nothing is left at its initial value. Segments and positions say as much as words. The sum of
    the embeddings varies so little that another epsilon in the norm after it is seen.
    """
    rng = np.random.default_rng([*f"{family} {name}".encode()])
    if "norm" in name.lower():
        return rng.normal(1.0 if name.endswith("weight") else 0.0, 0.3, shape)
    if "embeddings.weight" in name and family != "MobileBert":
        return rng.normal(0.0, 0.05, shape)
    if "predictions.transform.dense" in name and family == "MobileBert":
        return rng.normal(0.0, 0.001, shape)  # the one real norm there, too, shows its epsilon
    if name.endswith("bias"):
        return rng.normal(0.0, 0.3, shape)
    return rng.normal(0.0, 0.5, shape)


def make_small(only: str) -> None:
    for name, model in small_models():
        if name.startswith(only):
            is_base = name.endswith("-model")
            about = (
                f"A small {type(model).__name__} with random weights: every step matters, nothing "
                "has been trained."
            )
            cases = None if is_base else HEAD_CASES
            report(make_kit(model, OUT / name, cases, name=name, about=about))


# ---- trained checkpoints -------------------------------------------------------------------

STEP = 16  # of a trained checkpoint's arrays every so manyeth entry is kept


def make_trained(only: str) -> None:
    for file in sorted(HERE.glob("*/model.safetensors")):
        name = file.parent.name
        if name.startswith(only) and not name.startswith("trial"):
            report(make_trained_kit(name))


def is_kept_of(layers: int) -> Callable[[str, str], bool]:
    """Return what tells whether such a kit holds a quantity: those of small models hold them all.

    Here it is what modules put out, in full for the first and the last layer, and what leaves the
    others.
    """

    def is_kept(name: str, kind: str) -> bool:
        found = re.search(r"encoder\.layers?\.(\d+)\.(.*)", name)
        if kind != "module" or found is None or int(found[1]) in (0, layers - 1):
            return kind != "intermediate"
        return re.fullmatch(r"output\.(bottleneck\.)?layernorm", found[2].lower()) is not None

    return is_kept


def make_trained_kit(name: str, directory: Path = OUT) -> Any:
    """Make the kit of a checkpoint in weights/, with a padded text; it points to the weights."""
    checkpoint = HERE / name
    model = load(checkpoint)
    tokenizer = npbert.AutoTokenizer.from_pretrained(checkpoint)
    texts = ["Rain falls.", "Yes."]
    encoded = tokenizer(texts, padding=True, return_tensors="np")
    ids, mask = encoded["input_ids"][1:], encoded["attention_mask"][1:]
    arrays = {"input_ids": ids, "attention_mask": mask}
    if name.endswith("choice"):
        arrays = {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
        arrays = {argument: array[None] for argument, array in arrays.items()}
    else:
        texts = texts[1:]
    return make_kit(
        model,
        directory / name,
        inputs={"padded_text": arrays},
        name=name,
        about=f"The trained checkpoint {name} that ships with npbert.",
        weights=checkpoint / "model.safetensors",
        keep=is_kept_of(model.config.num_hidden_layers),
        sample_step=STEP,
        tokenizer=tokenizer,
        texts={"padded_text": texts},
    )


# ---- all of them ---------------------------------------------------------------------------


def report(kit: Any) -> None:
    size = sum(file.stat().st_size for file in kit.directory.iterdir())
    print(f"{kit.name:45} {len(kit.tensors):4} tensors {len(kit.cases):2} cases {size:9,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="", help="how the names begin (default: all)")
    only = parser.parse_args().only
    start = time.perf_counter()
    make_small(only)
    make_trained(only)
    seconds = time.perf_counter() - start
    print(f"{seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
