"""UTC, TT and the on-board clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.times import TimeCorrelation, clock_pairs, tt_to_utc, utc_to_tt

#: TT - UTC by date.
OFFSETS = [
    ("1998-06-01", 63.184),
    ("1999-01-01", 64.184),
    ("2006-01-01", 65.184),
    ("2008-12-31", 65.184),
    ("2009-01-01", 66.184),
    ("2012-07-01", 67.184),
    ("2015-07-01", 68.184),
    ("2017-01-01", 69.184),
    ("2026-01-01", 69.184),
]


@pytest.mark.parametrize(("date", "offset"), OFFSETS)
def test_leap_seconds(date: str, offset: float) -> None:
    seconds = (datetime.fromisoformat(date) - datetime(1998, 1, 1)).total_seconds()
    assert utc_to_tt(f"{date}T00:00:00") == pytest.approx(seconds + offset, abs=1e-6)


def test_real_values() -> None:
    assert utc_to_tt("2011-08-12T00:30:58") == pytest.approx(429496324.184, abs=1e-6)
    assert utc_to_tt("1997-12-31T23:58:56.816") == pytest.approx(0.0, abs=1e-6)
    assert tt_to_utc(429496324.184) == "2011-08-12T00:30:58"


def test_arrays_and_leap_second() -> None:
    dates = ["2016-12-31T23:59:59", "2016-12-31T23:59:60", "2017-01-01T00:00:00"]
    seconds = utc_to_tt(dates)
    np.testing.assert_allclose(np.diff(seconds), 1.0, atol=1e-6)
    assert tt_to_utc(seconds).tolist() == dates
    assert tt_to_utc(seconds[1] + 0.25, decimals=3) == "2016-12-31T23:59:60.250"
    assert tt_to_utc(seconds[1] + 0.75) == "2017-01-01T00:00:00"


@given(st.floats(1e6, 9e8), st.integers(0, 6))
def test_utc_there_and_back(seconds: float, decimals: int) -> None:
    text = tt_to_utc(seconds, decimals=decimals)
    assert abs(utc_to_tt(text) - seconds) <= 0.5 * 10.0**-decimals + 2e-6


@given(st.datetimes(datetime(1998, 1, 1), datetime(2030, 1, 1)))
def test_tt_there_and_back(date: datetime) -> None:
    text = date.isoformat(timespec="microseconds")
    assert (
        tt_to_utc(utc_to_tt(text), decimals=6)[:23]
        == ((date + timedelta(microseconds=0)).isoformat(timespec="microseconds")[:23])
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2017-13-01T00:00:00", "2017-01-01T25:00:00"])
def test_not_a_date(text: str) -> None:
    with pytest.raises(ValueError, match="ISO date"):
        utc_to_tt(text)


def _clock(n: int = 400, seed: int = 3, scatter: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    obt = np.sort(5e8 + rng.uniform(0, 170_000, n))
    d = obt - 5e8
    tt = obt + 1.25e8 - 1.3e-6 * d + 2.5e-14 * d**2 + scatter * rng.standard_normal(n)
    return obt, tt


def test_fit_of_a_drifting_clock() -> None:
    obt, tt = _clock()
    fit = TimeCorrelation.fit(obt, tt)
    grid = np.linspace(obt[0], obt[-1], 1001)
    d = grid - 5e8
    np.testing.assert_allclose(
        fit.obt_to_tt(grid), grid + 1.25e8 - 1.3e-6 * d + 2.5e-14 * d**2, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(fit.tt_to_obt(fit.obt_to_tt(grid)), grid, rtol=0, atol=1e-6)
    assert isinstance(fit.obt_to_tt(5.0001e8), float)
    cards = {k: v[0] for k, v in fit.keywords().items()}
    assert cards["TFIT_RMS"] < 2e-6
    assert cards["TFIT_DEG"] in (2, 3, 4)
    assert cards["TFIT_PFR"] == 0.0
    assert cards["TFIT_RPD"] is False
    assert cards["TFIT_IGH"] is True


def test_fit_leaves_out_wrong_points() -> None:
    obt, tt = _clock()
    clean = TimeCorrelation.fit(obt, tt)
    tt[::40] += 0.3
    tt[7] -= 200.0
    fit = TimeCorrelation.fit(obt, tt)
    assert fit.removed == pytest.approx(11 / 400)
    np.testing.assert_allclose(fit.obt_to_tt(obt), clean.obt_to_tt(obt), rtol=0, atol=1e-6)


def test_no_running_away_beyond_the_points() -> None:
    obt, tt = _clock(n=30)
    fit = TimeCorrelation.fit(obt, tt)
    beyond = obt[-1] + 20_000.0
    d = beyond - 5e8
    assert fit.obt_to_tt(beyond) == pytest.approx(beyond + 1.25e8 - 1.3e-6 * d + 2.5e-14 * d**2, abs=1e-4)


def test_unusable_points() -> None:
    obt, tt = _clock(n=40)
    with pytest.raises(TaskError, match="at least 2"):
        TimeCorrelation.fit(obt[:1], tt[:1], source="X_TCX.FIT")
    with pytest.raises(TaskError, match=r"X_TCX.FIT: no polynomial"):
        TimeCorrelation.fit(obt, tt + np.random.default_rng(1).uniform(-9, 9, 40), source="X_TCX.FIT")


def test_two_points_make_a_line() -> None:
    fit = TimeCorrelation.fit([0.0, 100.0], [50.0, 150.001])
    assert fit.obt_to_tt(50.0) == pytest.approx(100.0005, abs=1e-9)


def test_utc_columns_of_a_day_with_a_leap_second() -> None:
    days = (datetime(2016, 12, 31) - datetime(1958, 1, 1)).days
    table = {
        "OBTCOARS": [100, 101],
        "OBTFINE": [0, 2**15],
        "UTCDAY": [days, days + 1],
        "UTCMILLI": [86_399_999, 0],
        "UTCMICRO": [0, 5],
    }
    obt, tt = clock_pairs(table)
    np.testing.assert_allclose(obt, [100.0, 101.5])
    assert tt[0] == pytest.approx(utc_to_tt("2016-12-31T23:59:59.999"), abs=1e-6)
    assert tt[1] == pytest.approx(utc_to_tt("2017-01-01T00:00:00.000005"), abs=1e-6)


def test_fractions_of_24_bits_are_told_by_their_size() -> None:
    day = {"UTCDAY": [15_000] * 2, "UTCMILLI": [0, 1500], "UTCMICRO": [0, 0]}
    obt, _ = clock_pairs({"OBTCOARS": [100, 101], "OBTFINE": [0, 2**23], **day})
    np.testing.assert_allclose(obt, [100.0, 101.5])


def test_real_time_correlation_over_a_revolution(shared_data) -> None:
    """OBTFINE counts 2**-16 s: the file's own on-board times, and a polynomial for two days."""
    from daxa.xmm.odf.odf import Odf

    odf = Odf.open(shared_data / "odf_0135730701")
    fit = TimeCorrelation.from_odf(odf)
    assert fit.rms_s < 5e-5
    table = odf.one("SC", "TCX").read(1)
    obt, tt = clock_pairs(table.columns)
    assert np.abs(obt - table["OBTNOFIT"]).max() < 3e-5
    assert np.abs(fit.obt_to_tt(obt) - tt).max() < 1e-4


def test_from_odf(spacecraft_odf) -> None:
    from daxa.simulate.odf.clock import Clock
    from daxa.xmm.odf.odf import Odf

    odf = Odf.open(spacecraft_odf)
    start = utc_to_tt("2017-11-01T10:42:37")
    clock = Clock(start - 50_000.0)
    for span in ((), (start, start + 6000.0)):
        fit = TimeCorrelation.from_odf(odf, *span)
        assert fit.source.endswith("TCX.FIT")
        times = start + np.linspace(0, 6000, 50)
        np.testing.assert_allclose(fit.obt_to_tt(clock.obt(times)), times, rtol=0, atol=2e-6)
        np.testing.assert_allclose(fit.tt_to_obt(times), clock.obt(times), rtol=0, atol=2e-6)


def test_odf_without_clock(tmp_path) -> None:
    from daxa.xmm.odf.odf import Odf

    (tmp_path / "0001_0123456789_SCX00000SUM.ASC").write_text("")
    assert Odf.open(tmp_path).period is None
    with pytest.raises(TaskError, match="no TCX or TCS file"):
        TimeCorrelation.from_odf(Odf.open(tmp_path))


@pytest.mark.parametrize(
    ("order", "removed", "source"),
    [
        (None, "", "TCX"),
        (None, "TCX", "TCS"),
        ("TCS", "", "TCS"),
        ("TCS:TCX", "", "TCS"),
        ("TCS:TCX", "TCS", "TCX"),
        ("TCX", "TCX", None),
        ("TCX;TCS", "", "SAS_TIMECORR: expected TCX or TCS"),
    ],
)
def test_sas_timecorr_chooses_the_file(spacecraft_odf, tmp_path, order, removed, source) -> None:
    from daxa.xmm.odf.odf import Odf

    for path in spacecraft_odf.iterdir():
        if not removed or removed not in path.name:
            (tmp_path / path.name).symlink_to(path)
    env = {"SAS_ODF": str(tmp_path)} | ({"SAS_TIMECORR": order} if order else {})
    odf = Odf.from_environment(env, tmp_path)
    if source in ("TCX", "TCS"):
        assert TimeCorrelation.from_odf(odf).source.endswith(f"{source}.FIT")
    else:
        with pytest.raises(TaskError, match=source or "no TCX file"):
            TimeCorrelation.from_odf(odf)


@pytest.mark.parametrize(("scope", "rows"), [("OBS", 6000 / 64), ("ALL", 172_360 / 64)])
def test_sas_timecorr_tcx_chooses_the_rows(spacecraft_odf, tmp_path, scope, rows) -> None:
    from daxa.xmm.odf.odf import Odf

    start = utc_to_tt("2017-11-01T10:42:37")
    env = {"SAS_ODF": str(spacecraft_odf), "SAS_TIMECORR_TCX": scope}
    odf = Odf.from_environment(env, tmp_path)
    assert odf.period == (start, start + 6000.0)
    for fit in (TimeCorrelation.from_odf(odf, *odf.period), TimeCorrelation.from_odf(odf)):
        assert (fit.domain[1] - fit.domain[0]) / 64 == pytest.approx(rows, abs=3)
    env["SAS_TIMECORR_TCX"] = "SOME"
    with pytest.raises(TaskError, match="SAS_TIMECORR_TCX: expected OBS or ALL"):
        TimeCorrelation.from_odf(Odf.from_environment(env, tmp_path))
