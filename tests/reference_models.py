"""Random models of the reference, saved as checkpoints, with inputs: what npbert is held against.

The weights are large enough that attention is far from uniform, and no parameter is left at its
initial value: a bias of 0 or a norm of 1 would hide that npbert forgot it.
"""

import contextlib
import copy
import dataclasses
import functools
import tempfile

import numpy as np
import pytest

import npbert.bert
import npbert.convbert

torch = pytest.importorskip("torch", reason="needs the extra `reference`")
transformers = pytest.importorskip("transformers", reason="needs the extra `reference`")

torch.set_num_threads(1)  # models this small only wait for other threads
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# Where npbert's classes are. A family is one entry here, and one in each test's table.
MODULES = {"Bert": npbert.bert, "ConvBert": npbert.convbert}

SMALL = dict(
    vocab_size=53,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=40,
    max_position_embeddings=24,
    type_vocab_size=3,
)
FAMILY_SMALL = {"ConvBert": dict(embedding_size=24, conv_kernel_size=5)}

TOLERANCES = {"float64": 1e-10, "float32": 2e-5}  # relative to the largest value of an array

# Fields of the reference that only a decoder fills.
DECODER_FIELDS = ("cross_attentions", "past_key_values")


@dataclasses.dataclass
class Reference:
    """A model of the reference, in both dtypes, and the checkpoint that it was saved as."""

    family: str
    head: str
    config: object
    models: dict  # dtype name -> transformers model
    directory: tempfile.TemporaryDirectory  # removed when nobody holds the reference any more

    def __call__(self, dtype, **inputs):
        """Run the model in a dtype ("float32") on arrays; return its output, arrays again."""
        return run(self.models[dtype], dtype, **inputs)

    def load(self, dtype):
        """Return npbert's model, loaded from the checkpoint."""
        return npbert_class(self.family, self.head).from_pretrained(self.directory.name, dtype)


def run(model, dtype, **inputs):
    """Run a model of the reference on arrays; return a dict of arrays, or their tuple."""
    with torch.no_grad():
        output = model(**{name: to_torch(value, dtype) for name, value in inputs.items()})
    if isinstance(output, tuple):
        return tuple(to_numpy(field) for field in output if field != ())  # cross_attentions
    return {
        name: to_numpy(field)
        for name, field in output.items()
        if field is not None and name not in DECODER_FIELDS
    }


def npbert_class(family, head):
    return getattr(MODULES[family], family + head)


def reference_class(family, head):
    return getattr(transformers, family + head)


def reference_config(family, **options):
    options = SMALL | FAMILY_SMALL.get(family, {}) | options
    config = reference_class(family, "Config")(**options)
    config._attn_implementation = "eager"  # fused attention differs where a row is masked entirely
    return config


def random_model(family, head, seed=0, **options):
    """Return a float32 model of the reference in which every single parameter is random."""
    model = reference_class(family, head)(reference_config(family, **options)).eval()
    randomise(model, seed)
    return model


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    width = max(config.hidden_size, getattr(config, "embedding_size", 0))
    spread = 1.5 / width**0.5  # so that scores are about as large, and no larger, in any width
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(spread * torch.randn(weight.shape, generator=generator))
            if "norm" in name.lower() and name.endswith("weight"):
                weight += 1


@functools.cache
def reference(family, head, **options):
    """Return a random model of the reference and its checkpoint; the same call, the same object."""
    model = random_model(family, head, **options)
    directory = tempfile.TemporaryDirectory()
    model.save_pretrained(directory.name)
    return Reference(family, head, model.config, in_both_dtypes(model), directory)


def in_both_dtypes(model):
    """Return {"float32": the model, "float64": a widened copy}."""
    return {"float32": model, "float64": copy.deepcopy(model).double()}  # ties survive


def from_reference_checkpoint(family, head, directory):
    """Let the reference load a checkpoint; return {dtype name: model}."""
    model = reference_class(family, head).from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32
    )
    return in_both_dtypes(model.eval())


def to_torch(value, dtype):
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(value.copy())
    return tensor.to(getattr(torch, dtype)) if value.dtype.kind == "f" else tensor


def to_numpy(field):
    if isinstance(field, tuple):
        return tuple(to_numpy(part) for part in field)
    return field.numpy()


# ---- inputs --------------------------------------------------------------------------------


def random_ids(config, B, T, seed=0):
    return np.random.default_rng(seed).integers(0, config.vocab_size, (B, T))


def random_types(config, B, T, seed=1):
    return np.random.default_rng(seed).integers(0, config.type_vocab_size, (B, T))


def random_positions(config, B, T, seed=2):
    return np.random.default_rng(seed).integers(0, config.max_position_embeddings, (B, T))


def random_embeddings(config, B, T, seed=3):
    width = getattr(config, "embedding_size", config.hidden_size)
    return np.random.default_rng(seed).standard_normal((B, T, width)).astype(np.float32)


def random_labels(config, B, T, seed=4):
    """Labels of which about half do not count."""
    labels = random_ids(config, B, T, seed)
    return np.where(np.random.default_rng(seed).random((B, T)) < 0.5, -100, labels)


def mask_with_zeros(B, T, *places):
    """A mask of ones with zeros at places such as (0, slice(3))."""
    mask = np.ones((B, T), np.int64)
    for place in places:
        mask[place] = 0
    return mask


# ---- comparing -----------------------------------------------------------------------------


def errors(got, expected, dtype):
    """Return every array's largest error relative to the largest value expected: name -> error.

    Names, their order, shapes and dtypes are asserted to be the same: each field, and each part of
    a tuple of arrays. NaN equals NaN.
    """
    if isinstance(expected, tuple):
        assert isinstance(got, tuple) and len(got) == len(expected)
        got, expected = dict(enumerate(got)), dict(enumerate(expected))
    assert list(got.keys()) == list(expected.keys())
    found = {}
    for name, want in expected.items():
        if isinstance(want, tuple):
            parts = errors(got[name], want, dtype)
            found |= {f"{name}[{i}]": error for i, error in parts.items()}
            continue
        have = got[name]
        assert have.shape == want.shape, f"{name}: {have.shape}, expected {want.shape}"
        assert have.dtype == dtype, f"{name}: {have.dtype}, expected {dtype}"
        assert (np.isnan(have) == np.isnan(want)).all(), f"{name}: NaN in other places"
        numbers = ~np.isnan(want)
        largest = np.abs(want[numbers]).max(initial=np.finfo(dtype).tiny)
        found[name] = float(np.abs(have - want)[numbers].max(initial=0) / largest)
    return found


def largest_error(got, expected, dtype):
    return max(errors(got, expected, dtype).values())


def assert_same(got, expected, dtype):
    """Assert that no array is off by more than the dtype's tolerance."""
    found = errors(got, expected, dtype)
    off = {name: error for name, error in found.items() if not error <= TOLERANCES[dtype]}
    assert not off, f"{dtype}, above {TOLERANCES[dtype]}: {off}"


@contextlib.contextmanager
def running_on(backend):
    """Run npbert on one backend, and give the choice back to the environment afterwards."""
    if backend == "numba":
        pytest.importorskip("numba", reason="the twins need numba")
    npbert.backend.set_backend(backend)
    try:
        yield
    finally:
        npbert.backend.set_backend(None)
