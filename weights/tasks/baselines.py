"""Simple methods to hold the models against: a linear classifier, and the overlap of words."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from itertools import pairwise

import numpy as np
from corpus import read_documents

from .sentences import words_of

BUCKETS = 1 << 20


def tokens_of(text: str) -> list[str]:
    """Return the words of a text in lower case, and its marks."""
    return re.findall(r"[\w’'-]+|[^\w\s]", text.lower())


def hashed(features: list[str]) -> list[int]:
    """Return a bucket for every feature, the same on every machine."""
    return [zlib.crc32(feature.encode()) % BUCKETS for feature in features]


class LinearClassifier:
    """Multinomial logistic regression on hashed features, learnt in one pass by AdaGrad."""

    def __init__(self, classes: int, rate: float = 0.1, seed: int = 0) -> None:
        import torch  # only to train the baselines: the models are measured without it

        torch.manual_seed(seed)
        self.torch = torch
        self.table = torch.nn.EmbeddingBag(BUCKETS, classes, mode="sum", sparse=True)
        torch.nn.init.zeros_(self.table.weight)
        self.bias = torch.nn.Parameter(torch.zeros(classes))
        parameters = [*self.table.parameters(), self.bias]
        self.optimizer = torch.optim.Adagrad(parameters, lr=rate)

    def scores(self, rows: list[list[int]]):
        lengths = self.torch.tensor([0, *(len(row) for row in rows)])
        flat = self.torch.tensor([bucket for row in rows for bucket in row])
        return self.table(flat, lengths.cumsum(0)[:-1]) + self.bias

    def fit(self, rows: list[list[int]], labels: list[int], batch: int = 256) -> None:
        for i in range(0, len(rows), batch):
            target = self.torch.tensor(labels[i : i + batch])
            loss = self.torch.nn.functional.cross_entropy(self.scores(rows[i : i + batch]), target)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def predict(self, rows: list[list[int]]) -> list[int]:
        with self.torch.no_grad():
            return self.scores(rows).argmax(-1).tolist()


class Bigrams:
    """A language model: how much better a word fits behind the one before it than anywhere.

    The fit is log p(word | before) - log p(word), in nats, with the counts of the training split
    and `weight` draws from the single words.
    """

    def __init__(self, weight: float = 2.0) -> None:
        self.weight = weight
        self.words: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        for document in read_documents("train"):
            for paragraph in document:
                words = tokens_of(paragraph)
                self.words.update(words)
                self.pairs.update(pairwise(words))
        self.total = sum(self.words.values())

    def fits(self, text: str) -> list[float]:
        words = tokens_of(text)
        fits = []
        for before, word in pairwise(words):
            share = (self.words[word] + 0.5) / self.total
            count = self.pairs[before, word] + self.weight * share
            fits.append(math.log(count / (self.words[before] + self.weight) / share))
        return fits or [0.0]

    def features(self, text: str) -> list[float]:
        """Return the worst fits, the mean fit, whether a word is doubled, and 1."""
        words, fits = tokens_of(text), sorted(self.fits(text))
        doubled = any(a == b and a.isalpha() for a, b in pairwise(words))
        worst = [fits[min(i, len(fits) - 1)] for i in range(3)]
        return [*worst, sum(fits) / len(fits), float(doubled), math.log(len(words)), 1.0]


def logistic_weights(features: np.ndarray, labels: np.ndarray, steps: int = 20) -> np.ndarray:
    """Return the weights [F] of a logistic regression on features [N, F], by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (labels - p) - 1e-3 * weights
        curvature = (features * (p * (1 - p))[:, None]).T @ features
        weights += np.linalg.solve(curvature + 1e-3 * np.eye(len(weights)), slope)
    return weights


class Overlap:
    """The cosine between texts as bags of words, a word the heavier the rarer it is (TF-IDF)."""

    def __init__(self) -> None:
        documents = [set(words_of(paragraph)) for d in read_documents("train") for paragraph in d]
        counts = Counter(word for words in documents for word in words)
        self.unknown = math.log(len(documents))
        self.idf = {word: math.log(len(documents) / count) for word, count in counts.items()}

    def vector(self, text: str) -> dict[str, float]:
        counts = Counter(words_of(text))
        weights = {w: (1 + math.log(n)) * self.idf.get(w, self.unknown) for w, n in counts.items()}
        norm = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {word: weight / norm for word, weight in weights.items()}

    def __call__(self, first: str, second: str) -> float:
        a, b = self.vector(first), self.vector(second)
        return sum(weight * b.get(word, 0.0) for word, weight in a.items())
