"""npbert/commands/inspection.py: what a checkpoint holds, and what it lacks for a head."""

import json
import re

import numpy as np
import pytest
from commanding import run_command
from torch_files import storage, tensor, write_zip

from npbert import ConvBertForMaskedLM, ConvBertModel
from npbert.checkpoints import safetensors
from npbert.commands.inspection import inspect, render, stored_tensors

HEAD = {
    "generator_predictions.LayerNorm.weight": [8],
    "generator_predictions.LayerNorm.bias": [8],
    "generator_predictions.dense.weight": [8, 16],
    "generator_predictions.dense.bias": [8],
    "generator_lm_head.bias": [16],
}


def change(checkpoint, *without, **changed):
    """Rewrite the weights with some tensors left out and some others put in."""
    file = checkpoint / "model.safetensors"
    tensors = {**safetensors.read(file), **changed}
    safetensors.write(file, {n: a for n, a in tensors.items() if n not in without})


def run(capsys, *arguments):
    return run_command(capsys, "inspect", *arguments)


def test_a_checkpoint_that_is_whole(checkpoint):
    report = inspect(checkpoint)
    model = ConvBertForMaskedLM.from_pretrained(checkpoint)
    assert report["directory"] == str(checkpoint) and report["weights"] == "model.safetensors"
    assert report["config"] == json.loads((checkpoint / "config.json").read_text())
    assert report["class"] == "ConvBertForMaskedLM"
    assert report["missing"] == {} and report["unexpected"] == [] and report["misshapen"] == {}
    assert report["parameters"] == model.num_parameters() == sum(report["modules"].values())
    header = safetensors.header(checkpoint / "model.safetensors").tensors
    assert list(report["tensors"]) == list(header)
    for name, info in report["tensors"].items():
        assert info == {"dtype": "float32", "shape": list(header[name].shape)}


def test_parameters_by_module(checkpoint):
    report = inspect(checkpoint)
    sizes = {}
    for name, array in safetensors.read(checkpoint / "model.safetensors").items():
        layer = re.match(r"convbert\.encoder\.layer\.\d", name)
        module = layer[0] if layer else re.match(r"(convbert\.)?\w+", name)[0]
        sizes[module] = sizes.get(module, 0) + array.size
    assert report["modules"] == sizes
    assert {"convbert.embeddings", "convbert.encoder.layer.1", "generator_lm_head"} < set(sizes)


def test_a_tied_tensor_counts_once(checkpoint):
    before = inspect(checkpoint)["parameters"]
    embeddings = safetensors.read(checkpoint / "model.safetensors")
    change(checkpoint, **{
        "generator_lm_head.weight": embeddings["convbert.embeddings.word_embeddings.weight"],
        "convbert.embeddings.position_ids": np.arange(12),  # no parameter, and neither is this
        "counter": np.arange(12),
    })  # fmt: skip
    report = inspect(checkpoint)
    assert report["parameters"] == before and len(report["tensors"]) == len(embeddings) + 3
    assert report["missing"] == {} and report["unexpected"] == ["counter"]


def test_one_of_two_tied_tensors_is_enough(checkpoint):
    before = inspect(checkpoint)["parameters"]
    name = "convbert.embeddings.word_embeddings.weight"
    embeddings = safetensors.read(checkpoint / "model.safetensors")[name]
    change(checkpoint, name, **{"generator_lm_head.weight": embeddings})
    report = inspect(checkpoint)
    assert report["missing"] == {} and report["unexpected"] == [] and report["misshapen"] == {}
    assert report["parameters"] == before


def test_what_a_body_lacks_for_a_head(checkpoint):
    body = ConvBertModel.from_pretrained(checkpoint)
    body.save_pretrained(checkpoint)
    assert inspect(checkpoint)["class"] == "ConvBertModel"
    for head in ("ForMaskedLM", "ConvBertForMaskedLM"):
        report = inspect(checkpoint, head)
        assert report["class"] == "ConvBertForMaskedLM" and report["missing"] == HEAD
        assert report["unexpected"] == [] and report["misshapen"] == {}


def test_what_a_body_has_no_use_for(checkpoint):
    report = inspect(checkpoint, "Model")
    assert report["missing"] == {} and set(report["unexpected"]) == set(HEAD)


def test_missing_unexpected_and_misshapen(checkpoint):
    gone, short = "generator_lm_head.bias", "generator_predictions.dense.bias"
    change(checkpoint, gone, **{short: np.ones(3, np.float32), "extra": np.ones(2, np.int8)})
    report = inspect(checkpoint)
    assert report["missing"] == {gone: [16]} and report["unexpected"] == ["extra"]
    assert report["misshapen"] == {short: {"stored": [3], "expected": [8]}}
    assert report["tensors"]["extra"] == {"dtype": "int8", "shape": [2]}


def test_legacy_names_are_shown_as_stored_and_understood(checkpoint):
    name = "convbert.embeddings.LayerNorm.weight"
    change(checkpoint, name, **{"convbert.embeddings.LayerNorm.gamma": np.ones(8, np.float32)})
    report = inspect(checkpoint)
    assert "convbert.embeddings.LayerNorm.gamma" in report["tensors"]
    assert name not in report["tensors"]
    assert report["missing"] == {} and report["unexpected"] == []


@pytest.mark.parametrize("architectures", [None, [], ["ConvBertForCausalLM"], [3], "x"])
def test_an_architecture_that_npbert_lacks_is_the_body(checkpoint, architectures):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"architectures": architectures}))
    assert inspect(checkpoint)["class"] == "ConvBertModel"


def test_a_family_that_npbert_does_not_have(checkpoint):
    whole = inspect(checkpoint)
    (checkpoint / "config.json").write_text('{"model_type": "other"}')
    report = inspect(checkpoint)
    assert report["class"] is None and "model_type is 'other'" in report["reason"]
    assert report["parameters"] == whole["parameters"] and report["tensors"] == whole["tensors"]
    assert render(report).endswith(f"not compared with a model: {report['reason']}")
    with pytest.raises(ValueError, match="model_type is 'other'"):
        inspect(checkpoint, "Model")


# ---- dtypes as stored ------------------------------------------------------------------------


def test_bfloat16_is_shown_as_stored(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}}'
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"1234")
    assert stored_tensors(file) == {"a": ("bfloat16", (2, 1))}


def test_every_format_is_shown_as_stored(tmp_path):
    of = storage("0", 2, "BFloat16Storage")
    write_zip(tmp_path / "pytorch_model.bin", {"a": tensor((2,), (1,), of=of)}, {"0": b"1234"})
    assert stored_tensors(tmp_path / "pytorch_model.bin") == {"a": ("bfloat16", (2,))}
    np.savez(tmp_path / "weights.npz", a=np.float16([1, 2]))
    assert stored_tensors(tmp_path / "weights.npz") == {"a": ("float16", (2,))}
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text('{"weight_map": {"a": "pytorch_model.bin"}}')
    assert stored_tensors(index) == {"a": ("bfloat16", (2,))}
    safetensors.write(tmp_path / "s.safetensors", {"a": np.arange(2)})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "s.safetensors"}}')
    assert stored_tensors(index) == {"a": ("int64", (2,))}


# ---- the command -----------------------------------------------------------------------------


def test_json_is_what_the_function_returns(checkpoint, capsys):
    status, out, err = run(capsys, checkpoint, "--json", "--head", "Model")
    assert (status, err) == (0, "")
    assert json.loads(out) == inspect(checkpoint, "Model")


def test_the_command_prints_the_report(checkpoint, capsys):
    gone, short = "generator_lm_head.bias", "generator_predictions.dense.bias"
    change(checkpoint, gone, **{short: np.ones(3, np.float16), "extra": np.ones(2, np.int8)})
    status, out, err = run(capsys, checkpoint)
    report = inspect(checkpoint)
    lines = out.splitlines()
    assert (status, err) == (0, "") and out == render(report) + "\n"
    assert lines[0] == f"{checkpoint}: model.safetensors, {report['parameters']:,} parameters"
    assert "  conv_kernel_size: 3" in lines
    size = report["modules"]["convbert.encoder.layer.0"]
    found = next(line for line in lines if line.startswith("  convbert.encoder.layer.0 to 1"))
    assert found.split()[-3:] == ["2", "x", f"{size:,}"]  # layers of one size are one line
    assert f"tensors as stored ({len(report['tensors'])})" in lines
    found = next(line for line in lines if line.split()[:1] == [short])
    assert found.split() == [short, "float16", "[3]"]
    assert lines[-8:] == [
        "missing for ConvBertForMaskedLM: 1",
        f"  {gone}  [16]",
        "",
        "unexpected for ConvBertForMaskedLM: 1",
        "  extra",
        "",
        "misshapen for ConvBertForMaskedLM: 1",
        f"  {short}  is [3], expected [8]",
    ]


def test_nothing_missing_is_said_so(checkpoint, capsys):
    assert "missing for ConvBertForMaskedLM: nothing" in run(capsys, checkpoint)[1]


def test_no_name_steers_the_terminal(checkpoint, capsys):
    change(checkpoint, **{"\x1b[2J": np.ones(1)})
    out = run(capsys, checkpoint)[1]
    assert "\x1b" not in out and r"'\x1b[2J'" in out


def test_errors_are_one_line_and_status_2(checkpoint, tmp_path, capsys):
    for arguments, message in [
        ((tmp_path / "absent",), "absent"),
        ((checkpoint, "--head", "ForNothing"), "head is 'ForNothing', expected one of Model, For"),
        ((checkpoint, "--colour"), "unrecognized arguments"),
    ]:
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    (checkpoint / "model.safetensors").write_bytes(b"short")
    status, _, err = run(capsys, checkpoint)
    assert status == 2 and "5 bytes long" in err and err.count("\n") == 1
    (checkpoint / "model.safetensors").unlink()
    status, _, err = run(capsys, checkpoint)
    assert status == 2 and "no weights" in err and err.count("\n") == 1
