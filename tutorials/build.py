"""Builds the book as a site: python tutorials/build.py OUT (extra `book`).

Every chapter is run, and what it prints and draws is part of its page. Chapters that have not
changed are taken from tutorials/_build. OUT/index.html is the first page; no page needs a server
or the network.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from book import chapters, pages
from sphinx.application import Sphinx

from npbert.checkpoints.writing import output_directory
from npbert.live.engine import ADDRESS, checked_address

FOLDER = Path(__file__).parent
WORK = FOLDER / "_build"


def build(out: Path, engine: str = ADDRESS) -> int:
    """Write the site to a directory; return 1 where Sphinx has something to complain of.

    engine: the address of the browser's Python that its pages can run in, checked.
    """
    started = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - started:5.0f} s  {what}", flush=True)

    notebooks = chapters.run_all(WORK / "cache")
    say(f"{len(notebooks)} chapters run")
    written = pages.Pages(WORK / "source")
    for name, notebook in notebooks.items():
        written.chapter(name, notebook)
    pages.write_annotated(written)
    say("every line has its value")
    pages.write_traces(written, WORK / "extra/trace", engine)
    pages.write_reference(written)
    pages.write_contents(written)
    written.write_linked()
    written.forget_others()
    say(f"{len(written.written)} pages to make")
    told = {"html_extra_path": [str(WORK / "extra")], "engine": engine}
    application = Sphinx(
        WORK / "source", FOLDER / "book", out, WORK / "doctrees", "html",
        told, status=None, warning=sys.stderr, parallel=2,
        freshenv=True,  # lines that links lead to move without a change of the page with the link
    )  # fmt: skip
    application.build(force_all=True)
    shutil.rmtree(out / ".doctrees", ignore_errors=True)
    say(f"done: {out / 'index.html'}")
    return 1 if application._warncount else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", metavar="OUT", type=Path, help="a directory for the site")
    parser.add_argument("--engine", default=ADDRESS, help="where Pyodide is (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        address = checked_address(arguments.engine)
        out = Path(output_directory(arguments.out)).resolve()
    except ValueError as error:
        print(f"build: error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(build(out, address))
