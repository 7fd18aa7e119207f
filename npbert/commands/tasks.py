"""From texts, given as arguments or by --input, to the results of a task, printed.

A command is a function that makes of its arguments the options of a job (npbert/corpus/jobs.py),
and what it was given, entries such as {"text": ...}; and one that shows a result as lines.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from npbert.commands import tables
from npbert.commands.choosing import choose_backend
from npbert.commands.places import find_model
from npbert.commands.writing import note
from npbert.corpus import lines
from npbert.corpus.jobs import GAP, Entry, Job
from npbert.corpus.json_results import shortest

Show = Callable[[Any, Entry], Iterator[str]]


def run(
    arguments: argparse.Namespace,
    options: dict[str, Any],
    given: list[Entry],
    show: Show = lambda result, entry: iter(()),
    heading: Callable[[Entry], str] = lambda entry: entry["text"],
    show_all: Callable[[list[Any]], Iterable[str]] | None = None,
    look_at: Callable[[Entry], None] = lambda entry: None,
) -> int:
    """Answer what was given, or every row of --input, print the results, return the status.

    options: of the task, as a job has them. show: makes lines of one result. show_all: makes
    them of all results, instead. look_at: sees every entry before it is answered.
    """
    from npbert.compiled.backend import using

    if arguments.scheduler is not None:
        from npbert.commands.cluster import answer_on_cluster

        return answer_on_cluster(arguments, Job(arguments.command, arguments.model, options))
    backend = choose_backend(arguments, given)
    job = Job(arguments.command, arguments.model, options, backend)
    with using(backend):
        if arguments.input is not None:
            from npbert.commands.answering import answer_rows

            return answer_rows(arguments, job, look_at)
        for entry in given:
            look_at(entry)
        results = job.answer(given, progress=None)
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
    """See to it that there is either --input or texts, and a directory for a name on the Hub."""
    if arguments.input is None and any(text is None or text == [] for text in texts):
        arguments.parser.error(f"the following arguments are required: {missing}")
    if arguments.input is not None and any(texts):
        arguments.parser.error("--input takes the place of texts among the arguments")
    needs = {
        name: "input" for name in ("output", "text_column", "pair_column", "scheduler", "strict")
    }
    for name, needed in {**needs, "resume": "output", "force": "output"}.items():
        if getattr(arguments, name, None) and not getattr(arguments, needed):
            arguments.parser.error(f"--{name.replace('_', '-')} needs --{needed}")
    if arguments.resume and arguments.force:
        arguments.parser.error("--resume goes on, --force begins anew: not both")
    if arguments.workers > 1:
        if arguments.input is None:
            arguments.parser.error("--workers needs --input")
        from npbert.corpus.workers import set_one_thread

        set_one_thread()
    if arguments.scheduler is None:  # else each worker finds it in the cache of its machine
        find_model(arguments)


def texts_given(arguments: argparse.Namespace) -> list[Entry]:
    return [{"text": text} for text in arguments.text]


# ---- the commands --------------------------------------------------------------------------


def fill_mask(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    targets = arguments.targets.split(",") if arguments.targets is not None else None
    options = {"top_k": arguments.top_k, "targets": targets, "truncation": arguments.truncation}
    return run(arguments, options, texts_given(arguments), tables.candidates)


def classify(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    name = arguments.function_to_apply
    options = {"top_k": arguments.top_k, "function_to_apply": name}
    options["truncation"] = arguments.truncation

    def show(result: Any, entry: Entry) -> Iterator[str]:
        from npbert.tasks import loading
        from npbert.tasks.texts import function_name

        model, _ = loading.load(loading.TEXT_CLASSIFICATION, arguments.model, None)
        return tables.labels(result, entry, function_name(name, model.config) != "none")

    given = texts_given(arguments)
    if arguments.pairs:
        if len(arguments.text) % 2:
            arguments.parser.error("--pairs needs an even number of texts")
        both = iter(arguments.text)
        given = [{"text": a, "text_pair": b} for a, b in zip(both, both)]
    return run(arguments, options, given, show, lambda entry: " | ".join(entry.values()))


def tokens(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    ignored = arguments.ignore_labels.split(",") if arguments.ignore_labels is not None else None
    options = {
        "aggregation_strategy": arguments.aggregation_strategy,
        "ignore_labels": ignored,
        "stride": arguments.stride,
    }
    return run(arguments, options, texts_given(arguments), tables.entities)


def restore(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)

    def show_all(results: list[Any]) -> list[str]:
        return results  # the texts are all there is to show

    return run(arguments, {}, texts_given(arguments), show_all=show_all)


def answer(arguments: argparse.Namespace) -> int:
    if arguments.context_file is not None:
        if arguments.context is not None:
            arguments.parser.error("--context-file takes the place of CONTEXT")
        arguments.context = _read(arguments.context_file)
    prepare(arguments, "QUESTION, CONTEXT", arguments.question, arguments.context)
    options = {
        "top_k": arguments.top_k,
        "doc_stride": arguments.doc_stride,
        "max_answer_len": arguments.max_answer_len,
        "handle_impossible_answer": arguments.handle_impossible_answer,
    }
    hint = _hint_of_gaps(arguments.model)
    given = [{"question": arguments.question, "context": arguments.context}]
    return run(arguments, options, given, tables.answers, look_at=hint)


def choose(arguments: argparse.Namespace) -> int:
    prepare(arguments, "PROMPT, CHOICE", arguments.prompt, arguments.choices)
    options = {"truncation": arguments.truncation}
    given = [{"prompt": arguments.prompt, "choices": arguments.choices}]
    return run(arguments, options, given, tables.choices)


def next_sentence(arguments: argparse.Namespace) -> int:
    prepare(arguments, "FIRST, SECOND", arguments.first, arguments.second)
    options = {"truncation": arguments.truncation}
    given = [{"first": arguments.first, "second": arguments.second}]
    return run(arguments, options, given, tables.relations)


def embed(arguments: argparse.Namespace) -> int:
    prepare(arguments, "TEXT", arguments.text)
    names = ("pooling", "prompt_name", "normalize", "truncation")
    options = {name: getattr(arguments, name) for name in names}
    for name in ("prompt_name", "normalize"):
        if arguments.pooling is not None and options[name] is not None:
            arguments.parser.error(f"--{name.replace('_', '-')} takes the place of --pooling")

    def show(result: Any, entry: Entry) -> Iterator[str]:
        if arguments.pooling != "none":
            return tables.vector(result)
        from npbert.tasks import loading

        _, tokenizer = loading.load(loading.FEATURE_EXTRACTION, arguments.model, None)
        tokens = tokenizer(entry["text"], truncation=True, max_length=len(result[0])).tokens()
        return tables.matrix(result[0], tokens)

    def similarities(results: list[Any]) -> Iterator[str]:
        return tables.similarities(results, arguments.text)

    given = texts_given(arguments)
    show_all = similarities if len(given) > 1 and arguments.pooling != "none" else None
    return run(arguments, options, given, show, show_all=show_all)


def _hint_of_gaps(model: str | None) -> Callable[[Entry], None]:
    """Return what says, once, that the shipped model was given a question without a gap."""
    from npbert.tasks.loading import QUESTION_ANSWERING

    said = model not in (None, QUESTION_ANSWERING.default)  # another model takes what it was taught

    def hint(entry: Entry) -> None:
        nonlocal said
        question = entry.get("question")
        if said or not isinstance(question, str) or GAP in question or "[MASK]" in question:
            return
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
