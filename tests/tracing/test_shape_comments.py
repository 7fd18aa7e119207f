"""Every shape comment of the forward passes, held to the shapes that arise when they run.

npbert/tracing/source.py says what shape comments look like. The letters are sizes of the models in
sized_models.py. Functions for any size bind their letters anew in each call: a letter gets its
value where it comes first, and later ones must agree.
"""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sized_models import MODELS, B, D, L, N, Q, T, V, classes_of, labels_for

from npbert import activations, bert, convbert, kernels, mobilebert, ops, squeezebert
from npbert.model import base as models
from npbert.model import heads
from npbert.tracing.recording import Recorder, listen
from npbert.tracing.source import read_comments, statements_of

MODULES = [ops, activations, kernels, bert, convbert, mobilebert, squeezebert, models, heads]
FILES = [Path(inspect.getsourcefile(module)) for module in MODULES]
ANY_SIZE = {"ops.py", "activations.py"}  # their letters are bound by each call
WITH_LEGEND = {
    "ops.py", "kernels.py", "bert.py", "convbert.py", "mobilebert.py", "squeezebert.py", "heads.py",
}  # fmt: skip

# (file, first line) -> a function that has shape comments
FUNCTIONS = {(str(file), f.line): f for file in FILES for f in read_comments(file)}

# ---- running -------------------------------------------------------------------------------


class Shapes(Recorder):
    """Records what happens to shapes in each call of a function that has shape comments.

    An event is what was done ("given", "assigned", "is", "returned"), the line, the name, and the
    shape; of a variable named by one letter, its value; of a result, the shapes of its parts.
    """

    def __init__(self, model):
        super().__init__(model)
        file = inspect.getsourcefile(activations)
        self.statements[file] = statements_of(file)
        self.has_begun = True  # mask_bias runs before the encoder, and has shape comments, too
        self.events = {}

    def enter(self, frame, values, is_method):
        super().enter(frame, values, is_method)
        if (frame.f_code.co_filename, frame.f_code.co_firstlineno) in FUNCTIONS:
            self.events[frame] = [
                ("given", 0, name, value.shape)
                for name, value in values.items()
                if isinstance(value, np.ndarray)
            ]

    def finish(self, call):
        super().finish(call)
        statement = call.statement
        if call.frame not in self.events or not isinstance(statement, ast.Assign):
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                value = call.frame.f_locals.get(node.id)
                if isinstance(value, int) and re.fullmatch("[A-Z]", node.id):
                    event = ("is", statement.lineno, node.id, value)
                    self.events[call.frame].append(event)
                elif value is not None:
                    event = ("assigned", statement.lineno, node.id, np.shape(value))
                    self.events[call.frame].append(event)

    def leave(self, call, result):
        super().leave(call, result)
        if call.frame in self.events:
            parts = result if isinstance(result, tuple) else (result,)
            shapes = tuple(map(np.shape, parts))
            self.events[call.frame].append(("returned", call.statement.lineno, "", shapes))


def runs(name, head):
    """Yield models of a class with arguments: on ids and on embeddings, with a loss if there is."""
    _, settings, letters = MODELS[name]
    rng = np.random.default_rng(0)
    ids, width = rng.integers(0, V, (B, T)), letters.get("E", D)
    if issubclass(head, heads.MultipleChoice):  # Q questions of N choices, B texts in all
        summaries = [{}]
        if name.startswith("ConvBert"):
            summaries += [{"summary_type": "first"}, {"summary_type": "mean"}]
            summaries += [{"summary_use_proj": True}]
        for options in summaries:
            model = head(dataclasses.replace(settings, **options))
            yield model, dict(input_ids=ids.reshape(Q, N, T), **labels_for(model, ids))
        return
    if not issubclass(head, heads.QuestionAnswering):
        settings = dataclasses.replace(settings, num_labels=L, id2label=None, label2id=None)
    model = head(settings)
    yield model, dict(input_ids=ids, **labels_for(model, ids))
    vectors, positions = rng.standard_normal((B, T, width)), np.tile(np.arange(T), (B, 1))
    yield model, dict(inputs_embeds=vectors, attention_mask=ids > 9, position_ids=positions)
    if issubclass(head, heads.SequenceClassification):
        for problem in ("regression", "multi_label_classification"):
            model = head(dataclasses.replace(settings, problem_type=problem))
            yield model, dict(input_ids=ids, labels=np.zeros((B, L)))


@pytest.fixture(scope="module")
def calls():
    """Return what happened in the calls of every function, once each: [(model, events)]."""
    found = {place: {} for place in FUNCTIONS}
    for name in MODELS:
        for head in classes_of(name):
            for model, arguments in runs(name, head):
                recorder = Shapes(model)
                listen(recorder, model, **arguments)
                for frame, events in recorder.events.items():
                    place = frame.f_code.co_filename, frame.f_code.co_firstlineno
                    found[place][name, tuple(events)] = None
    return found


# ---- comparing -----------------------------------------------------------------------------


class Comparison:
    """One call of a function, compared with its shape comments.

    letters  what they stand for so far       unsolved  axes with letters that have no value yet
    checked  the comments that met a shape    wrong     what is wrong with them
    """

    def __init__(self, function, events, letters):
        self.letters = dict(letters)
        self.unsolved, self.checked, self.wrong = [], set(), []
        on_def = function.on_def
        given = [(name, shape) for done, _, name, shape in events if done == "given"]
        if on_def:
            if len(given) < len(on_def.inputs):
                self.wrong.append(f"{on_def.where}: {len(given)} array arguments")
            for (name, shape), either in zip(given, on_def.inputs):
                self.compare(on_def, name, either, shape)
        self.solve()
        for done, line, name, value in events:
            if done == "is" and self.letters.setdefault(name, value) != value:
                self.wrong.append(f"{function.name}: {name} is {value}, not {self.letters[name]}")
            if done == "assigned":
                for comment in function.on_lines:
                    if comment.first == line and name in comment.names:
                        either = comment.outputs[comment.names.index(name)]
                        self.compare(comment, name, either, value)
            if done == "returned" and on_def and on_def.outputs:
                if len(value) != len(on_def.outputs):
                    self.wrong.append(f"{on_def.where}: {len(value)} values returned")
                for shape, either in zip(value, on_def.outputs):
                    self.compare(on_def, "the result", either, shape)
            self.solve()
        self.solve(at_the_end=True)

    def compare(self, comment, name, either, shape):
        """Hold one array's shape to what a comment says, and bind letters that come up first."""
        self.checked.add(comment.where)
        axes = next((axes for axes in either if self.fits(axes, shape)), either[0])
        complaint = f"{comment.where}: {name} is {[*shape]}, not [{', '.join(axes)}]"
        if axes[:1] == ["..."]:
            axes = axes[1:]
            cut = max(len(shape) - len(axes), 0)
            leading, shape = shape[:cut], shape[cut:]
            if self.letters.setdefault("...", leading) != leading:
                self.wrong.append(complaint)
        if len(axes) != len(shape):
            self.wrong.append(complaint)
            return
        for axis, size in zip(axes, shape, strict=True):
            if re.fullmatch("[A-Z]", axis):
                self.letters.setdefault(axis, size)
            self.unsolved.append((axis, size, complaint))

    def fits(self, axes, shape):
        known = [self.letters.get(axis, axis) for axis in axes]
        return len(axes) == len(shape) and all(str(a) == str(n) for a, n in zip(known, shape))

    def solve(self, at_the_end=False):
        """Evaluate the axes whose letters are all known by now."""
        waiting, self.unsolved = self.unsolved, []
        for axis, size, complaint in waiting:
            unknown = set(re.findall("[A-Z]", axis)) - self.letters.keys()
            if unknown and not at_the_end:
                self.unsolved.append((axis, size, complaint))
            elif unknown:
                self.wrong.append(f"{complaint}: nothing says what {', '.join(unknown)} is")
            elif eval(axis, {"__builtins__": {}}, self.letters) != size:
                self.wrong.append(f"{complaint}: {axis} is another size")


def comparisons(place, function, calls):
    """Compare the calls of the function at a place with the comments of `function`."""
    for name, events in calls[place]:
        letters = MODELS[name][2] | dict(Q=Q, N=N, L=L)
        yield Comparison(function, events, {} if any_size(place, function) else letters)


def any_size(place, function):
    return function.any_size or Path(place[0]).name in ANY_SIZE


def comments_of(function):
    return [comment for comment in (function.on_def, *function.on_lines) if comment]


# ---- the tests -----------------------------------------------------------------------------


def test_every_shape_comment_is_true(calls):
    assert len(FUNCTIONS) > 20
    wrong, checked = {}, set()
    for place, function in FUNCTIONS.items():
        for found in comparisons(place, function, calls):
            wrong |= dict.fromkeys(found.wrong)
            checked |= found.checked
    assert not wrong, "\n".join(wrong)
    never = [c.where for f in FUNCTIONS.values() for c in comments_of(f) if c.where not in checked]
    assert not never, f"never run: {never}"


def wrong_versions(place, function):
    """Yield a function's comments with one mistake in them, each with a description of it."""
    for comment in comments_of(function):
        is_def = comment is function.on_def
        for field in ("inputs", "outputs"):
            values = getattr(comment, field)
            for i, either in enumerate(values):
                for mistake, changed in wrong_shapes(either, not any_size(place, function)):
                    changes = {field: [*values[:i], changed, *values[i + 1 :]]}
                    yield f"{comment.where}: {mistake}", with_comment(function, comment, changes)
        if is_def and comment.outputs:
            for outputs in (comment.outputs[:-1], [*comment.outputs, [["B"]]]):
                if outputs:  # none: the result is not spoken of
                    missing = with_comment(function, comment, {"outputs": outputs})
                    yield f"{comment.where}: {len(outputs)} results", missing


def wrong_shapes(either, swap):
    """Yield shapes that a value does not have instead of those that it may have."""
    yield "an axis too many", [[*axes, "1000"] for axes in either]
    for place in range(max(map(len, either))):
        changed = [
            [f"{axis}+1" if i == place and axis != "..." else axis for i, axis in enumerate(axes)]
            for axes in either
        ]
        if all(axes != new for axes, new in zip(either, changed, strict=True)):
            yield f"one more at axis {place}", changed
    if swap and all(len(set(axes[-2:])) == 2 for axes in either):
        yield "the last axes swapped", [[*axes[:-2], axes[-1], axes[-2]] for axes in either]


def with_comment(function, comment, changes):
    other = dataclasses.replace(comment, **changes)
    if comment is function.on_def:
        return dataclasses.replace(function, on_def=other)
    lines = [other if each is comment else each for each in function.on_lines]
    return dataclasses.replace(function, on_lines=lines)


def test_every_mistake_in_a_shape_comment_is_found(calls):
    planted, missed = 0, []
    for place, function in FUNCTIONS.items():
        for mistake, version in wrong_versions(place, function):
            planted += 1
            if not any(found.wrong for found in comparisons(place, version, calls)):
                missed.append(mistake)
    assert not missed, "\n".join(missed)
    assert planted > 500


def test_a_comment_that_never_runs_is_not_checked(calls):
    place, function = next(iter(FUNCTIONS.items()))
    never = dataclasses.replace(function.on_def, where="never", first=1, last=1, names=["x"])
    function = dataclasses.replace(function, on_lines=[*function.on_lines, never])
    assert not any("never" in found.checked for found in comparisons(place, function, calls))


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
        for comment in comments_of(function):
            used |= set(re.findall("[A-Z]", repr([*comment.inputs, *comment.outputs])))
    missing = sorted(used - set(re.findall(r"\b[A-Z]\b", legend)))
    assert not missing, f"{file.name} uses {missing} and explains only: {legend}"


# ---- reading them --------------------------------------------------------------------------


def test_reading(tmp_path):
    file = tmp_path / "shapes.py"
    file.write_text(
        "def f(x, y):  # [B, T], [B] or [1] -> [..., T+1], []\n"
        "    a, _ = g(\n        x,\n    )  # [B, H/2]: what it says\n"
        "    first, second = x, y  # [B, T], [B]\n"
        "    # [B, T] alone on its line\n"
        "    return a  # no shape\n"
    )
    [function] = read_comments(file)
    assert (function.name, function.line, function.arguments) == ("f", 1, ["x", "y"])
    assert function.on_def.inputs == [[["B", "T"]], [["B"], ["1"]]]
    assert function.on_def.outputs == [[["...", "T+1"]], [[]]]
    assert function.any_size
    on_a, on_both = function.on_lines
    assert (on_a.where, on_a.first, on_a.last) == ("shapes.py:4", 2, 4)
    assert (on_a.names, on_a.outputs) == (["a"], [[["B", "H/2"]]])
    assert (on_both.names, on_both.outputs) == (["first", "second"], [[["B", "T"]], [["B"]]])


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
