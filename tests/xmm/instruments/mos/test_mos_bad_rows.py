"""Rows of raw MOS files that cannot be right: all are counted, and said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.instruments.mos import frames
from daxa.xmm.instruments.mos import raw as reading
from daxa.xmm.odf.table import OdfTable


@pytest.fixture
def camera():
    """A camera that only keeps its warnings."""
    said: list[tuple[str, str]] = []
    messages = SimpleNamespace(
        warn=lambda task, code, text: said.append((code, text)), info=lambda task, text: None
    )
    return SimpleNamespace(messages=messages, said=said)


def _table(**columns) -> OdfTable:
    return OdfTable(
        "events[1]", fits.Header(), fits.Header(), {name: np.array(v) for name, v in columns.items()}
    )


def test_repeated_events_are_left_out(camera) -> None:
    table = _table(
        FRAME=[1, 1, 1, 2, 2, 2],
        RAWX=[5, 6, 5, 5, 5, 5],
        RAWY=[7, 7, 7, 7, 7, 8],
        ENERGYE1=[1, 2, 3, 4, 5, 6],
    )
    result = reading.without_repetition(table, camera.messages)
    # The first of each stays.
    assert result["ENERGYE1"].tolist() == [1, 2, 4, 6]
    assert camera.said == [
        ("repeatedEvents", "events[1]: 2 rows repeat the place of another in a frame: left out")
    ]


def test_sound_events_stay_as_they_are(camera) -> None:
    table = _table(FRAME=[1, 1, 2], RAWX=[5, 6, 5], RAWY=[7, 7, 7])
    assert reading.without_repetition(table, camera.messages) is table
    assert not camera.said


def test_a_file_without_rows_is_reported(camera) -> None:
    assert len(reading.without_repetition(_table(FRAME=[], RAWX=[], RAWY=[]), camera.messages)) == 0
    assert camera.said == [("noEvents", "events[1]: no events")]


def test_announced_events_are_compared_with_those_that_came(camera) -> None:
    number = np.array([1, 2, 3, 4, 5, 7, 8, 9])
    counters = {name: np.zeros(8, int) for name in ("NPIXEL", "NBELOW", "NABOVE", "GATTIFLG")}
    counters |= {"NVALID": np.full(8, 2), "FIFOOVF": (number == 3).astype(int)}
    made, _ = frames.build_frames(number, 2.6 * number, counters, header_frame_s=2.6)
    events = np.repeat(np.flatnonzero(made.received), 2)
    reading.report_announced(made, events, 1, camera.messages)
    assert not camera.said
    # An overflow loses events by itself; frame 9 has one less, frame 1 one more.
    events = np.sort(np.append(events[(events != 2) & (np.arange(16) != 15)], 0))
    reading.report_announced(made, events, 1, camera.messages)
    assert camera.said == [
        (
            "eventsNotAnnounced",
            "CCD 1: 14 events came of 14 that the frames announce (NVALID); 2 of 7 frames differ",
        )
    ]


@pytest.mark.slow
def test_repeated_and_dark_events_in_the_chain(simulated, reduced, tmp_path) -> None:
    """The list is that of the sound file; each kind of damage is said with its number."""
    import io
    import shutil

    from daxa.xmm.task import run_task

    odf = tmp_path / "odf"
    odf.mkdir()
    for path in simulated.odf("0800010201").iterdir():
        if not any(f"_{c}" in path.name for c in ("M1", "PN")):
            shutil.copy(path, odf)
    path = next(p for p in odf.iterdir() if "M2S00230IME" in p.name)
    with fits.open(path) as hdus:
        copies = fits.HDUList([h.copy() for h in hdus])
    rows = copies[1].data
    rows["ENERGYE1"][100:107] = [0, -1, 0, 0, -5, 0, 0]
    again = np.sort(np.append(np.arange(len(rows)), [10, 20, 30, 40, 50]))
    copies[1] = fits.BinTableHDU(rows[again], copies[1].header, name=copies[1].name)
    copies.writeto(path, overwrite=True)
    env = reduced.env | {"SAS_ODF": str(odf)}
    out, err = io.StringIO(), io.StringIO()
    run_task("emchain", {"instruments": "M2", "ccds": "3"}, cwd=tmp_path, env=env, out=out, err=err)
    lines = err.getvalue().splitlines()
    assert [line for line in lines if "(repeatedEvents)" in line and ": 5 rows" in line]
    assert [line for line in lines if "(PHAoffset)" in line and ": 7 of " in line]
    assert not [line for line in lines if "NVALID" in line]
    with (
        fits.open(reduced.event_list("M2", "S002")) as sound,
        fits.open(next(tmp_path.glob("*M2S002MIEVLI*"))) as list_,
    ):
        events = sound["EVENTS"].data
        assert len(list_["EVENTS"].data) == pytest.approx((events["CCDNR"] == 3).sum(), abs=7)
        assert list_["EVENTS"].header["ONTIME03"] == sound["EVENTS"].header["ONTIME03"]
