"""Draws the roofline of the forward passes: how near each comes to what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from helpers.benchmark_passes import Measured
from matplotlib.figure import Figure

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


def draw(measured: Sequence[Measured], file: Path) -> None:
    """Write the figure as SVG: one panel a model, in each a column of points for every size.

    The roof is the most that the machine showed in the whole run.
    """
    models = list(dict.fromkeys(pass_.model for pass_ in measured))
    rate = max(pass_.rate for pass_ in measured) / 1e9
    bandwidth = max(pass_.bandwidth for pass_ in measured) / 1e9
    intensities = [pass_.operations / pass_.moved for pass_ in measured]
    left, right = min(*intensities, rate / bandwidth) / 2, 2 * max(*intensities, rate / bandwidth)
    slowest = min(min(pass_.speeds.values()) for pass_ in measured) / 1e9
    with matplotlib.rc_context(SETTINGS):
        columns = min(2, len(models))
        rows = -(-len(models) // columns)
        figure = Figure(figsize=(4 * columns, 2.6 * rows + 0.5), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel in panels.flat[len(models) :]:
            panel.set_visible(False)
        for panel, model in zip(panels.flat, models):
            panel.set_xscale("log")
            panel.set_yscale("log")
            ridge = rate / bandwidth
            panel.plot([left, ridge, right], [left * bandwidth, rate, rate], color="black", lw=1)
            for pass_ in measured:
                if pass_.model == model:
                    draw_points(panel, pass_)
            panel.set_title(model, loc="left", fontsize=10)
            panel.set_xlim(left, right)
            panel.set_ylim(slowest / 2, rate * 1.6)
            panel.grid(which="major", alpha=0.3)
        panels[0, 0].annotate(
            f"machine: sgemm {rate:.0f} GFLOP/s, memory {bandwidth:.0f} GB/s",
            (right, rate), (-2, 3), textcoords="offset points", ha="right", fontsize=7,
        )  # fmt: skip
        figure.supxlabel("operations per byte of weights and activations", fontsize=9)
        figure.supylabel("GFLOP/s", fontsize=9)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        found = dict(zip(labels, handles))
        figure.legend(found.values(), found.keys(), loc="outside upper right", ncols=3,
                      frameon=False)  # fmt: skip
        figure.savefig(file, format="svg", metadata={"Date": None})


def draw_points(panel: matplotlib.axes.Axes, pass_: Measured) -> None:
    """Draw one size: its contestants above each other, the size written below the lowest."""
    intensity = pass_.operations / pass_.moved
    speeds = {who: pass_.speeds[who] / 1e9 for who in STYLES if who in pass_.speeds}
    for who, speed in speeds.items():
        label, marker, colour = STYLES[who]
        panel.plot(intensity, speed, marker, color=colour, markeredgecolor="black",
                   markersize=5, label=label)  # fmt: skip
    panel.annotate(pass_.size, (intensity, min(speeds.values())), (0, -12),
                   textcoords="offset points", ha="center", fontsize=7)  # fmt: skip
