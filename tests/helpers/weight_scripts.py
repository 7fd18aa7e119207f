"""The scripts of weights/, which are no package: loaded by their files."""

import importlib.util
from pathlib import Path

WEIGHTS = Path(__file__).parents[2] / "weights"


def load_script(name):
    """Return a script of weights/ as a module."""
    spec = importlib.util.spec_from_file_location(name, WEIGHTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
