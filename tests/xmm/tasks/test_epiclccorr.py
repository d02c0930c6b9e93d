"""Corrected light curves of lists made by hand, called as XGA calls the task."""

import io

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import set_keywords
from daxa.xmm.task import run_task

START = 6.0e8
DURATION = 2000.0
RATE = 2.0  # of the source [1/s]
WIDTH = 100.0


def add_source(events, maker, rng, detx, dety, rate, radius):
    """Events of a source spread evenly over a circle, where a CCD sees it."""
    number = rng.poisson(rate * DURATION)
    r, phi = radius * np.sqrt(rng.random(number)), rng.uniform(0, 2 * np.pi, number)
    ccd, rawx, rawy = maker.geometry.det_to_raw(detx + r * np.cos(phi), dety + r * np.sin(phi))
    seen = ccd > 0
    n = int(seen.sum())
    more = maker.events(
        rng.uniform(START, START + DURATION, n), ccd[seen], rawx[seen], rawy[seen], np.full(n, 1500)
    )
    joined = {k: np.concatenate([events[k], more[k]]) for k in events}
    order = np.argsort(joined["TIME"])
    return {k: v[order] for k, v in joined.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory, list_maker, calibration_env):
    """A folder with a list of the MOS1, and the place of a source 2 arcmin off the axis."""
    folder = tmp_path_factory.mktemp("epiclccorr")
    maker, rng = list_maker("EMOS1"), np.random.default_rng(1)
    events = maker.flat(rng, 40_000, START, START + DURATION, band=(500, 2000))
    place = (1500.0, 2000.0)
    events = add_source(events, maker, rng, *place, RATE, 300)
    set_keywords(maker.write(folder / "list.fits", events, DURATION), 0, {"DATE-OBS": "2017-01-05T10:38:50"})
    ra, dec = maker.geometry.det_to_sky(*place, *maker.pointing)
    env = {**calibration_env, "DAXA_SYNTHETIC_CALIBRATION": "allow"}
    return folder, env, (float(ra), float(dec)), maker


def call(world, task, **given):
    folder, env, *_ = world
    err = io.StringIO()
    run_task(task, given, cwd=folder, env=env, out=io.StringIO(), err=err)
    return err.getvalue()


def curve(world, name, shape, **given):
    """A curve as XGA asks evselect for it."""
    expression = f"#XMMEA_EM && (PATTERN <= 12) && (FLAG .eq. 0) && (PI in [500:2000]) && ((X,Y) IN {shape})"
    settings = dict(
        table="list.fits", withrateset=True, rateset=name, energycolumn="PI", timebinsize=WIDTH,
        maketimecolumn=True, makeratecolumn=True, expression=expression,
    )  # fmt: skip
    call(world, "evselect", **{**settings, **given})


def xy(world):
    from daxa.xmm.sky.tangent import to_xy

    return tuple(float(v) for v in to_xy(*world[2], *world[3].pointing[:2]))


@pytest.fixture(scope="module")
def curves(world):
    x, y = xy(world)
    curve(world, "src.lc", f"circle({x:.4f},{y:.4f},600)")
    curve(world, "bkg.lc", f"annulus({x:.4f},{y:.4f},700,1200)")
    return world


def test_as_xga_calls_it(curves):
    folder = curves[0]
    said = call(
        curves, "epiclccorr", srctslist="src.lc", eventlist="list.fits", outset="corr.lc", bkgtslist="bkg.lc",
        withbkgset="yes", applyabsolutecorrections="yes",
    )  # fmt: skip
    assert all(line.startswith(("** epiclccorr", "   ")) for line in said.splitlines()), said
    with fits.open(folder / "corr.lc") as hdus, fits.open(folder / "src.lc") as raw:
        assert [h.name for h in hdus[1:4]] == ["RATE", "SRC_GTIS", "BKG_GTIS"]
        table, header = hdus["RATE"].data, hdus["RATE"].header
        assert table.names == ["TIME", "RATE", "ERROR", "FRACEXP", "BACKV", "BACKE"]
        np.testing.assert_allclose(table["TIME"], raw["RATE"].data["TIME"])
        wanted = {"HDUCLAS2": "NET", "BACKAPP": True, "DEADAPP": True, "VIGNAPP": True, "TIMEDEL": WIDTH}
        assert {k: header[k] for k in wanted} == wanted
        assert header["TSTOP"] == pytest.approx(header["TSTART"] + WIDTH * len(table))
        assert (header["TIMESYS"], header["CHANMIN"], header["CHANMAX"]) == ("TT", 500, 2000)
        assert "TIME" not in {header[k] for k in header if k.startswith("DSTYP")}
        inside = slice(0, -1)
        assert np.mean(table["FRACEXP"][inside]) == pytest.approx(0.98, abs=2e-4)
        # More than was made: the radius is taken to hold a part of a point source, which this one is not.
        assert 1.1 * RATE < np.mean(table["RATE"][inside]) < 1.4 * RATE
        assert len(hdus["SRC_GTIS"].data) == 1


def test_relative_rates_are_those_made(curves):
    folder = curves[0]
    call(
        curves, "epiclccorr", srctslist="src.lc", eventlist="list.fits", outset="rel.lc", bkgtslist="bkg.lc",
        withbkgset="yes",
    )  # fmt: skip
    table = fits.getdata(folder / "rel.lc", "RATE")[:-1]
    error = np.sqrt(np.sum(np.square(table["ERROR"]))) / len(table)
    assert abs(np.mean(table["RATE"]) - RATE / 0.98) < 4 * error
    assert fits.getheader(folder / "rel.lc", "RATE")["VIGNAPP"] is False
    # Rates times what was live are the events.
    raw = fits.getdata(folder / "src.lc", "RATE")[:-1]
    gross = (table["RATE"] + table["BACKV"]) * table["FRACEXP"]
    np.testing.assert_allclose(gross, raw["RATE"], rtol=1e-5)
    beside = fits.getdata(folder / "bkg.lc", "RATE")[:-1]
    scale = np.mean(table["BACKV"] * table["FRACEXP"]) / np.mean(beside["RATE"])
    assert scale == pytest.approx(600**2 / (1200**2 - 700**2), rel=0.1)


def test_bins_without_exposure_have_no_rate(curves):
    x, y = xy(curves)
    kept = f"TIME in [{START}:{START + 650}] || TIME in [{START + 1150}:{START + 2000}]"
    curve(curves, "gap.lc", f"circle({x:.4f},{y:.4f},600) && ({kept})")
    call(curves, "epiclccorr", srctslist="gap.lc", eventlist="list.fits", outset="gap_c.lc")
    with fits.open(curves[0] / "gap_c.lc") as hdus:
        table = hdus["RATE"].data
        assert table.names == ["TIME", "RATE", "ERROR", "FRACEXP"]
        assert np.flatnonzero(np.isnan(table["RATE"])).tolist() == [7, 8, 9, 10]
        assert table["FRACEXP"][6] == pytest.approx(0.49, abs=0.002)
        assert "BKG_GTIS" not in hdus
        assert len(hdus["SRC_GTIS"].data) == 2
        whole = np.nanmean(table["RATE"][[0, 1, 2, 3, 4, 5]])
        assert table["RATE"][6] == pytest.approx(whole, abs=5 * float(table["ERROR"][6]))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"timebinsize": 50.0}, "differentBins"),
        ({"timemin": START + 30, "timemax": START + 1900}, "differentBins"),
    ],
)
def test_a_background_with_other_bins_is_refused(curves, change, code):
    curve(curves, "other.lc", f"annulus({xy(curves)[0]:.1f},{xy(curves)[1]:.1f},700,1200)", **change)
    with pytest.raises(TaskError, match="equal start, stop and bins") as error:
        call(curves, "epiclccorr", srctslist="src.lc", eventlist="list.fits", bkgtslist="other.lc")
    assert error.value.code == code


def test_what_cannot_be_corrected_is_named(curves):
    folder = curves[0]
    for given, code, text in [
        ({"srctslist": "list.fits"}, "badRateSet", "no extension RATE"),
        ({"srctslist": "rel.lc"}, "badRateSet", "corrected already"),
        ({"withbkgset": True}, "badParameter", "needs bkgtslist"),
        ({"allcamera": True, "applyabsolutecorrections": True}, "badParameter", "is for a source"),
    ]:
        if given.get("srctslist") == "rel.lc" and not (folder / "rel.lc").exists():
            test_relative_rates_are_those_made(curves)
        with pytest.raises(TaskError, match=text) as error:
            call(curves, "epiclccorr", **{"srctslist": "src.lc", "eventlist": "list.fits", **given})
        assert error.value.code == code


def test_a_curve_without_events_has_rates_of_zero(curves):
    x, y = xy(curves)
    curve(curves, "none.lc", f"circle({x:.4f},{y:.4f},600) && PI in [1998:1998]")
    assert not fits.getdata(curves[0] / "none.lc", "RATE")["RATE"].any()
    given = {"srctslist": "none.lc", "eventlist": "list.fits", "outset": "none_c.lc"}
    said = call(curves, "epiclccorr", **given, applyabsolutecorrections=True)
    table = fits.getdata(curves[0] / "none_c.lc", "RATE")
    assert "noEvents" in said
    assert not np.nan_to_num(table["RATE"]).any()


def test_events_with_the_time_of_their_frame_are_spread_over_it(tmp_path, list_maker, calibration_env):
    maker, rng, frame = list_maker("EPN"), np.random.default_rng(2), 0.0734
    middles = START + frame * (0.5 + np.arange(int(200 / frame)))
    place = maker.geometry.raw_to_det(4, 33, 190)
    n = 4000
    events = maker.events(
        rng.choice(middles, n), np.full(n, 4), np.full(n, 33.0), np.full(n, 190.0), np.full(n, 1500)
    )
    maker.write(tmp_path / "list.fits", events, 200.0)
    set_keywords(tmp_path / "list.fits", 0, {"DATE-OBS": "2017-01-05T10:38:50"})
    here = (tmp_path, {**calibration_env, "DAXA_SYNTHETIC_CALIBRATION": "allow"})
    shape = f"(DETX,DETY) IN circle({float(place[0]):.1f},{float(place[1]):.1f},300)"
    call(
        here, "evselect", table="list.fits", withrateset=True, rateset="s.lc", timebinsize=0.1,
        energycolumn="PI", maketimecolumn=True, makeratecolumn=True, expression=f"CCDNR == 4 && ({shape})",
    )  # fmt: skip
    call(here, "epiclccorr", srctslist="s.lc", eventlist="list.fits", outset="c.lc")
    raw, table = fits.getdata(tmp_path / "s.lc", "RATE"), fits.getdata(tmp_path / "c.lc", "RATE")
    counts = np.nan_to_num(table["RATE"] * table["FRACEXP"]) * 0.1
    assert counts.sum() == pytest.approx(n, abs=3)
    # Bins of 1.36 frames beat with them unless times are spread.
    made = [np.var(v[:-2]) / np.mean(v[:-2]) for v in (np.array(raw["RATE"]) * 0.1, counts)]
    assert made[0] > 1.15
    assert made[1] < 1.1
    assert table["FRACEXP"][5] == pytest.approx(0.98, abs=1e-3)
