"""Filters against brute force, and what users get wrong."""

from __future__ import annotations

import json
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_server import ArchiveServer
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.coordinates.angles import angular_separation
from astropy.table import MaskedColumn
from astropy.time import Time
from astropy.utils.masked import Masked
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.exceptions import (
    IllegalSourceType,
    IncompatibleSaveError,
    MissionLockedError,
    NoObsAfterFilterError,
    NoTargetSourceTypeInfo,
)
from daxa.mission import BaseMission, XMMPointed, filters
from daxa.mission.catalogue_table import make_frame
from daxa.mission.resolve import resolve

N = 17_000


def sky(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


RA, DEC = sky(N, 1)
# some exactly at the poles and on the meridian, where formulas go wrong
RA[:40], DEC[:20], DEC[20:40] = np.linspace(0, 359, 40), 90, -90
RA[40:60], DEC[40:60] = 0, np.linspace(-89, 89, 20)
START = np.datetime64("2000-01-01", "us") + (np.arange(N) * 12 * 3600 * 10**6).astype("timedelta64[us]")


class Survey(BaseMission):
    """A mission with 17,000 simulated observations."""

    name, pretty_name, id_regex = "survey", "Survey", r"^[0-9]{10}$"
    instruments = default_instruments = ("A", "B")
    rows: pd.DataFrame | None = None

    @property
    def fov(self) -> Any:
        return u.Quantity(0.25, "deg")

    def _query(self, refresh: bool) -> tuple[Any, str]:
        if self.rows is not None:
            return self.rows, "2026-01-01T00:00:00"
        columns = {
            "ObsID": [f"{i:010d}" for i in range(N)],
            "ra": RA,
            "dec": DEC,
            "start": START,
            "duration": np.full(N, 6 * 3600.0),
            "science_usable": np.arange(N) % 50 != 0,
            "target": [f"Abell {i}" for i in range(N)],
            "target_category": np.array(["GCL", "AGN", "STR", "CAL"])[np.arange(N) % 4],
        }
        return pd.DataFrame(columns), "2026-01-01T00:00:00"


@pytest.fixture(scope="module", autouse=True)
def _catalogue() -> None:
    Survey.rows = None
    rows = Survey._query(Survey.__new__(Survey), False)[0]
    Survey.rows = make_frame(rows, Survey.id_regex, "Survey")


@pytest.fixture
def survey() -> Survey:
    return Survey()


anywhere = st.tuples(
    st.one_of(st.floats(0, 360), st.sampled_from([0.0, 360.0, 359.9999, 1e-9])),
    st.one_of(st.floats(-90, 90), st.sampled_from([90.0, -90.0, 89.9999, -89.9999])),
)
radius = st.one_of(st.floats(1e-3, 30), st.floats(30, 200))


@settings(max_examples=20)
@given(st.lists(anywhere, min_size=1, max_size=6), st.data())
def test_positions_against_brute_force(places: list, data: st.DataObject) -> None:
    one = data.draw(st.booleans())
    radii = (
        data.draw(radius)
        if one
        else np.array(data.draw(st.lists(radius, min_size=len(places), max_size=len(places))))
    )
    ra, dec = np.array(places).T
    apart = np.degrees(
        angular_separation(*(np.radians(a) for a in (RA[:, None], DEC[:, None], ra[None, :], dec[None, :])))
    )
    sure = np.abs(apart - radii) > 1e-7
    mask = filters.near_positions(RA, DEC, ra, dec, radii)
    clear = sure.all(axis=1)
    assert np.array_equal(mask[clear], (apart <= radii).any(axis=1)[clear])
    obs, pos = filters.match_pairs(RA, DEC, ra, dec, radii)
    found = np.zeros(apart.shape, bool)
    found[obs, pos] = True
    assert np.array_equal(found[sure], (apart <= radii)[sure])


def test_many_radii_take_the_other_way() -> None:
    ra, dec = sky(40, 3)
    radii = np.linspace(0.5, 20, 40)
    one_by_one = np.any([filters.near_positions(RA, DEC, ra[i], dec[i], radii[i]) for i in range(40)], axis=0)
    assert np.array_equal(filters.near_positions(RA, DEC, ra, dec, radii), one_by_one)


@settings(max_examples=20)
@given(st.floats(0, 360), st.floats(0, 360), st.floats(-90, 90), st.floats(-90, 90))
def test_rectangle_against_brute_force(ra_from: float, ra_to: float, dec_a: float, dec_b: float) -> None:
    low, high = sorted((dec_a, dec_b))
    mask = filters.in_rectangle(RA, DEC, ra_from, ra_to, low, high)
    if ra_from <= ra_to:
        inside = (ra_from <= RA) & (ra_to >= RA)
    else:
        inside = (ra_from <= RA) | (ra_to >= RA)
    inside &= (low <= DEC) & (high >= DEC)
    edge = np.isin(RA, [0.0]) | np.isclose(RA, ra_from) | np.isclose(RA, ra_to)
    assert np.array_equal(mask[~edge], inside[~edge])


@settings(max_examples=40)
@given(st.integers(-100, N + 100), st.integers(0, 500), st.booleans())
def test_time_against_brute_force(first: int, length: int, over_run: bool) -> None:
    begin = START[0] + np.timedelta64(first * 12, "h")
    end = begin + np.timedelta64(length, "h")
    stop = START + np.timedelta64(6, "h")
    mask = filters.in_time(START, stop, begin, end, over_run)
    some = range(0, N, 37)
    expected = [
        (START[i] <= end and stop[i] >= begin) if over_run else (START[i] >= begin and stop[i] <= end)
        for i in some
    ]
    assert np.array_equal(mask[some], expected)


def test_many_positions_at_once(survey: Survey) -> None:
    ra, dec = sky(100_000, 2)
    frame = survey.filter_on_positions(np.column_stack([ra, dec]), 0.3, return_pos_obs_info=True)
    apart = SkyCoord(ra[:500], dec[:500], unit="deg")
    for place, row in zip(apart, range(500), strict=True):
        near = place.separation(SkyCoord(RA, DEC, unit="deg")).deg <= 0.3
        ids = set(survey.obs_ids[near & survey.science_usable])
        listed = frame.loc[frame.pos_ind == row, "ObsIDs"]
        assert ids == (set(listed.iloc[0].split(",")) if len(listed) else set())
        if row == 40:
            break


def test_filters_commute() -> None:
    steps = [
        lambda m: m.filter_on_positions([[10, 5], [200, -40]], [40, 60] * u.deg),
        lambda m: m.filter_on_time(datetime(2001, 1, 1), datetime(2015, 1, 1)),
        lambda m: m.filter_on_target_type(["GCL", "AGN"]),
        lambda m: m.filter_on_rect_region([350, -60], [60, 60]),
    ]
    results = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        mission = Survey()
        for step in order:
            steps[step](mission)
        results.append(set(mission.filtered_obs_ids))
        assert [o["name"] for o in mission.filtering_operations] == [
            ["filter_on_positions", "filter_on_time", "filter_on_target_type", "filter_on_rect_region"][s]
            for s in order
        ]
    assert results[0] == results[1] == results[2]
    assert 0 < len(results[0]) < N


def test_a_filter_that_leaves_nothing_changes_nothing(survey: Survey) -> None:
    survey.filter_on_obs_ids(["0000000001", "0000000002"])
    before = survey.filter_array.copy()
    with pytest.raises(NoObsAfterFilterError, match="none of the 2 selected"):
        survey.filter_on_time(datetime(2020, 1, 1), datetime(2020, 2, 1))
    assert np.array_equal(survey.filter_array, before)
    assert len(survey.filtering_operations) == 1
    # and later filters are recorded as before
    survey.filter_on_obs_ids("0000000001")
    assert [o["name"] for o in survey.filtering_operations] == ["filter_on_obs_ids"] * 2
    survey.reset_filter()
    assert len(survey) == survey.science_usable.sum()
    assert survey.filtering_operations == []


def test_obs_ids(survey: Survey) -> None:
    with pytest.raises(ValueError, match="'12' cannot be Survey ObsIDs"):
        survey.filter_on_obs_ids(["12"])
    with pytest.raises(NoObsAfterFilterError, match=r"has no ObsID 0000099999 \(near it: .*0000009999"):
        survey.filter_on_obs_ids("0000099999")
    with pytest.warns(UserWarning, match="has no ObsID 0000099999"):
        survey.filter_on_obs_ids(["0000099999", "0000000007"])
    assert list(survey.filtered_obs_ids) == ["0000000007"]
    survey.reset_filter()
    survey.filter_on_obs_ids(["0000000007"], invert=True)
    assert len(survey) == survey.science_usable.sum() - 1


def test_rectangles_across_zero(survey: Survey) -> None:
    survey.filter_on_rect_region([350, -10], [10, 10])
    ra = survey.filtered_obs_info.ra
    assert ((ra >= 350) | (ra <= 10)).all()
    survey.reset_filter()
    with pytest.warns(UserWarning, match="swapped"):
        survey.filter_on_rect_region(SkyCoord(60, -10, unit="deg"), SkyCoord(40, 10, unit="deg"))
    assert survey.filtered_obs_info.ra.between(40, 60).all()
    with pytest.raises(ValueError, match="lower_left: its declination"):
        survey.filter_on_rect_region([40, 10], [60, -10])


def test_names(survey: Survey, tmp_path: Path) -> None:
    known = {"A907": (149.59, -11.06), "M87": (187.7, 12.39)}
    asked: list[str] = []

    def resolver(name: str, parse: bool) -> tuple[float, float] | None:
        asked.append(name)
        return known.get(name)

    survey.name_resolver = resolver
    with pytest.raises(
        ValueError, match="no object named 'Abel 907'; the catalogue has targets named Abell 907"
    ):
        survey.filter_on_name("Abel 907")
    with pytest.warns(UserWarning, match="no object named 'Nowhere'"):
        survey.filter_on_name(["A907", "Nowhere", "M87"], [5, 1, 3] * u.deg)
    selected = list(survey.filtered_obs_ids)
    apart = survey.filtered_ra_decs
    assert selected
    assert (
        (apart.separation(SkyCoord(149.59, -11.06, unit="deg")).deg <= 5)
        | (apart.separation(SkyCoord(187.7, 12.39, unit="deg")).deg <= 3)
    ).all()
    survey.save(tmp_path)
    asked.clear()
    again = Survey(save_file_path=tmp_path / "survey_state.json")
    again.name_resolver = resolver
    assert list(again.filtered_obs_ids) == selected
    assert not again.update(download_new=False)["sel_obs_change"]
    assert list(again.filtered_obs_ids) == selected
    assert asked == []  # coordinates are remembered


def test_sesame(server: ArchiveServer) -> None:
    server.names["A 907"] = (149.591700, -11.064200)
    assert resolve("A 907") == (149.5917, -11.0642)
    assert resolve("no such thing") is None
    assert resolve("CRTS SSS100805 J194428-420209", parse=True) == pytest.approx(
        (296.1167, -42.0358), abs=1e-3
    )


def test_positions_at_time(survey: Survey) -> None:
    places = [[10.0, 5.0], [200.0, -40.0]]
    starts, ends = [datetime(2001, 1, 1), datetime(2010, 1, 1)], [datetime(2004, 1, 1), datetime(2012, 1, 1)]
    frame = survey.filter_on_positions_at_time(places, starts, ends, 20 * u.deg, return_obs_info=True)
    info = survey.filtered_obs_info
    at = SkyCoord(info.ra.to_numpy(), info.dec.to_numpy(), unit="deg")
    hit = np.zeros(len(info), bool)
    for place, start, end in zip(places, starts, ends, strict=True):
        near = at.separation(SkyCoord(*place, unit="deg")).deg <= 20
        hit |= near & (info.start <= end).to_numpy() & (info.end >= start).to_numpy()
    assert hit.all()
    assert set(",".join(frame.ObsIDs).split(",")) == set(info.ObsID)
    with pytest.raises(ValueError, match="every of the 2 positions"):
        survey.filter_on_positions_at_time(places, starts[:1], ends, 20 * u.deg)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.filter_on_positions("here"), "positions: expected a SkyCoord"),
        (lambda m: m.filter_on_positions([["north", "1"]]), "positions: number 0: "),
        (lambda m: m.filter_on_positions([["1:2:3", "-95"]]), "positions: number 0: '-95' is no declination"),
        (lambda m: m.filter_on_positions([{"ra": 1}]), "positions: expected a SkyCoord"),
        (lambda m: m.filter_on_positions([1, 2, 3]), "positions: expected .* pairs"),
        (lambda m: m.filter_on_positions([10, 95]), "not a place in the sky"),
        (lambda m: m.filter_on_positions([np.nan, 5]), "positions: 1 of 1 are missing .*nothing is left"),
        (lambda m: m.filter_on_positions([np.inf, 5]), "not a place in the sky"),
        (
            lambda m: m.filter_on_positions([[1, 2], [3, 4]], [1, 2, 3] * u.deg),
            "search_distance: expected one",
        ),
        (lambda m: m.filter_on_positions([1, 2], -1), "search_distance: must be positive"),
        (lambda m: m.filter_on_positions([1, 2], {"Z": 1 * u.deg}), "unknown instruments Z"),
        (lambda m: m.filter_on_positions([1, 2], 3 * u.s), "deg"),
        (lambda m: m.filter_on_time("yesterday", "today"), "start_datetime: expected datetimes"),
        (lambda m: m.filter_on_time(datetime(2005, 1, 1), datetime(2004, 1, 1)), "start before an end"),
    ],
)
def test_bad_arguments(survey: Survey, call: Any, message: str) -> None:
    with pytest.raises((ValueError, u.UnitConversionError), match=message):
        call(survey)
    assert survey.filtering_operations == []


def test_kinds_of_positions(survey: Survey) -> None:
    expected = None
    for places in (
        SkyCoord([10, 200], [5, -40], unit="deg"),
        [SkyCoord(10, 5, unit="deg"), SkyCoord(200, -40, unit="deg")],
        [[10, 5], [200, -40]],
        np.array([[10, 5], [200, -40]]) * 60 * u.arcmin,
        SkyCoord([10, 200], [5, -40], unit="deg").galactic,
    ):
        survey.reset_filter()
        survey.filter_on_positions(places, 10)
        expected = expected or set(survey.filtered_obs_ids)
        assert set(survey.filtered_obs_ids) == expected
    survey.reset_filter()
    survey.filter_on_time(Time("2001-01-01T00:00:00"), "2002-01-01")
    assert len(survey) == pytest.approx(730, rel=0.05)


def test_target_types(survey: Survey, tmp_path: Path) -> None:
    survey.filter_on_target_type("gcl")
    assert set(survey.filtered_obs_info.target_category) == {"GCL"}
    with pytest.raises(IllegalSourceType, match="XYZ"):
        survey.filter_on_target_type("XYZ")
    import odf_files

    odf_files.write(odf_files.odf("0800010101"), tmp_path / "0800010101")
    with pytest.raises(NoTargetSourceTypeInfo):
        XMMPointed(local=tmp_path).filter_on_target_type("GCL")


def test_locking(survey: Survey) -> None:
    survey.locked = True
    for change in (
        lambda: survey.filter_on_target_type("GCL"),
        lambda: survey.reset_filter(),
        lambda: setattr(survey, "filter_array", survey.filter_array),
        lambda: setattr(survey, "chosen_instruments", "A"),
        lambda: setattr(survey, "locked", False),
    ):
        with pytest.raises(MissionLockedError):
            change()


def test_filter_array(survey: Survey, tmp_path: Path) -> None:
    mask = np.zeros(N, bool)
    mask[[5, 6]] = True
    survey.filter_array = mask
    survey.filter_on_obs_ids("0000000005")
    with pytest.raises(ValueError, match="expected 17000 booleans"):
        survey.filter_array = mask[:5]
    survey.save(tmp_path)
    again = Survey(save_file_path=tmp_path / "survey_state.json")
    assert not again.update(download_new=False)["sel_obs_change"]
    assert list(again.filtered_obs_ids) == ["0000000005"]


def test_saved_state_is_refused_when_it_does_not_fit(survey: Survey, tmp_path: Path) -> None:
    survey.filter_on_obs_ids("0000000005")
    survey.save(tmp_path, "mine.json")
    with pytest.raises(IncompatibleSaveError, match=r"mine\.json is of survey, not of xmm_pointed"):
        XMMPointed(save_file_path=tmp_path / "mine.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(IncompatibleSaveError, match="not a saved mission"):
        Survey(save_file_path=tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError):
        Survey(save_file_path=tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"\.json"):
        survey.save(tmp_path, "state")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("chos_inst", None),
        ("chos_inst", ["Z"]),
        ("version", "two"),
        ("obs_info", {"ObsID": ["0000000005"]}),
        ("obs_info", 5),
        ("failed_downloads", ["0000000005"]),
        ("downloaded_type", 1),
        ("filtering_operations", [{"name": "filter_on_time"}]),
        ("filtering_operations", [{"name": "x", "arguments": {"a": {"datetime": "soon"}}}]),
    ],
)
def test_damaged_states_are_refused_by_name(survey: Survey, tmp_path: Path, key: str, value: object) -> None:
    survey.save(tmp_path, "mine.json")
    saved = json.loads((tmp_path / "mine.json").read_text())
    (tmp_path / "mine.json").write_text(json.dumps(saved | {key: value}))
    with pytest.raises(IncompatibleSaveError, match=r"mine\.json"):
        Survey(save_file_path=tmp_path / "mine.json")
    del saved["obs_info"], saved["selected_obs"]
    (tmp_path / "mine.json").write_text(json.dumps(saved))
    with pytest.raises(IncompatibleSaveError, match=r"mine\.json lacks 'selected_obs'"):
        Survey(save_file_path=tmp_path / "mine.json")


def test_one_state_saved_by_many_at_once(survey: Survey, tmp_path: Path) -> None:
    survey.filter_on_obs_ids(["0000000005", "0000000006"])
    start = threading.Barrier(8)

    def save(_: int) -> None:
        start.wait()
        for _ in range(30):
            survey.save(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))
    assert [p.name for p in tmp_path.iterdir()] == ["survey_state.json"]
    again = Survey(save_file_path=tmp_path / "survey_state.json")
    assert list(again.filtered_obs_ids) == ["0000000005", "0000000006"]


def test_an_update_that_fails_changes_nothing(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    survey.filter_on_obs_ids(["0000000005", "0000000006"])
    before = survey.filtering_operations

    def fail(self: Survey, operations: list) -> None:
        raise RuntimeError("no filter")

    monkeypatch.setattr(Survey, "_replay", fail)
    with pytest.raises(RuntimeError, match="no filter"):
        survey.update(download_new=False)
    assert list(survey.filtered_obs_ids) == ["0000000005", "0000000006"]
    assert survey.filtering_operations == before


@settings(max_examples=6)
@given(
    st.lists(st.sampled_from(["pos", "time", "type", "rect", "ids", "at"]), max_size=4), st.integers(0, 99)
)
def test_any_history_survives_saving(
    tmp_path_factory: pytest.TempPathFactory, history: list, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mission = Survey()
    for kind in history:
        try:
            if kind == "pos":
                mission.filter_on_positions(
                    SkyCoord(*rng.uniform(0, 80, (2, 3)), unit="deg"), rng.uniform(30, 90, 3) * u.deg
                )
            elif kind == "time":
                mission.filter_on_time(
                    datetime(2000, 5, 1), datetime(2000, 5, 1) + timedelta(days=int(rng.integers(5000)))
                )
            elif kind == "type":
                mission.filter_on_target_type(["GCL", "STR"])
            elif kind == "rect":
                mission.filter_on_rect_region([300, -80], [rng.uniform(0, 100), 80])
            elif kind == "ids":
                mission.filter_on_obs_ids([f"{i:010d}" for i in rng.integers(0, N, 50)], invert=True)
            else:
                mission.filter_on_positions_at_time(
                    rng.uniform(0, 80, (2, 2)), [datetime(2000, 1, 1)] * 2, [datetime(2020, 1, 1)] * 2, 60
                )
        except NoObsAfterFilterError:
            continue
    folder = tmp_path_factory.mktemp("state")
    mission.save(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = Survey(save_file_path=folder / "survey_state.json")
    pd.testing.assert_frame_equal(
        again.filtered_obs_info, mission.filtered_obs_info.reset_index(drop=True), check_dtype=True
    )
    assert not again.update(download_new=False)["sel_obs_change"]
    assert list(again.filtered_obs_ids) == list(mission.filtered_obs_ids)


def test_instrument_names() -> None:
    survey = Survey(insts="b")
    assert survey.chosen_instruments == ["B"]
    with pytest.raises(ValueError, match="insts: Z given, Survey has A, B"):
        Survey(insts=["A", "Z"])
    with pytest.raises(ValueError, match="insts: nothing given"):
        Survey(insts=[])


def test_info(survey: Survey, capsys: pytest.CaptureFixture[str]) -> None:
    survey.filter_on_target_type("GCL")
    survey.info()
    text = capsys.readouterr().out
    assert "selected of 17000" in text
    assert "filter_on_target_type" in text


def _masked_skycoord() -> SkyCoord:
    ra, dec = (
        Masked([149.59, 10.0] * u.deg, mask=[True, False]),
        Masked([-11.06, 20.0] * u.deg, mask=[True, False]),
    )
    return SkyCoord(ra, dec)


class TestMaskedValues:
    """What is stored under a mask is no value: such entries are left out, and their places named."""

    @pytest.mark.parametrize(
        "positions",
        [
            np.ma.masked_array([[149.59, -11.06], [10.0, 20.0]], mask=[[1, 1], [0, 0]]),
            np.ma.masked_array([[149.59, -11.06], [10.0, 20.0]], mask=[[0, 1], [0, 0]]),
            np.ma.column_stack(
                [MaskedColumn([149.59, 10.0], mask=[1, 0]), MaskedColumn([1.0, 2.0], mask=[1, 0])]
            ),
            [[np.ma.masked, 1.0], [10.0, 20.0]],
            _masked_skycoord(),
            [_masked_skycoord()[0], _masked_skycoord()[1]],
            Masked([[149.59, -11.06], [10.0, 20.0]] * u.deg, mask=[[True, True], [False, False]]),
            [[np.nan, 1.0], [10.0, 20.0]],
            [[10.0, None], [10.0, 20.0]],
            pd.DataFrame({"ra": [None, 10.0], "dec": [5.0, 20.0]}),
            [["--", ""], ["10", "20"]],
            [["09:58:21.6", ""], ["00:40:00", "+20:00:00"]],
        ],
    )
    def test_positions(self, survey: Survey, positions) -> None:
        with pytest.warns(UserWarning, match=r"positions: 1 of 2 are missing \(number 0, counted from 0\)"):
            found = survey.filter_on_positions(positions, [1, 9] * u.deg, return_pos_obs_info=True)
        assert found["pos_ind"].tolist() == [1]
        selected = list(survey.filtered_obs_ids)
        near = SkyCoord(found["pos_ra"], found["pos_dec"], unit="deg").separation(survey.filtered_ra_decs).deg
        assert (near <= 9).all()
        assert near.max() > 5  # the distance of the one that is left
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            operations = survey.filtering_operations
            survey.reset_filter()
            survey.filtering_operations = operations[0]  # replayed without what was left out
        assert list(survey.filtered_obs_ids) == selected

    def test_nothing_but_masked_ones(self, survey: Survey) -> None:
        before = list(survey.filtered_obs_ids)
        for positions in (np.ma.masked_all((3, 2)), [[np.nan, np.nan]], [["", ""]]):
            with pytest.raises(ValueError, match=r"positions: (\d) of \1 are missing .*; nothing is left"):
                survey.filter_on_positions(positions)
        assert list(survey.filtered_obs_ids) == before

    def test_stacks_that_have_lost_their_masks(self, survey: Survey) -> None:
        columns = [MaskedColumn([149.59, 10.0], mask=[1, 0]), MaskedColumn([1.0, 2.0], mask=[1, 0])]
        with pytest.raises(ValueError, match="lose the masks"):
            survey.filter_on_positions(np.column_stack(columns))

    def test_masks_of_nothing_do_not_matter(self, survey: Survey) -> None:
        place, first = survey.filtered_ra_decs[:1], survey.filtered_obs_ids[0]
        plain = np.array([[place.ra.deg[0], place.dec.deg[0]]])
        for positions in (
            np.ma.masked_array(plain),
            np.ma.masked_array(plain, mask=[[0, 0]]),
            Masked(plain * u.deg),
        ):
            survey.reset_filter()
            survey.filter_on_positions(positions)
            assert first in survey.filtered_obs_ids

    def test_obs_ids_and_others(self, survey: Survey) -> None:
        ids = survey.obs_ids[1:4].astype(str)
        masked = np.ma.masked_array(ids, mask=[0, 1, 0])
        for column in (
            masked,
            list(masked),
            [ids[0], None, ids[2]],
            [ids[0], float("nan"), ids[2]],
            pd.Series([ids[0], None, ids[2]]),
        ):
            survey.reset_filter()
            with pytest.warns(UserWarning, match=r"allowed_obs_ids: 1 of 3 are missing \(number 1"):
                survey.filter_on_obs_ids(column)
            assert list(survey.filtered_obs_ids) == [ids[0], ids[2]]
        survey.reset_filter()
        with pytest.raises(ValueError, match="search_distance: must be positive, and not masked"):
            survey.filter_on_positions([[1, 2], [3, 4]], np.ma.masked_array([1.0, 2.0], mask=[0, 1]))
        survey.name_resolver = lambda name, parse: (10.0, 20.0) if name == "M87" else pytest.fail(name)
        with pytest.warns(UserWarning, match=r"object_name: 1 of 2 are missing \(number 0"):
            survey.filter_on_name(np.ma.masked_array(["A907", "M87"], mask=[1, 0]), 9)
        assert survey.filtering_operations[0]["arguments"]["object_name"] == ["M87"]

    def test_windows_of_time(self, survey: Survey) -> None:
        places = [[10, 20], [np.nan, 0], [200, -20]]
        starts = np.ma.masked_array(["2000-01-01", "2000-01-01", "2001-01-01"], mask=[1, 0, 0])
        with pytest.warns(UserWarning, match="missing") as told:
            found = survey.filter_on_positions_at_time(
                places, starts, ["2009-01-01"] * 3, 20, return_obs_info=True
            )
        assert [str(w.message).partition(" and")[0] for w in told] == [
            "positions: 1 of 3 are missing (number 1, counted from 0)",
            "start_datetimes, end_datetimes: 1 of 2 are missing (number 0, counted from 0)",
        ]
        assert found["pos_ind"].tolist() == [2]
        assert found["start"].tolist() == [pd.Timestamp("2001-01-01")]
        with pytest.raises(TypeError, match="expected one of each for every of the 3 positions, got 2 and 3"):
            survey.filter_on_positions_at_time([[1, 2]] * 3, starts[:2], ["2009-01-01"] * 3)


@pytest.mark.parametrize(
    "name",
    [
        "10 20",
        "10.0, +20.0",
        "00:40:00 +20:00:00",
        "0h40m0s,20d0m0s",
        "00 40 00 20 00 00",
        ["10 20", "10 20"],
    ],
)
def test_coordinates_given_as_names_are_coordinates(survey: Survey, name: Any) -> None:
    survey.name_resolver = lambda name, parse: pytest.fail("the service of names was asked")
    survey.filter_on_name(name, 9)
    assert (SkyCoord(10, 20, unit="deg").separation(survey.filtered_ra_decs).deg <= 9).all()
    for wrong in ("10 -95", "400 5", "25:00:00 5", "10 20 30"):
        with pytest.raises(ValueError, match="right ascension|declination|hour"):
            survey.filter_on_name(wrong)


def test_names_of_local_targets_come_first(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    survey.name_resolver = lambda name, parse: asked.append(name)
    with pytest.raises(ValueError, match="no object named 'abell_77'"):
        survey.filter_on_name("abell_77")
    assert asked == ["abell_77"]
    monkeypatch.setattr(Survey, "_names_are_ours", True)
    survey.filter_on_name(["abell_77", "ABELL 1234"], 1e-3)
    assert list(survey.filtered_obs_ids) == ["0000000077", "0000001234"]
    with pytest.raises(ValueError, match="no object named 'Abell'"):
        survey.filter_on_name("Abell")
    assert asked == ["abell_77", "Abell"]


@pytest.mark.parametrize("name", ["", "  ", ["  ", None], []])
def test_blanks_are_no_names(survey: Survey, name: Any) -> None:
    survey.name_resolver = lambda name, parse: pytest.fail("the service of names was asked")
    with pytest.raises(ValueError, match="object_name: .*(nothing is left|got none)"):
        survey.filter_on_name(name)


@pytest.mark.parametrize("name", ["PSR J0537+41", "M&M 31", "50% off", "A#907", "a=b/c?d"])
def test_names_reach_the_service_as_they_were_typed(server: ArchiveServer, name: str) -> None:
    server.names[name] = (10.0, 20.0)
    assert resolve(name) == (10.0, 20.0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s: s.filter_on_name(907), TypeError, "object_name: expected text, e.g. '907', got 907"),
        (lambda s: s.filter_on_target_type(3), TypeError, "target_type: expected text"),
        (
            lambda s: s.filter_on_positions([149.59, -11.06], 10 * u.keV),
            u.UnitConversionError,
            "search_distance: expected an angle such as .* got 10.0 keV",
        ),
        (
            lambda s: s.filter_on_positions([149.59, -11.06], {"A": 10 * u.keV}),
            u.UnitConversionError,
            "search_distance: expected an angle",
        ),
        (lambda s: s.filter_on_time(2016, 2017), TypeError, "start_datetime: expected datetimes, got 2016"),
        (lambda s: s.filter_on_rect_region(149, 150), ValueError, r"lower_left: expected \[ra, dec\] pairs"),
        (lambda s: s.check_inst_names(3), TypeError, "insts: expected names such as 'A', got 3"),
        (lambda s: s.check_inst_names([3]), TypeError, "insts: expected names such as 'A'"),
    ],
)
def test_what_is_of_a_wrong_type_is_named(survey: Survey, call, error, text) -> None:
    with pytest.raises(error, match=text):
        call(survey)
    assert survey.filtering_operations == []


def test_instruments_of_xmm_by_the_names_in_headers(simulated) -> None:
    from daxa.mission import XMMPointed

    with pytest.warns(UserWarning, match="EPN is PN, EMOS1 is M1"):
        mission = XMMPointed(["EPN", "emos1"], local=simulated.folder / "odf")
    assert mission.chosen_instruments == ["M1", "PN"]
    with pytest.raises(ValueError, match="has a zero been lost, as numbers lose it. There is 0800010101"):
        mission.filter_on_obs_ids(800010101)
