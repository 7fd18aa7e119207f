"""The passes that a golden kit is made of: one case, run by npbert and by the reference.

The float64 pass of npbert gives every quantity. Where the reference has a module, or returns the
array, the values are the reference's, after both were found equal. Further passes in narrower
precisions, by independent implementations, are what tolerances are measured from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbert.compiled import backend
from npbert.golden.comparing import MASKED, Entries, difference
from npbert.golden.manifest import EPSILON
from npbert.golden.precision import rounded
from npbert.golden.reference import Run, counterpart, in_our_layout
from npbert.model.base import PreTrainedModel
from npbert.tracing.recording import Quantity, Trace, trace

CLOSE = 1e-10  # two float64 passes are equal up to this share of an array's largest value

Arrays = dict[str, np.ndarray]


@dataclass
class Pass:
    """npbert's pass over one case, and what of it the model returns.

    returned  field of the output ("last_hidden_state", "hidden_states.1") -> name of the quantity
    """

    trace: Trace
    returned: dict[str, str]

    def values(self) -> Arrays:
        """Return the value of every quantity."""
        return {quantity.name: quantity.value for quantity in self.trace}


def run_npbert(
    model: PreTrainedModel,
    inputs: Mapping[str, np.ndarray],
    dtype: str | None = None,
    seed: int | None = None,
) -> Pass:
    """Run the plain definitions and keep every quantity.

    With a dtype, "float16" or "bfloat16", every quantity is rounded to it as soon as it is there.
    With a seed, every quantity is before that moved at random, by up to one epsilon of its dtype:
    what another order of the same sums, or another exponential function, may do to it.
    """
    rng = None if seed is None else np.random.default_rng(seed)
    epsilon = EPSILON[dtype or "float32"]
    names: dict[int, str] = {}
    arrays = []

    def visit(quantity: Quantity, array: np.ndarray) -> None:
        if array.dtype.kind == "f" and array.flags.writeable:
            if rng is not None:
                factors = (1 + epsilon * rng.uniform(-1, 1, array.shape)).astype(array.dtype)
                array *= np.where(array < MASKED, 1, factors)
            if dtype:
                array[...] = rounded(array, dtype)
        names[id(array)] = quantity.name
        arrays.append(array)  # so that no other array can get its id

    arguments: dict[str, Any] = dict(inputs)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        recorded = trace(
            model, visit=visit, output_hidden_states=True, output_attentions=True, **arguments
        )
    fields = returned_arrays(recorded.output)
    returned = {name: names[id(array)] for name, array in fields if id(array) in names}
    return Pass(recorded, returned)


def run_numba(model: PreTrainedModel, inputs: Mapping[str, np.ndarray], returned: Any) -> Arrays:
    """Run the compiled twins; return what a model returns, as quantities."""
    with backend.using("numba"):
        run: Any = model
        output = run(output_hidden_states=True, output_attentions=True, **inputs)
    return {returned[name]: a for name, a in returned_arrays(output) if name in returned}


def returned_arrays(output: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in output.items():
        if isinstance(value, tuple):
            yield from ((f"{name}.{i}", part) for i, part in enumerate(value))
        else:
            yield name, value


def rebuilt(model: PreTrainedModel, config: Any, dtype: Any) -> PreTrainedModel:
    """Return a model with the parameters of another, in its own arrays of a dtype."""
    other = type(model)(config, dtype=dtype, **model.options)
    parameters = model.state_dict()
    for name, array in other.state_dict().items():
        array[...] = parameters[name]
    return other


def with_rounded_parameters(model: PreTrainedModel, dtype: str) -> PreTrainedModel:
    """Return a float32 model whose parameters are those of another, rounded to a dtype."""
    other = rebuilt(model, model.config, np.float32)
    for array in other.state_dict().values():
        array[...] = rounded(array, dtype)
    return other


# ---- npbert and the reference --------------------------------------------------------------


def from_reference(run: Run, ours: Pass) -> Arrays:
    """Return what the reference's modules and model put out, by quantity and in its layout."""
    found: Arrays = {}
    for name, array in run.outputs.items():
        if name in ours.returned:
            found[ours.returned[name]] = array
    for path, array in run.modules.items():
        known = counterpart(path, ours.trace.by_name)
        if known is not None:
            quantity = ours.trace[known]
            found.setdefault(quantity.name, in_our_layout(array, quantity.value))
    return found


def check_equal(run: Run, ours: Pass, entries_of: Mapping[str, Entries]) -> None:
    """Raise ValueError that names the first module or output in which the two differ."""
    pairs = [(path, counterpart(path, ours.trace.by_name), a) for path, a in run.modules.items()]
    pairs += [(field, ours.returned.get(field), array) for field, array in run.outputs.items()]
    for path, name, array in pairs:
        if name is None:
            continue
        quantity = ours.trace[name]
        theirs = in_our_layout(array, quantity.value)
        if theirs.shape != quantity.shape:
            shapes = f"{list(theirs.shape)}, in npbert {list(quantity.shape)}"
            raise ValueError(f"{path} has shape {shapes} ({quantity.name}): no kit was made")
        found = difference(quantity.value, theirs, entries_of[quantity.name])
        if found.largest > CLOSE * found.scale or found.unmasked:
            raise ValueError(
                f"{path} of the reference and {quantity.name} of npbert differ by "
                f"{found.largest:.2g} (largest value {found.scale:.2g}): no kit was made"
            )
