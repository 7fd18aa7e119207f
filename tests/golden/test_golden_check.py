"""The check of a port by a golden kit: what it says of each tensor, whatever is in the file."""

import json

import numpy as np
import pytest
from bert_port import LAST, LAYER, PROBS, QUERY, SCORES, WIDE, forgotten_bias, kit, port

from npbert.checkpoints import safetensors
from npbert.golden.checking import check_kit


def rows_of(report, case="padded"):
    return {row.name: row for row in report.rows[case]}


def verdict(report, name, case="padded"):
    return rows_of(report, case)[name].verdict


# ---- what is right -----------------------------------------------------------------------------


def test_a_right_port():
    report = check_kit(kit(), port())
    assert report.passed and report.first is None and not report.findings
    count = len(kit().tensors)
    assert f"Right: all {count} tensors given are within their tolerances, in 2 cases." in (
        report.render()
    )
    assert {row.verdict for row in report.given} == {"right"}


def test_some_tensors_are_enough():
    report = check_kit(kit(), port(QUERY, LAST, case="padded"))
    assert report.passed and list(report.rows) == ["padded"]
    assert f"{len(kit().tensors) - 2} others were not given" in report.render()
    one = check_kit(kit(), port(QUERY, case="padded")).render()
    assert "Right: the tensor given is within its tolerance, in 1 case; " in one
    but_one = port()
    for case in ("padded", "plain"):
        del but_one[f"{case}/{QUERY}"]
    assert "; 1 other was not given" in check_kit(kit(), but_one).render()
    assert verdict(report, WIDE) == "not given"
    assert "not given" in report.render(whole=True) and "not given\n" not in report.render()


def test_aliases_are_names():
    given = {"padded/encoder.layer.0": port()[f"padded/{LAST}"]}
    report = check_kit(kit(), given)
    assert report.passed and verdict(report, LAST) == "right"
    assert rows_of(report)[LAST].written == "padded/encoder.layer.0"


def test_a_name_goes_before_its_aliases():
    right = port()[f"padded/{LAST}"]
    for given in (
        {"padded/encoder.layer.0": right + 1, f"padded/{LAST}": right},
        {f"padded/{LAST}": right, "padded/encoder.layer.0": right + 1},
    ):
        assert check_kit(kit(), given).passed


@pytest.mark.parametrize("stands_for_masked", [-1e4, -1e9, -np.inf])
def test_masked_scores_may_be_any_low_number(stands_for_masked):
    given = port()
    for name in (SCORES, "inputs.mask_bias"):
        array = given[f"padded/{name}"]
        array[array < -1e30] = stands_for_masked
    assert check_kit(kit(), given).passed


def test_float64_is_judged_as_float32():
    given = {name: array.astype(np.float64) for name, array in port().items()}
    report = check_kit(kit(), given)
    assert report.passed and rows_of(report)[QUERY].dtype == "float32"


# ---- half precision ----------------------------------------------------------------------------


def write_bfloat16(path, tensors):
    """Write the upper halves of float32 numbers: npbert reads this format, but writes none."""
    entries, data = {}, b""
    for name, array in tensors.items():
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        upper = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
        shape, begin = list(array.shape), len(data)
        data += upper
        entries[name] = dict(dtype="BF16", shape=shape, data_offsets=[begin, len(data)])
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def halves():
    return {name: array for name, array in port(QUERY, WIDE, LAST).items()}


def test_float16_has_its_own_tolerances():
    halved = {name: array.astype(np.float16) for name, array in halves().items()}
    report = check_kit(kit(), halved)
    assert report.passed and rows_of(report)[QUERY].dtype == "float16"
    widened = {name: array.astype(np.float32) for name, array in halved.items()}
    assert check_kit(kit(), widened).precision == "float16"  # by its numbers
    moved = {name: array * np.float32(1 + 3e-7) for name, array in widened.items()}
    assert not check_kit(kit(), moved).passed


def test_bfloat16_has_its_own_tolerances(tmp_path):
    write_bfloat16(tmp_path / "mine.safetensors", halves())
    report = check_kit(kit(), tmp_path / "mine.safetensors")
    assert report.passed and rows_of(report)[QUERY].dtype == "bfloat16"
    widened = safetensors.read(tmp_path / "mine.safetensors")
    assert check_kit(kit(), widened).precision == "bfloat16"  # by its numbers
    moved = {name: array * np.float32(1 + 3e-7) for name, array in widened.items()}
    assert not check_kit(kit(), moved).passed


def test_what_a_dtype_cannot_hold_is_not_judged(monkeypatch):
    monkeypatch.setitem(kit().tensor(WIDE).cases["padded"].tolerance, "float16", None)
    given = port(WIDE, LAST, case="padded")
    given[f"padded/{WIDE}"] = np.full_like(given[f"padded/{WIDE}"], np.inf).astype(np.float16)
    report = check_kit(kit(), given)
    assert report.passed and verdict(report, WIDE) == "unjudgeable"
    assert "do not fit into float16" in report.render()
    del given[f"padded/{LAST}"]
    report = check_kit(kit(), given)
    assert not report.passed and "Nothing could be judged" in report.render()


# ---- what is wrong -----------------------------------------------------------------------------


def test_a_mistake_is_blamed_where_it_is_made():
    # scores do not mind a bias of the keys, but the keys themselves do: nothing else is wrong
    report = check_kit(kit(), forgotten_bias())
    key = f"{LAYER}.attention.self.key"
    assert not report.passed and report.first.name == key
    assert [blame.row.name for blame in report.blames] == [key]
    assert report.blames[0].given == {"embeddings.LayerNorm": True}
    assert report.blames[0].cases == ["plain", "padded"]
    text = report.render()
    assert f"First wrong: {key} [1, 5, 16] in case plain: largest error " in text
    assert "Its input was right: embeddings.LayerNorm." in text
    assert "Computed in npbert/ops.py:" in text and f"Equation: equation of {key}" in text
    assert "None of the classic mistakes that npbert knows gives these values." in text
    assert verdict(report, f"{LAYER}.attention.self.attend.scores") == "inherited"


def without_pooler(given):
    """Return what is given without a view of the last layer's output, and what follows."""
    return {name: array for name, array in given.items() if "pooler" not in name}


def test_two_mistakes_are_both_found_in_one_run():
    given = without_pooler(forgotten_bias())
    given[f"padded/{LAST}"][..., 3] += 0.1
    report = check_kit(kit(), given)
    blamed = [blame.row.name for blame in report.blames]
    assert blamed == [f"{LAYER}.attention.self.key", LAST]
    assert report.blames[1].cases == ["padded"]
    assert f"also wrong by itself:\n  {LAST}: error 1.0e-01" in report.render()


def test_nothing_hides_behind_what_was_not_given():
    given = {n: a for n, a in forgotten_bias().items() if n.endswith(("context", "wide"))}
    assert check_kit(kit(), given).passed  # see above: the scores do not mind
    given[f"padded/{WIDE}"] = given[f"padded/{WIDE}"] * 1.1
    report = check_kit(kit(), given)
    (blame,) = report.blames
    assert blame.row.name == WIDE and f"{LAYER}.intermediate.dense" in blame.between


def test_tables_are_folded_around_what_matters():
    report = check_kit(kit(), forgotten_bias())
    short, long = report.render(), report.render(whole=True)
    assert "... " in short and " right" in short and "... " not in long
    assert len(short.split("\n")) < len(long.split("\n"))
    table = [line for line in long.split("\n") if line.startswith("  ")]
    heads = [line for line in table if line.startswith("  tensor")]
    assert len(heads) == 2 and all(name in long for name in (WIDE, QUERY, LAST))
    rows = long.split("\n")
    start = rows.index(heads[0])
    places = {row.index(word) for row in rows[start + 1 : start + 20] for word in ["right"] if
              row.rstrip().endswith(word)}  # fmt: skip
    assert len(places) == 1  # the columns are aligned


def test_misspelt_names():
    given = port(LAST)
    given["padded/encoder.layer.0.atention.self.query"] = np.zeros(3)
    given["paded/embeddings.words"] = np.zeros(3)
    report = check_kit(kit(), given)
    assert report.passed
    assert report.unknown == {
        "padded/encoder.layer.0.atention.self.query": f"the nearest name is padded/{QUERY}",
        "paded/embeddings.words": "the nearest name is padded/embeddings.words",
    }
    assert f"atention.self.query: the nearest name is padded/{QUERY}" in report.render()


def test_another_shape():
    given = port()
    given[f"padded/{WIDE}"] = given[f"padded/{WIDE}"][:, 1:]
    report = check_kit(kit(), given)
    assert not report.passed and verdict(report, WIDE) == "misshapen"
    assert "has shape [2, 6, 24], expected [2, 7, 24]" in report.render()
    assert verdict(report, LAST) == "right" and not report.blames


def test_a_transposed_tensor():
    given = port()
    given[f"padded/{WIDE}"] = given[f"padded/{WIDE}"].swapaxes(1, 2).copy()
    report = check_kit(kit(), given)
    assert verdict(report, WIDE) == "transposed" and not report.passed
    assert "is transposed: right with its axes in the order [0, 2, 1]" in report.render()
    assert verdict(report, LAST) == "right" and not report.blames


def test_a_transposed_tensor_of_the_same_shape():
    given = port()
    given[f"padded/{PROBS}"] = given[f"padded/{PROBS}"].swapaxes(2, 3).copy()
    report = check_kit(kit(), given)
    assert verdict(report, PROBS) == "transposed" and not report.passed
    assert "axes in the order [0, 1, 3, 2]" in report.render()
    assert not report.blames  # what was made of it is right: only the file is in disorder


def test_a_tensor_with_merged_axes():
    given = port()
    given[f"padded/{WIDE}"] = given[f"padded/{WIDE}"].reshape(14, 24)
    report = check_kit(kit(), given)
    assert verdict(report, WIDE) == "misshapen"
    assert "right when reshaped to [2, 7, 24]" in report.render() and not report.blames


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_no_numbers(value, word):
    given = port()
    given[f"padded/{WIDE}"][0, 1, 2:4] = value
    report = check_kit(kit(), given)
    assert verdict(report, WIDE) == "misdumped" and report.first.name == WIDE  # the rest is right
    assert f"2 of its 336 numbers are {word}" in report.render()
    after = {key: array for key, array in given.items() if f"{LAYER}.output" not in key}
    report = check_kit(kit(), {key: a for key, a in after.items() if "pool" not in key})
    assert verdict(report, WIDE) == "WRONG" and report.first.name == WIDE
    assert f"2 of its 336 numbers are {word}" in report.render()
    given[f"padded/{WIDE}"] = port()[f"padded/{WIDE}"]
    given[f"padded/{WIDE}"][0, 1, 2] = value
    assert f"1 of its 336 numbers is {word}" in check_kit(kit(), given).render()


def test_scores_that_are_not_masked():
    given = port()
    scores = given[f"padded/{SCORES}"]
    scores[scores < -1e30] = 0.5
    report = check_kit(kit(), given)
    assert report.first.name == SCORES
    assert "not masked: 56 masked scores are above -1e4" in report.render()


def test_a_view_that_is_wrong_is_blamed_itself():
    name, scores = f"{LAYER}.attention.self.queries", f"{LAYER}.attention.self.attend.scores"
    given = port(QUERY, name, scores, case="padded")
    given[f"padded/{name}"] += 1
    given[f"padded/{scores}"] += 1  # were it right, the view would only be misdumped
    report = check_kit(kit(), given)
    assert [blame.row.name for blame in report.blames] == [name]
    row = rows_of(report)[scores]
    assert row.local_right is None and row.unjudged == name


def test_other_inputs_than_the_kits():
    given = port()
    given["padded/inputs.input_ids"][0, 0] += 1
    report = check_kit(kit(), given)
    assert report.first.name == "inputs.input_ids" and not report.passed


def test_a_small_mistake_that_the_kit_would_let_pass():
    given = without_pooler(port())
    tolerance = kit().tensor(LAST).cases["padded"].tolerance["float32"]
    assert tolerance.local < tolerance.expected
    given[f"padded/{LAST}"][0, 0, 0] += (tolerance.local + tolerance.expected) / 2
    report = check_kit(kit(), given)
    assert [blame.row.name for blame in report.blames] == [LAST] and not report.passed
    assert "is not what your own values before it give" in report.render()


def test_errors_that_build_up(monkeypatch):
    part = kit().tensor(LAST).cases["padded"].tolerance
    strict = type(part["float32"])(1e-12, 1.0, 1e-12, 1.0)
    monkeypatch.setitem(part, "float32", strict)
    report = check_kit(kit(), port())
    assert verdict(report, LAST) == "inherited" and not report.blames and not report.passed
    assert "No step by itself is wrong: errors have built up to here." in report.render()


def test_whole_numbers_are_no_values():
    given = port(LAST)
    given[f"padded/{WIDE}"] = np.zeros((2, 7, 24), np.int64)
    report = check_kit(kit(), given)
    assert verdict(report, WIDE) == "unusable"
    assert "is int64, expected floating-point numbers" in report.render()
