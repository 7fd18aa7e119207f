"""Makes training batches: rows of word pieces as a function of (seed, index), some pieces hidden.

A row is laid out in one of these ways; how often each occurs is the family's choice (families.py):

whole     one window of text
pair      a window and a second text that has nothing to do with it
next      two segments cut at sentences, for next-sentence prediction: the second really follows
          the first in half of them, and comes from another document in the other half
sentence  a single sentence, padded behind
short     one or two sentences and the one behind them, padded behind; in half of them a sentence of
          another document instead
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
from corpus import SPECIAL, read_documents
from tokenizers import BertWordPieceTokenizer
from tqdm import tqdm

from npbert.checkpoints.writing import atomic_write

HERE = Path(__file__).parent
NO_PAIR = -1  # the next-sentence label of a row that is no such pair


def encode_corpus(split: str, vocabulary: Path) -> list[np.ndarray]:
    """Return the word piece ids of each document of a split, cached beside the training state."""
    digest = hashlib.sha256(vocabulary.read_bytes()).hexdigest()[:8]
    cache = HERE / ".training" / f"{split}-{digest}.npz"
    if not cache.exists():
        tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        documents = []
        for paragraphs in tqdm(read_documents(split), f"tokenizing {split}"):
            encodings = tokenizer.encode_batch(paragraphs, add_special_tokens=False)
            documents.append(np.concatenate([np.array(e.ids, np.int32) for e in encodings]))
        lengths = np.array([len(ids) for ids in documents])
        cache.parent.mkdir(exist_ok=True)
        with atomic_write(cache) as file:
            np.savez(file, ids=np.concatenate(documents), lengths=lengths)
    stored = np.load(cache)
    return np.split(stored["ids"], np.cumsum(stored["lengths"])[:-1])


class Rows:
    """Training rows as a function of (seed, index), laid out as above."""

    def __init__(self, documents: list[np.ndarray], full_stops: list[int], seed: int):
        self.stream, self.seed = np.concatenate(documents), seed
        self.ends = np.cumsum([len(ids) for ids in documents])  # of each document
        self.sentence_starts = np.flatnonzero(np.isin(self.stream, full_stops)) + 1
        self.order = functools.cache(self.order)  # a pass is drawn once, not once a row

    def order(self, length: int, number: int) -> np.ndarray:
        """Return where the windows of pass `number` start: all of the corpus, shuffled."""
        rng = np.random.default_rng([self.seed, length, number])
        return rng.integers(length) + rng.permutation(len(self.stream) // length - 1) * length

    def start(self, index: int, length: int) -> int:
        """Return where window `index` starts in the stream."""
        number, place = divmod(index, len(self.stream) // length - 1)
        return self.order(length, number)[place]

    def row(
        self, index: int, length: int, layouts: dict[str, float], rng: np.random.Generator
    ) -> tuple[np.ndarray, int, int]:
        """Return the ids of one row [length], where its second segment starts, its label."""
        cls, sep = SPECIAL["[CLS]"], SPECIAL["[SEP]"]
        layout = rng.choice(list(layouts), p=list(layouts.values()))
        start = self.start(index, length)
        window = self.stream[start : start + length]
        if layout == "pair":  # two unrelated texts, so that the second token type is learnt
            first = int(rng.integers(8, length - 11))
            place = rng.integers(len(self.stream) - length)
            other = self.stream[place : place + length - 3 - first]
            row = np.concatenate([[cls], window[:first], [sep], other, [sep]])
            return row, first + 2, NO_PAIR
        if layout == "next" and (pair := self.consecutive(start, length, rng)):
            first, second, label = pair
            row = np.concatenate([[cls], first, [sep], second, [sep]])
            return row, len(first) + 2, label
        if layout == "sentence":  # what a user types: short, and padded behind
            i = rng.integers(len(self.sentence_starts) - 10)
            starts = self.sentence_starts[i : i + 10]
            ends = starts[(starts - starts[0] >= 6) & (starts - starts[0] <= length - 2)]
            if len(ends):
                sentence = self.stream[starts[0] : ends[0]]
                row = np.full(length, SPECIAL["[PAD]"])
                row[: len(sentence) + 2] = np.concatenate([[cls], sentence, [sep]])
                return row, length, NO_PAIR
        if layout == "short" and (pair := self.sentence_pair(length, rng)):
            first, second, label = pair
            row = np.full(length, SPECIAL["[PAD]"])
            both = np.concatenate([[cls], first, [sep], second, [sep]])
            row[: len(both)] = both
            return row, len(first) + 2, label
        return np.concatenate([[cls], window[: length - 2], [sep]]), length, NO_PAIR

    def sentence_pair(self, length: int, rng: np.random.Generator):
        """Return one sentence or two, a next one, and the label: 0 where it follows them.

        As people type them: neither is longer than half of a row. None where they are.
        """
        i = rng.integers(len(self.sentence_starts) - 4)
        starts, label = self.sentence_starts[i : i + 4], int(rng.integers(2))
        middle = 2 if rng.integers(2) and starts[2] - starts[0] <= length // 2 else 1
        place, end = starts[middle : middle + 2]
        document_end = self.ends[np.searchsorted(self.ends, starts[0], "right")]
        if end > document_end:
            return None
        while label and not self.elsewhere(place, starts[0], length):
            other = rng.integers(len(self.sentence_starts) - 1)
            place, end = self.sentence_starts[other : other + 2]
        first, second = self.stream[starts[0] : starts[middle]], self.stream[place:end]
        longest = max(len(first), len(second) + 3)
        if longest > length // 2 or min(len(first), len(second)) < 5:
            return None
        return first, second, label

    def consecutive(self, start: int, length: int, rng: np.random.Generator):
        """Return two segments of length - 3 pieces in all, both from the start of a sentence on.

        The first begins behind `start`; the label is 0 where the second follows it. None where
        the sentences there are too long, or the document ends.
        """
        room = length - 3
        nearest = np.searchsorted(self.sentence_starts, start)
        starts = self.sentence_starts[nearest : nearest + 40]
        end = self.ends[np.searchsorted(self.ends, start, "right")]
        if not len(starts) or starts[0] + room > end:
            return None
        middles = starts[(starts - starts[0] >= 6) & (starts - starts[0] <= room - 8)]
        if not len(middles):
            return None
        middle = rng.choice(middles)
        first, label = self.stream[starts[0] : middle], int(rng.integers(2))
        place = middle
        while label and not self.elsewhere(place, start, room):
            place = rng.choice(self.sentence_starts)
        return first, self.stream[place : place + room - len(first)], label

    def elsewhere(self, place: int, start: int, room: int) -> bool:
        """Say whether `place` is in another document than `start`, with room behind it."""
        document = np.searchsorted(self.ends, [place, start], "right")
        return document[0] != document[1] and place + room <= len(self.stream)

    def batch(
        self, first: int, size: int, length: int, layouts: dict[str, float], mask_rate: float
    ) -> dict[str, np.ndarray]:
        """Return `size` rows from row `first` on, with `mask_rate` of their pieces hidden.

        ids, types, attended [size, length]; where, labels [N]: the hidden places of the flattened
        ids and what stood there; follows [size]: the next-sentence labels, NO_PAIR without one.
        """
        rng = np.random.default_rng([self.seed, length, first, 1])
        rows = [self.row(first + i, length, layouts, rng) for i in range(size)]
        ids = np.stack([row for row, _, _ in rows]).astype(np.int64)  # [size, length]
        seconds = np.array([[second] for _, second, _ in rows])
        types = (np.arange(length) >= seconds).astype(np.int64)
        pieces = np.flatnonzero(~np.isin(ids, list(SPECIAL.values())))
        where = np.sort(rng.choice(pieces, int(mask_rate * len(pieces)), replace=False))
        labels = ids.reshape(-1)[where]
        attended = (ids != SPECIAL["[PAD]"]).astype(np.float32)
        ids.reshape(-1)[where] = SPECIAL["[MASK]"]
        follows = np.array([label for _, _, label in rows])
        return {
            "ids": ids,
            "types": types,
            "attended": attended,
            "where": where,
            "labels": labels,
            "follows": follows,
        }
