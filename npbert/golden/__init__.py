"""Golden kits: expected values of every step of a forward pass, and the check of a port by them."""

from __future__ import annotations

import importlib
from typing import Any

# Every public name and the file it is written in, which is imported when the name is first wanted.
_HOMES = {"make_kit": "making", "check_kit": "checking", "Kit": "kit", "Report": "report"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"npbert.golden.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
