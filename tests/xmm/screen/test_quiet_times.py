"""What is accepted of light curves, how it compares with the corners, and what is written of it."""

import numpy as np
import pytest

from daxa.xmm.event.gti import GTI
from daxa.xmm.screen.contamination import Contamination
from daxa.xmm.screen.flares import FlareFit
from daxa.xmm.screen.qdp import qdp_text
from daxa.xmm.screen.quiet_level import Gaussian, Histogram, Pass
from daxa.xmm.screen.quiet_times import Curves, Screening, against_corners, gti_text, report

BAND = (2500, 8500)


@pytest.fixture
def curves():
    """1000 s of 2 ct/s with a flare from 400 to 600 s; the last 100 s were not exposed."""
    time = np.arange(1000) + 0.5
    field = np.where((time > 400) & (time < 600), 20.0, 2.0)
    return Curves(time, field, np.full(1000, 0.2), time < 900)


def quiet(curves):
    return curves.exposed & (curves.field < 10)


def fit_of(curves, good):
    histogram = Histogram(np.array([1.0, 2.0, 3.0]), np.array([0.0, 700.0, 5.0]), 1.0)
    quiet = Gaussian(690.0, 2.01, 0.12)
    passes = [Pass(0, 1, 2, Gaussian(700.0, 2.0, 0.1), quiet)]
    return FlareFit(quiet, 1.65, 2.37, good, histogram, curves.field, passes)


class TestCurves:
    def test_intervals_are_those_of_the_marked_steps(self, curves):
        gti = curves.intervals(quiet(curves))
        np.testing.assert_array_equal(gti.start, [0, 600])
        np.testing.assert_array_equal(gti.stop, [400, 900])

    def test_share_is_of_the_exposed_time(self, curves):
        assert curves.share(quiet(curves)) == pytest.approx(700 / 900)


class TestCorners:
    def test_only_accepted_times_of_the_field_count_and_all_of_the_corners(self, curves):
        rng = np.random.default_rng(2)
        # The same brightness per area and time: twice the corners' area, and all of their exposed time.
        outer, corner = rng.uniform(0, 1000, 40_000), rng.uniform(0, 1000, 20_000)
        found = against_corners(curves, quiet(curves), outer, corner, (4.0, 2.0, 1.0), BAND)
        assert found.field == np.sum((outer < 400) | ((outer >= 600) & (outer < 900)))
        assert found.corner == np.sum(corner < 900)
        assert found.ratio == pytest.approx(1, abs=4 * found.error)
        assert found.error < 0.02

    def test_nothing_is_said_without_area_or_time(self, curves):
        times = np.array([10.0, 20.0])
        for good, areas in ((quiet(curves), (4.0, 2.0, 0.0)), (np.zeros(1000, bool), (4.0, 2.0, 1.0))):
            assert np.isnan(against_corners(curves, good, times, times, areas, BAND).ratio)


class TestScreening:
    def test_a_short_stretch_full_of_protons_is_objected_to(self, curves):
        good = curves.exposed & (curves.time_s < 200)
        bright = Contamination(5000, 1000, 2.5, 0.05, 0.8)
        text = Screening(good, fit_of(curves, good), bright).objection(curves)
        assert "2.50 +- 0.05 times as bright" in text
        assert "22% of the time" in text
        assert "80% of its counts" in text
        clean = Contamination(1000, 1000, 1.0, 0.05, 0.0)
        assert not Screening(good, None, clean).objection(curves)
        assert not Screening(good).objection(curves)

    def test_nothing_is_accepted_of_a_refused_one(self, curves):
        good = quiet(curves)
        found = Screening(good, fit_of(curves, good)).without_times()
        assert not found.good.any()
        assert found.fit is not None
        assert not found.fit.good.any()
        assert good.any()
        assert Screening(good).without_times().fit is None

    def test_keywords(self, curves):
        good = quiet(curves)
        check = Contamination(700, 650, 1.05, 0.06, 0.01)
        cards = Screening(good, fit_of(curves, good), check).cards(BAND, curves)
        values = {key: value for key, (value, _) in cards.items()}
        assert values == pytest.approx(
            {
                "ELOW": 2500, "EHIGH": 8500, "NORM": 690, "WIDTH": 0.12, "CENTER": 2.01, "INOUT": 1.05,
                "INOUTERR": 0.06, "CORRATE": 0.2,
            }
        )  # fmt: skip
        unknown = Contamination(0, 0, np.nan, np.nan, np.nan)
        nothing = Screening(np.zeros(1000, bool), None, unknown)
        assert list(nothing.cards(BAND, curves)) == ["ELOW", "EHIGH"]


def test_lines_of_the_log(curves):
    lines = report(fit_of(curves, quiet(curves)))
    assert lines[0] == "***** amoeba 1: low =    1 peak =    2 high =    3"
    assert lines[-1] == "WRITE_QDP_GTI: Norm =   690.000 Width =     0.120 Center =     2.010"


def test_good_times_as_text():
    assert gti_text(GTI([1.0, 5.0], [2.0, 6.25])) == "1.000000 2.000000 +\n5.000000 6.250000 +\n"
    assert gti_text(GTI()) == "0.0 0.0000001 +\n"


class TestQdp:
    @staticmethod
    def rows(text):
        return [line.split() for line in text.splitlines() if len(line.split()) == 14 and "la" not in line]

    def test_histogram_both_curves_and_limits(self, curves):
        good = quiet(curves)
        text = qdp_text(fit_of(curves, good), curves.field, curves.corner, good, 100, "0123456789")
        rows = self.rows(text)
        # Two of three bins of the histogram; ten bins of each curve, seven accepted; two boxes of limits.
        assert len(rows) == 2 + 2 * (10 + 7) + 2 * 4
        assert rows[1][:4] == ["2.000", "700.000", "26.458", "687.608"]
        assert rows[2 + 4][:1] + rows[2 + 4][4:6] == ["450.000", "20.000", "0.447"]
        # The last bin is a second short, as the curve covers its last step in part.
        assert rows[2 + 9][0] == "949.500"
        assert [row[0] for row in rows[-8:-4]] == ["1.650", "1.650", "2.370", "2.370"]
        assert 'ObsID: 0123456789"' in text
        assert "Fit Center:   2.010 c/s" in text

    def test_without_a_fit_there_are_only_the_curves(self, curves):
        rows = self.rows(qdp_text(None, curves.field, curves.corner, np.zeros(1000, bool), 500, ""))
        assert len(rows) == 2 * 2
