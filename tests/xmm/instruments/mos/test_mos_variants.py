"""Rare ways to read a MOS CCD against the usual one: the same sky must come out."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.variants import (
    _mirrored,
    _shapes,
    flip_offset,
    read_two_nodes,
    send_no_columns,
    send_single_pixels,
)
from daxa.simulate.observation import simulate_observation
from daxa.simulate.sets.modes import describe_modes
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.task import run_task

pytestmark = pytest.mark.slow
OBS, MODES_OBS = "0800010201", "0800020301"


def _copy(odf, folder, camera):
    folder.mkdir()
    for path in odf.iterdir():
        if not any(f"_{c}" in path.name for c in {"M1", "M2", "PN"} - {camera}):
            shutil.copy(path, folder)
    return folder


def _run(odf, ccf, folder, task="emchain", **arguments):
    folder.mkdir(exist_ok=True)
    out, err = io.StringIO(), io.StringIO()
    env = {"SAS_ODF": str(odf), "SAS_CCFPATH": str(ccf)}
    run_task("cifbuild", {}, cwd=folder, env=env, out=out, err=err)
    env["SAS_CCF"] = str(folder / "ccf.cif")
    run_task(task, arguments, cwd=folder, env=env, out=out, err=err)
    return out.getvalue(), err.getvalue()


class Imaging:
    """MOS2 S002, CCD 1 only, everything kept: as usual, or with changed files."""

    arguments = {
        "ccds": "1",
        "randomize": "",
        "makeflaregti": "no",
        "fulloutput": "yes",
        "addtaglenoise": "no",
    }

    def __init__(self, simulated, base):
        self.simulated, self.base = simulated, base
        self.log, self.messages = {}, {}

    def events(self, name, change=None, **arguments):
        folder = self.base / name
        if not folder.exists():
            folder.mkdir()
            odf = _copy(self.simulated.odf(OBS), folder / "odf", "M2")
            for path in [p for p in odf.iterdir() if "_M2S002" in p.name and p.name[-11:-8] != "001"]:
                if path.name[-11] not in "01":
                    path.unlink()
            self.result = change(odf) if change else None
            self.log[name], self.messages[name] = _run(
                odf, self.simulated.ccf, folder / "out", **{**self.arguments, **arguments}
            )
        with fits.open(folder / "out" / f"P{OBS}M2S002MIEVLI0000.FIT", memmap=False) as hdus:
            return fits.HDUList([h.copy() for h in hdus])


@pytest.fixture(scope="module")
def imaging(simulated, tmp_path_factory):
    return Imaging(simulated, tmp_path_factory.mktemp("variants"))


def _keys(events):
    return (events["FRAME"].astype(np.int64) * 1024 + events["RAWY"].astype(np.int64)) * 1024 + events[
        "RAWX"
    ].astype(np.int64)


def _pairs(one, other):
    """Indices of the events that both lists have at the same place."""
    _, a, b = np.intersect1d(_keys(one), _keys(other), return_indices=True)
    return a, b


@pytest.fixture
def halves(imaging):
    """Reads through two nodes, with the line between them where most doubles lie."""
    usual = imaging.events("usual")["EVENTS"].data
    wide = usual["RAWX"][np.isin(usual["PATTERN"], (2, 4))]
    column = int(np.argmax(np.bincount(wide, minlength=600)[200:400])) + 200
    return column, lambda odf: read_two_nodes(odf, "M2", "S002", 1, column)


def test_two_nodes_give_the_events_of_one(imaging, halves):
    last, change = halves
    usual = imaging.events("usual")["EVENTS"].data
    hdus = imaging.events("nodes", change)
    cut = imaging.cut = imaging.result
    events = hdus["EVENTS"].data
    # Few events spread along RAWX.
    assert cut >= 2
    assert set(events["CCDNR"]) == {1, 11}
    assert events["RAWX"][events["CCDNR"] == 11].max() <= 600 - last
    assert events["RAWX"][events["CCDNR"] == 1].max() <= last
    for name in ("EXPOSU11", "BADPIX11", "STDGTI11"):
        assert hdus[name].header["CCDNODE"] == 1
    assert hdus["EVENTS"].header["BINODAL"]
    assert "emchain" not in imaging.messages["nodes"]
    # The second node counts columns from the other side.
    second = events["CCDNR"] == 11
    column = np.where(second, 601 - events["RAWX"], events["RAWX"])
    a, b = _pairs(usual, {"FRAME": events["FRAME"], "RAWX": column, "RAWY": events["RAWY"]})
    # In half of a noisy row there may be too few events to find it by.
    quiet = [
        np.sum((y > 1) & (x < 598)) for y, x in ((usual["RAWY"], usual["RAWX"]), (events["RAWY"], column))
    ]
    assert np.sum((usual["RAWY"][a] > 1) & (usual["RAWX"][a] < 598)) > 0.998 * max(quiet)
    pattern = np.where(second, _mirrored(_shapes())[events["PATTERN"]], events["PATTERN"])
    assert (usual["PATTERN"][a] == pattern[b]).mean() > 0.999
    for name in ("X", "Y", "DETX", "DETY", "TIME"):
        assert np.array_equal(usual[name][a], events[name][b])
    near = np.abs(usual["RAWX"][a].astype(float) - last - 0.5) < 1
    doubles = near & (usual["PATTERN"][a] > 0)
    assert doubles.sum() >= 5
    error = events["PI"][b].astype(float) - usual["PI"][a]
    # The columns of the second node have no offsets in the calibration.
    own = doubles & ~second[b]
    assert own.sum() >= 5
    assert np.abs(np.median(error[own])) < 10
    boundary = (events["FLAG"] & int(MosFlag.CLOSE_TO_NODE_BOUNDARY)) != 0
    assert np.array_equal(boundary, np.isin(column, (last, last + 1)))
    assert not ((events["FLAG"][boundary] & int(MosFlag.CLOSE_TO_CCD_WINDOW)) != 0).any()


def test_without_joining_photons_on_the_line_are_two_events(imaging, halves):
    joined = imaging.events("nodes", halves[1])["EVENTS"].data
    imaging.cut = getattr(imaging, "cut", imaging.result)
    apart = imaging.events("apart", halves[1], **{"emevents:withothernode": "no"})["EVENTS"].data
    assert len(apart) - len(joined) == imaging.cut


def test_single_pixels_become_the_same_events(imaging):
    usual = imaging.events("usual")["EVENTS"].data
    hdus = imaging.events("pixels", lambda odf: send_single_pixels(odf, "M2", "S002", 1))
    events = hdus["EVENTS"].data
    assert hdus["EXPOSU01"].header["DATATYPE"] == "RIMAGE.EL"
    assert hdus["EVENTS"].header["SUBMODE"] == "PrimeFullWindow"
    a, b = _pairs(usual, events)
    assert len(a) > 0.99 * len(usual)
    assert (usual["PATTERN"][a] == events["PATTERN"][b]).mean() > 0.995
    # Without E3 and E4 there is no background to subtract: some adu.
    error = events["PI"][b].astype(float) - usual["PI"][a]
    assert np.abs(np.median(error)) < 30
    assert not events["ENERGYE3"].any()
    assert not events["ENERGYE4"].any()


def test_flipped_offset_is_found_and_its_neighbours_are_saved(imaging):
    adu, usual = 256, imaging.events("usual")["EVENTS"].data
    # Where five neighbouring rows have the most events: medians along rows need some.
    number = np.bincount(usual["RAWY"], minlength=601)
    row = int(np.argmax(np.min([np.roll(number, step) for step in range(-2, 3)], axis=0)))
    hdus = imaging.events(
        "flip", lambda odf: flip_offset(odf, "M2", "S002", 1, row, adu), rejectbadevents="no"
    )
    on_row = imaging.result
    events, offsets = hdus["EVENTS"].data, hdus["OFFSETS"].data
    wrong = offsets[(offsets["OFFSETY"] > 0)]
    assert wrong["RAWX"].tolist() == [row]
    assert abs(int(wrong["OFFSETY"][0]) - adu) < 20
    flagged = (events["FLAG"] & int(MosFlag.ON_BADOFFSET)) != 0
    assert np.array_equal(flagged, events["RAWY"] == row)
    assert flagged.sum() == on_row
    beside = np.abs(events["RAWY"].astype(int) - row) == 1
    assert ((events["FLAG"][beside] & int(MosFlag.CLOSE_TO_BADROW)) != 0).all()
    # Neighbours had E3 low by 768 and E4 by 512: without the correction all would be lost.
    a, b = _pairs(usual, events)
    near = np.abs(usual["RAWY"][a].astype(int) - row)
    kept = (events["FLAG"][b] & 0x762AA000) == 0
    assert kept[(near == 2)].mean() > 0.9
    assert kept[(near == 1)].mean() > 0.8
    assert "wrong OFFSETY" in imaging.log["flip"]


def test_compressed_timing(simulated_modes, tmp_path):
    lists = []
    for name, change in (("usual", None), ("compressed", send_no_columns)):
        odf = _copy(simulated_modes.odf(MODES_OBS), tmp_path / name, "M2")
        if change:
            change(odf, "M2", "S002")
        out = tmp_path / f"{name}_out"
        _run(odf, simulated_modes.ccf, out, ccds="1", makeflaregti="no")
        with fits.open(out / f"P{MODES_OBS}M2S002TIEVLI0000.FIT", memmap=False) as hdus:
            lists.append(fits.HDUList([h.copy() for h in hdus]))
    usual, compressed = (hdus["EVENTS"].data for hdus in lists)
    assert lists[1]["EVENTS"].header["SUBMODE"] == "FastCompressed"
    assert (compressed["FLAG"] & int(MosFlag.UNKNOWN_RAWX_PATTERN) != 0).all()
    assert not compressed["RAWX"].any()
    assert not compressed["PATTERN"].any()
    # Events on bad columns cannot be told.
    assert len(usual) <= len(compressed) < 1.05 * len(usual)
    assert np.isin(usual["TIME"], compressed["TIME"]).all()
    gti = GTI.from_hdu(lists[1]["STDGTI01"])
    assert gti.contains(compressed["TIME"]).all()
    out = tmp_path / "emproc"
    with pytest.raises(Exception, match="no event file of the chosen CCDs and modes"):
        _run(tmp_path / "compressed", simulated_modes.ccf, out, "emproc", selectccds="yes", ccd1="yes")


def test_exposure_map_of_two_nodes_is_that_of_one(imaging, halves):
    maps = []
    for name, change in (("usual", None), ("nodes", halves[1])):
        imaging.events(name, change)
        out = imaging.base / name / "out"
        env = {"SAS_ODF": str(out.parent / "odf"), "SAS_CCF": str(out / "ccf.cif")}
        env["SAS_CCFPATH"] = str(imaging.simulated.ccf)
        call = {"cwd": out, "env": env, "out": io.StringIO(), "err": io.StringIO()}
        table = f"P{OBS}M2S002MIEVLI0000.FIT"
        image = {"xcolumn": "X", "ycolumn": "Y", "ximagebinsize": 400, "yimagebinsize": 400}
        run_task(
            "evselect", {"table": table, "imageset": "i.fits", "imagebinning": "binSize", **image}, **call
        )
        run_task(
            "eexpmap",
            {
                "imageset": "i.fits", "attitudeset": f"P{OBS}OBX000ATTTSR0000.FIT", "eventset": table,
                "expimageset": "e.fits", "pimin": 500, "pimax": 2000,
            },
            **call,
        )  # fmt: skip
        maps.append(fits.getdata(out / "e.fits"))
    assert maps[0].max() > 1000


@pytest.mark.parametrize(
    ("submode", "window"),
    [
        ("PrimePartialW4", (251, 252, 100, 100)),
        ("PrimePartialW5", (151, 151, 300, 300)),
        ("PrimePartialRFS", (1, 1, 600, 600)),
    ],
)
def test_refreshed_frame_store(simulated, tmp_path, submode, window):
    """Modes whose frame store is refreshed before each frame: less live time, and no smearing."""
    description, sky = describe_modes(1000.0, Noise().scaled(0.3, 0.01))[0]
    exposure = description.exposures[0]
    exposure = replace(exposure, submode=submode, ccds=(1, 2))
    simulate_observation(replace(description, exposures=[exposure]), sky, tmp_path / "odf")
    _run(tmp_path / "odf", simulated.ccf, tmp_path / "out", makeflaregti="no", addtaglenoise="no")
    mode = CAMERAS["M1"].mode(submode)
    with fits.open(next((tmp_path / "out").glob("*MIEVLI*"))) as hdus:
        header, central = hdus["EVENTS"].header, hdus["EXPOSU01"]
        assert header["SUBMODE"] == submode
        assert tuple(central.header[f"WINDOW{k}"] for k in ("X0", "Y0", "DX", "DY")) == window
        assert central.header["FRMTIME"] == round(mode.frame_time_s * 1000)
        assert central.data["TIMEDEL"][0] == pytest.approx(mode.integration_s, rel=1e-3)
        share = header["LIVETI01"] / header["ONTIME01"]
        assert share == pytest.approx(mode.integration_s / mode.frame_time_s, rel=0.05)
        assert hdus["EXPOSU02"].header["FRMTIME"] == round(mode.outer_frame_time_s * 1000)
        events = hdus["EVENTS"].data
        assert ((events["CCDNR"] == 1) & (events["PI"] > 500)).sum() > 50
