"""Timing and burst mode: clocks of lines, source rows, bad columns; the chain's choices on simulated data."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.badpixels import BadPixel, bad_columns
from daxa.xmm.instruments.pn.clock import LineClock, steady_stamps
from daxa.xmm.instruments.pn.timing import source_row
from daxa.xmm.task import run_task

CLOCK_S = 40e-9
TIMING = LineClock(739 * CLOCK_S, 10.0, 200, -200 * 739 * CLOCK_S)
BURST = LineClock(18 * CLOCK_S, 1.0, 180, -105014 * CLOCK_S)
UNIT_S = 20.48e-6


@given(line=st.integers(0, 199), source=st.integers(1, 200))
def test_times_are_those_of_the_published_formulas(line, source):
    stamp = 1000.0
    timing = stamp + ((line - 200) - source // 10) * 739 * CLOCK_S
    assert float(TIMING.event_times(stamp, line, source)) == pytest.approx(timing, abs=1e-9)
    burst = stamp - (105014 + (source - line) * 18) * CLOCK_S
    assert float(BURST.event_times(stamp, line, source)) == pytest.approx(burst, abs=1e-9)


def test_whole_lines_survive_rounding():
    """190 rows are 19 lines also when the calibration's quotient is 9.999999999."""
    for rows in (10.0 - 1e-12, 10.0, 10.0 + 1e-12):
        clock = LineClock(1.0, rows, 200, 0.0)
        assert clock.transfer_s(190) == 19.0
        assert clock.transfer_s(189) == 18.0


def test_steady_stamps_are_finer_than_the_counter():
    rng = np.random.default_rng(1)
    step, n = 4.344478e-3, 40_000
    cycle = np.flatnonzero(rng.random(n) < 0.6)
    # A clock that drifts by 40 us over the exposure.
    true = 500.0 + step * cycle + 40e-6 * (cycle / n) ** 2
    read = np.floor(true / UNIT_S + rng.integers(-1, 2, len(true))) * UNIT_S
    assert np.std(read - true) > 15e-6
    found = steady_stamps(read, cycle, np.ones(len(read), bool), step * (1 + 1e-9), UNIT_S) - true
    assert abs(found.mean()) < 0.3e-6
    assert np.abs(found).max() < 3e-6
    assert np.std(found) < 1e-6


def test_a_restart_of_the_read_out_is_not_smoothed_away():
    cycle = np.arange(4000)
    true = 10.0 + 6e-3 * cycle + np.where(cycle >= 2500, 1e-3, 0.0)
    found = steady_stamps(np.floor(true / UNIT_S) * UNIT_S, cycle, np.ones(4000, bool), 6e-3, UNIT_S)
    assert np.abs(found - true).max() < UNIT_S


def test_steady_stamps_of_few_frames():
    for n in (0, 1, 2):
        stamp = 5.0 + 6e-3 * np.arange(n)
        found = steady_stamps(stamp, np.arange(n), np.ones(n, bool), 6e-3, UNIT_S)
        assert found == pytest.approx(stamp + UNIT_S / 2, abs=1e-9)
    lost = np.array([True, False, True, True])
    stamp = np.array([1.0, 99.0, 1.012, 1.018])
    assert steady_stamps(stamp, np.arange(4), lost, 6e-3, UNIT_S)[2] == pytest.approx(1.012 + UNIT_S / 2)


def test_only_whole_columns_are_bad():
    pixels = [
        BadPixel(3, 1, 3, 12, 1),
        BadPixel(3, 13, 3, 188, 2),
        BadPixel(7, 40, 1, 1, 2),
        BadPixel(9, 1, 1, 100, 2),
    ]
    assert bad_columns(pixels, 200, 180) == [BadPixel(3, 1, 3, 180, 2)]


def test_row_of_the_source():
    messages = []
    say = (lambda code, text: messages.append(code)), (lambda text: None)
    target = SimpleNamespace(ra_deg=10.0, dec_deg=0.0)

    def pixel(ra, dec):
        return (4, 37.0, 188.6) if ra == 10.0 else (4, 30.0, 90.2) if ra == 11.0 else (1, 5.0, 5.0)

    assert source_row(None, 190, "TIMING", pixel, target, *say) == 189
    assert source_row((11.0, 0.0), 190, "TIMING", pixel, target, *say) == 90
    assert source_row(150, 190, "TIMING", pixel, target, *say) == 150
    assert messages == []
    assert source_row((11.0, 0.0), 190, "BURST", pixel, target, *say) == 90
    assert source_row(None, 185, "BURST", pixel, SimpleNamespace(ra_deg=12.0, dec_deg=0.0), *say) == 185
    assert source_row(None, 190, "TIMING", pixel, None, *say) == 190
    assert messages == ["srcposition"] * 3
    with pytest.raises(TaskError, match="needs a row from 181"):
        source_row(150, 190, "BURST", pixel, target, *say)
    with pytest.raises(TaskError, match="not on CCD 4"):
        source_row((12.0, 0.0), 190, "TIMING", pixel, target, *say)


@pytest.fixture(scope="module")
def reduce(simulated_modes, tmp_path_factory):
    """Runs a pn task on an observation of the set; gives the folder and the messages."""
    folder = tmp_path_factory.mktemp("fast")

    def run(task, obs_id, **arguments):
        here = folder / obs_id
        here.mkdir(exist_ok=True)
        env = {"SAS_ODF": str(simulated_modes.odf(obs_id)), "SAS_CCFPATH": str(simulated_modes.ccf)}
        messages = io.StringIO()
        call = {"env": env, "cwd": here, "out": io.StringIO(), "err": messages}
        if not (here / "ccf.cif").exists():
            run_task("cifbuild", {}, **call)
        env["SAS_CCF"] = str(here / "ccf.cif")
        run_task(task, arguments, **call)
        return here, messages.getvalue()

    return run


@pytest.mark.slow
def test_the_timing_list(reduce, simulated_modes):
    folder, said = reduce("epchain", "0800020301", datamode="TIMING")
    path = folder / "P0800020301PNS003TIEVLI0000.FIT"
    assert "RDPHA" in said
    with fits.open(path) as hdus:
        assert [h.name for h in hdus] == [
            "PRIMARY", "EVENTS", "OFFSETS", "EXPOSU04", "BADPIX04", "HKAUX04", "STDGTI04", "CALINDEX",
        ]  # fmt: skip
        events, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        assert hdus["EVENTS"].columns.names == [
            "TIME", "RAWX", "RAWY", "PHA", "PI", "FLAG", "PATTERN", "PAT_ID", "CCDNR",
        ]  # fmt: skip
        assert header["DATAMODE"] == "TIMING"
        assert "REFXCTYP" not in header
        # The target lies on row 189.05.
        assert header["SRCPOS"] == 189
        gti, frames = hdus["STDGTI04"].data, hdus["EXPOSU04"]
        assert np.all(np.diff(events["TIME"]) >= 0)
        assert gti["START"][0] <= events["TIME"][0]
        assert events["TIME"][-1] <= gti["STOP"][-1]
        # The first line of a frame is not sent.
        assert (events["RAWY"].min(), events["RAWY"].max()) == (2, 200)
        assert frames.header["TIMEDEL"] == pytest.approx(0.00596464, abs=1e-9)
        assert header["LIVETI04"] / header["ONTIME04"] == pytest.approx(0.99117, abs=2e-3)
        first = np.array(events["TIME"])
    for arguments, row in (
        ({"withsrcrawy": "Y", "srcposition": 199}, 199),
        ({"withsrccoords": "Y", "srcra": 149.5917, "srcdec": -11.0642}, 189),
        ({"withoutoftime": "Y"}, 189),
    ):
        _, said = reduce("epchain", "0800020301", datamode="TIMING", **arguments)
        assert ("notUsefulModeOOTE" in said) == ("withoutoftime" in arguments)
        with fits.open(path) as hdus:
            assert hdus["EVENTS"].header["SRCPOS"] == row
            if row == 199:
                # One more line of shifting; a millionth of a second is the difference of two clocks.
                shift = np.array(hdus["EVENTS"].data["TIME"])[:100] - first[:100]
                assert shift == pytest.approx(-29.56e-6, abs=1e-6)
            else:
                assert len(hdus["EVENTS"].data) == len(first)


@pytest.mark.slow
def test_what_fast_modes_refuse(reduce):
    with pytest.raises(NotImplementedError, match="withrdpha"):
        reduce("epchain", "0800020401", datamode="BURST", withrdpha="Y", withdefaultcal="N")
    with pytest.raises(TaskError, match="181"):
        reduce("epchain", "0800020401", datamode="BURST", withsrcrawy="Y", srcposition=100)


@pytest.mark.slow
def test_epproc_names_lists_of_fast_modes(reduce):
    folder, _ = reduce("epproc", "0800020401", burst="Y")
    with fits.open(folder / "3101_0800020401_EPN_S003_TimingEvts.ds") as hdus:
        assert hdus["EVENTS"].header["DATAMODE"] == "BURST"
        assert hdus["EVENTS"].header["LIVETI04"] / hdus["EVENTS"].header["ONTIME04"] == pytest.approx(
            0.0298, abs=2e-4
        )
    with pytest.raises(TaskError, match="no pn exposure of the wanted modes"):
        reduce("epproc", "0800020401")


@pytest.mark.slow
def test_timing_step_by_step(reduce, simulated_modes):
    folder, _ = reduce("epchain", "0800020301", datamode="TIMING", withdefaultcal="N", randomizeenergy="N")
    (path,) = simulated_modes.odf("0800020301").glob("*PNS00304TIE.FIT*")
    reduce("epframes", "0800020301", set=str(path), eventset="raw.ds", gtiset="gti.ds")
    reduce("badpix", "0800020301", eventset="raw.ds")
    reduce("epevents", "0800020301", eventset="raw.ds", outset="events.ds", randomizeenergy="N")
    with (
        fits.open(folder / "P0800020301PNS003TIEVLI0000.FIT") as chain,
        fits.open(folder / "events.ds") as one,
    ):
        whole, parts = chain["EVENTS"].data, one["EVENTS"].data
        mask = int(chain["EVENTS"].header["XMMEA_EP"].split("&")[1].split(")")[0], 16)
        parts = parts[(parts["PI"] > 150) & ((parts["FLAG"] & mask) == 0)]
        assert len(whole) == len(parts) > 1000
        for name in chain["EVENTS"].columns.names:
            assert np.array_equal(whole[name], parts[name]), name
        assert one["EVENTS"].header["SRCPOS"] == 189


@pytest.mark.slow
def test_loading_of_the_offset_map_is_added_back(reduce, simulated_modes, tmp_path):
    from daxa.simulate.numbers.cameras import PN_LOADING_COEFFICIENT, pn_dark_levels

    original = simulated_modes.odf("0800020301")
    folder = tmp_path / "odf"
    folder.mkdir()
    for path in original.iterdir():
        (folder / path.name).symlink_to(path)
    levels = np.rint(pn_dark_levels(4))
    levels[36] += 10
    image = fits.ImageHDU(levels.T.astype(np.int16), name="PNODI1")
    image.header["DATE-OBS"] = "2010-01-01T00:00:00"
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(folder / "3101_0800020301_PNU10104ODI.FIT")
    lists = {}
    for place, name in ((original, "without"), (folder, "with")):
        env = {
            "SAS_ODF": str(place),
            "SAS_CCFPATH": str(simulated_modes.ccf),
            "SAS_CCF": str(tmp_path / "ccf.cif"),
        }
        out = io.StringIO()
        call = {"env": env, "cwd": tmp_path, "out": out, "err": out}
        if not (tmp_path / "ccf.cif").exists():
            run_task("cifbuild", {}, **call)
        run_task("epchain", {"datamode": "TIMING"}, **call)
        lists[name] = fits.getdata(tmp_path / "P0800020301PNS003TIEVLI0000.FIT", "EVENTS")
        assert ("NoOffsetMap" in out.getvalue()) == (name == "without")
    common = [(lists[n]["TIME"], lists[n]["RAWX"], lists[n]["RAWY"]) for n in ("without", "with")]
    keys = [{tuple(k): i for i, k in enumerate(zip(*c, strict=True))} for c in common]
    both = sorted(keys[0].keys() & keys[1].keys())
    one, two = (np.array([k[b] for b in both]) for k in keys)
    shift = lists["with"]["PHA"][two].astype(int) - lists["without"]["PHA"][one]
    column = lists["with"]["RAWX"][two]
    assert np.mean(shift[column == 37]) == pytest.approx(10 * PN_LOADING_COEFFICIENT, abs=0.6)
    assert np.abs(shift[column != 37]).max() <= 1
    single = (lists["with"]["PATTERN"][two] == 0) & (column == 37)
    gain = (lists["with"]["PI"][two] - lists["without"]["PI"][one].astype(int))[single]
    # Of the charge about a tenth is lost on the way.
    assert np.median(gain) == pytest.approx(9 * 5.0 / 0.9, abs=3)
