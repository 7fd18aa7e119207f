"""Texts of any lengths through a model together: in batches without padding, and apart again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from npbert.compiled import backend
from npbert.compiled.texts import Run, texts_of
from npbert.model.inputs import Inputs, check_rows, joined_rows
from npbert.model.outputs import BaseModelOutput

BATCH_TOKENS = 1024  # so many at most are run together: more is not faster, and takes memory
TOKENS, FIRST = "tokens", "first"  # what a field of an output is made of: `made_of` of a model


class Encoded(NamedTuple):
    """Texts that were run together: the hidden states of all their tokens, in one row."""

    numbers: list[int]  # of the texts, in the list that they are from
    runs: tuple[Run, ...]  # those of one length
    states: np.ndarray  # [1, N, D]

    def places(self) -> list[slice]:
        """Return which tokens are those of each text."""
        starts = [run.start + n * run.length for run in self.runs for n in range(run.texts)]
        return list(map(slice, starts, [*starts[1:], self.states.shape[1]]))


Finish = Callable[[Any, Encoded], Sequence[Any]]  # makes a result of each text, given the model


def finish(model: Any, encoded: Encoded) -> list[Any]:
    """Make the output of each text, as the head of the model makes it of the text alone.

    Where it can be, the head is called once for all texts.
    """
    outputs: list[Any] = []
    if not model.made_of:
        for run in encoded.runs:
            x = encoded.states[0, run.tokens].reshape(run.texts, run.length, -1)
            output = _call_head(model, x)
            for n in range(run.texts):
                fields = {name: array[n : n + 1] for name, array in output.items()}
                outputs.append(type(output)(**fields))
        return outputs
    places = encoded.places()
    found: dict[str, np.ndarray] = {}
    firsts = encoded.states[0][[place.start for place in places]][:, None]  # [B, 1, D]
    for part, x in ((TOKENS, encoded.states), (FIRST, firsts)):
        if part in model.made_of.values():
            output = _call_head(model, x)
            found |= {name: a for name, a in output.items() if model.made_of[name] == part}
    for n, place in enumerate(places):
        own: dict[str, Any] = {TOKENS: (slice(None), place), FIRST: slice(n, n + 1)}
        fields = {name: array[own[model.made_of[name]]] for name, array in found.items()}
        outputs.append(type(output)(**fields))
    return outputs


def _call_head(model: Any, x: np.ndarray) -> Any:
    labels = model.check_labels(x.shape[:2], model.no_labels)
    return model.finish(BaseModelOutput(x), labels)


def run(
    model: Any, rows: Any, batch_tokens: int = BATCH_TOKENS, finish: Finish = finish
) -> Iterator[tuple[int, Any]]:
    """Run texts together; yield the number and the result of each, shortest texts first.

    rows, batch_tokens: as of `PreTrainedModel.encode_texts`. Raises ValueError, before any work,
    for a row that does not fit the model.
    """
    if not isinstance(batch_tokens, (int, np.integer)) or batch_tokens < 1:
        raise ValueError(f"batch_tokens is {batch_tokens!r}, expected an integer of at least 1")
    checked = check_rows(model.config, model.dtype, rows)
    return _run(model, checked, batch_tokens, finish, backend.get_backend())


def _run(
    model: Any, rows: list[Inputs], batch_tokens: int, finish: Finish, chosen: str
) -> Iterator[tuple[int, Any]]:
    lengths = [row.shape[1] for row in rows]
    for batch in _batches(lengths, batch_tokens):
        inputs = joined_rows([rows[i] for i in batch])
        # What was chosen holds while a batch is computed, not while its results are taken.
        with backend.using(chosen):
            with texts_of([lengths[i] for i in batch]) as runs:
                states = model.encode(inputs, False, False).last_hidden_state
            results = finish(model, Encoded(batch, runs, states))
        yield from zip(batch, results, strict=True)


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield the numbers of the texts that run together, shortest texts first.

    Texts of one length that stand next to each other are attended to in one product.
    """
    batch: list[int] = []
    tokens = 0
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and tokens + lengths[i] > batch_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append(i)
        tokens += lengths[i]
    if batch:
        yield batch
