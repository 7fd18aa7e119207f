"""Reads the corpus: documents, word pieces, and the held-out windows every model is measured on."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np

CORPUS = Path(__file__).parent / "corpus"
SPLITS = ("train", "validation", "test")
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}  # in every vocabulary here


def read_documents(split: str) -> list[list[str]]:
    """Return the documents of a split, "train", "validation" or "test": lists of paragraphs."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    with lzma.open(CORPUS / f"{split}.txt.xz", "rt", encoding="utf-8") as file:
        documents = file.read().split("\n\n")
    return [document.strip("\n").split("\n") for document in documents if document.strip()]


def held_out_windows(
    documents: list[np.ndarray], length: int, special: dict[str, int], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Cut documents into windows and hide 15 % of their pieces: the one test all models take.

    documents: the word piece ids of each document, without special tokens.
    Returns masked ids [N, length] that start with [CLS] and end with [SEP], and labels [N, length]:
    the true id at every hidden position, -100 elsewhere. Every hidden piece is replaced by [MASK]
    (none is kept or swapped), and a window never crosses documents; the last, short window of a
    document is left out, so nothing is padded.
    """
    room = length - 2
    pieces = [ids[i : i + room] for ids in documents for i in range(0, len(ids) - room + 1, room)]
    windows = np.stack(pieces)  # [N, length - 2]
    hidden = np.random.default_rng(seed).random(windows.shape) < 0.15
    ids = np.full((len(windows), length), special["[SEP]"])
    ids[:, 0] = special["[CLS]"]
    ids[:, 1:-1] = np.where(hidden, special["[MASK]"], windows)
    labels = np.full(ids.shape, -100)
    labels[:, 1:-1] = np.where(hidden, windows, -100)
    return ids, labels


def held_out_pairs(
    documents: list[np.ndarray], length: int, special: dict[str, int], stops: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut documents into pairs of segments: the next-sentence test.

    stops: the ids of the pieces that end a sentence; both segments begin behind one.
    Returns ids [N, length], token types [N, length] and labels [N], 0 where the second segment
    follows the first. In every other pair it does; in the rest it is the second segment of a pair
    of another document. Nothing is hidden, nothing padded.
    """
    room = length - 3
    firsts, seconds, sources = [], [], []
    for source, document in enumerate(documents):
        starts = np.flatnonzero(np.isin(document, stops)) + 1
        position = 0
        while position < len(starts) and starts[position] + 2 * room <= len(document):
            start = starts[position]
            middles = starts[(starts >= start + 8) & (starts <= start + room - 8)]
            if len(middles):  # the sentence that starts nearest to the middle
                middle = middles[np.argmin(np.abs(middles - start - room // 2))]
                firsts.append(document[start:middle])
                seconds.append(document[middle : middle + room])
                sources.append(source)
            position = np.searchsorted(starts, start + room)
    if len(set(sources)) < 2:
        raise ValueError(
            "pairs that do not belong together need two documents with room for a pair"
        )
    sources = np.array(sources)
    N = len(sources)
    ids, types = np.empty((N, length), np.int64), np.zeros((N, length), np.int64)
    labels = np.arange(N) % 2
    for i in range(N):
        other = i
        if labels[i]:  # half the list away, or the next place there that is another document
            other = (i + N // 2) % N
            while sources[other] == sources[i]:
                other = (other + 1) % N
        second = seconds[other][: room - len(firsts[i])]
        cls, sep = [special["[CLS]"]], [special["[SEP]"]]
        ids[i] = np.concatenate([cls, firsts[i], sep, second, sep])
        types[i, len(firsts[i]) + 2 :] = 1
    return ids, types, labels
