"""Every product can be read by others: fitsverify, astropy, stingray."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from simulated_field import EXPOSURES, OBSERVATIONS, good_times, header, show

from daxa.xmm.event.gti import GTI

pytestmark = pytest.mark.slow
# fmt: off
#: What every event list says of itself.
EVENTS_KEYWORDS = [
    "TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "REVOLUT", "DATAMODE", "SUBMODE",
    "FILTER", "OBJECT", "DATE-OBS", "DATE-END", "MJDREF", "TIMESYS", "TIMEUNIT", "TIMEREF",
    "CLOCKAPP", "TSTART", "TSTOP", "TELAPSE", "ONTIME", "LIVETIME", "RA_PNT", "DEC_PNT", "PA_PNT",
    "RA_OBJ", "DEC_OBJ", "RADECSYS", "EQUINOX", "REFXCTYP", "REFXCRPX", "REFXCRVL", "REFXCDLT",
    "REFXLMIN", "REFXLMAX", "REFXCUNI", "REFYCTYP", "REFYCRPX", "REFYCRVL", "REFYCDLT", "REFYLMIN",
    "REFYLMAX", "REFYCUNI", "EXTNAME",
]
GTI_KEYWORDS = [
    "TELESCOP", "INSTRUME", "MJDREF", "TIMESYS", "TIMEUNIT", "HDUCLASS", "HDUCLAS1", "EXTNAME",
]
COLUMNS = [
    "TIME", "RAWX", "RAWY", "DETX", "DETY", "X", "Y", "PHA", "PI", "FLAG", "PATTERN", "CCDNR",
]
# fmt: on


def fits_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".fits", ".fit", ".cif", ".ds"))


def event_lists(folder: Path) -> list[Path]:
    return [p for p in fits_files(folder) if p.stem.endswith("events")]


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
def test_fitsverify(field, obs_id, record_property):
    if shutil.which("fitsverify") is None:
        pytest.skip("fitsverify is not installed")
    paths = fits_files(field.folder(obs_id))
    assert len(paths) >= 3 * 9
    done = subprocess.run(["fitsverify", "-l", *paths], capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    warned = Counter(re.sub(r"\d+", "N", w.strip()) for w in re.findall(r"\*\*\* Warning:(.*)", text))
    errors = re.findall(r"\*\*\* Error:.*", text)
    row = [len(paths), len(errors), sum(warned.values())]
    show(f"{obs_id}: fitsverify", ["files", "errors", "warnings"], [row])
    for warning, times in warned.most_common(8):
        print(f"  {times} x {warning}")
    record_property("files", len(paths))
    assert errors == []
    # VALDATE-END is the name that SAS gives a column of the calibration index.
    assert all("VALDATE-END" in warning for warning in warned)
    assert len(re.findall(r"^File: ", text, re.MULTILINE)) == len(paths)


def test_keywords_of_event_lists(field):
    paths = [p for o in OBSERVATIONS for p in event_lists(field.folder(o))]
    assert len(paths) > 40
    for path in paths:
        with fits.open(path) as hdus:
            head = hdus["EVENTS"].header
            missing = [k for k in EVENTS_KEYWORDS if k not in head]
            assert not missing, (path.name, missing)
            assert set(COLUMNS) <= set(hdus["EVENTS"].columns.names), path.name
            for name in ("TIME", "PI", "X", "Y", "DETX", "DETY"):
                place = hdus["EVENTS"].columns.names.index(name) + 1
                assert head[f"TUNIT{place}"], (path.name, name)
            for hdu in hdus:
                if hdu.name.startswith("STDGTI"):
                    missing = [k for k in GTI_KEYWORDS if k not in hdu.header]
                    assert not missing, (path.name, hdu.name, missing)
            times = hdus["EVENTS"].data["TIME"]
            assert head["TSTART"] <= times.min()
            assert times.max() <= head["TSTOP"]
            assert head["MJDREF"] == 50814.0
            assert head["TIMESYS"] == "TT"
    print(f"\n{len(paths)} event lists have {len(EVENTS_KEYWORDS)} keywords each")


@pytest.mark.parametrize(("obs_id", "inst"), sorted({e[:2] for e in EXPOSURES}))
def test_astropy_reads_tables_with_units(field, obs_id, inst):
    path = field.final_list(obs_id, inst)
    events = Table.read(path, hdu="EVENTS")
    assert str(events["TIME"].unit) == "s"
    assert str(events["PI"].unit) in ("eV", "chan", "CHAN")
    total = 0
    for ccd, gti in good_times(path).items():
        mine = events["TIME"][events["CCDNR"] == ccd]
        assert gti.contains(np.asarray(mine)).all()
        total += len(mine)
    assert total == len(events)


def lists_for_stingray() -> list[tuple[str, str, str, str]]:
    return [(o, i, "ALL", "en-finalevents") for o, i in sorted({e[:2] for e in EXPOSURES})] + [
        (o, i, e, "events") for o, i, e in EXPOSURES if o == OBSERVATIONS[1]
    ]


@pytest.mark.parametrize(("obs_id", "inst", "exp_id", "kind"), lists_for_stingray())
def test_stingray_reads_events_and_good_times(field, obs_id, inst, exp_id, kind):
    stingray = pytest.importorskip("stingray")
    path = field.product(obs_id, inst, kind, exp_id)
    read = stingray.EventList.read(str(path), fmt="hea")
    with fits.open(path) as hdus:
        times = np.sort(hdus["EVENTS"].data["TIME"])
        pi = hdus["EVENTS"].data["PI"]
    found = GTI(*np.transpose(read.gti))
    by_ccd = good_times(path)
    # The frames of the CCDs end some milliseconds apart. Stingray intersects the good times of the CCDs that
    # it finds in the first hundred rows: what is good for all CCDs is good for it, and nothing else.
    least, most = next(iter(by_ccd.values())), GTI.union(by_ccd.values())
    for gti in by_ccd.values():
        least = least & gti
    rows = [[path.name, len(read.time), len(times), len(read.gti), found.total, least.total, most.total]]
    show("stingray", ["list", "read", "events", "intervals", "GTI [s]", "all CCDs [s]", "any CCD [s]"], rows)
    assert read.mjdref == pytest.approx(50814.0)
    assert (least - found).total < 1e-3
    assert (found - most).total < 1e-3
    assert len(found) == len(least)
    inside = least.contains(times)
    assert len(read.time) >= np.count_nonzero(inside)
    assert len(read.time) <= len(times)
    assert len(read.pi) == len(read.time)
    assert header(path)["TELESCOP"].strip().lower() in str(read.mission).lower()
    assert pi.max() >= np.max(read.pi)
