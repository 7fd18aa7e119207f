"""The tables that the benchmark of forward passes prints: aligned, or in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from helpers.benchmark_costs import Measured, npbert_of

LABELS = {
    "npbert-numba": "npbert, numba",
    "npbert-numpy": "npbert, NumPy",
    "torch": "torch",
    "torch-eager": "torch, eager attention",
    "onnxruntime": "ONNX Runtime",
}
RATIOS = {
    "torch-eager": "torch, eager / npbert",
    "torch": "torch / npbert",
    "onnxruntime": "ORT / npbert",
}


def print_passes(measured: Sequence[Measured], limits: tuple[float, float], markdown: bool) -> None:
    """Print a row for every pass: milliseconds, ratios, and the share of the machine's limit."""
    rate, bandwidth = limits
    print(f"The machine's most: sgemm {rate / 1e9:.0f} GFLOP/s, memory {bandwidth / 1e9:.0f} GB/s.")
    print("Milliseconds, the median of each; ratios above 1: npbert is faster.\n")
    names = [name for name in LABELS if any(name in m.seconds for m in measured)]
    ours = npbert_of(names)
    columns: list[tuple[str, Callable[[Measured], str]]]  # heading, and the cell of a pass
    columns = [("", lambda m: m.model), ("", lambda m: m.size)]
    columns += [(LABELS[who], partial(milliseconds, who=who)) for who in names]
    columns += [("GFLOP", lambda m: f"{m.operations / 1e9:.1f}")]
    if ours in names:
        columns += [(RATIOS[who], partial(ratio, who=who)) for who in RATIOS if who in names]
        columns += [
            ("GFLOP/s of npbert", lambda m: f"{m.rate(ours) / 1e9:.0f}"),
            ("of sgemm", lambda m: f"{m.rate(ours) / rate:.0%}"),
        ]
    rows = [[heading for heading, _ in columns]]
    rows += [[cell(m) for _, cell in columns] for m in measured]
    print_table(rows, markdown)


def milliseconds(m: Measured, who: str) -> str:
    return f"{1e3 * m.seconds[who]:.1f}"


def ratio(m: Measured, who: str) -> str:
    return f"{m.ratio(who):.2f}"


def print_texts(speeds: dict[str, dict[str, float]], markdown: bool) -> None:
    """Print a row for every model: tokens a second."""
    print("Tokens a second, the median of each; ratio above 1: npbert is faster.\n")
    names = [name for name in LABELS if any(name in of_model for of_model in speeds.values())]
    ours = npbert_of(names)
    both = {ours, "torch"} <= {*names}
    rows = [["", *(LABELS[name] for name in names), *["npbert / torch"] * both]]
    for model, of_model in speeds.items():
        row = [model, *(f"{of_model[name]:,.0f}" for name in names)]
        rows.append([*row, f"{of_model[ours] / of_model['torch']:.2f}"] if both else row)
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
