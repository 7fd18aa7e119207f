"""tf_model.h5, the weights of a TensorFlow class, under the names and layouts of PyTorch.

File    HDF5 as Keras 2 writes it. A dataset is LAYER/MODEL/VARIABLE: LAYER is a part of the model,
        MODEL the class, perhaps counted, and VARIABLE a name like those in PyTorch,
            mlm___cls/tf_bert_for_masked_lm_1/mlm___cls/predictions/transform/dense/kernel:0
        A variable that parts share stands under each of them. A shard of a divided checkpoint
        (tf_model-00001-of-00002.h5) has VARIABLE alone.
Source  transformers 4.57.6, modeling_tf_utils.py and modeling_tf_pytorch_utils.py
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from npbert.checkpoints.files import naming, short

# What h5py raises, one or another, for whatever HDF5 stumbles over.
DAMAGE = (ValueError, OSError, RuntimeError, LookupError, TypeError, MemoryError, OverflowError)
MAX_DEPTH = 32  # of groups within each other; Keras has about ten, and HDF5 is slow in deep ones

# How a path in the file becomes a path in PyTorch: every line that fits, from top to bottom.
PATHS = [
    # in the file    becomes        example
    (r":\d+$",       ""),         # pooler/dense/kernel:0 -> pooler/dense/kernel
    (r"[^/]*___",    ""),         # mlm___cls/predictions -> cls/predictions
    (r"_\._",        "/"),        # encoder/layer_._0 -> encoder/layer/0
]  # fmt: skip


def _as_it_is(array: np.ndarray) -> np.ndarray:
    return array


def _first_axis_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 0, -1)


def _one_more_axis(array: np.ndarray) -> np.ndarray:
    return np.expand_dims(array, -1)


# What stands at the end of the path, and how the axes are turned: the one line that fits.
# I inputs, O outputs, G groups; K kernel, D channels in, A channels out of ConvBERT's convolution.
VARIABLES: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
    # in the file                in PyTorch                  axes
    ("depthwise_kernel",         "depthwise/weight",         _first_axis_last),  # KD1 -> D1K
    ("pointwise_kernel",         "pointwise/weight",         np.transpose),      # 1DA -> AD1
    ("key_conv_attn_layer/bias", "key_conv_attn_layer/bias", _one_more_axis),    # A -> A1
    ("kernel",                   "weight",                   np.transpose),      # IO -> OI
    # ... and so the grouped kernel of ConvBERT's feed-forward: (O/G)(I/G)G -> G(I/G)(O/G)
    ("embeddings",               "weight",                   _as_it_is),  # position_embeddings/...
    ("gamma",                    "weight",                   _as_it_is),  # LayerNorm/gamma
    ("beta",                     "bias",                     _as_it_is),  # LayerNorm/beta
    # weight and bias are called so in both: word_embeddings/weight, a NoNorm's weight and bias,
    # predictions/bias, and MobileBERT's predictions/decoder/weight and predictions/dense/weight
]  # fmt: skip


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every variable of a tf_model.h5 or of one shard of it: PyTorch's name -> array.

    A variable that no rule knows keeps its path, with dots. The masked-LM decoder of TFMobileBert*
    is a weight of its own, which may differ from the embeddings that PyTorch ties it to: it counts.

    Raises ImportError without h5py (extra `tf`), FileNotFoundError, and ValueError in one line that
    begins with the path: for a damaged file, for anything but numbers and booleans, for arrays that
    together have more bytes than the file, and for two arrays of one name.
    """
    try:
        import h5py  # an extra
    except ImportError as error:
        what = 'reading it takes h5py: pip install "npbert[tf]"'
        raise ImportError(f"{os.fspath(path)}: {what} ({error})") from None
    with open(path, "rb"), naming(path):  # where `open` fails, the file is not a damaged one
        try:
            with h5py.File(path, "r") as file:
                datasets = list(_datasets(file))
                _check(datasets, os.path.getsize(path))
                by_keras = "keras_version" in file.attrs
                return _merged((_variable(d.name, by_keras), d[()]) for d in datasets)
        except DAMAGE as error:
            reason = " ".join(str(error).split())[:400] or type(error).__name__
            raise ValueError(f"not an HDF5 file as Keras writes it: {reason}") from None


def from_tensorflow(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return {VARIABLE: array}, as any file of a TF class has it, with PyTorch's names and layouts.

    A class that was told to write model.safetensors writes these names too. Raises ValueError where
    two variables have one name and differ.
    """
    return _merged(variables.items())


def pytorch(variable: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Return what PyTorch calls a variable, and the array with the axes in PyTorch's order."""
    for pattern, becomes in PATHS:
        variable = re.sub(pattern, becomes, variable)
    for end, name, turn in VARIABLES:
        if f"/{variable}".endswith(f"/{end}"):
            variable = variable.removesuffix(end) + name
            array = turn(array)
            break
    return variable.replace("/", "."), np.asarray(array, order="C")


def _variable(dataset: str, written_by_keras: bool) -> str:
    """Take LAYER and MODEL away: /bert/tf_bert_model/bert/pooler/... -> bert/pooler/..."""
    parts = dataset.strip("/").split("/")
    return "/".join(parts[2:] if written_by_keras and len(parts) > 2 else parts)


def _datasets(group: Any, depth: int = 1, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield every dataset below a group, each once; links that lead elsewhere are passed over."""
    import h5py

    seen = set() if seen is None else seen
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} groups within each other")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        place = h5py.h5o.get_info(item.id).addr
        if place in seen:
            continue
        seen.add(place)
        if isinstance(item, h5py.Dataset):
            yield item
        elif isinstance(item, h5py.Group):
            yield from _datasets(item, depth + 1, seen)


def _check(datasets: list[Any], size: int) -> None:
    """Check that datasets are plain numbers, as Keras stores them, each in bytes of its own."""
    for dataset in datasets:
        what = short.repr(dataset.name)
        if dataset.shape is None:
            raise ValueError(f"{what}: no array")
        if dataset.dtype.kind not in "biufc":
            raise ValueError(f"{what}: dtype {short.repr(dataset.dtype)}, expected numbers")
        # What takes more memory than it has bytes (compressed, never written) or lies in another
        # file is not from there. A chunk may unpack to more than the dataset that it belongs to.
        stored = dataset.id.get_storage_size()
        if dataset.nbytes != stored or dataset.chunks or dataset.external or dataset.is_virtual:
            raise ValueError(
                f"{what}: {stored} bytes are stored in the file, expected the {dataset.nbytes} "
                f"of {dataset.dtype} {short.repr(list(dataset.shape))}, in a row and uncompressed"
            )
    total = sum(dataset.nbytes for dataset in datasets)
    if total > size:
        raise ValueError(f"the arrays have {total} bytes and the file {size}: they share some")


def _merged(variables: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for variable, values in variables:
        name, array = pytorch(variable, values)
        first = tensors.setdefault(name, array)
        if first is array:
            continue
        same = (first.dtype, first.shape) == (array.dtype, array.shape)
        if not same or first.tobytes() != array.tobytes():
            raise ValueError(f"{short.repr(name)} is there twice, and the two differ")
    return tensors
