"""RAW to sky against real results of ecoordconv."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.sky.tangent import from_xy, to_xy

CAMERAS = ("EMOS1", "EMOS2", "EPN")
RA_DIGIT, DEC_DIGIT = 1e-5, 1e-6


@pytest.mark.parametrize(
    ("instrument", "angle", "change"),
    [
        ("EMOS1", "PSI", lambda psi: psi + 90.0),
        ("EMOS2", "PSI", lambda psi: -psi),
        ("EPN", "PSI", lambda psi: psi - 90.0),
        ("EPN", "PHI", lambda phi: phi + 180.0),
        ("EMOS1", "THETA", lambda theta: theta + 3.0),
    ],
)
def test_boresight_angles_of_another_frame_are_refused(
    synthetic_ccf, tmp_path, instrument: str, angle: str, change
) -> None:
    for path in synthetic_ccf.glob("*.CCF"):
        (tmp_path / path.name).symlink_to(path)
    path = tmp_path / "XMM_BORESIGHT_0035.CCF"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    with fits.open(path, mode="update") as hdus:
        table = hdus["BORESIGHT"].data
        row = [name.strip() for name in table["INSTRUMENT_ID"]].index(instrument)
        table[f"EULER_{angle}"][row] = change(table[f"EULER_{angle}"][row])
    cal = Calibration.for_observation([tmp_path], "2017-11-01")
    with pytest.raises(UnknownLayout, match=f"angles for {instrument} put .* they mean another frame"):
        CameraGeometry.from_calibration(cal, instrument, 6e8)
    other = next(i for i in CAMERAS if i != instrument)
    assert CameraGeometry.from_calibration(cal, other, 6e8).instrument == other


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows, header: rows[rows["CCD_ID"] != 4], "CCD_ID: no row of CCD 4, node 0"),
        (lambda rows, header: header.set("MM_PX_Y", 0.0) or rows, "keyword MM_PX_Y: 0 is not a size"),
        (lambda rows, header: rows[rows["CCD_ID"] < 0], "no rows"),
        (
            lambda rows, header: header.set("MM_PX_X", "wide") or rows,
            "keyword MM_PX_X: 'wide' is not a number",
        ),
        (lambda rows, header: header.set("CC12_TX", True) or rows, "keyword CC12_TX: True is not a number"),
    ],
)
def test_alignment_that_lacks_something_is_refused_by_name(synthetic_ccf, tmp_path, change, message) -> None:
    (source,) = synthetic_ccf.glob("EPN_LINCOORD_*.CCF")
    for path in synthetic_ccf.glob("*.CCF"):
        if path != source:
            (tmp_path / path.name).symlink_to(path)
    with fits.open(source) as hdus:
        table = hdus["LINCOORD"]
        rows = change(table.data, table.header)
        hdus["LINCOORD"] = fits.BinTableHDU(rows, table.header, "LINCOORD")
        hdus.writeto(tmp_path / source.name)
    cal = Calibration.for_observation([tmp_path], "2017-11-01")
    with pytest.raises(UnknownLayout, match=rf"{source.name}\[LINCOORD\].*{message}"):
        CameraGeometry.from_calibration(cal, "EPN", 6.26e8)
