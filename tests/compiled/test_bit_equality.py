"""In float32 a text's results are the same bits, whatever else runs beside it or asks for more.

How many threads share the work, what else is in the batch and where, whether the states of all
layers are kept, and whether the texts came by `encode_texts`: none of it may show.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_models import ALL_HEADS, HEADS, inputs_for, small_model

from npbert.compiled import backend, program, threads

pytest.importorskip("numba", reason="the twins need numba")

CHUNK = 40  # tokens that run together here
LENGTHS = [1, 15, 16, 17, 31, 32, 33, 39, 40, 41, 64, 70]  # around vectors, panels and chunks
SIZES = dict(
    vocab_size=20,
    hidden_size=36,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=30,
    max_position_embeddings=80,
)
OPTIONS = {
    "ConvBert": dict(num_attention_heads=6, conv_kernel_size=5),
    "MobileBert": dict(intra_bottleneck_size=18, classifier_activation=True),
}
each_family = pytest.mark.parametrize("family", HEADS)


def model_of(family, head="Model", **options):
    options = SIZES | OPTIONS.get(family, {}) | options
    return small_model(family, head, dtype=np.float32, **options)


@pytest.fixture
def thread_count(monkeypatch):
    """Return a function that sets how many threads share every piece of work, however small."""
    pools = []

    def choose(count):
        pools.append(ThreadPoolExecutor(max(1, count - 1)))
        monkeypatch.setattr(threads, "count_threads", lambda: count)
        monkeypatch.setattr(threads, "_helpers", lambda: pools[-1])

    monkeypatch.setattr(threads, "SMALLEST_PART", 1)
    monkeypatch.setattr(program, "FEW", 0)
    monkeypatch.setattr(program, "CHUNK", CHUNK)
    choose(1)
    with backend.using("numba"):
        yield choose
    for pool in pools:
        pool.shutdown()


def ids_of(length, seed=0):
    return np.random.default_rng([length, seed]).integers(0, SIZES["vocab_size"], length)


def arrays_of(output):
    """Return every array of a model's output: name -> array."""
    found = {}
    for name, value in output.items():
        parts = value if isinstance(value, tuple) else [value]
        found |= {f"{name}[{i}]": part for i, part in enumerate(parts)}
    return found


def assert_same_bits(one, other, names=None):
    one, other = arrays_of(one), arrays_of(other)
    for name in names or one.keys() & other.keys():
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@each_family
def test_the_number_of_threads(family, thread_count):
    model = model_of(family)
    ids = np.stack([ids_of(33, seed) for seed in range(5)])
    mask = np.arange(33) < np.array([33, 1, 16, 32, 0])[:, None]
    given = dict(attention_mask=mask, output_hidden_states=True, output_attentions=True)
    alone = model(ids, **given)
    for count in (2, 3):
        thread_count(count)
        for _ in range(5):
            assert_same_bits(model(ids, **given), alone)


@each_family
def test_what_else_is_in_the_batch(family, thread_count):
    """A text at every place of batches whose chunks hold one text or several."""
    thread_count(2)
    model = model_of(family)
    for T in (7, 16, 33, 41):
        ids = np.stack([ids_of(T, seed) for seed in range(7)])
        alone = [model(text[None]) for text in ids]
        for order in (range(7), reversed(range(7)), [3], [2, 2, 5, 2]):
            order = [*order]
            output = model(ids[order])
            for place, text in enumerate(order):
                for name, array in output.items():
                    np.testing.assert_array_equal(array[place], alone[text][name][0])


@each_family
def test_what_is_kept(family, thread_count):
    model = model_of(family)
    ids = np.stack([ids_of(20, seed) for seed in range(5)])
    least = model(ids)
    for states in (False, True):
        for attentions in (False, True):
            more = model(ids, output_hidden_states=states, output_attentions=attentions)
            assert_same_bits(more, least, ["last_hidden_state[0]"])
    everything = model(ids, output_hidden_states=True, output_attentions=True)
    last = everything.hidden_states[-1]
    np.testing.assert_array_equal(last, everything.last_hidden_state)
    assert_same_bits(model(ids, output_attentions=True), everything)


@pytest.mark.parametrize(("family", "head"), ALL_HEADS)
def test_texts_of_any_lengths(family, head, thread_count):
    """Every text of `encode_texts` is its lone call to the bit, with every head."""
    thread_count(2)
    model = model_of(family, head, hidden_act="gelu")
    rows = [ids_of(length) for length in LENGTHS]
    outputs = {size: model.encode_texts(rows, batch_tokens=size) for size in (1, 100, 10**6)}
    thread_count(1)
    for n, row in enumerate(rows):
        shape = (1, 1, -1) if head == "ForMultipleChoice" else (1, -1)
        alone = model(row.reshape(shape))
        for output in outputs.values():
            assert_same_bits(output[n], alone)


@pytest.mark.parametrize(("family", "head"), ALL_HEADS)
def test_heads_of_a_batch(family, head, thread_count):
    model = model_of(family, head, hidden_act="gelu")
    inputs = inputs_for(head, 5, 19)
    together = model(**inputs)
    for n in range(5):
        alone = model(**{name: array[n : n + 1] for name, array in inputs.items()})
        for name, array in together.items():
            if np.ndim(array):
                np.testing.assert_array_equal(array[n], alone[name][0], err_msg=name)
