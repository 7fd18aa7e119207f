"""Forward passes of the shipped models, with the value that every line had in them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from npbert import activations, ops
from npbert.auto import class_for
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.model import heads, params
from npbert.model.base import PreTrainedModel
from npbert.tokenizer.bert_tokenizer import AutoTokenizer
from npbert.tracing.annotations import Annotation, annotate, legend
from npbert.tracing.page.listing import Lister, Step
from npbert.tracing.quantities import counted
from npbert.tracing.recording import listen
from npbert.tracing.source import statements_of

SENTENCE = "He drank a cup of [MASK] by the fire."
SECOND = "It was cold outside."
# The checkpoint whose pass a family's page shows, and those of the other heads that are trained.
FAMILIES = {
    "bert": "bert-tiny",
    "convbert": "convbert-tiny",
    "mobilebert": "mobilebert-tiny",
    "squeezebert": "squeezebert-tiny",
}
TRAINED = [
    ("convbert-tiny-disturbed", "ForSequenceClassification"),
    ("convbert-tiny-answer", "ForQuestionAnswering"),
    ("mobilebert-tiny-choice", "ForMultipleChoice"),
    ("squeezebert-tiny-restore", "ForTokenClassification"),
]
HEADS = """ForMaskedLM ForPreTraining Model ForNextSentencePrediction ForSequenceClassification
ForMultipleChoice ForTokenClassification ForQuestionAnswering""".split()
# What no shipped model does: other activations, losses, norms, groups.
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    *(("bert-tiny", "Model", {"hidden_act": act})
      for act in ("gelu_new", "gelu_fast", "quick_gelu", "silu", "mish", "laplace")),
    ("bert-tiny", "ForSequenceClassification", {"problem_type": "regression"}),
    ("bert-tiny", "ForSequenceClassification", {"problem_type": "multi_label_classification"}),
    ("mobilebert-tiny", "Model", {"normalization_type": "layer_norm"}),
    ("convbert-tiny", "ForMultipleChoice", {"summary_type": "first"}),
    ("convbert-tiny", "ForMultipleChoice", {"summary_type": "mean"}),
]  # fmt: skip
# Models of another structure, for which there are no weights but random ones.
STRUCTURES: list[tuple[str, str, dict[str, Any]]] = [
    ("mobilebert-tiny", "Model", {"use_bottleneck_attention": True}),
    (
        "mobilebert-tiny",
        "Model",
        {"key_query_shared_bottleneck": False, "use_bottleneck_attention": True},
    ),
    ("mobilebert-tiny", "Model", {"use_bottleneck": False, "hidden_size": 96}),
    (
        "mobilebert-tiny",
        "Model",
        {"trigram_input": False, "embedding_size": 256},
    ),
    ("convbert-tiny", "ForMaskedLM", {"num_groups": 2}),
]


@dataclass(frozen=True)
class Value:
    """A value that a name had: what it was, in words or numbers, and the array, if it was one."""

    name: str
    text: str
    array: np.ndarray | None = None


@dataclass
class Pass:
    """A forward pass.

    title   the model and its head
    steps   the calls, in the order in which they began
    values  step and first line of a statement -> what the statement gave when it ran first
    names   id of an array -> the name of the quantity or parameter that it is
    words   quantity -> what source and papers say about it
    """

    title: str
    steps: list[Step]
    values: dict[tuple[int, int], list[Value]]
    names: dict[int, str]
    words: dict[str, Annotation]
    legend: dict[str, str]
    kept: list[np.ndarray] = field(default_factory=list)  # so that ids stay those of these arrays


def all_passes() -> Iterator[Pass]:
    """Run every head of every family, first those of the models that were trained for it."""
    activations.erfc_polynomial.cache_clear()  # or its lines would not run
    for family, checkpoint in FAMILIES.items():
        directory = checkpoint_directory(checkpoint)
        first = class_for(directory).__name__
        yield one_pass(checkpoint, first)
        for other, head in TRAINED:
            if other.startswith(f"{family}-"):
                yield one_pass(other, head)
        trained = {first} | {head for other, head in TRAINED if other.startswith(f"{family}-")}
        for head in HEADS:
            if not any(name.endswith(head) for name in trained) and has_head(checkpoint, head):
                yield one_pass(checkpoint, head)
    for checkpoint, head, options in VARIANTS:
        yield one_pass(checkpoint, head, **options)
    for checkpoint, head, options in STRUCTURES:
        yield one_pass(checkpoint, head, is_random=True, **options)


def has_head(checkpoint: str, head: str) -> bool:
    try:
        class_for(checkpoint_directory(checkpoint), head)
    except ValueError:
        return False
    return True


def one_pass(checkpoint: str, head: str, is_random: bool = False, **options: Any) -> Pass:
    """Run a checkpoint with a head on the sentence, with labels where the head takes some.

    is_random: take nothing but the config from the checkpoint.
    """
    directory = checkpoint_directory(checkpoint)
    chosen = class_for(directory, head)
    with warnings.catch_warnings():  # of what was never trained, which the title says
        warnings.simplefilter("ignore")
        if is_random:
            model = chosen(chosen.config_class.from_pretrained(directory, **options))
        else:
            model = chosen.from_pretrained(directory, **options)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    texts = [SENTENCE, SECOND] if issubclass(chosen, heads.NextSentencePrediction) else [SENTENCE]
    inputs = dict(tokenizer(*texts, return_tensors="np"))
    if issubclass(chosen, heads.MultipleChoice):
        inputs = {key: np.stack([value, value], axis=1) for key, value in inputs.items()}
    watcher = Watcher(model)
    trace = listen(watcher, model, **inputs, **labels_for(model, inputs["input_ids"]))
    words = dict(zip(trace.names(), annotate(trace, model), strict=True))
    title = f"{checkpoint}, {chosen.__name__}"
    title += "".join(f", {name}={value!r}" for name, value in options.items())
    if is_random:
        title += ", random weights"
    elif model.newly_initialized:
        title += ", its head untrained"
    kept = [*watcher.arrays.values(), *watcher.kept]
    return Pass(title, watcher.steps, watcher.values, watcher.names, words, legend(model), kept)


def labels_for(model: PreTrainedModel, ids: np.ndarray) -> dict[str, Any]:
    """Return labels as the head takes them, so that the lines of its loss run, too."""
    zeros = [0] * len(ids)
    problem = getattr(model.config, "problem_type", None)
    labels = model.config.num_labels
    if isinstance(model, heads.QuestionAnswering):
        return {"start_positions": zeros, "end_positions": zeros}
    if isinstance(model, heads.PreTraining):
        return {"labels": ids, "next_sentence_label": zeros}
    if isinstance(model, heads.TokenClassification):
        return {"labels": ids % labels}
    if isinstance(model, heads.MaskedLM):
        return {"labels": ids}
    if problem in ("regression", "multi_label_classification"):
        return {"labels": np.zeros((len(ids), labels))}
    return {} if isinstance(model, heads.Encoder) else {"labels": zeros}


# ---- the value of every line ---------------------------------------------------------------


class Watcher(Lister):
    """A lister that also notes what every statement gave, whatever it is."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self.values: dict[tuple[int, int], list[Value]] = {}
        file = inspect.getfile(activations)
        self.statements[file] = statements_of(file)

    def on_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is ops.mask_bias.__code__ and not self.has_begun:
            return self.on_mask(frame)
        return super().on_call(frame, event, argument)

    def on_mask(self, frame: FrameType) -> Any:
        """Watch `mask_bias`, which runs before what a recorder records: with the inputs."""
        file = frame.f_code.co_filename
        step = Step("mask_bias", "ops.py", frame.f_code.co_firstlineno, "inputs", None, 0)
        self.numbers[frame] = len(self.steps)
        self.steps.append(step)

        def on_line(frame: FrameType, event: str, argument: Any) -> Any:
            statements = self.statements[file]
            if step.ran:
                before = statements[step.ran[-1]]
                is_return = isinstance(before, ast.Return)
                values = values_of("", argument) if is_return else given_by(before, frame)
                self.keep(frame, before, values)
            if event == "line":
                step.ran.append(statements[frame.f_lineno].lineno)
            return on_line

        return on_line

    def on_event(self, frame: FrameType, event: str, argument: Any) -> Any:
        call = self.calls[frame]
        before = call.statement
        super().on_event(frame, event, argument)
        now = call.statement
        if event == "return" and (isinstance(before, ast.Return) or is_yield(before)):
            if argument is not None or isinstance(before, ast.Return):
                self.keep(frame, before, values_of("", argument))
        elif event in ("line", "return") and before is not None and now is not before:
            self.keep(frame, before, given_by(before, frame))
        if event == "line" and isinstance(now, (ast.If, ast.While)) and now is not before:
            code = compile(ast.Expression(now.test), "<test>", "eval")
            true = bool(eval(code, frame.f_globals, dict(frame.f_locals)))
            self.keep(frame, now, [Value("", "true" if true else "false")])
        return self.on_event

    def keep(self, frame: FrameType, statement: ast.stmt | None, values: list[Value]) -> None:
        assert statement is not None
        if values:
            self.values.setdefault((self.numbers[frame], statement.lineno), values)
            self.kept += [value.array for value in values if value.array is not None]


def is_yield(statement: ast.stmt | None) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(
        statement.value, (ast.Yield, ast.YieldFrom)
    )


def given_by(statement: ast.stmt, frame: FrameType) -> list[Value]:
    """Return the values that a statement which has just run gave to names."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.For)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [word.value for word in statement.value.keywords if word.arg == "out"]
    elif isinstance(statement, ast.With):
        return [Value("", "holds for the lines below it")]
    names = [
        node.id
        for target in targets
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and node.id in frame.f_locals and node.id != "_"
    ]
    if any(isinstance(target, ast.Subscript) for target in targets):
        names = names[:1]  # what is written into, not the index
    return [v for name in names for v in values_of(name, frame.f_locals[name])]


def values_of(name: str, value: Any) -> list[Value]:
    """Return a value as it is shown; the parts of a tuple one by one."""
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return [each for part in value if part is not None for each in values_of(name, part)]
    if isinstance(value, np.ndarray):
        return [Value(name, in_numbers(value), value)]
    return [Value(name, in_words(value))]


def in_words(value: Any) -> str:
    if isinstance(value, params.Node):
        return f"the parameters {params.path(value)}"
    if dataclasses.is_dataclass(value) or inspect.isgenerator(value):
        return type(value).__name__
    if isinstance(value, np.generic):
        return f"{value:.5g}"
    if callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        return "a lambda" if name == "<lambda>" else f"the function {name}"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], float):
        shown = ", ".join(f"{number:.3g}" for number in value[:3])
        return f"{len(value)} numbers: {shown}, ..."
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def in_numbers(array: np.ndarray) -> str:
    """Return the first entries of an array, its mean, its spread and its extremes."""
    if array.size == 0:
        return "empty"
    first = ", ".join(short(number) for number in array.ravel()[:3])
    if array.size <= 3:
        return first
    numbers = array[counted(array)].astype(np.float64)
    if array.dtype.kind in "iub" or not numbers.size:
        return f"{first}, ..."
    spread = f"{numbers.mean():.3g} ± {numbers.std():.3g}"
    return f"{first}, ...; {spread}, from {numbers.min():.3g} to {numbers.max():.3g}"


def short(number: Any) -> str:
    if isinstance(number, np.bool_):
        return str(bool(number)).lower()
    return f"{number:d}" if isinstance(number, np.integer) else f"{number:.3g}"
