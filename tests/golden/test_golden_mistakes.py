"""The classic mistakes, planted in npbert itself: found, named, and nothing else is named."""

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
from kits_in_memory import OPTIONS, make_cases, make_kit, make_model, single_precision

import npbert
from npbert.compiled import backend
from npbert.golden.checking import check_kit
from npbert.golden.kit import Kit
from npbert.golden.mistakes import catalogue as mistakes
from npbert.golden.mistakes import planting
from npbert.golden.mistakes.catalogue import MISTAKES, applicable, planted
from npbert.golden.mistakes.planting import Edit, Mistake

pytestmark = pytest.mark.thorough

HEADS = [
    "Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
    "ForQuestionAnswering", "ForNextSentencePrediction",
]  # fmt: skip
BODY = "Model"


@functools.cache
def kit_of(family, head, **options):
    model = make_model(family, head, num_hidden_layers=1, **options)
    return make_kit(model, {"padded": make_cases(model)["padded"]})


def port_with(mistake, kit):
    """Return what npbert computes in float32 with a mistake in it."""
    given = {}
    for case in kit.cases:
        with (
            planted(mistake, single_precision(kit.model())) as mistaken,
            np.errstate(all="ignore"),
        ):
            for quantity in npbert.trace(mistaken, **kit.inputs(case)):
                hidden = mistake.hidden and quantity.name.endswith(mistake.hidden)
                if quantity.name in kit.by_name and not hidden:
                    given[f"{case}/{quantity.name}"] = quantity.value
    return given


def cases():
    """Yield every mistake in one family, in turn: in the body, or the first head that it needs.

    All families are in the tests that plant mistakes in the reference.
    """
    places = {}
    for family, head in itertools.product(OPTIONS, HEADS):
        if hasattr(npbert, family + head):
            for mistake in applicable(make_model(family, head, num_hidden_layers=1)):
                places.setdefault(mistake.name, {}).setdefault(family, (head, mistake))
    for number, found in enumerate(places.values()):
        family = [*found][number % len(found)]
        head, mistake = found[family]
        yield pytest.param(family, head, mistake, id=f"{family}-{mistake.name}")


@pytest.mark.parametrize(("family", "head", "mistake"), [*cases()])
def test_every_mistake_is_named_and_no_other(family, head, mistake):
    kit = kit_of(family, head)
    report = check_kit(kit, port_with(mistake, kit))
    named = [(finding.mistake.name, finding.complete) for finding in report.findings]
    assert not report.passed and named == [(mistake.name, True)], report.render()
    assert not any(row.misdumped for row in report.given)  # it is the port's, not of its dump


def test_every_mistake_is_tested_somewhere():
    tested = {parameters.values[2].name for parameters in cases()}
    never = {mistake.name for mistake in MISTAKES} - tested
    # these need a config that the small models do not have
    assert never == {"epsilon_from_config", "value_of_bottleneck"}
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(
    ("family", "name", "options"),
    [
        ("MobileBert", "value_of_bottleneck", dict(intra_bottleneck_size=16)),
        ("SqueezeBert", "epsilon_from_config", dict(layer_norm_eps=1e-3)),
        (
            "MobileBert",
            "epsilon_from_config",
            dict(layer_norm_eps=1e-3, normalization_type="layer_norm"),
        ),
        ("MobileBert", "last_token_pooled", dict(classifier_activation=False)),
    ],
)
def test_mistakes_that_need_a_config_of_their_own(family, name, options):
    kit = kit_of(family, BODY, **options)
    (mistake,) = (m for m in applicable(kit.model()) if m.name == name)
    report = check_kit(kit, port_with(mistake, kit))
    assert [finding.mistake.name for finding in report.findings] == [name], report.render()


# ---- where only results are given ------------------------------------------------------------


def test_a_mistake_shows_in_the_results_alone():
    kit = kit_of("Bert", BODY)
    tanh_gelu = by_name("tanh_gelu")
    given = port_with(tanh_gelu, kit)
    last = {name: given[name] for name in ["padded/encoder.layer.0.output.LayerNorm"]}
    report = check_kit(kit, last)
    assert [finding.mistake for finding in report.findings] == [tanh_gelu]
    assert "Nothing before it was given" in report.render()
    assert "may also be in what was not given: " in report.render()


def test_mistakes_that_give_the_same_results_are_both_named():
    kit = kit_of("Bert", BODY)
    given = port_with(by_name("scores_transposed"), kit)
    report = check_kit(kit, {n: a for n, a in given.items() if n.endswith("output.LayerNorm")})
    named = {finding.mistake.name for finding in report.findings}
    assert named >= {"scores_transposed", "query_and_key_weights_swapped"}
    assert "more tensors would tell them apart" in report.render()


def by_name(name):
    return next(mistake for mistake in MISTAKES if mistake.name == name)


def test_what_was_not_masked_is_followed():
    # the scores are blamed; what is made of them is right, given that they are not masked
    report = check_kit(kit_of("Bert", BODY), port_with(by_name("no_mask"), kit_of("Bert", BODY)))
    blamed = [blame.row.name for blame in report.blames]
    assert blamed == ["encoder.layer.0.attention.self.attend.masked_scores"]


# ---- the kits that ship with npbert ------------------------------------------------------------

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"


@pytest.mark.parametrize("family", ["bert", "convbert", "mobilebert", "squeezebert"])
def test_a_shipped_kit_knows_a_right_port_from_a_wrong_one(family):
    kit = Kit.read(SHIPPED / f"{family}-model")
    assert check_kit(kit, kit.directory / "expected_float32.safetensors").passed
    mistake = by_name("heads_interleaved")
    report = check_kit(kit, port_with(mistake, kit))
    assert [finding.mistake for finding in report.findings] == [mistake], report.render()


def test_a_kit_of_modules_alone_knows_what_they_are_made_of():
    kit = Kit.read(SHIPPED / "convbert-tiny")
    self_attention = "convbert.encoder.layer.0.attention.self"
    assert f"{self_attention}.attend.scores" not in kit.by_name  # only its modules are there
    given = port_with(by_name("filters_reversed"), kit)
    kept = {name: a for name, a in given.items() if ".layer.0.attention.self" in name}
    report = check_kit(kit, kept)
    (blame,) = report.blames
    assert blame.row.name == self_attention
    names = ["query", "key", "value", "conv_out_layer", "conv_kernel_layer"]
    assert {f"{self_attention}.{name}": True for name in names}.items() <= blame.given.items()
    assert [finding.mistake.name for finding in report.findings] == ["filters_reversed"]


# ---- planting ----------------------------------------------------------------------------------


def test_a_planted_mistake_is_gone_afterwards(monkeypatch):
    model = make_model("ConvBert")
    monkeypatch.setattr(backend, "_chosen", "auto")
    inputs = dict(input_ids=[[1, 2, 3, 4]])
    before = npbert.trace(model, **inputs).output.last_hidden_state
    for mistake in applicable(model):
        with planted(mistake, model), pytest.raises(ZeroDivisionError):
            assert backend.get_backend() == "numpy"
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), planted(mistake, model):
            raise ZeroDivisionError
    assert backend.chosen_backend() == "auto"
    after = npbert.trace(model, **inputs).output.last_hidden_state
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ["filters_reversed", "no_mask", "no_type_embeddings"])
def test_a_trace_with_a_mistake_has_the_same_names_and_lines(name):
    model = make_model("ConvBert")
    inputs = dict(input_ids=[[1, 2, 3, 4]], attention_mask=[[1, 1, 1, 0]])
    plain = npbert.trace(model, **inputs)
    with planted(by_name(name), model) as mistaken:
        wrong = npbert.trace(mistaken, **inputs)
    assert [(q.name, q.file, q.line) for q in plain] == [(q.name, q.file, q.line) for q in wrong]
    assert not np.array_equal(plain[-1].value, wrong[-1].value)


def test_parameters_are_changed_in_a_copy():
    model = make_model("Bert")
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with planted(by_name("query_and_key_weights_swapped"), model) as mistaken:
        assert mistaken is not model
        query = mistaken.params.encoder.layer[1].attention.self.query.weight
        assert query is model.params.encoder.layer[1].attention.self.key.weight
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "edit",
    [
        Edit("ops.linear", "x @ p.heavy", "x"),  # not there
        Edit("ops.split_heads", "x", "y"),  # there more than once
        Edit("ops.linear", "return x", "y = x\n    return x"),  # one line more
    ],
)
def test_an_edit_that_does_not_fit_is_an_error(edit):
    misfit = planted(Mistake("bad", "", (edit,)), make_model("Bert"))
    with pytest.raises(ValueError, match=r"ops\.\w+: .* expected once"), misfit:
        pass


def test_methods_can_be_edited():
    edit = Edit(
        "heads.QuestionAnswering.finish", "logits[..., 0], logits", "logits[..., 1], logits"
    )
    model = make_model("Bert", "ForQuestionAnswering")
    right = model(input_ids=[[1, 2, 3]])
    with planted(Mistake("both_ends", "", (edit,)), model):
        wrong = model(input_ids=[[1, 2, 3]])
    np.testing.assert_array_equal(wrong.start_logits, wrong.end_logits)
    assert not np.array_equal(right.start_logits, wrong.start_logits)


def test_only_what_a_model_has_can_be_mistaken():
    def names(*arguments, **options):
        return {mistake.name for mistake in applicable(make_model(*arguments, **options))}

    assert "trigrams_reversed" in names("MobileBert")
    assert "trigrams_reversed" not in names("MobileBert", trigram_input=False)
    assert "trigrams_reversed" not in names("Bert")
    assert "tanh_gelu" not in names("Bert", hidden_act="gelu_new")
    assert "heads_interleaved" not in names("Bert", num_attention_heads=1)
    assert "group_weights_transposed" not in names("ConvBert", num_groups=1)
    assert "value_of_bottleneck" not in names("MobileBert")
    assert "pooler_without_tanh" not in names("MobileBert", classifier_activation=False)
    assert not {n for n in names("Bert", num_hidden_layers=0) if "scale" in n or "mask" in n}


def test_a_mistake_shows_its_edits():
    model = make_model("ConvBert")
    assert by_name("filters_reversed").differences(model) == [
        ("npbert/kernels.py", "windows, filters)", "windows, filters[..., ::-1])")
    ]
    assert len(by_name("residual_of_layer_input").differences(model)) == 4
    assert mistakes.planted is planting.planted
