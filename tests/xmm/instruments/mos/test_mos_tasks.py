"""The sub-tasks on files against the chain in memory."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.camera import CAMERAS
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.mos.options import REJECTION_FLAG
from daxa.xmm.task import run_task

pytestmark = pytest.mark.slow
OBS = "0800010201"
RAW = "3100_0800010201_M2S002"


@pytest.fixture(scope="module")
def work(simulated, tmp_path_factory):
    """Folder and environment with calibration index and summary."""
    folder = tmp_path_factory.mktemp("subtasks")
    env = {"SAS_ODF": str(simulated.odf(OBS)), "SAS_CCFPATH": str(simulated.ccf)}

    def run(task, **arguments):
        out, err = io.StringIO(), io.StringIO()
        run_task(task, arguments, cwd=folder, env=env, out=out, err=err)
        return out.getvalue(), err.getvalue()

    run("cifbuild")
    env["SAS_CCF"] = str(folder / "ccf.cif")
    run("odfingest")
    env["SAS_ODF"] = str(next(folder.glob("*SUM.SAS")))
    run.folder, run.odf = folder, simulated.odf(OBS)
    run(
        "emframes", auxiliaryset=str(run.odf / f"{RAW}00AUX.FIT"), frameset="frames.ds",
        odfeventset=str(run.odf / f"{RAW}30IME.FIT"), outeventset="raw.ds", outgtiset="gti.ds",
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def final(work):
    """The chain's list of the same CCD, everything kept and no bad pixels."""
    work(
        "emchain", instruments="M2", ccds="3", withbadpix="no", makeflaregti="no", rejectbadevents="no",
        applyccdgti="no", fulloutput="yes", addtaglenoise="no",
    )  # fmt: skip
    with fits.open(work.folder / f"P{OBS}M2S002MIEVLI0000.FIT", memmap=False) as hdus:
        return fits.HDUList([h.copy() for h in hdus])


def test_frames_and_good_times(work, final):
    with fits.open(work.folder / "frames.ds") as hdus, fits.open(work.folder / "gti.ds") as gti:
        frames = hdus["FRAMES"].data
        assert np.array_equal(frames["TIME"], final["EXPOSU03"].data["TIME"])
        fraction = np.where(frames["FLAG"] == 0, 1 - frames["CRRATIO"], 0)
        assert np.allclose(fraction, final["EXPOSU03"].data["FRACEXP"], atol=1e-6)
        assert (np.diff(frames["FRAME"]) == 1).all()
        assert frames["GATTIVAL"][:3].tolist() == [509, 0, 1]
        assert hdus["FRAMES"].header["SUBMODE"] == "PrimeFullWindow"
        mine, chain = GTI.from_hdu(gti["STDGTI03"]), GTI.from_hdu(final["STDGTI03"])
        assert np.array_equal(mine.start, chain.start)


def test_events_and_energies_are_those_of_the_chain(work, final):
    log, _ = work("emevents", odfeventset="raw.ds", frameset="frames.ds", eventset="events.ds")
    assert "events with truncated E1" in log
    work("emenergy", ineventset="events.ds", writebackgroundset="yes")
    with fits.open(work.folder / "events.ds") as hdus:
        events = hdus["EVENTS"].data[np.argsort(hdus["EVENTS"].data["TIME"], kind="stable")]
        chain = final["EVENTS"].data
        assert len(events) == len(chain)
        for name in (
            "TIME",
            "RAWX",
            "RAWY",
            "DETX",
            "DETY",
            "PHA",
            "PI",
            "FLAG",
            "PATTERN",
            "FRAME",
            "PERIPIX",
        ):
            assert np.array_equal(events[name], chain[name]), name
        assert "XMMEA_EM" in hdus["EVENTS"].header
        assert len(hdus["EXPOSURE"].data) == len(final["EXPOSU03"].data)
    background = fits.getdata(work.folder / "bkgccd.map")
    assert background.shape == (600, 600)
    assert 0 < background.mean() < 2


@pytest.fixture(scope="module")
def image(work):
    """Image of the events of the first pass."""
    work(
        "emevents", odfeventset="raw.ds", frameset="frames.ds", eventset="first.ds", analysepatterns="no",
        flagbadpixels="no", splitdiagonals="no", randomizeposition="no", randomizetime="no",
    )  # fmt: skip
    work("emenergy", ineventset="first.ds", correctcti="no", correctgain="no", randomizeenergy="no")
    work("emeventsproj", eventset="first.ds", evimageset="image.ds")
    return "image.ds"


def test_files_say_what_each_step_was_told(work):
    """And nothing of the steps that are still to come."""
    work(
        "emframes", auxiliaryset=str(work.odf / f"{RAW}00AUX.FIT"), frameset="told_frames.ds",
        odfeventset=str(work.odf / f"{RAW}30IME.FIT"), outeventset="told_raw.ds", outgtiset="told_gti.ds",
        checknvalid="no",
    )  # fmt: skip
    work(
        "emevents", odfeventset="told_raw.ds", frameset="told_frames.ds", eventset="told.ds",
        randomizetime="no",
    )  # fmt: skip
    for name in ("told_frames.ds", "told_raw.ds", "told_gti.ds"):
        header = fits.getheader(work.folder / name, 1)
        assert (header["CHECKNVA"], header["FLAGFIFO"]) == (0, 1)
        assert not {"RAND_TIM", "BKGE1MIN"} & set(header)
    header = fits.getheader(work.folder / "told.ds", "EVENTS")
    assert (header["CHECKNVA"], header["RAND_TIM"], header["RAND_XY"]) == (0, 0, 1)
    assert "BKGE1MIN" not in header
    work("emenergy", ineventset="told.ds", minenergy=200, writebackgroundset="yes", backgroundset="told.map")
    for header in (
        fits.getheader(work.folder / "told.ds", "EVENTS"),
        fits.getheader(work.folder / "told.map"),
    ):
        assert [header[k] for k in ("CHECKNVA", "RAND_TIM", "BKGE1MIN", "CORRECTG")] == [0, 0, 200, 1]
    # A second time dead pixels would be taken off the ring again.
    with pytest.raises(TaskError, match=r"told.ds\[EVENTS\]: already went through emenergy"):
        work("emenergy", ineventset="told.ds")


def test_an_image_is_of_a_ccd_that_there_is(work, final):
    final.writeto(work.folder / "merged.ds", overwrite=True)
    for number in (0, 8, 23):
        with pytest.raises(TaskError, match=f"emeventsproj: parameter ccdnr: EMOS2 has no CCD {number}"):
            work("emeventsproj", eventset="merged.ds", mergedeventlist="yes", ccdnr=number)
    log, _ = work("emeventsproj", eventset="merged.ds", mergedeventlist="yes", ccdnr=3, evimageset="3.ds")
    # The good ones, as in the chain's log.
    flag = final["EVENTS"].data["FLAG"]
    good = int((flag & REJECTION_FLAG == 0).sum())
    assert 0 < good < len(flag)
    assert f"Number of good events in input file: {good:12d}" in log


def test_search_for_bad_pixels(work, simulated, image):
    work("embadpixfind", evimageset=image, badpixset="bad.ds")
    truth = next(
        e for e in simulated.truth(OBS)["exposures"] if (e["instrument"], e["exp_id"]) == ("M2", "S002")
    )
    hot = {(b["rawx"], b["rawy"]) for b in truth["ccds"]["3"]["found_bad_pixels"] if b["kind"] == "hot"}
    with fits.open(work.folder / "bad.ds") as hdus:
        table = hdus["BADPIX"].data
        found = {(int(r["RAWX"]), int(r["RAWY"])) for r in table[table["BADFLAG"] == 3]}
        assert hot <= found
        n = len(table)
    work("embadpixfind", evimageset=image, badpixset="bad.ds", incremental="yes", includedeadpixels="yes")
    with fits.open(work.folder / "bad.ds") as hdus:
        table = hdus["BADPIX"].data
        assert len(table) >= n
        dead = [p for p in CAMERAS["M2"].bad_pixels if p.ccd == 3 and p.kind == "dead"]
        listed = {(int(r["RAWX"]), int(r["RAWY"])) for r in table[table["BADFLAG"] < 3]}
        assert {(p.rawx, p.rawy) for p in dead} <= listed
        assert dead
        assert (table["TYPE"][table["BADFLAG"] < 3] == 3).all()
    counts = fits.getdata(work.folder / image)
    work("emeventsproj", eventset="first.ds", evimageset="adu.ds", projectenergy="yes")
    adu = fits.getdata(work.folder / "adu.ds")
    assert ((adu > 0) <= (counts > 0)).all()
    assert 50 < adu.sum() / counts.sum() < 2000


def test_the_whole_way_is_that_of_the_chain(work, image):
    """From the raw files over the search for bad pixels to the final events of a CCD."""
    shutil.copy(work.folder / "raw.ds", work.folder / "with_bad.ds")
    work("embadpixfind", evimageset=image, badpixset="one.ds")
    log, _ = work(
        "badpix", eventset="with_bad.ds", badpixset="one.ds", getnewbadpix="yes", windowfilter="yes"
    )
    assert "final bad pixel sets" in log
    work("emevents", odfeventset="with_bad.ds", frameset="frames.ds", eventset="last.ds")
    work("emenergy", ineventset="last.ds")
    work(
        "emchain", instruments="M2", ccds="3", makeflaregti="no", rejectbadevents="no", applyccdgti="no",
        addtaglenoise="no", lowenerbadpix="no", clobber="yes",
    )  # fmt: skip
    with (
        fits.open(work.folder / "last.ds") as hdus,
        fits.open(work.folder / f"P{OBS}M2S002MIEVLI0000.FIT") as chain,
    ):
        events = hdus["EVENTS"].data[np.argsort(hdus["EVENTS"].data["TIME"], kind="stable")]
        for name in ("TIME", "RAWX", "RAWY", "DETX", "DETY", "PHA", "PI", "FLAG", "PATTERN"):
            assert np.array_equal(events[name], chain["EVENTS"].data[name]), name
        for name in ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG"):
            assert np.array_equal(hdus["BADPIX"].data[name], chain["BADPIX03"].data[name])


@pytest.mark.parametrize(
    ("task", "arguments", "code"),
    [
        ("emframes", {"auxiliaryset": "x"}, "getParamValues01"),
        ("emframes", {"auxiliaryset": "x", "odfeventset": "nothing"}, "readEvents01"),
        ("emevents", {"odfeventset": "raw.ds", "eventset": "raw.ds"}, "getParamValues03"),
        ("emevents", {"odfeventset": "frames.ds"}, "openEventsIn02"),
        ("emevents", {"odfeventset": "raw.ds", "frameset": "gti.ds"}, "readFrames03"),
        ("emenergy", {"ineventset": "raw.ds"}, "openEventsIn02"),
        ("embadpixfind", {"evimageset": "frames.ds"}, "openImage01"),
    ],
)
def test_errors_have_the_names_of_sas(work, task, arguments, code):
    with pytest.raises(TaskError) as failure:
        work(task, **arguments)
    assert failure.value.code == code


def test_what_is_not_there_is_refused_by_name(work):
    with pytest.raises(
        NotImplementedError, match="useccfdarkframe=yes: the embedded engine only does useccfdarkframe=no"
    ):
        work("emenergy", ineventset="events.ds", useccfdarkframe="yes")
