"""Spectra of a source of the reduced observation, with all that belongs to them."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from simulated_field import X, set_environment
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.cli.main import app
from daxa.exceptions import NoDependencyProcessError
from daxa.process.xmm import generate_spectra

CAMERAS = ("M1", "M2", "PN")
#: A place that no CCD sees, near enough to the pointing to be tried.
BESIDE = 16.5 / 60


@pytest.fixture(scope="module")
def archive(reduced, simulated, tmp_path_factory):
    """A copy of the archive."""
    output = tmp_path_factory.mktemp("spectra")
    shutil.copytree(reduced.archive, output / "archives" / "read")
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, output, simulated.ccf)
        yield Archive("read")


@pytest.fixture(scope="module")
def told(archive, reduced):
    """What was said while spectra were made of the brightest source, and of what no camera sees."""
    ra, dec, _ = reduced.sources("PN")[0]
    info = archive[X].filtered_obs_info.iloc[0]
    beside = SkyCoord(info["ra"], info["dec"] + BESIDE, unit="deg")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        generate_spectra(archive, [SkyCoord(ra, dec, unit="deg"), beside], num_cores=2, disable_progress=True)
    return "\n".join(str(w.message) for w in caught)


@pytest.fixture(scope="module")
def runs(archive, told):
    found = archive.ledger.runs(process="generate_spectra", logs=False)
    return {run.inst: run for run in found if run.ok}


@pytest.mark.parametrize("inst", CAMERAS)
def test_files_name_each_other(archive, runs, reduced, inst):
    run = runs[inst]
    folder = archive.obs_folder(X, reduced.obs_id)
    path = folder / run.extra["spectrum"]["path"]
    stem = f"obsid{reduced.obs_id}-inst{inst}-subexpALL-{run.extra['source']}"
    assert path == folder / "spectra" / f"{stem}-spectrum.fits"
    with fits.open(path) as hdus:
        header, table = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
        for key, ending in (
            ("BACKFILE", f"{run.extra['source']}-background"),
            ("ANCRFILE", f"{run.extra['source']}-arf"),
        ):
            assert header[key] == f"obsid{reduced.obs_id}-inst{inst}-subexpALL-{ending}.fits"
        patterns = "pat0_4" if inst == "PN" else "pat0_12"
        assert header["RESPFILE"] == f"obsid{reduced.obs_id}-inst{inst}-subexpALL-{patterns}-rmf.fits"
        for key in ("BACKFILE", "ANCRFILE", "RESPFILE"):
            assert (path.parent / header[key]).is_file()
        assert {"CHANNEL", "COUNTS", "GROUPING", "QUALITY"} <= set(table.names)
        good = table["QUALITY"] == 0
        groups = np.add.reduceat(table["COUNTS"][good], np.flatnonzero(table["GROUPING"][good] == 1))
        assert (groups >= 20).all()
        assert header["BACKSCAL"] > 0
        back = fits.getheader(path.parent / header["BACKFILE"], "SPECTRUM")
        assert back["BACKSCAL"] > 2 * header["BACKSCAL"]
        assert back["EXPOSURE"] == pytest.approx(header["EXPOSURE"], rel=1e-3)
        # Their energies agree, as fitting programs demand.
        matrix = fits.getdata(path.parent / header["RESPFILE"], "MATRIX")
        area = fits.getdata(path.parent / header["ANCRFILE"], "SPECRESP")
        assert np.array_equal(matrix["ENERG_LO"], area["ENERG_LO"])
        assert len(fits.getdata(path.parent / header["RESPFILE"], "EBOUNDS")) == len(table)


def test_counts_are_those_of_the_source(archive, runs, reduced):
    recorded = reduced.sources("PN")[0][2]
    path = archive.obs_folder(X, reduced.obs_id) / runs["PN"].extra["spectrum"]["path"]
    with fits.open(path) as hdus:
        counts = hdus["SPECTRUM"].data["COUNTS"].sum()
        header = hdus["SPECTRUM"].header
    back = fits.open(path.parent / header["BACKFILE"])["SPECTRUM"]
    net = counts - back.data["COUNTS"].sum() * header["BACKSCAL"] / back.header["BACKSCAL"]
    assert 0.6 * recorded < net < 1.02 * recorded


def test_what_no_camera_sees_costs_itself_only(archive, told, runs):
    assert set(runs) == set(CAMERAS)
    failed = [r for r in archive.ledger.runs(process="generate_spectra", logs=False) if not r.ok]
    assert {r.inst for r in failed} == set(CAMERAS)
    assert {r.errors[0]["name"] for r in failed} == {"notSeen"}
    assert "3 of 9 jobs failed; everything else was processed" in told


def test_a_second_call_has_nothing_to_do(archive, reduced, runs):
    ra, dec, _ = reduced.sources("PN")[0]
    generate_spectra(archive, (ra, dec), num_cores=2, disable_progress=True)
    again = archive.ledger.runs(process="generate_spectra", logs=False)
    assert [r.id for r in again if r.ok] == [r.id for r in runs.values()]
    assert not any(archive.stale.values())


def test_the_command_names_the_spectra(archive, reduced, simulated, runs, monkeypatch):
    set_environment(monkeypatch, archive.layout.root.parents[1], simulated.ccf)
    ra, dec, _ = reduced.sources("PN")[0]
    done = CliRunner().invoke(app, ["spectra", "read", "--position", f"{ra},{dec}"])
    assert done.exit_code == 0, done.output
    folder = archive.obs_folder(X, reduced.obs_id)
    assert done.stdout.splitlines() == [
        str(folder / runs[inst].extra["spectrum"]["path"]) for inst in CAMERAS
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give one of"),
        (["--sources", "--position", "1,2"], "give one of"),
        (["--position", "here"], "--position: expected RA,DEC"),
        (["--position", "1,2", "--radius", "wide"], "--radius: expected arcsec"),
        (["--position", "1,2", "--radius", "2"], "--radius: expected 3 to 900 arcsec"),
        (["--position", "1,2", "--band", "x"], "--band: expected LOW-HIGH"),
        (["--position", "1,2", "--band", "5-1"], "--band"),
        (["--regions", "no.reg"], "--regions: no such file"),
    ],
)
def test_options_that_mean_nothing_are_refused(archive, given, message):
    done = CliRunner().invoke(app, ["spectra", "read", *given], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_without_any_source(archive, runs):
    with pytest.raises(NoDependencyProcessError, match="find_sources"):
        generate_spectra(archive)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"positions": "M31"}, "positions: expected a SkyCoord"),
        ({"positions": (150, 2), "radius": 3}, "radius: expected an angle, or a share"),
        ({"positions": (150, 2), "regions": "fk5; circle(1,2,3)"}, "give one of them"),
        ({"regions": "image; circle(1,2,3)"}, "regions: pixel regions"),
        ({"positions": (150, 2), "background": "none.reg"}, "background: no such file"),
        ({"positions": (150, 2), "min_counts": -1}, "min_counts: expected a number above 0"),
        ({"positions": (150, 2), "patterns": (4, 1)}, "patterns: expected"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(archive, given, message):
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=message):
        generate_spectra(archive, **given)
