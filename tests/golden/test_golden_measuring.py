"""How golden kits compare arrays, measure tolerances and read cases: by properties."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npbert
from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden import make_kit
from npbert.golden.cases import given_cases, made_cases, possible_cases, read_cases
from npbert.golden.comparing import difference, entries, sample
from npbert.golden.manifest import Case, Sampled, Tolerance
from npbert.golden.passes import run_npbert
from npbert.golden.precision import rounded
from npbert.golden.tolerances import exact, neighbours, rounded_up

SMALL = dict(
    vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
    max_position_embeddings=7,
)  # fmt: skip


def small_model(family="Bert", head="Model", **options):
    config = getattr(npbert, f"{family}Config")(**SMALL | options)
    return getattr(npbert, family + head)(config)


def case_of(real, undefined=()):
    real = np.array(real, bool)
    return Case("case", "", ("input_ids",), tuple(real.sum(axis=1)), real, tuple(undefined))


# ---- which entries count -------------------------------------------------------------------

masks = st.integers(1, 3).flatmap(
    lambda T: st.lists(st.lists(st.booleans(), min_size=T, max_size=T), min_size=1, max_size=3)
)


@given(real=masks, order=st.permutations(["B", "T", "H", "T"]), undefined=st.booleans())
def test_entries_against_a_loop(real, order, undefined):
    rows = [b for b, row in enumerate(real) if not any(row)] if undefined else []
    case = case_of(real, rows)
    B, T = case.real.shape
    shape = tuple({"B": B, "T": T, "H": 2}[letter] for letter in order)
    found = entries(tuple(order), True, case, shape)
    b, t = order.index("B"), order.index("T")
    for place in np.ndindex(shape):
        assert found.padded[place] == (not real[place[b]][place[t]])
        assert found.compared[place] == (place[b] not in rows)
    assert entries(tuple(order), False, case, shape).compared.all()


@pytest.mark.parametrize("axes", [None, ("N", "D"), ("B", "D"), ("T", "D")])
def test_without_both_axes_a_tensor_is_padded_as_a_whole(axes):
    shape = (2, 5)
    assert entries(axes, True, case_of([[1, 0], [1, 1]]), shape).padded.all()
    assert not entries(axes, True, case_of([[1, 1], [1, 1]]), shape).padded.any()
    compared = entries(axes, True, case_of([[1, 1], [0, 0]], [1]), shape).compared
    assert compared.any(axis=1).tolist() == ([True, False] if axes == ("B", "D") else [False] * 2)


def test_an_axis_of_another_length_is_not_the_one_of_the_case():
    found = entries(("B", "T"), True, case_of([[1, 0]]), (3, 2))
    assert found.padded.all()


numbers = st.floats(-1e6, 1e6, width=32)


@given(data=st.data(), real=masks)
def test_differences_against_a_loop(data, real):
    case = case_of(real)
    shape, size = case.real.shape, case.real.size
    expected = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)
    given_ = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)
    found = difference(given_, expected, entries(("B", "T"), False, case, shape))
    errors = {True: [], False: []}
    for place in np.ndindex(shape):
        errors[bool(case.real[place])].append(abs(given_[place] - expected[place]))
    assert found.real == max(errors[True], default=None)
    assert found.padded == max(errors[False], default=None)
    assert found.scale == np.abs(expected).max() and found.unmasked == 0
    assert abs(given_ - expected)[found.worst] == found.largest
    assert difference(expected, expected, entries(("B", "T"), False, case, shape)).relative == 0


def test_masked_places_take_any_small_number():
    kind = entries(("B", "T"), True, case_of([[1, 1, 1]]), (1, 3))
    expected = np.array([[1.0, -1.8e308, -3.4e38]])
    for small in (-1e4, -65504, -np.inf, -1e9):
        found = difference(np.array([[1.5, small, small]]), expected, kind)
        assert (found.unmasked, found.largest, found.scale, found.worst) == (0, 0.5, 1, (0, 0))
    for large in (0, -9999, np.nan, np.inf):
        found = difference(np.array([[1.0, large, -1e5]]), expected, kind)
        assert found.unmasked == 1 and not found.is_within(Tolerance(9, 9))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_no_number_is_infinitely_far_off(wrong):
    kind = entries(("B", "T"), True, case_of([[1, 1]]), (1, 2))
    found = difference(np.array([[0, wrong]]), np.zeros((1, 2)), kind)
    assert found.real == np.inf and not found.is_within(Tolerance(1e300, 1))


def test_what_is_not_compared_may_be_anything():
    kind = entries(("B", "T"), True, case_of([[1, 1], [0, 0]], [1]), (2, 2))
    found = difference(np.array([[1, 2], [np.nan, 7]]), np.array([[1, 2], [3, 4]]), kind)
    assert (found.real, found.padded, found.unmasked) == (0, None, 0)


def test_padded_entries_have_a_tolerance_of_their_own():
    kind = entries(("B", "T"), True, case_of([[1, 0]]), (1, 2))
    found = difference(np.array([[0.1, 5.0]]), np.zeros((1, 2)), kind)
    assert found.is_within(Tolerance(0.2, 0.01, 6, 0.01)) and found.is_within(Tolerance(5, 0))
    assert not found.is_within(Tolerance(0.2, 9, 4, 9))
    assert not found.is_within(Tolerance(0.2, 0.01, 6, 0.01), "local")
    assert found.excess(Tolerance(0.2, 0, 1, 0)) == 5


def test_another_shape_is_an_error():
    kind = entries(None, True, case_of([[1, 0]]), (1, 2))
    with pytest.raises(ValueError, match=r"shape \[2, 1\], expected \[1, 2\]"):
        difference(np.zeros((2, 1)), np.zeros((1, 2)), kind)


def test_samples():
    array = np.arange(20).reshape(2, 10)
    assert sample(array, None) is array
    assert sample(array, Sampled(-1, 4)).tolist() == [[0, 4, 8], [10, 14, 18]]
    assert sample(array, Sampled(0, 2)).tolist() == [array[0].tolist()]


# ---- measuring -----------------------------------------------------------------------------


@given(st.floats(1e-30, 1e30))
def test_rounded_up_to_two_digits(number):
    found = rounded_up(number)
    assert number * (1 - 1e-8) <= found <= number * 1.1 * (1 + 1e-8)
    assert rounded_up(found) == found and float(f"{found:.1e}") == found


def test_rounding_up_exact_numbers():
    assert [rounded_up(n) for n in (0, 1.2e-6, 1.21e-6, 99.1, 0.1)] == [0, 1.2e-6, 1.3e-6, 100, 0.1]


@given(st.lists(st.floats(-(2.0**90), 2.0**127, width=32), min_size=1))
def test_rounded_to_bfloat16_is_the_nearest(values):
    array = np.array(values, np.float32)
    found = rounded(array, "bfloat16")
    assert found.dtype == np.float32 and not (found.view(np.uint32) & 0xFFFF).any()
    kept = np.isfinite(found)
    with np.errstate(over="ignore"):
        up = (found.view(np.uint32) + np.uint32(0x10000)).view(np.float32)
        gap = np.abs(up.astype(float) - found)
    assert (np.abs(found.astype(float) - array)[kept] <= gap[kept] / 2 + 1e-45).all()


def test_rounding_to_even_overflow_and_masked_places():
    halfway = np.array([1 + 2**-8, 1 + 3 * 2**-8], np.float32)
    assert rounded(halfway, "bfloat16").tolist() == [1, 1 + 2**-6]
    assert rounded(np.array([7e4, -7e4], np.float32), "float16").tolist() == [np.inf, -np.inf]
    lowest = np.array([np.finfo(np.float32).min], np.float32)
    assert rounded(lowest, "float16").tolist() == [-65504]
    assert np.isfinite(rounded(lowest, "bfloat16")).all()


def test_moving_every_quantity_a_little():
    model, inputs = small_model(), {"input_ids": np.array([[2, 3, 4]])}
    plain, *moved = (run_npbert(model, inputs, seed=seed).values() for seed in (None, 0, 0, 1))
    name = "embeddings.words"
    for run in moved:
        share = np.abs(run[name] / plain[name] - 1)
        assert 0 < share.max() <= 2.0**-22 and run[name].dtype == np.float32
    np.testing.assert_array_equal(moved[0][name], moved[1][name])
    assert (moved[0][name] != moved[2][name]).any()
    assert (moved[0]["inputs.mask_bias"] == 0).all()


def test_the_modules_around_a_step():
    found = neighbours(["a", "B", "c", "d", "E", "f"], {"B", "E"})
    assert found == {"a": ["B"], "B": [], "c": ["B", "E"], "d": ["B", "E"], "E": [], "f": ["E"]}


def test_inputs_are_exact_or_cannot_be_held():
    ids = np.array([[2049]])
    assert exact(ids, "float32", False) == Tolerance(0, 0)
    assert exact(ids, "float16", False) is None and exact(ids[:, :0], "bfloat16", True) is not None
    assert exact(np.array([[-1.8e308]]), "float16", True) == Tolerance(0, 0, 0, 0)


# ---- cases ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["Bert", "ConvBert", "MobileBert", "SqueezeBert"])
@pytest.mark.parametrize("positions", [1, 2, 3, 512])
def test_made_cases_fit_the_model(family, positions):
    options = dict(embedding_size=8) if family != "Bert" else {}
    for head in ("Model", "ForMultipleChoice"):
        if family == "SqueezeBert":
            options |= {f"{name}_groups": 2 for name in ("q", "k", "v", "intermediate", "output")}
        model = small_model(family, head, max_position_embeddings=positions, **options)
        cases = made_cases(model, possible_cases(model))
        for case in cases:
            given_cases({case.name: case.arrays}, model)  # raises where anything does not fit
            described = case.described()
            ids = case.arrays["input_ids"].reshape(described.real.shape)
            assert ((ids == model.config.pad_token_id) != described.real).all()
            assert all(array.dtype == np.int64 for array in case.arrays.values())
        assert ("full" in {case.name for case in made_cases(model)}) == (positions <= 64)
        assert ("same_text_alone" in possible_cases(model)) == (
            family == "ConvBert" and positions > 2
        )


def test_made_cases_are_the_same_every_time():
    one, other = made_cases(small_model()), made_cases(small_model())
    for a, b in zip(one, other, strict=True):
        for name, array in a.arrays.items():
            np.testing.assert_array_equal(array, b.arrays[name])


def test_cases_by_name():
    model = small_model()
    assert [c.name for c in made_cases(model, ["full", "single"])] == ["single", "full"]
    with pytest.raises(ValueError, match="cases: 'long' given, expected some of single, short"):
        made_cases(model, ["long", "single"])
    with pytest.raises(ValueError, match="cases: none given"):
        made_cases(model, [])


def test_reading_inputs_from_files(tmp_path):
    model = small_model()
    values = {"mine": {"input_ids": [[1, 2, 0]], "attention_mask": [[1, 1, 0]]}}
    (tmp_path / "in.json").write_text(json.dumps(values))
    arrays = {f"mine/{name}": np.array(a, np.int32) for name, a in values["mine"].items()}
    safetensors.write(tmp_path / "in.safetensors", arrays)
    for file in ("in.json", "in.safetensors"):
        (case,) = read_cases(tmp_path / file, model)
        assert case.described().lengths == (2,)
        for name, array in values["mine"].items():
            assert case.arrays[name].dtype == np.int64 and case.arrays[name].tolist() == array


WRONG_INPUTS = {
    "no ids": ({"attention_mask": [[1]]}, "'attention_mask' given, expected input_ids and"),
    "an unknown argument": ({"input_ids": [[1]], "labels": [[1]]}, "'labels' given, expected"),
    "an id too large": ({"input_ids": [[1, 9]]}, r"input_ids\[0, 1\] is 9, expected 0 to 8"),
    "floats": ({"input_ids": [[1.5]]}, "input_ids has dtype float64, expected whole numbers"),
    "one axis": ({"input_ids": [1]}, r"input_ids has shape \[1\], expected"),
    "ragged rows": ({"input_ids": [[1], [1, 2]]}, "rows of unlike lengths"),
    "a mask of twos": ({"input_ids": [[1]], "attention_mask": [[2]]}, r"attention_mask\[0, 0\] is"),
    "another shape": (
        {"input_ids": [[1]], "attention_mask": [[1, 1]]},
        r"shape \[1, 2\], expected",
    ),
    "too many tokens": ({"input_ids": [[1] * 8]}, "8 tokens are more than the model's 7 positions"),
    "nothing": ({"input_ids": []}, "input_ids has shape"),
}


@pytest.mark.parametrize("wrong", WRONG_INPUTS)
def test_inputs_that_do_not_fit(wrong):
    arguments, message = WRONG_INPUTS[wrong]
    with pytest.raises(ValueError, match=f"case mine: .*{message}"):
        given_cases({"mine": arguments}, small_model())


def test_files_of_inputs_that_are_damaged(tmp_path):
    model, path = small_model(), tmp_path / "in.json"
    for text, message in {
        "{": "not JSON",
        "[1]": 'expected {"case"',
        '{"a": 1}': "expected",
        '{"a b": {}}': "expected a name of letters",
        "{}": "cases: none",
    }.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=message) as error:
            read_cases(path, model)
        assert "in.json" in str(error.value)
    with pytest.raises(FileNotFoundError):
        read_cases(tmp_path / "none.json", model)
    safetensors.write(tmp_path / "in.safetensors", {"input_ids": np.ones((1, 1), np.int64)})
    with pytest.raises(ValueError, match="expected names like short/input_ids"):
        read_cases(tmp_path / "in.safetensors", model)


# ---- without the reference -----------------------------------------------------------------


def test_a_missing_library_is_one_line(monkeypatch, capsys, checkpoint, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["golden", "make", str(checkpoint), str(tmp_path / "kit")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("npbert: error: ") and 'pip install "npbert[reference]"' in line
    assert not (tmp_path / "kit").exists()


def test_a_directory_in_use_is_refused_before_any_work(checkpoint):
    with pytest.raises(ValueError, match="holds something else than a golden kit"):
        make_kit(checkpoint, checkpoint)
