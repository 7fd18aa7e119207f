"""npbert.trace against transformers: what its modules put out, quantity for quantity."""

import re

import numpy as np
import pytest
from reference_models import (
    ALL_HEADS,
    NOWHERE,
    for_head,
    mask_with_zeros,
    outputs_of_modules,
    random_ids,
    random_types,
    reference,
)

import npbert
from npbert.golden.reference import counterpart, in_our_layout

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(("family", "head"), ALL_HEADS)
def test_every_module(family, head):
    truth = reference(family, head)
    inputs = dict(
        input_ids=random_ids(truth.config, 3, 9),
        attention_mask=mask_with_zeros(3, 9, (0, slice(7, 9)), (1, slice(2))),
        token_type_ids=random_types(truth.config, 3, 9),
    )
    inputs = for_head(head, inputs)
    expected = outputs_of_modules(truth.models["float64"], inputs)
    recorded = npbert.trace(truth.load("float64"), **inputs)
    compared = 0
    for path, value in expected.items():
        name = counterpart(path, recorded)
        if name is None:
            assert any(re.fullmatch(module, path) for module in NOWHERE), path
            continue
        quantity = recorded[name]
        value = in_our_layout(value, quantity.value)
        difference = np.abs(quantity.value - value).max()
        assert difference <= 1e-10 * np.abs(value).max(), (path, quantity.name)
        compared += 1
    assert compared > 30
