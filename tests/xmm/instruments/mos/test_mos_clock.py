"""The clock of a MOS camera: its reset, from summary, housekeeping or assumed; the unit of FRMTIME."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from daxa.xmm.formats.odf import MOS_FTFINE_UNIT_S
from daxa.xmm.formats.summary import ExposureSummary
from daxa.xmm.instruments.mos.exposure import clock_reset
from daxa.xmm.odf.mos_clock import header_frame_time
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.resets import leads_between_cycles, mos_clock_reset, resets_in_housekeeping
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import TimeCorrelation, tt_to_utc, utc_to_tt
from daxa.xmm.task import TaskContext

OBS_ID = "0800010101"


@pytest.fixture(scope="module")
def odf(simulated) -> Odf:
    return Odf.open(simulated.odf(OBS_ID))


@pytest.fixture(scope="module")
def correlation(odf) -> TimeCorrelation:
    return TimeCorrelation.from_odf(odf)


@pytest.fixture
def ctx(tmp_path) -> TaskContext:
    return TaskContext("emchain", tmp_path, {}, out=io.StringIO(), err=io.StringIO())


def _span(odf: Odf, instrument: str, exp_id: str) -> tuple[float, float]:
    _, header = odf.one(instrument, "AUX", exp_id).headers()
    return utc_to_tt(header["DATE-OBS"]), utc_to_tt(header["DATE-END"])


@pytest.mark.parametrize(("instrument", "exp_id"), [("M1", "S001"), ("M2", "S002")])
def test_reset_of_a_simulated_exposure_gives_its_true_times(odf, simulated, correlation, instrument, exp_id):
    """Found in housekeeping by what the column holds."""
    reset = mos_clock_reset(odf, instrument, exp_id, _span(odf, instrument, exp_id), correlation)
    assert reset.doubt == ""
    frames = odf.one(instrument, "AUX", exp_id).read(1)
    for ccd, truth in _truth(simulated, instrument, exp_id).items():
        first = np.flatnonzero(frames["CCDID"] == ccd)[0]
        stamp = frames["FTCOARSE"][first] + frames["FTFINE"][first] * MOS_FTFINE_UNIT_S
        number = frames["FRAME"][first] - truth["first_frame"]
        end = truth["start_s"] + (number + 1) * truth["frame_time_tt_s"]
        assert correlation.obt_to_tt(reset.obt_s + stamp) == pytest.approx(end, abs=0.02)


def _truth(simulated, instrument, exp_id):
    exposures = simulated.truth(OBS_ID)["exposures"]
    (one,) = [e for e in exposures if (e["instrument"], e["exp_id"]) == (instrument, exp_id)]
    return {int(ccd): truth for ccd, truth in one["ccds"].items()}


def test_summary_before_housekeeping(ctx, odf, correlation):
    start, stop = _span(odf, "M1", "S001")
    summary = ExposureSummary("S001", tt_to_utc(start), tt_to_utc(stop))
    found = clock_reset(ctx, odf, summary, "M1", correlation)
    told = float(int(correlation.tt_to_obt(start))) - 4
    summary.parameters = {
        "CLOCK_RESET_TIME_COARSE": (f"{told:.0f}", ""), "CLOCK_RESET_TIME_FINE": ("32768", ""),
    }  # fmt: skip
    assert clock_reset(ctx, odf, summary, "M1", correlation) == told + 0.5
    assert ctx.err.getvalue() == ""
    # One that cannot be is not used.
    summary.parameters["CLOCK_RESET_TIME_COARSE"] = (f"{told + 86400:.0f}", "")
    assert clock_reset(ctx, odf, summary, "M1", correlation) == found
    (line,) = ctx.err.getvalue().splitlines()
    assert "warning (noClockReset)" in line
    assert "-8639" in line or "-8640" in line


def test_assumed_reset_says_how_uncertain_it_is(ctx, odf, correlation):
    start, stop = _span(odf, "M1", "S001")
    summary = ExposureSummary("S001", tt_to_utc(start), tt_to_utc(stop))
    bare = Odf(
        odf.folder, odf.obs_id, odf.revolution, tuple(f for f in odf.files if f.name.file_type != "PEH")
    )
    reset = clock_reset(ctx, bare, summary, "M1", correlation)
    assert reset % 1 == 0
    assert 1.5 <= correlation.tt_to_obt(start) - reset <= 2.5
    (line,) = ctx.err.getvalue().splitlines()
    assert "warning (noClockReset), M1 S001: neither summary nor housekeeping" in line
    for number in ("1.9 to 6.4 s", "4.4 s late"):
        assert number in line


def test_housekeeping_is_told_by_what_it_holds():
    rows = np.array([False, True, True, True])
    columns = {
        "TIME": np.array([b"2001-03-20T15:00:00"] * 4),
        "STEADY": np.array([7, 22727239, 22727239, 22727239]),
        "MOVING": np.array([22727239, 22727239, 22727240, 22727241]),
        "FAR": np.array([22720000] * 4),
        "AFTER": np.array([22727250] * 4),
        "VECTOR": np.full((4, 2), 22727239),
    }
    table = OdfTable("PEH", {}, {}, columns)
    assert resets_in_housekeeping(table, rows, 22727241.07) == {22727239.0}
    assert resets_in_housekeeping(table, rows & False, 22727241.07) == set()
    columns["OTHER"] = np.full(4, 22727238.0)
    assert resets_in_housekeeping(table, rows, 22727241.07) == {22727238.0, 22727239.0}


def test_counting_cycles_limit_the_reset():
    starts, stops = np.array([10.0, 40.0]), np.array([30.0, 60.0])
    # Stamps since a reset 2 s before DATE-OBS: frames end between the cycles, from 1 s after the first.
    low, high = leads_between_cycles(np.array([33.0, 35.0, 41.0]), starts, stops)
    assert (low, high) == pytest.approx((0.9, 3.1))
    assert leads_between_cycles(np.array([200.0]), starts, stops) is None
    assert leads_between_cycles(np.zeros(0), starts, stops) is None
    assert leads_between_cycles(np.array([50.0]), starts, stops) is None


def test_resets_of_the_real_fragment(shared_data):
    """There cycles leave 2.0 to 3.6 s before DATE-OBS in U009, at most 4.0 and 2.9 s in U005 and U006."""
    folder = shared_data / "odf_0135730701"
    if not folder.is_dir():
        pytest.skip(f"no real raw files: {folder} is absent")
    odf = Odf.open(Path(folder))
    correlation = TimeCorrelation.from_odf(odf)
    limits = {
        "U004": None,
        "U005": "0.0 to 4.0",
        "U006": "0.0 to 2.9",
        "U008": "0.0 to 2.8",
        "U009": "2.0 to 3.6",
    }
    for exp_id, limit in limits.items():
        span = _span(odf, "M1", exp_id)
        reset = mos_clock_reset(odf, "M1", exp_id, span, correlation)
        assert 2.0 <= correlation.tt_to_obt(span[0]) - reset.obt_s < 2.1
        assert ("counting cycles" in reset.doubt) == (limit is not None)
        assert limit is None or f"counting cycles allow {limit} s" in reset.doubt


@pytest.mark.parametrize(
    ("value", "steps", "expected"),
    [
        (26, [2.6] * 8, 2.6),
        (2600, [2.6] * 8, 2.6),
        (3, [0.3] * 8, 0.3),
        (2.6, [2.6] * 8, 2.6),
        # Header and stamps of a real CCD 1 differ by 4 %.
        (27, [2.81] * 8, 2.7),
        # As are ten frames each for those that a CCD sends, whose numbers do not count the others.
        (27, [28.1] * 8, 2.7),
        # Few frames far apart tell that none lasts longer than a step.
        (27, [140.52, 196.72, 28.1], 2.7),
        (2600, [5.2, 7.8], 2.6),
        (1000, [], 100.0),
        (0, [2.6] * 8, 0.0),
    ],
)
def test_unit_of_frmtime_by_the_stamps(value, steps, expected):
    stamps = np.concatenate([[0.0], np.cumsum(steps)])
    assert header_frame_time(value, np.arange(len(stamps)), stamps, "") == pytest.approx(expected)
