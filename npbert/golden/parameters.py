"""What the axes of every parameter are, and how it is applied: for readers of the weights."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from npbert.model.base import PreTrainedModel

# How a checkpoint calls a parameter, what its axes are, and how it is oriented, with x that enters
# and y that leaves, channels last. The first line that fits holds.
KINDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (r".*word_embeddings\.weight", ("ids", "out"), "y = W[id]"),
    (r".*position_embeddings\.weight", ("positions", "out"), "y = W[position]"),
    (r".*token_type_embeddings\.weight", ("types", "out"), "y = W[type]"),
    # MobileBERT's, which is added to what the decoder gives
    (r"cls\.predictions\.dense\.weight", ("in", "out"), "y = x W"),
    (r".*\.depthwise\.weight", ("out", "one", "taps"),
     "y[t, d] = sum over k of W[d, 0, k] x[t + k - K//2, d], zeros past both ends"),
    (r".*\.pointwise\.weight", ("out", "in", "one"), "y = x W[:, :, 0]ᵀ"),
    # ConvBERT's grouped maps, with num_groups above 1
    (r".*\.dense\.weight", ("groups", "in", "out"),
     "y of group g = (x of group g) W[g]; groups are runs of channels"),
    # SqueezeBERT's convolutions, one token wide
    (r".*\.weight", ("out", "in", "one"),
     "y of group g = (x of group g) (W of group g)[:, :, 0]ᵀ; groups are runs of channels, as many "
     "as the channels of x hold `in`"),
    (r".*\.key_conv_attn_layer\.bias", ("out", "one"), "y + b[:, 0]"),
    (r".*\.weight", ("out", "in"), "y = x Wᵀ"),
    (r".*norm\.weight", ("out",), "y = W x, channel by channel, x normalised where the model does"),
    (r".*\.(bias|weight)", ("out",), "y + b"),
)  # fmt: skip


def described(model: PreTrainedModel, stored: dict[str, str]) -> list[dict[str, Any]]:
    """Return what the manifest says of every parameter; stored: the dtype of each in the file."""
    tensors, tied = model.state_dict(), model.tied(model.config)
    return [
        {"name": name, "same_as": tied[name]}
        if name in tied and tensors[name] is tensors[tied[name]]
        else {"name": name, **kind_of(name, array), "dtype": stored[name]}
        for name, array in tensors.items()
    ]


def kind_of(name: str, array: np.ndarray) -> dict[str, Any]:
    """Return shape, axes and orientation of a parameter."""
    for pattern, axes, orientation in KINDS:
        if re.fullmatch(pattern, name, re.IGNORECASE) and array.ndim == len(axes):
            return {"shape": list(array.shape), "axes": list(axes), "orientation": orientation}
    raise ValueError(f"{name} {list(array.shape)}: no kind of parameter that is known")
