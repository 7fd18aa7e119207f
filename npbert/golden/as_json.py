"""What a check has found as JSON can hold it; numbers that JSON does not have are texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.golden.comparing import Difference
from npbert.golden.diagnosis import Finding
from npbert.golden.judging import Row
from npbert.golden.manifest import Tensor, Tolerance


def row_as_dict(row: Row) -> dict[str, Any]:
    if not row.given:
        return {"name": row.name, "shape": list(row.shape), "verdict": "not given"}
    return {
        "name": row.name,
        "written": row.written,
        "shape": list(row.shape),
        "dtype": row.dtype,
        "verdict": row.verdict,
        "problem": row.problem or None,
        "misdumped": row.misdumped,
        "remark": row.remark or None,
        "axes_in_order": None if row.layout is None else list(row.layout.turn),
        "expected": verdict_as_dict(row.expected, row.tolerance, "expected", row.expected_right),
        "local": verdict_as_dict(row.local, row.local_tolerance, "local", row.local_right),
        "not_judged_because_of": row.unjudged or None,
    }


def verdict_as_dict(
    difference: Difference | None, tolerance: Tolerance | None, which: str, right: bool | None
) -> dict[str, Any] | None:
    if difference is None or tolerance is None:
        return None
    padded = getattr(tolerance, f"{which}_padded")
    return {
        "right": right,
        "error": number(difference.real),
        "error_padded": number(difference.padded),
        "relative": number(difference.relative),
        "tolerance": number(getattr(tolerance, which)),
        "tolerance_padded": number(padded),
        "unmasked": difference.unmasked,
        "worst": None if difference.worst is None else list(difference.worst),
    }


def number(value: float | None) -> float | str | None:
    if value is None:
        return None
    return float(value) if np.isfinite(value) else str(float(value))


def finding_as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "mistake": finding.mistake.name,
        "about": finding.mistake.about,
        "edits": [dict(file=f, old=old, new=new) for f, old, new in finding.differences],
        "complete": finding.complete,
        "explains": finding.explained,
        "parts": finding.parts,
        "not_in": finding.elsewhere,
    }


def tensor_as_dict(tensor: Tensor) -> dict[str, Any]:
    parts = ("name", "file", "line", "function", "code", "equation", "section")
    return {part: getattr(tensor, part) for part in parts}
