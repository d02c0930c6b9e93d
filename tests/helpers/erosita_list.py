"""A small eROSITA event list, made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

#: TIME, TM_NR, PI, PAT_TYP, FLAG of each event.
EVENTS = [
    (10.0, 1, 150.0, 1, 0),
    (20.0, 1, 500.0, 1, 0),
    (30.0, 2, 900.0, 2, 0),
    (40.0, 3, 1500.0, 3, -(2**31)),  # the highest bit: corrupt
    (60.0, 1, 3000.0, 4, 1 << 30),
    (70.0, 2, 800.0, -1, 0),
    (80.0, 7, 12000.0, 4, 0),
    (90.0, 7, 700.0, 1, 0x10),
]


def write(path: Path, flares: bool = False) -> Path:
    """Write it; with `flares`, good times without 25 to 75 s too."""
    names = ("TIME", "TM_NR", "PI", "PAT_TYP", "FLAG")
    values = dict(zip(names, map(np.array, zip(*EVENTS, strict=True)), strict=True))
    forms = {"TIME": "1D", "TM_NR": "1I", "PI": "1E", "PAT_TYP": "1I", "FLAG": "1J"}
    events = fits.BinTableHDU.from_columns(
        [fits.Column(n, forms[n], array=values[n]) for n in names], name="EVENTS"
    )
    modules = (1, 2, 3, 7)
    events.header.update({"INSTRUME": "merged", "NINST": 4, "TELESCOP": "eROSITA", "OBS_ID": "300007"})
    for n, module in enumerate(modules, start=1):
        events.header[f"INSTRUM{n}"] = f"TM{module}"
    hdus = [fits.PrimaryHDU(), events]
    for module in modules:
        hdus.append(_times(f"GTI{module}", [(0.0, 100.0)]))
        hdus.append(_times(f"DEADCOR{module}", [(0.0, 1.0)]))
        if flares:
            hdus.append(_times(f"FLAREGTI{module}", [(0.0, 25.0), (75.0, 95.0)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def _times(name: str, rows: list[tuple[float, float]]) -> fits.BinTableHDU:
    start, stop = np.array(rows).T
    columns = [fits.Column("START", "1D", unit="s", array=start), fits.Column("STOP", "1D", array=stop)]
    return fits.BinTableHDU.from_columns(columns, name=name)
