"""Marks of the border in E3 and E4, beside those of real events."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.mos_offsets import (
    LOWEST_SUM,
    MASKED_OFFSETS,
    mark_border,
    masked_pixels,
    offset_tables,
)
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.instruments.mos.offsets import LineOffsets, OnBoard, whole_line


def _events(x, y) -> dict[str, np.ndarray]:
    n = len(x)
    return {
        "RAWX": np.array(x) - 1,
        "RAWY": np.array(y) - 1,
        "ENERGYE3": np.full(n, 7),
        "ENERGYE4": np.full(n, 9),
    }


def test_masked_pixels_around_events():
    box, ring = masked_pixels(np.array([0, 1, 2, 599, 600, 601]), np.full(6, 300))
    assert box.tolist() == [3, 0, 0, 0, 0, 3]
    assert ring.tolist() == [7, 5, 0, 0, 5, 7]
    # Below the first row nothing is read; beyond the last one it is.
    box, ring = masked_pixels(np.array([0, 0]), np.array([1, 600]))
    assert (box.tolist(), ring.tolist()) == ([2, 3], [4, 7])


def test_only_events_at_the_border_are_marked():
    events = _events([0, 1, 2, 300, 600, 601], [300] * 6)
    mark_border(events, "M1", 2)
    left, right = MASKED_OFFSETS["M1"][1]
    assert events["ENERGYE3"].tolist() == [7 - 3 * left, 7, 7, 7, 7, 7 - 3 * right]
    assert events["ENERGYE4"].tolist() == [LOWEST_SUM, LOWEST_SUM, 9, 9, LOWEST_SUM, LOWEST_SUM]


@pytest.mark.parametrize("submode", ["PrimeFullWindow", "PrimePartialW2", "PrimePartialW3"])
def test_offsets_of_windows_stand_at_their_columns(synthetic_ccf, submode: str) -> None:
    cal = Calibration.for_observation([synthetic_ccf], "2017-11-01")
    mode = CAMERAS["M1"].mode(submode)
    columns, rows = offset_tables("M1", 1)
    table = cal.constituent("EMOS1", "DARKFRAME").table("OFFSET_CCD1")
    at = int(np.flatnonzero(table["MODE_ID"] == mode.mode_id)[0])
    x, y, dx, dy = mode.window[1]
    lines = [
        whole_line(table[key][at], int(table[start][at]), int(table[length][at]))
        for key, start, length in (
            ("ROW_OFFSET", "COL_X0", "ROW_LEN"),
            ("COLUMN_OFFSET", "ROW_Y0", "COL_LEN"),
        )
    ]
    assert (lines[0][x : x + dx] == columns[x : x + dx]).all()
    assert (lines[1][y : y + dy] == rows[y : y + dy]).all()
    onboard = OnBoard.of_read_out(lines, (600, 600), (5, 0), mirrored=False)
    extra = LineOffsets.beyond_usual(onboard.column, onboard.row, onboard.beside)
    # The column that differs is RAWX 129, outside the smallest window; nothing else stands out inside.
    odd = [129] if x < 133 else []
    assert (np.flatnonzero(extra.column) + 1).tolist() == odd
    assert not extra.row.any()


def test_part_of_a_line_goes_to_its_place():
    line = whole_line([7, 7, 9, 0, 0, 0], 2, 3)
    assert line.tolist() == [7, 7, 7, 7, 9, 7]
    assert whole_line([1, 2, 3], 0, 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("camera", ["M1", "M2"])
def test_masked_columns_are_those_of_real_lists(camera):
    for ccd, (left, right) in enumerate(MASKED_OFFSETS[camera], start=1):
        columns, rows = offset_tables(camera, ccd)
        usual = np.median(columns)
        rawx = np.arange(610) - 4
        masked = columns - usual > 1000
        assert rawx[masked].tolist() == [*range(-4, 0), *range(602, 606)]
        assert (columns[masked] - usual).tolist() == [left] * 4 + [right] * 4
        assert columns.max() <= 4095
        assert rows.min() > 0


@pytest.mark.parametrize("ccd", range(2, 8))
def test_real_events_have_these_marks(shared_data, ccd):
    files = sorted((shared_data / "odf_0135730701").glob(f"*M1U009{ccd}0IME.FIT*"))
    if not files:
        pytest.skip("no raw files of 0135730701")
    table = fits.getdata(files[0], 1)
    x, y = table["RAWX"].astype(int) - 6, table["RAWY"].astype(int) - 1
    box, ring = masked_pixels(x, y)
    level = np.where(x < 300, *MASKED_OFFSETS["M1"][ccd - 1])
    e3, e4 = table["ENERGYE3"].astype(int), table["ENERGYE4"].astype(int)
    assert ((e4 < -4000) == (ring > 0)).all()
    assert (e4[level * ring > -LOWEST_SUM + 300] == LOWEST_SUM).all()
    corner = (ring > 0) & (level * ring < -LOWEST_SUM - 100)
    assert np.all(np.abs(e4[corner] + (level * ring)[corner]) < 250)
    # A neighbour above threshold is in E2 instead, and one event has no surroundings.
    rest = e3[box > 0] + (level * box)[box > 0]
    assert np.abs(np.median(rest)) < 100
    assert np.mean(np.abs(rest) < 350) > 0.7
