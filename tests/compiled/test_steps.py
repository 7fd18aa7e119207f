"""npbert/compiled: functions of vectors over all of float32, and steps that run at once."""

import ctypes.util
import math

import numpy as np
import pytest
from small_models import OF_FAMILY, small_model

from npbert.activations import normal_cdf

numba = pytest.importorskip("numba", reason="the twins need numba")

# ruff: noqa: E402
from npbert.compiled import bert, convbert, mobilebert, prepared, program, squeezebert, table
from npbert.compiled.curves import exponential
from npbert.compiled.texts import ALL, Keep
from npbert.compiled.vectors import LANES, load, store

STEP = 1009  # every so many of all float32 numbers


@numba.njit
def exponentials(numbers, out, count):
    for n in range(0, count, LANES):
        store(out + 4 * n, exponential(load(numbers + 4 * n)))


def floats_between(low, high):
    """Return float32 numbers from one positive number to another, as many as fill vectors."""
    bits = np.arange(np.float32(low).view(np.uint32), np.float32(high).view(np.uint32), STEP)
    return bits[: len(bits) // LANES * LANES].astype(np.uint32).view(np.float32)


def e_to(x):
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty_like(x)
    exponentials(program.address(x), program.address(out), x.size)
    return out


def test_e_to_the_x_is_off_by_less_than_a_unit_in_the_last_place():
    x = -floats_between(1e-40, 87.3365)
    expected = np.exp(x.astype(np.float64))
    error = np.abs(e_to(x) - expected) / np.spacing(expected.astype(np.float32))
    assert error.max() < 0.9
    assert (np.diff(e_to(-floats_between(1e-3, 90))) <= 2**-24).all()


def test_e_to_the_x_where_numbers_end():
    x = np.full(LANES, -87.34, np.float32)
    x[:7] = 0, -0.0, np.nan, -np.inf, np.finfo(np.float32).min, -104, -1e-45
    np.testing.assert_array_equal(e_to(x), [1, 1, np.nan, 0, 0, 0, 1] + [0] * (LANES - 7))


# From where to where, and by how much the largest error may be above that of erfcf.
RANGES = [(-13, -5, 1), (-5, -2, 1), (-2, -1, 1), (-1, -0.5, 1), (-0.5, -1e-30, 1), (1e-30, 0.5, 1),
          (0.5, 1, 1), (1, 2, 1.15), (2, 13, 1.02)]  # fmt: skip


def test_gelu_is_as_close_as_the_c_library_makes_it():
    name = ctypes.util.find_library("m")
    if name is None:
        pytest.skip("no C library with erfcf is found")
    erfcf = ctypes.CDLL(name).erfcf
    erfcf.argtypes, erfcf.restype = [ctypes.c_float], ctypes.c_float
    half, root = np.float32(0.5), np.float32(math.sqrt(0.5))
    for low, high, more in RANGES:
        x = np.sign(low) * floats_between(*sorted((abs(low), abs(high))))
        x = np.ascontiguousarray(x, np.float32)
        exact = x.astype(np.float64) * normal_cdf(x.astype(np.float64))
        unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
        ours = np.abs(prepared.gelu(x) - exact) / unit
        some = np.arange(0, len(x), max(1, len(x) // 20_000))
        theirs = np.float32([erfcf(v) for v in (-x[some] * root).tolist()]) * half * x[some]
        allowed = more * (np.abs(theirs - exact[some]) / unit[some]).max()
        assert ours.max() < 6
        assert ours[some].max() <= allowed, (low, high)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 33])
def test_gelu_of_so_many_numbers(size):
    x = np.linspace(-3, 3, 64, dtype=np.float32)
    np.testing.assert_array_equal(prepared.gelu(x[:size].copy()), prepared.gelu(x)[:size])


# ---- steps that run at the same time ----------------------------------------------------------

WRITERS = {
    "Bert": bert._write_layers,
    "ConvBert": convbert._write_layers,
    "MobileBert": mobilebert._write_layers,
    "SqueezeBert": squeezebert._write_layers,
}
OPTIONS = {
    "ConvBert": [dict(num_groups=1), dict(num_groups=3), dict(head_ratio=1)],
    "MobileBert": [
        dict(normalization_type=kind, **option)
        for kind in ("no_norm", "layer_norm")
        for option in [
            {},
            dict(use_bottleneck=False),
            dict(use_bottleneck_attention=True),
            dict(key_query_shared_bottleneck=False, intra_bottleneck_size=12),
            dict(num_feedforward_networks=3),
        ]
    ],
}
CASES = [(family, options) for family in WRITERS for options in OPTIONS.get(family, [{}])]
BY_TOKEN = (table.NORM,)  # steps that have read all of a token before they write any of it


def program_of(family, keep=ALL, **options):
    options = dict(hidden_act="relu", num_hidden_layers=2) | options
    model = small_model(family, dtype=np.float32, **options)
    width = model.config.hidden_size
    return prepared.written(WRITERS[family], width, model.params, model.config, keep)


def touched(row, which, count):
    """Return the (buffer, channel) pairs of the SOURCE, the TARGET or the OTHER of a step."""
    return {(row[which], row[which + 2] + channel) for channel in range(count)}


def channels_of(row):
    """Return what a step reads and what it writes, as (buffer, channel) pairs."""
    kind, rows, groups = row[table.KIND], row[table.ROWS], row[table.GROUPS]
    read, written = rows, rows
    if kind == table.PRODUCT:
        read, written = row[table.TERMS] * groups, rows * groups
    elif kind == table.ATTENTION:
        read = 3 * rows
    reads = touched(row, table.SOURCE, read)
    writes = touched(row, table.TARGET, written)
    if kind == table.DYNAMIC:
        reads |= touched(row, table.OTHER, row[table.HEADS] * row[table.TERMS])
    elif kind == table.ATTENTION and row[table.COMBINE] != table.NOTHING:
        writes |= {(row[table.OTHER], 0)}
    elif row[table.COMBINE] != table.NOTHING:
        reads |= touched(row, table.OTHER, written)
    return reads, writes


def conflicts(rows):
    """Yield pairs of steps between two waits of which one writes what the other reads or writes."""
    group = []
    for row in rows:
        reads, writes = channels_of(row)
        for earlier_reads, earlier_writes in group:
            if earlier_writes & (reads | writes) or writes & earlier_reads:
                yield row
        group = [] if row[table.WAIT] else [*group, (reads, writes)]


@pytest.mark.parametrize("keep", [Keep(), ALL])
@pytest.mark.parametrize(("family", "options"), CASES)
def test_no_step_touches_what_another_writes_at_the_same_time(family, options, keep):
    made = program_of(family, keep, **options)
    assert made is not None and not [*conflicts(made.rows)]
    assert made.rows[-1][table.WAIT]
    for row in made.rows:  # a product reads all channels of a token while others write some of them
        reads = touched(row, table.SOURCE, row[table.TERMS] * row[table.GROUPS])
        if row[table.KIND] not in BY_TOKEN:
            assert not reads & channels_of(row)[1]
        for which in (table.SOURCE, table.TARGET):  # no step leaves its buffers
            width = row[which + 1] or made.width
            assert all(channel < width for buffer, channel in channels_of(row)[which > table.SOURCE]
                       if buffer == row[which])  # fmt: skip


@pytest.mark.parametrize(("family", "options"), CASES)
def test_the_check_for_conflicts_sees_a_wait_that_is_missing(family, options):
    """All waits within a layer are needed, but where the next step has nothing to do with it."""
    rows = program_of(family, **options).rows
    needed = 0
    for row in rows[:-1]:
        if row[table.WAIT]:
            row[table.WAIT] = 0
            needed += any(True for _ in conflicts(rows))
            row[table.WAIT] = 1
    waits = sum(row[table.WAIT] for row in rows[:-1])
    assert needed > 0.7 * waits


def test_families_are_all_there():
    assert WRITERS.keys() == OF_FAMILY.keys()
