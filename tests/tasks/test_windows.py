"""Windows over long texts, held against what they are for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbert.tasks.windows import covering_windows, margin, windows

ROOMS = st.integers(1, 9)


@given(st.integers(0, 40), ROOMS, st.data())
def test_neighbours_share_the_stride_and_nothing_is_left_out(count, room, data):
    stride = data.draw(st.integers(0, room - 1))
    found = windows(count, room, stride)
    assert found[0].start == 0 and found[-1].stop == count
    for before, after in pairwise(found):
        assert before.stop - before.start == room
        assert before.stop - after.start == stride
        assert after.stop > before.stop
    mirrored = windows(count, room, stride, side="left")
    assert mirrored == [slice(count - w.stop, count - w.start) for w in found]


def test_windows_are_those_of_the_reference():
    """Written down from return_overflowing_tokens of a text of 10 pieces."""
    assert windows(10, 4, 1) == [slice(0, 4), slice(3, 7), slice(6, 10)]
    assert windows(10, 4, 2) == [slice(0, 4), slice(2, 6), slice(4, 8), slice(6, 10)]
    assert windows(10, 4, 0) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert windows(4, 4, 3) == [slice(0, 4)]
    assert windows(0, 4, 3) == [slice(0, 0)]


@pytest.mark.parametrize("stride", [-1, 4, 5])
def test_a_stride_as_long_as_a_window_is_refused(stride):
    with pytest.raises(ValueError, match=f"stride is {stride}, expected 0 to 3"):
        windows(3, 4, stride)


@given(st.integers(0, 60), ROOMS)
def test_covering_windows_are_all_as_long_as_they_can_be(count, room):
    found = covering_windows(count, room)
    assert {w.stop - w.start for w in found} == {min(count, room)}
    assert found[0].start == 0 and found[-1].stop == count
    assert all(after.start <= before.stop for before, after in pairwise(found))


@given(st.integers(9, 60), st.integers(4, 9))
def test_every_place_is_well_within_some_window(count, room):
    found = covering_windows(count, room)
    for place in range(count):
        within = [margin(place, w, count) for w in found if w.start <= place < w.stop]
        assert max(within) >= (room - 1) // 4


def test_the_ends_of_the_text_are_no_cuts():
    assert margin(0, slice(0, 4), 10) == 3
    assert margin(9, slice(6, 10), 10) == 3
    assert margin(4, slice(3, 7), 10) == 1
    assert margin(2, slice(0, 4), 4) == 4
