"""npbert.trace against transformers: what its modules put out, quantity for quantity."""

import re

import numpy as np
import pytest
from reference_models import (
    ALL_HEADS,
    for_head,
    mask_with_zeros,
    random_ids,
    random_types,
    reference,
    to_numpy,
    to_torch,
    torch,
)

import npbert

pytestmark = pytest.mark.reference

# A module of the reference, and the quantity that is its output where that has another name.
ELSEWHERE = {
    r"(.*embeddings)\.word_embeddings": r"\1.words",
    r"(.*embeddings)\.position_embeddings": r"\1.positions",
    r"(.*embeddings)\.token_type_embeddings": r"\1.types",
    r"(.*)\.intermediate(?:\.intermediate_act_fn|\.act)?": r"\1.wide",
    r"(.*)\.attention(?:\.output)?": r"\1.attention.output.LayerNorm",
    r"(.*)\.key_conv_attn_layer\.depthwise": r"\1.key_conv_attn_layer.span",
    r"(.*)\.post_attention": r"\1.post_attention.layernorm",
    r"(.*)\.bottleneck": r"\1.bottleneck.attention.LayerNorm",  # the first of its three outputs
    r"(.*)\.output": r"\1",
    r"(.*)\.transform": r"\1.transformed",
    r"(.*)\.transform\.transform_act_fn": r"\1.activated",
    r"(.*)\.decoder": r"\1",
    r"(.*)\.attention\.softmax": r"\1.attention.probs",
    r"(.*)\.attention\.matmul_qkv": r"\1.attention.context",
    r"(.*)pooler\.activation": r"\1pooler",
    r"(.*)pooler": r"\1pooled",  # MobileBERT's, which need not have parameters
    r"cls": "cls.predictions",
    r"(cls)": r"\1.seq_relationship",
    r"generator_predictions": "transformed",
    r"generator_predictions\.activation": "activated",
    r"classifier": "classifier.out_proj",  # ConvBERT's two maps
    r"sequence_summary": "summary",
}
# What npbert does not compute, or not by itself.
NOWHERE = [
    r".*dropout.*",
    r".*\.matmul_qk",  # before it is divided by the root of the width
    r".*\.pointwise",  # without its bias
    r"transformer\.pooler.*",  # which no head uses but that of sequence classification
    r"sequence_summary\..*",
]


def outputs_of_modules(model, inputs):
    """Run a model of the reference; return {path of a module: its output}."""
    outputs = {}

    def note(path):
        def hook(module, arguments, output):
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, torch.Tensor):
                outputs[path] = to_numpy(first.detach().clone())

        return hook

    hooks = [m.register_forward_hook(note(path)) for path, m in model.named_modules() if path]
    with torch.no_grad():
        model(**{name: to_torch(value, "float64") for name, value in inputs.items()})
    for hook in hooks:
        hook.remove()
    return outputs


def counterpart(path, recorded):
    """Return the quantity that a module of the reference puts out, None if there is none."""
    if path in recorded:
        return recorded[path]
    for module, name in ELSEWHERE.items():
        match = re.fullmatch(module, path)
        if match and match.expand(name) in recorded:
            return recorded[match.expand(name)]
    return None


def in_the_order_of(value, shape):
    """Turn the axes of what has channels before tokens, or heads before tokens."""
    turns = [value.swapaxes(-1, -2), value.swapaxes(1, 2)] if value.ndim > 2 else []
    return next((turned for turned in [value, *turns] if turned.shape == shape), value)


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
        quantity = counterpart(path, recorded)
        if quantity is None:
            assert any(re.fullmatch(module, path) for module in NOWHERE), path
            continue
        value = in_the_order_of(value, quantity.shape)
        difference = np.abs(quantity.value - value).max()
        assert difference <= 1e-10 * np.abs(value).max(), (path, quantity.name)
        compared += 1
    assert compared > 30
