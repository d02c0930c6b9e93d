"""RAW to sky against real results of ecoordconv."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.xmm.sky.tangent import from_xy, to_xy

CAMERAS = ("EMOS1", "EMOS2", "EPN")


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
    np.testing.assert_allclose(ra, rows["RA"], rtol=0, atol=6e-6)
    np.testing.assert_allclose(dec, rows["DEC"], rtol=0, atol=1e-6)
    x, y = to_xy(ra, dec, *geometry_set.tangent)
    np.testing.assert_allclose(x, rows["X"], rtol=0, atol=0.1)
    np.testing.assert_allclose(y, rows["Y"], rtol=0, atol=0.1)
    ra, dec = from_xy(rows["X"], rows["Y"], *geometry_set.tangent)
    detx, dety = geometry.sky_to_det(ra, dec, *geometry_set.pointing)
    np.testing.assert_allclose(detx, rows["DETX"], rtol=0, atol=0.1)
    np.testing.assert_allclose(dety, rows["DETY"], rtol=0, atol=0.1)
