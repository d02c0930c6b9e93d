"""badpixfind and badpix: the bad pixels of one pn CCD in an exposure.

Source: manuals of these tasks. Algorithms stand in :mod:`daxa.xmm.epic.pn.badpixels`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.epic.pn.badpixels import (
    DEAD,
    FLICKERING,
    HOT,
    BadPixel,
    BadPixelMap,
    SearchLimits,
    bad_columns,
    find_bad_pixels,
    known_bad_pixels,
    merge_bad_pixels,
    psf_core_share,
)
from daxa.xmm.epic.pn.epframes import RawList
from daxa.xmm.formats.instruments import PN_SHAPE

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

Info = Callable[[str], None]


@dataclass(frozen=True)
class BadpixOptions:
    """What becomes bad: parameters of the chain and of badpix, with SAS's names."""

    runbadpixfind: bool = True
    runbadpix: bool = True
    getuplnkbadpix: bool = True
    getotherbadpix: bool = True
    getnewbadpix: bool = True
    search: SearchLimits = field(default_factory=SearchLimits)


def found_bad_pixels(
    raw: RawList, cal: Calibration, known: list[BadPixel], limits: SearchLimits, adu_ev: float, info: Info
) -> list[BadPixel]:
    """Bad pixels that the events of an imaging exposure give away (badpixfind).

    Parameters
    ----------
    raw
        The raw events.
    known
        Pixels that are bad anyway.
    limits
        Thresholds.
    adu_ev
        Energy of one adu [eV], for the band.
    """
    energy_kev = raw.pha * (adu_ev / 1000)
    band = (energy_kev >= limits.loenergythresh) & (energy_kev <= limits.hienergythresh)
    found = find_bad_pixels(
        raw.rawx[band],
        raw.rawy[band],
        raw.time_s[raw.frame[band]],
        raw.gti.total,
        _core_share(cal, limits.cellsize),
        known=BadPixelMap.of(known).bad,
        limits=limits,
    )
    kinds = ", ".join(
        f"{sum(p.kind == kind for p in found)} {name}"
        for kind, name in ((HOT, "hot"), (FLICKERING, "flickering"), (DEAD, "dead"))
    )
    info(f" CCD {raw.ccd}: number of entries: {len(found)} ({kinds})")
    return found


def bad_pixels(
    raw: RawList,
    cal: Calibration,
    options: BadpixOptions,
    adu_ev: float,
    n_lines: int | None,
    find_info: Info,
    info: Info,
) -> list[BadPixel]:
    """BADPIX of a CCD: on board, in the calibration, found.

    Parameters
    ----------
    adu_ev
        Energy of one adu [eV].
    n_lines
        Lines of a frame in fast modes, else None.
    find_info, info
        Where the lines of badpixfind and badpix go.
    """
    if not options.runbadpix:
        return []
    known = known_bad_pixels(cal, raw.ccd, uplinked=options.getuplnkbadpix, other=options.getotherbadpix)
    if n_lines is not None:
        columns = bad_columns(known, PN_SHAPE[1], n_lines)
        info(
            f" CCD {raw.ccd}: {len(columns)} bad columns of the calibration; fast modes are not searched for "
            "others"
        )
        return columns
    found: list[BadPixel] = []
    if options.runbadpixfind and options.getnewbadpix:
        found = found_bad_pixels(raw, cal, known, options.search, adu_ev, find_info)
    merged = merge_bad_pixels(known, found)
    info(f" CCD {raw.ccd}: {len(merged)} final bad pixel sets, {len(found)} of them new")
    return merged


def _core_share(cal: Calibration, cellsize: int) -> float:
    """Share of an on-axis point source's counts in its central pixel."""
    table = cal.constituent("XRT3", "XPSF").table("KING_PARAMS")
    on_axis = np.asarray(table["THETA"]) == np.min(table["THETA"])
    core, slope = np.median(np.asarray(table["PARAMS"], float)[on_axis], axis=0)
    # The plate scale in arcsec per mm, times the pixel.
    pixel = abs(cal.constituent("EPN", "LINCOORD").number("MM_PX_X", "LINCOORD")) * abs(
        cal.constituent("EPN", "LINCOORD").number("ARC_MM_X", "LINCOORD")
    )
    return psf_core_share(float(core), float(slope), pixel, cellsize)
