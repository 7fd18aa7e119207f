"""From texts, given as arguments or by --input, to the results of a task, printed.

A command is a function that takes its arguments and what it was given, entries such as
{"text": ...}, and returns the result of each; and one that shows a result as lines.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from npbert.commands import lines, tables
from npbert.commands.choosing import choose_backend
from npbert.commands.json_results import shortest
from npbert.commands.writing import note

Entry = dict[str, Any]
Answer = Callable[[list[Entry]], list[Any]]
Show = Callable[[Any, Entry], Iterator[str]]

GAP = "___"  # how a gap may be written in a question


def run(
    arguments: argparse.Namespace,
    given: list[Entry],
    parse: Callable[[str], Entry],
    answer: Answer,
    show: Show = lambda result, entry: iter(()),
    heading: Callable[[Entry], str] = lambda entry: entry["text"],
    show_all: Callable[[list[Any]], Iterable[str]] | None = None,
) -> int:
    """Answer what was given, or every line of --input, print the results, return the status.

    show: makes lines of one result. show_all: makes them of all results, instead.
    """

    def checked_answer(entries: list[Entry]) -> list[Any]:
        return answer(not_empty(entries))

    from npbert.compiled.backend import using

    with using(choose_backend(arguments, given)):
        if arguments.input is not None:
            from npbert.commands.answering import answer_lines

            return answer_lines(arguments, parse, checked_answer)
        results = checked_answer(given)
        if arguments.json:
            results = shortest(results)
            print(json.dumps(results[0] if len(results) == 1 else results, indent=2))
            return 0
        if show_all is not None:
            for line in show_all(results):
                print(line)
            return 0
        for number, (entry, result) in enumerate(zip(given, results)):
            if len(given) > 1:
                print("\n" * (number > 0) + tables.printable(heading(entry)))
            for line in show(result, entry):
                print(line)
        return 0


def prepare(arguments: argparse.Namespace, missing: str, *texts: Any) -> None:
    """See to it that there is either --input or texts."""
    if arguments.input is None and any(text is None or text == [] for text in texts):
        arguments.parser.error(f"the following arguments are required: {missing}")
    if arguments.input is not None and any(texts):
        arguments.parser.error("--input takes the place of texts among the arguments")
    for name, needed in (("output", "input"), ("resume", "output"), ("strict", "input")):
        if getattr(arguments, name) and not getattr(arguments, needed):
            arguments.parser.error(f"--{name} needs --{needed}")
    # Where lines are read there is a bar of them, and none of the texts in a batch.
    arguments.progress = None if arguments.input is None else False


def texts_given(arguments: argparse.Namespace) -> list[Entry]:
    return [{"text": text} for text in arguments.text]


def not_empty(entries: list[Entry]) -> list[Entry]:
    """Return the entries, or raise a ValueError for an empty text: on a command line a mistake.

    Texts that a task itself refuses when they are empty are left to it.
    """
    from npbert.tasks.rows import check_text, text_name

    for i, entry in enumerate(entries):
        for key, name in (("text", "text"), ("text_pair", "second text")):
            if isinstance(entry.get(key), str):
                check_text(entry[key], text_name(i, len(entries), name))
    return entries


def column(entries: list[Entry], name: str) -> list[Any]:
    return [entry[name] for entry in entries]


# ---- the commands --------------------------------------------------------------------------


def fill_mask(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    from npbert.tasks.masks import fill_mask

    targets = arguments.targets.split(",") if arguments.targets is not None else None

    def answer(entries: list[Entry]) -> list[Any]:
        texts = column(entries, "text")
        options = {"truncation": arguments.truncation, "progress": arguments.progress}
        result = fill_mask(texts, arguments.model, arguments.top_k, targets, **options)
        return [result] if len(texts) == 1 else result

    return run(arguments, texts_given(arguments), lines.parse_text, answer, tables.candidates)


def classify(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    from npbert.tasks import loading
    from npbert.tasks.texts import function_name, text_classification

    name = arguments.function_to_apply

    def answer(entries: list[Entry]) -> list[Any]:
        options = {"truncation": arguments.truncation, "progress": arguments.progress}
        return text_classification(entries, arguments.model, arguments.top_k, name, **options)

    def show(result: Any, entry: Entry) -> Iterator[str]:
        model, _ = loading.load(loading.TEXT_CLASSIFICATION, arguments.model, None)
        return tables.labels(result, entry, function_name(name, model.config) != "none")

    parse, given = lines.parse_text, texts_given(arguments)
    if arguments.pairs:
        if len(arguments.text) % 2:
            arguments.parser.error("--pairs needs an even number of texts")
        both = iter(arguments.text)
        given = [{"text": a, "text_pair": b} for a, b in zip(both, both)]
        parse = lines.parse_columns("text", "text_pair", optional=("text_pair",))
    return run(arguments, given, parse, answer, show, lambda entry: " | ".join(entry.values()))


def tokens(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    from npbert.tasks.tokens import token_classification

    ignored = arguments.ignore_labels.split(",") if arguments.ignore_labels is not None else None

    def answer(entries: list[Entry]) -> list[Any]:
        return token_classification(
            column(entries, "text"),
            arguments.model,
            arguments.aggregation_strategy,
            ignored,
            arguments.stride,
            progress=arguments.progress,
        )

    return run(arguments, texts_given(arguments), lines.parse_text, answer, tables.entities)


def restore(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    from npbert.tasks.mending import restore

    def answer(entries: list[Entry]) -> list[Any]:
        return restore(column(entries, "text"), arguments.model, progress=arguments.progress)

    def show_all(results: list[Any]) -> list[str]:
        return results  # the texts are all there is to show

    return run(arguments, texts_given(arguments), lines.parse_text, answer, show_all=show_all)


def answer(arguments: argparse.Namespace) -> int:
    if arguments.context_file is not None:
        if arguments.context is not None:
            arguments.parser.error("--context-file takes the place of CONTEXT")
        arguments.context = _read(arguments.context_file)
    prepare(arguments, "QUESTION, CONTEXT", arguments.question, arguments.context)
    from npbert.tasks.answers import question_answering

    hint = _hint_of_gaps(arguments.model)

    def answer(entries: list[Entry]) -> list[Any]:
        questions = [_with_mask(question) for question in column(entries, "question")]
        hint(questions)
        result = question_answering(
            questions,
            column(entries, "context"),
            arguments.model,
            arguments.top_k,
            arguments.doc_stride,
            arguments.max_answer_len,
            handle_impossible_answer=arguments.handle_impossible_answer,
            progress=arguments.progress,
        )
        return [result] if len(questions) == 1 else result

    given = [{"question": arguments.question, "context": arguments.context}]
    return run(
        arguments,
        given,
        lines.parse_columns("question", "context"),
        answer,
        tables.answers,
    )


def choose(arguments: argparse.Namespace) -> int:
    prepare(arguments, "PROMPT, CHOICE", arguments.prompt, arguments.choices)
    from npbert.tasks.pairs import multiple_choice

    def answer(entries: list[Entry]) -> list[Any]:
        prompts, choices = column(entries, "prompt"), column(entries, "choices")
        options = {"truncation": arguments.truncation, "progress": arguments.progress}
        return multiple_choice(prompts, choices, arguments.model, **options)

    given = [{"prompt": arguments.prompt, "choices": arguments.choices}]
    parse = lines.parse_columns("prompt", rest="choices")
    return run(arguments, given, parse, answer, tables.choices)


def next_sentence(arguments: argparse.Namespace) -> int:
    prepare(arguments, "FIRST, SECOND", arguments.first, arguments.second)
    from npbert.tasks.pairs import next_sentence

    def answer(entries: list[Entry]) -> list[Any]:
        first, second = column(entries, "first"), column(entries, "second")
        options = {"truncation": arguments.truncation, "progress": arguments.progress}
        return next_sentence(first, second, arguments.model, **options)

    given = [{"first": arguments.first, "second": arguments.second}]
    parse = lines.parse_columns("first", "second")
    return run(arguments, given, parse, answer, tables.relations)


def embed(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    from npbert.tasks import loading
    from npbert.tasks.features import feature_extraction

    def answer(entries: list[Entry]) -> list[Any]:
        texts = column(entries, "text")
        options = {"truncation": arguments.truncation, "progress": arguments.progress}
        return [*feature_extraction(texts, arguments.model, arguments.pooling, **options)]

    def show(result: Any, entry: Entry) -> Iterator[str]:
        if arguments.pooling != "none":
            return tables.vector(result)
        _, tokenizer = loading.load(loading.FEATURE_EXTRACTION, arguments.model, None)
        tokens = tokenizer(entry["text"], truncation=True, max_length=len(result[0])).tokens()
        return tables.matrix(result[0], tokens)

    def similarities(results: list[Any]) -> Iterator[str]:
        return tables.similarities(results, arguments.text)

    given = texts_given(arguments)
    show_all = similarities if len(given) > 1 and arguments.pooling != "none" else None
    return run(arguments, given, lines.parse_text, answer, show, show_all=show_all)


def _with_mask(question: Any) -> Any:
    return question.replace(GAP, "[MASK]") if isinstance(question, str) else question


def _hint_of_gaps(model: str | None) -> Callable[[list[Any]], None]:
    """Return what says, once, that the shipped model was given a question without a gap."""
    from npbert.tasks.loading import QUESTION_ANSWERING

    said = model not in (None, QUESTION_ANSWERING.default)  # another model takes what it was taught

    def hint(questions: list[Any]) -> None:
        nonlocal said
        for question in questions:
            if not said and isinstance(question, str) and "[MASK]" not in question:
                said = True
                note(
                    f"{QUESTION_ANSWERING.default} fills gaps: write the question as a sentence "
                    f'with {GAP} for the answer, as in "The Danube flows into the {GAP}."'
                )

    return hint


def _read(path: str) -> str:
    """Return the text of a file, or of standard input."""
    with lines.open_input(path) as file:
        data = file.read()
    try:
        return data.removeprefix(lines.BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        name = lines.input_name(path)
        raise ValueError(f"{name}: not UTF-8 at byte {error.start}") from None
