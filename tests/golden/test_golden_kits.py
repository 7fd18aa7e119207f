"""The golden kits that ship: whole, described by the schema, and passed by npbert in float32."""

import functools
import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import npbert
from npbert.golden import Kit
from npbert.golden import manifest as manifests
from npbert.golden.comparing import compare
from npbert.golden.passes import run_npbert, run_numba

WEIGHTS = Path(__file__).parents[2] / "weights"
KITS = sorted(path.parent for path in WEIGHTS.glob("golden/*/manifest.json"))
SMALL = [kit for kit in KITS if not (WEIGHTS / kit.name).is_dir()]
SCHEMA = json.loads(Path(manifests.__file__).with_name("manifest.schema.json").read_text("utf-8"))
FAMILIES = ["Bert", "ConvBert", "MobileBert", "SqueezeBert"]
HEADS = [
    "Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
    "ForTokenClassification", "ForQuestionAnswering", "ForPreTraining",
    "ForNextSentencePrediction",
]  # fmt: skip
CASES = ["single", "short", "full", "padded_end", "padded_front", "wholly_padded", "pair", "batch"]


@functools.cache
def read(directory):
    """Read a kit that ships, once for all tests."""
    return Kit.read(directory)


def each(kits):
    return pytest.mark.parametrize("directory", kits, ids=[kit.name for kit in kits])


# ---- what ships ----------------------------------------------------------------------------


@each(KITS)
def test_manifests_are_as_the_schema_says(directory):
    manifest = json.loads((directory / "manifest.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(manifest)
    assert manifest["name"] == directory.name
    assert json.loads((directory / manifest["$schema"]).read_text("utf-8")) == SCHEMA
    assert (WEIGHTS.parent / manifest["documentation"]).is_file()


def test_the_schema_describes_every_field():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def undescribed(node, path):
        for name, field in node.get("properties", {}).items():
            if "$ref" not in field and not field.get("description"):
                yield f"{path}.{name}"
            yield from undescribed(field, f"{path}.{name}")
        for name, part in node.get("$defs", {}).items():
            yield from undescribed(part, name)

    assert not [*undescribed(SCHEMA, "manifest")]


def test_every_model_class_and_every_checkpoint_has_a_kit():
    classes = {f + h for f in FAMILIES for h in HEADS if hasattr(npbert, f + h)}
    made = {json.loads((kit / "manifest.json").read_text("utf-8"))["architecture"] for kit in SMALL}
    assert made == classes
    trained = {path.parent.name for path in WEIGHTS.glob("*/model.safetensors")}
    missing = trained - {kit.name for kit in KITS}
    assert not missing, "python weights/make_golden_kits.py makes them"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_cases_of_a_bare_model(family):
    kit = read(WEIGHTS / "golden" / f"{family.lower()}-model")
    extra = ["same_text_alone"] if family == "ConvBert" else []
    assert [*kit.cases] == CASES + extra
    assert kit.case("wholly_padded").undefined_rows == (1,)
    assert kit.case("padded_front").real[0, 0] == False  # noqa: E712
    assert "token_type_ids" in kit.inputs("pair")
    assert kit.inputs("full")["input_ids"].shape[1] == kit.model().config.max_position_embeddings


def test_padding_moves_the_values_of_convbert():
    kit = read(WEIGHTS / "golden" / "convbert-model")
    ids = kit.inputs("same_text_alone")["input_ids"]
    T = ids.shape[1]
    np.testing.assert_array_equal(kit.inputs("padded_end")["input_ids"][:, :T], ids)
    name = kit.tensor("last_hidden_state").name
    alone, padded = (kit.expected(case)[name] for case in ("same_text_alone", "padded_end"))
    assert np.abs(alone - padded[:, :T]).max() > 0.01


def test_heads_have_two_layers_somewhere_and_a_padded_case():
    for directory in SMALL:
        kit = read(directory)
        assert any(not case.real.all() for case in kit.cases.values())
        layers = 2 if directory.name.endswith("masked-lm") else 1
        assert kit.manifest.config["num_hidden_layers"] == layers


def test_sizes():
    sizes = {
        kit: sum(file.stat().st_size for file in kit.iterdir() if "schema" not in file.name)
        for kit in KITS
    }
    assert sum(sizes[kit] for kit in SMALL) < 4e6
    assert all(size < 0.28e6 for kit, size in sizes.items() if kit not in SMALL)


@each(KITS)
def test_npbert_in_float32_is_within_its_tolerances(directory):
    kit = read(directory)
    model = kit.model(np.float32)
    for case in kit.cases.values():
        inputs, expected = kit.inputs(case.name), kit.expected(case.name)
        ours = run_npbert(model, inputs)
        runs = [ours.trace.by_name]
        if importlib.util.find_spec("numba"):
            runs.append(run_numba(model, inputs, ours.returned))
        for run in runs:
            for tensor in kit.tensors:
                if tensor.name not in run:
                    assert run is not runs[0], tensor.name
                    continue
                value = getattr(run[tensor.name], "value", run[tensor.name])
                found = compare(tensor, case, value, expected[tensor.name])
                tolerance = tensor.cases[case.name].tolerance["float32"]
                assert tolerance and found.is_within(tolerance), (case.name, tensor.name, found)


@each(KITS)
def test_the_float32_values_are_those_of_a_float32_run(directory):
    kit = read(directory)
    for case in kit.cases.values():
        exact, single = kit.expected(case.name), kit.expected_float32(case.name)
        for tensor in kit.tensors:
            tolerance = tensor.cases[case.name].tolerance["float32"]
            value = np.broadcast_to(0.0, tensor.cases[case.name].shape)
            assert compare(tensor, case, value, exact[tensor.name]) is not None
            assert single[tensor.name].dtype == np.float32
            counted = exact[tensor.name] > -1e30
            error = np.abs(single[tensor.name] - exact[tensor.name])[counted]
            if not case.undefined_rows:
                most = max(tolerance.expected, tolerance.expected_padded or 0)
                assert error.max(initial=0) <= most, tensor.name


@each(SMALL)
def test_every_classic_mistake_is_seen_in_some_case(directory):
    kit = read(directory)
    assert len(kit.manifest.mistakes) > 10
    for mistake in kit.manifest.mistakes:
        assert any(mistake.first_divergence.values()), mistake.name


@each(KITS)
def test_tolerances_can_catch_something(directory):
    """In float32 no tolerance is above a thousandth of the tensor's largest value."""
    kit = read(directory)
    for case in kit.cases.values():
        expected = kit.expected(case.name)
        for tensor in kit.tensors:
            value = expected[tensor.name]
            largest = np.abs(value[value > -1e30]).max(initial=0)
            tolerance = tensor.cases[case.name].tolerance["float32"]
            if tensor.sampled is None:
                assert tolerance.expected <= 1e-3 * largest, tensor.name
                assert tolerance.local <= 1e-3 * largest, tensor.name


@each(KITS)
def test_what_depends_on_the_mask(directory):
    kit = read(directory)
    depends = {t.name for t in kit.tensors if t.depends_on_mask}
    assert "inputs.mask_bias" in depends and "inputs.input_ids" not in depends
    assert not any(".LayerNorm" in name and ".embeddings." in f".{name}" for name in depends)
    outputs = [tensor for tensor in kit.tensors if tensor.kind == "output"]
    assert outputs and all(t.depends_on_mask and t.from_reference for t in outputs)


@pytest.mark.parametrize("directory", KITS, ids=lambda directory: directory.name)
def test_file_line_and_code_are_those_of_one_statement(directory):
    for tensor in Kit.read(directory).tensors:
        if tensor.code and not tensor.name.startswith("inputs."):
            lines = (WEIGHTS.parent / tensor.file).read_text("utf-8").splitlines()
            here = " ".join(line.strip() for line in lines[tensor.line - 1 : tensor.line + 8])
            text = re.sub(r"(?<=[(\[]) | (?=[)\]])", "", re.sub(r"  # [^#]*?(?=  |$)", "", here))
            right = tensor.code.partition(" = ")[2] or tensor.code
            assert right in text or right in here, (tensor.name, tensor.file, tensor.line, here)
            assert re.search(rf"def {tensor.function}\(", "\n".join(lines[: tensor.line]))
