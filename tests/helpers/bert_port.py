"""A port of a small BERT that is right in every tensor, for tests to spoil, and its kit."""

import functools

import numpy as np
from kits_in_memory import make_kit, make_model, single_precision

import npbert

LAYER = "encoder.layer.0"
QUERY = f"{LAYER}.attention.self.query"
PROBS = f"{LAYER}.attention.self.attend.probs"
SCORES = f"{LAYER}.attention.self.attend.masked_scores"
WIDE = f"{LAYER}.wide"
LAST = f"{LAYER}.output.LayerNorm"


@functools.cache
def kit():
    return make_kit(make_model("Bert", num_hidden_layers=1))


@functools.cache
def right_values():
    model, values = single_precision(kit().model()), {}
    for case in kit().cases:
        for quantity in npbert.trace(model, **kit().inputs(case)):
            values[f"{case}/{quantity.name}"] = quantity.value
    return values


def port(*names, case=None):
    """Return a port's arrays that are right: all, or some; copies, to be spoilt."""
    cases = [case] if case else kit().cases
    wanted = {f"{case}/{name}" for case in cases for name in names or kit().by_name}
    return {name: array.copy() for name, array in right_values().items() if name in wanted}


def forgotten_bias():
    """Return a port without the bias of one map, and what follows from it, in both cases."""
    model = single_precision(kit().model())
    model.params.encoder.layer[0].attention.self.key.bias = np.zeros(16, np.float32)
    return {
        f"{case}/{quantity.name}": quantity.value
        for case in kit().cases
        for quantity in npbert.trace(model, **kit().inputs(case))
    }
