"""The sub-tasks of the pn chain as tasks on files: together they make what the chain makes."""

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI

LIST = "P0800010101PNS003PIEVLI0000.FIT"


@pytest.fixture
def exposure(pn_odf):
    """CCD 4 with background, doubles, a hot pixel and a particle."""
    odf = pn_odf(discarded={1: 38})
    rng = np.random.default_rng(21)
    odf.background(4, 20_000, rng)
    odf.add(4, np.arange(100, 250), 30, np.arange(40, 190), 400)
    odf.add(4, np.arange(100, 250), 30, np.arange(41, 191), 100)
    odf.add(4, rng.integers(0, odf.n_frames, 400), 12, 100, 60)
    odf.add(4, 1000, [20, 20, 21], [50, 60, 70], [3300, 300, 301])
    return odf.write()


@pytest.fixture
def steps(exposure, tmp_path):
    """Runs a sub-task on the exposure."""

    def run(task, **arguments):
        return exposure.run(tmp_path, task, **arguments)

    return run


def raw_list(steps, exposure, **arguments):
    (path,) = exposure.folder.glob("*PNS00304IME.FIT")
    return steps("epframes", set=str(path), eventset="raw.ds", gtiset="gti.ds", **arguments)


def test_step_by_step_is_the_same_as_the_chain(steps, exposure, tmp_path):
    fixed = {"randomizeenergy": False, "randomizeposition": False}
    steps("epchain", exposure=3, odfaccess="odf", ccds="4", randomizetime=False, **fixed)
    out, _ = raw_list(steps, exposure)
    assert "epframes:-  CCD 4: number of frames" in out
    steps("badpixfind", eventset="raw.ds", badpixset="new.ds", withbadpixmap=True, badpixmap="map.fits")
    with fits.open(tmp_path / "new.ds") as hdus:
        assert hdus["BADPIX"].columns.names == ["RAWX", "RAWY", "TYPE", "YEXTENT"]
        assert (12, 100) in set(zip(hdus["BADPIX"].data["RAWX"], hdus["BADPIX"].data["RAWY"], strict=True))
        assert hdus["BADPIX"].header["QUADRANT"] == 1
    with fits.open(tmp_path / "map.fits") as hdus:
        assert [h.name for h in hdus] == ["PRIMARY", "MASK"]
        assert hdus["MASK"].data[99, 11] == 0
        assert hdus[0].header["GOODPIX"] == hdus["MASK"].data.sum()
    out, _ = steps("badpix", eventset="raw.ds", getnewbadpix=True, badpixset="new.ds")
    assert "final bad pixel sets will be added to BADPIX extension" in out
    steps("epevents", eventset="raw.ds", outset="events.ds", **fixed)
    steps("attcalc", eventset="events.ds", atthkset="P0800010101OBX000ATTTSR0000.FIT")
    steps(
        "evselect", table="events.ds", filteredset="clean.ds",
        expression="PI > 150 && RAWY > 0 && TIME in gti(gti.ds)", withfilteredset=True,
    )  # fmt: skip
    with fits.open(tmp_path / LIST) as chain, fits.open(tmp_path / "clean.ds") as clean:
        whole, parts = chain["EVENTS"].data, clean["EVENTS"].data
        assert len(whole) == len(parts) > 15_000
        for name in chain["EVENTS"].columns.names:
            # The drift of the boresight is taken at the middle of the events by attcalc, at their start here.
            assert np.abs(whole[name] - parts[name].astype(float)).max() <= (name in "XY"), name
        for one, other in (("BADPIX04", "BADPIX"), ("HKAUX04", "HKAUX"), ("STDGTI04", "STDGTI")):
            assert np.array_equal(np.array(chain[one].data), np.array(clean[other].data)), one
        # Frames are written in single precision in the list of the chain.
        assert chain["EXPOSU04"].data["FRACEXP"] == pytest.approx(clean["EXPOSURE"].data["FRACEXP"])
        assert np.array_equal(chain["EXPOSU04"].data["TIME"], clean["EXPOSURE"].data["TIME"])
    assert GTI.read(tmp_path / "gti.ds", "STDGTI04").total == pytest.approx(
        exposure.n_frames * exposure.mode.frame_time_s, rel=1e-3
    )


#: The three searches of real chains (logs of epchain): bad pixels, and masks for the background.
SEARCHES = {
    "BPXFLI": {
        "hithresh": 0.0045, "hicolthresh": 0.00105, "backgroundrate": 0.00011, "loenergythresh": 0.14,
        "hienergythresh": 12.0, "narrowerthanpsf": 1.5,
    },
    "BPXHMK": {
        "narrowerthanpsf": 0, "withfovmask": True, "withbadpixmap": True, "loenergythresh": 7,
        "hienergythresh": 15, "hithresh": 0.00025, "hicolthresh": 7e-05, "backgroundrate": -1,
        "threshabovebackground": True,
    },
    "BPXMSK": {
        "narrowerthanpsf": 0, "withfovmask": False, "withbadpixmap": True, "loenergythresh": 0.16,
        "hienergythresh": 10, "hithresh": 0.003, "hicolthresh": 0.0012, "backgroundrate": 0.0001,
    },
}  # fmt: skip


def test_the_three_searches_of_real_chains(steps, exposure, tmp_path, shared_data):
    raw_list(steps, exposure)
    masks = {}
    for name, arguments in SEARCHES.items():
        if "withbadpixmap" in arguments:
            arguments = {**arguments, "badpixmap": f"{name}.map"}
        steps("badpixfind", eventset="raw.ds", badpixset=f"{name}.ds", **arguments)
        assert (tmp_path / f"{name}.map").exists() == ("withbadpixmap" in arguments)
        real = shared_data / "esas_0203930101" / f"P0203930101PNS003{name}0004.FIT"
        if "withbadpixmap" in arguments:
            with fits.open(tmp_path / f"{name}.map") as ours, fits.open(real) as theirs:
                assert [h.name for h in ours] == [h.name for h in theirs]
                assert ours["MASK"].data.shape == theirs["MASK"].data.shape
                assert ours["MASK"].data.dtype == theirs["MASK"].data.dtype
                # The twelve rows that are not sent are bad in both.
                assert ours["MASK"].data[:12].sum() == theirs["MASK"].data[:12].sum() == 0
                masks[name] = np.array(ours["MASK"].data, bool)
    # CCD 4 lies inside the field of view; the hot pixel is soft.
    assert not masks["BPXMSK"][99, 11]
    assert masks["BPXHMK"][99, 11]


def test_joining_the_lists_of_ccds_gives_the_list_of_the_chain(exposure, steps, tmp_path):
    rng = np.random.default_rng(23)
    exposure.background(7, 9000, rng)
    for path in exposure.folder.iterdir():
        path.unlink()
    exposure.write()
    fixed = {"randomizeenergy": False, "randomizeposition": False}
    steps(
        "epchain", exposure=3, odfaccess="odf", ccds="4,7", randomizetime=False, runbadpixfind=False, **fixed
    )
    names = []
    for ccd in (4, 7):
        (path,) = exposure.folder.glob(f"*PNS003{ccd:02d}IME.FIT")
        steps("epframes", set=str(path), eventset="raw.ds", gtiset="gti.ds")
        steps("badpix", eventset="raw.ds")
        steps("epevents", eventset="raw.ds", outset="events.ds", **fixed)
        steps("attcalc", eventset="events.ds", atthkset="P0800010101OBX000ATTTSR0000.FIT")
        names.append(f"clean{ccd}.ds")
        chosen = {"expression": "#XMMEA_EP && PI > 150", "withfilteredset": True, "filteredset": names[-1]}
        steps("evselect", table="events.ds", writedss=False, updateexposure=False, **chosen)
    steps("evlistcomb", eventsets=" ".join(names), imagingset="joined.ds", instrument="epn")
    with fits.open(tmp_path / LIST) as chain, fits.open(tmp_path / "joined.ds") as joined:
        assert [h.name for h in joined] == [h.name for h in chain][:-1]
        whole, parts = chain["EVENTS"].data, joined["EVENTS"].data
        assert len(whole) == len(parts) > 20_000
        for column in chain["EVENTS"].columns:
            mine = joined["EVENTS"].columns[column.name]
            assert (mine.format, mine.unit, mine.null) == (column.format, column.unit, column.null)
            assert np.abs(whole[column.name] - parts[column.name].astype(float)).max() <= (
                column.name in "XY"
            )
        for name in ("OFFSETS", "EXPOSU07", "BADPIX04", "DLIMAP07", "HKAUX07", "STDGTI04"):
            assert np.array_equal(np.array(chain[name].data), np.array(joined[name].data)), name
        for key in ("LIVETI07", "ONTIME04", "SUBMODE", "REFXCRVL", "XMMEA_EP", "FILTER"):
            assert joined["EVENTS"].header[key] == chain["EVENTS"].header[key], key
    steps("epexposure", eventsets="joined.ds")
    with fits.open(tmp_path / "joined.ds") as joined:
        drawn = (joined["EVENTS"].data["TIME"] - parts["TIME"]) / joined["EXPOSU04"].header["TIMEDEL"]
    assert np.abs(drawn).max() <= 0.5
    assert np.std(drawn) == pytest.approx(12**-0.5, rel=0.03)
    out, _ = steps("epexposure", eventsets="joined.ds")
    assert "times stay as they are" in out
    with pytest.raises(TaskError, match="another list of CCD 4"):
        steps("evlistcomb", eventsets="clean4.ds clean4.ds", imagingset="twice.ds", instrument="epn")


def test_the_raw_list(steps, exposure, tmp_path):
    raw_list(steps, exposure)
    with fits.open(tmp_path / "raw.ds") as hdus:
        names = [h.name for h in hdus]
        assert names == ["PRIMARY", "EVENTS", "EXPOSURE", "OFFSETS", "DLIMAP", "HKAUX", "STDGTI"]
        events, frames = hdus["EVENTS"].data, hdus["EXPOSURE"].data
        assert np.array_equal(events["TIME"], frames["TIME"][events["FRAME"] - 1])
        # The particle has taken its column and those beside it.
        there = np.abs(events["TIME"] - exposure.centre_s(1000)) < 0.01
        assert not set(events["RAWX"][there]) & {19, 20, 21}
        assert hdus["EVENTS"].header["SUBMODE"] == "PrimeFullWindow"


def test_pixels_of_the_user_and_windows(steps, exposure, tmp_path):
    raw_list(steps, exposure)
    arguments = {"rawxlist": "5 6", "rawylist": "20 30", "typelist": "1 3", "yextentlist": "1 10"}
    common = {"eventset": "raw.ds", "badpixset": "mine.ds", "searchbadpix": False}
    steps("badpixfind", userflagbadpix=True, **common, **arguments)
    steps(
        "badpix", eventset="raw.ds", getnewbadpix=True, badpixset="mine.ds", getuplnkbadpix=False,
        getotherbadpix=False, outset="with.ds",
    )  # fmt: skip
    with fits.open(tmp_path / "with.ds") as hdus:
        rows = [tuple(int(v) for v in row) for row in hdus["BADPIX"].data]
    assert rows == [(5, 20, 1, 1, 3), (6, 30, 3, 10, 3)]
    with fits.open(tmp_path / "raw.ds") as hdus:
        assert "BADPIX" not in hdus
    with pytest.raises(TaskError) as failure:
        steps("badpixfind", userflagbadpix=True, **common, **{**arguments, "typelist": "1"})
    assert failure.value.code == "nonEqualLists"
    with pytest.raises(TaskError) as failure:
        steps("badpixfind", userflagbadpix=True, **common, **{**arguments, "rawxlist": "5 66"})
    assert failure.value.code == "userListValuesOutOfRange"


def test_epreject_shifts_a_raw_list_once(pn_odf, tmp_path):
    from daxa.simulate.numbers.cameras import pn_dark_levels

    odf = pn_odf()
    odf.background(4, 3000, np.random.default_rng(22))
    odf.add(4, np.arange(100, 200), 30, 60, 400)
    levels = pn_dark_levels(4)
    levels[29, 59] += 5
    odf.offset_maps[4] = levels
    odf.write()
    (path,) = odf.folder.glob("*PNS00304IME.FIT")
    odf.run(tmp_path, "epframes", set=str(path), eventset="raw.ds")
    odf.run(tmp_path, "epreject", set="raw.ds")
    with fits.open(tmp_path / "raw.ds") as hdus:
        events = hdus["EVENTS"].data
        pixel = (events["RAWX"] == 30) & (events["RAWY"] == 60)
        assert np.median(events["OFF_COR"][pixel]) == pytest.approx(5, abs=1)
        assert np.median(events["PHA"][pixel]) == pytest.approx(405, abs=1)
        assert np.median(np.abs(events["OFF_COR"])) < 0.5
        assert hdus[0].header["XPROC1"].startswith("epreject")
    with pytest.raises(TaskError, match="before"):
        odf.run(tmp_path, "epreject", set="raw.ds")


def test_what_is_no_raw_list_is_refused(steps, exposure, tmp_path):
    steps("epchain", exposure=3, odfaccess="odf", ccds="4")
    with pytest.raises(TaskError) as failure:
        steps("epevents", eventset=LIST)
    assert failure.value.code == "wrongEventSet"
    raw_list(steps, exposure)
    _, err = steps("epevents", eventset="raw.ds")
    assert "warning (noBadpix)" in err
    with pytest.raises(NotImplementedError, match="withphotonmap"):
        steps("epevents", eventset="raw.ds", withphotonmap=True)
    with pytest.raises(TaskError, match="not the name of an event file"):
        steps("epframes", set="raw.ds")
