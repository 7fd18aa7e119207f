"""Next-sentence prediction: does the second text follow the first?

One head of BERT and MobileBERT is pre-trained for this (pretrain.py). Here it is measured on what
people type: one sentence or two of a paragraph, and the sentence behind them; in every other pair
such a sentence of another document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npbert import BertTokenizer

from .baselines import Overlap, logistic_weights
from .choice import places
from .sentences import SPLIT_SEEDS

NAMES, BASE = ("bert-tiny", "mobilebert-tiny"), "bert-tiny"
EXAMPLES = 30_000  # of the training split
HEAD, LABELS = "NextSentencePrediction", ()


@dataclass
class Example:
    first: str
    second: str
    label: int  # 0: the second follows the first, 1: it does not


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return pairs, every other one of two documents."""
    everywhere = places(split, tokenizer, count)
    rng = np.random.default_rng([SPLIT_SEEDS[split], 6])
    found: list[Example] = []
    for i in rng.permutation(len(everywhere))[:count]:
        d, first, second = everywhere[i]
        label, other = len(found) % 2, d
        while label and other == d:
            other, _, second = everywhere[rng.integers(len(everywhere))]
        found.append(Example(first, second, label))
    return found


def encode(example: Example, tokenizer: BertTokenizer) -> dict[str, np.ndarray]:
    row = tokenizer(example.first, example.second)
    return {name: np.array(ids) for name, ids in row.items()} | {"labels": np.array(example.label)}


def prediction(logits: np.ndarray, example: Example, tokenizer: BertTokenizer) -> int:
    return int(logits.argmax())


def measures(examples: list[Example], predictions: list[int]) -> dict[str, float]:
    """Return the accuracy, over all pairs, those that follow and those that do not."""
    labels = np.array([example.label for example in examples])
    right = labels == predictions
    return {
        "accuracy": float(right.mean()),
        "follows": float(right[labels == 0].mean()),
        "does not": float(right[labels == 1].mean()),
    }


def baselines(
    train: list[Example], examples: list[Example], tokenizer: BertTokenizer
) -> dict[str, list[int]]:
    """Return what simple methods say: chance, and whether enough words are shared."""
    overlap = Overlap()

    def features(pairs: list[Example]) -> np.ndarray:
        return np.array([[overlap(pair.first, pair.second), 1.0] for pair in pairs])

    weights = logistic_weights(features(train), np.array([pair.label for pair in train]))
    return {
        "chance": np.random.default_rng(0).integers(2, size=len(examples)).tolist(),
        "words in common, weighted by rarity (TF-IDF)": (
            (features(examples) @ weights > 0).astype(int).tolist()
        ),
    }
