"""For the tests of a port in Python: an assertion whose message is the report.

from npbert.golden import Kit, assert_matches

def test_my_port():
    kit = Kit("tests/bert-model")
    assert_matches(kit, {case: my_port(**kit.inputs(case)) for case in kit.cases})

Needs no pytest: what fails is a plain AssertionError.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from npbert.golden.checking import check_kit
from npbert.golden.kit import Kit
from npbert.golden.report import Report


def assert_matches(
    kit: Kit | str | os.PathLike[str],
    arrays: Mapping[str, Any] | str | os.PathLike[str],
    case: str | None = None,
    strict: bool = False,
    require: Sequence[str] = (),
    precision: str | None = None,
) -> Report:
    """Check a port's arrays against a kit; return the report if all is right.

    The arguments are those of `check_kit`. Raises AssertionError with the whole report where a
    tensor is wrong, or required and not given; ValueError where nothing can be judged.
    """
    __tracebackhide__ = True  # so that pytest shows the line of the test
    report = check_kit(kit, arrays, case, strict, require, precision)
    if not report.passed:
        raise AssertionError(f"not what the kit {report.kit.name} expects\n\n{report.render()}")
    return report
