"""Times whole forward passes of conv-bert-base size, npbert's two backends beside torch.

    python tests/benchmark_forward.py [--rounds 5]

Random weights, float32, as many threads as there are cores. The contestants take turns within each
round, so that a machine that slows down slows all of them; printed is each one's median. torch and
transformers (extra `reference`) are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from npbert import ConvBertConfig, ConvBertModel, set_backend

SIZES = [(1, 16), (1, 128), (8, 128)]


def torch_contestant():
    try:
        import torch
        import transformers
    except ImportError:
        return None
    config = transformers.ConvBertConfig()
    config._attn_implementation = "eager"
    model = transformers.ConvBertModel(config).eval()

    def run(ids):
        with torch.no_grad():
            return model(torch.from_numpy(ids))

    return run


def npbert_contestant(model, backend):
    def run(ids):
        set_backend(backend)
        return model(ids)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    model = ConvBertModel(ConvBertConfig())
    contestants = {
        "npbert, numpy": npbert_contestant(model, "numpy"),
        "npbert, numba": npbert_contestant(model, "numba"),
        "torch, eager": torch_contestant(),
    }
    contestants = {name: run for name, run in contestants.items() if run}
    for size in SIZES:
        ids = np.random.default_rng(0).integers(0, 30522, size)
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for turn in range(rounds + 1):
            for name, run in contestants.items():
                start = time.perf_counter()
                run(ids)
                if turn:  # the first round warms up: compiling, allocating
                    seconds[name].append(time.perf_counter() - start)
        medians = "   ".join(f"{n} {statistics.median(s) * 1e3:7.1f}" for n, s in seconds.items())
        print(f"{size[0]} x {size[1]:3}, ms:   {medians}", flush=True)


if __name__ == "__main__":
    main()
