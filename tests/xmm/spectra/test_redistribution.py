"""The measured law beside the matrices it was measured on, and others."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.spectra.grids import channel_limits, energy_bins
from daxa.xmm.spectra.ogip import read_matrix
from daxa.xmm.spectra.redistribution import Law, matrix, measured_law


@pytest.fixture(scope="module")
def coarse() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every 20th energy bin of the pn: middles, limits of channels, rows."""
    limits = channel_limits("EPN", 0, 4096, 5.0)
    bins = energy_bins("EPN")[::20]
    return 0.5 * (bins[1:] + bins[:-1]), limits, matrix(measured_law("EPN"), bins, limits)


def test_rows_are_shares_about_their_energy(coarse):
    energy, limits, rows = coarse
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-9)
    assert (rows >= 0).all()
    peak = 0.5 * (limits[1:] + limits[:-1])[rows.argmax(axis=1)]
    high = energy > 1000
    np.testing.assert_allclose(peak[high], energy[high], atol=12)


def test_escape_only_above_the_edge_of_silicon():
    law = measured_law("EPN")
    assert law.line(1700.0).escape == 0
    assert law.line(2500.0).escape == pytest.approx(0.016, rel=0.1)


def test_a_line_of_its_own_number_is_given_back():
    law = measured_law("EMOS2")
    k = int(np.argmin(np.abs(law.energy_ev - 5900)))
    line = law.line(float(law.energy_ev[k]))
    assert line.narrow_ev == pytest.approx(law.values[k, 7])
    assert isinstance(law, Law)


def dense(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bins, limits, rows = read_matrix(path)
    np.testing.assert_allclose(rows.sum(axis=1)[bins[:-1] > 200], 1, rtol=1e-4)
    return bins, limits, rows


#: Real matrices, the camera, and a real area.
MATRICES = {
    "arf_spectra_ngc7793/PN.rmf.gz": ("EPN", "PN.arf.gz"),
    "responses/mos1_pyspextools/response.rmf.gz": ("EMOS1", "MOS1.arf.gz"),
}
BANDS = (500, 700, 1000, 1500, 2000, 2500, 4000, 7000, 10000)


@pytest.mark.parametrize("name", MATRICES)
def test_a_power_law_folds_as_with_real_matrices(name: str, shared_data: Path):
    instrument, file = MATRICES[name]
    bins, limits, real = read_matrix(shared_data / name)
    np.testing.assert_allclose(real.sum(axis=1)[bins[:-1] > 200], 1, rtol=1e-4)
    # Every third energy is enough, and quicker.
    energy, law = 0.5 * (bins[1:] + bins[:-1])[::3], measured_law(instrument)
    below = np.array([law.line(e).below(e, limits) for e in energy])
    ours = np.diff(below, axis=1) / (below[:, -1:] - below[:, :1])
    area = fits.getdata(shared_data / "arf_spectra_ngc7793" / file, 1)
    at = 500.0 * (area["ENERG_LO"] + area["ENERG_HI"])
    photons = energy**-1.7 * np.diff(bins)[::3] * np.interp(energy, at, area["SPECRESP"])
    photons[energy < 200] = 0
    middle = 0.5 * (limits[1:] + limits[:-1])
    counts, expected = (np.histogram(middle, BANDS, weights=photons @ m)[0] for m in (ours, real[::3]))
    np.testing.assert_allclose(counts, expected, rtol=0.005)


def test_widths_of_modes_and_dates():
    def narrow(submode: str = "", date: str = "") -> float:
        return measured_law("EPN", submode, date).line(5900.0).narrow_ev

    small = "PrimeSmallWindow"
    early, late = narrow(small, "2005-05-31"), narrow(small, "2014-12-06T00:00:00")
    assert early < narrow(small, "2010-01-01") < late
    # Beyond the dates at which they were measured, the ends hold.
    assert narrow(small, "2001-01-01") == early
    assert narrow(small, "2024-01-01") == late == narrow(small)
    assert (
        narrow("PrimeFullWindowExtended", "2020-01-01") < narrow() == narrow("PrimeLargeWindow", "2020-01-01")
    )
    assert np.array_equal(measured_law("EMOS1", small, "2010-01-01").values, measured_law("EMOS2").values)
