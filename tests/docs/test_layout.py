"""The order of the house: imports run downwards, no circles, and what stands at the top of npbert/.

FLOORS is the one place where the order is written down: a file may import files of its own floor
and of those before it. Imports inside functions and for type checkers count like all others.
"""

import ast
from pathlib import Path

import pytest

import npbert

PACKAGE = Path(npbert.__file__).parent

FLOORS = [
    ["__init__"],  # version and names; what it imports lazily, for type checkers too, is exempt
    ["terminal"],
    ["checkpoints"],  # files of checkpoints
    ["compiled"],  # the switch, and the twins, which repeat no definition but compute the same
    ["activations", "ops", "kernels"],  # the definitions
    ["model"],  # what a model is
    ["bert", "convbert", "mobilebert", "squeezebert"],
    ["auto"],
    ["tokenizer"],
    ["tasks"],
    ["tracing"],
    ["golden"],
    ["exercises"],  # those of the book
    ["corpus"],  # files of texts through a task
    ["live"],  # pages that run in a browser's Python
    ["distributed"],  # the same on a cluster
    ["commands"],
    ["__main__"],
]
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

READING_ROOM = {"bert", "convbert", "mobilebert", "squeezebert", "ops", "activations", "kernels"}
# What one who reads the mathematics need not know of.
MACHINERY = {
    "tokenizer",
    "checkpoints",
    "tasks",
    "tracing",
    "golden",
    "exercises",
    "corpus",
    "live",
    "commands",
}


def module_of(path):
    """Return the dotted name of a file below npbert: "model.heads", "golden" for its __init__."""
    parts = [*path.relative_to(PACKAGE).with_suffix("").parts]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path):
    """Return what a file imports of npbert, as dotted names of files, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = str(node.module)
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "npbert" or name.startswith("npbert."):
                found.add(nearest(name.removeprefix("npbert").lstrip(".")))
    return found


def nearest(name):
    """Return the file that a dotted name is in: "ops" for "ops.linear"."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or "__init__"


# A room's __init__ names, for whoever imports the room, files that stand above it in the room.
GRAPH = {
    name: set() if path.name == "__init__.py" else imports_of(path) - {name}
    for name, path in MODULES.items()
}


def floor_of(module):
    return FLOOR_OF[module.partition(".")[0]]


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    upwards = {other for other in GRAPH[module] if floor_of(other) > floor_of(module)}
    assert not upwards, f"npbert.{module} imports what stands above it"


def circles(graph):
    """Return the files that can be reached from themselves."""
    found = []
    for start in graph:
        seen, waiting = set(), [*graph[start]]
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph.get(module, ())
        if start in seen:
            found.append(start)
    return found


def test_no_circles():
    assert not circles(GRAPH)


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]


def test_every_import_was_read():
    assert GRAPH["convbert"] >= {"ops", "kernels", "activations", "model.heads", "model.config"}
    assert "golden.making" in GRAPH["commands.golden"] | imports_of(MODULES["golden"])


def test_what_stands_at_the_top():
    found = {path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "weights")}
    files = {
        f"{name}.py"
        for name in (*READING_ROOM, "__init__", "__main__", "auto", "distributed", "terminal")
    }
    rooms = {room for floor in FLOORS for room in floor if (PACKAGE / room).is_dir()}
    assert found == files | rooms | {"README.md", "py.typed"}
    assert rooms == {"compiled", "model", *MACHINERY}


@pytest.mark.parametrize("module", sorted(READING_ROOM))
def test_the_reading_room_knows_nothing_of_the_machinery(module):
    rooms = {other.partition(".")[0] for other in GRAPH[module]}
    assert not rooms & MACHINERY
    text = MODULES[module].read_text("utf-8")
    assert "import numba" not in text


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_every_file_says_its_subject_in_its_first_line(path):
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert docstring and len(docstring.splitlines()[0]) > 20
