"""A job that ends its worker at certain texts, in a module that any process can import."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from npbert.corpus import workers
from npbert.corpus.jobs import Job
from npbert.corpus.lines import Line


@dataclass(frozen=True)
class DyingJob(Job):
    """Gives back the text in capitals; "die" kills the worker, "die once" does so the first time.

    folder: where a death is noted, and the process ids of all that answered.
    """

    folder: str = ""

    def answer(self, entries, progress=False):
        Path(self.folder, f"worker-{os.getpid()}").touch()
        for entry in entries:
            died = Path(self.folder, "died")
            if entry["text"] == "die" or (entry["text"] == "die once" and not died.exists()):
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if entry["text"] == "break":
                raise MemoryError("no more")
            if entry["text"] == "wrong":
                raise ValueError("the text is wrong")
        return [entry["text"].upper() for entry in entries]

    def warm_up(self):
        pass


def batches(*texts, size=2):
    lines = [Line(n, text, {"text": text}) for n, text in enumerate(texts, 1)]
    yield from (lines[n : n + size] for n in range(0, len(lines), size))


if __name__ == "__main__":
    with workers.answering(DyingJob("embed", folder=sys.argv[1]), 2) as answer:
        for batch in answer(batches(*sys.argv[2:])):
            for _, (result, error) in batch:
                print(result or error, flush=True)
