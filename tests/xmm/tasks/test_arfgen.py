"""Areas behind spectra, beside the calibration and real ones."""

import gzip
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_spectra import POINTING, write_spectrum

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError
from daxa.xmm.response.area import effective_area, mirror_area
from daxa.xmm.response.patterns import pattern_efficiencies
from daxa.xmm.select.regions import Shape
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.task import run_task

PAIR = "responses/pn_0694651201_0304030601"
DATE = "2012-05-14T00:00:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, synthetic_ccf: Path) -> Path:
    path = tmp_path_factory.mktemp("arfgen")
    return with_index(path, synthetic_ccf, DATE)


def with_index(folder: Path, ccf: Path, date: str) -> Path:
    given = {"calindexset": "ccf.cif", "withobservationdate": True, "observationdate": date}
    run_task("cifbuild", given, cwd=folder, env={"SAS_CCFPATH": str(ccf)}, out=io.StringIO())
    return folder


def made(folder: Path, ccf: Path, **given) -> tuple[np.ndarray, np.ndarray, str]:
    """Energies [eV], areas [cm^2] and what was warned of."""
    err = io.StringIO()
    environment = {
        "SAS_CCFPATH": str(ccf), "SAS_CCF": str(folder / "ccf.cif"), "DAXA_SYNTHETIC_CALIBRATION": "allow"
    }  # fmt: skip
    given = {"spectrumset": "s.fits", "arfset": "a.fits", **given}
    run_task("arfgen", given, cwd=folder, env=environment, out=io.StringIO(), err=err)
    with fits.open(folder / "a.fits") as hdus:
        data = hdus["SPECRESP"].data
        assert hdus["SPECRESP"].header["HDUCLAS2"] == "SPECRESP"
        return (
            500.0 * (data["ENERG_LO"] + data["ENERG_HI"]),
            np.array(data["SPECRESP"], float),
            err.getvalue(),
        )


def test_a_point_on_the_axis_with_its_whole_light(folder: Path, synthetic_ccf: Path):
    cal = Calibration.for_observation([synthetic_ccf], DATE)
    geometry = CameraGeometry.from_calibration(cal, "EPN", 4.5e8)
    x, y = geometry.optical_axis
    ccd = int(geometry.nearest_pixel(x, y)[0])
    write_spectrum(folder / "s.fits", Shape("circle", (x, y, 800)), columns=("DETX", "DETY"))
    energy, area, said = made(
        folder, synthetic_ccf, modelee=False, withbadpixcorr=False, applyabsfluxcorr=True
    )
    expected = effective_area(cal, "EPN", energy, filter_name="Thin1", ccd=ccd)
    np.testing.assert_allclose(area, expected, rtol=2e-3, atol=0.01)
    assert said == ""
    # The share of a King profile in 40 arcsec.
    _, share, said = made(folder, synthetic_ccf, withbadpixcorr=False, applyabsfluxcorr=True)
    from daxa.xmm.response.psf import PointSpread

    psf = PointSpread.from_calibration(cal, "EPN")
    at = np.searchsorted(energy, 1500)
    assert share[at] / area[at] == pytest.approx(float(psf.king(1500, 0).enclosed(40.0)), rel=0.01)
    assert "kingProfile" in said


def test_an_extended_source_follows_its_map(folder: Path, synthetic_ccf: Path):
    write_spectrum(
        folder / "s.fits",
        Shape("annulus", (0, 0, 8000, 9000)),
        Shape("box", (0, 0, 9000, 500, 0)),
        columns=("DETX", "DETY"),
    )
    given = {"extendedsource": True, "withbadpixcorr": False}
    energy, even, _ = made(folder, synthetic_ccf, **given)
    image = fits.PrimaryHDU(np.zeros((200, 200), "f4"))
    image.header.update(CTYPE1="DETX", CTYPE2="DETY", CRPIX1=1, CRPIX2=1, CRVAL1=-9950, CRVAL2=-9950)
    image.header.update(CDELT1=100, CDELT2=100, INSTRUME="EPN")
    image.data[95:105, :20] = 1
    image.writeto(folder / "map.fits", overwrite=True)
    _, core, _ = made(folder, synthetic_ccf, detmaptype="dataset", detmaparray="map.fits:", **given)
    at = np.searchsorted(energy, 6000)
    # Light on the left of the annulus only: the pn's axis lies to the right.
    assert core[at] != pytest.approx(even[at], rel=0.01)


def test_a_map_of_another_camera_goes_through_the_sky(folder: Path, synthetic_ccf: Path):
    write_spectrum(folder / "s.fits", Shape("circle", (26500, 24500, 900)))
    cal = Calibration.for_observation([synthetic_ccf], DATE)
    mos = CameraGeometry.from_calibration(cal, "EMOS2", 4.5e8)
    pixel = (np.arange(400) - 200) * 100 + 50.0
    x, y = np.meshgrid(pixel, pixel)
    ra, dec = mos.det_to_sky(x, y, *POINTING)
    # All light comes from one place on the sky.
    wanted = 150 - (26500 - 25921) / 72000 / np.cos(np.radians(2)), 2 + (24500 - 25921) / 72000
    near = np.hypot((ra - wanted[0]) * np.cos(np.radians(2)), dec - wanted[1]) * 3600 < 20
    image = fits.PrimaryHDU(near.astype("f4"))
    image.header.update(CTYPE1="DETX", CTYPE2="DETY", CRPIX1=1, CRPIX2=1, CRVAL1=pixel[0], CRVAL2=pixel[0])
    image.header.update(CDELT1=100, CDELT2=100, INSTRUME="EMOS2")
    image.header.update(dict(zip(("RA_PNT", "DEC_PNT", "PA_PNT"), POINTING, strict=True)))
    image.writeto(folder / "mos.fits", overwrite=True)
    given = {"extendedsource": True, "withbadpixcorr": False, "detmaptype": "dataset"}
    _, area, _ = made(folder, synthetic_ccf, detmaparray="mos.fits", **given)
    write_spectrum(folder / "s.fits", Shape("circle", (26500, 24500, 400)))
    _, narrow, _ = made(folder, synthetic_ccf, extendedsource=True, withbadpixcorr=False)
    np.testing.assert_allclose(area, narrow, rtol=2e-3, atol=0.01)


def test_what_a_gap_takes_of_an_extended_source(folder: Path, synthetic_ccf: Path):
    """By default its share of the region, as an image of the same camera holds no light there."""
    cal = Calibration.for_observation([synthetic_ccf], DATE)
    geometry = CameraGeometry.from_calibration(cal, "EPN", 4.5e8)
    # The middle of the right edge of CCD 4.
    middle = tuple(map(float, geometry.raw_to_det(4, 64.5, 100.5)))
    write_spectrum(folder / "s.fits", Shape("circle", (*middle, 800)), columns=("DETX", "DETY"))
    pixel = np.arange(-900, 901, 6.0)
    x, y = np.meshgrid(middle[0] + pixel, middle[1] + pixel)
    seen = geometry.det_to_raw(x, y)[0] > 0
    here = np.hypot(x - middle[0], y - middle[1]) < 800
    image = fits.PrimaryHDU(np.where(seen, 1.0, 0.0).astype("f4"))
    image.header.update(CTYPE1="DETX", CTYPE2="DETY", CRPIX1=1, CRPIX2=1, CRVAL1=x[0, 0], CRVAL2=y[0, 0])
    image.header.update(CDELT1=6, CDELT2=6, INSTRUME="EPN")
    image.writeto(folder / "gap.fits", overwrite=True)
    given = {"extendedsource": True, "detmaptype": "dataset", "detmaparray": "gap.fits"}
    given |= {"modeleffarea": False, "modelquantumeff": False, "modelfiltertrans": False}
    _, flat, _ = made(folder, synthetic_ccf, **given)
    assert flat[0] == pytest.approx(np.mean(seen[here]), abs=0.005)
    assert flat[0] < 0.99
    _, light, _ = made(folder, synthetic_ccf, badpixmaptype="dataset", **given)
    assert light[0] == pytest.approx(1.0, abs=0.005)


def test_the_bins_are_those_of_the_matrix(folder: Path, synthetic_ccf: Path, shared_data: Path):
    shutil.copy(shared_data / "arf_spectra_ngc7793" / "PN.rmf.gz", folder / "r.rmf.gz")
    write_spectrum(folder / "s.fits", Shape("circle", (26500, 24500, 900)))
    made(folder, synthetic_ccf, withrmfset=True, rmfset="r.rmf.gz")
    ours, matrix = fits.getdata(folder / "a.fits", 1), fits.getdata(folder / "r.rmf.gz", "MATRIX")
    for name in ("ENERG_LO", "ENERG_HI"):
        assert np.array_equal(ours[name], matrix[name])


@pytest.mark.parametrize(
    ("spectrum", "real", "low", "high"),
    [
        # Extended, no share of a point source: mirrors, vignetting.
        (f"{PAIR}/pn_ASASSN-14li.pha", f"{PAIR}/pn_ASASSN-14li.arf", 0.9955, 1.004),
        # All of the field, sources cut out. SAS weighted it with a map that is not at hand.
        ("esas_0203930101/pnS003-obj.pi.gz", "esas_0203930101/pnS003.arf", 0.97, 1.0),
    ],
)  # fmt: skip
def test_vignetting_of_real_areas(
    spectrum: str, real: str, low: float, high: float, shared_data: Path, synthetic_ccf: Path, tmp_path: Path
):
    """With the real file of the mirrors: the area over that on the axis, which no other file enters."""
    ccf = tmp_path / "ccf"
    shutil.copytree(synthetic_ccf, ccf)
    for old in ccf.glob("XRT3_XAREAEF_*"):
        old.unlink()
    shutil.copy(shared_data / "ccf" / "XRT3_XAREAEF_0012.CCF", ccf)
    raw = (shared_data / spectrum).read_bytes()
    (tmp_path / "s.fits").write_bytes(gzip.decompress(raw) if spectrum.endswith("gz") else raw)
    with_index(tmp_path, ccf, "2012-05-14T00:00:00")
    energy, area, _ = made(
        tmp_path,
        ccf,
        extendedsource=True,
        withbadpixcorr=False,
        modelquantumeff=False,
        modelfiltertrans=False,
    )
    cal = Calibration.for_observation([ccf], DATE)
    ours = area / mirror_area(cal, "EPN", energy, corrected=False)
    sas = fits.getdata(shared_data / real, 1)["SPECRESP"]
    axis = fits.getdata(shared_data / "responses/pn_onaxis/pn_thin_onaxis.arf", 1)["SPECRESP"]
    medium = 1.0
    if "esas" in real:
        # Medium over Thin1, from another real area with the vignetting of its place.
        from daxa.xmm.response.area import vignetting

        other = fits.getdata(shared_data / "responses/pn_0694651201_0304030601/pn_Mrk766.arf", 1)["SPECRESP"]
        medium = other / axis / vignetting(cal, "EPN", energy, np.full(len(energy), 1.106))
    at = (energy > 1000) & (energy < 9000)
    ratio = (ours / (sas / axis / medium))[at]
    assert low < ratio.min()
    assert ratio.max() < high


@pytest.mark.parametrize(
    ("instrument", "patterns", "names"),
    [
        ("EPN", "0", ["single"]),
        ("EPN", "1:4", ["double"]),
        ("EMOS1", ":8", ["single", "double", "triple"]),
    ],
)
def test_efficiency_of_the_patterns(
    instrument: str, patterns: str, names: list[str], folder: Path, synthetic_ccf: Path
):
    at = {"columns": ("DETX", "DETY"), "instrument": instrument}
    only = {"modeleffarea": False, "modelfiltertrans": False, "modelee": False, "withbadpixcorr": False}
    write_spectrum(folder / "s.fits", Shape("circle", (400, -400, 100)), patterns=patterns, **at)
    energy, some, said = made(folder, synthetic_ccf, modelcontamination=False, **only)
    assert said == ""
    cal = Calibration.for_observation([synthetic_ccf], DATE)
    expected = pattern_efficiencies(cal, instrument, 4 if instrument == "EPN" else 1, energy)
    np.testing.assert_allclose(some, sum(expected[name] for name in names), rtol=1e-3, atol=1e-4)
    write_spectrum(folder / "s.fits", Shape("circle", (400, -400, 100)), patterns="0:2", **at)
    _, _, said = made(folder, synthetic_ccf, modelcontamination=False, **only)
    assert ("patternEfficiency" in said) == (instrument == "EPN")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"rmfset": "none.fits", "withrmfset": True}, "noFile"),
        ({"rmfset": "s.fits", "withrmfset": True}, "badResponse"),
        ({"badpixlocation": "none.fits"}, "noFile"),
        ({"extendedsource": True, "detmaptype": "dataset", "detmaparray": "s.fits"}, "badMap"),
        ({"extendedsource": True, "detmaptype": "psf"}, "badParameter"),
    ],
)
def test_mistakes_are_named(given: dict, code: str, folder: Path, synthetic_ccf: Path):
    write_spectrum(folder / "s.fits", Shape("circle", (26500, 24500, 900)))
    (folder / "a.fits").unlink(missing_ok=True)
    with pytest.raises(TaskError) as refused:
        made(folder, synthetic_ccf, **given)
    assert refused.value.code == code
    assert not (folder / "a.fits").exists()


def test_a_region_without_a_middle_needs_a_source(folder: Path, synthetic_ccf: Path):
    write_spectrum(folder / "s.fits", Shape("polygon", (25000, 25000, 26000, 25000, 25500, 26000)))
    with pytest.raises(TaskError, match="withsourcepos=yes"):
        made(folder, synthetic_ccf)
    x, y = 25500, 25300
    _, by_plane, _ = made(folder, synthetic_ccf, withsourcepos=True, sourcecoords="pos", sourcex=x, sourcey=y)
    ra, dec = 150 - (x - 25921) / 72000 / np.cos(np.radians(2)), 2 + (y - 25921) / 72000
    _, by_sky, _ = made(folder, synthetic_ccf, withsourcepos=True, sourcex=ra, sourcey=dec)
    np.testing.assert_allclose(by_plane, by_sky, rtol=1e-4)


def test_the_light_of_one_region_in_another(folder: Path, synthetic_ccf: Path):
    from daxa.xmm.response.psf import PointSpread

    cal = Calibration.for_observation([synthetic_ccf], DATE)
    psf = PointSpread.from_calibration(cal, "EPN")
    x, y = CameraGeometry.from_calibration(cal, "EPN", 4.5e8).optical_axis
    write_spectrum(folder / "dot.fits", Shape("circle", (x, y, 40)), columns=("DETX", "DETY"))
    given = {"extendedsource": True, "withbadpixcorr": False}
    write_spectrum(folder / "s.fits", Shape("circle", (x, y, 1600)), columns=("DETX", "DETY"))
    energy, whole, _ = made(folder, synthetic_ccf, **given)
    at = np.searchsorted(energy, 1500)
    crossing = {
        **given,
        "eegridfactor": 500,
        "psfmodel": "EXTENDED",
        "crossregionarf": True,
        "crossreg_spectrumset": "dot.fits",
    }
    found = {}
    for inner, outer in ((0, 1600), (800, 1600), (1600, 3000)):
        shape = Shape("annulus", (x, y, inner, outer)) if inner else Shape("circle", (x, y, outer))
        write_spectrum(folder / "s.fits", shape, columns=("DETX", "DETY"))
        _, area, _ = made(folder, synthetic_ccf, **crossing)
        found[inner, outer] = area[at] / whole[at]
    enclosed = psf.king(1500, 0).enclosed
    for (inner, outer), share in found.items():
        expected = float(enclosed(outer / 20) - enclosed(inner / 20))
        assert share == pytest.approx(expected, rel=0.03), (inner, outer)
    # The light of a disc in the ring around it: less than that of the disc in itself, more than of a dot.
    write_spectrum(folder / "dot.fits", Shape("circle", (x, y, 1600)), columns=("DETX", "DETY"))
    _, area, _ = made(folder, synthetic_ccf, **crossing)
    assert found[1600, 3000] < area[at] / whole[at] < found[0, 1600]


def test_the_other_region_has_to_be_of_the_same_exposure(folder: Path, synthetic_ccf: Path):
    write_spectrum(folder / "s.fits", Shape("circle", (0, 0, 400)), columns=("DETX", "DETY"))
    with pytest.raises(TaskError, match="needs crossreg_spectrumset"):
        made(folder, synthetic_ccf, crossregionarf=True)
    shutil.copy(folder / "s.fits", folder / "other.fits")
    with fits.open(folder / "other.fits", mode="update") as hdus:
        for hdu in hdus:
            hdu.header["PA_PNT"] = 12.0
    with pytest.raises(TaskError, match="camera or pointing differ"):
        made(folder, synthetic_ccf, crossregionarf=True, crossreg_spectrumset="other.fits")
