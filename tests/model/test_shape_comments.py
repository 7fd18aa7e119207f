"""Every shape comment of the forward passes, held to the shapes that arise when they run.

npbert.tracing.source.py says what they look like. The letters are sizes of the model made
here; functions for any size take theirs from the call: where a letter comes first, it gets its
value, and later ones must agree.
"""

import ast
import dataclasses
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sized_models import MODELS, B, D, L, N, Q, T, V, classes_of

from npbert import activations, bert, convbert, kernels, mobilebert, ops, squeezebert
from npbert.compiled import backend
from npbert.model import base as models
from npbert.model import heads
from npbert.tracing.source import Comment, read_comments

MODULES = [ops, activations, kernels, bert, convbert, mobilebert, squeezebert, models, heads]
FILES = [Path(inspect.getsourcefile(module)) for module in MODULES]
ANY_SIZE = {"ops.py", "activations.py"}  # their letters are bound by each call
WITH_LEGEND = {
    "ops.py", "kernels.py", "bert.py", "convbert.py", "mobilebert.py", "squeezebert.py", "heads.py",
}  # fmt: skip

# ---- running and comparing -----------------------------------------------------------------


def commented_functions(file):
    """Return {(file, first line, name): function} as a frame's code object says them."""
    return {(str(file), f.line, f.name): f for f in read_comments(file)}


CHECKED = set()  # where those comments stand that were held to a shape


@dataclass
class Call:
    """One call of a function: what its letters stand for so far, and what waits for others."""

    letters: dict[str, object]
    unsolved: list[tuple] = field(default_factory=list)
    pending: Comment | None = None  # on the assignment that runs now


def fits(axes, shape, letters):
    known = [letters.get(axis, axis) for axis in axes]
    return len(axes) == len(shape) and all(str(a) == str(n) for a, n in zip(known, shape))


def compare(call, comment, name, either, shape, wrong):
    """Hold one array's shape to what a comment says, and bind letters that come up first."""
    CHECKED.add(comment.where)
    axes = next((axes for axes in either if fits(axes, shape, call.letters)), either[0])
    complaint = f"{comment.where}: {name} is {list(shape)}, not [{', '.join(axes)}]"
    if axes[:1] == ["..."]:
        axes = axes[1:]
        cut = len(shape) - len(axes)
        leading, shape = shape[: max(cut, 0)], shape[max(cut, 0) :]
        if call.letters.setdefault("...", leading) != leading:
            wrong[complaint] = None
    if len(axes) != len(shape):
        wrong[complaint] = None
        return
    for axis, size in zip(axes, shape, strict=True):
        if re.fullmatch("[A-Z]", axis):
            call.letters.setdefault(axis, size)
        call.unsolved.append((axis, size, complaint))


def solve(call, wrong, at_the_end=False):
    """Evaluate the axes whose letters are all known by now."""
    for entry in call.unsolved[:]:
        axis, size, complaint = entry
        unknown = set(re.findall("[A-Z]", axis)) - call.letters.keys()
        if unknown and not at_the_end:
            continue
        call.unsolved.remove(entry)
        if unknown:
            wrong[f"{complaint}: nothing says what {', '.join(sorted(unknown))} is"] = None
        elif eval(axis, {"__builtins__": {}}, call.letters) != size:
            values = {letter: call.letters[letter] for letter in re.findall("[A-Z]", axis)}
            wrong[f"{complaint}: {axis} would be of {values}"] = None


def run_and_compare(functions, letters, run):
    """Run under a trace; return what is wrong, and mark the comments that were checked."""
    wrong, calls = {}, {}

    def on_call(frame, event, argument):
        code = frame.f_code
        function = functions.get((code.co_filename, code.co_firstlineno, code.co_name))
        if function is None:
            return None
        if frame not in calls:  # a generator is entered again after every yield
            any_size = function.any_size or Path(code.co_filename).name in ANY_SIZE
            calls[frame] = Call({} if any_size else dict(letters))
            if function.on_def:
                arguments = code.co_varnames[: code.co_argcount]
                arrays = [n for n in arguments if isinstance(frame.f_locals[n], np.ndarray)]
                shapes = function.on_def.inputs
                if len(arrays) < len(shapes):
                    wrong[f"{function.on_def.where}: {len(arrays)} array arguments"] = None
                for name, either in zip(arrays, shapes):
                    shape = frame.f_locals[name].shape
                    compare(calls[frame], function.on_def, name, either, shape, wrong)
        return on_event

    def on_event(frame, event, argument):
        code = frame.f_code
        function = functions[code.co_filename, code.co_firstlineno, code.co_name]
        call, comment = calls[frame], calls[frame].pending
        variables = {n: v for n, v in frame.f_locals.items() if re.fullmatch("[A-Z]", n)}
        for letter, value in variables.items():  # T, K = ... says what T and K are, too
            if call.letters.setdefault(letter, value) != value:
                wrong[f"{code.co_name}: {letter} = {value}, not {call.letters[letter]}"] = None
        left = event != "line" or not (comment and comment.first <= frame.f_lineno <= comment.last)
        if comment and left:  # the assignment is done
            call.pending = None
            for name, either in zip(comment.names, comment.outputs, strict=True):
                if event != "exception" and frame.f_locals.get(name) is not None:
                    shape = np.shape(frame.f_locals[name])
                    compare(call, comment, name, either, shape, wrong)
        if event == "line":
            here = (c for c in function.on_lines if c.first <= frame.f_lineno <= c.last)
            call.pending = next(here, None)
        if event == "return":
            if function.on_def and not code.co_flags & inspect.CO_GENERATOR:
                returned = argument if isinstance(argument, tuple) else (argument,)
                shapes = function.on_def.outputs
                if shapes and len(returned) != len(shapes):
                    wrong[f"{function.on_def.where}: {len(returned)} values returned"] = None
                for value, either in zip(returned, shapes):
                    compare(call, function.on_def, "the result", either, np.shape(value), wrong)
            solve(call, wrong, at_the_end=True)
        else:
            solve(call, wrong)
        return on_event

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        run()
    finally:
        sys.settrace(before)
    return list(wrong)


def not_checked(functions):
    comments = [c for f in functions.values() for c in (f.on_def, *f.on_lines) if c]
    return [c.where for c in comments if c.where not in CHECKED]


# ---- the tests -----------------------------------------------------------------------------


def labels_for(head, ids):
    """Return labels as the head takes them: for every token, for every text, or none."""
    texts = [0] * len(ids)
    if issubclass(head, heads.QuestionAnswering):
        return dict(start_positions=texts, end_positions=texts)
    if issubclass(head, heads.PreTraining):
        return dict(labels=ids, next_sentence_label=texts)
    if issubclass(head, heads.TokenClassification):
        return dict(labels=ids % L)
    if issubclass(head, heads.MaskedLM):
        return dict(labels=ids)
    return {} if issubclass(head, heads.Encoder) else dict(labels=texts)


def run_all_classes(name):
    """Run every class of a family, on ids and on embeddings, with a loss where there is one."""
    _, settings, letters = MODELS[name]
    rng = np.random.default_rng(0)
    ids, width = rng.integers(0, V, (B, T)), letters.get("E", D)
    vectors, positions = rng.standard_normal((B, T, width)), np.tile(np.arange(T), (B, 1))
    embedded = dict(inputs_embeds=vectors, attention_mask=ids > 9, position_ids=positions)
    for head in classes_of(name):
        if issubclass(head, heads.MultipleChoice):
            continue
        labels = dict(num_labels=L, id2label=None, label2id=None)
        if issubclass(head, heads.QuestionAnswering):
            labels = {}
        model = head(dataclasses.replace(settings, **labels))
        model(ids, **labels_for(head, ids))
        model(**embedded)
        if issubclass(head, heads.SequenceClassification):
            for model.config.problem_type in ("regression", "multi_label_classification"):
                model(ids, labels=np.zeros((B, L)))


def run_choices(name):
    """Run multiple choice: Q questions of N choices, B texts in all."""
    _, settings, _ = MODELS[name]
    ids = np.random.default_rng(0).integers(0, V, (Q, N, T))
    for head in classes_of(name):
        if issubclass(head, heads.MultipleChoice):
            summaries = [{}]
            if name.startswith("ConvBert"):
                summaries = [{}, *(dict(summary_type=kind) for kind in ("first", "mean"))]
                summaries.append(dict(summary_use_proj=True))
            for options in summaries:
                head(dataclasses.replace(settings, **options))(ids, labels=[0] * len(ids))


def test_every_shape_comment_is_true():
    functions = {}
    for file in FILES:
        functions |= commented_functions(file)
    assert len(functions) > 20
    backend.set_backend("numpy")  # the plain versions carry the comments
    try:
        wrong = []
        for name, (_, _, letters) in MODELS.items():
            for run in (run_all_classes, run_choices):
                letters = letters | dict(Q=Q, N=N, L=L)
                wrong += run_and_compare(functions, letters, lambda: run(name))  # noqa: B023
    finally:
        backend.set_backend(None)
    assert not wrong, "\n".join(wrong)
    assert not not_checked(functions), f"never run: {not_checked(functions)}"


def test_sizes_all_differ():
    for name, (_, _, letters) in MODELS.items():
        widths = "EC" if "without" in name else ""  # they are D there
        sizes = [size for letter, size in letters.items() if letter not in widths]
        assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("file", [f for f in FILES if f.name in WITH_LEGEND], ids=lambda f: f.name)
def test_every_letter_is_in_the_legend(file):
    legend = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    legend = legend[legend.index("Axes") :].split("\nNames")[0]
    used = set()
    for function in read_comments(file):
        for comment in (function.on_def, *function.on_lines):
            shapes = [*comment.inputs, *comment.outputs] if comment else []
            used |= set(re.findall("[A-Z]", repr(shapes)))
    missing = sorted(used - set(re.findall(r"\b[A-Z]\b", legend)))
    assert not missing, f"{file.name} uses {missing} and explains only: {legend}"


# ---- the check itself ----------------------------------------------------------------------

PLANTED = """
import numpy as np


def pair(x):  # [B, T, D] -> [B, D], [B, T]
    first, rows = x[:, 0], x[..., 0]  # RIGHT [B, D], [B, T]
    first, rows = x[:, 0], x[..., 0]  # EACH [B, D]
    both = np.concatenate(
        [x, x], axis=1
    )  # RIGHT [B, 2*T, D]
    both = np.concatenate(
        [x, x], axis=1
    )  # LATER LINE [B, T, 2*D]
    if x is None:
        x = x + 1  # NEVER [B, T, D]
    for _ in range(2):
        x = x + 1  # IN A LOOP [B, D, T]
    return first, rows


def halves(x):  # [..., I] -> [..., O]
    H = 2
    groups = x.reshape(*x.shape[:-1], H, -1)  # RIGHT [..., H, I/H]
    groups = x.reshape(*x.shape[:-1], H, -1)  # SWAPPED [..., I/H, H]
    mapped = groups.sum(axis=-1)  # LATE [..., O/H]
    mapped = groups.sum(axis=-1)  # RIGHT [..., O]
    return mapped


def result(x):  # [B, T, D] -> [B, T]
    return x[:, 0]


def argument(x, y):  # [B, T, D], [B, T] -> [D]
    return y[0]


def one_of_two(x):  # [B, T, D] -> [B, D]
    return x[:, 0], x[..., 0]


def either(x):
    last = x[:, -1]  # RIGHT [B, T] or [B, D]
    last = x[:, -1]  # NEITHER [B, T] or [D, B]
    return last


def steps(x):
    for row in x:
        row = row + 1  # IN A GENERATOR [D]
        yield row


def run():
    x = np.zeros((2, 3, 5))
    pair(x)
    halves(np.zeros((4, 6)))
    result(x)
    argument(x, x[:, 0])
    one_of_two(x)
    either(x)
    list(steps(x))
"""


def planted(tmp_path):
    file = tmp_path / "planted.py"
    marked = PLANTED.splitlines()
    file.write_text("\n".join(re.sub(r"# [A-Z]+( [A-Z]+)* \[", "# [", line) for line in marked))
    spec = importlib.util.spec_from_file_location("planted", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return file, module, marked


def lines_with(marked, *words):
    return {f"planted.py:{i}" for i, line in enumerate(marked, 1) if any(w in line for w in words)}


def test_wrong_comments_are_found_and_right_ones_are_not(tmp_path):
    file, module, marked = planted(tmp_path)
    functions = commented_functions(file)
    wrong = run_and_compare(functions, dict(B=2, T=3, D=5), module.run)
    found = {re.match(r"planted.py:\d+", complaint).group() for complaint in wrong}
    marks = ("EACH", "LATER LINE", "IN A LOOP", "SWAPPED", "LATE ", "def result", "def argument",
             "def one_of_two", "IN A GENERATOR", "NEITHER")  # fmt: skip
    assert found == lines_with(marked, *marks)
    assert set(not_checked(functions)) == lines_with(marked, "NEVER")


@pytest.mark.parametrize(
    "code, message",
    [
        ("def f(x):  # [B, T] => [B]\n    return x", "cannot be read"),
        ("def f(x):\n    return x  # [B, T]", "neither on a def nor on an assignment"),
        ("def f(x):\n    y = x  # [B, T] -> [B]", "an arrow on an assignment"),
        ("def f(x):\n    a, b, c = x  # [B], [T]", "2 shapes for a, b, c"),
    ],
)
def test_comments_that_make_no_sense_are_refused(code, message, tmp_path):
    file = tmp_path / "odd.py"
    file.write_text(code)
    with pytest.raises(ValueError, match=message):
        read_comments(file)
