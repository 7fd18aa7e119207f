"""Times whole forward passes: npbert's two backends beside torch and ONNX Runtime.

    python tests/benchmark_forward.py [--larger] [--markdown] [--figure FILE.svg]
    python tests/benchmark_forward.py --texts [--markdown]

The published base models with random weights, or checkpoint directories (`--models DIR`), float32,
as many threads as there are cores. Every contestant lives in a process of its own; they take turns,
so that a machine that slows down slows all of them, and what counts is each one's median. Before it
is timed, a contestant's output must agree with that of the first. Whoever is not installed is left
out: the extra `benchmark` brings torch and ONNX Runtime, whose models are exported here by torch.

`--texts` runs 1,500 texts of many lengths through models of 6 layers, 384 wide, and takes the mean
over each one's tokens: npbert without padding (`encode_texts`), torch in sorted batches of 32,
padded, which changes what ConvBERT and MobileBERT answer.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from helpers.benchmark_contestants import CONTESTANTS, Process
from helpers.benchmark_costs import Measured, cost_of_pass
from helpers.benchmark_machine import count_cores, list_versions, name_processor
from helpers.benchmark_tables import print_passes, print_texts

from npbert.checkpoints.shipped import checkpoint_directory

# Set for the sake of old builds of OpenBLAS, they can halve the speed of a current one.
MISLEADING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
SIZES = [(1, 16), (1, 128), (8, 128)]  # texts, tokens of each
LARGER = [(1, 512), (32, 128)]
MODELS = {  # the defaults of a family's config are those of its published base model
    "bert-base": "Bert",
    "convbert-base": "ConvBert",
    "mobilebert": "MobileBert",
    "squeezebert": "SqueezeBert",
}
SMALL = {  # what reads the texts of `--texts`
    model: dict(num_hidden_layers=6, hidden_size=384, num_attention_heads=12) | others
    for model, others in {
        "bert-base": dict(intermediate_size=1536),
        "convbert-base": dict(intermediate_size=1536, embedding_size=384),
        "mobilebert": dict(num_attention_heads=6, intermediate_size=768, intra_bottleneck_size=192),
        "squeezebert": dict(intermediate_size=1536, embedding_size=384),
    }.items()
}
TOLERANCE = 1e-4  # of the largest value: between the outputs of two contestants
TURN = 0.15  # seconds; a pass that takes longer runs once a turn


def checkpoint_of(model: str, folder: Path, **options: Any) -> Path:
    """Return the directory of a model; one of MODELS is made in `folder`, of random weights."""
    if model not in MODELS:
        return checkpoint_directory(model).resolve()
    if not (folder / model).exists():
        import npbert

        config = getattr(npbert, f"{MODELS[model]}Config")(**options)
        getattr(npbert, f"{MODELS[model]}Model")(config).save_pretrained(folder / model)
    return folder / model


def start(names: list[str], directory: Path, folder: Path) -> dict[str, Process]:
    """Return those of the contestants that are installed, each with the model of a directory."""
    found = {}
    for name in names:
        try:
            found[name] = Process(name, directory, folder)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    if not found:
        sys.exit("no contestant is installed")
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


def report(what: str, seconds: dict[str, float]) -> None:
    """Say how far the benchmark is, beside what it prints at its end."""
    times = ", ".join(f"{name} {1e3 * time:.1f} ms" for name, time in seconds.items())
    print(f"{what}: {times}", file=sys.stderr, flush=True)


def compare_passes(given: argparse.Namespace, machine: Process, folder: Path) -> None:
    """Time every model's passes at every size, and the machine in between; print, and draw."""
    import numpy as np

    from npbert.auto import AutoConfig, class_for

    measured, limits = [], []
    for model in given.models:
        directory = checkpoint_of(model, folder)
        config, model_class = AutoConfig.from_pretrained(directory), class_for(directory, "Model")
        contestants = start(given.contestants, directory, folder)
        for B, T in given.sizes:
            ids = np.random.default_rng(0).integers(0, config.vocab_size, (B, T))
            check_agreement({name: run("forward", ids) for name, run in contestants.items()})
            limits.append(machine("limits"))
            seconds = take_turns(contestants, "forward", ids, ids, given.rounds)
            cost = cost_of_pass(model_class, config, B, T)
            measured.append(Measured(directory.name, f"{B} x {T}", *cost, seconds))
            report(f"{directory.name} {B} x {T}", seconds)
        for contestant in contestants.values():
            contestant.stop()
    most = max(rate for rate, _ in limits), max(bandwidth for _, bandwidth in limits)
    print_passes(measured, most, given.markdown)
    if given.figure:
        from helpers.benchmark_figure import draw_roofline

        draw_roofline(measured, most, given.figure)


def draw_texts(vocab_size: int) -> list[list[int]]:
    """Return the ids of 1,500 texts of 4 to 128 word pieces, 30 on average."""
    draw = random.Random(0)
    lengths = [min(128, 4 + round(draw.gammavariate(2.1, 12))) for _ in range(1500)]
    return [[draw.randrange(vocab_size) for _ in range(length)] for length in lengths]


def compare_texts(given: argparse.Namespace, folder: Path) -> None:
    """Time how long a model of every family takes for many texts, and print it."""
    from npbert.auto import AutoConfig

    names = [name for name in given.contestants if name not in ("onnxruntime", "torch-eager")]
    speeds = {}
    for model in given.models:
        directory = checkpoint_of(model, folder / "small", **SMALL.get(model, {}))
        rows = draw_texts(AutoConfig.from_pretrained(directory).vocab_size)
        contestants = start(names, directory, folder)
        few = rows[::20]  # to warm up
        seconds = take_turns(contestants, "pool_texts", few, rows, given.rounds)
        label = MODELS.get(model, directory.name)
        report(label, seconds)
        speeds[label] = {name: sum(map(len, rows)) / time for name, time in seconds.items()}
        for contestant in contestants.values():
            contestant.stop()
    print_texts(speeds, given.markdown)


def model(name: str) -> str:
    """Check that a model is there, or can be made."""
    if name not in MODELS:
        try:
            checkpoint_directory(name)
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(error) from error
    return name


def size(text: str) -> tuple[int, int]:
    """Read texts x tokens, such as 8x128."""
    B, _, T = text.partition("x")
    return count(B), count(T)


def count(text: str) -> int:
    """Read a number of at least 1."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--models",
        nargs="+",
        type=model,
        metavar="MODEL",
        default=list(MODELS),
        help=f"{', '.join(MODELS)}, or checkpoints",
    )
    add("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    add("--sizes", nargs="+", type=size, metavar="BxT", default=SIZES)
    add("--larger", action="store_true", help="1x512 and 32x128, too")
    add("--rounds", type=count, default=5, help="turns of each contestant")
    add("--texts", action="store_true", help="texts of many lengths instead")
    add("--markdown", action="store_true", help="print the table in Markdown")
    add("--figure", type=Path, metavar="FILE.svg", help="draw the passes")
    add("--keep", type=Path, metavar="DIR", help="where models that are made stay")  # fmt: skip
    given = parser.parse_args(arguments)
    given.sizes = given.sizes + LARGER * given.larger

    removed = [f"{name}={os.environ.pop(name)}" for name in MISLEADING if name in os.environ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        machine = Process("machine", folder, folder)
        kernel = machine("kernel") + "".join(f" ({variable} removed)" for variable in removed)
        print(f"{name_processor()}, {count_cores()} cores. {list_versions()}.")
        print(f"NumPy's BLAS: {kernel}.", flush=True)
        try:
            if given.texts:
                compare_texts(given, folder)
            else:
                compare_passes(given, machine, folder)
        except (OSError, ValueError) as error:  # no checkpoint, or a size too large for it
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
