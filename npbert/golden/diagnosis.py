"""Finds the classic mistake that a port has made: the one that gives the port's values.

npbert makes each mistake in turn and follows the port again. If the tensors that were wrong are
then right, and no other tensor is wrong, the port has made the same mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from npbert.golden.following import follow
from npbert.golden.judging import Row, local_outcomes
from npbert.golden.manifest import Case
from npbert.golden.mistakes.catalogue import Mistake, applicable, around, planted
from npbert.model.base import PreTrainedModel


@dataclass
class Followed:
    """One case of a check: the inputs, the port's arrays that a pass can follow, the verdicts."""

    case: Case
    inputs: Mapping[str, np.ndarray]
    usable: Mapping[str, np.ndarray]
    rows: Mapping[str, Row]

    def wrong(self) -> set[str]:
        """Return the tensors in which a mistake is made."""
        return {name for name, row in self.rows.items() if row.local_right is False}


@dataclass
class Finding:
    """A mistake that reproduces the port's values.

    mistake    what it is              differences  the edits: file, old text, new text
    explained   the wrong tensors that are right with it
    complete    whether nothing is wrong any more with it
    parts       the parts of the model in which the port makes it ("encoder.layer.1", ...)
    elsewhere   those in which the port does not, though the mistake could be made there
    """

    mistake: Mistake
    differences: list[tuple[str, str, str]]
    explained: list[str]
    complete: bool
    parts: list[str]
    elsewhere: list[str] = field(default_factory=list)


def diagnose(model: PreTrainedModel, followed: list[Followed]) -> list[Finding]:
    """Return the mistakes that the port has made, as far as they are among the classic ones."""
    order = [name for each in followed[:1] for name in each.rows]
    wrong = set().union(*(each.wrong() for each in followed)) if followed else set()
    if not wrong:
        return []
    # First the cases that rule out most.
    followed = sorted(followed, key=lambda each: -len(each.wrong()))
    found = []
    for mistake in [*applicable(model), *around(model)]:
        after = verdicts_with(mistake, model, followed, wrong)
        if after is None:
            continue
        explained, still, new, unjudged = after
        credible = {part_of(n) for n in explained} - {part_of(n) for n in new}
        explained = {name for name in explained if part_of(name) in credible}
        if not explained:
            continue
        parts = list(dict.fromkeys(part_of(n) for n in order if n in explained))
        elsewhere = list(dict.fromkeys(part_of(n) for n in order if n in new))
        found.append(
            Finding(
                mistake,
                mistake.differences(model),
                [name for name in order if name in explained],
                not (still or new or unjudged),
                parts,
                elsewhere,
            )
        )
    return best(found)


def verdicts_with(
    mistake: Mistake, model: PreTrainedModel, followed: list[Followed], wrong: set[str]
) -> tuple[set[str], set[str], set[str], set[str]] | None:
    """Follow the port with a mistake planted; return None if it cannot explain anything.

    Returns of the tensors that were wrong those that are right now, and those that still are not;
    those that are wrong now and were not; and those that are off with nothing said about them.
    """
    right: set[str] = set()
    failing: set[str] = set()
    new: set[str] = set()
    unjudged: set[str] = set()
    for each in followed:
        usable = {n: a for n, a in each.usable.items() if not n.endswith(mistake.hidden or ("\0",))}
        wrong_here = each.wrong()
        try:
            with planted(mistake, model) as mistaken:
                if wrong_here and not right:  # is it worth a whole pass?
                    steps = follow(mistaken, each.inputs, usable, wrong_here)
                    outcomes = local_outcomes(each.rows, steps, each.case, wrong_here)
                    if not any(outcomes[n].right for n in wrong_here if n in outcomes):
                        return None
                steps = follow(mistaken, each.inputs, usable)
        except (ValueError, IndexError):  # the shapes of this model do not allow the mistake
            return None
        for name, outcome in local_outcomes(each.rows, steps, each.case).items():
            if outcome.right is False:
                (failing if name in wrong else new).add(name)
                new |= {name} - wrong_here
            elif outcome.right is None and not each.rows[name].expected_right:
                unjudged.add(name)
            elif outcome.right and name in wrong_here:
                right.add(name)
        if not wrong - failing:
            return None
    return right - failing, failing, new, unjudged


def part_of(name: str) -> str:
    """Return the part of the model that a tensor belongs to: the embeddings, a layer, the head."""
    layer = re.match(r"(.*\.)?encoder\.layers?\.\d+(?=\.|$)", name)
    if layer:
        return layer[0]
    inside = re.match(r"inputs\.|(\w+\.)?embeddings", name)
    return "the embeddings" if inside else "the head"


def best(found: list[Finding]) -> list[Finding]:
    """Leave out what another finding explains as well, and more."""
    if any(finding.complete for finding in found):
        return [finding for finding in found if finding.complete]

    def outdone(finding: Finding) -> bool:
        mine = set(finding.explained)
        return any(mine < set(other.explained) for other in found)

    return [finding for finding in found if not outdone(finding)]
