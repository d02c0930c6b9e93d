"""There and back through every coordinate system, for any attitude."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.xmm.ccf import UnknownLayout
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.instruments.mos.events import raw_to_ccd
from daxa.xmm.sky.attcalc import sky_coordinates
from daxa.xmm.sky.attitude import Attitude
from daxa.xmm.sky.coordinates import ccds_of_circle, ecoordconv, format_coordinates
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.sky.rotations import euler_angles, euler_matrix
from daxa.xmm.sky.tangent import direction, from_xy, local_frame, position, to_xy

CAMERAS = ("EMOS1", "EMOS2", "EPN")
# Poles and the ends of the right ascension are drawn often.
ra = st.sampled_from([0.0, 1e-9, 180.0, 359.9999999, 360.0]) | st.floats(0.0, 360.0)
dec = st.sampled_from([-90.0, -89.9999, 0.0, 89.9999, 90.0]) | st.floats(-90.0, 90.0)
angle = st.sampled_from([0.0, 90.0, 360.0]) | st.floats(0.0, 360.0)


@pytest.fixture(scope="module")
def cal(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2017-11-01")


@given(
    st.sampled_from(CAMERAS),
    ra,
    dec,
    angle,
    st.floats(0, 9e8),
    st.integers(0, 11),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=80)
def test_pixel_to_sky_and_back(cal, instrument, ra_pnt, dec_pnt, pa, epoch, which, fx, fy) -> None:
    geometry = CameraGeometry.from_calibration(cal, instrument, epoch)
    ccd = int(geometry.ccds[which % len(geometry.ccds)])
    nx, ny = geometry.shape(ccd)
    rawx, rawy = 1 + fx * (nx - 1), 1 + fy * (ny - 1)
    detx, dety = geometry.raw_to_det(ccd, rawx, rawy)
    sky = geometry.det_to_sky(detx, dety, ra_pnt, dec_pnt, pa)
    assert 0 <= sky[0] <= 360
    back = geometry.sky_to_det(*sky, ra_pnt, dec_pnt, pa)
    assert np.hypot(back[0] - detx, back[1] - dety) < 1e-4
    number, x, y = geometry.det_to_raw(*back)
    if number == ccd:  # else another CCD lies on top
        assert abs(x - rawx) < 1e-5
        assert abs(y - rawy) < 1e-5
    else:
        assert instrument != "EPN"
        assert number > 0
    theta, phi = geometry.det_to_tel(detx, dety)
    assert 0 <= phi <= 2 * np.pi
    np.testing.assert_allclose(geometry.tel_to_det(theta, phi), (detx, dety), atol=1e-6)
    plane = to_xy(*sky, ra_pnt, dec_pnt)
    assert max(abs(v - 25921) for v in plane) < 25920
    again = geometry.sky_to_det(*from_xy(*plane, ra_pnt, dec_pnt), ra_pnt, dec_pnt, pa)
    assert np.hypot(again[0] - detx, again[1] - dety) < 1e-4


@given(
    st.sampled_from(("EMOS1", "EMOS2")), st.integers(0, 8), st.integers(1, 7),
    st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), ra, dec, angle,
)  # fmt: skip
@settings(max_examples=80)
def test_telemetry_of_every_mos_window_to_sky_and_back(
    cal, instrument, row, ccd, fx, fy, ra_pnt, dec_pnt, pa
) -> None:
    constituent = cal.constituent(instrument, "MODEPARAM")
    table = constituent.table("MODEPARAM")
    row %= table.n_rows
    which = 0 if ccd == 1 else -1
    x0, y0, dx, dy = (int(np.ravel(table[f"WINDOW{name}"][row])[which]) for name in ("X0", "Y0", "DX", "DY"))
    under = [int(constituent.keyword(name, "MODEPARAM")) for name in ("UNDER_X", "UNDER_Y")]
    # Telemetry that shows pixels, not what is read before or behind them; places count two pixels more.
    over = int(constituent.keyword("OVER_X", "MODEPARAM"))
    low = under[0] + 2, under[1] + 2
    high = dx - over + 2, min(dy, 600) + 2
    sent = int(low[0] + fx * (high[0] - low[0])), int(low[1] + fy * (high[1] - low[1]))
    rawx, rawy = int(raw_to_ccd(sent[0], x0, under[0])), int(raw_to_ccd(sent[1], y0, under[1]))
    assert 1 <= rawx <= 600
    assert 1 <= rawy <= 600
    geometry = CameraGeometry.from_calibration(cal, instrument, 4e8)
    sky = geometry.det_to_sky(*geometry.raw_to_det(ccd, rawx, rawy), ra_pnt, dec_pnt, pa)
    number, x, y = geometry.det_to_raw(*geometry.sky_to_det(*sky, ra_pnt, dec_pnt, pa))
    if number == ccd:  # else another CCD lies on top
        assert (round(float(x)) + 1 + under[0] - x0, round(float(y)) + 1 + under[1] - y0) == sent


@pytest.mark.parametrize("instrument", ["EMOS1", "EMOS2"])
def test_redundant_node_counts_columns_from_the_other_side(cal, instrument: str) -> None:
    geometry = CameraGeometry.from_calibration(cal, instrument, 4e8)
    for ccd in geometry.ccds.tolist():
        primary = geometry.raw_to_det(ccd, 601 - 123, 456, 0)
        np.testing.assert_allclose(geometry.raw_to_det(ccd, 123, 456, 1), primary, atol=1e-6)


@given(ra, dec, st.floats(-30000, 30000), st.floats(-30000, 30000))
def test_tangent_plane_there_and_back(ra0, dec0, dx, dy) -> None:
    x, y = 25921 + dx, 25921 + dy
    back = to_xy(*from_xy(x, y, ra0, dec0), ra0, dec0)
    np.testing.assert_allclose(back, (x, y), atol=1e-4)


def test_tangent_plane_is_that_of_astropy() -> None:
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [25921, 25921]
    wcs.wcs.crval = [195.361708333333, 27.7594166666667]
    wcs.wcs.cdelt = [-1.38888888888889e-05, 1.38888888888889e-05]
    rng = np.random.default_rng(1)
    x, y = rng.uniform(1, 51840, (2, 100))
    expected = wcs.all_pix2world(x, y, 1)
    np.testing.assert_allclose(from_xy(x, y, *wcs.wcs.crval), expected, rtol=0, atol=1e-9)


def test_behind_the_plane_is_nowhere() -> None:
    assert np.isnan(to_xy(190.0, 0.0, 0.0, 0.0)).all()


@given(ra, dec)
def test_frames_are_right_handed(alpha, delta) -> None:
    frame = local_frame(alpha, delta)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    np.testing.assert_allclose(frame[0], direction(alpha, delta), atol=1e-12)
    if abs(delta) < 89.9999:
        back = position(frame[0])
        assert abs((back[0] - alpha + 180) % 360 - 180) < 1e-6
        assert abs(back[1] - delta) < 1e-9


@given(st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180))
def test_euler_angles(phi, theta, psi) -> None:
    matrix = euler_matrix(phi, theta, psi)
    np.testing.assert_allclose(euler_matrix(*euler_angles(matrix)), matrix, atol=1e-9)


def test_roll_turns_the_field(cal) -> None:
    geometry = CameraGeometry.from_calibration(cal, "EMOS1", 6e8)
    # +DETY of MOS1 points to PA, +DETX to PA + 90 (east of north).
    for pa in (0.0, 90.0, 250.0):
        sky = geometry.det_to_sky(np.array([0.0, 0.0, 7200.0]), np.array([0.0, 7200.0, 0.0]), 100.0, 0.0, pa)
        east, north = (sky[0] - sky[0][0])[1:], (sky[1] - sky[1][0])[1:]
        measured = np.rad2deg(np.arctan2(east, north))
        for value, expected in zip(measured, (pa, pa + 90.0), strict=True):
            assert (value - expected + 180) % 360 - 180 == pytest.approx(0.0, abs=0.1)


def test_every_system_of_ecoordconv(cal) -> None:
    geometry = CameraGeometry.from_calibration(cal, "EPN", 6e8)
    pointing = (0.01, -89.95, 33.0)
    detx, dety = np.meshgrid(np.arange(-15000.0, 14000.0, 3333), np.arange(-15000.0, 14000.0, 3333))
    reference = ecoordconv(geometry, detx, dety, "det", pointing=pointing)
    assert reference.ccd.shape == detx.shape
    on = reference.ccd > 0
    assert on.mean() > 0.9
    for system, first, second in (
        ("eqpos", reference.ra_deg, reference.dec_deg),
        ("pos", reference.x, reference.y),
        ("tel", reference.theta_arcsec, reference.phi_rad),
    ):
        other = ecoordconv(geometry, first, second, system, pointing=pointing)
        np.testing.assert_allclose(other.detx, detx, atol=1e-3)
        np.testing.assert_allclose(other.rawy, reference.rawy, atol=1e-4)
        np.testing.assert_array_equal(other.ccd, reference.ccd)
    raw = ecoordconv(
        geometry, reference.rawx[on], reference.rawy[on], "raw", pointing=pointing, ccd=reference.ccd[on]
    )
    np.testing.assert_allclose(raw.dety, dety[on], atol=1e-6)
    # Between the CCDs: pixel of the nearest one, beyond its edge.
    gap = ecoordconv(geometry, -2201.0487, -1503.7256, "det", pointing=pointing)
    assert int(gap.ccd) == 0
    assert float(gap.rawx) == pytest.approx(-0.206423, abs=0.01)
    assert float(gap.rawy) == pytest.approx(195.92651, abs=0.01)
    assert ccds_of_circle(geometry, -2201.0, -1110.0, 400.0) == [1, 4, 7, 10]
    with pytest.raises(ValueError, match="RAW coordinates need a CCD"):
        ecoordconv(geometry, 1.0, 1.0, "raw", pointing=pointing)
    with pytest.raises(ValueError, match="coordinate system 'galactic'"):
        ecoordconv(geometry, 1.0, 1.0, "galactic", pointing=pointing)
    with pytest.raises(ValueError, match="no such CCD"):
        geometry.raw_to_det(13, 1.0, 1.0)


def test_thermal_contraction(cal) -> None:
    keywords = cal.constituent("EPN", "LINCOORD")
    if "EXP_CHIP" not in keywords.header("LINCOORD"):
        with pytest.raises(UnknownLayout, match="EXP_CHIP"):
            CameraGeometry.from_calibration(cal, "EPN", 6e8, chip_temperature_k=183.0)
        return
    nominal = CameraGeometry.from_calibration(cal, "EPN", 6e8)
    cold = CameraGeometry.from_calibration(cal, "EPN", 6e8, chip_temperature_k=183.0)
    shift = np.hypot(*np.subtract(cold.raw_to_det(4, 64, 200), nominal.raw_to_det(4, 64, 200)))
    assert 0 < shift < 5


@pytest.mark.parametrize("instrument", CAMERAS)
def test_real_rows_with_the_synthetic_set(cal, instrument: str, real_rows) -> None:
    rows = real_rows[instrument]
    geometry = CameraGeometry.from_calibration(cal, instrument, 1.31e8, heights=False)
    ccd, rawx, rawy = geometry.det_to_raw(rows["DETX"], rows["DETY"])
    np.testing.assert_array_equal(ccd, rows["centred_ccd"])
    on = ccd > 0
    np.testing.assert_allclose(rawx[on], rows["RAWX"][on], rtol=0, atol=0.01)
    np.testing.assert_allclose(rawy[on], rows["RAWY"][on], rtol=0, atol=0.01)
    theta, phi = geometry.det_to_tel(rows["DETX"], rows["DETY"])
    np.testing.assert_allclose(theta, rows["theta_arcsec"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(phi, rows["phi_rad"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("instrument", CAMERAS)
def test_real_rows_are_printed_alike(cal, instrument: str, shared_data: Path) -> None:
    """Right ascensions and declinations in ecoordconv's own digits, as texts."""
    from daxa.simulate.cameras.camera import REFERENCE_TIME_S

    name = {"EMOS1": "mos1", "EMOS2": "mos2", "EPN": "pn"}[instrument]
    with open(shared_data / "ecoordconv_0203930101" / f"ecoordconv_{name}.csv") as handle:
        rows = list(csv.DictReader(handle))
    geometry = CameraGeometry.from_calibration(cal, instrument, REFERENCE_TIME_S)
    pointing = (266.9655, -28.4658333333, 271.93)
    same = {"RA": 0, "DEC": 0}
    for row in rows:
        where = ecoordconv(geometry, float(row["DETX"]), float(row["DETY"]), "det", pointing=pointing)
        line = next(text for text in format_coordinates(where, None, []) if "RA:" in text)
        for key, text in zip(same, line.split()[-2:], strict=True):
            same[key] += text == row[key]
    assert len(rows) == same["RA"] == 219
    assert same["DEC"] >= 218


def test_source_pixel_printed_by_real_processing(cal) -> None:
    geometry = CameraGeometry.from_calibration(cal, "EPN", 6.2593e8)
    detx, dety = geometry.sky_to_det(150.490835, 55.679722, 150.485625, 55.708722, 117.190536)
    ccd, rawx, rawy = geometry.det_to_raw(detx, dety)
    assert int(ccd) == 4
    assert float(rawx) == pytest.approx(37.28, abs=0.1)
    assert float(rawy) == pytest.approx(190.94, abs=0.1)


@pytest.mark.parametrize("instrument", CAMERAS)
def test_covered_pixels_are_those_that_the_detector_plane_gives_to_another_ccd(cal, instrument):
    geometry = CameraGeometry.from_calibration(cal, instrument, 6.0e8)
    for ccd in geometry.ccds.tolist():
        nx, ny = geometry.shape(ccd)
        rawx, rawy = np.meshgrid(np.arange(1, nx + 1), np.arange(1, ny + 1))
        owner = geometry.det_to_raw(*geometry.raw_to_det(ccd, rawx, rawy))[0]
        np.testing.assert_array_equal(geometry.covered(ccd), owner != ccd)
    assert geometry.covered(1).any() == (instrument != "EPN")


@given(st.sampled_from(CAMERAS), ra, dec, angle, st.integers(0, 2**30))
@settings(max_examples=40)
def test_events_to_the_sky_plane_and_back(cal, instrument, ra_pnt, dec_pnt, pa, seed) -> None:
    geometry = CameraGeometry.from_calibration(cal, instrument, 5e8)
    detx, dety = np.random.default_rng(seed).integers(-18000, 18000, (2, 50)).astype(np.int16)
    attitude = Attitude.fixed(ra_pnt, dec_pnt, pa)
    x, y = sky_coordinates(np.arange(50.0), detx, dety, geometry, attitude, ra_pnt, dec_pnt)
    sky = from_xy(x, y, ra_pnt, dec_pnt)
    back = geometry.sky_to_det(*sky, ra_pnt, dec_pnt, pa)
    # X and Y are rounded to units as large as those of DETX and DETY.
    assert np.hypot(back[0] - detx, back[1] - dety).max() < np.sqrt(0.5) + 1e-3
