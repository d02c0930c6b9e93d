"""Copies of products with a known mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

#: Mistake -> what a comparison must say of it, in words.
EVENT_FINDINGS = {
    "position": "positions are shifted by 1.0 arcsec (RA +0.8, Dec +0.6)",
    "energy": "energies differ by +20 eV",
    "time": "times differ by +3.0 s",
    "ccd": "CCD 4 missing in B",
    "live": "live time 1.0 % lower in B",
}


def distort_events(source: Path, target: Path, *mistakes: str) -> Path:
    """Write a copy of an event list with mistakes of :data:`EVENT_FINDINGS`."""
    with fits.open(source, memmap=False) as hdus:
        events = hdus["EVENTS"]
        data = events.data
        if "position" in mistakes:
            data["X"] -= 16
            data["Y"] += 12
        if "energy" in mistakes:
            data["PI"] += 20
        if "time" in mistakes:
            data["TIME"] += 3.0
        if "live" in mistakes:
            for key in [k for k in events.header if k.startswith("LIVETI")]:
                events.header[key] *= 0.99
        if "ccd" in mistakes:
            events.data = data[data["CCDNR"] != 4]
        hdus.writeto(target)
    return target


def made_list(path: Path, seed: int = 1, dither: int = 2, n: int = 20_000, frame_s: float = 2.6) -> Path:
    """Write an event list; the same seed gives the same raw events, dither the other random numbers."""
    raw, other = np.random.default_rng(seed), np.random.default_rng(dither)
    ccd, rawx, rawy = raw.integers(1, 8, n), raw.integers(1, 601, n), raw.integers(1, 601, n)
    # A source, so that some pixels are hit often.
    rawx[: n // 10], rawy[: n // 10] = raw.integers(300, 306, (2, n // 10))
    frame, energy = raw.integers(0, 4000, n), raw.integers(200, 9000, n)
    x, y = raw.integers(5000, 45000, (2, n))
    flag = np.where(raw.random(n) < 0.02, 1 << 16, 0)
    columns = {
        "TIME": ("D", 2.0e8 + frame_s * (frame + other.random(n))),
        "RAWX": ("I", rawx),
        "RAWY": ("I", rawy),
        "X": ("J", x + other.integers(-11, 12, n)),
        "Y": ("J", y + other.integers(-11, 12, n)),
        "PHA": ("I", energy // 4),
        "PI": ("I", energy + other.integers(-2, 3, n)),
        "FLAG": ("J", flag),
        "PATTERN": ("B", raw.integers(0, 13, n)),
        "CCDNR": ("B", ccd),
    }
    table = fits.BinTableHDU.from_columns([fits.Column(k, f, array=v) for k, (f, v) in columns.items()])
    table.name = "EVENTS"
    keys = {"TELESCOP": "XMM", "INSTRUME": "EMOS1", "OBS_ID": "0123456789", "EXPIDSTR": "S001"}
    table.header.update(keys | {"REFXCRVL": 150.0, "REFYCRVL": 2.0})
    for number in range(1, 8):
        table.header[f"ONTIME{number:02d}"] = 10_400.0
        table.header[f"LIVETI{number:02d}"] = 10_100.0 + number
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path
