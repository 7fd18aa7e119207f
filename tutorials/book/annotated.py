"""Pages of the reading files: source, and beside each line its note and its value in a pass."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from book.passes import SENTENCE, Pass, Value
from npbert.tracing.equations import EQUATIONS
from npbert.tracing.page.marking import functions_of, marked_lines
from npbert.tracing.source import PACKAGE, statements_of

FAMILIES = ("bert", "convbert", "mobilebert", "squeezebert")
SHARED = ("ops", "activations", "kernels")
READING = [f"{name}.py" for name in (*FAMILIES, *SHARED)]
BANNER = re.compile(r"# -{4} (.+?) -+$")


# ---- what there is to say ------------------------------------------------------------------


@dataclass
class Ran:
    """What is known of the reading files' lines.

    passes   all of them
    calls    file and line of a def -> the calls of that function: a pass and the number of a step
    lines    file and line -> the first call in which it ran
    within   pass and step -> line -> the steps that were called there
    """

    passes: list[Pass] = field(default_factory=list)
    calls: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    lines: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    within: dict[tuple[int, int], dict[int, list[int]]] = field(default_factory=dict)

    def add(self, run: Pass) -> None:
        """Add a pass; ValueError for a line that ran and has no value."""
        number = len(self.passes)
        self.passes.append(run)
        for i, step in enumerate(run.steps):
            self.calls.setdefault((step.file, step.line), []).append((number, i))
            for line in dict.fromkeys(step.ran):
                if (i, line) not in run.values:
                    raise ValueError(f"{step.file}:{line} ran in {run.title} and has no value")
                self.lines.setdefault((step.file, line), (number, i))
            if step.caller is not None:
                inside = self.within.setdefault((number, step.caller), {})
                inside.setdefault(step.caller_line, []).append(i)


def lost_notes() -> list[str]:
    """Return the notes on the reading files whose function or line is gone."""
    lost = []
    for file, functions in EQUATIONS.items():
        if file not in READING:
            continue
        nodes = functions_of(str(PACKAGE / file)).values()
        for function, (_, sentences) in functions.items():
            known = {name for node in nodes if node.name == function for name in names_in(node)}
            lost += [
                f"{file}: {function}.{key}"
                for key in sentences
                if not known.issuperset(key.partition(".")[0].split(" of "))  # call of parameters
            ]
    return lost


def names_in(function: ast.FunctionDef) -> set[str]:
    """Return what a note on a function may be about: names, calls, and what it returns."""
    nodes = list(ast.walk(function))
    found = {"returned"} if any(isinstance(node, ast.Return) for node in nodes) else set()
    found |= {node.id for node in nodes if isinstance(node, ast.Name)}
    return found | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


# ---- a page --------------------------------------------------------------------------------


def page(file: str, ran: Ran) -> str:
    """Return the page of a file of the package as Markdown with HTML in it."""
    rows = marked_lines(str(PACKAGE / file))
    text = (PACKAGE / file).read_text("utf-8").splitlines()
    chosen = steps_of(file, ran)
    parts = [head_of(file, ran)]
    chunk: list[str] = []
    for number, row in enumerate(rows, 1):
        banner = BANNER.match(text[number - 1])
        if banner:
            parts += [block(chunk), f"\n## {banner[1].capitalize()}\n"]
            chunk = []
        chunk.append(line_row(file, number, row, chosen, ran))
    return "\n".join([*parts, block(chunk)])


def head_of(file: str, ran: Ran) -> str:
    name = file.removesuffix(".py")
    runs = [ran.passes[number] for number in dict.fromkeys(n for n, _ in calls_in(file, ran))]
    legend = runs[0].legend if name in FAMILIES else {}
    letters = ", ".join(f"*{letter}* {meaning}" for letter, meaning in legend.items())
    executed = sum(place[0] == file for place in ran.lines)
    lines = [
        "---", "hide-toc: true", "---", "",
        f"# {file}: every line and its value", "",
        "Beside a line stands what it computes, in words, with the section of the paper; then the "
        "shape and the value that it had in a pass: the first numbers, mean ± standard deviation, "
        f"the extremes. The sentence is “{SENTENCE}”; the model is {runs[0].title}, and another "
        f"one where a line says so. Each of the {executed} lines that ran has a "
        "value, and what a call does unfolds below its line.", "",
    ]  # fmt: skip
    if name in FAMILIES:
        trace = f'<a href="../trace/{name}-tiny.html">every value of a whole pass</a>'
        lines += [f"Axes: {letters}.", "", f"Beyond this page: {trace}.", ""]
    return "\n".join(lines)


def calls_in(file: str, ran: Ran) -> Iterator[tuple[int, int]]:
    for (where, _), calls in ran.calls.items():
        if where == file:
            yield from calls


def block(rows: list[str]) -> str:
    """Return lines as a block of HTML; nothing for blank lines alone."""
    return "\n".join(["``````{raw} html", '<div class="source">', *rows, "</div>", "``````"])


def steps_of(file: str, ran: Ran) -> dict[int, tuple[int, int]]:
    """Return for each line that ran the call that is shown: its function's first, if it can be."""
    found = {}
    for (where, line), first in ran.lines.items():
        if where == file:
            number, i = first
            start = ran.calls[file, ran.passes[number].steps[i].line][0]
            ran_there = line in ran.passes[start[0]].steps[start[1]].ran
            found[line] = start if ran_there else first
    return found


def line_row(file: str, number: int, row: str, chosen: dict[int, tuple[int, int]], ran: Ran) -> str:
    """Return a line of the source with its note, and with what is called there, folded."""
    anchor = f'<a class="number" href="#L{number}" aria-label="line {number}">{number}</a>'
    code = f'<code class="code">{row or " "}</code>'
    if (file, number) in ran.calls:
        said = f'<div class="note"><p>{calls_of(file, number, ran)}</p></div>'
        return f'<div class="row ran" id="L{number}">{anchor}{code}{said}</div>'
    if number not in chosen:
        return f'<div class="row" id="L{number}">{anchor}{code}</div>'
    note = note_on(number, chosen[number], ran)
    title = ran.passes[chosen[number][0]].title
    if title != ran.passes[min(n for n, _ in calls_in(file, ran))].title:
        note += f'<p class="paper">in {html.escape(title)}</p>'
    unfolded = "".join(unfold(ran, chosen[number], number, file))
    return (
        f'<div class="row ran" id="L{number}">{anchor}{code}<div class="note">{note}</div>'
        f"{unfolded}</div>"
    )


def calls_of(file: str, line: int, ran: Ran) -> str:
    """Say how often the function that begins on a line is called, and which call is shown."""
    number, i = ran.calls[file, line][0]
    run = ran.passes[number]
    times = sum(other == number for other, _ in ran.calls[file, line])
    scope = run.steps[i].scope
    shown = "the first is shown" if times > 1 else "shown here"
    place = f", of <code>{html.escape(scope)}</code>" if scope else ""
    often = "called once" if times == 1 else f"called {times} times"
    return f"{often} in {html.escape(run.title)}; {shown}{place}"


def note_on(line: int, call: tuple[int, int], ran: Ran) -> str:
    """Return what is said beside a line, as HTML."""
    run = ran.passes[call[0]]
    values = run.values[call[1], line]
    said, lines = set(), []
    for value in values:
        words = word_on(value, run)
        if words and words.equation and words.equation not in said:
            said.add(words.equation)
            paper = f' <span class="paper">{html.escape(words.section)}</span>' * bool(
                words.section
            )
            lines.append(f'<p class="equation">{html.escape(words.equation)}{paper}</p>')
    lines += [f'<p class="value">{value_line(value, run)}</p>' for value in values]
    return "".join(lines)


def word_on(value: Value, run: Pass):
    return run.words.get(run.names.get(id(value.array), "")) if value.array is not None else None


def value_line(value: Value, run: Pass) -> str:
    """Return a value on one line: its name, its axes with their sizes, and its numbers."""
    name = f"<b>{html.escape(value.name)}</b> " if value.name else ""
    shape = ""
    if value.array is not None:
        words = word_on(value, run)
        sizes = [str(size) for size in value.array.shape]
        if words and words.axes is not None and len(words.axes) == len(sizes):
            pairs = zip(words.axes, sizes)
            sizes = [size if axis == size else f"{axis} {size}" for axis, size in pairs]
        shape = f'<span class="axes">[{", ".join(sizes)}]</span> '
    return f"{name}{shape}{html.escape(value.text)}"


# ---- calls, unfolded -----------------------------------------------------------------------


def unfold(ran: Ran, call: tuple[int, int], line: int, file: str) -> Iterator[str]:
    """Yield each call of a function of a reading file on a line, as an element that opens.

    file: the file whose page it is; its own functions have their lines on the page, once. Opened,
    such a call takes a copy of them (static/unfold.js), and without a script it is a link.
    """
    number, _ = call
    run = ran.passes[number]
    shown: set[int] = set()  # functions of this file, each once a line
    for inner in ran.within.get(call, {}).get(line, []):
        step = run.steps[inner]
        if step.file not in READING or (step.file == file and step.line in shown):
            continue
        scope = html.escape(f" of {step.scope}" if step.scope else "")
        place, there = f"{step.file}:{step.line}", f"{step.file}.html#L{step.line}"
        lines, rows = "", ""
        if step.file == file:
            shown.add(step.line)
            there = f"#L{step.line}"
            first, last = body_of(step.file, step.line)
            lines = f' data-def="{step.line}" data-first="{first}" data-last="{last}"'
        else:
            rows = "".join(unfolded_rows(ran, (number, inner)))
            rows = f'<div class="source">{rows}</div>'
        yield (
            f'<details class="call"{lines}><summary><code>{step.function}</code>{scope}</summary>'
            f'{rows}<p>This is <a href="{there}">{place}</a>.</p></details>'
        )


def body_of(file: str, line: int) -> tuple[int, int]:
    """Return the first and the last line of the body of a function, without its docstring."""
    node = functions_of(str(PACKAGE / file))[line]
    return node.body[1 if ast.get_docstring(node) else 0].lineno, node.end_lineno or line


def unfolded_rows(ran: Ran, call: tuple[int, int]) -> Iterator[str]:
    """Yield the lines of a function's body as they ran in a call."""
    run, i = ran.passes[call[0]], call[1]
    step = run.steps[i]
    path = str(PACKAGE / step.file)
    rows, statements, ran_lines = marked_lines(path), statements_of(path), set(step.ran)
    first, last = body_of(step.file, step.line)
    for number in [step.line, *range(first, last + 1)]:
        note = ""
        if number in ran_lines:
            note = f'<div class="note">{note_on(number, call, ran)}</div>'
            note += "".join(unfold(ran, call, number, ""))
        elif number in statements and statements[number].lineno == number != step.line:
            note = '<div class="note">did not run</div>'
        yield (
            f'<div class="row{" ran" * bool(note)}"><span class="number">{number}</span>'
            f'<code class="code">{rows[number - 1] or " "}</code>{note}</div>'
        )
