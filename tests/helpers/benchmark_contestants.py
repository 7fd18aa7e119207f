"""The contestants of the benchmark of forward passes, each in a process of its own.

A process of its own, because the threads of one library disturb those of another: those of OpenBLAS
and of ONNX Runtime keep a core busy for about 0.1 s when their work is done.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from helpers.benchmark_machine import Machine, count_cores, timed

REST = 0.15  # seconds after every call: until the threads that worked have fallen asleep
BATCH = 32  # texts that torch pads to one length

# ---- in the process of a contestant --------------------------------------------------------


class Npbert:
    """npbert with one of its backends."""

    def __init__(self, backend: str, directory: Path, folder: Path):
        import npbert

        npbert.set_backend(backend)
        warnings.simplefilter("ignore")  # a checkpoint's head has nothing to do here
        self.model = npbert.AutoModel.from_pretrained(directory)

    def forward(self, ids: Any) -> Any:  # [B, T] -> [B, T, D]
        return self.model(ids).last_hidden_state

    def pool_texts(self, rows: list[list[int]]) -> Any:  # -> [N, D]
        """Return the mean over the tokens of every text, without padding."""
        import numpy as np

        return np.stack([o.last_hidden_state[0].mean(0) for o in self.model.encode_texts(rows)])


def load_reference(directory: Path, **options: Any) -> Any:
    """Return the model of transformers, without its messages."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers.AutoModel.from_pretrained(directory, **options).eval()


class Torch:
    """torch in eager mode: the model as transformers gives it, with torch's own fused attention."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, directory: Path, folder: Path):
        import torch

        torch.set_num_threads(count_cores())
        self.model = load_reference(directory, **self.options)

    def forward(self, ids: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(ids)).last_hidden_state.numpy()

    def pool_texts(self, rows: list[list[int]]) -> Any:
        """Return the same as npbert, of batches of similar lengths, padded to the longest."""
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
                x = self.model(ids, attention_mask=mask).last_hidden_state  # [32, T, D]
                sums = (x * mask[..., None]).sum(1)
                pooled[batch] = (sums / mask.sum(1, keepdim=True)).numpy()
        return pooled


class EagerTorch(Torch):
    """torch with attention written out, operation by operation, as the definitions here are."""

    options: ClassVar[dict[str, Any]] = {"attn_implementation": "eager"}


class OnnxRuntime:
    """ONNX Runtime on the model as torch exports it: default options, a thread for each core."""

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
    """Write the model of a checkpoint as ONNX, for any number and length of texts.

    Of the attention written out: that of torch brings checks into the graph that cost time.
    """
    import torch

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = load_reference(directory, attn_implementation="eager")

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


def take_turn(work: Callable[[Any], Any], warm: Any, given: Any, seconds: float) -> list[float]:
    """Warm up, then work again and again for so many seconds; return how long each time took."""
    work(warm)
    times: list[float] = []
    while not times or sum(times) < seconds:
        times.append(timed(lambda: work(given)))
    return times


def serve(make: Callable[[Path, Path], Any], directory: Path, folder: Path, pipe: Any) -> None:
    """Make a contestant, then answer every call with what its method returned, or the error."""
    try:
        contestant = make(directory, folder)
        pipe.send(None)
        while True:
            method, *arguments = pipe.recv()
            if method == "turn":
                method, *arguments = arguments
                pipe.send(take_turn(getattr(contestant, method), *arguments))
            else:
                pipe.send(getattr(contestant, method)(*arguments))
    except EOFError:  # the benchmark has ended
        pass
    except Exception as error:
        pipe.send(error)


# ---- in the process of the benchmark -------------------------------------------------------

CONTESTANTS: dict[str, Callable[[Path, Path], Any]] = {
    "npbert-numba": functools.partial(Npbert, "numba"),
    "npbert-numpy": functools.partial(Npbert, "numpy"),
    "torch": Torch,
    "torch-eager": EagerTorch,
    "onnxruntime": OnnxRuntime,
}
ALL = {**CONTESTANTS, "machine": Machine}


class Process:
    """A contestant in a process of its own: calling it calls a method there.

    Raises what is raised there, when the contestant is made and when it is called.
    """

    def __init__(self, name: str, directory: Path, folder: Path):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (ALL[name], directory, folder, theirs)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self._answer()

    def _answer(self) -> Any:
        answer = self.pipe.recv()
        time.sleep(REST)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __call__(self, method: str, *arguments: Any) -> Any:
        self.pipe.send((method, *arguments))
        return self._answer()

    def stop(self) -> None:
        self.pipe.close()
        self.process.join()
