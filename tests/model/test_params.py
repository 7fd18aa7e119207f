"""npbert/model/params.py: the tree, random parameters, a checkpoint's names and shapes."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npbert
from npbert.model import params

# ---- the tree ------------------------------------------------------------------------------

words = st.text("abcXYZ_0", min_size=1, max_size=4).filter(lambda w: w[0] not in "_0")


@st.composite
def nested(draw, depth=3):
    """Draw nodes (dictionaries), layers (lists) and arrays, inside one another."""
    kind = draw(st.sampled_from(["array", "node", "layers"])) if depth < 3 else "node"
    if depth == 0 or kind == "array":
        return np.array(draw(st.integers(0, 99)))
    below = st.deferred(lambda: nested(depth - 1))
    if kind == "layers":  # more than ten, so that the order by text is not the order by number
        size = draw(st.sampled_from([1, 2, 12]))
        return [draw(below)] * size
    return draw(st.dictionaries(words, below, min_size=1, max_size=3))


def names_of(value, path=()):
    if isinstance(value, np.ndarray):
        return {".".join(path): value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = {}
    for name, below in pairs:
        found |= names_of(below, (*path, str(name)))
    return found


def same(node, value, path=""):
    """Hold a tree against the nested value that it was made from."""
    if isinstance(value, np.ndarray):
        assert node is value
    elif isinstance(value, list):
        assert isinstance(node, list) and len(node) == len(value)
        for i, (child, below) in enumerate(zip(node, value)):
            same(child, below, f"{path}.{i}".lstrip("."))
    else:
        assert params.path(node) == path and params.children(node).keys() == value.keys()
        for name, below in value.items():
            same(getattr(node, name), below, f"{path}.{name}".lstrip("."))


@settings(max_examples=60)
@given(value=nested(), shuffle=st.randoms(use_true_random=False))
def test_tree_and_flatten_undo_each_other(value, shuffle):
    flat = list(names_of(value).items())
    shuffle.shuffle(flat)  # the order in a file means nothing
    tree = params.tree(dict(flat))
    same(tree, value)
    again = dict(params.flatten(tree))
    assert again.keys() == dict(flat).keys()
    assert all(again[name] is array for name, array in flat)


@pytest.fixture
def tree():
    names = ["bias", "layer.0.dense.weight", "layer.1.dense.weight", "layer.1.norm.weight"]
    return params.tree({name: np.array(i) for i, name in enumerate(names)})


def test_attributes_and_paths(tree):
    assert params.path(tree) == ""
    assert params.path(tree.layer[1].norm) == "layer.1.norm"
    assert tree.layer[1].dense.weight == 2 and tree.bias == 0
    assert list(params.children(tree.layer[1])) == ["dense", "norm"]
    assert repr(tree.layer[1]) == "Node('layer.1': dense, norm)"


def test_a_missing_attribute_says_where_and_what_there_is(tree):
    with pytest.raises(AttributeError) as error:
        _ = tree.layer[1].attention
    assert str(error.value) == '"layer.1" has no "attention"; it has dense, norm'
    with pytest.raises(AttributeError) as error:
        _ = tree.decoder
    assert str(error.value) == ('the root of the parameters has no "decoder"; it has bias, layer')
    with pytest.raises(AttributeError, match=r"it has nothing$"):
        _ = params.tree({}).decoder
    assert not hasattr(tree, "__array__")  # what Python itself asks for is no parameter


def test_a_tree_can_be_copied(tree):
    copied = copy.deepcopy(tree)
    assert dict(params.flatten(copied)) == dict(params.flatten(tree))
    assert params.path(copied.layer[1].norm) == "layer.1.norm"


# ---- random parameters ---------------------------------------------------------------------

SHAPES = {
    "body.dense.weight": (40, 50),
    "body.dense.bias": (40,),
    "body.LayerNorm.weight": (30,),
    "body.LayerNorm.bias": (30,),
    "body.conv.weight": (7, 1, 3),
}


def test_random_tensors_are_as_the_reference_initialises_them():
    tensors = params.random_tensors(SHAPES, 0.5, seed=0)
    assert {name: array.shape for name, array in tensors.items()} == SHAPES
    assert all(array.dtype == np.float64 for array in tensors.values())
    assert (tensors["body.dense.bias"] == 0).all() and (tensors["body.LayerNorm.bias"] == 0).all()
    assert (tensors["body.LayerNorm.weight"] == 1).all()
    weight = tensors["body.dense.weight"]  # 2000 numbers: the mean is off by 0.011 or so
    assert abs(weight.mean()) < 0.05 and abs(weight.std() - 0.5) < 0.05


def test_a_seed_gives_the_same_numbers_always_and_another_seed_others():
    one, again, other = (params.random_tensors(SHAPES, 1, seed) for seed in (7, 7, 8))
    for name in SHAPES:
        np.testing.assert_array_equal(one[name], again[name])
    assert not np.isin(one["body.dense.weight"], other["body.dense.weight"]).any()


def test_a_head_does_not_change_the_body():
    body = params.random_tensors(SHAPES, 1, seed=3)
    both = params.random_tensors({"head.weight": (5, 5), **SHAPES}, 1, seed=3)
    for name in SHAPES:
        np.testing.assert_array_equal(body[name], both[name])


def test_two_tensors_of_one_shape_differ():
    a, b = params.random_tensors({"a.weight": (9,), "b.weight": (9,)}, 1, seed=0).values()
    assert not np.isin(a, b).any()


@pytest.mark.parametrize("seed", [-1, 1.5, None, "1"])
def test_seeds_that_are_none(seed):
    with pytest.raises(ValueError, match=f"seed is {seed!r}, expected a non-negative integer"):
        params.random_tensors(SHAPES, 1, seed)


@pytest.mark.parametrize("seed", [np.int64(7), np.uint8(7)])
def test_seeds_of_numpy(seed):
    got, expected = (params.random_tensors(SHAPES, 1, s)["body.dense.weight"] for s in (seed, 7))
    np.testing.assert_array_equal(got, expected)


# ---- prefixes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, wanted, expected",
    [
        (["a.weight", "b"], ["bert.a.weight", "bert.b"], ["bert.a.weight", "bert.b"]),
        (["bert.a.weight", "bert.b"], ["a.weight", "b"], ["a.weight", "b"]),
        (["bert.a", "cls.b"], ["bert.a", "cls.b"], ["bert.a", "cls.b"]),
        # a head beside a body that was saved bare
        (["a", "cls.b"], ["bert.a", "cls.b"], ["bert.a", "cls.b"]),
        # what no model asks for is left as it is
        (["bert.x", "y", "roberta.a"], ["a"], ["bert.x", "y", "roberta.a"]),
        # both spellings are there: the exact one counts, the other is left over
        (["a", "bert.a"], ["a"], ["a", "bert.a"]),
        (["bert.a", "a"], ["a"], ["bert.a", "a"]),
    ],
)
def test_fit_prefix(names, wanted, expected):
    fitted = params.fit_prefix(dict.fromkeys(names, 0), wanted, "bert")
    assert list(fitted) == expected


# ---- matching ------------------------------------------------------------------------------

WANTED = {
    "body.weight": (2, 3),
    "body.bias": (2,),
    "head.weight": (4, 2),
    "head.bias": (4,),
    "header.weight": (1,),  # begins like the head and is none of it
}


def zeros(leave_out=(), **changed):
    shapes = {name: shape for name, shape in WANTED.items() if name not in leave_out}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} | {
        name.replace("_", "."): array for name, array in changed.items()
    }


def test_a_checkpoint_that_fits():
    assert params.match(zeros(), WANTED, ["head."], "here") == ([], [])


def test_what_is_not_asked_for_is_returned():
    tensors = zeros(extra_b=np.zeros(1), extra_a=np.zeros(1, int))
    assert params.match(tensors, WANTED, ["head."], "here") == ([], ["extra.b", "extra.a"])


def test_a_head_that_is_missing_as_a_whole_is_returned():
    tensors = zeros(leave_out=["head.weight", "head.bias"])
    assert params.match(tensors, WANTED, ["head."], "here") == (["head.weight", "head.bias"], [])


@pytest.mark.parametrize("absent, shape", [("head.weight", "[4, 2]"), ("head.bias", "[4]")])
def test_a_head_that_is_missing_in_part_is_an_error(absent, shape):
    with pytest.raises(ValueError) as error:
        params.match(zeros(leave_out=[absent]), WANTED, ["head."], "here")
    assert str(error.value) == (
        f"here: 1 tensor does not fit the config:\n  {absent}: is missing, expected {shape}"
    )


def test_a_head_that_is_not_optional_is_an_error():
    with pytest.raises(ValueError, match="2 tensors do not fit the config"):
        params.match(zeros(leave_out=["head.weight", "head.bias"]), WANTED, [], "here")


def test_all_that_is_wrong_is_one_error():
    tensors = zeros(
        leave_out=["body.weight", "header.weight", "head.bias"],
        body_bias=np.zeros((2, 1), np.float16),
        head_weight=np.zeros((4, 2), np.int8),
    )
    with pytest.raises(ValueError) as error:
        params.match(tensors, WANTED, ["head."], "here")
    assert str(error.value).splitlines() == [
        "here: 5 tensors do not fit the config:",
        "  body.bias: is [2, 1], expected [2]",
        "  head.weight: has dtype int8, expected floating-point numbers",
        "  body.weight: is missing, expected [2, 3]",
        "  header.weight: is missing, expected [1]",
        "  head.bias: is missing, expected [4]",
    ]


def test_the_error_lists_the_first_of_very_many():
    shapes = {f"layer.{i}.weight": (1,) for i in range(100_000)}
    with pytest.raises(ValueError) as error:
        params.match({}, shapes, [], "here")
    first, *lines = str(error.value).splitlines()
    assert first == "here: 100000 tensors do not fit the config:" and len(lines) == 101
    assert lines[-2:] == ["  layer.99.weight: is missing, expected [1]", "  ... and 99900 more"]


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8])
def test_weights_that_are_whole_numbers(dtype):
    with pytest.raises(ValueError, match=r"body\.bias: has dtype .*, expected floating"):
        params.match(zeros(body_bias=np.zeros(2, dtype)), WANTED, ["head."], "here")


def test_no_copy_is_made():
    tensors = zeros()
    before = dict(tensors)
    params.match(tensors, WANTED, ["head."], "here")
    assert all(tensors[name] is before[name] for name in WANTED)


# ---- the tree as text ----------------------------------------------------------------------


def test_a_model_prints_its_modules_with_shapes_as_torch_does():
    sizes = dict(vocab_size=9, hidden_size=4, num_attention_heads=2, intermediate_size=8)
    settings = npbert.BertConfig(**sizes, num_hidden_layers=2, max_position_embeddings=5)
    model = npbert.BertForSequenceClassification(settings)
    lines = repr(model).splitlines()
    count = f"{model.num_parameters():,}"
    assert lines[0] == f"BertForSequenceClassification(  # {count} parameters, float32"
    assert lines[1:4] == ["  (bert): (", "    (embeddings): (",
                          "      (word_embeddings): weight [9, 4]"]  # fmt: skip
    assert "        (0-1): 2 x (" in lines  # layers that look alike are drawn once
    assert lines[-3:] == ["  )", "  (classifier): weight [2, 4], bias [2]", ")"]
    assert sum("query" in line for line in lines) == 1


def test_layers_that_differ_are_drawn_apart():
    tensors = {"layer.0.weight": np.zeros(2), "layer.1.weight": np.zeros(3)}
    tensors["layer.2.weight"] = np.zeros(3)
    assert [*params.render(params.tree(tensors), "", "")] == [
        "(",
        "  (layer): [",
        "    (0): weight [2]",
        "    (1-2): 2 x weight [3]",
        "  ]",
        ")",
    ]
