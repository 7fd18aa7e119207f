"""The command `npbert trace`: a page on which a forward pass can be followed line by line."""

from __future__ import annotations

import argparse
from pathlib import Path


def trace(arguments: argparse.Namespace) -> None:
    from npbert.checkpoints.files import atomic_write
    from npbert.tracing.page import make_page

    model = arguments.model
    output = Path(arguments.output or f"{Path(model).resolve().name}-trace.html")
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a directory, expected the name of a file to write")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: there is no directory {output.parent} to write it to")
    texts = [arguments.text, *arguments.more]
    page = make_page(model, texts, arguments.head, arguments.truncation).encode("utf-8")
    with atomic_write(output) as file:
        file.write(page)
    print(f"{output}: {len(page) / 1e6:.1f} MB")
