"""The steps from hidden states to a sentence's vector, as a sentence-embedding folder says them.

A folder of sentence-transformers (checkpoints/sentence_files.py) has a Transformer, which is a
checkpoint, a Pooling, and perhaps Dense and Normalize. A folder without modules.json is a
checkpoint alone, and its vector the mean over the tokens, as sentence-transformers has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from npbert.activations import gelu, sigmoid, silu
from npbert.checkpoints.directory import read_json, read_weights
from npbert.checkpoints.files import naming, short
from npbert.checkpoints.sentence_files import (
    BODY_CONFIG,
    CONFIG_FILE,
    SENTENCE_CONFIG,
    read_modules,
)
from npbert.tasks.pooling import POOLINGS, SWITCHES

SENTENCE = "sentence_embedding"  # what the modules after Pooling read and write
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of Dense, as torch names them
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "GELU": gelu,
    "Sigmoid": sigmoid,
    "SiLU": silu,
}


@dataclass(frozen=True)
class Pooling:
    """Hidden states [T, D] to one vector; several poolings stand side by side.

    counts_prompt: whether the tokens of a prompt count.
    """

    modes: tuple[str, ...] = ("mean",)
    counts_prompt: bool = True

    def __call__(self, x: np.ndarray, prompt_tokens: int) -> np.ndarray:  # [T, D] -> [M * D]
        skip = 0 if self.counts_prompt else prompt_tokens
        return np.concatenate([POOLINGS[mode](x, skip) for mode in self.modes])


@dataclass(frozen=True)
class Dense:
    """A linear map with an activation, perhaps added to what it was given."""

    weight: np.ndarray  # [O, I]
    bias: np.ndarray | None  # [O]
    activation: str
    residual: np.ndarray | None = None  # [O, I], or [] for what is added as it is

    def __call__(self, x: np.ndarray) -> np.ndarray:  # [N, I] -> [N, O]
        y = x @ self.weight.T
        if self.bias is not None:
            y = y + self.bias
        y = ACTIVATIONS[self.activation](y)
        if self.residual is None:
            return y
        return y + (x @ self.residual.T if self.residual.size else x)


@dataclass(frozen=True)
class Normalize:
    """Every vector to length 1."""

    def __call__(self, x: np.ndarray) -> np.ndarray:  # [N, D] -> [N, D]
        lengths = np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
        return x / np.maximum(lengths, x.dtype.type(1e-12))


@dataclass(frozen=True)
class Recipe:
    """What a folder says about the way from a text to its vector.

    body: where the checkpoint is, if anywhere. max_seq_length: how many tokens of a text count,
    None for as many as the model and the tokenizer take. do_lower_case: whether texts are
    lowercased, whatever the tokenizer does. prompts: what may be put before a text, by name;
    default_prompt_name: which is when none is named. is_folder: whether there are modules at all.
    """

    body: Path | None = None
    pooling: Pooling = Pooling()
    steps: tuple[Dense | Normalize, ...] = ()
    max_seq_length: int | None = None
    do_lower_case: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    is_folder: bool = False

    def prompt(self, name: str | None) -> str:
        """Return the prompt of a name, or the default; a ValueError for an unknown name."""
        name = self.default_prompt_name if name is None else name
        if name is None:
            return ""
        if name not in self.prompts:
            known = ", ".join(self.prompts)
            raise ValueError(f"prompt_name is {name!r}, expected one of {known}")
        return self.prompts[name]


def read_recipe(directory: Path) -> Recipe:
    """Read what a folder says.

    Raises FileNotFoundError for a missing file, ValueError, which begins with the path, for a
    damaged one, and for a module that npbert does not have.
    """
    modules = read_modules(directory)
    if not modules:
        return Recipe(directory, prompts={"query": "", "document": ""})
    body, *others = modules
    pooling: Pooling | None = None
    steps: list[Dense | Normalize] = []
    for module in others:
        folder = directory / module.folder
        if module.kind == "Pooling" and pooling is None and not steps:
            pooling = read_pooling(folder)
        elif module.kind == "Dense" and pooling is not None:
            steps.append(read_dense(folder))
        elif module.kind == "Normalize" and pooling is not None:
            steps.append(Normalize())
        else:
            raise ValueError(
                f"{directory}: modules.json has {', '.join(each.kind for each in modules)}; npbert "
                "has a Transformer, a Pooling, then any of Dense and Normalize"
            )
    if pooling is None:
        raise ValueError(f"{directory}: modules.json has no Pooling, so that no vector is made")
    return Recipe(
        directory / body.folder,
        pooling,
        tuple(steps),
        is_folder=True,
        **_of_body(directory / body.folder),
        **_prompts(directory),
    )


def read_pooling(folder: Path) -> Pooling:
    config = read_json(folder, CONFIG_FILE)
    with naming(folder / CONFIG_FILE):
        modes = config.get("pooling_mode")
        if modes is None:
            modes = [name for key, name in SWITCHES.items() if config.get(key)]
        modes = (modes,) if isinstance(modes, str) else tuple(modes) or ("mean",)
        for mode in modes:
            if mode not in POOLINGS:
                known = ", ".join(POOLINGS)
                raise ValueError(f"pooling_mode is {short.repr(mode)}, expected one of {known}")
    return Pooling(modes, bool(config.get("include_prompt", True)))


def read_dense(folder: Path) -> Dense:
    config, tensors = read_json(folder, CONFIG_FILE), read_weights(folder)
    tensors = {name: array.astype(np.float32, copy=False) for name, array in tensors.items()}
    with naming(folder / CONFIG_FILE):
        for name in ("module_input_name", "module_output_name"):
            if config.get(name) not in (None, SENTENCE):
                raise ValueError(f"{name} is {short.repr(config[name])}, expected {SENTENCE!r}")
        activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
        if activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation_function is {activation!r}, expected one of {known}")
        I, O = config.get("in_features"), config.get("out_features")
        expected: dict[str, Any] = {"linear.weight": (O, I)}
        if config.get("bias", True):
            expected["linear.bias"] = (O,)
        adds = bool(config.get("use_residual"))
        if adds and I != O:
            expected["residual.weight"] = (O, I)
        found = {name: array.shape for name, array in tensors.items()}
        if found != expected:
            raise ValueError(f"the weights have {found}, expected {expected}")
    residual = tensors.get("residual.weight", np.empty((0, 0), np.float32)) if adds else None
    return Dense(tensors["linear.weight"], tensors.get("linear.bias"), activation, residual)


def _of_body(folder: Path) -> dict[str, Any]:
    if not (folder / BODY_CONFIG).is_file():
        return {}
    config = read_json(folder, BODY_CONFIG)
    of_tokenizer = config.get("processor_kwargs") or config.get("tokenizer_args") or {}
    length = config.get("max_seq_length") or of_tokenizer.get("model_max_length")
    if length is not None and (
        isinstance(length, bool) or not isinstance(length, int) or length < 1
    ):
        where = folder / BODY_CONFIG
        raise ValueError(f"{where}: max_seq_length is {short.repr(length)}, expected a length")
    return {"max_seq_length": length, "do_lower_case": bool(config.get("do_lower_case"))}


def _prompts(directory: Path) -> dict[str, Any]:
    is_there = (directory / SENTENCE_CONFIG).is_file()
    config = read_json(directory, SENTENCE_CONFIG) if is_there else {}
    prompts, default = config.get("prompts") or {}, config.get("default_prompt_name")
    with naming(directory / SENTENCE_CONFIG):
        texts = isinstance(prompts, dict) and all(
            p is None or isinstance(p, str) for p in prompts.values()
        )
        if not texts:
            raise ValueError(f"prompts is {short.repr(prompts)}, expected texts by their names")
        prompts = {"query": "", "document": ""} | {name: p or "" for name, p in prompts.items()}
        if default is not None and default not in prompts:
            raise ValueError(f"default_prompt_name is {short.repr(default)}, which is no prompt's")
    return {"prompts": prompts, "default_prompt_name": default}
