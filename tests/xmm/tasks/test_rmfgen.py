"""Matrices as files."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_spectra import write_matrix, write_spectrum

from daxa.xmm.errors import TaskError
from daxa.xmm.select.regions import Shape
from daxa.xmm.spectra.ogip import read_matrix
from daxa.xmm.spectra.published import epoch_of
from daxa.xmm.spectra.redistribution import measured_law
from daxa.xmm.task import run_task


def made(folder: Path, **given) -> str:
    err = io.StringIO()
    given = {"spectrumset": "s.fits", "rmfset": "r.fits", **given}
    run_task("rmfgen", given, cwd=folder, out=io.StringIO(), err=err)
    return err.getvalue()


COARSE = {"withenergybins": True, "energymin": 0.5, "energymax": 10.0, "nenergybins": 19}


def test_what_is_written_is_read_back(tmp_path: Path):
    write_spectrum(tmp_path / "s.fits")
    assert "measuredRedistribution" in made(tmp_path, **COARSE)
    bins, limits, rows = read_matrix(tmp_path / "r.fits")
    np.testing.assert_allclose(bins, 500 * np.arange(1, 21), rtol=1e-6)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
    line = measured_law("EPN").line(5750.0)
    below = line.below(5750.0, limits)
    np.testing.assert_allclose(np.cumsum(rows[10]), below[1:] - below[0], atol=1e-4)
    with fits.open(tmp_path / "r.fits") as hdus:
        assert [h.name for h in hdus] == ["PRIMARY", "MATRIX", "EBOUNDS"]
        header, data = hdus["MATRIX"].header, hdus["MATRIX"].data
        assert (header["TLMIN4"], header["TLMAX4"], header["DETCHANS"]) == (0, 4095, 4096)
        assert header["HDUCLAS2"] == "RSP_MATRIX"
        assert "measuredRedistribution" in header["CALFB1"]
        assert all(len(row["MATRIX"]) == np.sum(row["N_CHAN"]) for row in data)
        assert all((row["MATRIX"] >= 0).all() for row in data)


def test_channels_of_a_part_have_to_be_accepted(tmp_path: Path):
    write_spectrum(tmp_path / "s.fits", counts=np.zeros(1000, int), instrument="EMOS2", patterns=":12")
    with pytest.raises(TaskError, match="0 to 4999, not 0 to 11999"):
        made(tmp_path, **COARSE)
    made(tmp_path, acceptchanrange=True, **COARSE)
    assert len(fits.getdata(tmp_path / "r.fits", "EBOUNDS")) == 1000


@pytest.mark.parametrize(
    "given", [{"energymin": 5.0, "energymax": 2.0, "withenergybins": True}, {"nenergybins": 0}]
)
def test_mistakes_are_named(given: dict, tmp_path: Path):
    write_spectrum(tmp_path / "s.fits")
    with pytest.raises(TaskError) as refused:
        made(tmp_path, **given)
    assert refused.value.code == "badParameter"
    assert not (tmp_path / "r.fits").exists()


def test_a_published_matrix_that_is_at_hand_is_taken(tmp_path: Path, synthetic_ccf: Path):
    env = {"SAS_CCFPATH": f"{synthetic_ccf}:{tmp_path}", "SAS_CCF": str(tmp_path / "ccf.cif")}
    env["DAXA_SYNTHETIC_CALIBRATION"] = "allow"
    # In the middle of the pn: rows of about 190.
    path = write_spectrum(tmp_path / "s.fits", Shape("circle", (0, 0, 400)), columns=("DETX", "DETY"))
    date = fits.getval(path, "DATE-OBS")
    when = {"withobservationdate": True, "observationdate": date}
    run_task("cifbuild", {"calindexset": "ccf.cif", **when}, cwd=tmp_path, env=env, out=io.StringIO())
    epoch, folder = epoch_of("EPN", date), tmp_path / "responses" / "PN"
    folder.mkdir(parents=True)

    def run(**given) -> tuple[fits.Header, int, str]:
        err = io.StringIO()
        arguments = {"spectrumset": "s.fits", "rmfset": "r.fits", **given}
        run_task("rmfgen", arguments, cwd=tmp_path, env=env, out=io.StringIO(), err=err)
        with fits.open(tmp_path / "r.fits") as hdus:
            return hdus["MATRIX"].header, len(hdus["MATRIX"].data), err.getvalue()

    write_matrix(folder / f"epn_e{epoch}_ff20_sdY1_v21.0.rmf", 4096)
    header, number, said = run(**COARSE, withpublished=True)
    assert "RMFORIG" not in header
    assert "noPublishedMatrix" not in said  # energies of one's own
    name = f"epn_e{epoch}_ff20_sdY9_v21.0.rmf"
    write_matrix(folder / name, 4096)
    header, number, said = run()
    assert (header["RMFORIG"], number, header["TLMIN4"]) == (name, 3, 0)
    assert "measuredRedistribution" not in said
    assert "CALFB1" not in header
