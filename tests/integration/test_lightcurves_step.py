"""Light curves of a source of the reduced observation, beside its rate on the axis."""

from __future__ import annotations

import csv
import shutil
import warnings

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.units import Quantity
from simulated_field import X, set_environment

from daxa.archive import Archive
from daxa.exceptions import NoDependencyProcessError
from daxa.process.xmm import generate_lightcurves

BAND = {"lo_en": Quantity([0.5], "keV"), "hi_en": Quantity([8.0], "keV")}


@pytest.fixture(scope="module")
def archive(reduced, simulated, tmp_path_factory):
    """A copy of the archive, with curves of the brightest point source of the pn and one of it alone."""
    output = tmp_path_factory.mktemp("lightcurves")
    shutil.copytree(reduced.archive, output / "archives" / "read")
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, output, simulated.ccf)
        opened = Archive("read")
        ra, dec, _ = reduced.sources("PN")[0]
        place = SkyCoord(ra, dec, unit="deg")
        given = {"num_cores": 2, "disable_progress": True}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            generate_lightcurves(opened, place, **BAND, time_bin=Quantity(200, "s"), **given)
        yield opened


@pytest.fixture(scope="module")
def runs(archive):
    return {r.inst: r for r in archive.ledger.runs(process="generate_lightcurves", logs=False) if r.ok}


def on_axis(reduced, inst):
    """Rate on the axis in all energies [1/s], and offset [arcmin], of the brightest source of the pn."""
    ra, _, _ = reduced.sources("PN")[0]
    with (reduced.truth / f"{reduced.obs_id}_sources.csv").open() as table:
        for row in csv.DictReader(table):
            if row["instrument"] == inst and abs(float(row["ra_deg"]) - ra) < 1e-6:
                return float(row["on_axis"]), float(row["theta_arcmin"])
    raise LookupError(inst)


@pytest.mark.parametrize("inst", ["M1", "M2", "PN"])
def test_rates_are_those_of_the_axis(archive, runs, reduced, inst):
    path = archive.obs_folder(X, reduced.obs_id) / runs[inst].extra["lightcurve"]["path"]
    assert path.parent.name == "lightcurves"
    assert path.name.endswith("-en0.5_8.0keV-bin200.0s-lightcurve.fits")
    table, header = fits.getdata(path, "RATE"), fits.getheader(path, "RATE")
    assert (header["VIGNAPP"], header["BACKAPP"], header["DEADAPP"]) == (True, True, True)
    live = table["FRACEXP"] > 0.1
    weight = np.array(table["FRACEXP"][live], float)
    mean = np.sum(weight * table["RATE"][live]) / weight.sum()
    error = np.sqrt(np.sum((weight * table["ERROR"][live]) ** 2)) / weight.sum()
    true, theta = on_axis(reduced, inst)
    assert theta > 3
    # The band holds 84 to 93 % of the photons of power laws of index 1.5 to 2.1 behind this area.
    assert 0.84 * true - 4 * error < mean < 0.93 * true + 4 * error
    assert np.isnan(table["RATE"][table["FRACEXP"] == 0]).all()


def test_stingray_takes_the_curve(archive, runs, reduced):
    stingray = pytest.importorskip("stingray")
    path = archive.obs_folder(X, reduced.obs_id) / runs["PN"].extra["lightcurve"]["path"]
    with fits.open(path) as hdus:
        table, header, good = hdus["RATE"].data, hdus["RATE"].header, hdus["SRC_GTIS"].data
        known = np.isfinite(table["RATE"])
        time, rate, error = (np.array(table[n][known], float) for n in ("TIME", "RATE", "ERROR"))
        curve = stingray.Lightcurve(
            time, rate, err=error, dt=header["TIMEDEL"], input_counts=False, err_dist="gauss",
            gti=np.column_stack([good["START"], good["STOP"]]), mjdref=header["MJDREF"], skip_checks=True,
        )  # fmt: skip
    np.testing.assert_allclose(np.asarray(curve.countrate, float), rate)
    assert curve.gti.sum() > 0


def test_without_sources_there_is_nothing_to_make(archive):
    with pytest.raises(NoDependencyProcessError, match="no sources are known"):
        generate_lightcurves(archive, disable_progress=True)
    with pytest.raises(ValueError, match="time_bin"):
        generate_lightcurves(archive, (149.6, -11.1), time_bin=Quantity(0, "s"))
