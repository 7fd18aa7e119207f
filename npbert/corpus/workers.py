"""Rows answered some at a time, in order: by this process, or by several that share a model.

Where processes can be forked, a worker has the model, NumPy and the machine code as pages that it
shares with all others: its own are those that it writes to. A process with threads is not forked
(a lock that a thread holds would stay locked in the child for ever), and other systems have no
fork: there a worker starts anew, and shares the mapped file of the weights alone.

A worker that dies is replaced, and what it was doing is done again. What kills every worker that
tries it is an error.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from npbert.corpus.answers import Answer, answered, answers, asked, merged
from npbert.corpus.jobs import Job
from npbert.corpus.lines import Line

TRIES = 3  # how many workers may die of the same rows
IDLE = -1
AHEAD = 4  # batches for each worker that are answered or wait for an earlier one
# How many threads compute, for NumPy's BLAS (whichever it is) and for the compiled twins.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")  # fmt: skip

Batch = list[Line]
Answered = list[tuple[Line, Answer]]


@contextlib.contextmanager
def answering(
    job: Job, workers: int = 1
) -> Iterator[Callable[[Iterator[Batch]], Iterator[Answered]]]:
    """Give what yields the rows of batches with their answers, in order.

    workers: how many processes compute; 1 is this one, with as many threads as it takes. Others are
    started at once: what starts threads, as pyarrow does, should come later.
    Rows that end every worker that tries them are a ChildProcessError.
    """
    if workers == 1:
        yield lambda batches: (answered(job, batch) for batch in batches)
        return
    with Workers(job, workers) as pool:
        yield pool.answered


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let processes that are started in the block compute with one thread each, unless set."""
    before = {name: os.environ.get(name) for name in THREADS}
    set_one_thread()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]


def set_one_thread() -> None:
    """Let this process compute with one thread, unless it is set, or NumPy imported already."""
    for name in THREADS:
        os.environ.setdefault(name, "1")


class Worker:
    """A process that answers rows, and the end of a pipe to it."""

    def __init__(self, job: Job, others: list[Worker]) -> None:
        import multiprocessing

        context: Any = multiprocessing.get_context("fork" if can_fork() else "spawn")
        self.number = IDLE  # that of the batch that it has
        self.pipe, end = context.Pipe()
        # A worker ends when its pipe does: so none may keep another's open.
        inherited = [worker.pipe for worker in (*others, self)] if can_fork() else []
        self.process = context.Process(target=serve, args=(job, end, inherited), daemon=True)
        with one_thread():
            self.process.start()
        end.close()

    def give(self, number: int, entries: list[Any]) -> None:
        self.number = number
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # it is found dead soon
            self.pipe.send(entries)

    def take(self) -> list[Answer] | None:
        """Return the answers to what it was given, None if it died; raise what it raised."""
        try:
            found = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.end()
            return None
        if isinstance(found, Exception):
            raise found
        return found

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def serve(job: Job, pipe: Any, inherited: list[Any]) -> None:
    """Answer what comes through a pipe until it ends."""
    from npbert.compiled import threads
    from npbert.compiled.backend import get_backend, using

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that reads and writes
    for each in inherited:
        each.close()
    set_one_thread()
    threads.count_threads.cache_clear()
    with using(job.backend or get_backend()), contextlib.suppress(EOFError, OSError):
        while True:
            entries = pipe.recv()
            try:
                found: Any = answers(job, entries)
            except Exception as error:
                found = error
            pipe.send(found)


def can_fork() -> bool:
    """Return whether a child can have all that this process has: on Linux, without threads."""
    if not sys.platform.startswith("linux"):
        return False
    return len(os.listdir("/proc/self/task")) == 1


class Workers:
    """Several workers, and what each of them is doing."""

    def __init__(self, job: Job, count: int) -> None:
        self.job = job
        self.count = count
        self.workers: list[Worker] = []

    def __enter__(self) -> Workers:
        if can_fork():
            self.job.warm_up()
        gc.collect()
        gc.freeze()  # what is collected no more is not written to, and so stays shared
        try:
            for _ in range(self.count):
                self.workers.append(Worker(self.job, self.workers))
        except BaseException:
            self.__exit__()
            raise
        finally:
            gc.unfreeze()
        return self

    def __exit__(self, *_: Any) -> None:
        for worker in self.workers:
            worker.end()

    def answered(self, batches: Iterator[Batch]) -> Iterator[Answered]:
        """Yield the rows of every batch with their answers, in order."""
        from multiprocessing import connection

        numbered = enumerate(batches)
        waiting: deque[int] = deque()  # batches whose worker died
        given: dict[int, Batch] = {}
        deaths: dict[int, int] = {}
        found: dict[int, list[Answer]] = {}
        next_one = 0
        while True:
            for worker in self.workers:
                if worker.number != IDLE:
                    continue
                if waiting:
                    number = waiting.popleft()
                elif len(given) < AHEAD * self.count and (new := next(numbered, None)):
                    number, given[new[0]] = new
                else:
                    break
                worker.give(number, asked(given[number]))
            busy = {worker.pipe: worker for worker in self.workers if worker.number != IDLE}
            if not busy:
                return
            for pipe in connection.wait([*busy]):
                worker = busy[pipe]
                number, worker.number = worker.number, IDLE
                answer = worker.take()
                if answer is not None:
                    found[number] = answer
                    continue
                deaths[number] = deaths.get(number, 0) + 1
                if deaths[number] == TRIES:
                    raise ChildProcessError(_of_death(given[number], worker))
                waiting.append(number)
                self.workers.remove(worker)
                self.workers.append(Worker(self.job, self.workers))
            while next_one in found:
                yield merged(given.pop(next_one), found.pop(next_one))
                next_one += 1


def _of_death(batch: Batch, worker: Worker) -> str:
    code = worker.process.exitcode or 0
    why = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit status {code}"
    return (
        f"rows {batch[0].number} to {batch[-1].number} ended {TRIES} workers, the last by {why}: "
        "is there too little memory? Fewer --workers need less"
    )
