"""One vector of a text's hidden states: the poolings of sentence-transformers, by their names.

    x      [T, D]  the hidden states of one text, special tokens included
    skip   how many tokens at the beginning do not count: those of a prompt, where it is left out

A text has no padding here, so that no mask is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def cls(x: np.ndarray, skip: int) -> np.ndarray:  # [T, D] -> [D]
    """The first token, [CLS]; behind a prompt that is left out the first that counts."""
    return x[skip if skip < len(x) else 0]


def maximum(x: np.ndarray, skip: int) -> np.ndarray:  # [T, D] -> [D]
    return x[skip:].max(axis=0, initial=-np.inf)


def mean(x: np.ndarray, skip: int) -> np.ndarray:  # [T, D] -> [D]
    counted = x[skip:]
    return counted.sum(axis=0) / x.dtype.type(max(len(counted), 1e-9))


def mean_sqrt_len(x: np.ndarray, skip: int) -> np.ndarray:  # [T, D] -> [D]
    """The sum over the square root of the length: long texts keep some of their length."""
    counted = x[skip:]
    return counted.sum(axis=0) / np.sqrt(x.dtype.type(max(len(counted), 1e-9)))


def weighted_mean(x: np.ndarray, skip: int) -> np.ndarray:  # [T, D] -> [D]
    """The mean with weights 1, 2, 3, ...: later tokens count more. A prompt keeps its places."""
    weights = np.arange(1, len(x) + 1, dtype=x.dtype)[skip:]  # [T]
    return weights @ x[skip:] / max(weights.sum(), x.dtype.type(1e-9))


def last_token(x: np.ndarray, skip: int) -> np.ndarray:  # [T, D] -> [D]
    return x[-1] if skip < len(x) else np.zeros_like(x[-1])


# In the order in which old configs, which switch each on by itself, put several side by side.
POOLINGS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "cls": cls,
    "max": maximum,
    "mean": mean,
    "mean_sqrt_len_tokens": mean_sqrt_len,
    "weightedmean": weighted_mean,
    "lasttoken": last_token,
}
# How old configs switch them on.
SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
