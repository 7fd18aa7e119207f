"""Times whole forward passes: npbert's two backends beside torch and ONNX Runtime.

    python tests/benchmark_forward.py [--larger] [--texts] [--markdown] [--figure FILE.svg]

The published base models with random weights, or checkpoint directories (`--models DIR`), float32,
as many threads as there are cores. Every contestant lives in a process of its own; they take turns,
so that a machine that slows down slows all of them, and printed is each one's median. Before it is
timed, its output must agree with the first contestant's. Whoever is not installed is left out: the
extras `reference` (torch) and `benchmark` (ONNX Runtime, whose models are exported here by torch).

`--texts` runs 1,500 sentences of all lengths through models of 6 layers, 384 wide, and takes the
mean over each one's tokens: npbert without padding (`encode_texts`), torch in batches of 32 of
similar length, padded.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from helpers.benchmark_contestants import CONTESTANTS, Process, count_cores
from helpers.benchmark_costs import cost_of_pass
from helpers.benchmark_passes import Measured

# Set for the sake of old builds of OpenBLAS, they slow down a current one to half its speed.
MISLEADING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
SIZES = ["1x16", "1x128", "8x128"]
LARGER = ["1x512", "32x128"]
MODELS = {  # the defaults of a family's config are those of its published base model
    "bert-base": "Bert",
    "convbert-base": "ConvBert",
    "mobilebert": "MobileBert",
    "squeezebert": "SqueezeBert",
}
WHO = [name for name in CONTESTANTS if name != "machine"]
TOLERANCE = 1e-4  # of the largest value: between the outputs of two contestants
TURN = 0.15  # seconds
SENTENCES = 1500
SMALL = dict(num_hidden_layers=6, hidden_size=384)  # the models that read the sentences
SMALL_OF = {
    "Bert": dict(num_attention_heads=12, intermediate_size=1536),
    "ConvBert": dict(num_attention_heads=12, intermediate_size=1536, embedding_size=384),
    "MobileBert": dict(num_attention_heads=6, intermediate_size=768, intra_bottleneck_size=192),
    "SqueezeBert": dict(num_attention_heads=12, intermediate_size=1536, embedding_size=384),
}


# ---- what takes part -----------------------------------------------------------------------


def checkpoint_of(model: str, folder: Path, **options: Any) -> Path:
    """Return the directory of a model; one of MODELS is made in `folder`, of random weights."""
    if model not in MODELS:
        return Path(model)
    if (folder / model).exists():
        return folder / model
    import npbert

    family = MODELS[model]
    config = getattr(npbert, f"{family}Config")(**options)
    getattr(npbert, f"{family}Model")(config).save_pretrained(folder / model)
    return folder / model


def start(names: list[str], directory: Path, folder: Path) -> dict[str, Process]:
    """Return the contestants that are installed, each with the model of this directory."""
    found = {}
    for name in names:
        try:
            found[name] = Process(name, directory, folder)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def check_agreement(outputs: dict[str, Any]) -> None:
    """Stop where a contestant computes something else than the first one."""
    (first, wanted), *others = outputs.items()
    for name, output in others:
        worst = abs(output - wanted).max() / abs(wanted).max()
        if not worst <= TOLERANCE:
            sys.exit(f"{name} differs from {first} by {worst:.1e} of the largest value")


def take_turns(
    contestants: dict[str, Process], method: str, warm: Any, given: Any, rounds: int
) -> dict[str, float]:
    """Return the median of the seconds that each one takes for `method(given)`."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            seconds[name] += contestant("turn", method, warm, given, TURN)
    return {name: statistics.median(times) for name, times in seconds.items()}


# ---- what is printed -----------------------------------------------------------------------


class Table:
    """Prints a table row by row: aligned, or as Markdown."""

    def __init__(self, columns: list[str], markdown: bool):
        self.widths = [max(len(column), 7) for column in columns]
        self.widths[0] = 16
        self.markdown = markdown
        self.row(columns)
        if markdown:
            self.row(["---"] + ["--:"] * (len(columns) - 1))

    def row(self, cells: list[str]) -> None:
        if self.markdown:
            print("|", " | ".join(cells), "|", flush=True)
        else:
            first, *others = [cell.rjust(width) for cell, width in zip(cells, self.widths)]
            print(first.strip().ljust(self.widths[0]), *others, sep="  ", flush=True)


def npbert_of(medians: dict[str, float]) -> str:
    """Return the npbert that peers are compared with: the compiled one where it takes part."""
    return "npbert-numba" if "npbert-numba" in medians else "npbert-numpy"


def ratio(medians: dict[str, float], peer: str) -> str:
    """Return how many times as long as npbert the peer takes."""
    ours = npbert_of(medians)
    return f"{medians[peer] / medians[ours]:.2f}" if {peer, ours} <= medians.keys() else "-"


def cells_of(medians: dict[str, float], names: list[str]) -> list[str]:
    return [f"{1e3 * medians[name]:.1f}" if name in medians else "-" for name in names]


def processor() -> str:
    """Return the processor's name, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}"]
    for package in ("numpy", "numba", "torch", "transformers", "onnxruntime"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


# ---- the two comparisons -------------------------------------------------------------------


def compare_passes(given: argparse.Namespace, machine: Process, folder: Path) -> list[Measured]:
    """Print the time of whole passes, model by model and size by size; return what was measured."""
    import numpy as np

    from npbert.auto import AutoConfig, class_for

    table = Table(
        ["model", "size", *(f"{name}, ms" for name in given.contestants), "torch/npbert",
         "ORT/npbert", "GFLOP", "GFLOP/s", "of sgemm"],
        given.markdown,
    )  # fmt: skip
    measured = []
    for model in given.models:
        directory = checkpoint_of(model, folder)
        config, model_class = AutoConfig.from_pretrained(directory), class_for(directory, "Model")
        contestants = start(given.contestants, directory, folder)
        for size in given.sizes:
            B, T = map(int, size.split("x"))
            ids = np.random.default_rng(0).integers(0, config.vocab_size, (B, T))
            check_agreement({who: run("forward", ids) for who, run in contestants.items()})
            limits = machine("limits")
            medians = take_turns(contestants, "forward", ids, ids, given.rounds)
            operations, moved = cost_of_pass(model_class, config, B, T)
            name, size = Path(model).name, size.replace("x", " x ")
            measured.append(Measured(name, size, operations, moved, *limits, medians))
            ours = measured[-1].speeds.get(npbert_of(medians), math.nan)
            sgemm = max(pass_.rate for pass_ in measured)
            table.row(
                [name, size, *cells_of(medians, given.contestants),
                 ratio(medians, "torch"), ratio(medians, "onnxruntime"), f"{operations / 1e9:.1f}",
                 f"{ours / 1e9:.0f}", f"{ours / sgemm:.0%}"]
            )  # fmt: skip
        for contestant in contestants.values():
            contestant.stop()
    return measured


def sentences() -> list[list[int]]:
    """Return the word pieces of 1,500 sentences, 4 to 128 of them, 30 on average."""
    draw = random.Random(0)
    lengths = [min(128, 4 + round(draw.gammavariate(2.2, 12))) for _ in range(SENTENCES)]
    return [[draw.randrange(1000, 30000) for _ in range(length)] for length in lengths]


def compare_texts(given: argparse.Namespace, folder: Path) -> None:
    """Print how many tokens a second go through a small model of each family."""
    rows = sentences()
    tokens = sum(map(len, rows))
    names = [name for name in given.contestants if name != "onnxruntime"]
    print(f"\n{len(rows)} sentences, {tokens / len(rows):.0f} word pieces each on average\n")
    table = Table(
        ["model", *(f"{name}, tokens/s" for name in names), "npbert/torch"], given.markdown
    )
    for model in MODELS:
        family = MODELS[model]
        directory = checkpoint_of(model, folder / "small", **SMALL, **SMALL_OF[family])
        contestants = start(names, directory, folder)
        medians = take_turns(contestants, "pool_texts", rows[::20], rows, max(1, given.rounds // 2))
        speeds = [f"{tokens / medians[name]:,.0f}" if name in medians else "-" for name in names]
        table.row([f"{family}, 6 x 384", *speeds, ratio(medians, "torch")])
        for contestant in contestants.values():
            contestant.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", metavar="MODEL", default=list(MODELS),
                        help=f"{', '.join(MODELS)}, or checkpoint directories")  # fmt: skip
    parser.add_argument("--contestants", nargs="+", choices=WHO, default=WHO)
    parser.add_argument("--sizes", nargs="+", metavar="BxT", default=SIZES)
    parser.add_argument("--larger", action="store_true", help=f"{' and '.join(LARGER)}, too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", action="store_true", help="1,500 sentences instead")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the models that are made here, and find them here again",
    )
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parser.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw the roofline")
    given = parser.parse_args()
    given.sizes = given.sizes + LARGER * given.larger

    removed = [f"{name}={os.environ.pop(name)}" for name in MISLEADING if name in os.environ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        machine = Process("machine", folder, folder)
        print(f"{processor()}, {count_cores()} cores; {versions()}")
        print(f"NumPy's BLAS: {machine('kernel')}", *(f"({text} removed)" for text in removed))
        rate, bandwidth = machine("limits")
        print(f"sgemm {rate / 1e9:.0f} GFLOP/s, memory {bandwidth / 1e9:.0f} GB/s\n", flush=True)
        if given.texts:
            compare_texts(given, folder)
            measured = []
        else:
            measured = compare_passes(given, machine, folder)
        machine.stop()
    if given.figure and measured:
        from helpers.benchmark_figure import draw

        draw(measured, given.figure)


if __name__ == "__main__":
    main()
