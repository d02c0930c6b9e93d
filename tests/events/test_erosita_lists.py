"""Selections of eROSITA events and good times, against lists made by hand."""

from __future__ import annotations

from pathlib import Path

import erosita_list
import numpy as np
import pytest
from astropy.io import fits

from daxa.events.erosita import Selection, good_times, select_list, within
from daxa.events.lists import EventList
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI


@pytest.mark.parametrize(
    ("selection", "times"),
    [
        (Selection(), [10, 20, 30, 40, 60, 70, 80, 90]),
        (Selection(modules=(1, 2)), [10, 20, 30, 60, 70]),
        (Selection(lo_ev=200, hi_ev=10000), [20, 30, 40, 60, 70, 90]),
        (Selection(lo_ev=500, hi_ev=900), [20, 30, 70, 90]),  # both limits belong to the band
        (Selection(patterns=15), [10, 20, 30, 40, 60, 80, 90]),  # negative patterns are not valid
        (Selection(patterns=6), [30, 40]),
        (Selection(flags=0xC0000000), [10, 20, 30, 70, 80, 90]),
        (Selection(flags=0xC0000000, having_flags=True), [40, 60]),
        (Selection(flags=0x10, patterns=1), [10, 20]),
    ],
)
def test_what_a_selection_keeps(selection: Selection, times: list[int], tmp_path: Path) -> None:
    source = erosita_list.write(tmp_path / "events.fits")
    target = tmp_path / "selected.fits"
    assert select_list(source, target, selection) == (8, len(times))
    with fits.open(target) as hdus:
        assert hdus["EVENTS"].data["TIME"].tolist() == times


def test_what_belongs_to_other_modules_goes_with_them(tmp_path: Path) -> None:
    source, target = erosita_list.write(tmp_path / "events.fits", flares=True), tmp_path / "selected.fits"
    select_list(source, target, Selection(modules=(2, 3, 5)))
    with fits.open(target) as hdus:
        names = [hdu.name for hdu in hdus[2:]]
        assert names == ["GTI2", "DEADCOR2", "FLAREGTI2", "GTI3", "DEADCOR3", "FLAREGTI3"]
        header = hdus["EVENTS"].header
        assert [header[k] for k in ("INSTRUME", "NINST", "INSTRUM1", "INSTRUM2")] == [
            "merged",
            2,
            "TM2",
            "TM3",
        ]
        assert "INSTRUM3" not in header
    select_list(source, target, Selection(modules=(7,)))
    with fits.open(target) as hdus:
        assert hdus["EVENTS"].header["INSTRUME"] == "TM7"
        assert hdus["EVENTS"].header["OBS_ID"] == "300007"


def test_good_times_without_flares(tmp_path: Path) -> None:
    source, target = erosita_list.write(tmp_path / "events.fits", flares=True), tmp_path / "clean.fits"
    assert select_list(source, target, Selection(), gti="FLAREGTI") == (8, 4)
    with fits.open(target) as hdus:
        assert hdus["EVENTS"].data["TIME"].tolist() == [10, 20, 80, 90]
        # what images and spectra take for the exposure
        assert hdus["GTI7"].data["STOP"].tolist() == [25, 95]
    assert good_times(EventList(target), "GTI")[7] == GTI([0, 75], [25, 95])
    with pytest.raises(TaskError, match="no good times FLAREGTI1 to FLAREGTI7; flaregti makes"):
        select_list(erosita_list.write(tmp_path / "raw.fits"), target, Selection(), gti="FLAREGTI")


def test_what_is_no_event_list(tmp_path: Path) -> None:
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"nothing of the kind")
    with pytest.raises(TaskError, match=r"bad\.fits: not a readable FITS file"):
        select_list(bad, tmp_path / "out.fits", Selection())
    fits.HDUList([fits.PrimaryHDU()]).writeto(bad, overwrite=True)
    with pytest.raises(TaskError, match=r"bad\.fits: no extension EVENTS"):
        select_list(bad, tmp_path / "out.fits", Selection())
    columns = [fits.Column("TIME", "1D", array=[1.0])]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(bad, overwrite=True)
    with pytest.raises(TaskError, match="no column"):
        select_list(bad, tmp_path / "out.fits", Selection(modules=(1,), lo_ev=200))
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modules": (0,)}, "modules: expected numbers from 1 to 7"),
        ({"modules": ()}, "modules"),
        ({"lo_ev": 2000, "hi_ev": 200}, "no band from 2000 to 200 eV"),
        ({"patterns": 16}, "patterns: expected a number from 1 to 15"),
        ({"flags": 1 << 32}, "flags: expected 32 bits"),
    ],
)
def test_what_no_selection_is(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection(**values)


def test_times_of_their_own_module() -> None:
    good = {1: GTI([0.0], [5.0]), 2: GTI([5.0, 1.0], [9.0, 2.0])}
    keep = within(np.array([0.0, 5.0, 5.0, 1.5, 3.0]), np.array([1, 1, 2, 2, 3]), good)
    assert keep.tolist() == [True, False, True, True, False]
