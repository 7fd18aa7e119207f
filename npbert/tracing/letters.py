"""The letters of sizes: their meanings, their values, and those of every parameter."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

from npbert.model import heads
from npbert.model.base import PreTrainedModel

Letters = tuple[str, ...]

# What an entry of the config is called in shape comments; the last one that a config has counts.
OF_CONFIG = {
    "vocab_size": "V", "hidden_size": "D", "embedding_size": "E", "intermediate_size": "I",
    "num_attention_heads": "H", "heads": "H", "mixed_size": "A", "true_hidden_size": "C",
    "conv_kernel_size": "K", "num_labels": "L",
}  # fmt: skip


def family_of(model: PreTrainedModel) -> ModuleType:
    """Return the module with a model's forward pass."""
    family = next(base for base in type(model).__mro__ if "base_model_prefix" in vars(base))
    module = inspect.getmodule(family)
    assert module is not None
    return module


# ---- what they mean ------------------------------------------------------------------------


def legend(of: ModuleType | PreTrainedModel) -> dict[str, str]:
    """Return what each letter means, as a module's docstring says: "Axes   B sentences ...".

    For a model: the letters of its family, then those that only its head knows. Raises ValueError
    for a module without a legend.
    """
    if isinstance(of, PreTrainedModel):
        family = legend(family_of(of))
        return family | {key: word for key, word in legend(heads).items() if key not in family}
    docstring = inspect.getdoc(of) or ""
    text = re.search(r"^Axes +(.*?)(?=^Names|\n\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    if not text:
        raise ValueError(f"{of.__name__} has no legend of its axes")
    entries = [
        re.fullmatch(r"([A-Z]) (?:= )?(.*)", part) for part in re.split(r"\s{2,}", text[1].strip())
    ]
    return {entry[1]: entry[2].partition(";")[0] for entry in entries if entry}


# ---- how large they are --------------------------------------------------------------------


def sizes(model: PreTrainedModel) -> dict[str, int]:
    """Return the size of each letter of a model's family that its config settles.

    B and T are those of the inputs. G is how many groups most of the convolutions have.
    """
    config: Any = model.config
    found = {key: getattr(config, name) for name, key in OF_CONFIG.items() if hasattr(config, name)}
    groups = [value for name, value in vars(config).items() if name.endswith("_groups")]
    if groups:
        found["G"] = max(groups, key=groups.count)
    found["S"] = found.get("A", found.get("C", found["D"])) // found["H"]
    return {letter: found[letter] for letter in legend(family_of(model)) if letter in found}


def size_of(axis: str, sizes: dict[str, int]) -> int | None:
    """Return how long an axis is, "T+K-1" or "I/G"; None where a letter is not known."""
    if any(letter not in sizes for letter in re.findall("[A-Z]", axis)):
        return None
    return int(eval(axis, {"__builtins__": {}}, sizes))


# ---- which ones a parameter has ------------------------------------------------------------


class Size(int):
    """A size that knows what it is called, also after it was multiplied or divided."""

    letters: str

    def __new__(cls, value: int, letters: str) -> Size:
        size = super().__new__(cls, value)
        size.letters = letters
        return size

    def __mul__(self, other: int) -> Size:
        return Size(int(self) * int(other), f"{self.letters}*{in_letters(other)}")

    def __rmul__(self, other: int) -> Size:
        return Size(int(other) * int(self), f"{in_letters(other)}*{self.letters}")

    def __floordiv__(self, other: int) -> Size:
        return Size(int(self) // int(other), quotient(self.letters, in_letters(other)))

    def __sub__(self, other: int) -> Size:
        return Size(int(self) - int(other), f"{self.letters}-{in_letters(other)}")


def in_letters(size: int) -> str:
    return size.letters if isinstance(size, Size) else str(size)


def quotient(dividend: str, divisor: str) -> str:
    return dividend if divisor == "1" else f"{dividend}/{divisor}"


class LetteredConfig:
    """A config whose sizes know their letters, for functions that make shapes of it."""

    def __init__(self, config: Any, sizes: dict[str, int]) -> None:
        self._config, self._sizes = config, sizes

    def __getattr__(self, name: str) -> Any:  # only called where the attribute does not exist
        value = getattr(self._config, name)
        letter = OF_CONFIG.get(name)
        if name.endswith("_groups") and value == self._sizes.get("G"):
            letter = "G"
        return Size(value, letter) if letter in self._sizes else value


def parameter_letters(model: PreTrainedModel) -> dict[str, Letters]:
    """Return the axes of every parameter, under its checkpoint name: ("I", "D") and the like.

    An axis for which there is no letter is its size in digits.
    """
    config: Any = LetteredConfig(model.config, sizes(model))
    shapes = type(model).parameter_shapes(config, **model.options)
    letters = {name: tuple(map(in_letters, shape)) for name, shape in shapes.items()}
    for name, source in type(model).tied(model.config).items():
        letters.setdefault(name, letters[source])
    return letters
