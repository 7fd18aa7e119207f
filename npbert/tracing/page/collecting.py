"""Collects the data of a page from a forward pass: everything that the page shows, for JSON."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from npbert import __version__
from npbert.model import params
from npbert.model.base import PreTrainedModel
from npbert.ops import softmax
from npbert.tracing.annotations import annotate, legend
from npbert.tracing.axes import Letters
from npbert.tracing.page.answers import answers_of
from npbert.tracing.page.listing import Listing, Step, list_pass
from npbert.tracing.page.marking import function_source
from npbert.tracing.page.reading import Reading
from npbert.tracing.page.values import (
    Wanted,
    most_for,
    packed,
    places_for,
    shortened,
    statistics,
    steps_for,
)
from npbert.tracing.papers import PAPERS

BUDGET = 2_000_000  # values of all quantities together: about 5 MB
PARAMETER_BUDGET = 300_000  # values of all parameters together
MOST_KEPT = 64  # tokens of a row that are kept of texts too long to keep all
TOP = 10  # word pieces that are named for each position

# The sections of a page: the part before the layers, each layer, the part after them.
START, END = "start", "end"
LAYER = re.compile(r"(?:^|\.)layers?\.(\d+)$")


def collect(reading: Reading) -> dict[str, Any]:
    """Run the model and return the data of its page. Errors are those of the call."""
    data = describe(list_pass(reading.model, **reading.inputs), reading)
    return data | {"parameters": with_values(data["parameters"], reading.model)}


def describe(listing: Listing, reading: Reading) -> dict[str, Any]:
    """Return the data of the page of a pass that has been run, without values of parameters.

    These are the same in every pass of a model: a page that shows another keeps them.
    """
    model = reading.model
    sections = sections_of(listing.steps)
    functions, steps = functions_and_steps(listing, sections)
    quantities = quantities_of(listing, reading, sections)
    return {
        "version": __version__,
        "model": {
            "name": reading.name,
            "class": type(model).__name__,
            "parameters": model.num_parameters(),
            "dtype": str(model.dtype),
            "layers": model.config.num_hidden_layers,
        },
        "texts": reading.texts,
        "tokens": reading.tokens,
        "mask": reading.tokenizer.mask_token,
        "padding": reading.tokenizer.pad_token,
        "labels": labels_of(model),
        "answers": answers_of(reading, listing.trace.output.hidden_states),
        "legend": legend(model),
        "sections": section_list(listing.steps, sections, quantities),
        "functions": functions,
        "steps": steps,
        "quantities": quantities,
        "papers": papers_of(quantities),
        "parameters": parameters_of(listing, model),
    }


# ---- sections ------------------------------------------------------------------------------


def sections_of(steps: list[Step]) -> list[str]:
    """Return the section of each step: START, the number of a layer, or END."""
    found: list[str] = []
    for step in steps:
        layer = LAYER.search(step.scope) if step.function == "layer" else None
        above = END if step.caller is None else found[step.caller]
        if layer:
            found.append(layer.group(1))
        elif step.function == "encoder":
            found.append(START)
        else:
            found.append(above)
    return found


def section_list(
    steps: list[Step], sections: list[str], quantities: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the sections in order: key, title, the steps that each shows, its quantities."""
    layers = sorted({key for key in sections if key.isdigit()}, key=int)
    titles = {START: "Embeddings"} | {key: key for key in layers} | {END: "Head"}
    return [
        {
            "key": key,
            "title": title,
            "roots": [
                i
                for i, step in enumerate(steps)
                if sections[i] == key and (step.caller is None or sections[step.caller] != key)
            ],
            "quantities": [i for i, q in enumerate(quantities) if q["section"] == key],
        }
        for key, title in titles.items()
    ]


# ---- functions and their calls -------------------------------------------------------------


def functions_and_steps(
    listing: Listing, sections: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the source of every function that ran, once, and every call of it."""
    numbers = {name: i for i, name in enumerate(listing.trace.names())}
    functions: dict[tuple[str, int], int] = {}
    steps: list[dict[str, Any]] = []
    for i, step in enumerate(listing.steps):
        function = functions.setdefault((step.file, step.line), len(functions))
        named = []
        for each in step.named:
            name = listing.names.get(each.array)
            if name in numbers:
                named.append([each.line, each.name, numbers[name]])
            elif name is not None:
                named.append([each.line, each.name, name, list(listing.shapes[each.array])])
        steps.append(
            {
                "function": function,
                "scope": step.scope,
                "caller": step.caller,
                "at": step.caller_line,
                "section": sections[i],
                "ran": sorted(set(step.ran)),
                "named": named,
                "numbers": step.numbers,
            }
        )
    for quantity in listing.trace:
        number, line = listing.made[quantity.name]
        last = quantity.name.rpartition(".")[2]
        if quantity.is_input:
            steps[number]["named"].append([line, last, numbers[quantity.name]])
        elif quantity.is_argument:
            into = quantity.named_in[0]
            steps[number]["named"].append([line, last, numbers[quantity.name], into])
    return [function_source(*place) for place in functions], steps


# ---- quantities ----------------------------------------------------------------------------


def quantities_of(listing: Listing, reading: Reading, sections: list[str]) -> list[dict[str, Any]]:
    """Return every quantity in computing order, with its statistics and its values."""
    recorded = listing.trace
    numbers = {name: i for i, name in enumerate(recorded.names())}
    described = annotate(recorded, reading.model)
    places = places_of_interest(reading)
    wanted = [wanted_of(words.axes, places) for words in described]
    shapes = [quantity.shape for quantity in recorded]
    most = most_for(list(zip(shapes, wanted)), BUDGET)
    found = []
    for quantity, words, entries in zip(recorded, described, wanted, strict=True):
        step, line = listing.made[quantity.name]
        kept, steps = places_for(quantity.shape, most, entries), steps_for(quantity.shape, most)
        entry: dict[str, Any] = {
            "name": quantity.name,
            "aliases": quantity.aliases,
            "section": sections[step],
            "made": [step, line],
            "shape": list(quantity.shape),
            "axes": list(words.axes) if words.axes is not None else None,
            "equation": words.equation,
            "paper": words.section,
            "dtype": str(quantity.dtype),
            # A quantity by its number, a parameter by its name.
            "inputs": [numbers.get(name, name) for name in quantity.inputs],
            **statistics(quantity.value),
            **packed(quantity.value, kept),
        }
        if max(steps, default=1) > 1:
            entry["steps"] = list(steps)
            entry["kept"] = [
                places.tolist() if axis in entries and step > 1 else None
                for axis, (places, step) in enumerate(zip(kept, steps))
            ]
        if words.axes == ("B", "T", "V"):
            entry["top"] = best_pieces(quantity.value, reading, is_output(quantity.value, listing))
        found.append(entry)
    return found


def places_of_interest(reading: Reading) -> list[list[int]]:
    """Return for each row the tokens that a page always keeps: [MASK] and the special ones."""
    special = {*reading.tokenizer.all_special_tokens} - {reading.tokenizer.pad_token}
    return [[t for t, token in enumerate(row) if token in special][:MOST_KEPT]
            for row in reading.tokens]  # fmt: skip


def wanted_of(axes: Letters | None, places: list[list[int]]) -> Wanted:
    """Return the entries of a quantity's axes that belong to the tokens of interest."""
    every = sorted({t for row in places for t in row})
    return {axis: every for axis, letter in enumerate(axes or ()) if letter == "T"}


def is_output(value: np.ndarray, listing: Listing) -> bool:
    """Tell whether an array is what the model returned: scores, which softmax may follow."""
    return any(
        isinstance(field, np.ndarray)
        and field.shape == value.shape
        and np.array_equal(field, value)
        for field in listing.trace.output.values()
    )


def best_pieces(value: np.ndarray, reading: Reading, with_probabilities: bool) -> list[Any]:
    """Return, for each row and position, the word pieces with the highest scores.

    Each is [piece, score]; with probabilities, which only a model's output has: [piece, score,
    probability].
    """
    probabilities = softmax(value.astype(np.float64)) if with_probabilities else None
    order = np.argsort(-value, axis=-1, kind="stable")[..., :TOP]
    pieces = reading.tokenizer.convert_ids_to_tokens
    return [
        [
            [
                [piece, shortened(value[b, t, i])]
                + ([shortened(probabilities[b, t, i])] if probabilities is not None else [])
                for i, piece in zip(order[b, t].tolist(), pieces(order[b, t].tolist()))
            ]
            for t in range(value.shape[1])
        ]
        for b in range(value.shape[0])
    ]


def parameters_of(listing: Listing, model: PreTrainedModel) -> dict[str, Any]:
    """Return the parameters that are named as inputs, with their shapes."""
    wanted = {name for quantity in listing.trace for name in quantity.inputs}
    wanted |= {*listing.names.values()}
    return {
        name: {"shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in params.flatten(model.params)
        if name in wanted
    }


def with_values(parameters: dict[str, Any], model: PreTrainedModel) -> dict[str, Any]:
    """Return the entries of parameters with all that a quantity has of values."""
    arrays = {name: array for name, array in params.flatten(model.params) if name in parameters}
    most = most_for([(array.shape, {}) for array in arrays.values()], PARAMETER_BUDGET)
    found = {}
    for name, array in arrays.items():
        places, steps = places_for(array.shape, most, {}), steps_for(array.shape, most)
        found[name] = parameters[name] | statistics(array) | packed(array, places)
        if max(steps, default=1) > 1:
            found[name] |= {"steps": list(steps), "kept": [None] * len(steps)}
    return found


def papers_of(quantities: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return title and link of the papers that the quantities refer to."""
    names = {q["paper"].partition(",")[0] for q in quantities} - {""}
    return {
        name: {"title": PAPERS[name].title, "link": PAPERS[name].link} for name in sorted(names)
    }


def labels_of(model: Any) -> list[str]:
    """Return the names of the labels, in order; none for a model that has no such head."""
    names = getattr(model.config, "id2label", None) or {}
    return [str(names[key]) for key in sorted(names, key=int)]
