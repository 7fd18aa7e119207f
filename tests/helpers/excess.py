"""How many tolerances a run is off from a golden kit: the largest of all tensors of a case."""

import numpy as np

from npbert.golden.comparing import compare
from npbert.golden.following import follow


def largest_excess(kit, case, values):
    """Return the largest errors of a whole run, in float32 tolerances: (expected, local).

    values: every quantity by name. Those of another shape than the kit's are left out.
    """
    described, expected = kit.case(case), kit.expected(case)
    of_all, of_step = [0.0], [0.0]
    for tensor in kit.tensors:
        name, part = tensor.name, tensor.cases[case]
        if name in values and part.tolerance["float32"] and values[name].shape == part.shape:
            difference = compare(tensor, described, values[name], expected[name])
            of_all.append(difference.excess(part.tolerance["float32"]))
    with np.errstate(all="ignore"):
        for step in follow(kit.model(), kit.inputs(case), values):
            name, given = step.quantity.name, step.given
            if name not in kit.by_name or given is None or given.shape != step.computed.shape:
                continue
            tensor = kit.tensor(name)
            tolerance = tensor.cases[case].tolerance["float32"]
            if tolerance and given.dtype.kind == "f":
                difference = compare(tensor, described, given, step.computed, sampled=False)
                of_step.append(difference.excess(tolerance, "local"))
    return max(of_all), max(of_step)
