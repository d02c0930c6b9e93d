"""The field of view against areas and pixel masks of real processing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.sky.detector_region import Region
from daxa.xmm.sky.geometry import CameraGeometry

#: Pixels that a light curve's selection rejected around bad ones: CCD -> centres (RAWX, RAWY).
BAD_PIXELS = {
    1: [(9, 28), (7, 39), (2, 71), (42, 76), (18, 130), (1, 12)],
    2: [(14, 36), (34, 88), (39, 154), (39, 155), (11, 200)],
    5: [(44, 20), (44, 21), (20, 155)],
    7: [(10, 62), (33, 48), (34, 48), (34, 49)],
    8: [(54, 94)],
    9: [(40, 101), (49, 115), (64, 179)],
    10: [(57, 191)],
    11: [(10, 111), (27, 184), (27, 185), *((64, y) for y in range(13, 201))],
    12: [(19, 90)],
}


@pytest.fixture(scope="module")
def cal(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2017-11-01")


@pytest.mark.parametrize("instrument", ["EMOS1", "EMOS2"])
def test_areas_printed_by_real_processing(cal: Calibration, instrument: str, shared_data: Path) -> None:
    geometry = CameraGeometry.from_calibration(cal, instrument, 6.26e8)
    plate = cal.misc(instrument, "PLATE_SCALE_X") * cal.misc(instrument, "PLATE_SCALE_Y") / 3600.0
    with open(shared_data / "logs" / "0802710101_mos_per_ccd.csv") as handle:
        rows = [r for r in csv.DictReader(handle) if r["inst"] == f"M{instrument[-1]}"]
    assert len(rows) == {"EMOS1": 5, "EMOS2": 7}[instrument]
    for row in rows:
        printed, fraction = float(row["fov_area_arcmin2"]), float(row["fov_fraction"])
        mask = geometry.fov_mask(int(row["ccd"]))
        # The area is a number of pixels times the plate scale of MISCDATA.
        assert printed / (mask.size * plate) == pytest.approx(fraction, rel=1e-6)
        assert fraction * mask.size == pytest.approx(round(fraction * mask.size), abs=0.02)
        assert mask.mean() == pytest.approx(fraction, rel=0.005), row["ccd"]
        assert mask.sum() * plate == pytest.approx(printed, rel=0.005)


def test_chips_in_front_shade_those_behind(cal: Calibration) -> None:
    geometry = CameraGeometry.from_calibration(cal, "EMOS1", 6.26e8)
    mask = geometry.fov_mask(1)
    # CCD 1 lies in the field of view as a whole; CCDs 4 and 5 cover its top, CCD 2 stands clear of its foot.
    assert geometry.in_fov(*geometry.raw_to_det(1, [1, 600], [1, 600])).all()
    assert mask[0].mean() > 0.98
    assert not mask[-1].any()
    # pn chips lie side by side in one plane.
    pn = CameraGeometry.from_calibration(cal, "EPN", 6.26e8)
    rawx, rawy = np.meshgrid(np.arange(1, 65), np.arange(1, 201))
    np.testing.assert_array_equal(pn.fov_mask(4), pn.in_fov(*pn.raw_to_det(4, rawx, rawy)))


def test_pixel_masks_of_a_real_light_curve(cal: Calibration, shared_data: Path) -> None:
    geometry = CameraGeometry.from_calibration(cal, "EPN", 9.3e7)
    different = 0
    with fits.open(shared_data / "epic_pn_0124710801" / "P0124710801PNS001FBKTSR0000.FTZ") as hdus:
        for ccd in range(1, 13):
            real = hdus["MASK" if ccd == 1 else f"BLK{ccd:03d}01"].data > 0
            ours = geometry.fov_mask(ccd)
            ours[:12] = False
            for x, y in BAD_PIXELS.get(ccd, ()):
                ours[max(0, y - 2) : y + 1, max(0, x - 2) : x + 1] = False
            wrong = ours != real
            different += int(wrong.sum())
            # What differs touches the edge of the field of view.
            rawy, rawx = np.nonzero(wrong)
            detx, dety = geometry.raw_to_det(ccd, rawx + 1, rawy + 1)
            shift = geometry.field_of_view.shapes[0]
            distance = np.hypot(detx - shift[3], dety - shift[4]) - shift[5]
            assert np.all(np.abs(distance) < 120), ccd
    assert different <= 200


def test_regions_are_unions_of_intersections() -> None:
    region = Region(
        (
            (1, False, "CIRCLE", 0.0, 0.0, 10.0, 0.0, 0.0),
            (1, True, "BOX", 0.0, 0.0, 5.0, 1.0, 90.0),
            (2, False, "BOX", 100.0, 0.0, 2.0, 1.0, 0.0),
        )
    )
    x = np.array([0.0, 2.0, 0.0, 0.0, 9.0, 11.0, 101.9, 100.0])
    y = np.array([0.0, 0.0, 4.0, 6.0, 0.0, 0.0, 0.0, 1.5])
    expected = [False, True, False, True, True, False, True, False]
    np.testing.assert_array_equal(region.contains(x, y), expected)


def test_corners(cal: Calibration) -> None:
    for instrument in ("EMOS1", "EMOS2", "EPN"):
        geometry = CameraGeometry.from_calibration(cal, instrument, 6.26e8)
        far = 18500.0 if instrument == "EPN" else 19000.0
        x, y = np.array([0.0, far * 0.8]), np.array([0.0, far * 0.8])
        np.testing.assert_array_equal(geometry.in_corner(x, y), [False, True])
        np.testing.assert_array_equal(geometry.in_fov(x, y), [True, False])
