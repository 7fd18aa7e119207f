"""Golden kits: expected values of every step of a forward pass, and the check of a port by them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; a check at run time does without the making
    from npbert.golden.checking import check_kit
    from npbert.golden.kit import Kit
    from npbert.golden.making import make_kit
    from npbert.golden.page import report_page
    from npbert.golden.report import Report
    from npbert.golden.testing import assert_matches

__all__ = ["Kit", "Report", "assert_matches", "check_kit", "make_kit", "report_page"]
_HOMES = {
    "Kit": "kit",
    "Report": "report",
    "assert_matches": "testing",
    "check_kit": "checking",
    "make_kit": "making",
    "report_page": "page",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"npbert.golden.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
