"""Reading golden kits that are damaged, and writing them so that there is never half of one."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from npbert.checkpoints import safetensors
from npbert.golden import Kit
from npbert.golden.kit import lines, write_kit

WEIGHTS = Path(__file__).parents[2] / "weights"

# ---- reading -------------------------------------------------------------------------------


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
    "a case with a slash": (setting("a/b", "cases", 0, "name"), "expected letters, digits and _"),
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
    "axes that are not those of a shape": (
        setting(["out"], "parameters", 0, "axes"),
        r"parameters\[0\].axes is \['out'\], expected a name for each axis of \[32, 8\]",
    ),
    "texts of other rows": (setting(["a", "b"], "cases", 0, "texts"), "for each of 1 rows"),
    "too few tokens": (setting([["a"]], "cases", 0, "tokens"), "expected 4 tokens for each of 1"),
    "a mistake that shows in no tensor": (
        setting({"padded_end": "nowhere"}, "mistakes", 0, "first_divergence"),
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
    with pytest.raises(ValueError, match=r"other\.safetensors: its SHA-256 is .* has 'missing'"):
        Kit.read(copy)
    digest = hashlib.sha256((copy.parent / "other.safetensors").read_bytes()).hexdigest()
    change(copy, setting(digest, "files", "../other.safetensors"))
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
    safetensors.write(path, arrays | {name: arrays[name][:, 1:]})
    with pytest.raises(ValueError, match=r"input_ids has shape \[1, 3\], but .* \[1, 4\]"):
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
    assert sorted(contents(copy)) == [
        "inputs.safetensors", "manifest.json", "manifest.schema.json",
    ]  # fmt: skip
    written = json.loads((copy / "manifest.json").read_text("utf-8"))
    digest = hashlib.sha256((copy / "inputs.safetensors").read_bytes()).hexdigest()
    assert written == {**values, "files": {"inputs.safetensors": digest}}
    assert [*copy.parent.iterdir()] == [copy]


def test_what_is_no_kit_is_not_overwritten(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "manifest.json").write_text('{"format": "of the web"}')
    with pytest.raises(ValueError, match="holds something else than a golden kit"):
        write_kit(tmp_path / "notes", {}, {})
    with pytest.raises(ValueError, match="is a file, expected a directory"):
        write_kit(tmp_path / "notes" / "manifest.json", {}, {})
    safetensors.write(tmp_path / "far.safetensors", {"a": np.zeros(3)})
    write_kit(tmp_path / "a" / "kit", {"weights": "../../far.safetensors", "format": "any"}, {})
    found = json.loads((tmp_path / "a" / "kit" / "manifest.json").read_text("utf-8"))["files"]
    assert [*found] == ["../../far.safetensors"]
    (tmp_path / "empty").mkdir()
    write_kit(tmp_path / "empty", {"format": "any"}, {})
    assert sorted(contents(tmp_path / "empty")) == ["manifest.json", "manifest.schema.json"]
