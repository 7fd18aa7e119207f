"""Times whole forward passes at the published sizes, npbert's two backends beside torch.

    python tests/benchmark_forward.py [--models bert-base convbert-base ...] [--rounds 5]

Random weights, float32, as many threads as there are cores. The contestants take turns within each
round, so that a machine that slows down slows all of them; printed is each one's median. torch and
transformers (extra `reference`) are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import npbert

SIZES = [(1, 16), (1, 128), (8, 128)]
MODELS = {  # the defaults of a family's config are those of its published base model
    "bert-base": "Bert",
    "convbert-base": "ConvBert",
    "mobilebert": "MobileBert",
    "squeezebert": "SqueezeBert",
}


def torch_contestant(family):
    try:
        import torch
        import transformers
    except ImportError:
        return None
    config = getattr(transformers, f"{family}Config")()
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{family}Model")(config).eval()

    def run(ids):
        with torch.no_grad():
            return model(torch.from_numpy(ids))

    return run


def npbert_contestant(model, backend):
    def run(ids):
        npbert.set_backend(backend)
        return model(ids)

    return run


def contestants_of(family):
    model = getattr(npbert, f"{family}Model")(getattr(npbert, f"{family}Config")())
    contestants = {
        "npbert, numpy": npbert_contestant(model, "numpy"),
        "npbert, numba": npbert_contestant(model, "numba"),
        "torch, eager": torch_contestant(family),
    }
    return {name: run for name, run in contestants.items() if run}


def median_milliseconds(contestants, ids, rounds):
    """Return {name of the contestant: its median}."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run(ids)
            if turn:  # the first round warms up: compiling, allocating
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) * 1e3 for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    given = parser.parse_args()
    for name in given.models:
        contestants = contestants_of(MODELS[name])
        for size in SIZES:
            ids = np.random.default_rng(0).integers(0, 30522, size)
            medians = median_milliseconds(contestants, ids, given.rounds)
            row = "   ".join(f"{who} {median:7.1f}" for who, median in medians.items())
            print(f"{name:13}  {size[0]} x {size[1]:3}, ms:   {row}", flush=True)


if __name__ == "__main__":
    main()
