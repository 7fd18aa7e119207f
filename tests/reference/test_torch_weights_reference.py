"""npbert/checkpoints/torch_weights.py, shards and conversion against torch and transformers."""

import json
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_models import ALL_HEADS, npbert_class, random_model, reference_class, torch
from torch_files import storage, tensor, write_older, write_zip

from npbert.checkpoints import torch_pickle, torch_weights
from npbert.checkpoints.directory import read_weights
from npbert.commands import conversion

pytestmark = pytest.mark.reference

OLDER = {"_use_new_zipfile_serialization": False}
DTYPES = sorted(set(torch_pickle.DTYPES.values()))
FORMATS = {
    "zip": {},
    "zip, pickle 5": {"pickle_protocol": 5},
    "older": OLDER,
    "older, pickle 4": {"pickle_protocol": 4, **OLDER},
}
formats = pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)
each_class = pytest.mark.parametrize("family, head", ALL_HEADS, ids="".join)
quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def as_numpy(value):
    value = value.detach()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def assert_read(path, tensors):
    """Hold what npbert reads to the tensors that were saved, bit by bit."""
    got = torch_weights.read(path)
    assert list(got) == list(tensors)
    for name, value in tensors.items():
        expected = as_numpy(value)
        assert (got[name].dtype, got[name].shape) == (expected.dtype, expected.shape), name
        assert got[name].tobytes() == expected.tobytes(), name


@st.composite
def views(draw):
    """Tensors of every dtype, and views of them; several may share a storage."""
    tensors = {}
    for i in range(draw(st.integers(0, 4))):
        dtype = getattr(torch, draw(st.sampled_from(DTYPES)))
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        base = torch.arange(1, 1 + int(np.prod(shape)), dtype=torch.float64)
        base = (base % 2 if dtype == torch.bool else base).to(dtype).reshape(shape)
        tensors[f"{i}"] = base
        for step in draw(st.lists(st.sampled_from(["T", "::2", "1:", "0", "expand"]), max_size=3)):
            if base.ndim:
                base = {
                    "T": lambda x: x.permute(*reversed(range(x.ndim))),
                    "::2": lambda x: x[..., ::2],
                    "1:": lambda x: x[1:],
                    "0": lambda x: x[0] if len(x) else x,
                    "expand": lambda x: x[None].expand(2, *x.shape),
                }[step](base)
            tensors[f"{i} {step}"] = base
    return tensors


@quick
@given(tensors=views(), options=st.sampled_from(list(FORMATS.values())))
def test_what_torch_saves_is_read(tmp_path, tensors, options):
    torch.save(OrderedDict(tensors), tmp_path / "x.bin", **options)
    assert_read(tmp_path / "x.bin", tensors)


@formats
def test_parameters_and_training_checkpoints(tmp_path, options):
    path = tmp_path / "x.bin"
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    model(torch.ones(1, 3)).sum().backward()
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.step()
    torch.save(model.state_dict(keep_vars=True), path, **options)  # parameters, not tensors
    assert_read(path, model.state_dict())
    steps = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "x": 0.5}
    torch.save(steps, path, **options)
    assert_read(path, model.state_dict())
    parameter = model[0].weight
    parameter.touched = True  # then torch saves the attributes of the parameter with it
    torch.save({"a": parameter}, path, **options)
    assert_read(path, {"a": parameter})


@formats
def test_a_whole_model_is_refused_by_the_name_of_its_class(tmp_path, options):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.bin", **options)
    with pytest.raises(ValueError, match=r"asks for 'torch\.nn\.modules\.linear\.Linear'"):
        torch_weights.read(tmp_path / "x.bin")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.qint8])
def test_dtypes_that_numpy_does_not_have(tmp_path, kind):
    value = torch.ones(2)
    quantized = kind == torch.qint8
    value = torch.quantize_per_tensor(value, 0.1, 0, kind) if quantized else value.to(kind)
    torch.save({"a": value}, tmp_path / "x.bin")
    asked = "torch._utils._rebuild_qtensor" if quantized else "torch.float8_e4m3fn"
    with pytest.raises(ValueError, match=f"asks for '{asked}'"):
        torch_weights.read(tmp_path / "x.bin")


KINDS = {name.split()[1]: np.dtype({"bfloat16": "u2"}.get(dtype, dtype))
         for name, dtype in torch_pickle.STORAGES.items()}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_torch_reads_the_files_of_our_tests(tmp_path, kind):
    """So that what the tests write by hand is what torch would write."""
    path = tmp_path / "x.bin"
    numbers = b"\1\0\0\1\1\0" * KINDS[kind].itemsize
    for order in ("little", "big"):
        of = storage("0", 6, kind)
        value = {"a": tensor(of=of), "b": tensor((2,), (2,), 1, of)}
        write_zip(path, value, {"0": numbers}, byteorder=order, version="3\n")
        assert_read(path, torch.load(path, weights_only=True))
    if (
        kind == "UntypedStorage"
    ):  # torch 2.13 writes them in the older format and fails to read them
        return
    of = storage("0", 6, kind, None)
    value = {"a": tensor(of=of), "b": tensor((2,), (2,), 1, of)}
    write_older(path, value, {"0": (6, numbers)})
    assert_read(path, torch.load(path, weights_only=True))


def bin_checkpoint(model, directory, options):
    """Save a model as transformers 4 did with safe_serialization=False."""
    directory.mkdir()
    model.config.save_pretrained(directory)
    torch.save(model.state_dict(), directory / "pytorch_model.bin", **options)
    return directory


@each_class
def test_bin_checkpoints_of_transformers_are_loaded_and_converted(tmp_path, family, head):
    model = random_model(family, head)
    expected = model.state_dict()
    for name, options in FORMATS.items():
        directory = bin_checkpoint(model, tmp_path / name, options)
        assert_read(directory / "pytorch_model.bin", expected)
        loaded = npbert_class(family, head).from_pretrained(directory)
        for tensor_name, array in loaded.state_dict().items():
            assert (array == expected[tensor_name].numpy()).all()
    conversion.convert(directory, tmp_path / "converted")
    again, report = reference_class(family, head).from_pretrained(
        tmp_path / "converted", output_loading_info=True
    )
    assert not any(report.values()), report
    assert again.state_dict().keys() == expected.keys()
    assert all((value == expected[name]).all() for name, value in again.state_dict().items())
    model.save_pretrained(tmp_path / "saved")
    saved = read_weights(tmp_path / "saved")
    assert read_weights(tmp_path / "converted").keys() == saved.keys()  # ties alike


@pytest.mark.parametrize("family", sorted({family for family, _ in ALL_HEADS}))
def test_shards_of_transformers(tmp_path, family):
    model = random_model(family, "ForMaskedLM")
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    loaded = npbert_class(family, "ForMaskedLM").from_pretrained(tmp_path)
    expected = model.state_dict()
    assert set(index["weight_map"]) <= set(loaded.state_dict())
    for name, array in loaded.state_dict().items():
        assert (array == expected[name].numpy()).all()


def test_shards_of_torch_that_transformers_loads(tmp_path):
    model = random_model("Bert", "ForMaskedLM")
    model.config.save_pretrained(tmp_path)
    tensors = model.state_dict()
    weight_map = {
        name: f"pytorch_model-{i % 3 + 1:05}-of-00003.bin" for i, name in enumerate(tensors)
    }
    for shard in set(weight_map.values()):
        part = {name: tensors[name] for name in tensors if weight_map[name] == shard}
        torch.save(part, tmp_path / shard)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    theirs = reference_class("Bert", "ForMaskedLM").from_pretrained(tmp_path).state_dict()
    ours = npbert_class("Bert", "ForMaskedLM").from_pretrained(tmp_path).state_dict()
    for name, array in ours.items():
        assert (array == theirs[name].numpy()).all() and (array == tensors[name].numpy()).all()


@pytest.mark.parametrize("dtype", conversion.DTYPES)
def test_transformers_loads_what_was_converted_to_a_dtype(tmp_path, dtype):
    model = random_model("ConvBert", "ForMaskedLM")
    directory = bin_checkpoint(model, tmp_path / "old", {})
    conversion.convert(directory, tmp_path / "new", dtype)
    again = reference_class("ConvBert", "ForMaskedLM").from_pretrained(
        tmp_path / "new", dtype="auto"
    )
    assert again.dtype == getattr(torch, dtype)
    for name, value in again.state_dict().items():
        assert (value == model.state_dict()[name].to(value.dtype)).all()


@pytest.mark.parametrize("records", [
    *[{"version": version} for version in ("3", "1", "10", " 6\n", "0", "11", "x", "", None)],
    {"version": None, ".data/version": "3"}, {"version": "99", ".data/version": "3"},
    {"version": "3", ".data/version": "99"},
], ids=str)  # fmt: skip
def test_versions_of_the_zip_format(tmp_path, records):
    path = tmp_path / "pytorch_model.bin"
    write_zip(path, {"a": tensor()}, {"0": np.arange(6, dtype="<f4").tobytes()}, **records)
    outcomes = []
    for read in (lambda: torch.load(path, weights_only=True), lambda: torch_weights.read(path)):
        try:
            outcomes.append(list(read()))
        except (RuntimeError, ValueError):
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]
