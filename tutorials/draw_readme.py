"""Draws the picture at the top of the README: python tutorials/draw_readme.py (extra `book`).

Where [MASK] looks in the last layer of a shipped model, head by head, and the words that it finds.
README.md repeats the description that `draw` gives the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle
from pictures import INK, LINES, SHADES, Picture, in_style, start

import npbert

FILE = Path(__file__).parent / "attention.svg"
MODEL = "convbert-tiny"
SENTENCE = "Plants create [MASK] through a process known as photosynthesis."
CHARACTER = 0.082  # inches that one takes in the font of the word pieces
LEAST = 0.05  # shares that are written in numbers


@dataclass
class Seen:
    """What there is to draw: word pieces, [MASK]'s shares [H, T], the words found with scores."""

    pieces: list[str]
    shares: np.ndarray
    found: list[tuple[str, float]]
    place: str  # the line of the source that computed the shares


def look() -> Seen:
    """Run the model on the sentence."""
    model = npbert.ConvBertForMaskedLM.from_pretrained(MODEL)
    tokenizer = npbert.AutoTokenizer.from_pretrained(MODEL)
    inputs = tokenizer(SENTENCE, return_tensors="np")
    pieces = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    last = model.config.num_hidden_layers - 1
    trace = npbert.trace(model, **inputs)
    probs = trace[f"convbert.encoder.layer.{last}.attention.self.attend.probs"]
    answers = npbert.fill_mask(SENTENCE, model=model, tokenizer=tokenizer)
    return Seen(
        pieces,
        probs.value[0, :, pieces.index("[MASK]")],
        [(answer["token_str"], answer["score"]) for answer in answers],
        f"npbert/{probs.file}, in {probs.function}:  probs = softmax(masked_scores)"
        f"  # [B, H, T, T], here {list(probs.shape)}",
    )


@in_style
def draw(seen: Seen) -> Picture:
    """Return the picture: the sentence, arcs as wide as the shares are large, and the words."""
    widths = np.array([len(piece) for piece in seen.pieces]) * CHARACTER + 0.24
    ends = np.cumsum(widths)
    middles, right = ends - widths / 2, float(ends[-1])
    figure, [ax] = start(right + 2.5, 3.0)
    ax.set(xlim=(0, right + 2.5), ylim=(-1.5, 1.5))
    ax.axis("off")
    mask = seen.pieces.index("[MASK]")
    for t, piece in enumerate(seen.pieces):
        look = dict(color=INK, weight="bold") if t == mask else dict(color=INK)
        ax.text(middles[t], 0, piece, ha="center", va="center", family="monospace", size=10, **look)
    box = (ends[mask] - widths[mask] + 0.03, -0.16), widths[mask] - 0.06, 0.32
    ax.add_patch(Rectangle(*box, facecolor="none", edgecolor=INK))
    for head, row in enumerate(seen.shares):
        arcs(ax, middles, mask, row, above=head == 0)
        y, name = (1.36, -1.36)[head], f"where head {head} of the last layer looks from [MASK]"
        ax.text(0.05, y, name, size=9, va="center", color=LINES[head])
    words(ax, right + 0.3, seen.found)
    figure.suptitle(seen.place, family="monospace", size=8.5, x=0.01, ha="left", color=INK)
    return Picture(figure, describe(seen))


def arcs(ax: Any, middles: np.ndarray, mask: int, shares: np.ndarray, above: bool) -> None:
    """Draw an arc from [MASK] to every word piece, and the larger shares in numbers."""
    side = 1 if above else -1
    for t, share in enumerate(shares):
        if t != mask:
            bend = -side * (0.32 if middles[t] > middles[mask] else -0.32)
            ends = (middles[mask], 0.2 * side), (middles[t], 0.2 * side)
            ax.add_patch(FancyArrowPatch(
                *ends, connectionstyle=f"arc3,rad={bend}", arrowstyle="-", capstyle="round",
                linewidth=0.4 + 14 * share, color=LINES[0 if above else 1],
                shrinkA=0, shrinkB=0,
            ))  # fmt: skip
        if share >= LEAST:
            ax.text(middles[t], 0.33 * side, f"{share:.0%}", size=8.5, ha="center", va="center",
                    bbox=dict(facecolor="white", edgecolor="none", pad=0.8))  # fmt: skip


def words(ax: Any, left: float, found: list[tuple[str, float]]) -> None:
    """Draw a bar for each word that the model finds for [MASK]."""
    ax.text(left, 1.0, "what it finds", size=9, va="center")
    most = found[0][1]
    for i, (word, score) in enumerate(found):
        y = 0.6 - 0.36 * i
        ax.add_patch(Rectangle((left, y - 0.13), 0.9 * score / most, 0.26, facecolor=SHADES[1]))
        ax.text(left + 0.9 * score / most + 0.06, y, f"{word} {score:.0%}", size=9, va="center")


def describe(seen: Seen) -> str:
    """Return in words what there is to see."""
    heads = []
    for head, row in enumerate(seen.shares):
        order = np.argsort(-row)[:2]
        most = " and ".join(f"{row[t]:.0%} at {seen.pieces[t]}" for t in order)
        heads.append(f"head {head} looks {most}")
    found = ", ".join(f"{word} {score:.0%}" for word, score in seen.found)
    return (
        f"Attention in the last layer of {MODEL} for “{SENTENCE}”: from [MASK], "
        f"{'; '.join(heads)}. The words found are {found}."
    )


if __name__ == "__main__":
    picture = draw(look())
    with matplotlib.rc_context({"svg.hashsalt": "npbert", "svg.fonttype": "path"}):
        picture.figure.savefig(FILE, metadata={"Date": None})
    print(f"{FILE}\n{picture.alt}")
