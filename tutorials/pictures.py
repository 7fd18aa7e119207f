"""The drawings of the book, all in one style, each with a description for those who cannot see it.

    heatmap         numbers as shades, word pieces along the edges
    distributions   histograms of several arrays
    bars            a bar for each number, or one of several parts
    curves          lines over a common axis
    roofline        what a computation reaches of what a machine allows
    widths          how wide the vectors are on their way through a layer
    diagram         boxes and arrows; `layer` and `model` make them of a model's config

Every function gives a Picture, which a notebook shows where it is the value of a cell. `alt` says
in words what there is to see; for `layer` and `model` it is made of the boxes. Shades differ in
lightness and in their hatches, lines in their dashes, so that a picture says the same in grey.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

SHADES = ("#08306b", "#4292c6", "#9ecae1", "#dbe9f6", "#6b6b6b", "#ffffff")  # of areas
HATCHES = ("", "//", "..", "xx", "\\\\", "||")
LINES, DASHES = ("#08306b", "#2f7fbc", "#6b6b6b", "#b35806"), ("-", "--", "-.", ":")
MARKS = ("o", "s", "^", "D")
INK = "#222222"
SHARES, SIGNED = "Blues", "cividis"  # for values from 0 up, and for values of both signs
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
in_style = matplotlib.rc_context(STYLE)
SHARPNESS = 2  # pixels of the image for each pixel of the page
DOTS = 80  # pixels of the page for an inch of the drawing


class Picture:
    """A drawing and its description.

    figure   matplotlib's
    alt      the description, which takes its place where it cannot be seen
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        if not alt.strip():
            raise ValueError("a picture without a description: alt is empty")
        self.figure, self.alt = figure, " ".join(alt.split())

    def png(self) -> bytes:
        """Return the drawing as the bytes of a PNG file."""
        file = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(file, format="png", dpi=SHARPNESS * DOTS)
        return file.getvalue()

    def _repr_html_(self) -> str:
        """Return what a notebook shows. (A bare image/png would have no description.)"""
        width = round(self.figure.get_size_inches()[0] * DOTS)
        source = f"data:image/png;base64,{base64.b64encode(self.png()).decode()}"
        style = "max-width:100%;height:auto"
        alt = html.escape(self.alt)
        return f'<img alt="{alt}" width="{width}" style="{style}" src="{source}">'

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def start(width: float, height: float, panels: int = 1, **options: Any) -> tuple[Figure, list[Any]]:
    """Return a figure of so many inches, and its panels from left to right."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False, **options)[0])


# ---- numbers -------------------------------------------------------------------------------


@in_style
def heatmap(
    values: Any,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    alt: str,
    titles: Sequence[str] = (),
    x_label: str = "",
    y_label: str = "",
    signed: bool = False,
    shared: bool = False,
    numbers: bool = False,
    outside: Any = None,
    width: float | None = None,
) -> Picture:
    """Draw arrays [R, C], or several of them [N, R, C] side by side: the darker, the larger.

    rows, columns   names along the edges, such as word pieces; without them there are no ticks
    signed          values of both signs, in shades of their own, 0 in the middle
    shared          one scale for all panels, not one for each
    numbers         write each value into its cell
    outside         booleans [R, C]: cells to be crossed out
    width           of the whole picture in inches
    """
    panels = np.asarray(values, float)
    panels = panels[None] if panels.ndim == 2 else panels
    N, R, C = panels.shape
    each = max(2.6, 0.27 * C + 1.1) if columns is not None else 3.4
    width = width or min(11.0, each * N + 0.8)
    height = max(2.4, 0.24 * R + 1.5) if rows is not None else min(4.0, width / N * R / C + 0.8)
    figure, axes = start(width, height, N, sharey=True)
    for number, (ax, panel) in enumerate(zip(axes, panels)):
        scaled = panels if shared else panel
        high = np.abs(scaled).max() if signed else scaled.max()
        low = -high if signed else min(0.0, scaled.min())
        shades = SIGNED if signed else SHARES
        image = ax.imshow(panel, cmap=shades, vmin=low, vmax=high, aspect="auto")
        _name_edges(ax, rows, columns)
        ax.set_title(titles[number] if number < len(titles) else "")
        ax.set_xlabel(x_label)
        ax.spines[:].set_visible(False)
        if outside is not None:
            for i, j in np.argwhere(outside):
                cell = Rectangle((j - 0.5, i - 0.5), 1, 1, hatch="xxx", edgecolor=INK, linewidth=0)
                ax.add_patch(cell).set_facecolor("none")
        if numbers:
            _write_numbers(ax, panel, low, high, light_is_high=signed)
        if not shared or number == N - 1:
            figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=30)
    axes[0].set_ylabel(y_label)
    return Picture(figure, alt)


def _name_edges(ax: Any, rows: Sequence[str] | None, columns: Sequence[str] | None) -> None:
    ax.set_xticks([] if columns is None else range(len(columns)), columns or [])
    ax.set_yticks([] if rows is None else range(len(rows)), rows or [])
    ax.tick_params(length=0)
    if columns is not None and max(map(len, columns)) > 3:
        ax.tick_params(axis="x", labelrotation=90)


def _write_numbers(ax: Any, panel: Any, low: float, high: float, light_is_high: bool) -> None:
    for (i, j), value in np.ndenumerate(panel):
        is_high = value > (low + high) / 2
        colour = "black" if is_high == light_is_high else "white"
        text = f"{value:.2f}".replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)


@in_style
def distributions(
    samples: Mapping[str, Any],
    *,
    alt: str,
    x_label: str = "",
    bins: int = 80,
    span: tuple[float, float] | None = None,
    log: bool = False,
) -> Picture:
    """Draw how often each value occurs in several arrays, from `span[0]` to `span[1]`."""
    figure, (ax,) = start(6.4, 3.2)
    flat = {name: np.asarray(values, float).ravel() for name, values in samples.items()}
    if span is None:
        span = min(map(np.min, flat.values())), max(map(np.max, flat.values()))
    for number, (name, values) in enumerate(flat.items()):
        counts, edges = np.histogram(values, bins, span)
        shares = counts / values.size
        look = dict(color=LINES[number % 4], linestyle=DASHES[number % 4])
        ax.stairs(shares, edges, linewidth=1.5, label=name, **look)
    ax.set_xlabel(x_label)
    ax.set_ylabel("share of the values")
    if log:
        ax.set_yscale("log")
    ax.legend()
    return Picture(figure, alt)


@in_style
def bars(
    values: Mapping[str, Any],
    *,
    alt: str,
    x_label: str = "",
    form: str = "{:.3g}",
    log: bool = False,
) -> Picture:
    """Draw a bar for each name, the first on top.

    A value is a number, or a mapping {part: number} whose parts are put behind each other. `form`
    writes the number, or the sum, beside its bar.
    """
    split = {n: v if isinstance(v, Mapping) else {"": v} for n, v in values.items()}
    parts = list(dict.fromkeys(part for bar in split.values() for part in bar))
    parts = [part for part in parts if any(bar.get(part) for bar in split.values())]
    figure, (ax,) = start(6.8, 0.34 * len(split) + (1.3 if len(parts) > 1 else 0.9))
    reached = np.zeros(len(split))
    for number, part in enumerate(parts):
        lengths = np.array([bar.get(part, 0) for bar in split.values()], float)
        look = dict(color=SHADES[number % 6], hatch=HATCHES[number % 6], edgecolor=INK)
        if len(parts) == 1:
            look = dict(color=SHADES[1])
        ax.barh(range(len(split)), lengths, left=reached, label=part, linewidth=0.5, **look)
        reached += lengths
    for place, total in enumerate(reached):
        look = dict(textcoords="offset points", va="center")
        ax.annotate(form.format(total), (total, place), (4, 0), **look)
    ax.set_yticks(range(len(split)), split)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(x_label)
    if log:
        ax.set_xscale("log")
        ax.margins(x=0.14)
    else:
        ax.set_xlim(0, 1.14 * reached.max())
    if len(parts) > 1:
        figure.legend(loc="outside lower center", ncols=min(4, len(parts)))
    return Picture(figure, alt)


@in_style
def curves(
    series: Mapping[str, tuple[Any, Any]],
    *,
    alt: str,
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    log_y: bool = False,
    marks: bool = True,
) -> Picture:
    """Draw lines, each from its pair (x values, y values)."""
    figure, (ax,) = start(6.4, 3.4)
    for number, (name, (x, y)) in enumerate(series.items()):
        look = dict(color=LINES[number % 4], linestyle=DASHES[number % 4])
        mark = MARKS[number % 4] if marks else ""
        ax.plot(x, y, label=name, marker=mark, markersize=4, linewidth=1.6, **look)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if log_x:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
    if log_y:
        ax.set_yscale("log")
    ax.grid(True, color="#dddddd", linewidth=0.6)
    if len(series) > 1:
        ax.legend()
    return Picture(figure, alt)


@in_style
def roofline(
    points: Mapping[str, tuple[float, float]], *, peak: float, bandwidth: float, alt: str
) -> Picture:
    """Draw computations under what a machine allows: min(peak, bandwidth * intensity).

    points      name -> (operations for each byte moved, operations a second)
    peak        the most operations a second
    bandwidth   the most bytes a second
    """
    figure, (ax,) = start(6.4, 3.8)
    ridge = peak / bandwidth
    intensities = [x for x, _ in points.values()]
    low, high = min(*intensities, ridge) / 2, max(*intensities, ridge) * 2
    x = np.geomspace(low, high, 100)
    ax.plot(x, np.minimum(peak, bandwidth * x) / 1e9, color=SHADES[0], linewidth=2)
    for number, (name, (intensity, speed)) in enumerate(points.items()):
        look = dict(marker=MARKS[number % 4], color=LINES[number % 4], markeredgecolor=INK)
        ax.plot(intensity, speed / 1e9, linestyle="", **look)
        ax.annotate(name, (intensity, speed / 1e9), (6, -3), textcoords="offset points")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("operations for each byte moved")
    ax.set_ylabel("billions of operations a second")
    ax.grid(True, which="both", color="#e4e4e4", linewidth=0.5)
    return Picture(figure, alt)


@in_style
def widths(steps: Sequence[tuple[str, int]], *, alt: str) -> Picture:
    """Draw how wide a token's vector is at each step, from top to bottom, as centred bars."""
    figure, (ax,) = start(6.8, 0.42 * len(steps) + 0.5)
    widest = max(channels for _, channels in steps)
    for place, (name, channels) in enumerate(steps):
        shade = SHADES[1 if channels == widest else 2]
        look = dict(color=shade, edgecolor=INK, linewidth=0.5)
        ax.barh(place, channels, left=-channels / 2, height=0.5, **look)
        ax.text(widest * 0.56, place, f"{channels}  {name}", va="center")
        if place:
            above = steps[place - 1][1]
            for side in (-1, 1):
                ax.plot([side * above / 2, side * channels / 2], [place - 0.75, place - 0.25],
                        color="#888888", linewidth=0.8)  # fmt: skip
    ax.set_xlim(-widest * 0.52, widest * 1.35)
    ax.invert_yaxis()
    ax.axis("off")
    return Picture(figure, alt)


# ---- boxes and arrows ----------------------------------------------------------------------

LOOKS = {  # kind: fill, line width, dashes, what it means
    "data": ("white", 0.8, "-", "what enters"),
    "weights": ("#dbe9f6", 0.8, "-", "has weights"),
    "mixes": ("#9ecae1", 2.0, "-", "tokens meet"),
    "plain": ("#f4f4f4", 0.8, "--", "neither"),
}


@dataclass(frozen=True)
class Box:
    """A step of a diagram.

    name     how other boxes call it, and what is written in it
    shape    of its result, written below the name
    at       (column, row); rows count from the top
    inputs   names of the boxes that it is computed from
    kind     a key of LOOKS
    """

    name: str
    shape: str
    at: tuple[float, float]
    inputs: tuple[str, ...] = ()
    kind: str = "weights"


BOX_WIDTH, BOX_HEIGHT = 0.9, 0.62  # in columns and rows


@in_style
def diagram(boxes: Sequence[Box], *, title: str = "", alt: str = "") -> Picture:
    """Draw boxes with an arrow from each to those that are computed from it.

    An arrow that would cross another box goes round it, on the right. Without `alt` the description
    tells box by box what is computed from what.
    """
    by_name = {box.name: box for box in boxes}
    columns = [box.at[0] for box in boxes]
    rows = [box.at[1] for box in boxes]
    left, right = min(columns) - 0.6, max(columns) + 0.6
    width = min(11.0, max(4.2, 1.75 * (right - left) + 0.6))
    figure, (ax,) = start(width, 0.58 * (max(rows) + 1) + 0.7)
    lane = right + 0.05  # where arrows go round, a little farther out each time
    for box in boxes:
        for name in box.inputs:
            source = by_name[name]
            if any(_is_between(each.at, source.at, box.at) for each in boxes):
                _arrow_round(ax, source.at, box.at, lane)
                lane += 0.12
            else:
                _arrow(ax, source.at, box.at)
    for box in boxes:
        _draw_box(ax, box)
    ax.set_xlim(left, max(right, lane))
    ax.set_ylim(max(rows) + 0.5, min(rows) - 0.5)
    ax.axis("off")
    ax.set_title(title)
    used = [kind for kind in LOOKS if kind != "data" and any(b.kind == kind for b in boxes)]
    handles = [_patch((0, 0), kind) for kind in used]
    figure.legend(handles, [LOOKS[k][3] for k in used], loc="outside lower center", ncols=3)
    return Picture(figure, alt or describe(boxes, title))


def describe(boxes: Sequence[Box], title: str) -> str:
    """Tell box by box what is computed from what, and of which shape it is."""
    steps = []
    for box in boxes:
        sources = f" from {' and '.join(box.inputs)}" if box.inputs else ""
        steps.append(f"{box.name} {box.shape}{sources}".replace("\n", " "))
    return f"Block diagram: {title}. " + "; ".join(steps) + "."


def _is_between(
    place: tuple[float, float], source: tuple[float, float], target: tuple[float, float]
) -> bool:
    """Tell whether a box stands on the straight way from one to another."""
    if not source[1] < place[1] < target[1]:
        return False
    share = (place[1] - source[1]) / (target[1] - source[1])
    return abs(source[0] + share * (target[0] - source[0]) - place[0]) < BOX_WIDTH / 2


def _patch(centre: tuple[float, float], kind: str) -> FancyBboxPatch:
    fill, line, dashes, _ = LOOKS[kind]
    corner = centre[0] - BOX_WIDTH / 2, centre[1] - BOX_HEIGHT / 2
    return FancyBboxPatch(
        corner, BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=fill, edgecolor=INK, linewidth=line, linestyle=dashes,
    )  # fmt: skip


def _draw_box(ax: Any, box: Box) -> None:
    ax.add_patch(_patch(box.at, box.kind))
    x, y = box.at
    ax.text(x, y - 0.13, box.name, ha="center", va="center", fontsize=8, fontweight="bold")
    ax.text(x, y + 0.15, box.shape, ha="center", va="center", fontsize=7.5)


ARROW = dict(arrowstyle="-|>", color="#555555", linewidth=0.9, shrinkA=0, shrinkB=0)


def _arrow(ax: Any, source: tuple[float, float], target: tuple[float, float]) -> None:
    begin = source[0], source[1] + BOX_HEIGHT / 2
    end = target[0], target[1] - BOX_HEIGHT / 2
    ax.annotate("", end, begin, arrowprops=ARROW)


def _arrow_round(
    ax: Any, source: tuple[float, float], target: tuple[float, float], lane: float
) -> None:
    begin, end = source[0] + BOX_WIDTH / 2, target[0] + BOX_WIDTH / 2
    ax.plot([begin, lane, lane], [source[1], source[1], target[1]], color="#555555", linewidth=0.9)
    ax.annotate("", (end, target[1]), (lane, target[1]), arrowprops=ARROW)


def layer(config: Any, T: int | str = "T") -> Picture:
    """Draw one layer of a model, with the shapes that its config gives for T tokens."""
    title = f"a layer of {FAMILIES[config.model_type]}"
    return diagram(LAYERS[config.model_type](config, T), title=title)


def model(config: Any, T: int | str = "T") -> Picture:
    """Draw a whole model with its masked-LM head, with the shapes that its config gives."""
    D, V, N = config.hidden_size, config.vocab_size, config.num_hidden_layers
    E = getattr(config, "embedding_size", D)
    entering = [Box("ids", f"[B, {T}]", (0, 0), (), "data")]
    narrow = D if config.model_type == "squeezebert" else E
    entering.append(Box("embeddings", f"[B, {T}, {narrow}]", (0, 1), ("ids",)))
    if narrow != D:
        name = "trigrams, map" if config.model_type == "mobilebert" else "projection"
        kind = "mixes" if config.model_type == "mobilebert" else "weights"
        entering.append(Box(name, f"[B, {T}, {D}]", (0, 2), ("embeddings",), kind))
    for number in range(N):
        above = entering[-1]
        place = (0, above.at[1] + 1)
        entering.append(Box(f"layer {number}", f"[B, {T}, {D}]", place, (above.name,), "mixes"))
    row = entering[-1].at[1]
    head = E if config.model_type == "convbert" else D
    entering.append(Box("map, GELU, norm", f"[B, {T}, {head}]", (0, row + 1), (f"layer {N - 1}",)))
    if config.hidden_act == "relu":
        entering[-1] = Box("map, ReLU, norm", *list(vars(entering[-1]).values())[1:])
    last = entering[-1].name
    entering.append(Box("word scores", f"[B, {T}, {V}]", (0, row + 2), (last,)))
    title = f"{FAMILIES[config.model_type]} with its masked-LM head"
    return diagram(entering, title=title)


FAMILIES = {
    "bert": "BERT",
    "convbert": "ConvBERT",
    "mobilebert": "MobileBERT",
    "squeezebert": "SqueezeBERT",
}


def _attention(H: int, T: int | str, width: int, row: int, centre: float) -> list[Box]:
    """Return the boxes of attention below those of query, key and value."""
    shares, mixed = f"[B, {H}, {T}, {T}]", f"[B, {T}, {width}]"
    softmax = Box("softmax(q kᵀ)", shares, (centre - 0.5, row), ("query", "key"), "mixes")
    return [softmax, Box("context", mixed, (centre, row + 1), (softmax.name, "value"), "mixes")]


def _feed_forward(config: Any, T: int | str, D: int, row: int, source: str, column: float) -> list:
    """Return the boxes of a feed-forward network with its residual connection."""
    I = config.intermediate_size
    activation = config.hidden_act.upper().replace("RELU", "ReLU")
    wide = f"wide, {activation}"
    return [
        Box(wide, f"[B, {T}, {I}]", (column, row), (source,)),
        Box("narrow", f"[B, {T}, {D}]", (column, row + 1), (wide,)),
        Box("add, norm 2", f"[B, {T}, {D}]", (column, row + 2), ("narrow", source)),
    ]


def _bert_layer(config: Any, T: int | str) -> list[Box]:
    D, H = config.hidden_size, config.num_attention_heads
    full = f"[B, {T}, {D}]"
    maps = [Box(n, full, (c, 1), ("x",)) for c, n in enumerate(("query", "key", "value"))]
    return [
        Box("x", full, (1, 0), (), "data"),
        *maps,
        *_attention(H, T, D, 2, 1),
        Box("output map", full, (1, 4), ("context",)),
        Box("add, norm 1", full, (1, 5), ("output map", "x")),
        *_feed_forward(config, T, D, 6, "add, norm 1", 1),
    ]


def _convbert_layer(config: Any, T: int | str) -> list[Box]:
    D, H, A, K = config.hidden_size, config.heads, config.mixed_size, config.conv_kernel_size
    half, full = f"[B, {T}, {A}]", f"[B, {T}, {D}]"
    names = ("value", "key", "query", "span summary", "local")
    maps = [Box(n, half, (c, 1), ("x",), "mixes" if n == "span summary" else "weights")
            for c, n in enumerate(names)]  # fmt: skip
    return [
        Box("x", full, (2, 0), (), "data"),
        *maps,
        Box("softmax(q kᵀ)", f"[B, {H}, {T}, {T}]", (1.5, 2), ("query", "key"), "mixes"),
        Box("filters", f"[B, {T}, {H}, {K}]", (2.6, 2), ("query", "span summary")),
        Box("far", half, (1, 3), ("softmax(q kᵀ)", "value"), "mixes"),
        Box("near", half, (3, 3), ("filters", "local"), "mixes"),
        Box("far, near", full, (2, 4), ("far", "near"), "plain"),
        Box("output map", full, (2, 5), ("far, near",)),
        Box("add, norm 1", full, (2, 6), ("output map", "x")),
        *_feed_forward(config, T, D, 7, "add, norm 1", 2),
    ]


def _mobilebert_layer(config: Any, T: int | str) -> list[Box]:
    D, C, H = config.hidden_size, config.true_hidden_size, config.num_attention_heads
    inside, full, I = f"[B, {T}, {C}]", f"[B, {T}, {D}]", config.intermediate_size
    boxes = [
        Box("x", full, (2, 0), (), "data"),
        Box("shared", inside, (0.5, 1), ("x",)),
        Box("bottleneck", inside, (3, 1), ("x",)),
        Box("query", inside, (0, 2), ("shared",)),
        Box("key", inside, (1, 2), ("shared",)),
        Box("value", inside, (2, 2), ("x",)),
        *_attention(H, T, C, 3, 1),
        Box("output map", inside, (1, 5), ("context",)),
        Box("add, norm 1", inside, (2, 6), ("output map", "bottleneck")),
    ]
    for number in range(config.num_feedforward_networks):
        boxes.append(
            Box(f"feed-forward {number}", f"to {I} and back", (2, 7 + number), (boxes[-1].name,))
        )
    row = 7 + config.num_feedforward_networks
    boxes.append(Box("lead out", full, (2, row), (boxes[-1].name,)))
    boxes.append(Box("add, norm", full, (2, row + 1), ("lead out", "x")))
    return boxes


def _squeezebert_layer(config: Any, T: int | str) -> list[Box]:
    D, H = config.hidden_size, config.num_attention_heads
    full = f"[B, {T}, {D}]"
    groups = {"query": config.q_groups, "key": config.k_groups, "value": config.v_groups}
    maps = [Box(f"{n}, G={g}", full, (c, 1), ("x",)) for c, (n, g) in enumerate(groups.items())]
    query, key, value = (box.name for box in maps)
    after = f"output map, G={config.post_attention_groups}"
    wide, narrow = f"wide, G={config.intermediate_groups}", f"narrow, G={config.output_groups}"
    softmax = Box("softmax(q kᵀ)", f"[B, {H}, {T}, {T}]", (0.5, 2), (query, key), "mixes")
    return [
        Box("x", full, (1, 0), (), "data"),
        *maps,
        softmax,
        Box("context", full, (1, 3), (softmax.name, value), "mixes"),
        Box(after, full, (1, 4), ("context",)),
        Box("add, norm 1", full, (1, 5), (after, "x")),
        Box(wide, f"[B, {T}, {config.intermediate_size}]", (1, 6), ("add, norm 1",)),
        Box(narrow, full, (1, 7), (wide,)),
        Box("add, norm 2", full, (1, 8), (narrow, "add, norm 1")),
    ]


LAYERS = {
    "bert": _bert_layer,
    "convbert": _convbert_layer,
    "mobilebert": _mobilebert_layer,
    "squeezebert": _squeezebert_layer,
}
