"""Makes small EPIC event lists for the tests of selections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.event.eventlist import write_event_list
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure

RA, DEC = 149.5917, -11.0642


def event_columns(instrument: str, count: int, seed: int, start: float, stop: float) -> dict[str, Any]:
    """Random events."""
    rng = np.random.default_rng(seed)
    pn = instrument == "EPN"
    columns = {
        "TIME": np.sort(rng.uniform(start, stop, count)),
        "RAWX": rng.integers(1, 65 if pn else 601, count),
        "RAWY": rng.integers(1, 201 if pn else 601, count),
        "DETX": rng.integers(-20000, 20001, count),
        "DETY": rng.integers(-20000, 20001, count),
        "X": rng.integers(1, 51841, count),
        "Y": rng.integers(1, 51841, count),
        "PHA": rng.integers(0, 4096, count),
        "PI": rng.integers(0, 15000, count),
        "FLAG": rng.choice([0, 0, 0, 0x10000, 0x20000, 0x8, 0x400], count),
        "PATTERN": rng.integers(0, 14, count),
        "CCDNR": rng.integers(1, 13 if pn else 8, count),
    }
    if pn:
        columns |= {
            "PAT_ID": np.zeros(count),
            "PAT_SEQ": np.zeros(count),
            "TIME_RAW": columns["TIME"] - 0.01,
        }
    return columns


def make_list(
    path: Path,
    instrument: str = "EMOS1",
    *,
    count: int = 2000,
    seed: int = 1,
    start: float = 1000.0,
    duration: float = 1000.0,
    exp_id: str = "S001",
    obs_id: str = "0800010101",
    ra: float = RA,
    dec: float = DEC,
    columns: dict[str, Any] | None = None,
    **keywords: Any,
) -> dict[str, Any]:
    """Write an event list; returns its columns."""
    columns = columns or event_columns(instrument, count, seed, start, start + duration)
    frame = 2.6 if instrument != "EPN" else 0.2
    ccds = {}
    for ccd in range(1, 13 if instrument == "EPN" else 8):
        times = np.arange(start + frame / 2, start + duration, frame)
        gti = GTI([start + ccd * 0.1], [start + duration])
        badpix = {
            "RAWX": [ccd, 10], "RAWY": [5, 6], "TYPE": [1, 1], "YEXTENT": [1, 2], "BADFLAG": [1, 2],
        }  # fmt: skip
        ccds[ccd] = CcdExposure(
            times, np.full(len(times), frame), np.full(len(times), 0.9), gti, badpix, {"CCDID": ccd}
        )
    primary = {
        "TELESCOP": "XMM", "INSTRUME": instrument, "DATAMODE": "IMAGING", "SUBMODE": "PrimeFullWindow",
        "FILTER": "Medium", "OBS_ID": obs_id, "EXP_ID": f"{obs_id}{exp_id[1:]}", "EXPIDSTR": exp_id,
        "REVOLUT": 3100, "OBJECT": "A907", "RA_PNT": ra, "DEC_PNT": dec, "PA_PNT": 30.0,
        "RA_NOM": ra, "DEC_NOM": dec, "OBS_MODE": "POINTING", "DATE-OBS": "2017-11-01T00:00:00",
        "DATE-END": "2017-11-01T01:00:00", **keywords,
    }  # fmt: skip
    write_event_list(
        path,
        primary=primary,
        columns=columns,
        ccds=ccds,
        sky={"ra_deg": ra, "dec_deg": dec},
        prime_ccd=4 if instrument == "EPN" else 1,
    )
    return columns
