"""Next-sentence prediction: does the second text follow the first? No fine-tuning: it is what one
head of BERT and MobileBERT is pre-trained for.

The first text is two or three sentences of a paragraph, the second the sentence behind them; in
every other pair it is such a sentence of another document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npbert import BertTokenizer

from .baselines import Overlap, logistic_weights
from .sentences import SPLIT_SEEDS, documents_of_sentences

NAMES = ("bert-tiny", "mobilebert-tiny")
HEAD = "NextSentencePrediction"
EXAMPLES = 10_000  # of the training split, for the simple method
WORDS = range(5, 31)  # in the second text
FIRST, SECOND = 70, 40  # pieces at most


@dataclass
class Example:
    first: str
    second: str
    label: int  # 0: the second follows the first, 1: it does not


def following_pairs(
    split: str, tokenizer: BertTokenizer, count: int | None = None
) -> list[list[tuple[str, str]]]:
    """Return for each document the pairs that follow each other: (first, second).

    Every sentence of a paragraph is a second text, from the third on. With `count`, as many
    documents are read as give so many pairs.
    """
    rng = np.random.default_rng([SPLIT_SEEDS[split], 4])
    found = []
    for document in documents_of_sentences(split, SPLIT_SEEDS[split]):
        here = []
        for sentences in document:
            for i in range(2, len(sentences)):
                first = i - 3 if i > 2 and rng.integers(2) else i - 2
                first_text, second_text = " ".join(sentences[first:i]), sentences[i]
                if len(second_text.split()) in WORDS:
                    sizes = [
                        len(tokenizer(text)["input_ids"]) - 2 for text in (first_text, second_text)
                    ]
                    if sizes[0] <= FIRST and sizes[1] <= SECOND:
                        here.append((first_text, second_text))
        found.append(here)
        if count is not None and sum(map(len, found)) >= count:
            break
    return found


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return pairs, every other one of two documents."""
    documents = following_pairs(split, tokenizer, count)
    rng = np.random.default_rng([SPLIT_SEEDS[split], 6])
    everywhere = [(d, *pair) for d, here in enumerate(documents) for pair in here]
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
    return {name: np.array(ids) for name, ids in row.items()}


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
