"""What is asked of every row: a task, by the name of its command, a model and the task's options.

A row is asked as an entry, a dictionary of texts such as {"text": ...}. A job can be pickled, so
that any process can do it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Entry = dict[str, Any]

GAP = "___"  # how a gap may be written in a question


@dataclass(frozen=True)
class Job:
    """A task with its model and options.

    command: of the task (tasks/loading.py). model: a name, a directory, or None for the one that
    ships. options: keyword arguments of the function here of that name. backend: "numpy" or
    "numba", or None for what is chosen where the job is done.
    """

    command: str
    model: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    backend: str | None = None

    def answer(self, entries: list[Entry], progress: bool | None = False) -> list[Any]:
        """Return the result of every entry; a ValueError is that of one of them, or an option's."""
        function = FUNCTIONS[self.command]
        return function(not_empty(entries), self.model, progress=progress, **self.options)

    def warm_up(self) -> None:
        """Load the model and run it once, so that its machine code is in memory."""
        from npbert.compiled.backend import get_backend, using
        from npbert.tasks.loading import BY_COMMAND, load

        if self.command == "embed":  # whose model may be a folder with more in it than a model
            self.answer([{"text": "a"}])
            return
        model, _ = load(BY_COMMAND[self.command], self.model, None)
        with using(self.backend or get_backend()):
            model.encode_texts([[0]])


def fields_of(command: str, pairs: bool = False) -> tuple[str, ...]:
    """Return the names that an entry has; pairs: where a text may have a second one."""
    if command == "classify":
        return ("text", "text_pair") if pairs else ("text",)
    return FIELDS.get(command, ("text",))


def parts_of(command: str) -> tuple[str, ...]:
    """Return what a command needs of a checkpoint on the Hub (checkpoints/hub_files.py)."""
    from npbert.checkpoints.hub_files import SENTENCE, WHOLE

    return (*WHOLE, SENTENCE) if command == "embed" else WHOLE


# What a command asks for, where that is not a text alone; and what an entry may lack.
FIELDS = {
    "answer": ("question", "context"),
    "choose": ("prompt", "choices"),
    "next": ("first", "second"),
}
OPTIONAL = ("text_pair",)
LISTS = ("choices",)  # what is a list of texts


def not_empty(entries: list[Entry]) -> list[Entry]:
    """Return the entries, or raise a ValueError for an empty text: in a file a mistake.

    Texts that a task itself refuses when they are empty are left to it.
    """
    from npbert.tasks.rows import check_text, text_name

    for i, entry in enumerate(entries):
        for key, name in (("text", "text"), ("text_pair", "second text")):
            if isinstance(entry.get(key), str):
                check_text(entry[key], text_name(i, len(entries), name))
    return entries


# ---- the tasks: lists of entries in, lists of results out, also for a single one -----------------
# Each is imported when it is called: a command needs no other.


def fill_mask(entries: list[Entry], model: Any, **options: Any) -> list[Any]:
    from npbert.tasks.masks import fill_mask

    result = fill_mask(_column(entries, "text"), model, **options)
    return [result] if len(entries) == 1 else result


def classify(entries: list[Entry], model: Any, top_k: int | None = None, **options: Any) -> Any:
    from npbert.tasks.texts import text_classification

    return text_classification(entries, model, top_k, **options)


def tokens(entries: list[Entry], model: Any, **options: Any) -> list[Any]:
    from npbert.tasks.tokens import token_classification

    return token_classification(_column(entries, "text"), model, **options)


def restore(entries: list[Entry], model: Any, **options: Any) -> list[Any]:
    from npbert.tasks.mending import restore

    return restore(_column(entries, "text"), model, **options)


def answer(entries: list[Entry], model: Any, **options: Any) -> list[Any]:
    from npbert.tasks.answers import question_answering

    questions = [_with_mask(question) for question in _column(entries, "question")]
    result = question_answering(questions, _column(entries, "context"), model, **options)
    return [result] if len(questions) == 1 else result


def choose(entries: list[Entry], model: Any, **options: Any) -> list[Any]:
    from npbert.tasks.pairs import multiple_choice

    prompts, choices = _column(entries, "prompt"), _column(entries, "choices")
    return multiple_choice(prompts, choices, model, **options)


def next_sentence(entries: list[Entry], model: Any, **options: Any) -> list[Any]:
    from npbert.tasks.pairs import next_sentence

    return next_sentence(_column(entries, "first"), _column(entries, "second"), model, **options)


def embed(
    entries: list[Entry],
    model: Any,
    pooling: str | None = None,
    prompt_name: str | None = None,
    normalize: bool | None = None,
    **options: Any,
) -> list[Any]:
    if pooling is None:
        from npbert.tasks.sentences import encode

        return [*encode(_column(entries, "text"), model, prompt_name, normalize, **options)]
    from npbert.tasks.features import feature_extraction

    return [*feature_extraction(_column(entries, "text"), model, pooling, **options)]


FUNCTIONS: dict[str, Callable[..., list[Any]]] = {
    "fill-mask": fill_mask,
    "classify": classify,
    "tokens": tokens,
    "restore": restore,
    "answer": answer,
    "choose": choose,
    "next": next_sentence,
    "embed": embed,
}


def _column(entries: list[Entry], name: str) -> list[Any]:
    return [entry[name] for entry in entries]


def _with_mask(question: Any) -> Any:
    return question.replace(GAP, "[MASK]") if isinstance(question, str) else question
