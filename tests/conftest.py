"""What all tests share: how Hypothesis draws, and when a missing reference library is an error."""

import importlib.util
import os

import pytest
from hypothesis import settings

# A slow machine is no failure, and the same commit draws the same examples.
settings.register_profile("npbert", deadline=None, derandomize=True)
settings.load_profile("npbert")

REFERENCE_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors")


def pytest_configure(config):
    """Where the comparison must run, let a missing library stop everything instead of skipping."""
    missing = [name for name in REFERENCE_LIBRARIES if importlib.util.find_spec(name) is None]
    if os.environ.get("NPBERT_REQUIRE_REFERENCE") and missing:
        raise pytest.UsageError(f"NPBERT_REQUIRE_REFERENCE is set, but missing: {missing}")
