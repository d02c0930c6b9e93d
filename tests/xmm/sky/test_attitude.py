"""Attitude history and the table made from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.sky.attitude import Attitude, make_atthk, parse_sexagesimal, separation_deg
from daxa.xmm.task import TaskError


def _attitude(rows: list[tuple[float, float, float, float, float, bool]]) -> Attitude:
    start, duration, ra, dec, pa, slew = (np.array(c) for c in zip(*rows, strict=True))
    return Attitude(start, start + duration, ra, dec, pa, slew)


def test_sexagesimal() -> None:
    ra = parse_sexagesimal(np.array(["13:01:26.81", "00:00:00.0", " 23:59:59.9"]), hours=True)
    np.testing.assert_allclose(ra, [195.361708333, 0.0, 359.999583333], atol=1e-9)
    dec = parse_sexagesimal(np.array([b"+17:07:35.3", b"-00:00:30.0", b"-28:27:57.0"]))
    np.testing.assert_allclose(dec, [17.1264722222, -0.00833333333, -28.4658333333], atol=1e-9)
    with pytest.raises(ValueError):
        parse_sexagesimal(["12h30m"])


@given(st.floats(0, 359.99), st.floats(-89.99, 89.99))
def test_sexagesimal_there_and_back(ra: float, dec: float) -> None:
    from daxa.simulate.odf_files import sexagesimal

    if ra < 359.999:
        assert abs(parse_sexagesimal(sexagesimal(ra, hours=True), hours=True) - ra) <= 0.76 / 3600
    assert abs(parse_sexagesimal(sexagesimal(dec)) - dec) <= 0.051 / 3600


def test_stable_rows_hold_and_slews_are_linear() -> None:
    attitude = _attitude(
        [
            (0.0, 100.0, 10.0, 0.0, 30.0, False),
            (100.0, 10.0, 10.0, 0.0, 30.0, True),
            (110.0, 10.0, 12.0, 0.0, 34.0, True),
            (120.0, 500.0, 12.0, 0.0, 34.0, False),
        ]
    )
    for time, ra in ((0.0, 10.0), (99.0, 10.0), (105.0, 11.0), (110.0, 12.0), (400.0, 12.0)):
        assert attitude.at(time)[0] == pytest.approx(ra, abs=1e-9)
    assert attitude.at(105.0)[2] == pytest.approx(32.0)
    assert attitude.at(50.0) == (10.0, 0.0, 30.0)
    np.testing.assert_array_equal(attitude.slewing([50.0, 105.0, 300.0]), [False, True, False])


def test_distance_from_records() -> None:
    attitude = _attitude([(0.0, 100.0, 1.0, 2.0, 3.0, False), (300.0, 100.0, 1.0, 2.0, 3.0, False)])
    time = np.array([-20.0, -20.5, 50.0, 119.9, 120.5, 279.0, 280.5, 399.0, 420.0, 421.0])
    good = [True, False, True, True, False, False, True, True, True, False]
    np.testing.assert_array_equal(attitude.good(time), good)
    assert attitude.good(50.0) is True


def test_across_zero_and_over_the_pole() -> None:
    attitude = _attitude(
        [
            (0.0, 10.0, 359.0, 0.0, 359.0, False),
            (20.0, 10.0, 1.0, 0.0, 1.0, False),
            (40.0, 10.0, 0.0, 89.0, 10.0, False),
            (60.0, 10.0, 180.0, 89.0, 10.0, False),
        ]
    )
    ra, _, pa = attitude.at(15.0)
    assert (ra + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-9)
    assert (pa + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-9)
    assert attitude.at(55.0)[1] == pytest.approx(90.0, abs=1e-6)


@given(
    st.lists(
        st.tuples(
            st.floats(1.0, 1000.0), st.floats(0, 360), st.floats(-89, 89), st.floats(0, 360), st.booleans()
        ),
        min_size=1,
        max_size=8,
    ),
    st.floats(-50.0, 9000.0),
)
def test_between_two_records_is_between_them(rows, time: float) -> None:
    start = np.cumsum([0.0, *(r[0] for r in rows[:-1])])
    attitude = _attitude([(s, r[0] / 2, *r[1:]) for s, r in zip(start, rows, strict=True)])
    ra, dec, pa = attitude.at(time)
    assert 0 <= ra <= 360
    assert 0 <= pa <= 360
    i = int(np.clip(np.searchsorted(attitude.start_s, time, side="right") - 1, 0, len(rows) - 1))
    j = min(i + 1, len(rows) - 1)
    a, b = (attitude.ra_deg[i], attitude.dec_deg[i]), (attitude.ra_deg[j], attitude.dec_deg[j])
    total = separation_deg(*a, *b)
    if total < 179.0:
        assert separation_deg(*a, ra, dec) + separation_deg(ra, dec, *b) == pytest.approx(total, abs=1e-6)


def test_atthk_statistics() -> None:
    attitude = _attitude(
        [
            (0.0, 600.0, 195.361708333, 27.7594166667, 130.23, False),
            (600.0, 100.0, 195.361291667, 27.7594444444, 130.24, False),
        ]
    )
    result = make_atthk(attitude, 0.0, 719.0, 1.0)
    assert result.keywords["NATT"] == 720
    assert result.keywords["NGAHF"] == 720
    assert result.median == (195.361708333, 27.7594166667, 130.23)
    assert result.mean[0] == pytest.approx((600 * 195.361708333 + 120 * 195.361291667) / 720)
    shift = separation_deg(195.361708333, 27.7594166667, 195.361291667, 27.7594444444)
    assert result.columns["DAHFPNT"].max() == pytest.approx(float(shift))
    assert result.keywords["MDAHFPNT"] == 0.0
    assert result.keywords["ADAHFPNT"] == pytest.approx(float(shift) * 120 / 720)
    assert result.keywords["MDAHFOM"] == 0.0


def test_atthk_marks_bad_times() -> None:
    attitude = _attitude([(0.0, 50.0, 359.9999, 5.0, 0.1, False), (50.0, 50.0, 0.0001, 5.0, 359.9, False)])
    result = make_atthk(attitude, 0.0, 200.0, 1.0)
    assert np.isnan(result.columns["AHFRA"][121:]).all()
    assert not np.isnan(result.columns["AHFRA"][:121]).any()
    assert result.keywords["NGAHF"] == 121
    assert (result.median[0] + 180) % 360 - 180 == pytest.approx(0.0, abs=2e-4)
    assert (result.mean[2] + 180) % 360 - 180 == pytest.approx(0.0, abs=0.2)


def test_atthk_without_attitude() -> None:
    attitude = _attitude([(0.0, 50.0, 1.0, 5.0, 0.1, False)])
    with pytest.raises(TaskError, match="no attitude record"):
        make_atthk(attitude, 1000.0, 1100.0)
    with pytest.raises(TaskError, match="no interval"):
        make_atthk(attitude, 100.0, 100.0)
    with pytest.raises(TaskError, match="no records"):
        _attitude([(0.0, 50.0, 1.0, 5.0, 0.1, False)]).__class__(*(np.zeros(0) for _ in range(6)))


def test_history_file(spacecraft_odf) -> None:
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import utc_to_tt

    attitude = Attitude.from_odf(Odf.open(spacecraft_odf))
    start = utc_to_tt("2017-11-01T10:42:37")
    time = start + np.arange(0, 6000, 10.0)
    ra, _, pa = attitude.at(time)
    assert np.unique(ra).tolist() == [pytest.approx(150.485625, abs=0.8 / 3600)]
    assert np.unique(pa).tolist() == [117.25]
    assert attitude.good(time).all()
    assert not attitude.slewing(time).any()
    slew = start - 60.0 - np.arange(20, 2300, 10.0)
    assert attitude.slewing(slew).any()
    assert np.abs(np.diff(attitude.at(slew)[1])).max() < 1.0


def test_history_with_a_wrong_date() -> None:
    table = {
        "VALTIME": ["2017-11-01T10:42:37", "not a date"],
        "VALDUR": [1.0, 1.0],
        "VIEWRA": ["10:00:00.0"] * 2,
        "VIEWDECL": ["+10:00:00.0"] * 2,
        "ASTPOS": [1.0, 2.0],
        "TYPEID": ["P", "P"],
    }
    with pytest.raises(TaskError, match="X_ATS.FIT: VALTIME"):
        Attitude.from_table(table, "X_ATS.FIT")
