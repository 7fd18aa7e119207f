"""What a port writes for a golden kit: npbert's own values in float32, right or with a mistake."""

import numpy as np

from npbert.golden.mistakes.catalogue import applicable, planted
from npbert.tracing.recording import trace


def right(kit):
    """Return every quantity of every case, by "<case>/<name>"."""
    return written(kit, kit.model(np.float32))


def mistaken(kit, name):
    """Return the same of a port that makes a classic mistake."""
    model = kit.model(np.float32)
    (mistake,) = (each for each in applicable(model) if each.name == name)
    with planted(mistake, model) as wrong:
        return written(kit, wrong)


def written(kit, model):
    found = {}
    for case in kit.cases:
        recorded = trace(model, **kit.inputs(case))
        names = {n: q for q in recorded for n in (q.name, *q.aliases)}
        found |= {f"{case}/{t.name}": names[t.name].value for t in kit.tensors if t.name in names}
    return found
