"""Random models of the reference, saved as checkpoints, with inputs: what npbert is held against.

The weights are large enough that attention is far from uniform, and no parameter is left at its
initial value: a bias of 0 or a norm of 1 would hide that npbert forgot it.
"""

import contextlib
import copy
import dataclasses
import functools
import shutil
import tempfile
import weakref

import numpy as np
import pytest
from small_models import ALL_HEADS as ALL_HEADS
from small_models import HEADS as HEADS

import npbert
from npbert.compiled.backend import set_backend

torch = pytest.importorskip("torch", reason="needs the extra `reference`")
transformers = pytest.importorskip("transformers", reason="needs the extra `reference`")

torch.set_num_threads(1)  # models this small only wait for other threads
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

SMALL = dict(
    vocab_size=53,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=40,
    max_position_embeddings=24,
    type_vocab_size=3,
)
FAMILY_SMALL = {
    "ConvBert": dict(embedding_size=24, conv_kernel_size=5),
    "MobileBert": dict(embedding_size=10, intra_bottleneck_size=16, num_feedforward_networks=3),
    "SqueezeBert": dict(
        q_groups=2,
        k_groups=3,
        v_groups=4,
        post_attention_groups=6,
        intermediate_groups=4,
        output_groups=2,
    ),
}

TOLERANCES = {"float64": 1e-10, "float32": 2e-5}  # relative to the largest value of an array

# Modules of the reference that npbert does not have, or not by themselves.
NOWHERE = [
    r".*dropout.*",
    r".*\.matmul_qk",  # before it is divided by the root of the width
    r".*\.pointwise",  # without its bias
    r"transformer\.pooler.*",  # which no head uses but that of sequence classification
    r"sequence_summary\..*",
]

# Fields of the reference that only a decoder fills.
DECODER_FIELDS = ("cross_attentions", "cache")


class Folder:
    """A folder for a checkpoint, which is removed when nobody holds this object any more."""

    def __init__(self):
        self.name = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, self.name)


@dataclasses.dataclass
class Reference:
    """A model of the reference, in both dtypes, and the checkpoint that it was saved as."""

    family: str
    head: str
    config: object
    models: dict  # dtype name -> transformers model
    directory: Folder

    def __call__(self, dtype, **inputs):
        """Run the model in a dtype ("float32") on arrays; return its output, arrays again."""
        return run(self.models[dtype], dtype, **inputs)

    def load(self, dtype):
        """Return npbert's model, loaded from the checkpoint."""
        return npbert_class(self.family, self.head).from_pretrained(self.directory.name, dtype)


def run(model, dtype, **inputs):
    """Run a model of the reference on arrays; return a dict of arrays, or their tuple."""
    problem_type = model.config.problem_type
    with torch.no_grad():
        output = model(**{name: to_torch(value, dtype) for name, value in inputs.items()})
    model.config.problem_type = problem_type  # it keeps what it inferred from these labels
    if isinstance(output, tuple):
        return tuple(to_numpy(field) for field in output if field != ())  # cross_attentions
    return {
        name: to_numpy(field)
        for name, field in output.items()
        if field is not None and name not in DECODER_FIELDS
    }


def npbert_class(family, head):
    return getattr(npbert, family + head)


def reference_class(family, head):
    return getattr(transformers, family + head)


def reference_config(family, **options):
    options = SMALL | FAMILY_SMALL.get(family, {}) | options
    if family == "SqueezeBert":  # which knows no other width for its embeddings
        options.setdefault("embedding_size", options["hidden_size"])
    config = reference_class(family, "Config")(**options)
    config._attn_implementation = "eager"  # fused attention differs where a row is masked entirely
    return config


def random_model(family, head, seed=0, **options):
    """Return a float32 model of the reference in which every single parameter is random."""
    options = LABELLED[head][0].options | options if head in LABELLED else options
    model = reference_class(family, head)(reference_config(family, **options)).eval()
    randomise(model, seed)
    return model


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread = spread_of(name, weight, model.config)
            weight.copy_(spread * torch.randn(weight.shape, generator=generator))
            if "norm" in name.lower() and name.endswith("weight"):
                weight += 1


def spread_of(name, weight, config):
    """How large a tensor's numbers are: so that scores are about as large in models of any width.

    MobileBERT has no norms that would keep its hidden states from growing with every feed-forward
    network. As large as in the other families, its weights would make scores of thousands after one
    layer: every token attends to one other, whatever a mistake does to the rest, and float32 is off
    by 4e-4 in the shares, as far as the reference is from its float64 self. Smaller maps keep the
    states where they were, with larger ones for query and key: float32 then holds the tolerance of
    the others. What larger values do is tested by themselves, in test_quirks_mobilebert_reference.
    """
    width = max(config.hidden_size, getattr(config, "embedding_size", 0))
    if getattr(config, "normalization_type", "") != "no_norm":
        return 1.5 / width**0.5
    width = max(width, weight.shape[-1])
    return (6 if ".query." in name or ".key." in name else 0.7) / width**0.5


@functools.cache
def reference(family, head, **options):
    """Return a random model of the reference and its checkpoint; the same call, the same object."""
    model = random_model(family, head, **options)
    directory = Folder()
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


def random_classes(classes, shape, seed=4, ignored=0.5):
    """Labels below `classes`, of which about half (or another share) do not count."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, shape)
    return np.where(rng.random(shape) < ignored, -100, labels)


def random_numbers(shape, seed=5):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def random_shares(shape, seed=6):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def mask_with_zeros(B, T, *places):
    """A mask of ones with zeros at places such as (0, slice(3))."""
    mask = np.ones((B, T), np.int64)
    for place in places:
        mask[place] = 0
    return mask


def for_head(head, inputs):
    """Return the inputs as a head takes them: for multiple choice each has the axis of choices.

    The choices of a sentence are itself and two others of the same batch: [B, T] -> [B, 3, T].
    """
    if head != "ForMultipleChoice":
        return inputs

    def with_choices(array):
        return np.stack([array, np.roll(array, 1, axis=0), array[::-1]], axis=1)

    return {
        name: with_choices(value) if isinstance(value, np.ndarray) and name != "labels" else value
        for name, value in inputs.items()
    }


@dataclasses.dataclass
class Labelled:
    """Options of a config, and labels that go with them: a function of config, B and T by name."""

    options: dict
    labels: dict


def tokens_labelled(classes, name="labels"):
    """Labels for each token; `classes` names the option that says how many there are."""
    return {
        name: lambda c, B, T: {name: random_classes(getattr(c, classes), (B, T))},
        f"{name} everywhere": lambda c, B, T: {
            name: random_classes(getattr(c, classes), (B, T), ignored=0)
        },
        f"{name} nowhere": lambda c, B, T: {name: np.full((B, T), -100)},
    }


def texts_labelled(classes, name="labels"):
    """Labels for each text."""
    return {
        name: lambda c, B, T: {name: random_classes(classes, B, ignored=0)},
        f"{name}, some do not count": lambda c, B, T: {name: random_classes(classes, B)},
        f"{name} that do not count": lambda c, B, T: {name: np.full(B, -100)},
    }


def pre_training_labels(c, B, T):
    words = {"labels": random_classes(c.vocab_size, (B, T))}
    return words | {"next_sentence_label": random_classes(2, B)}


def answer(start, end):
    """Answer positions for each text: the first ones given, the others within the text."""

    def positions(given, B, T, seed):
        return np.array([*given, *np.random.default_rng(seed).integers(0, T, B)])[:B]

    return lambda c, B, T: {
        "start_positions": positions(start, B, T, seed=7),
        "end_positions": positions(end, B, T, seed=8),
    }


# Head: what it is trained with. The first options are those of every model of that head.
LABELLED = {
    "ForMaskedLM": [Labelled({}, tokens_labelled("vocab_size"))],
    "ForPreTraining": [
        Labelled(
            {},
            {
                "both labels": pre_training_labels,
                "labels alone: no loss": lambda c, B, T: {
                    "labels": random_classes(c.vocab_size, (B, T))
                },
                "next_sentence_label alone: no loss": lambda c, B, T: {
                    "next_sentence_label": random_classes(2, B)
                },
                "next_sentence_label that does not count": lambda c, B, T: (
                    pre_training_labels(c, B, T) | {"next_sentence_label": np.full(B, -100)}
                ),
                "next_sentence_label in a column": lambda c, B, T: (
                    pre_training_labels(c, B, T)
                    | {"next_sentence_label": random_classes(2, (B, 1), ignored=0)}
                ),
            },
        )
    ],
    "ForNextSentencePrediction": [
        Labelled(
            {},
            {
                **texts_labelled(2),
                "a column": lambda c, B, T: {"labels": random_classes(2, (B, 1))},
            },
        )
    ],
    "ForSequenceClassification": [
        Labelled(
            dict(num_labels=3),
            {
                **texts_labelled(3),
                "a column": lambda c, B, T: {"labels": random_classes(3, (B, 1))},
                "shares": lambda c, B, T: {"labels": random_shares((B, 3))},
            },
        ),
        Labelled(
            dict(num_labels=1),
            {
                "numbers": lambda c, B, T: {"labels": random_numbers(B)},
                "numbers in a column": lambda c, B, T: {"labels": random_numbers((B, 1))},
                "whole numbers": lambda c, B, T: {"labels": random_classes(9, B)},
            },
        ),
        Labelled(
            dict(num_labels=1, problem_type="multi_label_classification"),
            {"shares": lambda c, B, T: {"labels": random_shares((B, 1))}},
        ),
        Labelled(
            dict(num_labels=3, problem_type="regression"),
            {
                "numbers": lambda c, B, T: {"labels": random_numbers((B, 3))},
                "whole numbers": lambda c, B, T: {"labels": random_classes(9, (B, 3))},
            },
        ),
        Labelled(
            dict(num_labels=1, problem_type="regression"),
            {"numbers": lambda c, B, T: {"labels": random_numbers(B)}},
        ),
        Labelled(dict(num_labels=3, problem_type="single_label_classification"), texts_labelled(3)),
        Labelled(
            dict(num_labels=3, problem_type="multi_label_classification"),
            {
                "shares": lambda c, B, T: {"labels": random_shares((B, 3))},
                "yes or no": lambda c, B, T: {"labels": random_shares((B, 3)).round()},
            },
        ),
    ],
    "ForMultipleChoice": [Labelled({}, texts_labelled(3))],
    "ForTokenClassification": [Labelled(dict(num_labels=5), tokens_labelled("num_labels"))],
    "ForQuestionAnswering": [
        Labelled(
            {},
            {
                "positions": answer([], []),
                "positions at the ends": answer([0, 12], [12, 0]),
                "positions beyond the text": answer([13, 14, 500], [2, 13]),
                "positions below 0": answer([-1, -100], [2, -7]),
                "no position counts": answer([99] * 9, [13] * 9),
                "start_positions alone: no loss": lambda c, B, T: {"start_positions": np.arange(B)},
                "end_positions alone: no loss": lambda c, B, T: {"end_positions": np.arange(B)},
                "positions in columns": lambda c, B, T: {
                    name: array[:, None] for name, array in answer([1], [99])(c, B, T).items()
                },
            },
        )
    ],
}


def random_labels(head, config, B, T):
    """Return the labels that a head is usually trained with; {} for a body."""
    if head not in LABELLED:
        return {}
    make_labels = next(iter(LABELLED[head][0].labels.values()))
    return make_labels(config, B, T)


# ---- comparing -----------------------------------------------------------------------------


def errors(got, expected, dtype):
    """Return every array's largest error relative to the largest value expected: name -> error.

    Names, their order, shapes and dtypes are asserted to be the same: each field, and each part of
    a tuple of arrays. NaN equals NaN. Where the mask has swallowed a score, the very same number
    must stand, and it is not the largest: beside 1e38 every other error would vanish.
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
        numbers = ~np.isnan(want) & (want > -1e38)
        masked = want <= -1e38
        largest = np.abs(want[numbers]).max(initial=np.finfo(dtype).tiny)
        found[name] = float(np.abs(have - want)[numbers].max(initial=0) / largest)
        if (have[masked] != want[masked]).any():
            found[name] = np.inf
    return found


def largest_error(got, expected, dtype):
    return max(errors(got, expected, dtype).values())


def assert_same(got, expected, dtype):
    """Assert that no array is off by more than the dtype's tolerance."""
    found = errors(got, expected, dtype)
    off = {name: error for name, error in found.items() if not error <= TOLERANCES[dtype]}
    assert not off, f"{dtype}, above {TOLERANCES[dtype]}: {off}"


DIFFERENT = 1e-3  # two outputs further apart than this are not the same computation


def assert_agrees(truth, **inputs):
    """Assert that npbert and the reference agree in float64; return npbert's output."""
    got = truth.load("float64")(**inputs)
    assert_same(got, truth("float64", **inputs), "float64")
    return got


def assert_disagrees(truth, **inputs):
    """Assert that npbert is off, now that a test has undone one of the quirks."""
    got = truth.load("float64")(**inputs)
    assert largest_error(got, truth("float64", **inputs), "float64") > DIFFERENT


def ids_of(truth, B=2, T=9):
    return dict(input_ids=random_ids(truth.config, B, T))


@contextlib.contextmanager
def running_on(backend):
    """Run npbert on one backend, and give the choice back to the environment afterwards."""
    if backend == "numba":
        pytest.importorskip("numba", reason="the twins need numba")
    set_backend(backend)
    try:
        yield
    finally:
        set_backend(None)


def outputs_of_modules(model, inputs):
    """Run a model of the reference; return {path of a module: its output}."""
    outputs = {}

    def note(path):
        def hook(module, arguments, output):
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, torch.Tensor):
                outputs[path] = to_numpy(first.detach().clone())

        return hook

    hooks = [m.register_forward_hook(note(path)) for path, m in model.named_modules() if path]
    with torch.no_grad():
        model(**{name: to_torch(value, "float64") for name, value in inputs.items()})
    for hook in hooks:
        hook.remove()
    return outputs
