"""Scales and places of MOS chips as real event lists show them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.chip_heights import chip_factors, chip_heights
from daxa.xmm.image.exposure import ChipMap, detector_exposure_map
from daxa.xmm.notes import RUNNING
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.task import TaskContext

CAMERAS = ("EMOS1", "EMOS2")


@pytest.fixture(scope="module")
def cal(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2004-06-17")


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> list[dict[str, str]]:
    """Scales and places that hold for every event of real lists, with their bounds."""
    path = shared_data / "mos_truth" / "chips.csv"
    if not path.exists():
        pytest.skip(f"no {path}")
    with open(path) as handle:
        return list(csv.DictReader(handle))


def _heights_set(cal: Calibration, folder: Path, change) -> Calibration:
    """The set with other heights of MOS1, in the order of CCDs, or without the focal length."""
    (source,) = (p for p in cal.search_path[0].glob("EMOS1_LINCOORD_*.CCF"))
    for path in cal.search_path[0].glob("*.CCF"):
        if path != source:
            (folder / path.name).symlink_to(path)
    with fits.open(source) as hdus:
        hdus["LINCOORD"].data["Z0"] = change(np.array(hdus["LINCOORD"].data["Z0"]))
        hdus.writeto(folder / source.name)
    return Calibration.for_observation([folder], "2004-06-17")


def test_chips_stand_where_real_lists_have_them(cal, measured) -> None:
    assert len(measured) == 14
    for row in measured:
        geometry = CameraGeometry.from_calibration(cal, f"E{row['camera']}", 2e8)
        ccd = int(row["ccd"])
        x, y = geometry.raw_to_det(ccd, [300.5, 301.5, 300.5], [300.5, 300.5, 301.5])
        for name, value in (("detx", x[0]), ("dety", y[0])):
            assert abs(value - float(row[f"{name}_at_raw300p5"])) < 0.1
        scale = np.hypot(x[1:] - x[0], y[1:] - y[0])
        assert np.abs(scale - float(row["scale_unit_per_pixel"])).max() < float(row["scale_bound"])


def test_edges_of_exposure_maps_are_those_of_the_events(cal, measured) -> None:
    for row in (r for r in measured if r["ccd"] in "36"):
        geometry = CameraGeometry.from_calibration(cal, f"E{row['camera']}", 2e8)
        ccd, scale = int(row["ccd"]), float(row["scale_unit_per_pixel"])
        centre = np.array([float(row["detx_at_raw300p5"]), float(row["dety_at_raw300p5"])])
        # Both chips are turned by a quarter: their outlines are squares along the axes.
        for corner in centre + 300 * scale * np.array([(-1, -1), (1, 1)]):
            chip = ChipMap(ccd, np.ones((600, 600)), np.array([1.0]))
            image = detector_exposure_map(
                [chip],
                geometry,
                lambda px, py, at=corner: (at[0] + (px - 20) / 4, at[1] + (py - 20) / 4),
                (41, 41),
                oversample=1,
            )
            # Points every quarter of a unit, from five units on either side of the corner.
            assert np.abs(image.sum(axis=0).max() - 20.5) <= 1.5
            assert np.abs(image.sum(axis=1).max() - 20.5) <= 1.5


@pytest.mark.parametrize("instrument", CAMERAS)
def test_heights_go_to_the_mirror_whatever_their_sign(cal, tmp_path, instrument: str) -> None:
    usual = chip_factors(cal, instrument)
    assert (usual > 1 + 1e-5).all()
    assert (usual < 1 + 4e-4).all()
    if instrument == "EMOS1":
        other = _heights_set(cal, tmp_path, lambda z: -z)
        np.testing.assert_array_equal(chip_heights(other, instrument), chip_heights(cal, instrument))
        np.testing.assert_array_equal(chip_factors(other, instrument), usual)


def test_chips_of_the_pn_lie_in_one_plane(cal) -> None:
    assert (chip_factors(cal, "EPN") == 1.0).all()


@pytest.mark.parametrize("change", [lambda z: z + 20.0, lambda z: z - 5.0])
def test_heights_that_make_no_sense_are_left_out_with_a_warning(cal, tmp_path, change) -> None:
    other = _heights_set(cal, tmp_path, change)
    context = TaskContext("attcalc", tmp_path, {}, io.StringIO(), io.StringIO())
    token = RUNNING.set(context)
    try:
        assert (chip_factors(other, "EMOS1") == 1.0).all()
    finally:
        RUNNING.reset(token)
    assert "(oddChipHeights)" in context.err.getvalue()
    (name,) = (path.name for path in tmp_path.glob("EMOS1_LINCOORD_*"))
    assert list(context.fallbacks) == [f"{name}[LINCOORD]: oddChipHeights"]


def test_without_a_focal_length_the_plane_is_taken_with_a_warning(cal, tmp_path, said) -> None:
    (source,) = cal.search_path[0].glob("XMM_MISCDATA_*.CCF")
    for path in cal.search_path[0].glob("*.CCF"):
        if path != source:
            (tmp_path / path.name).symlink_to(path)
    with fits.open(source) as hdus:
        table = hdus["MISCDATA"]
        kept = np.char.strip(table.data["PARM_ID"]) != "FOCAL_LENGTH"
        hdus["MISCDATA"] = fits.BinTableHDU(table.data[kept], table.header, "MISCDATA")
        hdus.writeto(tmp_path / source.name)
    other = Calibration.for_observation([tmp_path], "2004-06-17")
    assert (chip_factors(other, "EMOS1") == 1.0).all()
    assert (chip_factors(other, "EMOS2") == 1.0).all()
    assert list(said.fallbacks) == [f"{source.name}[MISCDATA]: noFocalLength"]
    assert "no FOCAL_LENGTH for XRT1" in said.err.getvalue()
    assert other.calindex_hdu(["XMM"]).header["CALFB1"] == f"{source.name}[MISCDATA]: noFocalLength"


def test_the_plane_is_that_of_ecoordconv(cal) -> None:
    in_front = CameraGeometry.from_calibration(cal, "EMOS2", 2e8)
    plane = CameraGeometry.from_calibration(cal, "EMOS2", 2e8, heights=False)
    assert in_front.optical_axis == pytest.approx(plane.optical_axis, abs=1e-9)
    x, y = plane.raw_to_det(6, 600, 300)
    assert np.hypot(*np.subtract(in_front.raw_to_det(6, 600, 300), (x, y))) == pytest.approx(
        np.hypot(x, y) * 2.7 / 7493, rel=0.01
    )
