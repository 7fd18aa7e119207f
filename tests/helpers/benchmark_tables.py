"""The tables that the benchmark of forward passes prints: aligned, or in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from helpers.benchmark_costs import Measured, npbert_of

LABELS = {
    "npbert-numba": "npbert, numba",
    "npbert-numpy": "npbert, NumPy",
    "torch": "torch",
    "onnxruntime": "ONNX Runtime",
}


def print_passes(measured: Sequence[Measured], limits: tuple[float, float], markdown: bool) -> None:
    """Print a row for every pass: milliseconds, ratios, and the share of the machine's limit."""
    rate, bandwidth = limits
    print(f"The machine's most: sgemm {rate / 1e9:.0f} GFLOP/s, memory {bandwidth / 1e9:.0f} GB/s.")
    print("Milliseconds, the median of each; ratios above 1: npbert is faster.\n")
    names = [name for name in LABELS if any(name in m.seconds for m in measured)]
    peers = {"torch": "torch / npbert", "onnxruntime": "ORT / npbert"}
    peers = {name: label for name, label in peers.items() if name in names}
    rows = [
        ["", "", *(LABELS[name] for name in names), *peers.values(),
         "GFLOP", "GFLOP/s of npbert", "of sgemm"]
    ]  # fmt: skip
    for m in measured:
        ours = m.rate(npbert_of(m.seconds))
        rows.append(
            [m.model, m.size, *(f"{1e3 * m.seconds[name]:.1f}" for name in names),
             *(f"{m.ratio(peer):.2f}" for peer in peers),
             f"{m.operations / 1e9:.1f}", f"{ours / 1e9:.0f}", f"{ours / rate:.0%}"]
        )  # fmt: skip
    print_table(rows, markdown)


def print_texts(speeds: dict[str, dict[str, float]], markdown: bool) -> None:
    """Print a row for every model: tokens a second."""
    print("Tokens a second, the median of each; ratio above 1: npbert is faster.\n")
    names = [name for name in LABELS if any(name in of_model for of_model in speeds.values())]
    rows = [["", *(LABELS[name] for name in names), "npbert / torch"]]
    for model, of_model in speeds.items():
        ratio = of_model.get(npbert_of(of_model), math.nan) / of_model.get("torch", math.nan)
        rows.append([model, *(f"{of_model[name]:,.0f}" for name in names), f"{ratio:.2f}"])
    print_table(rows, markdown)


def print_table(rows: Sequence[Sequence[str]], markdown: bool) -> None:
    """Print rows of cells, the first one as the heading; the first column is aligned left."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for number, row in enumerate(rows):
        first, *others = [cell.rjust(width) for cell, width in zip(row, widths)]
        cells = [first.strip().ljust(widths[0]), *others]
        print(f"| {' | '.join(cells)} |" if markdown else "  ".join(cells))
        if markdown and number == 0:
            print("|---" + "|---:" * len(others) + "|")
