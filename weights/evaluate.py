"""Measures a masked language model on held-out text, with npbert: accuracy and likelihood.

    python weights/evaluate.py weights/convbert-tiny                    # on the test split
    python weights/evaluate.py weights/convbert-tiny --split validation # for choosing
    python weights/evaluate.py --bigrams                                # what neighbours alone tell
    python weights/evaluate.py weights/convbert-tiny --examples         # ten sentences

The measure: windows of 128 tokens, 15 % of the pieces hidden behind [MASK], each guessed once.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from corpus import SPLITS, held_out_windows, read_documents

from npbert import AutoModelForMaskedLM, BertTokenizer, fill_mask
from npbert.ops import log_softmax

HERE = Path(__file__).parent
LENGTH = 128
EXAMPLES = [
    "Plants create [MASK] through a process known as photosynthesis.",
    "The heart pumps [MASK] through the body.",
    "Water is made of hydrogen and [MASK].",
    "The president gave a speech to the [MASK] people.",
    "The civil war ended in the [MASK] century.",
    "The price rises when [MASK] exceeds supply.",
    "She opened the [MASK] and walked into the room.",
    "He drank a cup of [MASK] in the morning.",
    "The children went to [MASK] to learn to read and write.",
    "It was a cold night, and the old man sat by the [MASK].",
]


def encode(split: str, tokenizer: BertTokenizer) -> list[np.ndarray]:
    """Return the word piece ids of each document of a split."""
    return [
        np.concatenate(tokenizer(document, add_special_tokens=False)["input_ids"])
        for document in read_documents(split)
    ]


def windows(split: str, tokenizer: BertTokenizer) -> tuple[np.ndarray, np.ndarray]:
    special = {
        token: tokenizer.convert_tokens_to_ids(token) for token in ("[CLS]", "[SEP]", "[MASK]")
    }
    return held_out_windows(encode(split, tokenizer), LENGTH, special)


def judge(log_probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return for each guess [N, V]: is the truth first, among the first five, and its nats."""
    own = log_probs[np.arange(len(truth)), truth]
    rank = (log_probs > own[:, None]).sum(axis=1)
    return np.stack([rank < 1, rank < 5, -own], axis=1)


def report(name: str, split: str, judged: list[np.ndarray]) -> None:
    judged = np.concatenate(judged)
    top1, top5, nats = judged.mean(axis=0)
    print(
        f"{name}, {split}: top-1 {top1:.1%}, top-5 {top5:.1%}, {nats:.3f} nats a piece "
        f"({len(judged):,} pieces)"
    )


def evaluate(directory: Path, split: str, batch: int = 8) -> None:
    model = AutoModelForMaskedLM.from_pretrained(directory)
    ids, labels = windows(split, BertTokenizer.from_pretrained(directory))
    judged, start = [], time.perf_counter()
    for i in range(0, len(ids), batch):
        logits = model(ids[i : i + batch]).logits
        counted = labels[i : i + batch] != -100
        judged.append(judge(log_softmax(logits[counted]), labels[i : i + batch][counted]))
    seconds = time.perf_counter() - start
    report(directory.name, split, judged)
    print(f"{model.num_parameters():,} parameters, {ids.size / seconds:,.0f} tokens a second")


def evaluate_bigrams(split: str, tokenizer: BertTokenizer, weight: float = 80.0) -> None:
    """Guess each hidden piece from its two neighbours: p(piece | left) p(piece | right) / p(piece).

    Each bigram model is the counts of the training split plus `weight` draws from the unigrams;
    a neighbour that is hidden too says nothing. `weight` was chosen on the validation split.
    """
    V = tokenizer.vocab_size
    stream = np.concatenate(encode("train", tokenizer))
    pairs = np.bincount(stream[:-1] * V + stream[1:], minlength=V * V).reshape(V, V)
    unigrams = (np.bincount(stream, minlength=V) + 0.5) / (len(stream) + 0.5 * V)  # [V]
    ids, labels = windows(split, tokenizer)
    rows, columns = np.nonzero(labels != -100)
    left, right, truth = ids[rows, columns - 1], ids[rows, columns + 1], labels[rows, columns]

    def conditional(counts):  # [N, V] -> [N, V]
        return (counts + weight * unigrams) / (counts.sum(axis=1, keepdims=True) + weight)

    judged = []
    for i in range(0, len(truth), 256):
        chunk = slice(i, i + 256)
        before = conditional(pairs[left[chunk]])
        after = conditional(pairs[:, right[chunk]].T)
        joint = np.log(before) + np.log(after) - np.log(unigrams)
        joint -= np.log(np.exp(joint).sum(axis=1, keepdims=True))
        judged.append(judge(joint, truth[chunk]))
    report("left and right neighbour", split, judged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, nargs="?", default=HERE / "convbert-tiny")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--bigrams", action="store_true", help="measure the two neighbours instead")
    parser.add_argument("--examples", action="store_true", help="fill in ten sentences instead")
    arguments = parser.parse_args()
    if arguments.bigrams:
        evaluate_bigrams(arguments.split, BertTokenizer.from_pretrained(arguments.directory))
    elif arguments.examples:
        for sentence in EXAMPLES:
            candidates = fill_mask(sentence, arguments.directory)
            answers = ", ".join(f"{c['token_str']} {c['score']:.0%}" for c in candidates)
            print(f"| {sentence} | {answers} |")
    else:
        evaluate(arguments.directory, arguments.split)


if __name__ == "__main__":
    main()
