"""Rows of catalogues as they come, and as missions use them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.mission import state
from daxa.mission.catalogue import cache_file, read_cache, write_cache
from daxa.mission.catalogue_table import make_frame, to_bools, to_times
from daxa.mission.selection import today

ID = r"^[0-9]{10}$"
ROW = {
    "ObsID": ["0123456789"],
    "ra": [10.0],
    "dec": [-5.0],
    "start": ["2004-03-01 01:00:00.0"],
    "duration": [3600],
}


@pytest.mark.parametrize(
    "text",
    [
        "2004-03-01 01:00:00.0",
        "2004-03-01T01:00:00Z",
        "2004-03-01 01:00:00+00",
        "2004-03-01T01:00:00+00:00",
        53065.0416666667,
    ],
)
def test_times(text: object) -> None:
    assert abs(to_times([text])[0] - np.datetime64("2004-03-01T01:00:00")) < np.timedelta64(1, "ms")


def test_times_that_are_none() -> None:
    times = to_times([None, "", "soon", "2004-03-01", "99999-12-31T00:00:00"])
    assert list(np.isnat(times)) == [True, True, True, False, False]
    assert np.isnat(to_times([np.nan, np.inf, 1e300])).all()
    assert np.isnat(to_times([None, None])).all()
    with pytest.raises(ValueError, match="unknown format, such as '01/03/04'"):
        to_times(["01/03/04", None])


def test_bools() -> None:
    assert list(to_bools(["true", "F", None, "Y", " 1 "])) == [True, False, False, True, True]
    assert list(to_bools([1, 0, 2])) == [True, False, True]
    assert list(to_bools([np.nan, 1.0])) == [False, True]


def test_what_a_row_needs() -> None:
    frame = make_frame(ROW, ID, "XSA")
    assert list(frame.columns[:7]) == ["ra", "dec", "ObsID", "science_usable", "start", "duration", "end"]
    assert frame.end[0] == pd.Timestamp("2004-03-01 02:00:00")
    with pytest.raises(ValueError, match=r"XSA: the catalogue lacks the column\(s\) dec, end or duration"):
        make_frame({k: v for k, v in ROW.items() if k not in ("dec", "duration")}, ID, "XSA")
    with pytest.raises(ValueError, match="XSA: column start: times in an unknown format"):
        make_frame(ROW | {"start": ["x"]}, ID, "XSA")


def test_making_a_frame_again_changes_nothing() -> None:
    frame = make_frame(ROW | {"target": ["A907"], "proprietary_end_date": ["9999-12-31 00:00:00"]}, ID, "XSA")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(make_frame(frame, ID, "XSA"), frame)
        back = make_frame(state.rows_to_json(frame), ID, "XSA")
    pd.testing.assert_frame_equal(back, frame)


@given(st.lists(st.tuples(st.text("0123456789ab", max_size=11), st.floats(), st.floats()), max_size=20))
def test_only_good_rows_stay(rows: list) -> None:
    columns = {"ObsID": [r[0] for r in rows], "ra": [r[1] for r in rows], "dec": [r[2] for r in rows]}
    columns |= {"start": ["2004-03-01"] * len(rows), "duration": [1.0] * len(rows)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = make_frame(columns, ID, "XSA")
    good = {
        r[0] for r in rows if len(r[0]) == 10 and r[0].isdigit() and np.isfinite(r[1]) and abs(r[2]) <= 90
    }
    assert set(frame.ObsID) == good
    assert frame.ObsID.is_unique
    assert frame.ra.between(0, 360).all()
    assert len(caught) == (len(frame) < len(rows))


def test_cache_keeps_every_type() -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series(["a", None, "c\u00e9"], dtype=object),
            "number": [1.5, np.nan, -2.0],
            "whole": [1, 2, 3],
            "truth": [True, False, True],
            "time": np.array(["2004-03-01", "NaT", "9999-12-31"], "datetime64[us]"),
        }
    )
    date = today().replace(microsecond=0)
    assert read_cache("mine") is None
    write_cache("mine", frame, date)
    back, when = read_cache("mine")
    assert when == date
    pd.testing.assert_frame_equal(back.drop(columns="text"), frame.drop(columns="text"))
    assert [None if pd.isna(t) else t for t in back.text] == ["a", None, "c\u00e9"]
    content = cache_file("mine").read_bytes()
    cache_file("mine").write_bytes(content[: len(content) // 2])
    assert read_cache("mine") is None
