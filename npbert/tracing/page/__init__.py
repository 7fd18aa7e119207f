"""The trace page: one HTML file in which a reader follows a forward pass line by line.

reading.py     from a model's name and texts to a model, its tokens and its inputs
listing.py     the forward pass: which calls it made, which lines ran, what they named
marking.py     the lines of a function as HTML
values.py      an array in few bytes, and its statistics
collecting.py  all of it as the data of a page
rendering.py   data, page.html, styles/ and scripts/ in one file
"""

from __future__ import annotations

from pathlib import Path


def make_page(
    model: str | Path, texts: list[str], head: str | None = None, truncation: bool = False
) -> str:
    """Run a model on a text and return the page of its forward pass, as HTML.

    model: a directory, or the name of a checkpoint that ships with npbert.
    texts: one, or two for a pair; for a multiple-choice head a prompt and its choices.
    head: "Model", "ForMaskedLM", ...; by default what the checkpoint was saved as.
    truncation: cut a text that is longer than the model can take, instead of refusing it.

    Raises what `reading.read` raises.
    """
    from npbert.tracing.page.collecting import collect
    from npbert.tracing.page.reading import read
    from npbert.tracing.page.rendering import render

    return render(collect(read(model, texts, head, truncation)))
