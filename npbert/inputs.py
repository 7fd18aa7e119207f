"""The border of a model: whatever is wrong with its inputs is found here, before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npbert.config import PreTrainedConfig
from npbert.ops import mask_bias


@dataclass
class Inputs:
    """Checked inputs, every one of them there: B sentences of T tokens, embeddings of width E."""

    input_ids: np.ndarray | None  # [B, T], or None where inputs_embeds stands for it
    inputs_embeds: np.ndarray | None  # [B, T, E]
    token_type_ids: np.ndarray  # [B, T]
    position_ids: np.ndarray  # [B, T] or [1, T]
    mask_bias: np.ndarray  # [B, 1, 1, T], added to attention scores

    @property
    def shape(self) -> tuple[int, int]:
        """Return (B, T)."""
        return self.token_type_ids.shape


def check_inputs(
    config: PreTrainedConfig,
    dtype: np.dtype,
    input_ids: Any = None,
    attention_mask: Any = None,
    token_type_ids: Any = None,
    position_ids: Any = None,
    inputs_embeds: Any = None,
) -> Inputs:
    """Check what a model was called with and fill in what was left out, as the reference does.

    Missing: a mask of ones, token types of 0, positions from 0 on. Raises ValueError that says
    what was given and what was expected, with the first place that is wrong.
    """
    if (input_ids is None) == (inputs_embeds is None):
        given = "neither" if input_ids is None else "both"
        raise ValueError(f"expected either input_ids or inputs_embeds, {given} given")
    if input_ids is not None:
        input_ids = whole_numbers("input_ids", input_ids, config.vocab_size, "vocab_size")
        if input_ids.ndim != 2:
            raise ValueError(
                f"input_ids has shape {list(input_ids.shape)}, expected [sentences, tokens]"
            )
        B, T = input_ids.shape
    else:
        E = getattr(config, "embedding_size", config.hidden_size)
        inputs_embeds = numbers("inputs_embeds", inputs_embeds)
        if inputs_embeds.ndim != 3 or inputs_embeds.shape[2] != E:
            raise ValueError(
                f"inputs_embeds has shape {list(inputs_embeds.shape)}, "
                f"expected [sentences, tokens, {E}]"
            )
        inputs_embeds = inputs_embeds.astype(dtype, copy=False)
        B, T = inputs_embeds.shape[:2]
    if B == 0 or T == 0:
        raise ValueError(
            f"the input has {B} sentences of {T} tokens, expected at least one of each"
        )
    positions = config.max_position_embeddings
    if position_ids is None and T > positions:
        raise ValueError(f"{T} tokens are more than the model's {positions} positions")

    if attention_mask is None:
        attention_mask = np.ones((B, T), bool)
    attention_mask = numbers("attention_mask", attention_mask)
    check_shape("attention_mask", attention_mask, [(B, T)])
    if token_type_ids is None:
        token_type_ids = np.zeros((B, T), np.int64)
    types = config.type_vocab_size
    token_type_ids = whole_numbers("token_type_ids", token_type_ids, types, "type_vocab_size")
    check_shape("token_type_ids", token_type_ids, [(B, T)])
    if position_ids is None:
        position_ids = np.arange(T)[None]
    position_ids = whole_numbers("position_ids", position_ids, positions, "max_position_embeddings")
    check_shape("position_ids", position_ids, [(B, T), (1, T)])
    return Inputs(
        input_ids, inputs_embeds, token_type_ids, position_ids, mask_bias(attention_mask, dtype)
    )


def check_labels(labels: Any, shape: tuple[int, ...], limit: int) -> np.ndarray:
    """Return class labels as an array of `shape`, each below `limit`, or -100: does not count."""
    labels = whole_numbers("labels", labels, limit, "classes", ignored=-100)
    check_shape("labels", labels, [shape])
    return labels


def as_array(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array, or say that its rows differ in length."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of unlike lengths; pad them to one length") from None


def numbers(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of real numbers or booleans, or say what it is instead."""
    array = as_array(name, values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}, expected numbers")
    return array


def whole_numbers(
    name: str, values: Any, limit: int, limit_name: str, ignored: int | None = None
) -> np.ndarray:
    """Return `values` as integers from 0 to limit - 1 (or `ignored`), or say which one is not.

    NumPy would read a negative index from the end of a table without a word.
    """
    array = as_array(name, values)
    if array.size == 0:
        array = array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} has dtype {array.dtype}, expected whole numbers")
    wrong = (array < 0) | (array >= limit)
    if ignored is not None:
        wrong &= array != ignored
    if wrong.any():
        place = np.argwhere(wrong)[0].tolist()
        value = array[tuple(place)]
        raise ValueError(
            f"{name}{place} is {value}, expected 0 to {limit - 1} ({limit_name} is {limit})"
        )
    return array


def check_shape(name: str, array: np.ndarray, shapes: list[tuple[int, ...]]) -> None:
    """Raise ValueError unless the array has one of the shapes."""
    if array.shape not in shapes:
        expected = " or ".join(dict.fromkeys(str(list(shape)) for shape in shapes))
        raise ValueError(f"{name} has shape {list(array.shape)}, expected {expected}")
