"""Checks the inputs of a model: whatever is wrong is found here, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbert.compiled.texts import ALL, Keep
from npbert.model.config import PreTrainedConfig
from npbert.ops import mask_bias

ROW_ENTRIES = ("input_ids", "token_type_ids", "position_ids", "attention_mask")


@dataclass
class Inputs:
    """Checked inputs, defaults filled in: B sentences of T tokens, embeddings of width E."""

    input_ids: np.ndarray | None  # [B, T], or None if inputs_embeds was given
    inputs_embeds: np.ndarray | None  # [B, T, E]
    token_type_ids: np.ndarray  # [B, T]
    position_ids: np.ndarray  # [B, T] or [1, T]
    mask_bias: np.ndarray  # [B, 1, 1, T] or what broadcasts to [B, H, T, T], added to the scores
    keep: Keep = ALL  # what is wanted of the layers; the definitions give all

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

    bias = check_mask(attention_mask, B, T, config.heads, dtype)
    if token_type_ids is None:
        token_type_ids = np.zeros((B, T), np.int64)
    else:
        types = config.type_vocab_size
        token_type_ids = whole_numbers("token_type_ids", token_type_ids, types, "type_vocab_size")
        check_shape("token_type_ids", token_type_ids, [(B, T)])
    if position_ids is None:
        position_ids = np.arange(T)[None]
    else:
        position_ids = whole_numbers(
            "position_ids", position_ids, positions, "max_position_embeddings"
        )
        check_shape("position_ids", position_ids, [(B, T), (1, T)])
    return Inputs(input_ids, inputs_embeds, token_type_ids, position_ids, bias)


def check_rows(config: PreTrainedConfig, dtype: np.dtype, rows: Any) -> list[Inputs]:
    """Check texts of any lengths, each as `check_inputs` checks a batch of one.

    rows: for each text its ids, or a dictionary with input_ids and perhaps token_type_ids,
    position_ids, and an attention_mask that hides nothing.
    """
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise ValueError(
            f"rows is {type(rows).__name__}, expected a list with the ids of each text"
        )
    checked = []
    for number, row in enumerate(rows):
        entries = dict(row) if isinstance(row, Mapping) else {"input_ids": row}
        try:
            unknown = entries.keys() - set(ROW_ENTRIES)
            if unknown:
                raise ValueError(
                    f"has {', '.join(sorted(unknown))}, expected {', '.join(ROW_ENTRIES)}"
                )
            arrays = {
                name: as_array(name, values)
                for name, values in entries.items()
                if values is not None
            }
            for name, array in arrays.items():
                if array.ndim != 1:
                    raise ValueError(f"{name} has shape {list(array.shape)}, expected [tokens]")
            inputs = check_inputs(config, dtype, **{n: a[None] for n, a in arrays.items()})
            if inputs.mask_bias.any():
                raise ValueError("attention_mask hides tokens; leave them out instead")
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from None
        checked.append(inputs)
    return checked


def joined_rows(rows: list[Inputs]) -> Inputs:
    """Return the tokens of several texts in one row, as the inputs of one batch."""
    dtype = rows[0].mask_bias.dtype
    return Inputs(
        np.concatenate([row.input_ids for row in rows], axis=1),  # type: ignore[misc]
        None,
        np.concatenate([row.token_type_ids for row in rows], axis=1),
        np.concatenate([row.position_ids for row in rows], axis=1),
        np.zeros((1, 1, 1, 1), dtype),
    )


def check_mask(mask: Any, B: int, T: int, H: int, dtype: np.dtype) -> np.ndarray:
    """Return what is added to the attention scores: the bias of a mask [B, T], or four axes as is.

    Four axes, each as long as in the scores [B, H, T, T] or 1, are a bias already, as in the
    reference: 0 at what may be looked at, a large negative number elsewhere.
    """
    if mask is None:
        mask = np.ones((B, T), bool)
    mask = numbers("attention_mask", mask)
    if mask.ndim != 4:
        check_shape("attention_mask", mask, [(B, T)])
        return mask_bias(mask, dtype)
    if mask.dtype == bool:  # the reference would add 1 at each True
        raise ValueError(
            "attention_mask has four axes and is added to the scores, expected numbers (0 where "
            "to look, the smallest float elsewhere), given booleans"
        )
    if any(axis not in (1, full) for axis, full in zip(mask.shape, (B, H, T, T), strict=True)):
        raise ValueError(
            f"attention_mask has shape {list(mask.shape)}, "
            f"expected [{B}, {T}], or {[B, H, T, T]} with any axis 1"
        )
    limits = np.finfo(dtype)
    return np.clip(mask, limits.min, limits.max).astype(dtype)  # float64's do not fit in float32


def check_labels(name: str, labels: Any, shape: tuple[int, ...], limit: int) -> np.ndarray:
    """Return class labels as an array of `shape`, each below `limit`, or -100: does not count."""
    labels = whole_numbers(name, labels, limit, "classes", ignored=-100)
    check_shape(name, labels, [shape])
    return labels


def check_text_labels(name: str, labels: Any, B: int, limit: int) -> np.ndarray:
    """Return class labels [B], one for each text; a column [B, 1] will do, too."""
    labels = whole_numbers(name, labels, limit, "classes", ignored=-100)
    check_shape(name, labels, [(B,), (B, 1)])
    return labels.reshape(B)


def check_class_labels(
    labels: Any, B: int, L: int, problem_type: str | None
) -> tuple[str, np.ndarray]:
    """Return the kind of problem, inferred as the reference infers it, and labels that fit it."""
    labels = numbers("labels", labels)
    if problem_type is None:
        if L == 1:
            problem_type = "regression"
        elif np.issubdtype(labels.dtype, np.integer):
            problem_type = "single_label_classification"
        else:
            problem_type = "multi_label_classification"
    if problem_type == "single_label_classification":
        return problem_type, check_text_labels("labels", labels, B, L)
    shapes: list[tuple[int, ...]] = [(B, L)]
    if problem_type == "regression" and L == 1:
        shapes.insert(0, (B,))
    check_shape("labels", labels, shapes)
    return problem_type, labels.reshape(B, L)


def check_positions(name: str, positions: Any, B: int, T: int) -> np.ndarray:
    """Return answer positions [B]: those beyond the text as -100, those below 0 as 0."""
    positions = as_array(name, positions)
    if not np.issubdtype(positions.dtype, np.integer):
        raise ValueError(f"{name} has dtype {positions.dtype}, expected whole numbers")
    check_shape(name, positions, [(B,), (B, 1)])
    beyond = positions >= T  # before the conversion, which the largest uint64 would not survive
    return np.where(beyond, -100, np.maximum(positions.astype(np.int64), 0)).reshape(B)


def flatten_choices(**entries: tuple[Any, int]) -> tuple[int, dict[str, Any]]:
    """Turn [B, N, T] into [B*N, T], for every input: name=(array, axes); return N and them all.

    Raises ValueError unless all that are there have as many axes, and the same B and N; positions
    may also be the same for all, [1, 1, T].
    """
    flat: dict[str, Any] = {}
    leading: dict[str, tuple[int, ...]] = {}
    for name, (values, axes) in entries.items():
        if values is None:
            flat[name] = None
            continue
        array = as_array(name, values)
        if array.ndim != axes:
            expected = ["questions", "choices", "tokens", "width"][:axes]
            raise ValueError(
                f"{name} has shape {list(array.shape)}, expected [{', '.join(expected)}]"
            )
        B, N, *rest = array.shape
        if name != "position_ids" or (B, N) != (1, 1):
            leading[name] = (B, N)
        flat[name] = array.reshape(B * N, *rest)
    if len(set(leading.values())) > 1:
        found = ", ".join(f"{name} {list(shape)}" for name, shape in leading.items())
        raise ValueError(f"questions and choices differ: {found}")
    return next(iter(leading.values()), (1, 1))[1] or 1, flat


def as_array(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array, or raise ValueError if its rows differ in length."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of unlike lengths; pad them to one length") from None


def numbers(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of real numbers or booleans, or raise ValueError."""
    array = as_array(name, values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}, expected numbers")
    return array


def whole_numbers(
    name: str, values: Any, limit: int, limit_name: str, ignored: int | None = None
) -> np.ndarray:
    """Return integers from 0 to limit - 1 (or `ignored`); raise ValueError for the first other one.

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
        also = "" if ignored is None else f", or {ignored} where it does not count"
        raise ValueError(
            f"{name}{place} is {value}, expected 0 to {limit - 1} ({limit_name} is {limit}){also}"
        )
    return array


def check_shape(name: str, array: np.ndarray, shapes: list[tuple[int, ...]]) -> None:
    """Raise ValueError unless the array has one of the shapes."""
    if array.shape not in shapes:
        expected = " or ".join(dict.fromkeys(str(list(shape)) for shape in shapes))
        raise ValueError(f"{name} has shape {list(array.shape)}, expected {expected}")
