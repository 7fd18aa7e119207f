"""Draws the roofline of the forward passes: how near each comes to what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from helpers.benchmark_costs import Measured
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

# name -> label, marker, colour; they differ in shape and in lightness, so that grey print will do
STYLES = {
    "torch": ("torch", "s", "white"),
    "onnxruntime": ("ONNX Runtime", "^", "tab:gray"),
    "npbert-numba": ("npbert", "o", "black"),
}
SETTINGS = {
    "svg.hashsalt": "npbert",  # the same values make the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_roofline(measured: Sequence[Measured], limits: tuple[float, float], file: Path) -> None:
    """Write the figure as SVG: one panel a model, in each a point for every size and contestant.

    limits: the operations and the bytes a second that the machine can do at most.
    """
    rate, bandwidth = limits
    ridge = rate / bandwidth  # from here on the products are the limit, not the memory
    intensities = [ridge, *(m.operations / m.moved for m in measured)]
    left, right = min(intensities) / 2, max(intensities) * 2
    slowest = min(m.rate(who) for m in measured for who in m.seconds if who in STYLES)
    models = list(dict.fromkeys(m.model for m in measured))
    columns = min(2, len(models))
    rows = -(-len(models) // columns)
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(4 * columns, 2.6 * rows + 0.6), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel in panels.flat[len(models) :]:
            panel.set_visible(False)
        for panel, model in zip(panels.flat, models):
            panel.loglog([left, ridge, right], [left * bandwidth / 1e9, rate / 1e9, rate / 1e9],
                         color="black", linewidth=1)  # fmt: skip
            for m in measured:
                if m.model == model:
                    draw_points(panel, m)
            panel.set(xlim=(left, right), ylim=(slowest / 2e9, rate * 1.7 / 1e9))
            panel.set_title(model, loc="left", fontsize=10)
            panel.grid(alpha=0.3)
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.set_minor_locator(NullLocator())
                axis.set_tick_params(labelsize=7)
        panels[0, 0].annotate(
            f"memory {bandwidth / 1e9:.0f} GB/s, sgemm {rate / 1e9:.0f} GFLOP/s",
            (right, rate / 1e9), (-2, 3), textcoords="offset points", ha="right", fontsize=7,
        )  # fmt: skip
        figure.supxlabel("operations per byte of weights and activations", fontsize=9)
        figure.supylabel("GFLOP/s", fontsize=9)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        found = dict(zip(labels, handles))  # every contestant once
        figure.legend(found.values(), found.keys(), loc="outside upper right", ncols=3,
                      frameon=False)  # fmt: skip
        figure.savefig(file, format="svg", metadata={"Date": None})


def draw_points(panel: Axes, m: Measured) -> None:
    """Draw the contestants of one pass above each other, its size below the lowest."""
    intensity = m.operations / m.moved
    shown = [who for who in STYLES if who in m.seconds]
    for who in shown:
        label, marker, colour = STYLES[who]
        panel.plot(intensity, m.rate(who) / 1e9, marker, color=colour, markeredgecolor="black",
                   markersize=5, linestyle="", label=label)  # fmt: skip
    lowest = min(m.rate(who) for who in shown) / 1e9
    panel.annotate(m.size, (intensity, lowest), (0, -12), textcoords="offset points", ha="center",
                   fontsize=7)  # fmt: skip
