"""RAW to sky against real results of ecoordconv."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.xmm.sky.tangent import from_xy, to_xy

CAMERAS = ("EMOS1", "EMOS2", "EPN")
RA_DIGIT, DEC_DIGIT = 1e-5, 1e-6


@pytest.mark.parametrize("instrument", CAMERAS)
def test_pixels_of_real_rows(geometry_set, geometries, instrument: str) -> None:
    rows, geometry = geometry_set.rows[instrument], geometries[instrument]
    ccd, rawx, rawy = geometry.det_to_raw(rows["DETX"], rows["DETY"])
    np.testing.assert_array_equal(ccd, rows["centred_ccd"])
    on = ccd > 0
    np.testing.assert_allclose(rawx[on], rows["RAWX"][on], rtol=0, atol=0.01)
    np.testing.assert_allclose(rawy[on], rows["RAWY"][on], rtol=0, atol=0.01)
    detx, dety = geometry.raw_to_det(ccd[on], rawx[on], rawy[on])
    np.testing.assert_allclose(detx, rows["DETX"][on], rtol=0, atol=1e-6)
    np.testing.assert_allclose(dety, rows["DETY"][on], rtol=0, atol=1e-6)


@pytest.mark.parametrize("instrument", CAMERAS)
def test_telescope_angles_of_real_rows(geometry_set, geometries, instrument: str) -> None:
    rows, geometry = geometry_set.rows[instrument], geometries[instrument]
    theta, phi = geometry.det_to_tel(rows["DETX"], rows["DETY"])
    np.testing.assert_allclose(theta, rows["theta_arcsec"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(phi, rows["phi_rad"], rtol=0, atol=1e-5)
    detx, dety = geometry.tel_to_det(theta, phi)
    np.testing.assert_allclose(detx, rows["DETX"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(dety, rows["DETY"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("instrument", CAMERAS)
def test_sky_of_real_rows(geometry_set, geometries, instrument: str) -> None:
    rows, geometry = geometry_set.rows[instrument], geometries[instrument]
    ra, dec = geometry.det_to_sky(rows["DETX"], rows["DETY"], *geometry_set.pointing)
    # Within the printed digits: RA to 1e-5, Dec to 1e-6 degrees (and 2e-9 for the digits of DETX and DETY).
    np.testing.assert_allclose(ra, rows["RA"], rtol=0, atol=RA_DIGIT / 2)
    np.testing.assert_allclose(dec, rows["DEC"], rtol=0, atol=DEC_DIGIT / 2 + 2e-9)
    x, y = to_xy(ra, dec, *geometry_set.tangent)
    np.testing.assert_allclose(x, rows["X"], rtol=0, atol=0.004)
    np.testing.assert_allclose(y, rows["Y"], rtol=0, atol=0.004)
    ra, dec = from_xy(rows["X"], rows["Y"], *geometry_set.tangent)
    detx, dety = geometry.sky_to_det(ra, dec, *geometry_set.pointing)
    np.testing.assert_allclose(detx, rows["DETX"], rtol=0, atol=0.004)
    np.testing.assert_allclose(dety, rows["DETY"], rtol=0, atol=0.004)


def test_printed_digits_are_rounded_and_fix_the_tangent_point(geometry_set, real_rows) -> None:
    rows = real_rows["EPN"]
    ra, dec = from_xy(rows["X"], rows["Y"], *geometry_set.tangent)
    # X and Y scatter by up to 0.003 unit (4e-8 degrees) about the printed DETX and DETY.
    off_ra, off_dec = ra - rows["RA"], dec - rows["DEC"]
    assert np.abs(off_ra).max() < RA_DIGIT / 2 + 2e-8
    assert np.abs(off_dec).max() < DEC_DIGIT / 2 + 2e-8
    # Cut off instead of rounded they would lie half a digit to one side.
    assert abs(off_ra.mean()) < 0.1 * RA_DIGIT
    assert abs(off_dec.mean()) < 0.1 * DEC_DIGIT
    for shift in (6e-8, -6e-8):
        elsewhere = from_xy(rows["X"], rows["Y"], geometry_set.tangent[0], geometry_set.tangent[1] + shift)
        assert np.abs(elsewhere[1] - rows["DEC"]).max() > DEC_DIGIT / 2 + 2e-8
