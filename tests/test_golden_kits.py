"""The golden kits that ship: whole, described by the schema, and passed by npbert in float32."""

import functools
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import npbert
from npbert import safetensors
from npbert.golden import Kit
from npbert.golden import manifest as manifests
from npbert.golden.comparing import compare
from npbert.golden.passes import run_npbert, run_numba
from npbert.golden.writing import lines, write_kit

WEIGHTS = Path(__file__).parent.parent / "weights"
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
    sizes = {k: sum(file.stat().st_size for file in k.iterdir()) for k in KITS}
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


@pytest.mark.parametrize("step", [1, -1])
@each([kit for kit in SMALL if kit.name.endswith(("-model", "-masked-lm"))])
def test_a_port_that_adds_up_in_another_order_is_right(directory, step, monkeypatch):
    def linear(x, p):
        out = p.bias if step < 0 else np.zeros_like(p.bias)
        for i in range(p.weight.shape[1])[::step]:
            out = out + x[..., i : i + 1] * p.weight[:, i]
        return out if step < 0 else out + p.bias

    kit = read(directory)
    monkeypatch.setattr(sys.modules[type(kit.model()).__module__], "linear", linear)
    for case in kit.cases.values():
        recorded = run_npbert(kit.model(np.float32), kit.inputs(case.name)).trace
        expected, judged = kit.expected(case.name), 0
        for tensor in kit.tensors:
            names = [name for name in (tensor.name, *tensor.aliases) if name in recorded]
            if names:
                found = compare(tensor, case, recorded[names[0]].value, expected[tensor.name])
                tolerance = tensor.cases[case.name].tolerance["float32"]
                assert found.is_within(tolerance), (case.name, tensor.name, found)
                judged += 1
        assert judged > 15


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
    assert len(kit.manifest.mutations) > 10
    for mutation in kit.manifest.mutations:
        assert any(mutation.first_divergence.values()), mutation.name


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


# ---- reading: what may be wrong ------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """A kit that a test may damage."""
    return Path(shutil.copytree(WEIGHTS / "golden" / "bert-token-classification", tmp_path / "kit"))


def change(directory, alter):
    path = directory / "manifest.json"
    values = json.loads(path.read_text("utf-8"))
    alter(values)
    path.write_text(json.dumps(values), "utf-8")


FILES = ["manifest.json", "inputs.safetensors", "expected.safetensors",
         "expected_float32.safetensors", "weights.safetensors"]  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file(copy, file):
    (copy / file).unlink()
    with pytest.raises(FileNotFoundError, match=file.split(".")[0]):
        Kit.read(copy)


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith("weights")])
def test_a_file_that_ends_too_soon(copy, file):
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match=file):
        Kit.read(copy)


def test_weights_that_end_too_soon(copy):
    content = (copy / "weights.safetensors").read_bytes()
    (copy / "weights.safetensors").write_bytes(content[:-9])
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        Kit.read(copy).model()


def without(values, *path):
    *way, last = path
    for step in way:
        values = values[step]
    del values[last]


def setting(value, *path):
    def alter(values):
        *way, last = path
        for step in way:
            values = values[step]
        values[last] = value

    return alter


WRONG = {
    "another format": (setting("a kit", "format"), "format is 'a kit'"),
    "a later version": (setting(2, "format_version"), "version is 2; this npbert reads version 1"),
    "a version that is true": (setting(True, "format_version"), "format_version is True"),
    "no cases": (lambda values: without(values, "cases"), "cases is missing"),
    "no name": (lambda values: without(values, "name"), "name is missing, expected str"),
    "an unknown class": (setting("GPT2Model", "architecture"), "'GPT2Model', which npbert does"),
    "not a class": (setting("BertConfig", "architecture"), "'BertConfig', which npbert does"),
    "a tensor twice": (lambda v: v["tensors"].append(v["tensors"][0]), "two have the same name"),
    "an alias twice": (setting(["classifier"], "tensors", 3, "aliases"), "a name of two tensors"),
    "a kind of its own": (setting("step", "tensors", 3, "kind"), r"tensors\[3\].kind is 'step'"),
    "a line that is text": (setting("9", "tensors", 3, "line"), r"line is '9', expected int"),
    "a negative tolerance": (
        setting(-1, "tensors", 3, "cases", "padded_end", "tolerance", "float32", "local"),
        "float32.local is -1, expected a finite number of 0 or more",
    ),
    "a tolerance that is no object": (
        setting(1, "tensors", 3, "cases", "padded_end", "tolerance", "float16"),
        "float16 is 1, expected dict or null",
    ),
    "no tolerance in a dtype": (
        lambda v: without(v, "tensors", 3, "cases", "padded_end", "tolerance", "bfloat16"),
        "bfloat16 is missing",
    ),
    "a shape of other axes": (
        setting([4], "tensors", 3, "cases", "padded_end", "shape"),
        "expected 4 sizes, for the axes",
    ),
    "a case that no tensor has": (setting("other", "cases", 0, "name"), "an entry for each of"),
    "rows of unlike lengths": (setting([[True], []], "cases", 0, "real"), "all of one length"),
    "other lengths": (setting([4], "cases", 0, "lengths"), "how many are true in each row"),
    "a row that is not there": (setting([7], "cases", 0, "undefined_rows"), "numbers of rows"),
    "absolute weights": (setting("/etc/passwd", "weights"), "expected a path relative to the kit"),
    "weights on a drive": (setting("C:\\w", "weights"), "expected a path relative to the kit"),
    "no step": (
        setting({"axis": -1, "step": 0}, "tensors", 4, "sampled"),
        "step is 0, expected at least 1",
    ),
    "an axis that is not there": (
        setting({"axis": 9, "step": 2}, "tensors", 4, "sampled"),
        "axis is 9, expected an axis of",
    ),
    "a mistake that shows in no tensor": (
        setting({"padded_end": "nowhere"}, "mutations", 0, "first_divergence"),
        "a tensor of the kit, or null",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_damaged_manifest(copy, wrong):
    alter, message = WRONG[wrong]
    change(copy, alter)
    with pytest.raises(ValueError, match=message) as error:
        Kit.read(copy)
    assert "manifest.json" in str(error.value) and "\n" not in str(error.value)


def test_weights_elsewhere_are_found_by_a_relative_path(copy):
    (copy / "weights.safetensors").rename(copy.parent / "other.safetensors")
    change(copy, setting("../other.safetensors", "weights"))
    assert Kit.read(copy).model().num_parameters() > 100


@pytest.mark.parametrize("file", ["expected.safetensors", "expected_float32.safetensors"])
def test_a_tensor_that_is_missing_or_misshapen(copy, file):
    arrays = dict(safetensors.read(copy / file))
    name = "padded_end/classifier"
    safetensors.write(copy / file, arrays | {name: arrays[name][0]})
    with pytest.raises(ValueError, match=rf"{file}: {name} is F\d\d \[4, 5\], expected F\d\d \[1"):
        Kit.read(copy)
    del arrays[name]
    safetensors.write(copy / file, arrays)
    with pytest.raises(ValueError, match=f"{file}: '{name}' is missing"):
        Kit.read(copy)


def test_inputs_that_are_missing_or_of_another_dtype(copy):
    path, name = copy / "inputs.safetensors", "padded_end/input_ids"
    arrays = dict(safetensors.read(path))
    safetensors.write(path, arrays | {name: arrays[name].astype(np.int32)})
    with pytest.raises(ValueError, match=f"{name} is I32, expected I64"):
        Kit.read(copy)
    del arrays[name]
    safetensors.write(path, arrays)
    with pytest.raises(ValueError, match=f"'{name}' is missing"):
        Kit.read(copy)


def test_weights_that_do_not_fit_the_config(copy):
    change(copy, setting(16, "config", "intermediate_size"))
    with pytest.raises(ValueError, match=r"intermediate\.dense\.weight"):
        Kit.read(copy).model()
    change(copy, setting(7, "config", "num_attention_heads"))
    with pytest.raises(ValueError, match=r"manifest\.json: .*num_attention_heads 7"):
        Kit.read(copy).model()


def test_names_and_aliases(copy):
    kit = Kit.read(copy)
    assert kit.tensor("logits") is kit.tensor("classifier")
    with pytest.raises(KeyError, match=r"has no tensor 'probs'; there are bert\.encoder"):
        kit.tensor("probs")
    with pytest.raises(ValueError, match="has no case 'long', it has padded_end"):
        kit.inputs("long")


# ---- writing -------------------------------------------------------------------------------


def contents(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_the_manifest_is_written_as_it_is(copy):
    values = json.loads((copy / "manifest.json").read_text("utf-8"))
    assert json.loads("".join(lines(values))) == values


def test_a_kit_gives_way_only_to_a_whole_one(copy):
    before = contents(copy)
    values = json.loads((copy / "manifest.json").read_text("utf-8"))
    with pytest.raises(ValueError, match="dtype object"):
        write_kit(copy, values, {"expected.safetensors": {"a": np.array([None])}})
    with pytest.raises(ValueError, match="Out of range float"):
        write_kit(copy, values | {"name": float("nan")}, {})
    assert contents(copy) == before and [*copy.parent.iterdir()] == [copy]
    write_kit(copy, values, {"inputs.safetensors": {"a": np.zeros(3)}})
    assert sorted(contents(copy)) == ["inputs.safetensors", "manifest.json"]
    assert [*copy.parent.iterdir()] == [copy]


def test_what_is_no_kit_is_not_overwritten(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "manifest.json").write_text('{"format": "of the web"}')
    with pytest.raises(ValueError, match="holds something else than a golden kit"):
        write_kit(tmp_path / "notes", {}, {})
    with pytest.raises(ValueError, match="is a file, expected a directory"):
        write_kit(tmp_path / "notes" / "manifest.json", {}, {})
    (tmp_path / "empty").mkdir()
    write_kit(tmp_path / "empty", {"format": "any"}, {})
    assert [*contents(tmp_path / "empty")] == ["manifest.json"]
