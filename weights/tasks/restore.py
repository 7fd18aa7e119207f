"""Restoration: put capitals and punctuation back into lower-case text that has neither.

The labels, and what a word is, are npbert's own (npbert/restoration.py). Sentences with brackets,
dots of omission or symbols are left out: what should stand in their place, nobody can say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from npbert import BertTokenizer
from npbert.tasks.restoration import LABELS, take_apart

from .baselines import LinearClassifier, hashed
from .sentences import SPLIT_SEEDS, documents_of_sentences

NAMES, BASE = ("squeezebert-tiny-restore",), "squeezebert-tiny"
EXAMPLES = 90_000  # of the training split
LABEL_IDS = {label: i for i, label in enumerate(LABELS)}

LONGEST = 126  # pieces in a row, beside [CLS] and [SEP]
UNWANTED = re.compile(r"\.\.|…|[^\w\s.,?!;:'‘’\"“”$%£&—–-]")


def words_and_labels(sentence: str) -> list[tuple[str, str]] | None:
    """Return the bare words of a sentence with their labels; None for one that is left out."""
    if UNWANTED.search(sentence):
        return None
    pairs = list(zip(*take_apart(sentence)))
    loud = sum(label.startswith("UPPER") for _, label in pairs)
    if not pairs or (loud > 2 and loud > len(pairs) / 3):  # a heading in capitals
        return None
    return pairs


# ---- examples ------------------------------------------------------------------------------


@dataclass
class Example:
    words: list[str]
    labels: list[str]


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return runs of consecutive sentences, of 30 to 110 pieces on the held-out splits.

    In training they are of 6 to 126 pieces, what a user may type, and a fifth are cut within
    a sentence, so that the end of a row is not always a full stop; the rest goes on there.
    """
    held_out = split != "train"
    rng = np.random.default_rng([SPLIT_SEEDS[split], 1])
    shortest, longest = (30, 110) if held_out else (6, LONGEST)
    found: list[Example] = []
    run: list[tuple[str, str]] = []
    pieces, target = 0, rng.integers(shortest, longest + 1)

    def finish():
        nonlocal run, pieces, target
        if pieces >= shortest:
            found.append(Example(*map(list, zip(*run))))
        run, pieces, target = [], 0, rng.integers(shortest, longest + 1)

    for document in documents_of_sentences(split, SPLIT_SEEDS[split]):
        for sentence in (sentence for paragraph in document for sentence in paragraph):
            pairs = words_and_labels(sentence)
            if pairs is None:
                finish()
                continue
            sizes = [len(pieces_of(word, tokenizer)) for word, _ in pairs]
            if pieces + sum(sizes) > target:
                if not held_out and rng.random() < 0.2:
                    while pairs and pieces + sizes[0] <= target:
                        run.append(pairs.pop(0))
                        pieces += sizes.pop(0)
                finish()
            if sum(sizes) <= longest:
                run += pairs
                pieces += sum(sizes)
                target = max(target, pieces)
        finish()
        if count is not None and len(found) >= count:
            break
    return found[:count]


_PIECES: dict[str, list[int]] = {}


def pieces_of(word: str, tokenizer: BertTokenizer) -> list[int]:
    """Return the ids of a word, remembered: all tasks share one vocabulary."""
    if word not in _PIECES:
        _PIECES[word] = tokenizer(word, add_special_tokens=False)["input_ids"]
    return _PIECES[word]


# ---- rows ----------------------------------------------------------------------------------

HEAD = "TokenClassification"


def encode(example: Example, tokenizer: BertTokenizer) -> dict[str, np.ndarray]:
    """Return the row of an example: the label of a word stands at its first piece."""
    ids, labels = [tokenizer.cls_token_id], [-100]
    for word, label in zip(example.words, example.labels):
        pieces = pieces_of(word, tokenizer)
        ids += pieces
        labels += [LABEL_IDS[label], *[-100] * (len(pieces) - 1)]
    ids, labels = np.array([*ids, tokenizer.sep_token_id]), np.array([*labels, -100])
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "labels": labels,
    }


# ---- what the model says, and how good it is -----------------------------------------------


def prediction(logits: np.ndarray, example: Example, tokenizer: BertTokenizer) -> list[str]:
    """Return the label of each word: logits [T, L] -> labels."""
    firsts = np.flatnonzero(encode(example, tokenizer)["labels"] != -100)
    return [LABELS[k] for k in logits[firsts].argmax(-1)]


def f1(right: np.ndarray, said: np.ndarray) -> float:
    """Return the harmonic mean of precision and recall of what was said."""
    return float(2 * (right & said).sum() / max(1, right.sum() + said.sum()))


def measures(examples: list[Example], predictions: list[list[str]]) -> dict[str, float]:
    """Return the share of words whose label is right, and F1 of the capitals and of each mark."""
    right = np.array([label for example in examples for label in example.labels])
    said = np.array([label for labels in predictions for label in labels])
    figures = {"words": float((right == said).mean())}
    figures["capitals"] = f1(*(~np.char.startswith(labels, "lower") for labels in (right, said)))
    for name, marks in (("comma", ","), ("full stop", "."), ("question", "?"), ("; : !", ";:!")):
        found = [
            np.array([label[-1] if label[-1] in marks else "" for label in labels])
            for labels in (right, said)
        ]
        both = ((found[0] == found[1]) & (found[0] != "")).sum()
        figures[name] = float(2 * both / max(1, sum((a != "").sum() for a in found)))
    return figures


# ---- baselines -----------------------------------------------------------------------------


def features(words: list[str]) -> list[list[int]]:
    """Return the hashed features of each word: itself, its neighbours, the trigrams it is in."""
    w = ["<", "<", *words, ">", ">"]
    rows = []
    for i in range(2, len(words) + 2):
        rows.append(
            hashed(
                [
                    f"0 {w[i]}",
                    f"1 {w[i - 1]}",
                    f"2 {w[i + 1]}",
                    f"3 {w[i - 1]} {w[i]}",
                    f"4 {w[i]} {w[i + 1]}",
                    f"5 {w[i - 2]} {w[i - 1]} {w[i]}",
                    f"6 {w[i - 1]} {w[i]} {w[i + 1]}",
                    f"7 {w[i]} {w[i + 1]} {w[i + 2]}",
                ]
            )
        )
    return rows


def baselines(
    train: list[Example], examples: list[Example], tokenizer: BertTokenizer
) -> dict[str, list[list[str]]]:
    """Return what simple methods say: nothing at all, and a linear classifier on trigrams."""
    rows = [row for example in train for row in features(example.words)]
    labels = [LABEL_IDS[label] for example in train for label in example.labels]
    linear = LinearClassifier(len(LABELS))
    linear.fit(rows, labels)
    return {
        "no capitals, no marks": [["lower"] * len(e.words) for e in examples],
        "logistic regression on the trigrams around a word": [
            [LABELS[k] for k in linear.predict(features(e.words))] for e in examples
        ],
    }
