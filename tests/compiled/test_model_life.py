"""Models that have run with their twins: copied, saved, in other processes, called by threads."""

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_models import HEADS, IDS, MASK, small_model

import npbert
from npbert.compiled import backend, program, threads

pytestmark = pytest.mark.thorough

pytest.importorskip("numba", reason="the twins need numba")


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    """Let three threads share every pass, however small."""
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(threads, "count_threads", lambda: 3)
    monkeypatch.setattr(threads, "_helpers", lambda: pool)
    monkeypatch.setattr(program, "FEW", 0)
    monkeypatch.setattr(program, "CHUNK", 4)
    with backend.using("numba"):
        yield pool
    pool.shutdown()


def model_of(family, **options):
    return small_model(family, dtype=np.float32, hidden_act="relu", num_hidden_layers=2, **options)


def answer(model):
    return model(IDS, attention_mask=MASK).last_hidden_state


@pytest.fixture(params=HEADS)
def model(request):
    """A small model of each family that has run."""
    made = model_of(request.param)
    answer(made)
    return made


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_copy_gives_the_same(copied, model):
    expected = answer(model)
    other = copied(model)
    for _ in range(2):
        np.testing.assert_array_equal(answer(other), expected)
    if copied is not copy.copy:  # which shares the arrays
        for array in other.state_dict().values():
            array[...] = 0
        assert np.abs(answer(other) - expected).max() > 1e-3
        np.testing.assert_array_equal(answer(model), expected)


def test_weights_that_are_mapped_from_a_file(model, tmp_path):
    model.save_pretrained(tmp_path)
    mapped = type(model).from_pretrained(tmp_path)
    assert not any(array.flags.writeable for array in mapped.state_dict().values())
    np.testing.assert_array_equal(answer(mapped), answer(model))


# ---- threads ---------------------------------------------------------------------------------


def test_eight_threads_at_once():
    """They call one model and others, and choose backends for those of the other threads."""
    models = [model_of(family, seed=seed) for family in HEADS for seed in range(2)]
    expected = [answer(model) for model in models]

    def work(n):
        before = backend.chosen_backend()
        wrong = 0
        for turn in range(12):
            which = (n // 2 + turn) % len(models)
            npbert.set_backend(["auto", "numba"][turn % 2])
            wrong += not np.array_equal(answer(models[which]), expected[which])
            rows = models[which].encode_texts(list(IDS))
            wrong += any(np.isnan(row.last_hidden_state).any() for row in rows)
        npbert.set_backend(before)
        return wrong

    before = backend.chosen_backend()
    try:
        with ThreadPoolExecutor(8) as callers:
            assert [*callers.map(work, range(16))] == [0] * 16
    finally:
        npbert.set_backend(before)


def test_threads_that_never_come(monkeypatch, model):
    """Where all helpers are busy elsewhere, or none can start, a pass does its work alone."""
    expected = answer(model)
    leave = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        busy.submit(leave.wait)
        monkeypatch.setattr(threads, "_helpers", lambda: busy)
        try:
            np.testing.assert_array_equal(answer(model), expected)
        finally:
            leave.set()
    with pytest.raises(RuntimeError):
        busy.submit(print)  # it is shut down
    np.testing.assert_array_equal(answer(model), expected)


def test_shared_loops_that_nobody_helps_with(monkeypatch):
    leave, called = threading.Event(), []
    monkeypatch.setattr(threads, "SMALLEST_PART", 1)
    with ThreadPoolExecutor(1) as busy:
        busy.submit(leave.wait)
        monkeypatch.setattr(threads, "_helpers", lambda: busy)
        for _ in range(2):  # the second time after it is shut down
            called.clear()
            threads.share(lambda part, parts: called.append(part), 100)
            assert called == [0, 1, 2]
            leave.set()
            busy.shutdown()


@pytest.fixture
def interruptible():
    """Let Ctrl-C interrupt this process, which one that runs in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
def test_an_interruption_leaves_nothing_behind(model, interruptible):
    """Ctrl-C at any time of a pass: the next one is right, and has its helpers."""
    expected = answer(model)
    interrupted = 0
    main = threading.main_thread().ident
    for delay in np.linspace(0, 2e-3, 20):
        timer = threading.Timer(delay, signal.pthread_kill, [main, signal.SIGINT])
        try:
            timer.start()
            while timer.is_alive():
                answer(model)
            time.sleep(0.01)
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        np.testing.assert_array_equal(answer(model), expected)
    assert interrupted == 20
    helped = threading.Event()
    assert threads._helpers().submit(helped.set).result(10) is None and helped.is_set()


# ---- processes -------------------------------------------------------------------------------


def send_answer(connection, model):
    with backend.using("numba"):
        connection.send(answer(model))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_call_in_a_forked_process(monkeypatch, model):
    monkeypatch.undo()  # the threads are npbert's own
    monkeypatch.setattr(program, "FEW", 0)
    monkeypatch.setattr(threads, "count_threads", lambda: 3)
    threads._helpers.cache_clear()
    with backend.using("numba"):
        expected = answer(model)
    context = multiprocessing.get_context("fork")
    for _ in range(2):
        here, there = context.Pipe()
        child = context.Process(target=send_answer, args=(there, model))
        child.start()
        try:
            assert here.poll(60)
            np.testing.assert_array_equal(here.recv(), expected)
        finally:
            child.kill()
            child.join()
    threads._helpers().shutdown()
    threads._helpers.cache_clear()


LATE = """
import atexit, pickle, sys, threading, time
import numpy as np
from npbert.compiled import program, threads

if __name__ == "__main__":
    threads.count_threads = lambda: 3
    program.FEW = 0
    model, ids, expected = pickle.load(sys.stdin.buffer)

    def check(when):
        got = model(ids).last_hidden_state
        print(when, np.array_equal(got, expected), flush=True)

    def later():
        threading.main_thread().join()
        time.sleep(0.1)
        check("after the main thread")

    check("first")
    atexit.register(check, "at exit")
    threading.Thread(target=later).start()
"""


def test_calls_while_a_process_starts_and_ends(model, tmp_path):
    """What is pickled runs in a new process, and until its last moment."""
    if type(model) is not npbert.ConvBertModel:
        pytest.skip("one family is enough")
    given = pickle.dumps((model, IDS, model(IDS).last_hidden_state))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NPBERT_BACKEND": "numba"}
    done = subprocess.run(
        [sys.executable, "-c", LATE], input=given, env=environment, capture_output=True, timeout=120
    )
    lines = ["first True", "after the main thread True", "at exit True"]
    assert done.stdout.decode().splitlines() == lines, done.stderr.decode()
