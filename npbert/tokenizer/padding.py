"""Padding of rows that were made before, to make a batch of them: `tokenizer.pad`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npbert.tokenizer.batch_encoding import BatchEncoding


def pad(
    encoded_inputs: Any,
    fillings: dict[str, int | None],
    strategy: str,
    max_length: int,
    multiple: int | None,
    side: str,
    adds_mask: bool | None,
    return_tensors: str | None,
    has_mask: bool,
) -> BatchEncoding:
    """Pad rows as `PreTrainedTokenizer.pad` says.

    fillings    the value to pad each list with, by its name; the first is that of input_ids
    strategy    "do_not_pad", "longest" or "max_length"
    multiple    pad_to_multiple_of
    adds_mask   whether to make an attention_mask; None: if `has_mask`, and there is any row
    """
    name = next(iter(fillings))
    data, holds_arrays = columns(encoded_inputs, name)
    if holds_arrays and return_tensors is None:
        return_tensors = "np"

    ids = data[name]
    if not ids:  # here, as in the reference, a mask is made only if it is asked for
        return BatchEncoding(data | ({"attention_mask": []} if adds_mask else {}))
    if adds_mask is None:
        adds_mask = has_mask
    is_batched = isinstance(ids[0], (list, tuple))
    if not is_batched:
        data = {key: [value] for key, value in data.items()}
    sizes = {key: len(value) for key, value in data.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the lists to pad differ in their number of rows: {sizes}")

    longest = max(map(len, data[name]))
    length = {"do_not_pad": 0, "longest": longest, "max_length": max_length}[strategy]
    if multiple is not None:
        length += -length % multiple
    if adds_mask:
        fillings = {**fillings, "attention_mask": 0}
        data.setdefault("attention_mask", [[1] * len(row) for row in data[name]])
    missing = [length - len(row) for row in data[name]]  # negative where a row is longer
    for key, filling in fillings.items():
        if key in data:
            fillings_of_rows = [[filling] * count for count in missing]
            data[key] = [
                fill + list(row) if side == "left" else list(row) + fill
                for row, fill in zip(data[key], fillings_of_rows, strict=True)
            ]
    if not is_batched:
        data = {key: rows[0] for key, rows in data.items()}
    return BatchEncoding(data, tensor_type=return_tensors)


def columns(encoded_inputs: Any, name: str) -> tuple[dict[str, Any], bool]:
    """Return the lists to pad by their names, and whether the ids came as arrays.

    `encoded_inputs` is a mapping, or a list of mappings with a row each; `name` is "input_ids".
    """
    if isinstance(encoded_inputs, Mapping):
        data = dict(encoded_inputs)
    elif isinstance(encoded_inputs, (list, tuple)) and all(
        isinstance(row, Mapping) for row in encoded_inputs
    ):
        names = list(encoded_inputs[0]) if encoded_inputs else []
        for number, row in enumerate(encoded_inputs):
            if not set(names) <= set(row):
                raise ValueError(f"row {number} has {list(row)}, but row 0 has {names}")
        data = {key: [row[key] for row in encoded_inputs] for key in names}
    else:
        raise ValueError(
            f"{encoded_inputs!r:.60} cannot be padded, expected an encoding or a list of them"
        )
    if name not in data:
        raise ValueError(f"there is no {name} to pad, only {list(data)}")

    ids = data[name]
    rows = ids if isinstance(ids, (list, tuple)) else []
    holds_arrays = any(hasattr(value, "tolist") for value in (ids, *rows))
    if holds_arrays:
        data = {key: without_arrays(value) for key, value in data.items()}
    ids = data[name]
    flat = None
    if isinstance(ids, (list, tuple)):
        is_batched = len(ids) > 0 and all(isinstance(row, (list, tuple)) for row in ids)
        flat = [number for row in ids for number in row] if is_batched else ids
    if flat is None or not all(isinstance(number, int) for number in flat):
        raise ValueError(f"{name} is {ids!r:.60}, expected a list of ids or of rows of ids")
    return data, holds_arrays


def without_arrays(value: Any) -> Any:
    """Turn arrays, and arrays within lists, into lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [without_arrays(part) for part in value]
    return value
