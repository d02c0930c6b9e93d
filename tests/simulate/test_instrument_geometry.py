"""The simulated cameras against coordinates and masks that the real software made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.simulate.cameras.camera import (
    CAMERAS,
    DET_RAD,
    J2000_S,
    REFERENCE_TIME_S,
    Camera,
    attitude_rotation,
)
from daxa.simulate.numbers import cameras as numbers

FILES = {"M1": "mos1", "M2": "mos2", "PN": "pn"}
#: ecoordconv takes all chips to lie in the focal plane.
IN_PLANE = {code: Camera(code, heights=False) for code in CAMERAS}
codes = pytest.mark.parametrize("code", list(CAMERAS))


def real_rows(shared_data, code):
    path = shared_data / "ecoordconv_0203930101" / f"ecoordconv_{FILES[code]}.csv"
    table = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="ascii")
    return table


def tangent(ra, dec, ra0, dec0):
    """X, Y of sky directions, 25921 at the tangent point."""
    ra, dec, ra0, dec0 = map(np.deg2rad, (ra, dec, ra0, dec0))
    c = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    xi = np.cos(dec) * np.sin(ra - ra0) / c
    eta = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)) / c
    return 25921 - xi / DET_RAD, 25921 + eta / DET_RAD


def untangent(x, y, ra0, dec0):
    """RA, Dec [deg] of X, Y."""
    xi, eta = -(x - 25921) * DET_RAD, (y - 25921) * DET_RAD
    ra0, dec0 = np.deg2rad(ra0), np.deg2rad(dec0)
    side = np.cos(dec0) - eta * np.sin(dec0)
    ra = np.rad2deg(ra0 + np.arctan2(xi, side))
    return ra, np.rad2deg(np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(side, xi)))


@codes
def test_positions_of_chips_are_a_fit_to_every_second_row(shared_data, code):
    rows = real_rows(shared_data, code)[::2]
    camera = IN_PLANE[code]
    fitted = 0
    for ccd in np.unique(rows["centred_ccd"][rows["centred_ccd"] > 0]):
        turns, cx, cy = camera.layout[ccd]
        turn = 1j**turns
        here = rows[rows["centred_ccd"] == ccd]
        local = turn * (here["RAWX"] * camera.pixel[0] + 1j * here["RAWY"] * camera.pixel[1])
        offset = here["DETX"] + 1j * here["DETY"] - local
        fitted += len(here)
        assert np.abs(offset.mean() - (cx + 1j * cy)) < 0.01
        assert np.abs(offset - offset.mean()).max() < 0.02
    assert fitted > 80


@codes
def test_pixels_of_the_other_rows(shared_data, code):
    rows = real_rows(shared_data, code)[1::2]
    camera = IN_PLANE[code]
    ccd, rawx, rawy = camera.det_to_raw(rows["DETX"], rows["DETY"])
    np.testing.assert_array_equal(ccd, rows["centred_ccd"])
    on_chip = ccd > 0
    assert np.abs(rawx - rows["RAWX"])[on_chip].max() < 0.001
    assert np.abs(rawy - rows["RAWY"])[on_chip].max() < 0.001
    detx, dety = camera.raw_to_det(ccd[on_chip], rows["RAWX"][on_chip], rows["RAWY"][on_chip])
    assert np.abs(detx - rows["DETX"][on_chip]).max() < 0.02
    assert np.abs(dety - rows["DETY"][on_chip]).max() < 0.02


@codes
def test_angles_from_the_optical_axis(shared_data, code):
    rows = real_rows(shared_data, code)
    theta, phi = CAMERAS[code].off_axis(rows["DETX"], rows["DETY"])
    assert np.abs(theta * 60 - rows["theta_arcsec"]).max() < 0.001
    # Near the axis the azimuth hangs on the last printed digit of theta.
    far = rows["theta_arcsec"] > 10
    assert np.abs(phi - rows["phi_rad"])[far].max() < 1e-5


@codes
def test_sky_with_one_attitude_for_the_three_cameras(shared_data, code):
    rows = real_rows(shared_data, code)
    camera = CAMERAS[code]
    ra, dec = camera.det_to_sky(rows["DETX"], rows["DETY"], *numbers.REFERENCE_ATTITUDE)
    # RA is printed to 1e-5 deg, Dec to 1e-6 deg.
    assert np.abs(ra - rows["RA"]).max() < 0.5e-5
    assert np.abs(dec - rows["DEC"]).max() < 0.505e-6
    x, y = tangent(ra, dec, *numbers.REFERENCE_ATTITUDE[:2])
    assert np.abs(x - rows["X"]).max() < 0.004
    assert np.abs(y - rows["Y"]).max() < 0.004


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("M1", "PN", (3.596, -15.761)), ("M2", "PN", (7.261, -7.297))],
)
def test_centre_of_one_camera_in_another(first, second, expected):
    pointing = numbers.REFERENCE_ATTITUDE
    centre = CAMERAS[second].det_to_sky(0.0, 0.0, *pointing)
    x, y = CAMERAS[first].sky_to_det(*centre, *pointing)
    assert (0.05 * float(x), 0.05 * float(y)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("day", "pointing", "target", "pixel"),
    [
        (395.0, (49.9778333, 41.4933056, 261.9631958), (49.9506675, 41.5116944), (35.7383, 187.9414)),
        (4905.0, (15.6453333, -21.8715833, 56.0270386), (15.673749, -21.8806111), (37.1828, 189.0533)),
        (5220.0, (287.7573333, 9.1205278, 78.158371), (287.777499, 9.1), (38.3595, 190.7582)),
        (6514.0, (150.485625, 55.708722, 117.190536), (150.490835, 55.679722), (37.28, 190.94)),
        (7131.0, (202.4955833, 47.2055, 286.7302856), (202.4833335, 47.2333333), (37.7090, 190.9017)),
        (7614.0, (147.452625, 17.1264722, 114.2157135), (147.4575, 17.0983889), (37.2447, 190.2809)),
    ],
)
def test_targets_of_six_observations_fall_where_the_pipeline_put_them(day, pointing, target, pixel):
    ccd, rawx, rawy = CAMERAS["PN"].sky_to_raw(*target, *pointing, J2000_S + 86400 * day)
    assert ccd == 4
    assert (float(rawx), float(rawy)) == pytest.approx(pixel, abs=0.01)


def test_pointing_falls_where_real_cameras_have_it():
    pointing = numbers.REFERENCE_ATTITUDE
    expected = {"PN": (-1059.87, 1487.40), "M1": (-1419.47, -1369.50), "M2": (1191.87, -1642.68)}
    for code, det in expected.items():
        detx, dety = CAMERAS[code].sky_to_det(*pointing[:2], *pointing)
        assert (float(detx), float(dety)) == pytest.approx(det, abs=0.5)


@codes
@settings(max_examples=60)
@given(
    ra=st.floats(0, 360),
    dec=st.floats(-90, 90),
    pa=st.floats(0, 360),
    time=st.floats(0, 9e8),
    place=st.integers(0, 2**30),
)
def test_sky_to_raw_and_back(code, ra, dec, pa, time, place):
    camera = CAMERAS[code]
    rng = np.random.default_rng(place)
    ccd = rng.choice(camera.ccds, 50)
    rawx, rawy = rng.uniform(0.5, camera.nx + 0.49, 50), rng.uniform(0.5, camera.ny + 0.49, 50)
    detx, dety = camera.raw_to_det(ccd, rawx, rawy)
    on_sky = camera.det_to_sky(detx, dety, ra, dec, pa, time)
    back = camera.sky_to_det(*on_sky, ra, dec, pa, time)
    assert np.abs(back[0] - detx).max() < 1e-3
    assert np.abs(back[1] - dety).max() < 1e-3
    ccd2, rawx2, rawy2 = camera.sky_to_raw(*on_sky, ra, dec, pa, time)
    # A pixel that another chip covers comes back as that chip's.
    same = ccd2 == ccd
    assert same.sum() > 35
    assert np.abs(rawx2 - rawx)[same].max() < 1e-3
    assert np.abs(rawy2 - rawy)[same].max() < 1e-3


def test_attitudes_may_be_arrays():
    camera = CAMERAS["M2"]
    rng = np.random.default_rng(1)
    ra, dec = 10 + rng.uniform(-0.2, 0.2, 20), -30 + rng.uniform(-0.2, 0.2, 20)
    pointing = 10 + rng.uniform(0, 0.01, 20), -30 + rng.uniform(0, 0.01, 20), rng.uniform(0, 360, 20)
    together = np.array(camera.sky_to_det(ra, dec, *pointing))
    single = [camera.sky_to_det(ra[i], dec[i], *(p[i] for p in pointing)) for i in range(20)]
    np.testing.assert_allclose(together.T, single, atol=1e-6)


def test_directions_behind_the_camera_hit_nothing():
    ccd, rawx, _ = CAMERAS["PN"].sky_to_raw(np.array([180.0]), np.array([0.0]), 0.0, 0.0, 0.0)
    assert ccd[0] == 0
    assert np.isnan(rawx[0])


def test_axes_of_an_attitude():
    axes = attitude_rotation(0.0, 0.0, 90.0).as_matrix()
    # At (0, 0) north is +z and east is +y: the axis at PA 90 points east, the one at PA 180 south.
    np.testing.assert_allclose(axes, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)


def mask_grid(shared_data, name, pointing):
    from astropy.io import fits

    with fits.open(shared_data / "masks" / f"{name}_mask.fits.gz") as hdus:
        mask = np.asarray(hdus["MASK"].data) > 0
    row, column = np.indices(mask.shape)
    return mask, untangent(3425.5 + 50 * column, 3425.5 + 50 * row, *pointing[:2])


@pytest.mark.parametrize(
    ("code", "name", "limit", "share"),
    [("M1", "MOS1", 120, 0.04), ("M2", "MOS2", 70, 0.003), ("PN", "PN", 130, 0.007)],
)
def test_outline_against_a_real_mask(shared_data, code, name, limit, share):
    """Of the 216,000 to 335,000 mask pixels few, all at the edge of the field, are over a pixel off."""
    from scipy.ndimage import binary_closing, binary_dilation, binary_erosion

    pointing = (147.452625, 17.1264722222222, 114.215713500977)
    mask, (ra, dec) = mask_grid(shared_data, name, pointing)
    camera = CAMERAS[code]
    detx, dety = camera.sky_to_det(ra.ravel(), dec.ravel(), *pointing, J2000_S + 86400 * 7614.2)
    ccd, _, _ = camera.det_to_raw(detx, dety)
    model = ((ccd > 0) & camera.in_fov(detx, dety)).reshape(mask.shape)
    box = np.ones((3, 3), bool)
    stray = mask & ~binary_dilation(model, box)
    assert stray.sum() < limit
    radius = np.hypot(detx + (2200 if code == "PN" else 0), dety + (1100 if code == "PN" else 0))
    assert radius.reshape(mask.shape)[stray].min() > 16500
    # Gaps between chips: never lit in the mask.
    gap = (ccd == 0).reshape(mask.shape) & camera.in_fov(detx, dety).reshape(mask.shape)
    assert not (mask & binary_erosion(gap, box)).any()
    # What the mask lacks of chips that were on are bad columns and rows, and rims of a few pixels.
    working = [c for c in camera.ccds if mask.ravel()[ccd == c].mean() > 0.1]
    missing = model & np.isin(ccd, working).reshape(mask.shape) & ~mask
    assert missing.sum() < 0.17 * model.sum()
    # A flat field falls on the mask to a pixel, once columns that the mask lacks are filled; of MOS1 a part
    # of CCD 4 is dark.
    _, _, rawy = camera.det_to_raw(detx, dety)
    field = model & np.isin(ccd, working).reshape(mask.shape)
    if code == "PN":
        field &= (rawy > 12.5).reshape(mask.shape)
    filled = binary_dilation(binary_closing(mask, np.ones((9, 9))), box)
    assert (field & ~filled).sum() < share * field.sum()
    if code == "PN":
        below = (rawy < 11.5).reshape(mask.shape)
        assert (mask & below).sum() < 0.02 * (model & below).sum()


def test_pn_in_detector_coordinates(shared_data):
    from astropy.io import fits

    with fits.open(shared_data / "masks" / "pn_mask_500_2000_detxy_1x.ds.gz") as hdus:
        mask = np.asarray(hdus[0].data) > 0
    row, column = np.indices(mask.shape)
    detx, dety = -18243.5 + 80.0 * column, -17487.5 + 80.0 * row
    camera = CAMERAS["PN"]
    ccd, _, rawy = camera.det_to_raw(detx, dety)
    from scipy.ndimage import binary_dilation

    model = (ccd > 0) & camera.in_fov(detx, dety)
    stray = mask & ~binary_dilation(model, np.ones((3, 3)))
    assert stray.sum() < 0.002 * mask.sum()
    lit = model & (np.nan_to_num(rawy) > 13)
    assert (mask & lit).sum() > 0.9 * lit.sum()


def test_pn_field_of_view_and_bad_pixels_against_real_pixel_masks(shared_data):
    """The masks leave out the field's edge, rows 1 to 12, and bad pixels with their eight neighbours."""
    from astropy.io import fits
    from scipy.ndimage import binary_dilation

    camera = CAMERAS["PN"]
    x, y = np.meshgrid(np.arange(1, 65), np.arange(1, 201), indexing="ij")
    differing = 0
    with fits.open(shared_data / "epic_pn_0124710801" / "P0124710801PNS001FBKTSR0000.FTZ") as hdus:
        for ccd in camera.ccds:
            kept = np.asarray(hdus["MASK" if ccd == 1 else f"BLK{ccd:03d}01"].data).T > 0
            detx, dety = camera.raw_to_det(ccd, x, y)
            bad = binary_dilation(camera.bad_pixel_mask(ccd) & (y > 12), np.ones((3, 3)))
            wrong = kept != (camera.in_fov(detx, dety) & (y > 12) & ~bad)
            differing += wrong.sum()
            # Two neighbours of a bad pixel in row 12 apart, only the edge of the field differs.
            edge = np.abs(np.hypot(detx + 2200, dety + 1100) - 17924) < 150
            assert not (wrong & ~edge & (y > 13)).any()
    assert differing <= 200


def test_times_of_modes():
    pn = CAMERAS["PN"].mode("PrimeFullWindow")
    assert pn.integration_s == pytest.approx(0.0687022, abs=1e-7)
    assert CAMERAS["PN"].mode("PrimeFullWindowExtended").integration_s == pytest.approx(0.194531, abs=1e-6)
    assert [pn.delay_s(ccd) for ccd in (1, 2, 3, 4)] == [0.05123388, 0.04512348, 0.03901328, 0.05123388]
    assert pn.oot_fraction == 0.063
    mos = CAMERAS["M1"].mode("PrimeFullWindow")
    assert (mos.frame_time_s, mos.window[3], mos.image(3)) == (2.6, (0, 0, 610, 602), (1, 1, 600, 600))
    assert CAMERAS["M1"].mode("PrimePartialW2").image(1) == (251, 252, 100, 100)
    with pytest.raises(ValueError, match="EMOS1 has no mode 'PrimeSmallWindow'"):
        CAMERAS["M1"].mode("PrimeSmallWindow")


def test_boresight_drift_is_none_in_the_reference_field():
    camera = CAMERAS["M1"]
    still = np.array(camera.boresight_deg) + camera.drift_arcsec(REFERENCE_TIME_S) / 3600
    np.testing.assert_allclose(camera.camera_rotation().as_euler("ZYX", degrees=True), still, atol=1e-12)
