"""What an observation of Chandra or NuSTAR holds, told by the headers of its event lists.

Parameters
----------
folder
    The observation's folder as the archive gives it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.header import Header

#: An event list of Chandra: detector, ObsID, which of two alternating exposures if it is one, level.
_OF_CHANDRA = re.compile(r"(acis|hrc)f(\d+)_\w*?(_e[12])?_evt([12])\.fits(\.gz)?", re.ASCII)
_OF_NUSTAR = re.compile(r"nu\d{11}([AB])_uf\.evt(\.gz)?", re.ASCII)


def chandra_contents(folder: Path) -> dict[str, dict[str, Any]]:
    """Instrument -> what was observed with it, for ACIS and HRC.

    Returns
    -------
    dict
        ``active``; for the instrument that was used also ``detector`` (its chips), ``grating``,
        ``data_mode``, ``read_mode``, ``exposure`` [s], ``alt_exp_mode`` (exposures of two lengths in turn),
        ``multi_obi`` (several observation intervals).

    Raises
    ------
    TaskError
        ``noEvents``: there is no event list of level 1 in ``secondary`` or of level 2 in ``primary``.
    """
    places = [
        *sorted((folder / "secondary").glob("*_evt1.fits*")),
        *sorted((folder / "primary").glob("*_evt2.fits*")),
    ]
    lists = [(path, m) for path in places if (m := _OF_CHANDRA.fullmatch(path.name))]
    if not lists:
        raise TaskError(
            "noEvents", f"{folder}: no event list secondary/*_evt1.fits or primary/*_evt2.fits of ACIS or HRC"
        )
    found: dict[str, dict[str, Any]] = {"ACIS": {"active": False}, "HRC": {"active": False}}
    for inst in found:
        headers = [(m, _header(path)) for path, m in lists if m[1].upper() == inst]
        if headers:
            found[inst] = _of_chandra(headers)
    return found


def _of_chandra(headers: list[tuple[re.Match[str], Header]]) -> dict[str, Any]:
    # Those of level 1 come first; one of level 2 may have been made of several intervals.
    level = headers[0][0][4]
    same = [header for match, header in headers if match[4] == level]
    first = same[0]
    cycles = {str(h.get("CYCLE", "")).strip() for h in same}
    return {
        "active": True,
        "detector": str(first.get("DETNAM", "")),
        "grating": str(first.get("GRATING", "")),
        "data_mode": str(first.get("DATAMODE", "")),
        "read_mode": str(first.get("READMODE", "")),
        "exposure": max((float(h.get("EXPOSURE", 0) or 0) for h in same), default=0.0),
        "alt_exp_mode": any(m[3] for m, _ in headers) or {"P", "S"} <= cycles,
        "multi_obi": len({h.get("OBI_NUM") for h in same}) > 1,
    }


def nustar_contents(folder: Path) -> dict[str, dict[str, Any]]:
    """Instrument -> what was observed with it, for FPMA and FPMB.

    Returns
    -------
    dict
        ``active``: there is a list, with events; ``events`` and ``exposure`` [s] of those that there are.

    Raises
    ------
    TaskError
        ``noEvents``: there is no unfiltered event list in ``event_uf``.
    """
    lists = [(p, m) for p in sorted((folder / "event_uf").glob("nu*")) if (m := _OF_NUSTAR.fullmatch(p.name))]
    if not lists:
        raise TaskError("noEvents", f"{folder}: no event list event_uf/nu*_uf.evt")
    found: dict[str, dict[str, Any]] = {"FPMA": {"active": False}, "FPMB": {"active": False}}
    for path, match in lists:
        header = _header(path)
        events = int(header.get("NAXIS2", 0))
        found[f"FPM{match[1]}"] = {
            "active": events > 0,
            "events": events,
            "exposure": float(header.get("EXPOSURE", 0) or 0),
        }
    return found


def _header(path: Path) -> Header:
    """Header of the events of a list."""
    try:
        file = FitsFile(path)
        return file["EVENTS"].header
    except (OSError, KeyError) as failure:
        raise TaskError("badList", f"{path}: not a readable event list ({failure})") from failure
