"""Writes the pages that Sphinx reads: chapters, documents, sources, traces, the reference."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

import nbformat

from book import annotated, passes
from book.links import PICTURES, page_of, rewritten
from npbert.live.folder import live_page, write_notebooks
from npbert.tracing.page.marking import marked_lines

ROOT = Path(__file__).parents[2]
TRACED = {
    "bert-tiny": ["It was cold outside.", "He drank a cup of [MASK] by the fire."],
    "convbert-tiny": ["The children went to [MASK] to learn to read."],
    "convbert-tiny-answer": ["Plants use light to make [MASK].", "They make sugar from the light."],
    "convbert-tiny-disturbed": ["He go to to school."],
    "mobilebert-tiny": ["He was tired and cold.", "He drank a cup of [MASK] by the fire."],
    "mobilebert-tiny-choice": ["It rained all night.", "The road was gone.", "Prices rise."],
    "squeezebert-tiny": ["The children went to [MASK] to learn to read."],
    "squeezebert-tiny-restore": ["in 1969 neil armstrong walked on the moon"],
}
REFERENCE = {  # page: its title, and the modules that it describes
    "models": ("Models", ["bert", "convbert", "mobilebert", "squeezebert", "auto"]),
    "operations": ("Operations", ["ops", "activations", "kernels"]),
    "tasks": ("From text to an answer", ["tasks.masks", "tasks.texts", "tasks.tokens",
                                         "tasks.answers", "tasks.pairs", "tasks.features",
                                         "tasks.mending"]),
    "tokenizer": ("Tokenizer", ["tokenizer.bert_tokenizer", "tokenizer.base",
                                "tokenizer.batch_encoding", "tokenizer.added_tokens",
                                "tokenizer.stages"]),
    "configurations": ("Configurations, inputs, outputs", ["model.config", "model.outputs",
                                                           "model.inputs", "model.base",
                                                           "model.heads"]),
    "tracing": ("Tracing", ["tracing.recording", "tracing.quantities", "tracing.annotations"]),
    "checking": ("Golden kits", ["golden", "golden.kit", "golden.making", "golden.checking",
                                 "golden.report", "golden.page", "golden.testing"]),
    "checkpoints": ("Checkpoints and backends", ["checkpoints.shipped", "compiled.backend"]),
}  # fmt: skip


class Pages:
    """Writes pages below a directory; what they link to is written as well."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.written: set[str] = set()
        self.waiting: list[Path] = []

    def write(self, page: str, text: str) -> None:
        """Write a page, and leave it as it is where nothing changed, so that Sphinx skips it."""
        self.written.add(page)
        place = self.to / page
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists() or place.read_text("utf-8") != text:
            place.write_text(text, "utf-8")

    def write_linked(self) -> None:
        """Write the page of everything that a link leads to, until none is missing."""
        while self.waiting:
            path = self.waiting.pop()
            page = page_of(path, ROOT)
            if page in self.written:
                continue
            if path.is_dir() and page.endswith("README.md"):
                path = path / "README.md"
            if path.suffix in PICTURES:
                self.written.add(page)
                (self.to / page).parent.mkdir(parents=True, exist_ok=True)
                (self.to / page).write_bytes(path.read_bytes())
            elif path.is_dir():
                self.write(page, self.listing(path))
            elif path.suffix == ".md":
                self.document(path)
            else:
                self.write(page, source_page(path))

    def document(self, path: Path, page: str = "", more: str = "") -> None:
        """Write a Markdown file of the repository as a page, with something after it."""
        page = page or page_of(path, ROOT)
        text = rewritten(path.read_text("utf-8"), path, page, ROOT, self.waiting.append)
        if page != "index.md":
            text = f"---\norphan: true\n---\n\n{text}"
        self.write(page, text + more)

    def chapter(self, name: str, notebook: nbformat.NotebookNode) -> None:
        """Write a chapter with its outputs."""
        path, page = ROOT / f"tutorials/{name}.md", f"tutorials/{name}.ipynb"
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = rewritten(cell.source, path, page, ROOT, self.waiting.append)
            cell.metadata.pop("execution", None)  # when it ran is of no interest
        self.write(page, nbformat.writes(notebook))

    def listing(self, path: Path) -> str:
        """Return the page of a directory: its files, each with its subject."""
        lines = ["---", "orphan: true", "---", "", f"# {path.relative_to(ROOT)}/", ""]
        for each in sorted(path.iterdir()):
            if each.suffix in (".py", ".json", ".md") and each.is_file():
                self.waiting.append(each)
                name = Path(page_of(each, ROOT)).name
                subject = subject_of(each)
                lines.append(f"- [{each.name}]({name}){': ' * bool(subject)}{subject}")
        return "\n".join([*lines, ""])

    def forget_others(self) -> None:
        """Remove what an earlier build wrote and this one did not."""
        for path in self.to.rglob("*"):
            if path.is_file() and path.relative_to(self.to).as_posix() not in self.written:
                path.unlink()


def subject_of(path: Path) -> str:
    if path.suffix != ".py":
        return ""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return docstring.partition("\n")[0].replace("_", r"\_").replace("*", r"\*")


def source_page(path: Path) -> str:
    """Return the page of a file that is shown as it stands, each line with an anchor."""
    if path.suffix == ".py":
        rows = marked_lines(str(path))
    else:
        rows = [html.escape(row, quote=False) for row in path.read_text("utf-8").splitlines()]
    lines = [
        f'<div class="row" id="L{n}"><a class="number" href="#L{n}" aria-label="line {n}">{n}</a>'
        f'<code class="code">{row or " "}</code></div>'
        for n, row in enumerate(rows, 1)
    ]
    name = path.relative_to(ROOT).as_posix()
    head = ["---", "orphan: true", "nosearch: true", "hide-toc: true", "---", "", f"# `{name}`", ""]
    return "\n".join([*head, annotated.block(lines)])


def write_annotated(pages: Pages) -> None:
    """Write the pages of the reading files. Raises ValueError for a note whose line is gone."""
    lost = annotated.lost_notes()
    if lost:
        raise ValueError(f"notes in npbert/tracing/equations.py on what is gone: {', '.join(lost)}")
    ran = annotated.Ran()
    for each in passes.all_passes():
        ran.add(each)
    for file in annotated.READING:
        pages.write(f"npbert/{file}.md", annotated.page(file, ran))


def write_traces(pages: Pages, to: Path, engine: str) -> None:
    """Write the live trace page of each shipped model, and the page that lists them.

    What they need to run a reader's own text lies in live/ beside their folder, and so does what
    the chapters need (`notebook.js`). engine: where the browser's Python is.
    """
    write_notebooks(to.parent / "live", engine, repository_files())
    to.mkdir(parents=True, exist_ok=True)
    lines = ["# A whole pass, value by value", "",
             "One page for each model that ships with npbert, as `npbert trace` makes them: source "
             "on the left, on the right what each line computed. On each a text of your own can be "
             "run in the browser, with any of the models, and every line of the source can be "
             "changed: the page then says what that changes, and which classic mistake it is.", "",
             "```{raw} html", "<ul>"]  # fmt: skip
    for name, texts in TRACED.items():
        page = live_page(name, texts, address=engine, beside="../live/")
        (to / f"{name}.html").write_text(page, "utf-8")
        shown = html.escape(" / ".join(texts))
        lines.append(f'<li><a href="{name}.html">{name}</a>: {shown}</li>')
    pages.write("trace/index.md", "\n".join([*lines, "</ul>", "```", ""]))


def repository_files() -> dict[str, Path]:
    """Return what chapters read besides checkpoints, by the place that they find it at."""
    found = [
        *(ROOT / "weights/reference").glob("*.safetensors"),
        *(ROOT / "weights").glob("*/training.csv"),
        *(path for path in (ROOT / "weights/golden").rglob("*") if path.is_file()),
        ROOT / "tutorials/convbert.mjs",
    ]
    places = {path.relative_to(ROOT).as_posix(): path for path in sorted(found)}
    return {"pictures.py": ROOT / "tutorials/pictures.py"} | places


def write_reference(pages: Pages) -> None:
    """Write the pages of the reference, for Sphinx to fill in from the docstrings."""
    for page, (title, modules) in REFERENCE.items():
        lines = [title, "=" * len(title), ""]
        for module in modules:
            name = f"npbert.{module}"
            heading = f"``{name}``"
            lines += [heading, "-" * len(heading), "", f".. automodule:: {name}", "   :members:",
                      "   :special-members: __call__"]  # fmt: skip
            # What a package hands on is described where it is defined, and twice it would clash.
            is_package = (ROOT / "npbert" / module.replace(".", "/")).is_dir()
            lines += ["   :ignore-module-all:", ""] if is_package else [""]
        pages.write(f"api/{page}.rst", "\n".join(lines))


def write_contents(pages: Pages) -> None:
    """Write the front page: the list of chapters, and below it everything else."""
    chapters = [path.stem for path in sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.md"))]
    index = (ROOT / "tutorials/README.md").read_text("utf-8")
    guide = [f"tutorials/{name}" for name in re.findall(r"\]\((guide/\w+)\.md\)", index)]
    trees = {
        "Chapters": [f"tutorials/{name}" for name in chapters],
        "To use it": guide,
        "Every line and its value": [f"{file} <npbert/{file}>" for file in annotated.READING],
        "To look things up": ["trace/index", "tutorials/museum", "weights/golden/README",
                              "weights/README", *(f"api/{page}" for page in REFERENCE)],
    }  # fmt: skip
    more = ""
    for caption, names in trees.items():
        options = [":hidden:", f":caption: {caption}"]
        more += "\n".join(["", "```{toctree}", *options, "", *names, "```", ""])
    lists = (
        "\n## Every line and its value\n\nThe seven files that hold all the mathematics, each line "
        "with what it computes and the value that it had:\n"
        + ", ".join(f"[{file}](npbert/{file}.md)" for file in annotated.READING)
        + ".\n\n[A whole pass of each shipped model](trace/index.md) shows all values as pictures; "
        "[the golden kits](weights/golden/README.md) are for whoever writes a port; the reference "
        "of all functions begins with [the models](api/models.rst).\n"
    )
    pages.document(ROOT / "tutorials/README.md", "index.md", lists + more)
    for name in ("tutorials/museum.md", "weights/golden/README.md", "weights/README.md"):
        pages.waiting.append(ROOT / name)
    pages.waiting += (ROOT / "npbert").rglob("*.py")  # the reference links to their lines
