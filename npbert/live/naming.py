"""Names the classic mistakes that an edit is: those with which npbert computes the same values.

The comparison is in float64, where nothing but a mistake makes a difference, on the reader's text
and on the same with padding behind it, for some mistakes show there alone.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbert.compiled import backend
from npbert.golden.mistakes.catalogue import Mistake, applicable, planted
from npbert.live.comparing import difference, scale_of, size_of
from npbert.live.editing import Edit, EditError, edited, typed
from npbert.model import params
from npbert.model.base import PreTrainedModel
from npbert.tracing.quantities import Quantity
from npbert.tracing.recording import trace

CLOSE = 1e-9  # of the largest value: two float64 passes that are equal up to here are the same
PADDING = 2  # tokens behind the text

Inputs = Mapping[str, np.ndarray]
Values = dict[str, np.ndarray]
Planting = Callable[[], AbstractContextManager[PreTrainedModel]]


@dataclass(frozen=True)
class Naming:
    """What is known of an edit.

    mistakes      the classic ones that give the same values: all of them, or else the same results
    only_padded   whether the edit changes nothing but in a text with padding
    has_effect    whether it changes anything at all
    """

    mistakes: tuple[Mistake, ...]
    only_padded: bool = False
    has_effect: bool = True


def name_edits(edits: Sequence[Edit], model: PreTrainedModel, inputs: Inputs) -> Naming:
    """Say which classic mistakes a model's pass contains with these edits.

    Several edits that are no mistake together may each be one by itself; then those are named.
    Raises EditError for edits that do not run.
    """
    model = in_double_precision(model)
    cases = [dict(inputs), with_padding(inputs, model.config)]
    right = [everything(model, case) for case in cases]
    with edited(edits, model) as changed:
        new = [everything(changed, case) for case in cases]
    differs = [not alike(values, correct) for values, correct in zip(new, right)]
    if not any(differs):
        return Naming((), has_effect=False)
    candidates = applicable(model)
    found = [m for m in candidates if gives(m, model, cases, new)]
    if not found:
        found = [m for m in candidates if gives_results(m, model, cases, new)]
    if not found and len(edits) > 1:
        for edit in edits:
            with suppress(EditError):  # a part of an edit need not run
                found += [m for m in name_edits([edit], model, inputs).mistakes if m not in found]
    return Naming(tuple(found), only_padded=not differs[0])


def gives(mistake: Mistake, model: PreTrainedModel, cases: list[Any], wanted: list[Values]) -> bool:
    """Tell whether a mistake gives these values, as far as they have the same names."""
    return any(
        all(_gives(plant, mistake.hidden, case, values) for case, values in zip(cases, wanted))
        for plant in _plantings(mistake, model)
    )


def _plantings(mistake: Mistake, model: PreTrainedModel) -> Iterator[Planting]:
    """Yield the ways to make a mistake: in the parameters, and as a reader would type it."""
    yield lambda: planted(mistake, model)
    if mistake.typed:
        yield lambda: edited(typed(mistake, model), model)


def _gives(plant: Planting, hidden: tuple[str, ...], case: Inputs, wanted: Values) -> bool:
    class Unlike(Exception):
        """Ends a pass that gives something else."""

    def visit(quantity: Quantity, array: np.ndarray) -> None:
        theirs = wanted.get(quantity.name)
        if theirs is None or (hidden and quantity.name.endswith(hidden)):
            return
        if not same(theirs, array):
            raise Unlike

    arguments: Any = dict(case)
    try:
        with plant() as mistaken, np.errstate(all="ignore"):
            trace(mistaken, visit=visit, **arguments)
    except (Unlike, ValueError, IndexError):  # or the shapes of this model do not allow it
        return False
    return True


def gives_results(
    mistake: Mistake, model: PreTrainedModel, cases: list[Any], wanted: list[Values]
) -> bool:
    """Tell whether a mistake gives these outputs and hidden states."""
    with suppress(ValueError, IndexError), planted(mistake, model) as mistaken:
        return all(alike(results_of(mistaken, c), w) for c, w in zip(cases, wanted))
    return False


# ---- passes --------------------------------------------------------------------------------


def everything(model: PreTrainedModel, inputs: Inputs) -> Values:
    """Return every quantity of a pass, and what the model returns."""
    arguments: Any = dict(inputs)
    with np.errstate(all="ignore"):
        values = {quantity.name: quantity.value for quantity in trace(model, **arguments)}
    return values | results_of(model, inputs)


def results_of(model: Any, inputs: Inputs) -> Values:
    """Return the output of a model and its hidden states, by name."""
    found: Values = {}
    with np.errstate(all="ignore"), backend.using("numpy"):
        for name, value in model(**inputs, output_hidden_states=True).items():
            parts = value if isinstance(value, tuple) else (value,)
            found |= {f"output.{name}.{i}": part for i, part in enumerate(parts)}
    return found


def same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    return size_of(difference(one, other)) <= CLOSE * scale_of(other)


def alike(some: Values, others: Values) -> bool:
    """Tell whether what both have is the same; a name that an edit takes away is no difference."""
    return all(same(some[name], others[name]) for name in some.keys() & others.keys())


@functools.lru_cache(maxsize=2)
def in_double_precision(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model with the same parameters in float64."""
    if model.dtype == np.float64:
        return model
    double = copy.copy(model)
    double.dtype = np.dtype(np.float64)
    tensors = model.state_dict()
    once = {id(array): array.astype(np.float64) for array in tensors.values()}  # ties survive
    double.params = params.tree({name: once[id(array)] for name, array in tensors.items()})
    return double


def with_padding(inputs: Inputs, config: Any) -> Values:
    """Return the inputs with padding behind the text; at the model's longest, in its last places.

    All other entries are repeated from the last position.
    """
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    ids = arrays["input_ids"]
    arrays.setdefault("attention_mask", np.ones_like(ids))
    room = min(PADDING, config.max_position_embeddings - ids.shape[-1])
    if room > 0:
        arrays = {
            name: np.concatenate([array, np.repeat(array[..., -1:], room, axis=-1)], axis=-1)
            for name, array in arrays.items()
        }
    else:
        room = min(PADDING, ids.shape[-1] - 1)
        arrays = {name: array.copy() for name, array in arrays.items()}
    if room > 0:
        arrays["input_ids"][..., -room:] = config.pad_token_id or 0
        arrays["attention_mask"][..., -room:] = 0
    return arrays
