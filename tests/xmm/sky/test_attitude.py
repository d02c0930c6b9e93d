"""Attitude history and the table made from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.sky.attitude import Attitude, attitude_source, make_atthk, parse_sexagesimal, separation_deg


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
    from daxa.simulate.odf.housekeeping import sexagesimal

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


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "ASTPOS",
            [1.0, np.nan, np.nan],
            "ASTPOS: 2 of 3 records hold no finite number, the first is record 2",
        ),
        ("VALDUR", [np.inf, 1.0, 1.0], "VALDUR: 1 of 3 records hold no finite number, the first is record 1"),
        ("ASTPOS", ["north"] * 3, "ASTPOS: expected numbers, got 'north'"),
        ("VIEWRA", ["10:00:00.0", "", ""], "VIEWRA or VIEWDECL: '' is not an angle with two colons"),
    ],
)
def test_history_without_numbers_is_refused_by_column(column: str, values: list, message: str) -> None:
    table = {
        "VALTIME": [f"2017-11-01T10:42:3{i}" for i in range(3)],
        "VALDUR": [1.0] * 3,
        "VIEWRA": ["10:00:00.0"] * 3,
        "VIEWDECL": ["+10:00:00.0"] * 3,
        "ASTPOS": [1.0, 2.0, 3.0],
        "TYPEID": ["P"] * 3,
    }
    with pytest.raises(TaskError) as failure:
        Attitude.from_table(table | {column: values}, "X_ATS.FIT")
    assert failure.value.code == "badAttitudeFile"
    assert failure.value.message.startswith("X_ATS.FIT: ")
    assert failure.value.message.endswith(message)


def test_raw_file_gives_instants_between_which_the_attitude_changes_evenly() -> None:
    attitude = Attitude.from_raw_text(
        "2017-11-01T10:00:00.000 1.0 00:00:00.0 +10:00:00.0 359.0\n"
        "2017-11-01T10:00:00.500 1.0 00:00:00.0 +10:00:02.0 359.2\n\n"
        "2017-11-01T10:01:00.500 1.0 00:00:00.0 +11:30:02.0 1.2\n"
        "2017-11-01T10:01:01.500 1.0 00:00:00.0 +11:30:02.0 1.2\n"
    )
    start = utc_to_tt("2017-11-01T10:00:00")
    assert attitude.source == "RAF"
    np.testing.assert_allclose(attitude.start_s - start, [0.0, 0.5, 60.5, 61.5], atol=1e-6)
    assert attitude.at(start + 0.25) == pytest.approx((0.0, 10.0 + 1 / 3600, 359.1))
    assert attitude.at(start + 30.5) == pytest.approx((0.0, 10.75 + 2 / 3600, 0.2))
    # Jitter of a pointing is not a slew, 90 arcsec a second is.
    assert attitude.slewing(start + np.array([0.2, 30.0, 61.0])).tolist() == [False, True, False]
    assert attitude.good(start + np.array([-20.0, 15.0, 30.0, 82.0])).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# TIME RA DEC\n", "line 1: expected a date"),
        ("2017-11-01T10:00:00 00:00:00.0 +10:00:00.0 359.0\n2017-11-01T10:00:01 cut\n", "line 2: expected"),
        ("2017-11-01T10:00:00 00:00:00.0 +10:00:00.0 north\n", "north"),
        ("2017-13-01T10:00:00 00:00:00.0 +10:00:00.0 1.0\n", "not an ISO date"),
    ],
)
def test_raw_files_of_another_form_are_refused(text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as failure:
        Attitude.from_raw_text(text, "0001_RAS.ASC")
    assert "0001_RAS.ASC" in failure.value.message


@pytest.fixture(scope="module")
def two_attitudes(tmp_path_factory):
    """An ODF with the raw attitude beside the history; the raw one wobbles by 20 arcsec."""
    from daxa.simulate.odf.clock import Clock
    from daxa.simulate.odf.files import OdfWriter
    from daxa.simulate.odf.housekeeping import Pointing

    start = utc_to_tt("2017-11-01T10:42:37")
    pointing = Pointing(
        "0802710101", 3278, "X", 15.0, -30.0, 350.0, 15.0, -30.0, start, start + 900.0, start - 50_000.0
    )
    writer = OdfWriter(tmp_path_factory.mktemp("two_attitudes"), pointing, Clock(start - 50_000.0))
    writer.attitude()
    writer.raw_attitude(start - 120.0, start + 1020.0, step_s=0.5, wobble_arcsec=20.0)
    writer.time_correlation(np.random.default_rng(1))
    writer.summary()
    return writer.folder


@pytest.mark.parametrize(
    ("order", "removed", "source"),
    [
        (None, "", "AHF"),
        ("AHF:RAF", "", "AHF"),
        (None, "ATS", "RAF"),
        ("RAF:AHF", "", "RAF"),
        ("RAF:AHF", "RAS", "AHF"),
        ("RAF", "", "RAF"),
        ("RAF", "RAS", None),
        ("AHF", "ATS", None),
    ],
)
def test_sas_attitude_chooses_the_file(two_attitudes, tmp_path, order, removed, source) -> None:
    for path in two_attitudes.iterdir():
        if not removed or removed not in path.name:
            (tmp_path / path.name).symlink_to(path)
    env = {"SAS_ODF": str(tmp_path)} | ({"SAS_ATTITUDE": order} if order else {})
    odf = Odf.from_environment(env, tmp_path)
    if source is None:
        with pytest.raises(
            TaskError, match=rf"no attitude file {'RAS' if order == 'RAF' else 'ATS'} \({order}\)"
        ):
            Attitude.from_odf(odf)
        return
    attitude = Attitude.from_odf(odf)
    assert attitude.source == attitude_source(odf) == source
    start = utc_to_tt("2017-11-01T10:42:37")
    wobble = 20.0 if source == "RAF" else 0.0
    expected = -30.0 + wobble / 3600 * np.sin(2 * np.pi * np.arange(0, 900, 50) / 600)
    ra, dec, pa = attitude.at(start + np.arange(0, 900, 50))
    # Attitude files have digits of 0.1 arcsec.
    np.testing.assert_allclose(dec, expected, rtol=0, atol=0.06 / 3600)
    assert set(ra) == {15.0}
    assert set(pa) == {350.0}
    assert attitude.slewing(start + np.array([-30.0 if source == "RAF" else -200.0, 100.0])).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("order", ["THF", "AHF:AHF", "AHF,RAF", "ahf"])
def test_impossible_sas_attitude(two_attitudes, tmp_path, order) -> None:
    env = {"SAS_ODF": str(two_attitudes), "SAS_ATTITUDE": order}
    with pytest.raises(TaskError, match="SAS_ATTITUDE: expected AHF or RAF"):
        Attitude.from_odf(Odf.from_environment(env, tmp_path))
    # An unset variable that exists is the default.
    assert Attitude.from_odf(Odf.from_environment({**env, "SAS_ATTITUDE": ""}, tmp_path)).source == "AHF"


def test_atthkgen_with_the_raw_attitude(two_attitudes, tmp_path) -> None:
    import io

    from astropy.io import fits

    from daxa.xmm.task import run_task

    env = {"SAS_ODF": str(two_attitudes), "SAS_ATTITUDE": "RAF"}
    run_task("atthkgen", {}, cwd=tmp_path, env=env, out=io.StringIO())
    with fits.open(tmp_path / "atthk.dat") as hdus:
        assert hdus[0].header["ATT_SRC"] == "RAF"
        assert np.ptp(hdus["ATTHK"].data["AHFDEC"]) * 3600 == pytest.approx(40.0, abs=0.3)


def test_events_follow_the_attitude_that_was_chosen(two_attitudes, calibration_env, tmp_path) -> None:
    import io

    from astropy.io import fits

    from daxa.xmm.task import run_task

    start = utc_to_tt("2017-11-01T10:42:37")
    time = start + np.arange(0.0, 900.0, 75.0)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("TIME", "D", array=time),
            *(fits.Column(name, "I", array=np.full(12, 300)) for name in ("DETX", "DETY")),
        ],
        name="EVENTS",
    )
    table.header.update(INSTRUME="EPN", DATAMODE="IMAGING", RA_NOM=15.0, DEC_NOM=-30.0)
    north = {}
    for source in ("AHF", "RAF"):
        first = fits.PrimaryHDU()
        first.header["SYNTHCAL"] = True
        fits.HDUList([first, table]).writeto(tmp_path / f"{source}.fits")
        env = {**calibration_env, "SAS_ODF": str(two_attitudes), "SAS_ATTITUDE": source}
        arguments = {"eventset": f"{source}.fits", "refpointlabel": "nom"}
        run_task("attcalc", arguments, cwd=tmp_path, env=env, out=io.StringIO())
        with fits.open(tmp_path / f"{source}.fits") as hdus:
            assert hdus["EVENTS"].header["ATT_SRC"] == source
            assert f"Source of attitude information: {source}" in str(hdus["EVENTS"].header["HISTORY"])
            north[source] = hdus["EVENTS"].data["Y"] * 0.05
    assert np.ptp(north["AHF"]) == 0.0
    wobble = 20.0 * np.sin(2 * np.pi * (time - start) / 600.0)
    # To the digits of attitude files (0.1 arcsec), which RAF times half a second, and to units of Y.
    np.testing.assert_allclose(north["RAF"] - north["AHF"], wobble, rtol=0, atol=0.15)
