"""Accepted time against the corners."""

import gzip
import re

import numpy as np
import pytest

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.screen.contamination import contamination, power_law_counts, seen_areas
from daxa.xmm.select.expression import compile
from daxa.xmm.sky.geometry import CameraGeometry

CURVE = {"band": (2500, 8500), "share": 0.5}


def test_particles_alone_are_clean():
    found = contamination(1000, 500, 0.5, 6000, **CURVE)
    assert found.ratio == pytest.approx(1.0)
    assert found.error == pytest.approx((1 / 1000 + 1 / 500) ** 0.5)
    assert found.protons == pytest.approx(0.0)
    assert found.level == "clean"
    assert not found.refuses(0.1)


@pytest.mark.parametrize(
    ("field", "total", "kept", "refused"),
    [
        (2000, 3000, 0.4, True),
        (2000, 3000, 0.8, False),  # most of the time was accepted
        (2000, 30000, 0.4, False),  # protons are few beside a bright source
        (1050, 400, 0.4, False),  # no more than the statistical error
    ],
)
def test_what_is_refused(field, total, kept, refused):
    found = contamination(field, 500, 0.5, total, **CURVE)
    assert found.refuses(kept) is refused


def test_protons_are_counted():
    """Protons added to particles are found again, from what 8 to 12 keV has of them."""
    hard = power_law_counts(8000, 12000) / power_law_counts(2500, 8500)
    assert hard == pytest.approx(0.36, abs=0.01)
    protons = 5000
    field = 4000 + protons * hard * 0.5
    found = contamination(round(field), 2000, 0.5, 12000 + protons, **CURVE)
    assert found.protons == pytest.approx(protons / (12000 + protons), rel=0.01)


@pytest.mark.parametrize(
    ("field", "corner", "ratio"), [(0, 5, 1.0), (5, 0, 1.0), (5, 5, np.nan), (5, 5, np.inf)]
)
def test_nothing_to_compare(field, corner, ratio):
    found = contamination(field, corner, ratio, 100, **CURVE)
    assert np.isnan(found.ratio)
    assert not found.refuses(0.1)
    assert not found.exceeds(0.0)


class Block:
    """What an event list says about a CCD."""

    def __init__(self, name, header=None):
        self.name, self.header, self.data = name, header or {}, None


class Blocks(list):
    def __contains__(self, name):
        return any(b.name == name for b in self)

    def __getitem__(self, name):
        return next(b for b in self if b.name == name)


@pytest.fixture(scope="module")
def mos1(synthetic_ccf):
    cal = Calibration.for_observation([synthetic_ccf], "2004-11-01T00:00:00")
    return CameraGeometry.from_calibration(cal, "EMOS1", 2.15e8)


def test_areas_and_a_real_exposure(mos1, shared_data):
    """The corner selection of a real run: its counts and quiet level make a plausible ratio."""
    name = shared_data / "logs" / "0204310101_M1S001_espfilt4.3_sas20.log.gz"
    with gzip.open(name, "rt", errors="replace") as handle:
        log = handle.read()
    corner = compile(re.search(r"0x766aa000\)==0\)&&(!\(.*?\))' filtertype", log)[1])
    blocks = Blocks(Block(f"EXPOSU{c:02d}") for c in range(1, 8))
    header = {f"LIVETI{c:02d}": 1.0 for c in range(1, 8)}
    field, outer, dark = (a * 1.1**2 / 3600 for a in seen_areas(mos1, blocks, header, corner))
    # A circle of about 14.2 arcmin without the gaps, and seven CCDs of 10.9 arcmin.
    assert field == pytest.approx(614, abs=15)
    assert outer == pytest.approx(309, abs=15)
    assert 120 < dark < 7 * 10.9**2 - field
    rates = {"quiet": 0.755, "corner": 4962 / 32670}
    # 2.5 to 8.5 keV: particles and the cosmic background, hardly a source.
    assert 1.0 < rates["quiet"] / field / (rates["corner"] / dark) < 1.5


def test_areas_count_live_time_and_windows(mos1):
    corner = compile("DETX > 100000")
    blocks = Blocks([Block("EXPOSU01"), Block("EXPOSU02")])
    field, outer, dark = seen_areas(mos1, blocks, {"LIVETI01": 10.0}, corner)
    assert field == pytest.approx(600 * 600 * 10.0)
    assert (outer, dark) == (0.0, 0.0)
    window = {"WINDOWX0": 101, "WINDOWY0": 101, "WINDOWDX": 300, "WINDOWDY": 300}
    assert seen_areas(mos1, Blocks([Block("EXPOSU01", window)]), {"LIVETI01": 10.0}, corner)[
        0
    ] == pytest.approx(300 * 300 * 10.0, rel=0.02)
