"""stingray reads the event lists of an archive with their good times."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.event.gti import GTI

stingray = pytest.importorskip("stingray", reason="stingray is not installed")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("inst", ["M1", "M2", "PN"])
@pytest.mark.filterwarnings("ignore")
def test_times_energies_and_good_times(reduced, inst: str):
    path = reduced.events(inst)
    found = stingray.EventList.read(str(path), fmt="hea")
    with fits.open(path) as hdus:
        table = hdus["EVENTS"].data
        times, pi = np.asarray(table["TIME"], float), np.asarray(table["PI"], float)
        tables = [GTI.from_hdu(h) for h in hdus if h.name.startswith("STDGTI")]
        mjdref = hdus["EVENTS"].header["MJDREF"]
    order = np.argsort(times, kind="stable")
    np.testing.assert_allclose(np.sort(np.asarray(found.time)), times[order], rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.sort(np.asarray(found.energy)), np.sort(pi) / 1000, rtol=1e-6)
    assert float(found.mjdref) == pytest.approx(mjdref)
    # CCDs are read one after the other: their times differ by less than a frame.
    common = tables[0]
    for gti in tables[1:]:
        common = common & gti
    assert np.diff(found.gti, axis=1).sum() == pytest.approx(common.total, abs=0.5)
    assert len(found.gti) == len(common)
    assert common.total > 100
