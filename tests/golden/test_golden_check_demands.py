"""What a check can demand, which files it reads, and which layouts it recognises."""

import json
from pathlib import Path

import numpy as np
import pytest
from bert_port import LAST, LAYER, QUERY, WIDE, forgotten_bias, kit, port

from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.golden import Kit, check_kit

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"
RIGHT = SHIPPED / "bert-token-classification" / "expected_float32.safetensors"


def command(*arguments):
    return main(["golden", "check", str(RIGHT.parent), *map(str, arguments)])


# ---- what must be given ------------------------------------------------------------------------


def test_strict_wants_everything_and_nothing_else():
    assert check_kit(kit(), port(), strict=True).passed
    less = port()
    del less[f"plain/{QUERY}"]
    report = check_kit(kit(), less, strict=True)
    assert not report.passed and report.missing == {"plain": [QUERY]}
    assert f"Not given, but required: case plain: {QUERY}" in report.render()
    assert check_kit(kit(), less, "padded", strict=True).passed
    assert check_kit(kit(), less).passed
    more = port() | {"plain/mine": np.zeros(3)}
    assert not check_kit(kit(), more, strict=True).passed and check_kit(kit(), more).passed
    whole_case = check_kit(kit(), port(case="plain"), strict=True)
    assert [*whole_case.missing] == ["padded"] and not whole_case.passed


def test_patterns_of_what_must_be_given():
    given = port(LAST, WIDE)
    assert check_kit(kit(), given, require=["*.wide", "encoder.layer.0"]).passed  # an alias
    del given[f"plain/{WIDE}"]
    assert check_kit(kit(), given, require=[f"padded/{WIDE}", LAST]).passed
    report = check_kit(kit(), given, require=["*.wide"])
    assert not report.passed and report.missing == {"plain": [WIDE]}
    assert report.as_dict()["required_but_not_given"] == {"plain": [WIDE]}
    with pytest.raises(ValueError, match=r"no tensor of the kit in-memory has a name like '\*\.b'"):
        check_kit(kit(), given, require=["*.wide", "*.b"])


def test_statuses_of_the_command(tmp_path, capsys):
    assert command(RIGHT, "--strict") == 0
    arrays = dict(safetensors.read(RIGHT))
    del arrays["padded_end/classifier"]
    safetensors.write(tmp_path / "mine.safetensors", arrays)
    assert command(tmp_path / "mine.safetensors") == 0
    assert command(tmp_path / "mine.safetensors", "--strict") == 1
    assert command(tmp_path / "mine.safetensors", "--require", "*LayerNorm") == 0
    assert command(tmp_path / "mine.safetensors", "--require", "classifier") == 1
    assert command(tmp_path / "mine.safetensors", "--require", "nothing") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_was_not_given_is_listed_on_demand(tmp_path, capsys):
    safetensors.write(tmp_path / "mine.safetensors", {"classifier": safetensors.read(RIGHT)[
        "padded_end/classifier"]})  # fmt: skip
    assert command(tmp_path / "mine.safetensors") == 0
    assert "bert.embeddings.words" not in capsys.readouterr().out
    assert command(tmp_path / "mine.safetensors", "--missing") == 0
    shown = capsys.readouterr().out
    assert "Not given in case padded_end:\n  inputs.input_ids\n" in shown
    assert "  bert.embeddings.words\n" in shown and "  classifier\n" not in shown
    assert command(tmp_path / "mine.safetensors", "--missing", "--json") == 0
    found = json.loads(capsys.readouterr().out)["not_given"]
    assert "classifier" not in found["padded_end"] and len(found["padded_end"]) > 30


NOT_IN_BERT_TINY = {
    "bert.encoder.layer.2.attention.self.query":
        "this kit does not hold attention.self.query of layer 2 (it holds 0 and 3)",
    "bert.encoder.layer.9.output.LayerNorm":
        "this kit does not hold layer 9 (it holds 0, 1, 2 and 3)",
    "bert.encoder.layer.0.attention.self.querry":
        "the nearest name is padded_text/bert.encoder.layer.0.attention.self.query",
    "nothing like it": "",
}  # fmt: skip


def test_layers_that_a_kit_does_not_hold():
    tiny = Kit.read(SHIPPED / "bert-tiny")
    unknown = {f"padded_text/{name}": np.zeros(3) for name in NOT_IN_BERT_TINY}
    report = check_kit(tiny, {"logits": np.zeros(3), "bert.pooler": np.zeros((1, 256))} | unknown)
    for name, remark in NOT_IN_BERT_TINY.items():
        line = f"Not in the kit: padded_text/{name}{': ' if remark else ''}{remark}"
        assert report.unknown[f"padded_text/{name}"] == remark
        assert line in report.render()


# ---- files -------------------------------------------------------------------------------------


def test_npz_archives_and_folders_of_npy_files(tmp_path, capsys):
    arrays = dict(safetensors.read(RIGHT))
    np.savez(tmp_path / "mine.npz", **arrays)
    assert command(tmp_path / "mine.npz", "--strict") == 0
    for name, array in arrays.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "mine" / f"{name}.npy", array)
    assert command(tmp_path / "mine", "--strict") == 0
    half = arrays["padded_end/classifier"].astype(np.float16)
    np.save(tmp_path / "mine" / "padded_end" / "classifier.npy", half)
    assert command(tmp_path / "mine") == 0
    assert "1 array is float16, and judged as such." in capsys.readouterr().out
    np.save(tmp_path / "mine" / "padded_end" / "classifier.npy", half + 1)
    assert command(tmp_path / "mine") == 1


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"])
def test_files_of_numpy_that_are_damaged(tmp_path, content, capsys):
    (tmp_path / "folder").mkdir()
    assert command(tmp_path / "folder") == 2
    (tmp_path / "folder" / "classifier.npy").write_bytes(content)
    (tmp_path / "mine.npz").write_bytes(content)
    assert command(tmp_path / "folder") == 2 and command(tmp_path / "mine.npz") == 2
    empty, file, archive = capsys.readouterr().err.splitlines()
    assert "no .npy files in it, expected CASE/NAME.npy" in empty
    assert "classifier.npy: " in file and "mine.npz: " in archive


# ---- layouts -----------------------------------------------------------------------------------


def verdict_on(array, name=WIDE, case="plain"):
    given = port()
    given[f"{case}/{name}"] = array
    report = check_kit(kit(), given)
    assert not report.blames  # the values are right, and what was made of them is, too
    (row,) = [row for row in report.rows[case] if row.name == name]
    assert row.problem in report.render() and not report.passed
    return row.verdict, row.problem


def test_a_batch_axis_too_few_or_too_many():
    wide = port()[f"plain/{WIDE}"]
    assert wide.shape == (1, 5, 24)
    assert verdict_on(wide[0]) == (
        "misshapen", "has shape [5, 24], without the axis of the batch: right with it",
    )  # fmt: skip
    assert verdict_on(wide[0].T.copy())[1].endswith(
        "right with it, and its other axes in the order [1, 0]"
    )
    assert verdict_on(wide[None]) == (
        "misshapen", "has shape [1, 1, 5, 24], with an axis of length 1 too many: right without it",
    )  # fmt: skip
    assert verdict_on(wide[:, :, None])[1].startswith("has shape [1, 5, 1, 24], with an axis of")
    assert verdict_on(wide.ravel())[1] == "has shape [120]: right when reshaped to [1, 5, 24]"


def test_one_row_of_a_batch():
    wide = port()[f"padded/{WIDE}"]
    for row in (wide[1], wide[1:]):
        shape = list(row.shape)
        assert verdict_on(row, case="padded") == (
            "misshapen", f"has shape {shape}, expected [2, 7, 24]: these are the values of row 1 "
            "alone, of 2",
        )  # fmt: skip
    assert "row" not in verdict_on(wide[1] + 1, case="padded")[1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_numbers_in_a_wide_array(dtype):
    wide = port(case="plain")[f"plain/{WIDE}"]
    if dtype == "float16":
        narrow = wide.astype(np.float16).astype(np.float32)
    else:
        narrow = (wide.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    other = {f"plain/{QUERY}": port(case="plain")[f"plain/{QUERY}"]}  # which is no narrow one
    report = check_kit(kit(), {f"plain/{WIDE}": narrow, **other})
    assert not report.passed
    assert f"right at the precision of {dtype}, which these numbers have" in report.render()
    report = check_kit(kit(), {f"plain/{WIDE}": narrow * 2, **other})
    assert "at the precision of" not in report.render()


# ---- annotations -------------------------------------------------------------------------------


def test_annotations_for_a_workflow(tmp_path, capsys):
    report = check_kit(kit(), forgotten_bias(), strict=True)
    first, *others = report.annotations()
    assert first.startswith(f"::error title=golden check::First wrong: {LAYER}.attention.self.key")
    assert all(line.startswith("::error title=golden check::") for line in others)
    (notice,) = check_kit(kit(), port()).annotations()
    assert notice.startswith("::notice title=golden check::Right: all ")
    given = port(LAST) | {"plain/50%\nof it": np.zeros(3)}
    missing = check_kit(kit(), given, strict=True).annotations()
    assert len(missing) == 3 and all("\n" not in line for line in missing)
    assert missing[2] == "::error title=golden check::Not in the kit: plain/50%25%0Aof it"
    assert command(RIGHT, "--github") == 0
    text, _, last = capsys.readouterr().out.rstrip().rpartition("\n")
    assert text.startswith("case padded_end") and last.startswith("::notice ")
