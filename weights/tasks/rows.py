"""Puts rows of different lengths into one batch."""

from __future__ import annotations

import numpy as np

IGNORED = -100  # a label that does not count
PADDED = ("input_ids", "token_type_ids", "attention_mask", "starts", "ends", "places")  # with 0


def collate(rows: list[dict]) -> dict[str, np.ndarray]:
    """Stack rows, each padded behind to the longest along its last axis.

    A row is a dictionary of integer arrays [..., T], and numbers, under the names of the model's
    arguments; the attention mask follows from the lengths. A label [T] is padded with -100.
    """
    length = max(row["input_ids"].shape[-1] for row in rows)
    batch = {}
    for name in rows[0]:
        values = [np.asarray(row[name]) for row in rows]
        if values[0].ndim:
            fill = 0 if name in PADDED else IGNORED
            values = [
                np.pad(
                    a, [(0, 0)] * (a.ndim - 1) + [(0, length - a.shape[-1])], constant_values=fill
                )
                for a in values
            ]
        batch[name] = np.stack(values).astype(np.int64)
    return batch
