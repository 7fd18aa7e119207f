"""npbert/checkpoints/safetensors.py against the reference: the same bytes, the same refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors_files import REFUSED, dicts, file_of, metadatas, quick, same

from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import read_json, read_weights, write_json, write_weights

pytestmark = pytest.mark.reference
library = pytest.importorskip("safetensors", reason="needs the extra `reference`")
library_numpy = pytest.importorskip("safetensors.numpy")

# What the reference library takes and npbert does not, each with its reason.
STRICTER = {
    "name twice",  # which of the two would be meant?
    "metadata twice",
    "entry a list",  # a habit of its parser, not of the format
    "dtype unknown",  # F8_E4M3: NumPy has none
    "65 dimensions",  # NumPy has 64
}


def plain(tensors):
    """As the reference library takes arrays: contiguous."""
    return {name: np.array(array, order="C") for name, array in tensors.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@quick
@given(tensors=dicts, metadata=metadatas)
def test_the_reference_reads_what_npbert_writes(path, tensors, metadata):
    safetensors.write(path, tensors, metadata)
    got = library_numpy.load_file(path)
    assert got.keys() == tensors.keys()
    assert all(same(got[name], tensors[name]) for name in tensors)
    with library.safe_open(path, "np") as file:
        assert (file.metadata() or {}) == (metadata or {})


@quick
@given(tensors=dicts, metadata=metadatas)
def test_npbert_reads_what_the_reference_writes(path, tensors, metadata):
    # `or None`: for no tensors with metadata {} safetensors 0.8.0 writes `{},"__metadata__":{}}`,
    # which it cannot read itself.
    library_numpy.save_file(plain(tensors), path, metadata or None)
    got = safetensors.read(path)
    assert got.keys() == tensors.keys()
    assert all(same(got[name], tensors[name]) for name in tensors)
    assert safetensors.header(path).metadata == (metadata or {})


@quick
@given(tensors=dicts)
def test_the_bytes_are_the_same(path, tensors):
    """With one entry of metadata: of several the reference shuffles the order."""
    library_numpy.save_file(plain(tensors), path, {"format": "pt"})
    expected = path.read_bytes()
    safetensors.write(path, tensors, {"format": "pt"})
    assert path.read_bytes() == expected


def test_every_dtype_of_torch(path):
    torch = pytest.importorskip("torch")
    library_torch = pytest.importorskip("safetensors.torch")
    types = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint64 uint32 uint16 uint8"
    types = [getattr(torch, name) for name in (types + " bool complex64").split()]
    numbers = torch.tensor([[0.0, 1.0, 2.5], [100.0, 3e-3, 7.0]])
    tensors = {str(dtype): numbers.to(dtype) for dtype in types}
    library_torch.save_file(tensors, path, {"format": "pt"})
    header, got = safetensors.header(path), safetensors.read(path)
    assert {info.dtype for info in header.tensors.values()} == set(safetensors.DTYPES)
    for name, tensor in tensors.items():
        expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        assert same(got[name], expected), name
    # And back: bfloat16 comes back as the float32 that it was widened to.
    safetensors.write(path, got, {"format": "pt"})
    for name, tensor in library_torch.load_file(path).items():
        assert torch.equal(tensor, tensors[name].to(tensor.dtype)), name


def test_every_bfloat16(path):
    torch = pytest.importorskip("torch")
    library_torch = pytest.importorskip("safetensors.torch")
    bits = torch.arange(2**16).to(torch.uint16)
    library_torch.save_file({"x": bits.view(torch.bfloat16)}, path)
    got, expected = safetensors.read(path)["x"], bits.view(torch.bfloat16).float().numpy()
    # NaNs by place only: torch quiets their payloads
    assert np.array_equal(got, expected, equal_nan=True)
    assert np.array_equal(np.signbit(got), np.signbit(expected))


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_reference_refuses_is_refused(path, case):
    """test_safetensors.py shows that npbert refuses each; here the library is asked."""
    content, _ = REFUSED[case]
    if case in STRICTER:
        library.deserialize(content)
    else:
        with pytest.raises(library.SafetensorError):
            library.deserialize(content)


@settings(quick, max_examples=8)
@given(tensors=dicts)
def test_damage_that_the_reference_finds_is_found(path, tensors):
    """Each of the header's first bytes removed, and replaced by a digit."""
    safetensors.write(path, tensors)
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    header, data = good[8 : 8 + length], good[8 + length :]
    for i in range(min(len(header), 150)):
        digit = b"1" if header[i : i + 1] == b"0" else b"0"
        for changed in (header[:i] + header[i + 1 :], header[:i] + digit + header[i + 1 :]):
            content = file_of(changed, data)
            try:
                expected = dict(library.deserialize(content))
            except library.SafetensorError:
                expected = None
            path.write_bytes(content)
            try:
                got = safetensors.header(path).tensors
            except ValueError:
                got = None
            if expected is None:
                assert got is None, content
            if got is not None:
                shapes = {name: tuple(spec["shape"]) for name, spec in expected.items()}
                assert {name: info.shape for name, info in got.items()} == shapes


def test_transformers_loads_what_is_written(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
    )
    model = transformers.BertModel(config)
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_json(tmp_path, "config.json", config.to_dict())
    write_weights(tmp_path, tensors)
    loaded, info = transformers.BertModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert all((loaded.state_dict()[name].numpy() == tensors[name]).all() for name in tensors)
    loaded.save_pretrained(tmp_path / "back")
    back = read_weights(tmp_path / "back")
    assert back.keys() == tensors.keys() and all(same(back[n], tensors[n]) for n in tensors)
    assert read_json(tmp_path / "back", "config.json")["hidden_size"] == 8
