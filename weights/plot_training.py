"""Draws the curve of a training run from its training.csv into training.png beside it.

    python weights/plot_training.py weights/bert-tiny weights/convbert-tiny

Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

from npbert.checkpoints.writing import atomic_write


def read_curve(file: Path) -> dict[str, list[float]]:
    """Return the columns of a training.csv."""
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def draw(directory: Path) -> None:
    """Write DIRECTORY/training.png: nats a hidden piece to the left, accuracy to the right."""
    curve = read_curve(directory / "training.csv")
    millions = [pieces / 1e6 for pieces in curve["pieces"]]
    figure, (nats, shares) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    nats.plot(millions, curve["train_nats"], label="training", color="tab:gray")
    nats.plot(millions, curve["validation_nats"], label="validation", color="tab:blue")
    nats.set_ylabel("nats a hidden piece")
    shares.plot(millions, curve["validation_top1"], label="hidden piece, top-1", color="tab:blue")
    if "validation_next" in curve:
        shares.plot(millions, curve["validation_next"], label="next sentence", color="tab:orange")
    shares.set_ylabel("validation accuracy")
    shares.set_ylim(0, 1 if "validation_next" in curve else 0.5)
    for axes in (nats, shares):
        axes.set_xlabel("million word pieces read")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(directory.name)
    with atomic_write(directory / "training.png") as file:
        figure.savefig(file, dpi=80, format="png")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directories", type=Path, nargs="+")
    for directory in parser.parse_args().directories:
        draw(directory)


if __name__ == "__main__":
    main()
