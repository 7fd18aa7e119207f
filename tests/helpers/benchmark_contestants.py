"""The contestants of the benchmark of forward passes: each in a process of its own, taking turns.

A process of its own, because the threads of one library disturb those of another: those of OpenMP
and of ONNX Runtime keep a core busy for a while when their work is done.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

REST = 0.05  # seconds between two turns: until the threads of the one before have fallen asleep
BATCH = 32  # texts that torch pads to one length


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---- in the process of a contestant --------------------------------------------------------


class Npbert:
    """npbert, with the backend that the environment variable NPBERT_BACKEND names."""

    def __init__(self, directory: Path, folder: Path):
        import npbert

        warnings.simplefilter("ignore")  # a checkpoint's head has nothing to do here
        self.model = npbert.AutoModel.from_pretrained(directory)

    def forward(self, ids: Any) -> Any:  # [B, T] -> [B, T, D]
        return self.model(ids).last_hidden_state

    def pool_texts(self, rows: list[list[int]]) -> Any:  # -> [N, D]
        """Return the mean over the tokens of every text, as `pool_texts` of all contestants."""
        import numpy as np

        return np.stack([o.last_hidden_state[0].mean(0) for o in self.model.encode_texts(rows)])


class Torch:
    """The model of transformers, as `from_pretrained` gives it."""

    def __init__(self, directory: Path, folder: Path):
        import torch
        import transformers

        torch.set_num_threads(count_cores())
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model = transformers.AutoModel.from_pretrained(directory).eval()

    def forward(self, ids: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(ids)).last_hidden_state.numpy()

    def pool_texts(self, rows: list[list[int]]) -> Any:
        """Texts of similar lengths in a batch, padded to the longest of them."""
        import numpy as np
        import torch

        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        pooled = np.empty((len(rows), self.model.config.hidden_size), np.float32)
        for start in range(0, len(rows), BATCH):
            batch = order[start : start + BATCH]
            longest = len(rows[batch[-1]])
            ids = torch.tensor([rows[i] + [0] * (longest - len(rows[i])) for i in batch])
            mask = torch.tensor(
                [[1] * len(rows[i]) + [0] * (longest - len(rows[i])) for i in batch]
            )
            with torch.inference_mode():
                x = self.model(ids, attention_mask=mask).last_hidden_state
                sums = (x * mask[..., None]).sum(1)
                pooled[batch] = (sums / mask.sum(1, keepdim=True)).numpy()
        return pooled


class OnnxRuntime:
    """ONNX Runtime on the model that torch exports, default options, a thread for each core."""

    def __init__(self, directory: Path, folder: Path):
        import onnxruntime

        file = folder / f"{directory.name}.onnx"
        if not file.exists():
            export(directory, file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = count_cores()
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(str(file), options, providers=providers)

    def forward(self, ids: Any) -> Any:
        return self.session.run(None, {"input_ids": ids})[0]


def export(directory: Path, file: Path) -> None:
    """Write the model of a checkpoint as ONNX, for any number and length of texts."""
    import torch

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = Torch(directory, file.parent).model

        def forward(self, input_ids: Any) -> Any:
            return self.model(input_ids).last_hidden_state

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LastHiddenState(),
            (torch.ones((2, 16), dtype=torch.int64),),
            str(file),
            dynamo=True,
            input_names=["input_ids"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},),
            verbose=False,
        )


class Machine:
    """What the machine can do with NumPy's own BLAS: the limits of every forward pass."""

    def __init__(self, directory: Path, folder: Path):
        import numpy  # noqa: F401  (threadpoolctl finds what is loaded)

    def kernel(self) -> str:
        """Return the name of the kernel that NumPy's BLAS has chosen, and its version."""
        try:
            from threadpoolctl import threadpool_info
        except ImportError:
            return "unknown (threadpoolctl is not installed)"
        found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return ", ".join(
            f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}"
            for pool in found
        )

    def limits(self) -> tuple[float, float]:
        """Return the most operations a second, and bytes a second, of several sizes.

        Operations of products of float32 matrices; bytes of the matrix in products with a vector.
        """
        import numpy as np

        def best(a: Any, b: Any, passes: int) -> float:
            out = a @ b
            return min(timed(lambda: np.matmul(a, b, out=out)) for _ in range(passes))

        rate = bandwidth = 0.0
        for n, k, m in [(768, 768, 128), (3072, 768, 1024), (2048, 2048, 2048)]:
            seconds = best(np.ones((n, k), np.float32), np.ones((k, m), np.float32), 10)
            rate = max(rate, 2 * n * k * m / seconds)
        for megabytes in (64, 512):
            matrix = np.ones((megabytes * 2**18 // 4096, 4096), np.float32)
            seconds = best(matrix, np.ones(4096, np.float32), 5)
            bandwidth = max(bandwidth, matrix.nbytes / seconds)
        return rate, bandwidth


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turn(work: Callable[[Any], Any], warm: Any, given: Any, seconds: float) -> list[float]:
    """Warm up, then work again and again for so many seconds; return how long each time took."""
    work(warm)
    times: list[float] = []
    while not times or sum(times) < seconds:
        times.append(timed(lambda: work(given)))
    return times


def serve(kind: type, directory: Path, folder: Path, pipe: Any) -> None:
    """Make a contestant, then answer its callers: with what a method returned, or the error."""
    try:
        contestant = kind(directory, folder)
        pipe.send(None)
    except Exception as error:
        pipe.send(error)
        return
    while True:
        try:
            method, *arguments = pipe.recv()
        except EOFError:  # the benchmark has ended
            return
        try:
            if method == "turn":
                method, *arguments = arguments
                pipe.send(take_turn(getattr(contestant, method), *arguments))
            else:
                pipe.send(getattr(contestant, method)(*arguments))
        except Exception as error:
            pipe.send(error)


# ---- in the process of the benchmark -------------------------------------------------------

CONTESTANTS: dict[str, tuple[type, dict[str, str]]] = {
    "npbert-numba": (Npbert, {"NPBERT_BACKEND": "numba"}),
    "npbert-numpy": (Npbert, {"NPBERT_BACKEND": "numpy"}),
    "torch": (Torch, {}),
    "onnxruntime": (OnnxRuntime, {}),
    "machine": (Machine, {}),
}


class Process:
    """A contestant in a process of its own; raises what it raised, when it is made or called."""

    def __init__(self, name: str, directory: Path, folder: Path):
        kind, variables = CONTESTANTS[name]
        os.environ.update(variables)
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(kind, directory, folder, theirs), daemon=True
        )
        self.process.start()
        theirs.close()
        self.answer()

    def answer(self) -> Any:
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __call__(self, method: str, *arguments: Any) -> Any:
        self.pipe.send((method, *arguments))
        answer = self.answer()
        time.sleep(REST)
        return answer

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
