"""Writes a folder with a live trace page: the page, npbert itself, and the checkpoints.

    index.html    the trace page of a text, with what starts an engine and asks it
    npbert.zip    the package without checkpoints, as this process runs it
    weights/      a folder for each checkpoint

Any server of static files can serve it. The engine comes from an address of its own (engine.py).
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npbert.auto import class_for
from npbert.checkpoints.shipped import shipped_checkpoints
from npbert.checkpoints.writing import atomic_write
from npbert.live import engine
from npbert.live.editing import FILES
from npbert.model.heads import MultipleChoice
from npbert.tasks.loading import TASKS
from npbert.tracing.page.collecting import collect
from npbert.tracing.page.reading import read
from npbert.tracing.page.rendering import POLICY, More, as_json, render
from npbert.tracing.source import PACKAGE

HERE = Path(__file__).parent / "page"
SCRIPTS = ("engine", "edits", "changes", "live")
NEEDED = ("config.json", "vocab.txt", "model.safetensors")  # of a checkpoint, and what else it has:
OPTIONAL = ("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json")
LIMIT = 20  # seconds that a pass through an edited source may take
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files make the same archive


def write_folder(
    folder: str | Path,
    model: str,
    texts: list[str],
    head: str | None = None,
    truncation: bool = False,
    address: str = engine.ADDRESS,
) -> int:
    """Write a live page of a model and its texts, with everything but the engine; return its size.

    model: the name of a checkpoint that ships with npbert; the page offers all of them.
    The other arguments are those of `tracing.page.make_page`; address: where the engine is.
    Files that are there already are replaced. Raises ValueError for what cannot be shown, and
    OSError for a folder that cannot be written.
    """
    shipped = shipped_checkpoints()
    if model not in shipped:
        known = ", ".join(shipped) or "none found"
        raise ValueError(f"a live page takes a shipped checkpoint ({known}), {model} given")
    page = live_page(model, texts, head, truncation, address)
    folder = Path(folder)
    write_files(folder, shipped)
    with atomic_write(folder / "index.html") as file:
        file.write(page.encode("utf-8"))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def live_page(
    model: str,
    texts: list[str],
    head: str | None = None,
    truncation: bool = False,
    address: str = engine.ADDRESS,
    beside: str = "",
) -> str:
    """Return a live page as HTML; `beside` is the path from it to npbert.zip and weights/."""
    setting = settings(address, beside)
    scripts = tuple(part(f"{name}.js") for name in SCRIPTS)
    worker, elements = part("worker.js"), part("live.html")
    elements += f'<script type="application/json" id="settings">{as_json(setting)}</script>\n'
    elements += f'<script type="application/json" id="worker">{as_json(worker)}</script>\n'
    data = collect(read(model, texts, head, truncation))
    return render(data, More(policy(setting["engine"]), elements, (part("live.css"),), scripts))


def part(name: str) -> str:
    """Return a file that pages are made of."""
    return (HERE / name).read_text("utf-8")


def write_notebooks(
    folder: Path, address: str = engine.ADDRESS, more: Mapping[str, Path] | None = None
) -> None:
    """Write what pages of notebooks need: notebook.js, npbert, checkpoints, and files of theirs.

    more: these files, by the place that a notebook finds them at: beside npbert, as in a clone.

    A page that has a script element with the address of notebook.js can run its cells. Live trace
    pages can use the same folder.
    """
    write_files(folder, shipped_checkpoints())
    with zipfile.ZipFile(folder / "modules.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in (more or {}).items():
            archive.write(path, name)
    setting = settings(address, packages=("numpy", "matplotlib")) | {
        "more": ["modules.zip"],
        "defaults": {task.name: task.default for task in TASKS},
    }
    worker, scripts = part("worker.js"), (part("engine.js"), part("notebook.js"))
    head = f"const settings = {as_json(setting)};\nconst workerSource = {as_json(worker)};"
    text = "\n".join(["(function () {", '"use strict";', head, *scripts, "})();", ""])
    (folder / "notebook.js").write_text(text, "utf-8")


def settings(
    address: str, beside: str = "", packages: tuple[str, ...] = ("numpy",)
) -> dict[str, Any]:
    """Return what a page must know to start an engine: addresses, hashes, checkpoints."""
    return {
        "engine": engine.checked_address(address),
        "hashes": {name: engine.integrity(name) for name in engine.HASHES},
        "packages": [*packages],
        "files": [*FILES],
        "limit": LIMIT,
        "npbert": f"{beside}npbert.zip",
        "weights": f"{beside}weights/",
        "models": {
            name: {
                "files": files_of(directory),
                "choices": issubclass(class_for(directory), MultipleChoice),
            }
            for name, directory in shipped_checkpoints().items()
        },
    }


def policy(address: str) -> str:
    """Return what a live page may do: run its engine, and fetch from here and from there."""
    elsewhere = f" {address}" if "//" in address else ""
    usual = POLICY.replace("script-src 'unsafe-inline'", f"script-src {SCRIPT_SOURCES}")
    return f"{usual}; worker-src blob:; connect-src 'self'{elsewhere}"


def notebook_policy(address: str | None) -> str:
    """Return what a page of a notebook may do: what a live page may, and load files beside it.

    address: where the engine is, as seen from notebook.js; None for a page that has no cells.
    """
    own = f"{POLICY}; connect-src 'self'"  # as the search of a site does
    usual = own if address is None else policy(engine.checked_address(address))
    beside = re.sub(r"(style|script|img)-src", r"\1-src 'self'", usual)
    return f"{beside}; base-uri 'none'; form-action 'self'"


# What the engine needs: its scripts come as blobs once their hashes were checked, WebAssembly is
# compiled, and its modules in C have a few lines of JavaScript that are evaluated.
SCRIPT_SOURCES = "'unsafe-inline' 'unsafe-eval' blob:"


def files_of(directory: Path) -> list[str]:
    """Return the files of a checkpoint that a page fetches."""
    return [name for name in (*NEEDED, *OPTIONAL) if (directory / name).is_file()]


def write_files(folder: Path, checkpoints: Mapping[str, Path]) -> None:
    """Write what every page fetches besides the engine: npbert and the checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    write_package(folder / "npbert.zip")
    for name, directory in checkpoints.items():
        write_checkpoint(directory, folder / "weights" / name)


def write_checkpoint(directory: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in files_of(directory):
        if (target / name).resolve() != (directory / name).resolve():
            shutil.copyfile(directory / name, target / name)


def write_package(path: Path) -> None:
    """Write npbert without checkpoints as an archive; the same files give the same bytes."""
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(PACKAGE.rglob("*")):
            parts = source.relative_to(PACKAGE).parts
            if source.is_file() and parts[0] != "weights" and "__pycache__" not in parts:
                info = zipfile.ZipInfo("/".join(("npbert", *parts)), EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, source.read_bytes())
