"""The sub-tasks one by one give the list of the chain: lost frames, a CCD that sends few of its frames."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.noise import Noise
from daxa.simulate.observation import simulate_observation
from daxa.simulate.sets.modes import describe_modes
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.task import run_task

FRAME_S = 2.6
#: Frames from one that a counting CCD sends to the next.
STEPS = (5, 8, 6, 9, 7, 4)
COLUMNS = (
    "TIME", "RAWX", "RAWY", "DETX", "DETY", "PHA", "PI", "FLAG", "PATTERN", "FRAME", "PERIPIX",
    "ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4",
)  # fmt: skip


def _send_few(odf: Path, ccd: int) -> None:
    """Take most frames of a CCD out of its files; those that are left are numbered as they come."""
    (path,) = odf.glob("*M1S*00AUX.FIT")
    with fits.open(path, mode="update") as hdus:
        table = hdus[1].data
        mine = table["CCDID"] == ccd
        numbers = table["FRAME"][mine].astype(int)
        at = np.cumsum(np.resize(STEPS, len(numbers)))
        kept = numbers[at[at < len(numbers)]]
        new = dict(zip(kept.tolist(), range(1, len(kept) + 1), strict=True))
        table = table[~mine | np.isin(table["FRAME"], kept)]
        mine = table["CCDID"] == ccd
        table["FRAME"][mine] = [new[int(n)] for n in table["FRAME"][mine]]
        hdus[1].data = table
    (path,) = odf.glob(f"*M1S*{ccd}0IME.FIT")
    with fits.open(path, mode="update") as hdus:
        table = hdus[1].data
        table = table[np.isin(table["FRAME"], kept)]
        table["FRAME"] = [new[int(n)] for n in table["FRAME"]]
        hdus[1].data = table


@pytest.fixture(scope="module")
def odf(simulated, tmp_path_factory) -> Path:
    """CCD 1 sends few of its frames; CCD 2 lost single frames, and ten together."""
    base = tmp_path_factory.mktemp("routes")
    description, sky = describe_modes(1000.0, Noise(mos_lost_frames=1 / 60).scaled(0.3, 0.01))[0]
    exposure = description.exposures[0]
    begin = exposure.start_s + 60 * FRAME_S + 0.5
    exposure = replace(
        exposure, submode="PrimeFullWindow", ccds=(1, 2), stop_s=exposure.start_s + 600,
        gaps_s=((begin, begin + 10 * FRAME_S),),
    )  # fmt: skip
    simulate_observation(replace(description, exposures=[exposure]), sky, base / "odf")
    _send_few(base / "odf", 1)
    return base / "odf"


@pytest.fixture(scope="module")
def work(odf, simulated, tmp_path_factory):
    """Runs tasks; the chain's list of everything that came, no bad pixels."""
    folder = tmp_path_factory.mktemp("steps")
    env = {"SAS_ODF": str(odf), "SAS_CCFPATH": str(simulated.ccf), "SAS_CCF": str(folder / "ccf.cif")}

    def run(task, **arguments):
        run_task(task, arguments, cwd=folder, env=env, out=io.StringIO(), err=io.StringIO())

    run("cifbuild")
    run(
        "emchain", withbadpix="no", makeflaregti="no", rejectbadevents="no", applyccdgti="no",
        fulloutput="yes", addtaglenoise="no", keepintermediate="yes",
    )  # fmt: skip
    run.folder = folder
    return run


def _raw(odf: Path, ccd: int) -> dict[str, str]:
    return {
        "auxiliaryset": str(next(odf.glob("*M1S*00AUX.FIT"))),
        "odfeventset": str(next(odf.glob(f"*M1S*{ccd}0IME.FIT"))),
    }


@pytest.mark.parametrize("ccd", [1, 2])
def test_both_routes_give_one_list(work, odf, ccd: int) -> None:
    work("emframes", frameset="frames.ds", outeventset="raw.ds", outgtiset="gti.ds", **_raw(odf, ccd))
    work("emevents", odfeventset="raw.ds", frameset="frames.ds", eventset="events.ds")
    work("emenergy", ineventset="events.ds")
    with (
        fits.open(work.folder / "events.ds") as steps,
        fits.open(next(work.folder.glob("P*MIEVLI0000.FIT"))) as chain,
        fits.open(work.folder / "gti.ds") as gti,
        fits.open(work.folder / "frames.ds") as frames,
        fits.open(work.folder / f"frame{ccd:02d}.out.mos") as kept,
    ):
        mine = steps["EVENTS"].data[np.argsort(steps["EVENTS"].data["TIME"], kind="stable")]
        theirs = chain["EVENTS"].data[chain["EVENTS"].data["CCDNR"] == ccd]
        assert len(mine) > 100
        for name in COLUMNS:
            assert np.array_equal(mine[name], theirs[name]), name
        for name in ("TIME", "TIMEDEL", "FRACEXP"):
            assert np.array_equal(steps["EXPOSURE"].data[name], chain[f"EXPOSU{ccd:02d}"].data[name]), name
        for name in ("START", "STOP"):
            assert np.array_equal(gti[1].data[name], chain[f"STDGTI{ccd:02d}"].data[name]), name
        for name in ("TSTART", "TSTOP"):
            assert gti[1].header[name] == chain[f"STDGTI{ccd:02d}"].header[name]
        for name in frames[1].columns.names:
            assert np.array_equal(frames[1].data[name], kept[1].data[name]), name
        assert steps["EVENTS"].header["GATTI_ON"] == chain[f"EXPOSU{ccd:02d}"].header["GATTI_ON"]
        spoiled = theirs["FLAG"] & int(MosFlag.IN_SPOILED_FRAME) != 0
        assert frames[1].header["COUNTING"] == (ccd == 1)
        # Frames that were read out and not sent leave nothing behind for the next one.
        assert spoiled.any() == (ccd == 2)
        assert not spoiled.all()


@pytest.mark.parametrize("key", ["JOINED", "TRANSF_S", "TIMEDEL"])
def test_frame_files_that_lack_something_are_refused(work, odf, key: str) -> None:
    work("emframes", frameset="frames.ds", outeventset="raw.ds", outgtiset="gti.ds", **_raw(odf, 2))
    with fits.open(work.folder / "frames.ds") as hdus:
        header = hdus[1].header
        if key in header:
            del header[key]
        else:
            hdus[1].columns.change_name(key, "OTHER")
        hdus.writeto(work.folder / "short.ds", overwrite=True)
    with pytest.raises(TaskError, match=f"no (keyword|column) {key}") as failure:
        work("emevents", odfeventset="raw.ds", frameset="short.ds", eventset="wrong.ds")
    assert failure.value.code == "readFrames03"
