"""Sources found in the simulated field against those that are there."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from simulated_field import OBSERVATIONS, X, set_environment

from daxa.archive import Archive
from daxa.exceptions import NoRegionsAssociatedError
from daxa.process.xmm import find_sources
from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def searched(field, tmp_path_factory) -> Archive:
    """A copy of the processed field, in which sources were found in two bands."""
    import shutil

    output = tmp_path_factory.mktemp("searched")
    shutil.copytree(field.root, output / "archives" / "demo")
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, output, field.simulated.ccf)
        archive = Archive("demo")
        with pytest.raises(NoRegionsAssociatedError):
            archive.get_region_file_path(X, OBSERVATIONS[0])
        find_sources(archive, u.Quantity([0.5, 2.0], "keV"), u.Quantity([2.0, 7.0], "keV"))
        yield archive


def true_places(field, obs_id: str) -> SkyCoord:
    with field.simulated.sources(obs_id).open() as file:
        rows = [r for r in csv.DictReader(file) if r["name"] != "cluster"]
    places = sorted({(float(r["ra_deg"]), float(r["dec_deg"])) for r in rows})
    return SkyCoord(places, unit="deg")


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
def test_all_sources_and_no_others(field, searched, obs_id):
    folder = searched.obs_folder(X, obs_id)
    with fits.open(folder / "sources" / f"obsid{obs_id}-sources.fits") as hdus:
        table = hdus["SRCLIST"].data
    whole = table[(table["ID_INST"] == 0) & (table["ID_BAND"] == 0)]
    found = SkyCoord(whole["RA"], whole["DEC"], unit="deg")
    true = true_places(field, obs_id)
    number, distance, _ = true.match_to_catalog_sky(found)
    assert len(set(number)) == len(true) == 10
    error = np.hypot(whole["RADEC_ERR"][number], 0.05)
    assert (distance.arcsec < 4 * error).all()
    assert distance.arcsec.max() < 1.0
    # Besides them the cluster, which is extended, and nothing else: streaks that bright sources leave along
    # the columns of the pn are in the background.
    points = np.isin(np.arange(len(whole)), number)
    assert (whole["EXT"][points] == 0).all()
    cluster = np.flatnonzero(whole["EXT"] > 0)
    assert len(cluster) == 1
    assert SkyCoord(149.5917, -11.0642, unit="deg").separation(found[cluster[0]]).arcsec < 6.0
    assert not len(whole[~points & (whole["EXT"] == 0)])
    assert (whole["DET_ML"] >= 10).all()


def test_rows_of_cameras_and_bands_add_up(searched):
    path = searched.obs_folder(X, OBSERVATIONS[0]) / "sources" / f"obsid{OBSERVATIONS[0]}-sources.fits"
    with fits.open(path) as hdus:
        table = hdus["SRCLIST"].data
    first = table[table["ML_ID_SRC"] == 1]
    assert [(int(r["ID_INST"]), int(r["ID_BAND"])) for r in first] == [
        (0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2),
    ]  # fmt: skip
    counts = {(int(r["ID_INST"]), int(r["ID_BAND"])): float(r["SCTS"]) for r in first}
    assert counts[0, 0] == pytest.approx(counts[1, 0] + counts[2, 0] + counts[3, 0], rel=1e-5)
    assert counts[1, 0] == pytest.approx(counts[1, 1] + counts[1, 2], rel=1e-5)
    pn = first[(first["ID_INST"] == 1) & (first["ID_BAND"] > 0)]
    expected = (pn["RATE"][1] - pn["RATE"][0]) / pn["RATE"].sum()
    assert first["HR1"][1] == pytest.approx(expected, rel=1e-5)


def test_regions_are_those_of_the_archive(searched, tmp_path):
    found = searched.source_regions[X]
    assert set(found) == set(OBSERVATIONS)
    assert all(len(regions) == 11 for regions in found.values())
    path = searched.get_region_file_path(X, OBSERVATIONS[0])
    assert path.endswith("-sources.reg")
    # The user's own win.
    own = tmp_path / "own.reg"
    own.write_text('fk5\ncircle(149.6,-11.1,20.0")\n')
    searched.source_regions = {X: {OBSERVATIONS[0]: str(own)}}
    assert len(searched.source_regions[X][OBSERVATIONS[0]]) == 1
    assert searched.get_region_file_path(X, OBSERVATIONS[0]).endswith("source_regions_radec.reg")


def test_a_second_call_does_nothing(searched):
    before = len(list(searched.ledger.runs(process="find_sources")))
    find_sources(searched, u.Quantity([0.5, 2.0], "keV"), u.Quantity([2.0, 7.0], "keV"))
    assert len(list(searched.ledger.runs(process="find_sources"))) == before == 3


def test_mistakes_in_options(searched):
    with pytest.raises(ValueError, match="likelihood: expected a number from 1 to 50"):
        find_sources(searched, likelihood=0.1)
    with pytest.raises(TypeError, match="extent"):
        find_sources(searched, extent="yes")


def test_faults_of_the_tasks(searched, tmp_path):
    image = next((searched.obs_folder(X, OBSERVATIONS[0]) / "images").glob("*M1*en0.5_2.0keV-image.fits"))
    other = next((searched.obs_folder(X, OBSERVATIONS[1]) / "images").glob("*M1*en0.5_2.0keV-image.fits"))
    call = {"cwd": tmp_path, "out": io.StringIO(), "err": io.StringIO(), "env": {}}

    def refused(task: str, match: str, **arguments):
        with pytest.raises(TaskError, match=match):
            run_task(task, arguments, **call)

    two = {"imagesets": f"{image} {image}", "withexpimage": "no"}
    refused("emask", "no.fits: no such file", expimageset="no.fits")
    refused(
        "eboxdetect", "expected one per image", usemap="no", imagesets=f"{image} {image}", expimagesets="a"
    )
    refused("eboxdetect", "not of the grid", usemap="no", **{**two, "imagesets": f"{image} {other}"})
    refused("emldetect", "bkgimagesets: expected one per image", **two, bkgimagesets=str(image))
    refused("srcdisplay", "no extension SRCLIST", boxlistset=str(image))
    assert not list(tmp_path.iterdir())
