"""npbert/compiled/threads.py: twins that several threads compute, for any number of callers."""

import multiprocessing
import os
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from operations import node

from npbert import activations, kernels, ops
from npbert.compiled import backend, threads


def work(seed):
    """Enough for several parts of each twin; return their results and the plain ones."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 128, 256)).astype(np.float32)
    weight = rng.standard_normal((512, 64, 1)).astype(np.float32)
    norm = rng.standard_normal((2, 256)).astype(np.float32)
    calls = [
        (kernels.grouped_convolution, (x, node(weight=weight, bias=weight[:, 0, 0].copy()))),
        (activations.gelu, (x,)),
        (ops.layer_norm, (x, node(weight=norm[0], bias=norm[1]), 1e-5)),
    ]
    with backend.using("numba"):
        return [(call(*arguments), call.plain(*arguments)) for call, arguments in calls]


def all_close(results):
    return all(np.abs(got - expected).max() < 1e-3 for got, expected in results)


@pytest.fixture
def four_threads(monkeypatch):
    pytest.importorskip("numba", reason="the twins need numba")
    monkeypatch.setattr(threads, "count_threads", lambda: 4)
    threads._helpers.cache_clear()
    yield
    threads._helpers().shutdown()
    threads._helpers.cache_clear()


def test_many_callers_at_once(four_threads):
    """Each of eight Python threads calls twins that four threads share."""
    with ThreadPoolExecutor(8) as callers:
        assert all(map(all_close, callers.map(work, range(40))))


def test_an_error_in_a_helper_reaches_the_caller(four_threads):
    def fails(part, parts):
        if part == 3:
            raise ZeroDivisionError("in part 3")

    with pytest.raises(ZeroDivisionError, match="in part 3"):
        threads.share(fails, 10**6)


@pytest.mark.parametrize("size, parts", [(0, 1), (1, 1), (2**15, 1), (2**16, 2), (10**6, 4)])
def test_as_many_parts_as_pay(four_threads, size, parts):
    called = []
    threads.share(lambda *arguments: called.append(arguments), size, "x")
    assert sorted(called) == [(part, parts, "x") for part in range(parts)]


def _in_a_child(connection):
    connection.send(all_close(work(1)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(four_threads):
    assert all_close(work(0))
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_a_child, args=(there,))
    child.start()
    try:
        assert here.poll(60) and here.recv()
    finally:
        child.terminate()
        child.join()


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "0"}, 1),
        ({"OMP_NUM_THREADS": "2,1"}, None),
        ({}, None),
    ],
)
def test_how_many_threads(variables, expected, monkeypatch):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    counted = threads.count_threads.__wrapped__()
    assert counted == expected if expected else 1 <= counted <= os.cpu_count()


# ---- compiling -----------------------------------------------------------------------------


def compile_with(monkeypatch, njit):
    monkeypatch.setitem(sys.modules, "numba", types.SimpleNamespace(njit=njit))
    return threads.compile_loops(lambda part, parts: "loops")


def test_loops_are_compiled_without_the_gil_and_kept(monkeypatch):
    asked = []

    def njit(**options):
        asked.append(options)
        return lambda function: function

    assert compile_with(monkeypatch, njit)(0, 1) == "loops"
    (options,) = asked
    assert options["nogil"] and options["cache"]
    # NaN and infinities mean something: a wholly masked row, a loss without labels.
    assert not options["fastmath"] & {"nnan", "ninf", "fast"}


def test_where_no_machine_code_can_be_kept(monkeypatch):
    def njit(**options):
        def refuse(function):
            raise RuntimeError("cannot cache function: no locator available")

        return refuse if options.get("cache") else lambda function: function

    assert compile_with(monkeypatch, njit)(0, 1) == "loops"
