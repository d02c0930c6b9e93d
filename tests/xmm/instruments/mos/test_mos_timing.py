"""Timing mode of the MOS: the clock of lines, bad columns, the source's place; lists of simulated data."""

from __future__ import annotations

import io
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, HOT, ONBOARD
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.reduce_timing import source_pixel
from daxa.xmm.instruments.mos.timing import (
    LineClock,
    bad_column_table,
    bad_columns,
    flag_columns,
    line_events,
    sound_rows,
)
from daxa.xmm.task import run_task

OBS_ID = "0800020301"


def test_lines_are_centred():
    clock = LineClock(0.00175, 0.0105, 600)
    assert clock.since_start_s([0, 599]) == pytest.approx([0.000875, 1.05 - 0.000875])


def test_bright_pixels_and_whole_columns_are_bad():
    pixels = bp.BadPixels((10, 20))
    pixels.add_stretches([2], [5], [1], HOT, CALIBRATION)
    pixels.add_stretches([4], [5], [1], DEAD, CALIBRATION)
    pixels.add_stretches([6], [1], [15], DEAD, CALIBRATION)
    pixels.add_stretches([8], [5], [1], HOT, ONBOARD)
    kind = bad_columns(pixels)
    assert np.flatnonzero(kind).tolist() == [1, 5]
    assert kind[[1, 5]].tolist() == [HOT, DEAD]


def test_rows_with_telemetry_errors():
    columns = {"RAWX": np.array([-1, 0, 99, 100, 5, 5]), "RAWY": np.array([0, 0, 599, 0, 600, 3]),
               "PATTERN": np.array([0, 3, 0, 0, 0, 4])}  # fmt: skip
    assert sound_rows(columns, 100, 600).tolist() == [False, True, True, False, False, False]
    assert sound_rows({"RAWY": columns["RAWY"]}, 100, 600).tolist() == [True] * 4 + [False, True]


def test_events_lie_in_the_row_of_the_source():
    columns = {"RAWX": np.array([5, 7]), "PATTERN": np.array([0, 2]), "PERIPIX": np.array([0, 1]),
               "ENGYE1E2": np.array([100, 200])}  # fmt: skip
    events = line_events(columns, np.array([3, 4]), (300.4, 290.6), 250, 5)
    assert events.rawy.tolist() == [291, 291]
    assert np.diff(events.rawx).tolist() == [2]
    assert (events.e1.tolist(), events.pattern.tolist(), events.peripix.tolist()) == (
        [100, 200], [0, 2], [0, 1],
    )  # fmt: skip
    compressed = line_events({"ENGYE1E2": columns["ENGYE1E2"]}, np.array([3, 4]), (300.4, 290.6), 250, 5)
    assert compressed.rawx.tolist() == [300, 300]
    assert not compressed.pattern.any()


def test_events_are_flagged_by_their_columns():
    """Column 4 is hot, column 7 dead, the window goes from 2 to 9."""
    kind = np.array([0, 0, 0, HOT, 0, 0, DEAD, 0, 0, 0])
    rawx = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    zero = np.zeros(10, np.int64)
    columns = {"RAWX": rawx, "PATTERN": zero, "PERIPIX": zero, "ENGYE1E2": zero}
    events = line_events(columns, zero, (5.0, 5.0), 0, 0)
    events.rawx = rawx
    flag_columns(events, kind, (2, 9))
    out, edge, bad, bright, dead = (
        int(MosFlag[name])
        for name in (
            "OUT_OF_CCD_WINDOW", "CLOSE_TO_CCD_WINDOW", "ON_BADPIX", "CLOSE_TO_BRIGHTPIX", "CLOSE_TO_DEADPIX",
        )
    )  # fmt: skip
    assert events.flag.tolist() == [out, edge, bright, bad, bright, dead, bad, dead, edge, out]
    table = bad_column_table(kind, (5, 9), 600)
    assert {name: values.tolist() for name, values in table.items()} == {
        "RAWX": [7], "RAWY": [1], "TYPE": [DEAD], "YEXTENT": [600], "BADFLAG": [CALIBRATION],
    }  # fmt: skip


def test_place_of_the_source(monkeypatch):
    messages = []
    geometry = SimpleNamespace(
        shape=lambda ccd: (600, 600),
        sky_to_det=lambda ra, dec, *pointing: (ra, dec),
        det_to_raw=lambda x, y: (1 if x < 20 else 3, 300.5 + x, 290.5),
    )
    camera = SimpleNamespace(
        options=Options(),
        geometry=geometry,
        pointing=(0.0, 0.0, 0.0),
        odf=None,
        messages=SimpleNamespace(warn=lambda *a: messages.append(a)),
    )
    target = SimpleNamespace(ra_deg=10.0, dec_deg=0.0)
    monkeypatch.setattr("daxa.xmm.instruments.keywords.proposal", lambda odf: target)
    assert source_pixel(camera) == (310.5, 290.5)
    camera.options.source = (5.0, 0.0)
    assert source_pixel(camera) == (305.5, 290.5)
    camera.options.source = (30.0, 0.0)
    with pytest.raises(TaskError, match="not on CCD 1"):
        source_pixel(camera)
    assert messages == []
    camera.options.source, target.ra_deg = None, 30.0
    assert source_pixel(camera) == (300.5, 300.5)
    assert len(messages) == 1


@pytest.fixture(scope="module")
def prepared(simulated_modes, tmp_path_factory):
    """A copy of the raw files, and the environment."""
    folder = tmp_path_factory.mktemp("timing")
    odf = folder / "odf"
    shutil.copytree(simulated_modes.odf(OBS_ID), odf)
    env = {"SAS_ODF": str(odf), "SAS_CCFPATH": str(simulated_modes.ccf)}
    run_task("cifbuild", {}, cwd=folder, env=env, out=io.StringIO(), err=io.StringIO())
    return odf, env | {"SAS_CCF": str(folder / "ccf.cif")}


def run(prepared, folder, task, **arguments):
    folder.mkdir(exist_ok=True)
    messages = io.StringIO()
    run_task(task, arguments, cwd=folder, env=prepared[1], out=io.StringIO(), err=messages)
    return messages.getvalue()


@pytest.mark.slow
def test_both_lists(prepared, tmp_path):
    run(prepared, tmp_path, "emchain", instruments="M1")
    with fits.open(tmp_path / f"P{OBS_ID}M1S001TIEVLI0000.FIT") as hdus:
        assert [h.name for h in hdus] == [
            "PRIMARY", "EVENTS", "OFFSETS", "EXPOSU01", "BADPIX01", "STDGTI01", "CALINDEX",
        ]  # fmt: skip
        events, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        assert hdus["EVENTS"].columns.names == ["TIME", "RAWX", "PHA", "PI", "FLAG", "PATTERN", "CCDNR"]
        assert (header["DATAMODE"], header["SUBMODE"]) == ("TIMING", "FastUncompressed")
        assert header["SRC_RAWY"] == pytest.approx(291.9, abs=0.5)
        assert "REFXCTYP" not in header
        assert np.all(np.diff(events["TIME"]) >= 0)
        gti = hdus["STDGTI01"].data
        assert gti["START"][0] <= events["TIME"][0]
        assert events["TIME"][-1] <= gti["STOP"][-1]
        # Lines, not frames: hardly any two events have the same time.
        assert len(np.unique(events["TIME"])) > 0.98 * len(events)
        assert events["RAWX"].min() >= 251
        assert events["RAWX"].max() <= 350
        assert set(events["PATTERN"]) <= {0, 1, 2, 3}
    with fits.open(tmp_path / f"P{OBS_ID}M1S001MIEVLI0000.FIT") as hdus:
        assert hdus["EVENTS"].header["DATAMODE"] == "IMAGING"
        assert set(hdus["EVENTS"].data["CCDNR"]) == set(range(2, 8))


@pytest.mark.slow
def test_events_behind_lost_frames_are_flagged(prepared, tmp_path):
    """One frame lost, and three together."""
    odf = tmp_path / "odf"
    shutil.copytree(prepared[0], odf)
    (auxiliary,) = odf.glob("*M1S00100AUX.FIT")
    (sent,) = odf.glob("*M1S00110TIE.FIT")
    with fits.open(auxiliary, mode="update") as hdus:
        table = hdus[1].data
        mine = table["CCDID"] == 1
        first = int(table["FRAME"][mine][0])
        lost = [first + n for n in (100, 200, 201, 202)]
        hdus[1].data = table[~(mine & np.isin(table["FRAME"], lost))]
    with fits.open(sent, mode="update") as hdus:
        hdus[1].data = hdus[1].data[~np.isin(hdus[1].data["FRAME"], lost)]
    env = prepared[1] | {"SAS_ODF": str(odf)}
    run((odf, env), tmp_path / "out", "emchain", instruments="M1", ccds="1", rejectbadevents="no")
    with fits.open(next((tmp_path / "out").glob("*TIEVLI*"))) as hdus:
        events, exposure = hdus["EVENTS"].data, hdus["EXPOSU01"].data
        start = exposure["TIME"] - exposure["TIMEDEL"] / 2
        step = np.median(np.diff(start))
        after = 1 + np.flatnonzero(np.diff(start) > 1.5 * step)
        assert np.rint(np.diff(start)[after - 1] / step).tolist() == [2, 4]
        spoiled = events["FLAG"] & int(MosFlag.IN_SPOILED_FRAME) != 0
        assert spoiled.any()
        # Times of events are those of lines, which come with the source's row, a little off their frame's.
        frame = np.searchsorted(start, events["TIME"][spoiled] + 0.01) - 1
        assert set(frame) == set(after)


@pytest.mark.slow
def test_a_damaged_timing_file_leaves_the_imaging_list(prepared, tmp_path):
    odf = tmp_path / "odf"
    shutil.copytree(prepared[0], odf)
    for path in odf.iterdir():
        name = OdfName.parse(path.name)
        if name and (name.instrument, name.file_type) == ("M2", "TIE"):
            path.write_bytes(path.read_bytes()[:3000])
    said = run((odf, prepared[1] | {"SAS_ODF": str(odf)}), tmp_path / "out", "emchain", instruments="M2")
    assert "CCD 1 is left out" in said
    names = [p.name for p in (tmp_path / "out").glob("*EVLI*")]
    assert names == [f"P{OBS_ID}M2S002MIEVLI0000.FIT"]


@pytest.mark.slow
def test_choices_of_emproc(prepared, tmp_path):
    place = {"selectinstruments": "Y", "emos2": "Y", "imaging": "N"}
    run(prepared, tmp_path, "emproc", **place)
    (path,) = tmp_path.glob("*Evts.ds")
    assert path.name == f"3101_{OBS_ID}_EMOS2_S002_TimingEvts.ds"
    first = fits.getdata(path, "EVENTS")["TIME"]
    shift = {"withsrccoords": "Y", "srcra": 149.5917, "srcdec": -11.0642 + 1 / 60}
    run(prepared, tmp_path, "emproc", **place, **shift)
    header = fits.getheader(path, "EVENTS")
    moved = fits.getdata(path, "EVENTS")["TIME"]
    # A row further from the read-out is 17.5 us of shifting.
    expected = -(header["SRC_RAWY"] - 299.8) * 0.0105 / 600
    assert abs(expected) > 2e-4
    assert np.median(moved[:100] - first[:100]) == pytest.approx(expected, abs=1e-5)
