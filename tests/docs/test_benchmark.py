"""The benchmark of forward passes runs; what it says of costs and of agreement is true."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import benchmark_forward
import numpy as np
import pytest
from helpers import benchmark_contestants
from helpers.benchmark_costs import Measured, cost_of_pass
from helpers.benchmark_tables import print_passes, print_texts

import npbert

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
TINY = ROOT / "weights" / "bert-tiny"
SIZES = dict(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
             intermediate_size=36, max_position_embeddings=16)  # fmt: skip
CONFIGS = [
    ("Bert", {}),
    ("ConvBert", dict(embedding_size=20, conv_kernel_size=3, num_groups=2)),
    ("MobileBert", dict(embedding_size=10, intra_bottleneck_size=12)),
    ("SqueezeBert", dict(embedding_size=24, q_groups=2, output_groups=3)),
]


def run_benchmark(*arguments):
    """Return what the benchmark prints, with a variable set that it is to remove."""
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "benchmark_forward.py", *arguments, "--rounds", "1"],
        env=os.environ | {"OPENBLAS_CORETYPE": "Haswell", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def cells_of(printed):
    """Return the table of a benchmark: {label of a column: the cell of its only row}."""
    heading, _, row = [line for line in printed.splitlines() if line.startswith("|")]
    return dict(zip(*[[cell.strip() for cell in line.split("|")] for line in (heading, row)]))


def test_it_prints_a_row_for_each_pass():
    ran = run_benchmark(
        "--models", TINY, "--sizes", "1x16", "--contestants", "npbert-numpy", "--markdown"
    )
    assert ran.returncode == 0, ran.stderr
    assert "(OPENBLAS_CORETYPE=Haswell removed)" in ran.stdout
    assert re.search(r"sgemm [1-9]\d* GFLOP/s, memory [1-9]\d* GB/s", ran.stdout)
    assert "| bert-tiny | 1 x 16 |" in ran.stdout
    cells = cells_of(ran.stdout)
    assert float(cells["npbert, NumPy"]) > 0 and cells["of sgemm"].endswith("%")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "16"], "invalid size value: '16'"),
        (["--sizes", "0x16"], "invalid size value: '0x16'"),
        (["--rounds", "0"], "invalid count value: '0'"),
        (["--models", "nowhere"], "no directory nowhere"),
    ],
)
def test_what_cannot_be_measured(arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark_forward.main(arguments)
    assert message in capsys.readouterr().err


def test_a_contestant_that_fails_says_why(monkeypatch):
    for name in benchmark_forward.MISLEADING:  # which `main` would remove for good
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit, match=r"error: .*129 tokens are more than .* 128"):
        benchmark_forward.main(
            ["--models", str(TINY), "--sizes", "1x129", "--contestants", "npbert-numpy"]
        )


def test_who_computes_something_else_is_found():
    wanted = np.array([1.0, -4.0])
    benchmark_forward.check_agreement({"a": wanted, "b": wanted * (1 + 0.9e-4)})
    for wrong in (wanted * (1 + 1.1e-4), wanted * np.nan):
        with pytest.raises(SystemExit, match=r"b differs from a by"):
            benchmark_forward.check_agreement({"a": wanted, "b": wrong})


def test_a_turn_warms_up_and_works_until_its_time_is_over():
    given = []
    times = benchmark_contestants.take_turn(given.append, "warm", "given", 1e-4)
    assert given == ["warm"] + ["given"] * len(times)
    assert sum(times) >= 1e-4 > sum(times[:-1])


def test_the_texts_have_thirty_word_pieces_on_average():
    lengths = [len(ids) for ids in benchmark_forward.draw_texts(50)]
    assert len(lengths) == 1500 and 4 <= min(lengths) and max(lengths) <= 128
    assert round(sum(lengths) / len(lengths)) == 30


def test_ratios_say_how_many_times_as_long_as_npbert_a_peer_takes():
    seconds = {"npbert-numba": 2.0, "npbert-numpy": 5.0, "torch": 3.0}
    measured = Measured("bert", "1 x 16", 12, 7, seconds)
    assert measured.ratio("torch") == 1.5 and measured.rate("torch") == 4
    assert math.isnan(measured.ratio("onnxruntime"))


def test_the_table_leaves_out_what_did_not_take_part(capsys):
    def printed(seconds):
        print_passes([Measured("bert", "1 x 16", 4 * 10**9, 7, seconds)], (8e9, 1e9), False)
        return capsys.readouterr().out.splitlines()[-2:]

    heading, row = printed({"npbert-numpy": 2.0, "torch": 3.0})
    assert heading.split("  ")[-1] == "of sgemm" and "ORT" not in heading
    assert row.split()[4:] == ["2000.0", "3000.0", "4.0", "1.50", "2", "25%"]
    heading, row = printed({"torch": 3.0})
    assert "npbert" not in heading and row.split()[4:] == ["3000.0", "4.0"]


def test_tokens_a_second_are_compared_with_torch(capsys):
    print_texts({"Bert": {"npbert-numba": 3000.0, "torch": 2000.0}}, True)
    assert "| Bert |         3,000 | 2,000 |           1.50 |" in capsys.readouterr().out


def test_the_bytes_of_a_linear_map_are_its_weight_and_what_enters_and_leaves():
    config = npbert.BertConfig(**SIZES)
    D, I, B, T = 24, 36, 3, 5
    maps = 4 * [(D, D)] + [(I, D), (D, I)]
    of_layer = sum(O * I + B * T * (O + I) for O, I in maps)
    of_pooler = D * D + B * (D + D)
    _, moved = cost_of_pass(npbert.BertModel, config, B, T)
    assert moved == 4 * (2 * of_layer + of_pooler)


def test_groups_spare_weights_but_no_channels():
    B, T = 3, 5
    one, many = (
        cost_of_pass(
            npbert.SqueezeBertModel,
            npbert.SqueezeBertConfig(**SIZES, embedding_size=24, **groups),
            B,
            T,
        )[1]
        for groups in (dict(intermediate_groups=1), dict(intermediate_groups=3))
    )
    assert one - many == 4 * 2 * (24 * 36 - 24 * 36 // 3)


@pytest.mark.reference
@pytest.mark.parametrize(("family", "options"), CONFIGS)
def test_operations_are_those_that_torch_counts(family, options):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.utils.flop_counter import FlopCounterMode

    B, T = 3, 7
    reference = getattr(transformers, f"{family}Config")(**SIZES, **options)
    reference._attn_implementation = "eager"
    model = getattr(transformers, f"{family}Model")(reference).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.ones((B, T), dtype=torch.int64))
    config = getattr(npbert, f"{family}Config")(**SIZES, **options)
    operations, _ = cost_of_pass(getattr(npbert, f"{family}Model"), config, B, T)
    assert operations == counter.get_total_flops()


@pytest.mark.reference
@pytest.mark.parametrize("name", ["bert-tiny", "squeezebert-tiny"])
def test_torch_pools_padded_texts_as_npbert_pools_them_without(name, tmp_path):
    """Of families that padding does not disturb."""
    pytest.importorskip("transformers")
    directory = ROOT / "weights" / name
    rows = benchmark_forward.draw_texts(1000)[:70]
    ours = benchmark_contestants.Npbert("numpy", directory, tmp_path).pool_texts(rows)
    theirs = benchmark_contestants.Torch(directory, tmp_path).pool_texts(rows)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.reference
def test_all_contestants_agree():
    for name in ("numba", "transformers", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason="extra `benchmark`")
    ran = run_benchmark("--models", TINY, "--sizes", "2x5", "--markdown")
    assert ran.returncode == 0, ran.stderr
    cells = cells_of(ran.stdout)
    assert float(cells["torch / npbert"]) > 0 and float(cells["ORT / npbert"]) > 0


def test_the_same_values_draw_the_same_figure(tmp_path):
    pytest.importorskip("matplotlib", reason="extra `benchmark`")
    from helpers.benchmark_figure import draw_roofline

    seconds = {"npbert-numba": 2.0, "npbert-numpy": 5.0, "torch": 3.0, "onnxruntime": 4.0}
    measured = [
        Measured(model, f"1 x {T}", T * 10**10, 10**8 + T * 10**6, seconds)
        for model in ("bert-base", "squeezebert", "mobilebert")
        for T in (16, 128)
    ]
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        draw_roofline(measured, (5e11, 6e10), file)
    drawn = files[0].read_text("utf-8")
    assert drawn == files[1].read_text("utf-8")
    for text in ("bert-base", "1 x 128", "ONNX Runtime", "sgemm 500 GFLOP/s"):
        assert text in drawn
