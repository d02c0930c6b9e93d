"""badpixfind and badpix: the bad pixels of one pn CCD in an exposure.

Source: manuals of these tasks. Algorithms stand in :mod:`daxa.xmm.instruments.pn.badpixels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, HOT
from daxa.xmm.instruments.pn.badpixels import (
    BadPixel,
    BadPixelMap,
    bad_columns,
    find_bad_pixels,
    merge_bad_pixels,
)
from daxa.xmm.instruments.pn.calibration import core_share, known_bad_pixels
from daxa.xmm.instruments.pn.options import Badpix, Badpixfind
from daxa.xmm.instruments.pn.rawlist import RawList

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

Info = Callable[[str], None]


def found_bad_pixels(
    raw: RawList, cal: Calibration, known: list[BadPixel], limits: Badpixfind, adu_ev: float, info: Info
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
        core_share(cal, limits.cellsize),
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
    options: Badpix | None,
    search: Badpixfind | None,
    adu_ev: float,
    n_lines: int | None,
    find_info: Info,
    info: Info,
) -> list[BadPixel]:
    """BADPIX of a CCD: on board, in the calibration, found.

    Parameters
    ----------
    options
        Which bad pixels count; None for none at all.
    search
        Limits of the search; None for no search.
    adu_ev
        Energy of one adu [eV].
    n_lines
        Lines of a frame in fast modes, else None.
    find_info, info
        Where the lines of badpixfind and badpix go.
    """
    if options is None:
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
    if search is not None and options.getnewbadpix:
        found = found_bad_pixels(raw, cal, known, search, adu_ev, find_info)
    merged = merge_bad_pixels(known, found)
    info(f" CCD {raw.ccd}: {len(merged)} final bad pixel sets, {len(found)} of them new")
    return merged
