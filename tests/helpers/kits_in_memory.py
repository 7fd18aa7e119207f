"""Small golden kits that are made in memory, for tests of the check: npbert itself is the truth.

In their models every step matters: matrices are large, norms are far from 1, no bias is 0, types
and positions count as much as words, and the sum of the embeddings varies so little that the
epsilon of its norm shows.
"""

from pathlib import Path

import numpy as np

import npbert
from npbert.golden.comparing import Difference, compare
from npbert.golden.following import follow
from npbert.golden.kit import EXPECTED as EXPECTED_FILE
from npbert.golden.kit import INPUTS, Kit
from npbert.golden.manifest import Case, Manifest, Tensor, TensorCase, Tolerance
from npbert.model import params

SMALL = dict(
    vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=24, max_position_embeddings=9, type_vocab_size=2,
)  # fmt: skip
OPTIONS = {
    "Bert": {},
    "ConvBert": dict(embedding_size=8, conv_kernel_size=3, head_ratio=1, num_groups=2),
    "MobileBert": dict(embedding_size=8, intra_bottleneck_size=8, num_feedforward_networks=3),
    "SqueezeBert": dict(
        embedding_size=16, q_groups=2, k_groups=2, v_groups=4, post_attention_groups=1,
        intermediate_groups=4, output_groups=2,
    ),
}  # fmt: skip
WIDTHS = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
FACTOR, FLOOR = 20.0, 16  # of the error measured; in units of the last place of the largest value


def make_model(family, head="Model", seed=0, dtype=np.float64, **options):
    config = getattr(npbert, f"{family}Config")(**SMALL | OPTIONS[family] | options)
    model = getattr(npbert, family + head)(config, dtype=dtype)
    rng = np.random.default_rng(seed)
    done = set()
    for name, array in params.flatten(model.params):
        if id(array) not in done:  # not a tied one twice
            done.add(id(array))
            array[...] = random_values(rng, name, array.shape).astype(np.float32)
    return model


def random_values(rng, name, shape):
    values = rng.standard_normal(shape)
    if "norm" in name.lower():
        return 0.3 * values + (1 if name.endswith("weight") else 0)
    if "embeddings." in name and "transformation" not in name:
        return 0.02 * values  # small: beside their variance an epsilon of 1e-5 is much
    if name.endswith("transform.dense.weight"):
        return 0.003 * values  # so does the norm of a masked-LM head, whatever MobileBERT's sizes
    return 0.4 * values


def single_precision(model):
    """Return the same model in float32."""
    single = type(model).__new__(type(model))
    vars(single).update(vars(model))
    single.dtype = np.dtype(np.float32)
    once = {id(a): a.astype(np.float32) for a in model.state_dict().values()}  # ties survive
    single.params = params.tree({name: once[id(a)] for name, a in model.state_dict().items()})
    return single


def make_cases(model):
    """Return {name: (about, inputs)}: one without padding, one with, of two sentences."""
    rng = np.random.default_rng(1)
    V = model.config.vocab_size
    ids = rng.integers(1, V, (2, 7))
    types = np.array([[0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]])
    mask = np.array([[1] * 7, [1] * 5 + [0] * 2])
    plain = dict(input_ids=ids[:1, :5], token_type_ids=types[:1, :5])
    both = dict(input_ids=ids, token_type_ids=types, attention_mask=mask)
    if type(model).__name__.endswith("MultipleChoice"):
        plain = {name: np.stack([a, a[:, ::-1]], axis=1) for name, a in plain.items()}
        both = {name: a[None] for name, a in both.items()}
    return {"plain": plain, "padded": both}


class KitInMemory(Kit):
    """A kit of a model that is there already."""

    def __init__(self, model, tensors, cases, inputs, expected):
        manifest = Manifest(
            {}, "in-memory", "", {}, type(model).__name__, {}, "", {}, "", cases, tensors, ()
        )
        self.directory = Path("memory")
        self.describe(manifest)
        self.files = {INPUTS: inputs, EXPECTED_FILE: expected}
        self.made_of = model

    def model(self, dtype=np.float64):
        assert dtype == np.float64
        return self.made_of


def axes_of(quantity, B, T):
    """Guess which axis is which: enough for these sizes, where B is 1 or 2 and T is 5 or 7."""
    axes = [{B: "B", T: "T"}.get(size, "X") for size in quantity.shape]
    return tuple(f"X{n}" if a == "X" or a in axes[:n] else a for n, a in enumerate(axes))


def make_kit(model, cases=None):
    """Return a kit whose expected values are npbert's own, with measured tolerances."""
    cases = cases or make_cases(model)
    single = single_precision(model)
    described, tensors, inputs, expected = {}, {}, {}, {}
    for name, given in cases.items():
        ids = given["input_ids"].reshape(-1, given["input_ids"].shape[-1])
        real = given.get("attention_mask", np.ones(ids.shape)).reshape(ids.shape).astype(bool)
        described[name] = Case(name, name, tuple(given), tuple(real.sum(axis=1)), real)
        inputs |= {f"{name}/{argument}": array for argument, array in given.items()}
        exact, rough = npbert.trace(model, **given), npbert.trace(single, **given)
        values = {q.name: q.value for q in rough}
        steps = {s.quantity.name: s for s in follow(model, given, values)}
        for q in exact:
            expected[f"{name}/{q.name}"] = q.value.astype(np.float64)
            tensor = tensors.setdefault(q.name, describe(q, *ids.shape))
            of_all = compare(tensor, described[name], values[q.name], q.value)
            of_step = compare(tensor, described[name], values[q.name], steps[q.name].computed)
            tolerance = {
                dtype: measured(of_all, of_step, width, real.all())
                for dtype, width in WIDTHS.items()
            }
            tensor.cases[name] = TensorCase(q.shape, tolerance)
    return KitInMemory(model, tuple(tensors.values()), described, inputs, expected)


def describe(q, B, T):
    kind = "input" if q.name.startswith("inputs.") else "intermediate"
    return Tensor(
        q.name, tuple(q.aliases), kind, False, axes_of(q, B, T), f"equation of {q.name}", None,
        None, q.function, f"npbert/{q.file}", q.line, q.inputs, "attend" in q.name, {},
    )  # fmt: skip


def measured(of_all: Difference, of_step: Difference, width, unpadded):
    least = FLOOR * width * of_all.scale
    scale = FACTOR * width / WIDTHS["float32"]

    def of(error):
        return max(least, scale * (error or 0.0))

    if unpadded:
        return Tolerance(of(of_all.real), of(of_step.real))
    return Tolerance(of(of_all.real), of(of_step.real), of(of_all.padded), of(of_step.padded))
