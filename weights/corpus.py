"""Reads the corpus: documents, word pieces, and the held-out windows every model is measured on."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np

CORPUS = Path(__file__).parent / "corpus"
SPLITS = ("train", "validation", "test")


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
