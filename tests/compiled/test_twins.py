"""npbert/compiled: every twin, whichever there are, held to its definition in every family's calls.

The arguments are those with which small models of all families call the operations. What is
computed is held to loops in tests/model/test_ops.py, test_activations.py and test_kernels.py.
"""

import dataclasses
import functools
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from operations import FILES, LAYOUTS, VERSIONS, call
from small_models import HEADS, inputs_for, small_model

from npbert.activations import ACTIVATIONS
from npbert.compiled import backend
from npbert.compiled.backend import OPERATIONS, Operation
from npbert.compiled.texts import ALL
from npbert.model.inputs import Inputs
from npbert.model.params import Node, children

pytestmark = pytest.mark.thorough

TOLERANCES = {"float64": 1e-14, "float32": 1e-5}  # relative to the largest value expected
HUGE = 1e30  # and beyond: what the mask has swallowed
# Odd sizes, so that no tile and no vector of numbers comes out even; and the smallest.
SIZES = [
    dict(hidden_size=36, num_attention_heads=4, intermediate_size=66, num_hidden_layers=1),
    dict(hidden_size=12, num_attention_heads=2, intermediate_size=6, num_hidden_layers=1),
]
WITH_TWIN = [operation for operation in OPERATIONS if operation.has_twin]
each_operation = pytest.mark.parametrize(
    "operation", WITH_TWIN, ids=lambda operation: operation.__name__
)


@functools.cache
def calls(dtype):
    """Return {operation: [arguments, ...]} of models of every family, head and activation."""
    found = {operation: {} for operation in OPERATIONS}

    def record(operation, *arguments):
        shapes = str([[array.shape for array in arrays_in(one)] for one in arguments])
        found[operation].setdefault(shapes, [keeping_all(argument) for argument in arguments])
        return operation.plain(*arguments)

    with pytest.MonkeyPatch.context() as patch, backend.using("numpy"):
        patch.setattr(Operation, "__call__", record)
        for family, heads in HEADS.items():
            for sizes in SIZES:
                for head in heads:
                    model = small_model(family, head, dtype=dtype, hidden_act="gelu", **sizes)
                    for B, T in [(1, 1), (3, 7)]:
                        model(**inputs_for(head, B, T))
        for name in ACTIVATIONS:
            small_model("Bert", "Model", dtype=dtype, hidden_act=name)(**inputs_for("Model", 2, 5))
    return {operation: list(seen.values()) for operation, seen in found.items()}


def keeping_all(argument):
    """Return inputs that ask for the outputs of all layers, anything else as it is."""
    is_inputs = isinstance(argument, Inputs)
    return dataclasses.replace(argument, keep=ALL) if is_inputs else argument


def arrays_in(value):
    if isinstance(value, Node):
        return [array for child in children(value).values() for array in arrays_in(child)]
    if isinstance(value, list | tuple):
        return [array for part in value for array in arrays_in(part)]
    return [value] if isinstance(value, np.ndarray) else []


def laid_out(value, layout):
    """Return arguments whose arrays, those of parameters included, lie in memory another way."""
    if isinstance(value, Node):
        copied = Node("p")
        vars(copied).update({n: laid_out(child, layout) for n, child in children(value).items()})
        return copied
    if isinstance(value, list | tuple):
        return type(value)(laid_out(part, layout) for part in value)
    return layout(value) if isinstance(value, np.ndarray) else value


def assert_same(got, expected, dtype):
    if isinstance(expected, tuple | list):
        assert type(got) is type(expected) and len(got) == len(expected)
        for one, other in zip(got, expected):
            assert_same(one, other, dtype)
        return
    assert got.dtype == expected.dtype and got.shape == expected.shape
    numbers = np.abs(expected) < HUGE
    np.testing.assert_array_equal(got[~numbers], expected[~numbers])
    scale = max(1.0, np.abs(expected[numbers]).max(initial=0))
    assert np.abs(got - expected)[numbers].max(initial=0) <= TOLERANCES[dtype] * scale


@each_operation
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("version", VERSIONS[1:])
def test_every_twin_computes_what_its_definition_does(operation, dtype, version):
    assert calls(dtype)[operation], "no model calls it: give one here that does"
    for arguments in calls(dtype)[operation]:
        expected = call(operation, "plain", *arguments)
        for layout in LAYOUTS:
            given = laid_out(arguments, layout)
            before = [array.copy() for array in arrays_in(given)]
            assert_same(call(operation, version, *given), expected, dtype)
            assert all(map(np.array_equal, arrays_in(given), before))  # nothing is written to


@each_operation
def test_a_twin_stands_under_its_name_and_says_why_it_is_fast(operation):
    pytest.importorskip("numba", reason="the twins need numba")
    definition, twin = operation.plain, operation.twin
    assert twin.__name__ == definition.__name__
    assert [*inspect.signature(twin).parameters] == [*inspect.signature(definition).parameters]
    assert twin.__doc__ and twin.__doc__.startswith("Fast because ")
    file = definition.__module__.replace(".", "/") + ".py"
    twins = f"npbert/compiled/{Path(file).name}"
    assert twin.__module__.replace(".", "/") + ".py" == twins
    line, _, _ = inspect.getsource(definition).partition("\n")
    assert re.fullmatch(rf"@operation\(.*\)  # its twin: {re.escape(twins)}", line)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.__name__)
def test_no_twin_is_without_its_definition(file):
    pytest.importorskip("numba", reason="the twins need numba")
    compiled = importlib.import_module(file.__name__.replace("npbert.", "npbert.compiled."))
    twins = {
        name
        for name, function in inspect.getmembers(compiled, inspect.isfunction)
        if function.__module__ == compiled.__name__ and not name.startswith("_")
    }
    assert twins == {o.__name__ for o in WITH_TWIN if o.plain.__module__ == file.__name__}
