"""What a live page asks for: plain functions from JSON to JSON, which its worker calls by name.

answer("run", '{"model": "convbert-tiny", "texts": ["The sky is [MASK]."]}')
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from npbert.auto import class_for, model_classes
from npbert.auto import family_of as family_of_checkpoint
from npbert.checkpoints.directory import read_weights
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.golden.mistakes.catalogue import applicable
from npbert.live.comparing import changes, first_of, is_more_than_rounding, picture
from npbert.live.editing import FILES, Edit, EditError, changed_lines, edited, typed
from npbert.live.naming import name_edits
from npbert.model import params
from npbert.tracing.page.collecting import describe, with_values
from npbert.tracing.page.listing import list_pass
from npbert.tracing.page.reading import Reading, load, read_texts
from npbert.tracing.page.rendering import as_json
from npbert.tracing.source import PACKAGE, text_of

BEST = 3  # of the answer's words


def answer(function: str, request: str) -> str:
    """Call one of ANSWERS with the entries of a JSON object, and return its result as JSON."""
    return answered(ANSWERS, function, request)


def answered(answers: Mapping[str, Callable[..., Any]], function: str, request: str) -> str:
    """Call one of several functions with the entries of a JSON object; return its result as JSON.

    Wrong input is no exception: the result is {"error": {"message", "file", "line"}}.
    """
    try:
        return as_json_without_nan(answers[function](**json.loads(request)))
    except EditError as error:
        return as_json({"error": {"message": str(error), "file": error.file, "line": error.line}})
    except (ValueError, KeyError, TypeError, OSError) as error:
        return as_json({"error": {"message": str(error), "file": "", "line": 0}})


def as_json_without_nan(value: Any) -> str:
    """Return a value as JSON, with null for a number that JSON does not have.

    Only an edit gives such, and a search through all numbers takes a tenth of a pass.
    """
    try:
        return as_json(value)
    except ValueError:
        return as_json(without_nan(value))


def without_nan(value: Any) -> Any:
    """Return a value with None for every number that JSON does not have."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- a pass --------------------------------------------------------------------------------


def run(
    model: str,
    texts: list[str],
    head: str | None = None,
    edits: list[list[Any]] | None = None,
    parameters: bool = True,
) -> dict[str, Any]:
    """Run a model on texts and return the data of its page.

    model  a shipped name or a directory     head  "ForMaskedLM", ...; None for its own
    texts  one, or two for a pair; for a multiple-choice head a prompt and its choices
    edits  [file, line, text] each: what a reader has made of the source
    parameters  whether the page also gets the values of the parameters, which stay the same

    page     as the trace page has it
    heads    those that this checkpoint has been trained with
    answer   the answer in words
    With edits, also `change`: what they changed (`compared`).
    """
    reading = reading_of(model, head, tuple(texts))
    mine = [Edit(*edit) for edit in edits or ()]
    found: dict[str, Any] = {"heads": heads_of(model), "mistakes": mistakes_of(model, head)}
    if not mine:
        page, words, _ = right_pass(model, head, tuple(texts))
        if parameters:
            page = page | {"parameters": with_values(page["parameters"], reading.model)}
        return found | {"page": page, "answer": words}
    _, words, right = right_pass(model, head, tuple(texts))
    with edited(mine, reading.model) as changed:
        again = Reading(**{**vars(reading), "model": changed})
        page, new_words, values = passed(again)
    change = compared(page, values, right)
    lines = changed_lines(mine)
    return found | {
        "page": page,
        "answer": new_words,
        "change": {**change, "answer": words, "lines": lines},
    }


@functools.lru_cache(maxsize=2)
def right_pass(model: str, head: str | None, texts: tuple[str, ...]) -> Any:
    return passed(reading_of(model, head, texts))


def passed(reading: Reading) -> tuple[dict[str, Any], list[Any], Any]:
    """Return the data of a page, the answer in words, and the trace."""
    with np.errstate(all="ignore"):
        listing = list_pass(reading.model, **reading.inputs)
        page = describe(listing, reading)
        return page, answer_of(page), listing.trace


def answer_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the last layer's answer says: "what", and "best": words with probabilities.

    Of word pieces that is what is said of each [MASK].
    """
    found = []
    for each in page["answers"]:
        rows = each["layers"][-1]
        if each["kind"] in ("classes", "spans"):
            found.append({"what": each["title"], "best": rows[0][:BEST]})
            continue
        for tokens, said in zip(page["tokens"], rows):
            for place, (token, best) in enumerate(zip(tokens, said)):
                if (
                    best
                    and each["title"] != "start and end"
                    and (each["kind"] == "labels" or token == page["mask"])
                ):
                    found.append({"what": f"{token} at {place}", "best": best[:BEST]})
    return found


@functools.lru_cache(maxsize=8)
def reading_of(model: str, head: str | None, texts: tuple[str, ...]) -> Reading:
    return read_texts(loaded(model, head), [*texts], truncation=True)


loaded = functools.lru_cache(maxsize=2)(load)


def compared(page: dict[str, Any], new: Any, right: Any) -> dict[str, Any]:
    """Return what differs from the right pass, and give the quantities of a page their difference.

    first      the name of the first quantity that differs, None where none does
    rounding   whether everything that differs does so by rounding alone
    count      how many quantities differ
    """
    values = {quantity.name: quantity.value for quantity in right}
    found = changes(new, values)
    for entry, quantity in zip(page["quantities"], new, strict=True):
        change = found.get(quantity.name)
        if change is None:
            continue
        entry["change"] = change
        if "relative" in change:
            change |= picture(entry, quantity.value, values[quantity.name])
    return {
        "first": first_of(found),
        "rounding": not any(is_more_than_rounding(c) for c in found.values()),
        "count": len(found),
    }


# ---- mistakes ------------------------------------------------------------------------------


def values(model: str, texts: list[str], quantity: str, head: str | None = None) -> dict[str, Any]:
    """Return a quantity of the right pass with all its digits: {"shape", "values"}."""
    array = right_pass(model, head, tuple(texts))[2][quantity].value
    numbers = array.astype(np.float64).ravel()
    return {
        "shape": [*array.shape],
        "values": [number if np.isfinite(number) else None for number in numbers.tolist()],
    }


def name(
    model: str, texts: list[str], edits: list[list[Any]], head: str | None = None
) -> dict[str, Any]:
    """Say which classic mistakes an edit is: {"mistakes": [{"name", "about"}], ...} of Naming."""
    reading = reading_of(model, head, tuple(texts))
    naming = name_edits([Edit(*edit) for edit in edits], reading.model, reading.inputs)
    return {
        "mistakes": [{"name": each.name, "about": each.about} for each in naming.mistakes],
        "only_padded": naming.only_padded,
        "has_effect": naming.has_effect,
    }


@functools.lru_cache(maxsize=16)
def mistakes_of(name: str, head: str | None) -> list[dict[str, Any]]:
    """Return the classic mistakes that a model can be made to make, as edits to type."""
    model = loaded(name, head).model
    return [
        {
            "name": mistake.name,
            "about": mistake.about,
            "edits": [[e.file, e.line, e.text] for e in typed(mistake, model)],
        }
        for mistake in applicable(model)
    ]


# ---- sources, checkpoints ------------------------------------------------------------------


def sources() -> dict[str, str]:
    """Return the text of every reading file, as it ships."""
    return {file: text_of(PACKAGE / file) for file in FILES}


@functools.lru_cache(maxsize=16)
def heads_of(model: str) -> list[str]:
    """Return the heads that a checkpoint has been trained with: "Model", "ForMaskedLM", ..."""
    directory = checkpoint_directory(model)
    own = class_for(directory)
    config = own.config_class.from_pretrained(directory)
    tensors = read_weights(directory)
    found = []
    for head, each in model_classes(family_of_checkpoint(directory)).items():
        try:
            shapes: Mapping[str, Any] = each.parameter_shapes(config)
        except ValueError:  # a head that this config cannot have
            continue
        there = params.fit_prefix(tensors, shapes, each.base_model_prefix)
        twins = [{name, source} for name, source in each.tied(config).items()]
        if all(
            n in there or any(n in twin and twin & there.keys() for twin in twins) for n in shapes
        ):
            found.append(head)
    return found


ANSWERS: dict[str, Callable[..., Any]] = {
    "run": run,
    "name": name,
    "values": values,
    "sources": sources,
    "heads": heads_of,
}
