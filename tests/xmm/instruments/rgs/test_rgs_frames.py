"""Frames and on-board shapes: counters, lengths of frames, what makes a frame bad, two nodes from one."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.rgs import RgsFlag
from daxa.xmm.instruments.rgs import shapes
from daxa.xmm.instruments.rgs.frames import build_frames, frame_gti, repeated, two_nodes, unwrap_counter


@given(st.integers(0, 65535), st.lists(st.integers(0, 16000), min_size=1, max_size=60))
def test_counter_of_16_bits_goes_on(first, steps):
    true = first + np.concatenate([[0], np.cumsum(steps)])
    assert unwrap_counter(true % 65536).tolist() == true.tolist()
    # A list of events that starts later is put beside the frames.
    assert unwrap_counter((true + 65536) % 65536, int(true[0]) + 65536).tolist() == (true + 65536).tolist()


def test_events_that_start_behind_the_overflow():
    frames = unwrap_counter([65530, 65534, 2, 6])
    assert frames.tolist() == [65530, 65534, 65538, 65542]
    assert unwrap_counter([2, 6], int(frames[0])).tolist() == [65538, 65542]
    assert unwrap_counter([], 5).tolist() == []


def test_frames_last_from_read_out_to_read_out():
    readout = np.array([100.0, 104.6, 109.2, 123.0, 127.6, 132.2])
    zero = np.zeros(6, int)
    abort, pixels = np.array([2, 2, 2, 2, 1, 2]), np.array([1, 1, 1, 1, 0, 1]) * 171 * 128
    frames = build_frames(np.arange(6), readout, zero, zero, abort, pixels)
    # The first has no beginning, the fourth lacks the record before it, the fifth was aborted.
    assert frames.good.tolist() == [False, True, True, False, False, True]
    np.testing.assert_allclose(frames.timedel_s, 4.6)
    np.testing.assert_allclose(frames.time_s, readout - 2.3)
    gti = frames.gti()
    np.testing.assert_allclose(np.stack([gti.start, gti.stop]), [[100.0, 127.6], [109.2, 132.2]])


def test_a_ccd_that_is_read_more_often():
    """In the sequence 3 1 2 3 ..., the places of CCD 3 have frames of their own lengths."""
    readout = np.sort(np.concatenate([10.0 * np.arange(8), 10.0 * np.arange(8) + 3]))
    place = np.tile([1, 4], 8)
    two = np.full(16, 2)
    frames = build_frames(np.arange(16), readout, place, np.zeros(16, int), two, two)
    assert frames.good.tolist() == [False] + [True] * 15
    np.testing.assert_allclose(frames.timedel_s[1:5], [3, 7, 3, 7])


def test_aborted_and_short_frames_are_bad_those_with_lost_events_are_not():
    readout = np.array([0.0, 4.6, 9.2, 13.8, 18.4])
    lost, abort, pixels = np.array([0, 0, 3, 0, 0]), np.array([2, 2, 2, 1, 2]), np.array([9, 9, 9, 9, 0])
    rows = np.arange(5), readout, np.zeros(5), lost, abort, pixels
    frames = build_frames(*rows, min_exposure_s=0.5)
    assert frames.good.tolist() == [False, True, True, False, False]
    assert set(frames.flag[~frames.good]) == {int(RgsFlag.IN_BAD_FRAME)}
    short = build_frames(rows[0], readout / 100, *rows[2:], min_exposure_s=0.5)
    assert not short.good.any()


def test_repeated_rows():
    rows = {"A": np.array([1, 1, 2, 1]), "B": np.array([5, 5, 5, 6])}
    assert repeated(rows, ("A", "B")).tolist() == [False, True, False, False]


def test_intervals_of_frames_in_single_precision():
    start = 6.0e8 + 4.6 * np.arange(1000)
    length = np.full(1000, 4.6, np.float32)
    gti = frame_gti(start + 2.3, length)
    assert len(gti) == 1
    assert gti.total == pytest.approx(4600.0, abs=1e-3)


def test_codes_of_the_two_versions_of_the_software():
    """The table that the manual of rgsframes prints."""
    shape, grade = shapes.translate(np.arange(8))
    assert shape.tolist() == list(range(8))
    assert grade.tolist() == [1, 4, 2, 2, 3, 3, 3, 3]
    shape, grade = shapes.translate(np.arange(4), "16")
    assert shape.tolist() == [0, shapes.NULL, shapes.NULL, 1]
    assert grade.tolist() == [1, 2, 3, 4]
    with pytest.raises(TaskError, match="SER 4: software 16 sends 0 to 3 only"):
        shapes.translate([4], "16")
    with pytest.raises(TaskError, match="version '7'"):
        shapes.translate([0], "7")
    for code, pixels in shapes.PIXELS.items():
        assert len(set(pixels)) == shapes.translate([code])[1][0]


def occupied(columns: dict[str, np.ndarray], code: int, dx: int, dy: int) -> int:
    """Items of a code, 20,000 at most, that have another item of their frame and node at a distance."""
    mine = columns["key"][columns["SER"] == code][:20_000] + 256 * dx + dy
    place = np.searchsorted(columns["sorted"], mine)
    return int((columns["sorted"][np.minimum(place, len(columns["sorted"]) - 1)] == mine).sum())


@pytest.fixture(scope="module")
def real_lists(shared_data) -> list[dict[str, np.ndarray]]:
    """Raw events of three CCDs of RGS1."""
    folder = shared_data / "odf_0135730701"
    lists = []
    for ccd in (1, 2, 3):
        table = fits.getdata(folder / f"0234_0135730701_R1S0030{ccd}SPE.FIT.gz")
        one = {n: np.array(table[n]).astype(np.int64) for n in table.names}
        one["key"] = ((one["FRAME"] * 2 + one["CCDNODE"]) * 256 + one["RAWX"] + 2) * 256 + one["RAWY"] + 2
        lists.append({**one, "sorted": np.sort(one["key"])})
    return lists


def test_columns_of_both_nodes_meet_at_their_last_ones(real_lists):
    """Charge shared across the line between the nodes: RAWX counts from the outer ends of the chip."""

    def together(x0: int, x1: int, dy: int) -> int:
        total = 0
        for one in real_lists:
            row = one["FRAME"] * 256 + one["RAWY"]
            left, right = ((one["CCDNODE"] == node) & (one["RAWX"] == x) for node, x in ((0, x0), (1, x1)))
            total += int(np.isin(row[left] + dy, row[right]).sum())
        return total

    assert together(170, 170, 0) > 8 * max(together(170, 170, dy) for dy in (-2, -1, 1, 2))
    assert max(together(170, 0, 0), together(0, 170, 0)) < 20


def test_pixels_of_shapes_in_real_lists(real_lists):
    """Nothing else lies on the pixels of an item nor beside them: 618,564 items show every shape."""
    lists = real_lists
    assert sum(len(one["SER"]) for one in lists) == 618_564
    for code, pixels in shapes.PIXELS.items():
        beside = {(x + i, y + j) for x, y in pixels for i, j in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))}
        around = {(x, y) for x in range(-2, 3) for y in range(-2, 3)}
        counts = {place: sum(occupied(one, code, *place) for one in lists) for place in around - {(0, 0)}}
        assert all(counts[place] == 0 for place in beside - {(0, 0)}), code
        # Elsewhere there are others, by chance.
        free = sorted(around - beside)
        assert np.mean([counts[place] > 0 for place in free]) > 0.9, code
        for axis, last, name in ((0, 170, "RAWX"), (1, 127, "RAWY")):
            reach = max(p[axis] for p in pixels)
            at_edge = sum(int(((one["SER"] == code) & (one[name] > last - reach)).sum()) for one in lists)
            assert at_edge == 0, (code, name)
        back = min(x for x, _ in pixels)
        assert all((one["RAWX"][one["SER"] == code] >= -back).all() for one in lists)


def test_shape_3_reaches_the_next_column():
    """A real log: a pixel at RAWX 172 of a node with 171 columns is left out, with shape code 3."""
    item, dx, dy = shapes.members([3])
    assert list(zip(dx.tolist(), dy.tolist(), strict=True)) == [(0, 0), (1, 0)]
    assert item.tolist() == [0, 0]
    assert shapes.centre([3, 2, 1]) == pytest.approx(np.array([[0.5, 0, 0.5], [0, 0.5, 0.5]]))


@given(st.integers(0, 7), st.integers(172, 340), st.integers(1, 120))
def test_two_nodes_cover_the_same_pixels_of_the_chip(shape, rawx, rawy):
    def chip(x, code, node):
        _, dx, dy = shapes.members([code])
        column = x + dx if node == 0 else 343 - x - dx
        return set(zip(column.tolist(), (rawy + dy).tolist(), strict=True))

    x, code, node = two_nodes(np.array([rawx]), np.array([shape]), 171)
    assert node[0] == 1
    assert chip(int(x[0]), int(code[0]), 1) == chip(rawx, shape, 0)


def test_columns_of_the_first_half_stay():
    x, code, node = two_nodes(np.array([1, 171]), np.array([4, 0]), 171)
    assert (x.tolist(), code.tolist(), node.tolist()) == ([1, 171], [4, 0], [0, 0])
