"""Writes tests/fixtures/torch: one small state dict in both of torch's file formats.

    python tests/scripts/make_torch_fixtures.py [DIRECTORY]

The values that a reader must find are written beside them by NumPy, from torch's own conversion.
In the older format the keys of the storages are memory addresses: every run gives other bytes.
"""

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

TARGET = Path(__file__).parents[1] / "fixtures" / "torch"
DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "uint16", "uint32", "uint64", "complex64", "complex128")  # fmt: skip


def state_dict():
    """Tensors of every dtype, views, shared storages, empty ones and scalars."""
    base = torch.arange(24, dtype=torch.float32) / 8
    tensors = OrderedDict()
    for name in DTYPES:
        tensors[name] = (torch.arange(6.0).reshape(2, 3) * 1.25).to(getattr(torch, name))
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["transposed"] = base.reshape(4, 6).T
    tensors["strided"] = base.reshape(2, 3, 4)[:, ::2, 1:3]
    tensors["tail"] = base[20:]
    tensors["scalar"] = base[7]
    tensors["tied"] = tensors["transposed"]
    tensors["empty"] = torch.zeros(3, 0, 2)
    tensors["none"] = base[24:]
    tensors["repeated"] = torch.tensor([1.5, -2.0])[None].expand(3, 2)
    tensors["bfloat16.column"] = tensors["bfloat16"][:, 1]
    tensors["parameter"] = torch.nn.Parameter(torch.tensor([0.1, 0.2]))
    tensors._metadata = OrderedDict([("", {"version": 1})])
    return tensors


def main(target=TARGET):
    target = Path(target)
    target.mkdir(parents=True, exist_ok=True)
    tensors = state_dict()
    torch.save(tensors, target / "zip.bin")
    torch.save(tensors, target / "older.bin", _use_new_zipfile_serialization=False)
    widened = {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
        for name, tensor in tensors.items()
    }
    np.savez(target / "expected.npz", **widened)


if __name__ == "__main__":
    main(*sys.argv[1:])
