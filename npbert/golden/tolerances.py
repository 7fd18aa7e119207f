"""How far a right port may be off: measured from runs of independent implementations.

In float32 these are npbert's plain definitions (every quantity), these with all sums taken term by
term, forwards and backwards (every quantity: summing.py), npbert's compiled twins (what the model
returns, hidden states and attentions included) and torch, eager (modules and what the model
returns). In float16 and bfloat16 they are npbert in float32 with parameters and every quantity
rounded to the dtype as soon as it is there, and torch in that dtype. These few can be close to each
other by luck. So there are runs of npbert besides, in each dtype, in which every quantity is moved
at random by up to one epsilon, as another order of sums or another exponential function would.

expected  the error of a run against the float64 values of the kit
local     its error against the float64 step recomputed from the run's own values before it

Errors are taken relative to the largest value expected, apart for real and for padded positions. Of
each tensor the largest counts, over all runs and all cases: a tensor of three numbers is close to
right by luck in one case. A step that only npbert has (no module of torch, nothing returned) is
given at least the error of the modules before and after it, for an implementation other than
npbert was only seen there. That share, eight times and never less than eight epsilons of the dtype,
times the largest value of the tensor in the case, rounded up to two digits, is the tolerance.

What is not compared (comparing.py) is not measured. Inputs are exact. A dtype in which a value
overflows has no tolerance there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from npbert.golden.comparing import Difference, Entries, difference
from npbert.golden.following import follow
from npbert.golden.manifest import DTYPES, EPSILON, Tolerance
from npbert.model.base import PreTrainedModel

SAFETY = 8.0  # times the largest error that was seen
LEAST = 8.0  # epsilons of the dtype

Arrays = Mapping[str, np.ndarray]


@dataclass
class Errors:
    """The largest relative errors of one tensor in one dtype, and where that dtype overflows."""

    real: dict[str, float] = field(default_factory=dict)  # by verdict
    padded: dict[str, float] = field(default_factory=dict)
    overflowing: set[str] = field(default_factory=set)  # cases

    def note(self, found: Difference, verdict: str) -> None:
        for kept, error in ((self.real, found.real), (self.padded, found.padded)):
            if error is not None:
                relative = error / found.scale if found.scale else 0.0
                kept[verdict] = max(kept.get(verdict, 0.0), relative)

    def inherit(self, other: Errors) -> None:
        """Take over what is larger in another tensor, of the kinds that this one has."""
        for own, theirs in ((self.real, other.real), (self.padded, other.padded)):
            for verdict in own:
                own[verdict] = max(own[verdict], theirs.get(verdict, 0.0))


class Measured:
    """The errors of every tensor, over all cases and runs."""

    def __init__(self) -> None:
        self.errors: dict[str, dict[str, Errors]] = {dtype: defaultdict(Errors) for dtype in DTYPES}
        self.scales: dict[tuple[str, str], Difference] = {}  # case, name: only scale and kinds

    def note_scale(self, case: str, name: str, expected: np.ndarray, kind: Entries) -> None:
        self.scales[case, name] = difference(expected, expected, kind)

    def note_run(
        self,
        model: PreTrainedModel,
        case: str,
        dtype: str,
        inputs: Arrays,
        run: Arrays,
        expected: Arrays,
        entries: Mapping[str, Entries],
    ) -> None:
        """Measure one run over one case; `model` is the float64 one.

        A tensor that holds an infinity or a NaN where it is compared counts as overflowing.
        """
        given = {}
        for name, array in run.items():
            kind = entries[name]
            found = difference(array, expected[name], kind)
            if not math.isfinite(found.largest):
                self.errors[dtype][name].overflowing.add(case)
                continue
            self.errors[dtype][name].note(found, "expected")
            # What is not compared must not spoil what is computed from it.
            given[name] = np.where(kind.compared, array.astype(np.float64), expected[name])
        for step in follow(model, inputs, given):
            name = step.quantity.name
            if step.given is not None and step.given.dtype.kind == "f":
                self.errors[dtype][name].note(
                    difference(step.given, step.computed, entries[name]), "local"
                )

    def inherit(self, order: list[str], independent: set[str]) -> None:
        """Give what only npbert has at least the errors of the modules before and after it."""
        for errors in self.errors.values():
            nearest = neighbours(order, independent)
            for name in order:
                for other in nearest[name]:
                    errors[name].inherit(errors[other])

    def tolerance(self, case: str, name: str, dtype: str) -> Tolerance | None:
        """Return the tolerance of a tensor in a case, None where the dtype overflows."""
        errors, scale = self.errors[dtype][name], self.scales[case, name]
        if case in errors.overflowing:
            return None

        def allowed(kinds: dict[str, float], verdict: str) -> float:
            share = max(SAFETY * kinds.get(verdict, 0.0), LEAST * EPSILON[dtype])
            return rounded_up(share * scale.scale)

        if scale.padded is None:
            return Tolerance(*(allowed(errors.real, v) for v in ("expected", "local")))
        padded = [allowed(errors.padded, verdict) for verdict in ("expected", "local")]
        if scale.real is None:
            return Tolerance(*padded, *padded)
        return Tolerance(*(allowed(errors.real, v) for v in ("expected", "local")), *padded)


def neighbours(order: list[str], independent: set[str]) -> dict[str, list[str]]:
    """Return for each name outside `independent` those before and after it that are in it."""
    found: dict[str, list[str]] = {name: [] for name in order}
    for names in (order, order[::-1]):
        last = None
        for name in names:
            if name in independent:
                last = name
            elif last is not None:
                found[name].append(last)
    return found


def exact(expected: np.ndarray, dtype: str, has_padding: bool) -> Tolerance | None:
    """Return the tolerance of an input: none at all, or None where the dtype cannot hold it."""
    digits = {"float32": 24, "float16": 11, "bfloat16": 8}[dtype]
    if expected.dtype.kind != "f" and np.abs(expected).max(initial=0) > 2**digits:
        return None
    return Tolerance(0.0, 0.0, 0.0, 0.0) if has_padding else Tolerance(0.0, 0.0)


def rounded_up(number: float) -> float:
    """Return the next number with two significant digits."""
    if number == 0:
        return 0.0
    place = math.floor(math.log10(number)) - 1
    # Through decimal text, so that 1.2e-06 is that very number; the share keeps 1.2 from being 1.3.
    digits = math.ceil(number / 10.0**place * (1 - 1e-9))
    return float(f"{digits}e{place}")
