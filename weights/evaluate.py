"""Measures masked language models on held-out text, with npbert: accuracy, likelihood, time.

    python weights/evaluate.py weights/bert-tiny                    # on the test split
    python weights/evaluate.py weights/bert-tiny --split validation # for choosing
    python weights/evaluate.py --bigrams                            # what neighbours alone tell
    python weights/evaluate.py weights/bert-tiny --examples         # ten sentences
    python weights/evaluate.py --table                              # the four families, Markdown

The measure: windows of 128 tokens, 15 % of the pieces hidden behind [MASK], each guessed once.
Bits per character: the nats of all hidden pieces, over ln 2, over the number of characters of these
pieces (lower case, without the ## of a continuation; [UNK] counts as one character). Unlike nats a
piece it could be compared across vocabularies. Next-sentence accuracy: corpus.held_out_pairs, where
a coin gets 50 %.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus import SPECIAL, SPLITS, held_out_pairs, held_out_windows, read_documents

from npbert import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    BertTokenizer,
    fill_mask,
)
from npbert.ops import log_softmax

HERE = Path(__file__).parent
FAMILIES = ("bert", "convbert", "mobilebert", "squeezebert")
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


@dataclass
class Figures:
    """How well the hidden pieces of a split were guessed."""

    top1: float
    top5: float
    nats: float  # a piece
    bits: float  # a character
    pieces: int

    def __str__(self) -> str:
        return (
            f"top-1 {self.top1:.1%}, top-5 {self.top5:.1%}, {self.nats:.3f} nats a piece, "
            f"{self.bits:.3f} bits a character ({self.pieces:,} pieces)"
        )


def encode(split: str, tokenizer: BertTokenizer) -> list[np.ndarray]:
    """Return the word piece ids of each document of a split."""
    return [
        np.concatenate(tokenizer(document, add_special_tokens=False)["input_ids"])
        for document in read_documents(split)
    ]


def windows(split: str, tokenizer: BertTokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Return the masked windows of a split and their labels, as held_out_windows makes them."""
    return held_out_windows(encode(split, tokenizer), LENGTH, SPECIAL)


def judge(log_probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return for each guess [N, V]: is the truth first, among the first five, and its nats."""
    own = log_probs[np.arange(len(truth)), truth]
    rank = (log_probs > own[:, None]).sum(axis=1)
    return np.stack([rank < 1, rank < 5, -own], axis=1)


def summarise(judged: list[np.ndarray], truth: np.ndarray, tokenizer: BertTokenizer) -> Figures:
    """Return the figures of all guesses, in the order of their true pieces."""
    top1, top5, nats = np.concatenate(judged).mean(axis=0)
    pieces = tokenizer.convert_ids_to_tokens(truth.tolist())
    characters = sum(1 if p == "[UNK]" else len(p.removeprefix("##")) for p in pieces)
    bits = nats * len(pieces) / np.log(2) / characters
    return Figures(float(top1), float(top5), float(nats), float(bits), len(pieces))


def evaluate(model, tokenizer: BertTokenizer, split: str, batch: int = 8) -> Figures:
    """Let a model guess every hidden piece of a split."""
    ids, labels = windows(split, tokenizer)
    judged = []
    for i in range(0, len(ids), batch):
        logits = model(ids[i : i + batch]).logits
        counted = labels[i : i + batch] != -100
        judged.append(judge(log_softmax(logits[counted]), labels[i : i + batch][counted]))
    return summarise(judged, labels[labels != -100], tokenizer)


def evaluate_bigrams(tokenizer: BertTokenizer, split: str, weight: float = 80.0) -> Figures:
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
    return summarise(judged, truth, tokenizer)


def next_sentence_accuracy(directory: Path, tokenizer: BertTokenizer, split: str) -> float | None:
    """Return the share of held-out pairs judged right, None for a family without such a head."""
    config = json.loads((directory / "config.json").read_text())
    if not config["architectures"][0].endswith("ForPreTraining"):
        return None
    model = AutoModelForPreTraining.from_pretrained(directory)
    stops = [tokenizer.convert_tokens_to_ids(mark) for mark in ".?!"]
    ids, types, labels = held_out_pairs(encode(split, tokenizer), LENGTH, SPECIAL, stops)
    right = []
    for i in range(0, len(ids), 8):
        output = model(ids[i : i + 8], token_type_ids=types[i : i + 8])
        right.append(output.seq_relationship_logits.argmax(axis=1) == labels[i : i + 8])
    return float(np.concatenate(right).mean())


def forward_milliseconds(models: list, runs: int = 31) -> list[float]:
    """Return the median time of a forward pass of each model over one row of 128 tokens.

    The models take turns, so that what else the machine does befalls all of them alike.
    """
    ids = np.arange(LENGTH)[None] + 100
    seconds = np.zeros((runs + 1, len(models)))
    for run in range(runs + 1):
        for i, model in enumerate(models):
            start = time.perf_counter()
            model(ids)
            seconds[run, i] = time.perf_counter() - start
    return (1000 * np.median(seconds[1:], axis=0)).tolist()


def table(split: str) -> None:
    """Print the four families side by side, as Markdown."""
    directories = [HERE / f"{family}-tiny" for family in FAMILIES]
    tokenizer = BertTokenizer.from_pretrained(directories[0])
    models = [AutoModelForMaskedLM.from_pretrained(directory) for directory in directories]
    bodies = [AutoModel.from_pretrained(directory) for directory in directories]
    milliseconds = [f"{ms:.1f}" for ms in forward_milliseconds([*models, *bodies])]
    rows = [["left and right neighbour", *[""] * 4, evaluate_bigrams(tokenizer, split), None]]
    for i, (directory, model) in enumerate(zip(directories, models)):
        size = (directory / "model.safetensors").stat().st_size
        row = [f"`{directory.name}`", f"{model.num_parameters():,}", f"{size / 1e6:.1f}"]
        row += [milliseconds[i], milliseconds[len(models) + i]]
        row += [evaluate(model, tokenizer, split)]
        rows.append([*row, next_sentence_accuracy(directory, tokenizer, split)])
    print(
        "| | parameters | MB | forward, ms | body alone, ms | top-1 | top-5 | nats a piece ", end=""
    )
    print("| bits a character | next sentence |")
    print("|" + 10 * "---|")
    for *cells, f, pairs in rows:
        cells += [f"{100 * f.top1:.1f} %", f"{100 * f.top5:.1f} %", f"{f.nats:.3f}"]
        cells += [f"{f.bits:.3f}", "" if pairs is None else f"{100 * pairs:.1f} %"]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, nargs="?", default=HERE / "convbert-tiny")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--bigrams", action="store_true", help="measure the two neighbours instead")
    parser.add_argument("--examples", action="store_true", help="fill in ten sentences instead")
    parser.add_argument("--table", action="store_true", help="all four families, as Markdown")
    arguments = parser.parse_args()
    directory, split = arguments.directory, arguments.split
    tokenizer = BertTokenizer.from_pretrained(directory)
    if arguments.table:
        table(split)
    elif arguments.bigrams:
        print(f"left and right neighbour, {split}: {evaluate_bigrams(tokenizer, split)}")
    elif arguments.examples:
        for sentence in EXAMPLES:
            candidates = fill_mask(sentence, directory)
            answers = ", ".join(f"{c['token_str']} {c['score']:.0%}" for c in candidates)
            print(f"| {sentence} | {answers} |")
    else:
        model = AutoModelForMaskedLM.from_pretrained(directory)
        print(f"{directory.name}, {split}: {evaluate(model, tokenizer, split)}")
        pairs = next_sentence_accuracy(directory, tokenizer, split)
        if pairs is not None:
            print(f"next sentence: {pairs:.1%}")
        (milliseconds,) = forward_milliseconds([model])
        print(f"{model.num_parameters():,} parameters, {milliseconds:.1f} ms for a row")


if __name__ == "__main__":
    main()
