"""The check of a port, on transformers with mistakes in its own code: found, located, named."""

import functools
from pathlib import Path

import pytest
from kits_in_memory import OPTIONS, make_cases, make_kit, make_model
from planted_in_reference import (
    epsilon,
    layers,
    of_class,
    plant_eager,
    port_of,
    put,
    reference_of,
    rewrite,
    torch,
)
from reference_plants import IN_HEADS, PLANTS, TANH_GELU

from npbert.golden.checking import check_kit
from npbert.golden.kit import Kit

pytestmark = pytest.mark.reference

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"

CASES = [(family, "Model", name) for family in PLANTS for name in PLANTS[family]]
CASES += [(*where, name) for where, plants in IN_HEADS.items() for name in plants]


@functools.cache
def kit_of(family, head, **options):
    model = make_model(family, head, **options)
    return make_kit(model, {"padded": make_cases(model)["padded"]})


@pytest.mark.parametrize(("family", "head"), [*((f, "Model") for f in OPTIONS), *IN_HEADS])
def test_the_reference_itself_is_right(family, head):
    kit = kit_of(family, head)
    report = check_kit(kit, port_of(reference_of(kit.model()), kit))
    assert report.passed, report.render()
    assert len(report.given) > 25 and not report.unknown


@pytest.mark.parametrize(("family", "head", "name"), CASES)
def test_a_classic_mistake(family, head, name):
    options = dict(intra_bottleneck_size=16) if name == "value_of_bottleneck" else {}
    options["num_hidden_layers"] = 1
    kit = kit_of(family, head, **options)
    plant = {**PLANTS[family], **IN_HEADS.get((family, head), {})}[name]
    if isinstance(plant, dict):  # options of a config are what is mistaken
        theirs = reference_of(kit.model(), **plant)
    else:
        theirs = reference_of(kit.model())
        plant(theirs)
    report = check_kit(kit, port_of(theirs, kit))
    assert not report.passed
    named = [(finding.mistake.name, finding.complete) for finding in report.findings]
    assert named == [(name, True)], report.render()


@pytest.mark.parametrize(
    ("family", "options"),
    [("SqueezeBert", {}), ("MobileBert", dict(normalization_type="layer_norm"))],
)
def test_an_epsilon_that_the_config_has_no_say_in(family, options):
    kit = kit_of(family, "Model", layer_norm_eps=1e-3, **options)
    theirs = reference_of(kit.model())
    assert check_kit(kit, port_of(theirs, kit)).passed
    epsilon(theirs, 1e-3)
    report = check_kit(kit, port_of(theirs, kit))
    named = [(finding.mistake.name, finding.complete) for finding in report.findings]
    assert named == [("epsilon_from_config", True)], report.render()


@pytest.mark.parametrize("family", OPTIONS)
def test_the_kits_that_ship_with_npbert(family):
    kit = Kit.read(SHIPPED / f"{family.lower()}-model")
    theirs = reference_of(kit.model())
    assert check_kit(kit, port_of(theirs, kit)).passed
    name = "layer_norm_for_no_norm" if family == "MobileBert" else "tanh_gelu"
    plant = PLANTS[family][name]
    if isinstance(plant, dict):
        theirs = reference_of(kit.model(), **plant)
    else:
        plant(theirs)
    report = check_kit(kit, port_of(theirs, kit))
    named = [(finding.mistake.name, finding.complete) for finding in report.findings]
    assert named == [(name, True)], report.render()


# ---- mistakes that npbert does not know --------------------------------------------------------


def attention_of(layer):
    return layer.attention if hasattr(layer.attention, "query") else layer.attention.self


def forget_bias(model):
    attention_of(layers(model)[1]).query.bias.data.zero_()


def other_activation(model):
    layer = layers(model)[1]
    put("act" if hasattr(layer.intermediate, "act") else "intermediate_act_fn", torch.nn.SiLU())(
        layer.intermediate
    )


def forget_residual(model):
    layer = layers(model)[1]
    module = layer.post_attention if hasattr(layer, "post_attention") else layer.attention.output
    sums = {
        "MobileBertSelfOutput": ("layer_outputs + residual_tensor", "layer_outputs"),
        "ConvDropoutLayerNorm": ("x + input_tensor", "x"),
    }
    edit = sums.get(type(module).__name__, ("hidden_states + input_tensor", "hidden_states"))
    rewrite([module], edit)


def change_softmax(of_eager, of_convbert, of_squeezebert):
    """Return a plant that edits the softmax of the attention in layer 1."""

    def plant(model):
        module = attention_of(layers(model)[1])
        if type(module).__name__ == "SqueezeBertSelfAttention":
            rewrite([module], ("self.softmax(attention_score)", of_squeezebert))
        elif type(module).__name__ == "ConvBertSelfAttention":
            old = "attention_probs = nn.functional.softmax(attention_scores, dim=-1)"
            rewrite([module], (old, of_convbert))
        else:
            old = "attn_weights = nn.functional.softmax(attn_weights, dim=-1)"
            plant_eager([module], (old, of_eager))

    return plant


double_softmax = change_softmax(
    "attn_weights = attn_weights.softmax(-1).softmax(-1)",
    "attention_probs = attention_scores.softmax(-1).softmax(-1)",
    "self.softmax(self.softmax(attention_score))",
)
drop_last_token = change_softmax(
    "attn_weights[..., -1] = -1e9; attn_weights = attn_weights.softmax(-1)",
    "attention_scores[..., -1] = -1e9; attention_probs = attention_scores.softmax(-1)",
    "self.softmax(attention_score - 1e9 * (torch.arange(attention_score.size(-1)) == "
    "attention_score.size(-1) - 1))",
)


def swap_layers(model):
    stack = model.encoder.layer if hasattr(model.encoder, "layer") else model.encoder.layers
    stack[0], stack[1] = stack[1], stack[0]


def normalise_twice(model):
    once = "embeddings = self.LayerNorm(embeddings)"
    rewrite(of_class(model, "Embeddings"), (once, f"{once}; {once}"))


def value_of_key(model):
    attention = attention_of(layers(model)[1])
    for value, key in zip(attention.value.parameters(), attention.key.parameters(), strict=True):
        value.data = key.data.clone()[: len(value)].reshape(-1)[:1].expand(value.shape) + value.data


def forget_last_scale(model):
    output = layers(model)[1].output
    norm = output.layernorm if hasattr(output, "layernorm") else output.LayerNorm
    norm.weight.data.fill_(1)


def shift_groups(model):
    intermediate = layers(model)[1].intermediate
    module, axis = (
        (intermediate.dense, -1)
        if hasattr(intermediate, "dense")
        else (
            intermediate.conv1d,
            1,
        )
    )
    module.register_forward_pre_hook(lambda m, arguments: arguments[0].roll(4, axis))


STRANGERS = {  # and how the names of those tensors end in which they are made
    forget_bias: [".1.attention.self.query", ".1.attention.query"],
    other_activation: [".1.wide"],
    forget_residual: [".1.attention.output.LayerNorm", ".1.post_attention.layernorm"],
    double_softmax: [".1.attention.self", ".1.attention.attend.probs"],
    drop_last_token: [".1.attention.self", ".1.attention.attend.probs"],
    normalise_twice: ["embeddings.LayerNorm"],
    value_of_key: [".1.attention.self.value", ".1.attention.value"],
    forget_last_scale: [".1.output.LayerNorm", ".1.output.layernorm"],
    shift_groups: [".1.intermediate.dense", ".1.intermediate.conv1d"],
}


@pytest.mark.parametrize("mistake", STRANGERS, ids=lambda mistake: getattr(mistake, "__name__", ""))
@pytest.mark.parametrize("family", OPTIONS)
def test_a_mistake_that_is_not_known(family, mistake):
    kit = kit_of(family, "Model")
    theirs = reference_of(kit.model())
    mistake(theirs)
    report = check_kit(kit, port_of(theirs, kit))
    blamed = [blame.row.name for blame in report.blames]
    assert len(blamed) == 1 and blamed[0].endswith(tuple(STRANGERS[mistake])), report.render()
    assert report.first.name == blamed[0] and not report.findings
    assert all(report.blames[0].given.values())  # its inputs were right


@pytest.mark.parametrize("family", OPTIONS)
def test_two_layers_swapped(family):
    kit = kit_of(family, "Model")
    theirs = reference_of(kit.model())
    swap_layers(theirs)
    report = check_kit(kit, port_of(theirs, kit))
    assert not report.findings
    parts = {blame.row.name.partition("attention")[0] for blame in report.blames}
    assert any(".0." in part for part in parts) and any(".1." in part for part in parts)
    assert not any("embeddings" in blame.row.name for blame in report.blames)


@pytest.mark.parametrize("family", OPTIONS)
def test_two_mistakes_in_two_layers(family):
    kit = kit_of(family, "Model")
    theirs = reference_of(kit.model())
    act = "act" if family == "SqueezeBert" else "intermediate_act_fn"
    gelu = torch.nn.GELU() if family == "MobileBert" else TANH_GELU
    for module in layers(theirs)[0].modules():
        if hasattr(module, act):
            put(act, gelu)(module)
    forget_bias(theirs)
    report = check_kit(kit, port_of(theirs, kit))
    blamed = [blame.row.name for blame in report.blames]
    assert blamed[-1].endswith(tuple(STRANGERS[forget_bias])), report.render()
    assert blamed[:-1] and all(name.endswith(".wide") and ".0." in name for name in blamed[:-1])
    (finding,) = report.findings
    assert finding.mistake.name == ("gelu_for_relu" if family == "MobileBert" else "tanh_gelu")
    assert not finding.complete
    assert ".0" in finding.parts[0] and ".1" in finding.elsewhere[0], report.render()
    assert finding.explained == blamed[:-1]
