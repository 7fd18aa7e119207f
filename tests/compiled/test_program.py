"""npbert/compiled/program.py: programs and the parameters that they were written for.

A program holds addresses of parameters. Whatever happens to a model between two calls, the second
gives what the definitions give, and no program keeps a model in memory.
"""

import copy
import gc
import weakref

import numpy as np
import pytest
from operations import node
from small_models import HEADS, IDS, MASK, small_model

from npbert import ops
from npbert.activations import ACTIVATIONS
from npbert.compiled import backend, prepared, program
from npbert.model.params import children, flatten

pytest.importorskip("numba", reason="the twins need numba")

SIZES = dict(num_hidden_layers=2, hidden_act="relu")
TOLERANCE = 1e-5
each_family = pytest.mark.parametrize("family", HEADS)


def model_of(family, **options):
    return small_model(family, dtype=np.float32, **SIZES | options)


def run(model, version="numba", ids=IDS, **given):
    with backend.using(version), np.errstate(all="ignore"):
        return model(ids, **given).last_hidden_state


def assert_right(model, **given):
    """Assert that a model's answer is that of the definitions; return it."""
    got, expected = run(model, **given), run(model, "numpy", **given)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
    return got


def is_covered(model):
    """Return whether the model's layers run as steps."""
    found = prepared._programs.get(model.encoder_params, {})
    return all(kept.program is not None for kept in found.values())


def layers_of(model):
    return getattr(model.params.encoder, "layers", None) or model.params.encoder.layer


def a_matrix(model):
    """Return a node of the last layer, a linear map, whose weights every answer depends on."""
    last = layers_of(model)[-1].output
    return last.dense if hasattr(last, "dense") else last.conv1d


@pytest.fixture(params=HEADS)
def model(request):
    """A small model of each family that has run."""
    made = model_of(request.param)
    assert_right(made)
    assert is_covered(made)
    return made


# ---- changes ---------------------------------------------------------------------------------


def changes():
    """Return {what is done: a function that does it to a model}; each changes every answer."""

    def replace(model):
        a_matrix(model).weight = 2 * a_matrix(model).weight

    def write(model):
        a_matrix(model).weight[:] *= 2

    def replace_node(model):
        old = a_matrix(model)
        model.params.encoder = copy.deepcopy(model.params.encoder)
        assert a_matrix(model) is not old
        a_matrix(model).weight *= 2

    def replace_entry(model):
        layers = layers_of(model)
        layers[-1] = copy.deepcopy(layers[-1])
        vars(a_matrix(model))["weight"] = 2 * a_matrix(model).weight

    def swap_entries(model):
        layers_of(model).reverse()

    def fewer_layers(model):
        model.config.num_hidden_layers = 1

    def another_activation(model):
        model.config.hidden_act = "linear"

    def another_list(model):
        # A list that is put in place, and then changed.
        kind = "layers" if hasattr(model.params.encoder, "layers") else "layer"
        setattr(model.params.encoder, kind, [*layers_of(model)])
        run(model)
        layers_of(model).reverse()

    return {change.__name__: change for change in locals().values()}


@pytest.mark.parametrize("change", changes().values(), ids=changes())
def test_a_change_is_seen(change, model):
    before = run(model)
    change(model)
    after = assert_right(model)
    assert is_covered(model)
    assert np.abs(after - before).max() > 1e-3


def test_an_epsilon_that_changes_is_seen():
    x, p = IDS.astype(np.float32), node(weight=np.ones(4, np.float32), bias=np.ones(4, np.float32))
    with backend.using("numba"):
        for eps in (1e-5, 10.0, 1e-5):
            expected = ops.layer_norm.plain(x, p, eps)
            np.testing.assert_allclose(ops.layer_norm(x, p, eps), expected, rtol=1e-5)


def test_models_that_share_parameters_but_not_a_config(model):
    other = copy.copy(model)
    other.config = copy.copy(model.config)
    other.config.hidden_act = "linear"
    for _ in range(2):
        assert np.abs(assert_right(model) - assert_right(other)).max() > 1e-3


def test_an_entry_that_is_deleted_is_missed(model):
    del a_matrix(model).weight
    for version in ("numpy", "numba"):
        with pytest.raises(AttributeError, match='has no "weight"'):
            run(model, version)


# ---- parameters of other kinds -----------------------------------------------------------------


def all_nodes(p):
    below = p if isinstance(p, list) else children(p).values()
    for child in below:
        if not isinstance(child, np.ndarray):
            yield child
            yield from all_nodes(child)


def set_arrays(model, which, make):
    """Put make(array) in the place of every array of the encoder whose name is among `which`."""
    for each in all_nodes(model.params.encoder):
        for name in which:
            array = vars(each).get(name) if not isinstance(each, list) else None
            if isinstance(array, np.ndarray):
                setattr(each, name, make(array))


def spaced(array):
    """The same numbers, with others in between."""
    roomy = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    roomy[..., ::2] = array
    return roomy[..., ::2]


def reversed_in_memory(array):
    return array[::-1].copy()[::-1]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    made = raw.view(array.dtype).reshape(array.shape)
    made[...] = array
    assert not made.flags.aligned
    return made


LAYOUTS = [spaced, reversed_in_memory, np.asfortranarray, read_only, unaligned]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("names", [["weight"], ["bias"], ["weight", "bias"]], ids=str)
def test_parameters_that_lie_in_memory_another_way(names, layout, model):
    before = run(model)
    set_arrays(model, names, layout)
    after = assert_right(model)
    np.testing.assert_allclose(after, before, rtol=0, atol=TOLERANCE * np.abs(before).max())


def test_a_matrix_may_lie_in_memory_any_way(model):
    """Without a copy: numbers that are written to it count."""
    for layout in (spaced, np.asfortranarray, reversed_in_memory):
        a_matrix(model).weight = layout(a_matrix(model).weight)
        before = assert_right(model)
        assert is_covered(model)
        a_matrix(model).weight[...] *= 2
        assert np.abs(assert_right(model) - before).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f4"])
@pytest.mark.parametrize("names", [["weight"], ["bias"], ["weight", "bias"]], ids=str)
def test_parameters_of_another_dtype(names, dtype, model):
    set_arrays(model, names, lambda array: array.astype(dtype))
    got, expected = run(model), run(model, "numpy")
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


def test_float32_parameters_and_masks_in_a_model_of_float64(model):
    model.dtype = np.dtype("float64")
    for mask in (None, MASK):
        assert_right(model, attention_mask=mask)


def one_more(array):
    return np.concatenate([array, array[:1]])


def one_less(array):
    return array[:-1]


def first_of(array):
    return array[:1]


def without_axes(array):
    return array.reshape(-1)[0:1].reshape(())


SHAPES = [one_more, one_less, first_of, without_axes, lambda array: array.reshape(-1, 1)]


@each_family
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_of_another_shape_are_never_read_past_their_end(name, shape, family):
    """Each in turn: NumPy repeats what it can and refuses the rest, and so do the twins."""
    model = model_of(family)
    for each in [n for n in all_nodes(model.params) if hasattr(n, "__dict__") and name in vars(n)]:
        old = getattr(each, name)
        setattr(each, name, shape(old))
        answers = []
        for version in ("numpy", "numba"):
            try:
                answers.append(run(model, version))
            except (ValueError, IndexError) as error:
                answers.append(type(error))
        expected, got = answers
        if isinstance(expected, type) or isinstance(got, type):
            assert isinstance(expected, type) and isinstance(got, type)
        else:
            assert got.shape == expected.shape and got.dtype == expected.dtype
            limit = TOLERANCE * np.abs(expected).max()
            np.testing.assert_allclose(got, expected, rtol=0, atol=limit)
        setattr(each, name, old)
    assert_right(model)


@pytest.mark.parametrize("width", [3, 5, 0])
def test_rows_of_another_width_than_the_matrix(width):
    p = node(weight=np.ones((3, 4), np.float32), bias=np.ones(3, np.float32))
    with backend.using("numba"), pytest.raises(ValueError):
        ops.linear(np.ones((2, width), np.float32), p)
    with backend.using("numba"):
        assert ops.linear(np.ones((0, 4), np.float32), p).shape == (0, 3)
        assert ops.linear(np.ones(4, np.float32), p).tolist() == [5, 5, 5]


@each_family
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation(name, family):
    model = model_of(family, hidden_act=name)
    assert_right(model, attention_mask=MASK)
    assert is_covered(model) == (name in program.ACTIVATIONS)


# ---- memory ----------------------------------------------------------------------------------


def test_no_program_keeps_a_model_in_memory(model):
    for states in (True, False):
        with backend.using("numba"):
            model(IDS, output_hidden_states=states, output_attentions=states)
    arrays = [weakref.ref(array) for _, array in flatten(model.params)]
    count = len(prepared._programs)
    head = weakref.ref(model.encoder_params)
    made = type(model)(model.config)
    model.params = made.params  # the fixture has the model still
    del made
    gc.collect()
    assert head() is None and not any(array() is not None for array in arrays)
    assert len(prepared._programs) < count


def test_a_program_is_written_once(model, monkeypatch):
    def write(*arguments):
        raise AssertionError("written again")

    monkeypatch.setattr(prepared, "written", write)
    for batch in (IDS, IDS[:1], IDS[:, :2]):
        run(model, ids=batch)
    other = copy.deepcopy(model)  # what it holds is the other model's
    with pytest.raises(AssertionError, match="written again"):
        run(other)
