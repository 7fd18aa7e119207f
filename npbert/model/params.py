"""The parameter tree: arrays under the names they have in the checkpoint.

A checkpoint is flat, {"encoder.layer.0.output.dense.weight": array, ...}; forward passes read the
same array as p.encoder.layer[0].output.dense.weight. Nothing is renamed on the way.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

Shapes = dict[str, tuple[int, ...]]

MAX_LISTED = 100  # tensors in an error


class Node:
    """One step of a checkpoint name: holds its arrays and sub-nodes as attributes, and its path."""

    # Another object whenever an entry of any node is set: what was prepared of one is then old.
    changes: ClassVar[object] = object()

    def __init__(self, path: str):
        self._path = path

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            Node.changes = object()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        Node.changes = object()

    def __getattr__(self, name: str) -> Any:  # only called where the attribute does not exist
        if name.startswith("__"):
            raise AttributeError(name)
        here = f'"{self._path}"' if self._path else "the root of the parameters"
        raise AttributeError(
            f'{here} has no "{name}"; it has {", ".join(children(self)) or "nothing"}'
        )

    def __repr__(self) -> str:
        return f"Node({self._path!r}: {', '.join(children(self))})"


def path(node: Node) -> str:
    """Return the checkpoint name of a node, "encoder.layer.3.attention.self"; "" for the root."""
    return node._path


def children(node: Node) -> dict[str, Any]:
    """Return the arrays, nodes and lists of nodes directly below a node, by name."""
    return {name: child for name, child in vars(node).items() if not name.startswith("_")}


def tree(tensors: Mapping[str, Any], path: str = "") -> Any:
    """Turn {"layer.0.dense.weight": array} into a tree with tree.layer[0].dense.weight."""
    if set(tensors) == {""}:  # the name is used up: what is left is the array
        return tensors[""]
    branches: dict[str, dict[str, Any]] = {}
    for name, array in tensors.items():
        head, _, rest = name.partition(".")
        branches.setdefault(head, {})[rest] = array
    below = {head: tree(branch, f"{path}.{head}".lstrip(".")) for head, branch in branches.items()}
    if below and all(head.isdigit() for head in below):  # layer.0, layer.1, ... become a list
        return [below[str(i)] for i in range(len(below))]
    node = Node(path)
    vars(node).update(below)
    return node


def render(node: Any, name: str = "", indent: str = "  ") -> Iterator[str]:
    """Yield the lines of a drawing of a tree, as torch prints modules.

    Entries of a list that look alike are drawn once: "(0-11): 12 x".
    """
    label = f"({name}): " if name else ""
    if isinstance(node, np.ndarray):
        yield f"{indent}{label}{list(node.shape)}"
    elif isinstance(node, Node) and all(isinstance(a, np.ndarray) for a in children(node).values()):
        shapes = (f"{name} {list(array.shape)}" for name, array in children(node).items())
        yield f"{indent}{label}{', '.join(shapes)}"
    elif isinstance(node, list):
        drawings = [[*render(entry, "", indent + "  ")] for entry in node]
        yield f"{indent}{label}["
        start = 0
        for i in range(1, len(node) + 1):
            if i == len(node) or drawings[i] != drawings[start]:
                first, *others = drawings[start]
                place = f"({start}): " if i == start + 1 else f"({start}-{i - 1}): {i - start} x "
                yield f"{indent}  {place}{first.lstrip()}"
                yield from others
                start = i
        yield f"{indent}]"
    else:
        yield f"{indent}{label}("
        for child_name, child in children(node).items():
            yield from render(child, child_name, indent + "  ")
        yield f"{indent})"


def flatten(node: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) for every array of a tree: the inverse of `tree`."""
    if isinstance(node, np.ndarray):
        yield path, node
        return
    below = enumerate(node) if isinstance(node, list) else children(node).items()
    for name, child in below:
        yield from flatten(child, f"{path}.{name}".lstrip("."))


# ---- shapes: what a config asks of a checkpoint --------------------------------------------


def linear_shapes(O: int, I: int) -> Shapes:
    """Return the shapes of a linear map from I to O channels."""
    return {"weight": (O, I), "bias": (O,)}


def norm_shapes(D: int) -> Shapes:
    """Return the shapes of a layer normalization of D channels."""
    return {"weight": (D,), "bias": (D,)}


def flat_shapes(table: Mapping[str, Any], path: str = "") -> Shapes:
    """Turn {"layer": [{"dense": {"weight": (4, 4)}}]} into {"layer.0.dense.weight": (4, 4)}."""
    flat: Shapes = {}
    for name, entry in table.items():
        here = f"{path}.{name}".lstrip(".")
        if isinstance(entry, tuple):
            flat[here] = entry
        else:
            numbered = {str(i): each for i, each in enumerate(entry)}
            flat |= flat_shapes(numbered if isinstance(entry, list) else entry, here)
    return flat


def random_tensors(shapes: Shapes, spread: float, seed: int) -> dict[str, np.ndarray]:
    """Return float64 arrays as the reference initialises them: norms 1, biases 0, the rest normal.

    `spread` is the standard deviation (initializer_range). A tensor depends on its name and the
    seed alone, so that adding a head does not change the encoder. Raises ValueError for a seed that
    is not a non-negative integer.
    """
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed is {seed!r}, expected a non-negative integer")
    return {name: _random(name, shape, spread, seed) for name, shape in shapes.items()}


def _random(name: str, shape: tuple[int, ...], spread: float, seed: int) -> np.ndarray:
    if name.endswith("bias"):
        return np.zeros(shape)
    if "norm" in name.lower():
        return np.ones(shape)
    rng = np.random.default_rng([seed, *name.encode()])
    return rng.normal(0, spread, shape)


# ---- matching: names and shapes of a checkpoint against what the config asks ---------------


def fit_prefix(tensors: Mapping[str, Any], names: Container[str], prefix: str) -> dict[str, Any]:
    """Add or remove the prefix of the encoder ("convbert.") where that gives one of the `names`.

    An encoder that was saved alone has no prefix; the same encoder inside a model with a head has
    one. A tensor that already has the wanted name is not replaced by a renamed one.
    """

    def fit(name: str) -> str:
        if name in names:
            return name
        spellings = (f"{prefix}.{name}", name.removeprefix(f"{prefix}."))
        return next((s for s in spellings if s in names and s not in tensors), name)

    return {fit(name): array for name, array in tensors.items()}


def match(
    tensors: Mapping[str, np.ndarray], shapes: Shapes, optional: Iterable[str], source: str
) -> tuple[list[str], list[str]]:
    """Compare every name and shape of a checkpoint with `shapes`; return (missing, unexpected).

    `optional` lists the prefixes of the parts that may be missing as a whole (a head, a pooler):
    only tensors of these are returned as missing. Everything else that is missing or has another
    shape raises one ValueError that lists all of it, each tensor with the shape that the config
    asks for. So does a tensor of integers: a quantised weight means nothing without its scale.
    Of very many, the error lists the first.
    """
    there = {name: tensors[name] for name in shapes if name in tensors}
    wrong = [
        f"{name}: is {list(array.shape)}, expected {list(shapes[name])}"
        for name, array in there.items()
        if array.shape != shapes[name]
    ]
    wrong += [
        f"{name}: has dtype {array.dtype}, expected floating-point numbers"
        for name, array in there.items()
        if array.dtype.kind != "f"
    ]
    missing = []
    for part, names in _by_part(shapes, optional).items():
        absent = [name for name in names if name not in tensors]
        if part and len(absent) == len(names):
            missing += absent
        else:
            wrong += [f"{name}: is missing, expected {list(shapes[name])}" for name in absent]
    if wrong:
        count = f"{len(wrong)} tensor{'s do' if len(wrong) > 1 else ' does'} not fit the config"
        if len(wrong) > MAX_LISTED:
            wrong[MAX_LISTED:] = [f"... and {len(wrong) - MAX_LISTED} more"]
        raise ValueError(f"{source}: {count}:\n  " + "\n  ".join(wrong))
    return missing, [name for name in tensors if name not in shapes]


def _by_part(shapes: Shapes, optional: Iterable[str]) -> dict[str, list[str]]:
    """Group names by the optional part they belong to, "" for those that must be there."""
    groups: dict[str, list[str]] = {}
    for name in shapes:
        part = next((beginning for beginning in optional if name.startswith(beginning)), "")
        groups.setdefault(part, []).append(name)
    return groups
