"""Golden kits made anew: the same bytes, the kits that ship, and no kit where npbert is wrong."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from reference_models import ALL_HEADS, NOWHERE, random_model, reference, torch

import npbert
from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden import Kit, make_kit
from npbert.golden.comparing import compare
from npbert.golden.kit import EXPECTED, EXPECTED_FLOAT32, INPUTS, WEIGHTS
from npbert.golden.passes import from_reference, run_npbert
from npbert.golden.precision import rounded
from npbert.golden.reference import Reference, counterpart

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2] / "weights"


def script():
    """Return weights/make_golden_kits.py as a module."""
    spec = importlib.util.spec_from_file_location("make_golden_kits", ROOT / "make_golden_kits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = script()


def contents(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir()}


@pytest.mark.parametrize("family", ["Bert", "ConvBert", "MobileBert", "SqueezeBert"])
def test_the_same_model_and_inputs_give_the_same_bytes(family, tmp_path):
    model = SCRIPT.small_model(family, "ForQuestionAnswering")
    made = [make_kit(model, tmp_path / place / "kit", ["padded_end"]).directory for place in "ab"]
    assert contents(made[0]) == contents(made[1])


def test_a_kit_takes_the_place_of_an_older_one(tmp_path):
    model, directory = SCRIPT.small_model("Bert", "ForQuestionAnswering"), tmp_path / "kit"
    for case in ("single", "short"):
        assert [*make_kit(model, directory, [case]).cases] == [case]
    assert [*tmp_path.iterdir()] == [directory]


# ---- the kits that ship --------------------------------------------------------------------

SMALL = ["bert-pre-training", "convbert-model", "mobilebert-token-classification",
         "squeezebert-multiple-choice"]  # fmt: skip


@pytest.mark.parametrize("name", [*SMALL, "squeezebert-tiny"])
def test_what_ships_is_what_is_made(name, tmp_path):
    if name in SMALL:
        SCRIPT.OUT = tmp_path
        SCRIPT.make_small(name)
    else:
        SCRIPT.make_trained_kit(name, tmp_path)
    shipped, made = ROOT / "golden" / name, tmp_path / name
    for file in (EXPECTED, EXPECTED_FLOAT32):
        old, new = safetensors.read(shipped / file), safetensors.read(made / file)
        assert old.keys() == new.keys()
        for tensor, value in old.items():
            exactness = 1e-12 if file == EXPECTED else 1e-5
            if file == EXPECTED_FLOAT32 and tensor.startswith("wholly_padded/"):
                continue
            counted = value > -1e30
            scale = np.abs(value[counted]).max(initial=0)
            np.testing.assert_allclose(new[tensor], value, rtol=0, atol=exactness * scale)
    for file in (INPUTS, WEIGHTS):
        if (shipped / file).exists():
            assert (shipped / file).read_bytes() == (made / file).read_bytes()
    manifests = [json.loads((d / "manifest.json").read_text("utf-8")) for d in (shipped, made)]
    compare_values(*manifests, "manifest")


def compare_values(old, new, path):
    """All parts are equal, but for tolerances and versions: rounding differs between machines."""
    if path in ("manifest.versions", "manifest.weights", "manifest.files"):
        return
    if ".tolerance" in path and isinstance(old, float) and isinstance(new, float):
        assert old / 4 <= new <= old * 4, path
    elif isinstance(old, dict):
        assert old.keys() == new.keys(), path
        for name in old:
            compare_values(old[name], new[name], f"{path}.{name}")
    elif isinstance(old, list):
        assert len(old) == len(new), path
        for number, (one, other) in enumerate(zip(old, new)):
            compare_values(one, other, f"{path}.{number}")
    else:
        assert old == new, path


# ---- what the values are -------------------------------------------------------------------


def test_modules_and_outputs_are_those_of_the_reference():
    kit = Kit.read(ROOT / "golden" / "bert-sequence-classification")
    model, inputs = kit.model(np.float32), kit.inputs("padded_end")
    run = Reference(model).run(inputs, "float64")
    expected = kit.expected("padded_end")
    for path in ("bert.encoder.layer.0.attention.self.query", "classifier", "bert.pooler.dense"):
        np.testing.assert_allclose(expected[path], run.modules[path], rtol=1e-12)
        assert kit.tensor(path).from_reference
    np.testing.assert_allclose(expected["classifier"], run.outputs["logits"], rtol=1e-12)
    assert kit.tensor("logits").kind == "output"
    probs = kit.tensor("bert.encoder.layer.0.probs")
    assert (probs.kind, probs.from_reference) == ("intermediate", False)


@pytest.mark.parametrize("family", ["bert", "convbert", "mobilebert", "squeezebert"])
def test_torch_in_narrow_precision_is_within_its_tolerances(family):
    kit = Kit.read(ROOT / "golden" / f"{family}-model")
    model = kit.model(np.float32)
    library = Reference(model)
    judged = 0
    for case in kit.cases.values():
        ours = run_npbert(kit.model(), kit.inputs(case.name))
        for dtype in ("float32", "bfloat16"):
            run = from_reference(library.run(kit.inputs(case.name), dtype), ours)
            for name, value in run.items():
                tensor = kit.tensor(name)
                tolerance = tensor.cases[case.name].tolerance[dtype]
                found = compare(tensor, case, value, kit.expected(case.name)[name])
                assert found.is_within(tolerance), (case.name, dtype, name)
                judged += 1
    assert judged > 100


@pytest.mark.parametrize(("family", "head"), ALL_HEADS)
def test_no_module_of_the_reference_is_left_out(family, head):
    if head == "ForMultipleChoice":
        ids = np.array([[[1, 2, 3], [4, 5, 6]]])
    else:
        ids = np.array([[1, 2, 3]])
    model = reference(family, head).load("float32")
    run = Reference(model).run({"input_ids": ids}, "float32")
    names = run_npbert(model, {"input_ids": ids}).trace.by_name
    for path in run.modules:
        assert counterpart(path, names) or any(re.fullmatch(m, path) for m in NOWHERE), path


def test_rounding_is_that_of_torch():
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(10000) * 10.0 ** rng.uniform(-9, 9, 10000)).astype(np.float32)
    for dtype in ("float16", "bfloat16"):
        theirs = torch.from_numpy(values).to(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(rounded(values, dtype), theirs)


def test_a_dtype_that_overflows_has_no_tolerance(tmp_path):
    model = SCRIPT.small_model("MobileBert", "Model")
    for name, array in model.state_dict().items():
        if name == "encoder.layer.0.output.bottleneck.LayerNorm.weight":
            array *= 1e6
    kit = make_kit(model, tmp_path / "kit", ["short"])
    part = kit.tensor("last_hidden_state").cases["short"].tolerance
    assert part["float16"] is None and part["float32"] and part["bfloat16"]
    assert kit.tensor("encoder.layer.0.narrow").cases["short"].tolerance["float16"]


# ---- making --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "blamed"),
    [
        ("bert.encoder.layer.0.attention.self.value", "bert.encoder.layer.0.attention.self.value"),
        ("classifier", "logits"),  # the module has no counterpart now that npbert has a wrong one
    ],
)
def test_no_kit_where_npbert_and_the_reference_differ(module, blamed, tmp_path, monkeypatch):
    right = npbert.bert.linear

    def wrong(x, p):
        return right(x, p) + (1e-7 if npbert.model.params.path(p) == module else 0)

    monkeypatch.setattr(npbert.bert, "linear", wrong)
    model = SCRIPT.small_model("Bert", "ForTokenClassification")
    with pytest.raises(ValueError, match=rf"^{re.escape(blamed)} of the reference and "):
        make_kit(model, tmp_path / "kit", ["short"])
    assert not [*tmp_path.iterdir()]


VARIANTS = [
    ("MobileBert", "Model", dict(normalization_type="layer_norm", use_bottleneck_attention=True)),
    ("MobileBert", "ForSequenceClassification", dict(classifier_activation=False)),
    ("MobileBert", "Model", dict(use_bottleneck=False, trigram_input=False)),
    ("MobileBert", "Model", dict(num_feedforward_networks=1, hidden_act="gelu")),
    ("MobileBert", "ForMaskedLM", dict(embedding_size=24)),
    ("ConvBert", "ForMultipleChoice", dict(summary_use_proj=True, summary_activation="tanh")),
    ("ConvBert", "ForMultipleChoice", dict(summary_type="mean", num_groups=2)),
    ("ConvBert", "ForSequenceClassification", dict(hidden_act="relu", head_ratio=4)),
    ("SqueezeBert", "ForMaskedLM", dict(tie_word_embeddings=False)),
    ("Bert", "ForMaskedLM", dict(tie_word_embeddings=False)),
    ("Bert", "Model", dict(num_hidden_layers=0)),
]


@pytest.mark.parametrize(("family", "head", "options"), VARIANTS)
def test_models_of_many_kinds(family, head, options, tmp_path):
    random_model(family, head, **options).save_pretrained(tmp_path / "model")
    kit = make_kit(tmp_path / "model", tmp_path / "kit", ["padded_end"])
    assert len(kit.tensors) > 10
    ours = run_npbert(kit.model(), kit.inputs("padded_end")).values()
    for name, value in kit.expected("padded_end").items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-8, atol=1e-9)


def test_the_command(checkpoint, tmp_path, capsys):
    inputs, out = tmp_path / "in.json", tmp_path / "kit"
    inputs.write_text(json.dumps({"mine": {"input_ids": [[2, 5, 3]]}, "no": {"input_ids": [[1]]}}))
    arguments = ["golden", "make", str(checkpoint), str(out), "--inputs", str(inputs)]
    assert main([*arguments, "--cases", "mine"]) == 0
    shown, errors = capsys.readouterr()
    assert shown.startswith(f"{out}: ") and shown.endswith(" MB, cases mine\n") and not errors
    kit = Kit.read(out)
    assert kit.inputs("mine")["input_ids"].tolist() == [[2, 5, 3]]
    assert kit.manifest.architecture == "ConvBertForMaskedLM"
    assert main([*arguments, "--cases", "other"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"npbert: error: {inputs}: cases: 'other' given, expected some of mine, no"
    assert Kit.read(out).cases.keys() == {"mine"}
