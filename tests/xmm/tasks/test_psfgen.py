"""Images of the point-spread function."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.response.psf import King, PointSpread
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.task import run_task

POINTING = (150.0, 2.0, 110.0)
DATE = "2012-05-14T00:00:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, synthetic_ccf: Path) -> Path:
    path = tmp_path_factory.mktemp("psfgen")
    given = {"calindexset": "ccf.cif", "withobservationdate": True, "observationdate": DATE}
    run_task("cifbuild", given, cwd=path, env={"SAS_CCFPATH": str(synthetic_ccf)}, out=io.StringIO())
    image = fits.PrimaryHDU(np.zeros((4, 4), "i4"))
    image.header.update({"INSTRUME": "EPN", "DATE-OBS": DATE})
    image.header.update(dict(zip(("RA_PNT", "DEC_PNT", "PA_PNT"), POINTING, strict=True)))
    image.writeto(path / "image.fits")
    return path


def run(folder: Path, ccf: Path, **given) -> tuple[str, str]:
    """What was printed and what was warned of."""
    out, err = io.StringIO(), io.StringIO()
    environment = {
        "SAS_CCFPATH": str(ccf), "SAS_CCF": str(folder / "ccf.cif"), "DAXA_SYNTHETIC_CALIBRATION": "allow"
    }  # fmt: skip
    given = {"image": "image.fits", "coordtype": "EQPOS", **given}
    run_task("psfgen", given, cwd=folder, env=environment, out=out, err=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(("level", "side"), [("ELLBETA", 1.0), ("MEDIUM", 1.1), ("EXTENDED", 1.0)])
def test_image_is_the_profile_at_its_place(level: str, side: float, folder: Path, synthetic_ccf: Path):
    ra, dec = 150.05, 2.08
    given = {"xsize": 201, "ysize": 101, "x": ra, "y": dec, "output": "psf.fits", "energy": "1000 4000"}
    _, said = run(folder, synthetic_ccf, level=level, **given)
    assert ("kingProfile" in said) == (level != "EXTENDED")
    cal = Calibration.for_observation([synthetic_ccf], DATE)
    geometry = CameraGeometry.from_calibration(cal, "EPN", utc_to_tt(DATE), heights=False)
    detx, dety = geometry.sky_to_det(ra, dec, *POINTING)
    theta = float(geometry.det_to_tel(detx, dety)[0]) / 60
    with fits.open(folder / "psf.fits") as hdus:
        assert [h.name for h in hdus] == ["PRIMARY", "PSF2"]
        for hdu, energy in zip(hdus, (1000, 4000), strict=True):
            king = PointSpread.from_calibration(cal, "EPN").king(energy, theta)
            assert hdu.data.shape == (101, 201)
            assert hdu.data.sum() == pytest.approx(1, rel=1e-5)
            assert (hdu.header["CRVAL1"], hdu.header["CRVAL2"]) == (ra, dec)
            assert hdu.header["THETA"] == pytest.approx(60 * theta, rel=1e-6)
            sky = WCS(hdu.header)
            assert [float(v) for v in sky.wcs_world2pix(ra, dec, 0)] == pytest.approx([100, 50], abs=1e-6)
            north = float(sky.wcs_world2pix(ra, dec + 10 / 3600, 0)[1])
            assert north == pytest.approx(50 + 10 / side, abs=1e-3)
            ratio = hdu.data[50, 100 + 20] / hdu.data[50, 100 + 5]
            expected = king.brightness((20 * side) ** 2) / king.brightness((5 * side) ** 2)
            assert ratio == pytest.approx(float(expected), rel=0.02)


def test_the_same_place_in_other_coordinates(folder: Path, synthetic_ccf: Path):
    cal = Calibration.for_observation([synthetic_ccf], DATE)
    geometry = CameraGeometry.from_calibration(cal, "EPN", utc_to_tt(DATE), heights=False)
    detx, dety = (float(v) for v in geometry.sky_to_det(150.05, 2.08, *POINTING))
    theta, phi = (float(v) for v in geometry.det_to_tel(detx, dety))
    ccd, rawx, rawy = (float(v) for v in geometry.det_to_raw(detx, dety))
    places = [
        ({}, (150.05, 2.08)),
        ({"coordtype": "DET"}, (detx, dety)),
        ({"coortype": "TEL"}, (theta, phi)),
        ({"coordtype": "RAW", "ccdnr": int(ccd)}, (rawx, rawy)),
    ]
    for given, (x, y) in places:
        printed, _ = run(folder, synthetic_ccf, x=x, y=y, **given)
        assert f"instrument=EPN theta={theta:.2f}" in printed
    printed, _ = run(folder, synthetic_ccf, image="", instrument="M1", theta=120)
    assert "instrument=EMOS1 theta=120.000" in printed


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"image": "none.fits"}, "noFile"),
        ({"image": "ccf.cif"}, "badInstrument"),
        ({"image": ""}, "badInstrument"),
        ({"x": 720.0}, "badParameter"),
        ({"x": 330.0, "y": -2.0}, "badParameter"),
        ({"x": None}, "missingParameter"),
        ({"level": "BEST"}, "badParameter"),
    ],
)
def test_mistakes_are_named(given: dict, code: str, folder: Path, synthetic_ccf: Path):
    with pytest.raises(TaskError) as refused:
        run(folder, synthetic_ccf, **{"x": 150.0, "y": 2.0, "output": "bad.fits", **given})
    assert refused.value.code == code
    assert not (folder / "bad.fits").exists()


def test_a_file_with_elliptical_profiles_encloses_what_documents_say(synthetic_ccf: Path, tmp_path: Path):
    for instrument, name, shares in (
        ("EPN", "XRT3", {15: 0.71, 30: 0.88, 60: 0.95}),
        ("EMOS2", "XRT2", {15: 0.69, 30: 0.83, 60: 0.93}),
    ):
        path = next(synthetic_ccf.glob(f"{name}_XPSF_*"))
        with fits.open(path) as hdus:
            hdus.append(fits.BinTableHDU.from_columns([fits.Column("ENERGY", "E", array=[1.0])]))
            hdus[-1].name = "ELLBETA_PARAMS"
            hdus.writeto(tmp_path / path.name)
        for other in synthetic_ccf.glob("XMM_MISCDATA*"):
            (tmp_path / other.name).write_bytes(other.read_bytes())
        cal = Calibration.for_observation([tmp_path], DATE)
        psf, why = PointSpread.elliptical(cal, instrument)
        assert path.name in why
        king = psf.king(1500, 0)
        assert isinstance(king, King)
        for radius, share in shares.items():
            assert float(king.enclosed(radius)) == pytest.approx(share, rel=0.015)
        if instrument == "EPN":
            assert float(psf.king(4000, 1.86).enclosed(40)) == pytest.approx(0.905, rel=0.01)
