"""Measures memory: the peak of loading a model and one forward pass, npbert beside transformers.

    python tests/benchmark_memory.py [--models convbert-base ...]

The published base models with random weights, saved as float32. Everybody is measured in a fresh
process: the most memory that it ever had, with Python, libraries and those pages of the checkpoint
that it read; and how much more than before a pass of 8 x 128 tokens takes, once everything is
loaded. Without transformers it is left out. Reads /proc, so Linux only.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MODELS = {
    "bert-base": "Bert",
    "convbert-base": "ConvBert",
    "mobilebert": "MobileBert",
    "squeezebert": "SqueezeBert",
}
CONTESTANTS = ["npbert numba", "npbert numpy", "transformers"]
MEGABYTE = 1e6

# ---- in a process of its own ---------------------------------------------------------------


def make(directory: str, prefix: str) -> None:
    """Save a model of the published size."""
    import npbert

    config = getattr(npbert, f"{prefix}Config")()
    getattr(npbert, f"{prefix}Model")(config).save_pretrained(directory)


def measure(directory: str, contestant: str) -> None:
    """Load a model, run it, and print what that took, in bytes."""
    run = load_npbert(directory, contestant) if "npbert" in contestant else load(directory)
    run(1, 128)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path("/proc/self/clear_refs").write_text("5")  # begin anew with the most
    before = memory_of("VmRSS")
    run(8, 128)
    print(peak, memory_of("VmHWM") - before)


def load_npbert(directory: str, contestant: str) -> Any:
    import numpy as np

    import npbert

    npbert.set_backend(contestant.split()[1])
    model = npbert.AutoModel.from_pretrained(directory)
    return lambda B, T: model(np.ones((B, T), np.int64))


def load(directory: str) -> Any:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = transformers.AutoModel.from_pretrained(directory).eval()

    def run(B: int, T: int) -> Any:
        with torch.inference_mode():
            return model(torch.ones((B, T), dtype=torch.int64)).last_hidden_state

    return run


def memory_of(field: str) -> int:
    """Return what Linux says of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    raise KeyError(field)


# ---- the table -----------------------------------------------------------------------------


def in_process(*arguments: str) -> str:
    """Run this file in a fresh process, for one of the functions above; return what it prints."""
    command = [sys.executable, __file__, "--do", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return "" if done.returncode else done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the memory of forward passes.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME")
    parser.add_argument("--do", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("memory is read from /proc, which Linux alone has")
    if given.do:
        name, *arguments = given.do
        return {"make": make, "measure": measure}[name](*arguments)
    print(f"{'MB':<16}{'':<16}{'weights':>10}{'load + 1x128':>14}{'more at 8x128':>15}")
    for model in given.models:
        with tempfile.TemporaryDirectory() as folder:
            in_process("make", folder, MODELS[model])
            weights = (Path(folder) / "model.safetensors").stat().st_size
            in_process("measure", folder, CONTESTANTS[0])  # compiles, which is not measured
            for contestant in CONTESTANTS:
                if said := in_process("measure", folder, contestant):
                    peak, more = (int(word) / MEGABYTE for word in said.split())
                    size = weights / MEGABYTE
                    print(f"{model:<16}{contestant:<16}{size:>10.0f}{peak:>14.0f}{more:>15.0f}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
