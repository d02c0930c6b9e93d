"""Areas of regions, beside those of SAS."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_spectra import write_spectrum

from daxa.xmm.errors import TaskError
from daxa.xmm.select.regions import Shape
from daxa.xmm.task import run_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, synthetic_ccf: Path) -> Path:
    path = tmp_path_factory.mktemp("backscale")
    when = {"withobservationdate": True, "observationdate": "2012-05-14T00:00:00"}
    environment = {"SAS_CCFPATH": str(synthetic_ccf)}
    run_task("cifbuild", {"calindexset": "ccf.cif", **when}, cwd=path, env=environment, out=io.StringIO())
    return path


def area(folder: Path, ccf: Path, **given) -> tuple[int, str]:
    err = io.StringIO()
    environment = {
        "SAS_CCFPATH": str(ccf), "SAS_CCF": str(folder / "ccf.cif"), "DAXA_SYNTHETIC_CALIBRATION": "allow"
    }  # fmt: skip
    run_task(
        "backscale",
        {"spectrumset": "s.fits", **given},
        cwd=folder,
        env=environment,
        out=io.StringIO(),
        err=err,
    )
    return fits.getval(folder / "s.fits", "BACKSCAL", "SPECTRUM"), err.getvalue()


#: Spectra whose regions meet no gap and no bad pixel; SAS's areas are counts of squares on another lattice,
#: which differ by three parts in ten thousand (one sigma). That of ASASSN-14li is unexplained: +0.16 %.
WHOLE = {
    "arf_spectra_ngc7793/PN_spectrum_grp20.fits.gz": 1e-3,
    "arf_spectra_ngc7793/PNbackground_spectrum.fits.gz": 1e-3,
    "arf_spectra_ngc7793/MOS1_spectrum_grp.fits.gz": 1e-3,
    "arf_spectra_ngc7793/MOS2background_spectrum.fits.gz": 1e-3,
    "responses/pn_0694651201_0304030601/pn_ASASSN-14li.pha": 2e-3,
    "responses/pn_0694651201_0304030601/pn_BKG_forASASSN-14li.pha": 1e-3,
    "responses/pn_0694651201_0304030601/pn_Mrk766.pha": 1e-3,
    "responses/pn_0694651201_0304030601/pn_BKG_forMrk766.pha": 1e-3,
}


@pytest.mark.parametrize("name", WHOLE)
def test_areas_of_real_spectra(name: str, shared_data: Path, folder: Path, synthetic_ccf: Path):
    raw = (shared_data / name).read_bytes()
    (folder / "s.fits").write_bytes(gzip.decompress(raw) if name.endswith("gz") else raw)
    real = fits.getval(folder / "s.fits", "BACKSCAL", "SPECTRUM")
    ours, _ = area(folder, synthetic_ccf)
    assert ours == pytest.approx(real, rel=WHOLE[name])


def test_area_of_a_real_spectrum_without_sources(shared_data: Path, folder: Path, synthetic_ccf: Path):
    esas = shared_data / "esas_0203930101"
    (folder / "s.fits").write_bytes(gzip.decompress((esas / "mos1S001-1obj.pi.gz").read_bytes()))
    real = fits.getval(folder / "s.fits", "BACKSCAL", "SPECTRUM")
    # 159 boxes are cut out; the bad pixels are those of the list that it was extracted from.
    ours, said = area(folder, synthetic_ccf, badpixlocation=str(esas / "mos1S001-clean-filtered.fits.gz"))
    assert ours == pytest.approx(real, rel=1e-3)
    assert "noBadPixels" not in said


@pytest.mark.parametrize("ccd", [3, 5, 7])
def test_corners_that_no_light_reaches(ccd: int, shared_data: Path, folder: Path, synthetic_ccf: Path):
    """Gaps, edges, and bad pixels with their neighbours, which the selection leaves out by bits of FLAG."""
    esas = shared_data / "esas_0203930101"
    (folder / "s.fits").write_bytes(gzip.decompress((esas / f"mos1S001-{ccd}oc.pi.gz").read_bytes()))
    real = fits.getval(folder / "s.fits", "BACKSCAL", "SPECTRUM")
    ours, _ = area(
        folder,
        synthetic_ccf,
        badpixlocation=str(esas / "mos1S001-corev.fits.gz"),
        ignoreoutoffov=False,
        badpixelresolution=1.0,
    )
    assert ours == pytest.approx(real, rel=3e-3)


def test_geometric_area_of_what_nothing_sees(folder: Path, synthetic_ccf: Path):
    write_spectrum(
        folder / "s.fits", Shape("circle", (2600, 3600, 700)), columns=("DETX", "DETY"), ccds=(12,)
    )
    value, said = area(folder, synthetic_ccf)
    assert value == 0
    assert "noArea" in said
    whole, _ = area(folder, synthetic_ccf, withbadpixcorr=False)
    assert whole == pytest.approx(np.pi * 700**2, rel=1e-3)


def test_a_spectrum_of_no_camera_is_refused(folder: Path, synthetic_ccf: Path):
    write_spectrum(folder / "s.fits", Shape("circle", (26000, 26000, 500)), instrument="RGS1")
    with pytest.raises(TaskError, match="INSTRUME is 'RGS1'"):
        area(folder, synthetic_ccf)
