"""Nodes, single pixels and wrong offsets on hand-made data, with the synthetic pattern library."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.simulate.calibration.constituents import pattern_roles
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.nodes import join_nodes
from daxa.xmm.instruments.mos.offsets import LineOffsets, corrected, wrong_offsets
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS, N_PATTERNS, PatternLibrary
from daxa.xmm.instruments.mos.recognition import recognise


@pytest.fixture(scope="module")
def library():
    roles = np.full((N_PATTERNS, 5, 5), 2, np.int16)
    for number, role in pattern_roles().items():
        roles[number] = role
    roles[:, 2, 2] = 1
    return PatternLibrary(roles, (25.0, 25.0))


def _photons(library, n, columns):
    """One event per frame: frame, pattern, and its pixels with amplitudes, the main one brightest."""
    rng = np.random.default_rng(4)
    for frame in range(n):
        pattern = int(rng.integers(0, 13))
        offset = library.offsets[pattern]
        x, y = int(rng.integers(*columns)), int(rng.integers(10, 590))
        adu = [1000, *sorted(rng.integers(40, 300, len(offset) - 1), reverse=True)]
        yield frame, pattern, [(x + dx, y + dy, int(a)) for (dx, dy), a in zip(offset, adu, strict=True)]


def _as_list(rows):
    columns = np.array(rows, np.int64).reshape(-1, 6)
    frame, x, y, e1, e2, pattern = columns.T
    zero = np.zeros(len(columns), np.int64)
    return Events(frame, x, y, e1, e2, zero, zero.copy(), pattern, zero.copy(), zero.copy())


def _event(frame, pixels, library):
    x, y, adu = max(pixels, key=lambda p: p[2])
    pattern = library.by_shape[frozenset((px - x, py - y) for px, py, _ in pixels)]
    return [frame, x, y, adu, sum(p[2] for p in pixels) - adu, pattern]


def test_events_cut_by_the_node_line_are_put_together(library):
    photons = list(_photons(library, 3000, (297, 305)))
    halves: tuple[list, list] = ([], [])
    cut = 0
    for frame, _, pixels in photons:
        parts = [[p for p in pixels if (p[0] > 300) == side] for side in (False, True)]
        cut += all(bool(p) for p in parts)
        for side, part in enumerate(parts):
            # The second node counts columns from the other side.
            part = [(601 - x, y, adu) if side else (x, y, adu) for x, y, adu in part]
            if part:
                halves[side].append(_event(frame, part, library))
    assert cut > 200
    left, right, joined = join_nodes(_as_list(halves[0]), _as_list(halves[1]), library, 300, 600)
    assert joined == 2 * cut
    assert (left.rawx <= 300).all()
    assert (right.rawx <= 300).all()
    node = np.concatenate([np.zeros(len(left), int), np.ones(len(right), int)])
    node = node[np.argsort(np.concatenate([left.frame, right.frame]), kind="stable")]
    both = left.joined(right)
    assert both.frame.tolist() == [frame for frame, _, _ in photons]
    for i, (_, pattern, pixels) in enumerate(photons):
        turned = [(601 - x, y, adu) if node[i] else (x, y, adu) for x, y, adu in pixels]
        assert (both.rawx[i], both.rawy[i]) == turned[0][:2]
        assert both.pattern[i] == (_event(0, turned, library)[-1] if node[i] else pattern)
        assert both.e1[i] == pixels[0][2]
        # E2 of the parts is shared out, so that sums stay.
        assert abs(both.e1[i] + both.e2[i] - sum(p[2] for p in pixels)) <= 1


def test_other_frames_and_rows_are_not_joined(library):
    left = _as_list([[1, 300, 50, 500, 0, 0], [2, 300, 50, 500, 0, 0], [3, 299, 50, 500, 0, 0]])
    right = _as_list([[1, 300, 53, 400, 0, 0], [4, 300, 50, 400, 0, 0], [3, 300, 50, 400, 0, 0]])
    a, b, joined = join_nodes(left, right, library, 300, 600)
    assert (len(a), len(b), joined) == (3, 3, 0)


def test_what_is_no_pattern_becomes_a_cosmic_ray(library):
    left = _as_list([[1, 300, 50, 500, 300, 9]])
    right = _as_list([[1, 302, 51, 900, 800, 9]])
    # Two squares that touch are larger than any photon.
    offset = [tuple(map(int, o)) for o in library.offsets[9]]
    right.rawx[:] = 300 - max(dx for dx, _ in offset)
    left.rawx[:] = 300 - max(dx for dx, _ in offset)
    a, b, joined = join_nodes(left, right, library, 300, 600)
    assert (len(a), len(b), joined) == (0, 1, 2)
    assert b.pattern[0] in COSMIC_PATTERNS


def test_single_pixels_are_recognised(library):
    photons = list(_photons(library, 2000, (10, 590)))
    pixels = np.array([(frame, *p) for frame, _, group in photons for p in group])
    rng = np.random.default_rng(1)
    rng.shuffle(pixels)
    found = recognise(*pixels.T, library)
    assert found.frame.tolist() == [frame for frame, _, _ in photons]
    assert found.pattern.tolist() == [pattern for _, pattern, _ in photons]
    assert found.e1.tolist() == [group[0][2] for _, _, group in photons]
    assert (found.e1 + found.e2).tolist() == [sum(p[2] for p in group) for _, _, group in photons]


def test_pixels_of_other_frames_and_edges_are_no_neighbours(library):
    frame, x, y = [0, 1, 1, 1], [1, 1, 600, 1], [1, 2, 2, 3]
    found = recognise(frame, x, y, [100, 90, 80, 70], library)
    assert sorted(zip(found.frame.tolist(), found.rawx.tolist(), strict=True)) == [(0, 1), (1, 1), (1, 600)]
    assert len(recognise([], [], [], [], library)) == 0


def test_track_is_a_cosmic_ray(library):
    x, y = np.meshgrid(np.arange(100, 105), np.arange(200, 205))
    adu = 100 - np.abs(x - 102) - np.abs(y - 202)
    found = recognise(np.zeros(25, int), x.ravel(), y.ravel(), adu.ravel(), library)
    assert found.pattern.tolist() == [31]
    assert found.peripix.tolist() == [16]


def _surroundings(lines, n_events=8000, seed=0):
    """Rows and E3 of single events on a CCD whose rows have additional offsets."""
    rng = np.random.default_rng(seed)
    row = rng.integers(1, 601, n_events)
    d = np.zeros(602)
    for line, value in lines.items():
        d[line] = value
    e3 = rng.normal(6, 12, n_events) - (3 * d[row - 1] + 2 * d[row] + 3 * d[np.minimum(row + 1, 601)])
    return row, np.rint(e3)


@pytest.mark.parametrize("lines", [{303: 256}, {100: 64}, {200: 128, 201: 64}, {1: 512}, {600: 2048}])
def test_flipped_bits_are_measured(lines):
    row, e3 = _surroundings(lines)
    found = wrong_offsets(row, e3, 600)
    assert (np.flatnonzero(found) + 1).tolist() == sorted(lines)
    for line, value in lines.items():
        assert found[line - 1] == pytest.approx(value, abs=15)


def test_a_row_that_sees_nothing_is_known_by_its_neighbours():
    row, e3 = _surroundings({384: 2048})
    keep = row != 384
    found = wrong_offsets(row[keep], e3[keep], 600)
    assert (np.flatnonzero(found) + 1).tolist() == [384]


def test_nothing_is_found_where_nothing_is_wrong():
    for seed in range(20):
        assert not wrong_offsets(*_surroundings({}, 3000, seed), 600).any()
    assert not wrong_offsets([], [], 600).any()


def test_offsets_are_put_back_by_pixels_below_threshold(library):
    wrong = LineOffsets(np.zeros(600, np.int64), np.zeros(600, np.int64))
    wrong.row[302] = 100
    rows = [[0, 50, y, 500, 0, 0] for y in (300, 301, 302, 303, 304, 305, 306)]
    e3, e4 = corrected(_as_list(rows), library, wrong)
    assert e3.tolist() == [0, 0, 300, 200, 300, 0, 0]
    assert e4.tolist() == [0, 500, 200, 200, 200, 500, 0]
    # A double along the row has one pixel less below threshold on it.
    double = next(p for p in range(1, 5) if library.offsets[p][1][1] == 0)
    e3, _ = corrected(_as_list([[0, 50, 303, 500, 100, double]]), library, wrong)
    assert e3.tolist() == [100]


def test_lines_beyond_the_usual_offset():
    column = np.full(600, 100)
    column[323 - 1], column[10 - 1] = 113, 90
    lines = LineOffsets.beyond_usual(column, np.full(600, 6))
    table = lines.table(11)
    assert table["RAWX"].tolist() == [323]
    assert table["OFFSETX"].tolist() == [13]
    assert table["OFFSETY"].tolist() == [0]
    assert table["CCDNR"].tolist() == [11]
    assert not lines.blind[0].any()


def test_rebounds_on_some_events_of_a_row_are_no_wrong_offset():
    """As on the real MOS1 CCD 5, where 7000 events outside noisy rows have low E3."""
    rng = np.random.default_rng(6)
    n = 22_000
    row = rng.integers(1, 601, n)
    e3 = rng.normal(6.0, 14.0, n)
    e3[rng.random(n) < 0.36] -= 140.0
    assert not wrong_offsets(row, e3, 600).any()
    e3[row == 77] -= 2 * 64
    e3[(row == 76) | (row == 78)] -= 3 * 64
    found = wrong_offsets(row, e3, 600)
    assert np.flatnonzero(found).tolist() == [76]
