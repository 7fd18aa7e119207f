"""Which backend a command computes with: the one that is done first, by how much there is to do.

Plain NumPy is there at once. To import numba and to read the machine code takes 0.75 s longer, but
compiled code then saves about 25 ns for every number that the layers compute: not in the products,
whose multiplications NumPy does nearly as fast, but in the passes over their results. (So a model
4 layers deep and 256 wide is level at 1,500 tokens, BERT-base at 250.) Compiled code runs where
there is more to do, and for lines that come through a pipe, however many there will be. The
environment variable NPBERT_BACKEND, or `set_backend`, overrules this.
"""

from __future__ import annotations

import argparse
import math
import os
import stat
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

ENOUGH = 3e7  # numbers to compute, from which on compiled code is done first
CHARACTERS = 4  # of text that make a token, or bytes of a file


def choose_backend(arguments: argparse.Namespace, given: Iterable[Any]) -> str:
    """Return "numpy" or "numba", for a command on what it was given or what --input holds."""
    from npbert.compiled.backend import chosen_backend, get_backend

    is_said = os.environ.get("NPBERT_BACKEND") or chosen_backend()
    if not is_said and count_results(arguments, given) < ENOUGH:
        return "numpy"
    return get_backend()


def count_results(arguments: argparse.Namespace, given: Iterable[Any]) -> float:
    """Return about how many numbers the layers compute: one for each bias and scale, every token.

    0 for a checkpoint that cannot be read: whoever loads it says what is wrong.
    """
    from npbert import auto
    from npbert.checkpoints.shipped import checkpoint_directory
    from npbert.tasks.loading import BY_COMMAND

    size = count_characters(given) if arguments.input is None else size_of_input(arguments.input)
    with warnings.catch_warnings(), suppress(ValueError, OSError):
        warnings.simplefilter("ignore")  # said when it is loaded
        directory = checkpoint_directory(arguments.model or BY_COMMAND[arguments.command].default)
        config = auto.AutoConfig.from_pretrained(directory)
        shapes = auto.class_for(directory, "Model").parameter_shapes(config)
        vectors = [s[0] for name, s in shapes.items() if len(s) == 1 and "embeddings." not in name]
        return size / CHARACTERS * sum(vectors)
    return 0


def count_characters(given: Any) -> int:
    """Return how long all texts are in what a command was given."""
    if isinstance(given, str):
        return len(given)
    return sum(map(count_characters, given.values() if isinstance(given, dict) else given))


def size_of_input(path: str) -> float:
    """Return how many bytes a file ("-": standard input) has, infinity for a pipe."""
    try:
        status = os.fstat(sys.stdin.fileno()) if path == "-" else os.stat(path)
    except (OSError, ValueError):  # said when it is read
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else math.inf
