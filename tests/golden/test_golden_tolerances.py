"""The tolerances of the kits that ship: wide enough for any order of sums, far from any mistake."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from excess import largest_excess

import npbert
from npbert.golden import Kit, check_kit, checking
from npbert.golden.mistakes.catalogue import applicable, planted
from npbert.golden.mistakes.planting import Edit, edited
from npbert.golden.passes import run_npbert
from npbert.golden.summing import ORDERS

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
KITS = sorted(path.parent for path in ROOT.glob("weights/golden/*/manifest.json"))
SMALL = [kit for kit in KITS if not (ROOT / "weights" / kit.name).is_dir()]
ANSWER = ROOT / "weights" / "golden" / "convbert-tiny-answer"  # a trained one
SUBTLEST = ("bert-tiny", "convbert-tiny", "mobilebert-token-classification", "squeezebert-tiny")
RIGHT = 0.6  # of a tolerance: the most that a right run may be off
# Tolerances: the least that a mistake is off in a small kit, and in that of a trained model, which
# holds fewer steps and was not made to show mistakes.
WRONG, WRONG_IF_TRAINED = 5, 2

# ---- right runs ----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["Bert", "ConvBert", "MobileBert", "SqueezeBert"])
@pytest.mark.parametrize("order", range(len(ORDERS)))
def test_sums_in_another_order_are_the_same_but_for_rounding(family, order):
    kit = Kit.read(ROOT / "weights" / "golden" / f"{family.lower()}-model")
    inputs = kit.inputs("batch")
    plain = npbert.trace(kit.model(np.float32), **inputs)
    with edited(ORDERS[order], kit.model()):
        exact = npbert.trace(kit.model(), **inputs)
        other = npbert.trace(kit.model(np.float32), **inputs)
    assert [(q.name, q.line) for q in other] == [(q.name, q.line) for q in plain]
    same = [np.array_equal(one.value, two.value) for one, two in zip(plain, other)]
    assert not all(same) and all(q.value.dtype == np.float32 for q in other if "bias" in q.name)
    last = kit.tensor("last_hidden_state").name
    np.testing.assert_allclose(exact[last].value, kit.expected("batch")[last], rtol=1e-9)
    assert [q.line for q in npbert.trace(kit.model(), **inputs)] == [q.line for q in plain]


def in_pairs(edit):
    """Return an edit with the sums of NumPy: an order that no tolerance was measured from."""
    new = edit.new.replace(".cumsum(axis=-1)[..., -1:]", ".sum(axis=-1, keepdims=True)")
    return Edit(edit.place, edit.old, new.replace(".cumsum(axis=-2)[..., -1, :]", ".sum(axis=-2)"))


@pytest.mark.parametrize(
    "directory",
    [*SMALL, ROOT / "weights/golden/convbert-tiny-answer"],
    ids=lambda directory: directory.name,
)
def test_a_port_that_adds_up_in_another_order_is_right(directory):
    kit = Kit.read(directory)
    case = next(iter(kit.cases))
    with edited([in_pairs(edit) for edit in ORDERS[0]], kit.model()):
        run = npbert.trace(kit.model(np.float32), **kit.inputs(case))
    assert max(largest_excess(kit, case, {q.name: q.value for q in run})) < RIGHT
    given = {f"{case}/{name}": run[name].value for name in kit.by_name if name in run.by_name}
    assert check_kit(kit, given).passed


RUN = """
import sys, numpy as np
from pathlib import Path
from excess import largest_excess
from npbert.golden import Kit
from npbert.golden.passes import run_npbert
for directory in sys.argv[1:]:
    kit = Kit.read(directory)
    for case in kit.cases:
        values = run_npbert(kit.model(np.float32), kit.inputs(case)).values()
        print(*largest_excess(kit, case, values))
"""


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "3", "OPENBLAS_CORETYPE": "Nehalem"},
        {"OPENBLAS_CORETYPE": "Prescott"},
    ],
    ids=lambda settings: "-".join(settings.values()),
)
def test_threads_and_kernels_of_the_matrix_products_do_not_matter(settings):
    """OpenBLAS adds up in another order with each; another library takes no notice."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, KITS)],
        env={**os.environ, **settings, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    shares = [float(share) for share in done.stdout.split()]
    assert len(shares) >= 2 * len(KITS), done.stderr
    assert 0 < max(shares) < RIGHT


# ---- mistakes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUBTLEST)
def test_no_subtle_mistake_comes_near_a_tolerance(name, monkeypatch):
    kit = Kit.read(ROOT / "weights" / "golden" / name)
    for mistake in applicable(kit.model()):
        if "epsilon" in mistake.name or "gelu" in mistake.name:
            assert excess_of(mistake, kit, kit.cases, monkeypatch) > least(kit), mistake.name


@pytest.mark.parametrize("directory", KITS, ids=lambda directory: directory.name)
def test_no_mistake_comes_near_a_tolerance(directory, monkeypatch):
    kit = Kit.read(directory)
    for mistake in applicable(kit.model()):
        assert excess_of(mistake, kit, kit.cases, monkeypatch) > least(kit), mistake.name


def least(kit):
    return WRONG if kit.directory in SMALL else WRONG_IF_TRAINED


def excess_of(mistake, kit, cases, monkeypatch):
    """Return how many tolerances a port with a mistake is off, in the step where it is made."""
    monkeypatch.setattr(checking, "diagnose", lambda model, followed: [])  # only its name
    hidden = mistake.hidden or ("\0",)
    given = {}
    for case in cases:
        with planted(mistake, kit.model(np.float32)) as mistaken, np.errstate(all="ignore"):
            run = run_npbert(mistaken, kit.inputs(case)).trace
        for quantity in run:
            if quantity.name in kit.by_name and not quantity.name.endswith(hidden):
                given[f"{case}/{quantity.name}"] = quantity.value
    report = check_kit(kit, given)
    misshapen = [np.inf for row in report.given if row.problem]
    judged = [row for row in report.given if row.local and row.local_tolerance]
    shares = [row.local.excess(row.local_tolerance, "local") for row in judged]
    return max(shares + misshapen)
