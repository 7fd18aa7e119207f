"""The check of a port, on transformers with mistakes in its own code: found, located, named."""

import functools

import pytest
from kits_in_memory import OPTIONS, make_kit, make_model
from planted_in_reference import IN_HEADS, PLANTS, layers, port_of, reference_of

from npbert.golden.checking import check_kit

pytestmark = pytest.mark.reference

CASES = [(family, "Model", name) for family in PLANTS for name in PLANTS[family]]
CASES += [(*where, name) for where, plants in IN_HEADS.items() for name in plants]


@functools.cache
def kit_of(family, head, **options):
    return make_kit(make_model(family, head, **options))


@pytest.mark.parametrize(("family", "head"), [*((f, "Model") for f in OPTIONS), *IN_HEADS])
def test_the_reference_itself_is_right(family, head):
    kit = kit_of(family, head)
    report = check_kit(kit, port_of(reference_of(kit.model()), kit))
    assert report.passed, report.render()
    assert len(report.given) > 50 and not report.unknown


@pytest.mark.parametrize(("family", "head", "name"), CASES)
def test_a_classic_mistake(family, head, name):
    options = dict(intra_bottleneck_size=16) if name == "value_of_bottleneck" else {}
    kit = kit_of(family, head, **options)
    plant = {**PLANTS[family], **IN_HEADS.get((family, head), {})}[name]
    if isinstance(plant, dict):  # options of a config are what is mistaken
        theirs = reference_of(kit.model(), **options, **plant)
    else:
        theirs = reference_of(kit.model(), **options)
        plant(theirs)
    report = check_kit(kit, port_of(theirs, kit))
    assert not report.passed
    named = [(finding.mutation.name, finding.complete) for finding in report.findings]
    assert named == [(name, True)], report.render()
