"""The classic mistakes, planted in npbert itself: found, named, and nothing else is named."""

import functools

import numpy as np
import pytest
from kits_in_memory import OPTIONS, make_cases, make_kit, make_model, single_precision

import npbert
from npbert import backend, params
from npbert.golden import mutations, planting
from npbert.golden.checking import check_kit
from npbert.golden.mutations import MUTATIONS, applicable, planted
from npbert.golden.planting import Edit, Mutation

HEADS = [
    "Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
    "ForQuestionAnswering", "ForNextSentencePrediction",
]  # fmt: skip
BODY = "Model"


@functools.cache
def kit_of(family, head, **options):
    model = make_model(family, head, num_hidden_layers=1, **options)
    return make_kit(model, {"padded": make_cases(model)["padded"]})


def port_with(mutation, kit):
    """Return what npbert computes in float32 with a mistake in it."""
    given = {}
    for case in kit.cases:
        with planted(mutation, single_precision(kit.model())) as mistaken, np.errstate(all="ignore"):
            for quantity in npbert.trace(mistaken, **kit.inputs(case)):
                hidden = mutation.hidden and quantity.name.endswith(mutation.hidden)
                if quantity.name in kit.by_name and not hidden:
                    given[f"{case}/{quantity.name}"] = quantity.value
    return given


def cases():
    """Yield every mistake in every family once: in the body, or else in the first head it needs."""
    for family in OPTIONS:
        done = set()
        for head in HEADS:
            if hasattr(npbert, family + head):
                model = make_model(family, head, num_hidden_layers=1)
                for mutation in applicable(model):
                    if mutation.name not in done:
                        done.add(mutation.name)
                        yield pytest.param(family, head, mutation, id=f"{family}-{mutation.name}")


@pytest.mark.parametrize(("family", "head", "mutation"), [*cases()])
def test_every_mistake_is_named_and_no_other(family, head, mutation):
    kit = kit_of(family, head)
    report = check_kit(kit, port_with(mutation, kit))
    named = [(finding.mutation.name, finding.complete) for finding in report.findings]
    assert not report.passed and named == [(mutation.name, True)], report.render()


def test_every_mistake_is_tested_somewhere():
    tested = {parameters.values[2].name for parameters in cases()}
    never = {mutation.name for mutation in MUTATIONS} - tested
    # these need a config that the small models do not have
    assert never == {"epsilon_from_config", "value_of_bottleneck"}
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
