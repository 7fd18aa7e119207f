"""Runs the chapters as notebooks, each again only when something that it depends on has changed."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbclient
import nbformat

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tutorials"
CHAPTERS = sorted(FOLDER.glob("[0-9][0-9]_*.md"))
LIMIT = 300  # seconds that a cell may take


def run_all(cache: Path) -> dict[str, nbformat.NotebookNode]:
    """Return every chapter's name and its notebook with all outputs.

    cache: a directory for notebooks that were run, under the hash of everything they depend on.
    Raises what nbclient raises for a cell that fails.
    """
    common = hash_of_what_all_depend_on()
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda path: run(path, common, cache), CHAPTERS))
    return {path.stem: notebook for path, notebook in zip(CHAPTERS, found)}


def run(path: Path, common: str, cache: Path) -> nbformat.NotebookNode:
    """Run a chapter, or take from the cache what it gave when it was run last."""
    key = hashlib.sha256(path.read_bytes() + common.encode()).hexdigest()
    kept = cache / f"{path.stem}-{key[:20]}.ipynb"
    if not kept.exists():
        notebook = jupytext.read(path)
        place = {"metadata": {"path": str(FOLDER)}}
        quiet = ["--log-level=40"]
        nbclient.NotebookClient(
            notebook, timeout=LIMIT, resources=place, extra_arguments=quiet
        ).execute()
        for old in cache.glob(f"{path.stem}-*.ipynb"):
            old.unlink()
        unfinished = kept.with_suffix(".part")
        nbformat.write(notebook, unfinished)
        unfinished.replace(kept)
    return nbformat.read(kept, as_version=4)


def hash_of_what_all_depend_on() -> str:
    """Return a hash of npbert, the drawings, the port and the shipped models."""
    files = [
        *(ROOT / "npbert").rglob("*.py"),
        FOLDER / "pictures.py",
        *FOLDER.glob("*.mjs"),
        *(ROOT / "weights").glob("*/*.json"),
        *(ROOT / "weights").glob("*/*.safetensors"),
        *(ROOT / "weights/golden").rglob("manifest.json"),
    ]
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(
            str(path.relative_to(ROOT)).encode() + hashlib.sha256(path.read_bytes()).digest()
        )
    return whole.hexdigest()
