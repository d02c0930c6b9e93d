"""badpixfind: bad pixels that the events of an imaging exposure of the pn give away.

Source: manual of the task. The search stands in :mod:`daxa.xmm.instruments.pn.badpixel_search`.
"""

from __future__ import annotations

from collections.abc import Callable

from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, HOT
from daxa.xmm.instruments.pn.badpixel_search import find_bad_pixels
from daxa.xmm.instruments.pn.badpixels import BadPixel, BadPixelMap
from daxa.xmm.instruments.pn.options import Badpixfind
from daxa.xmm.instruments.pn.rawlist import RawList


def badpixfind(
    raw: RawList,
    known: list[BadPixel],
    limits: Badpixfind,
    adu_ev: float,
    core_share: float,
    info: Callable[[str], None],
) -> list[BadPixel]:
    """Search one CCD.

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
    core_share
        Share of a point source's counts on its central pixel.
    info
        Where the lines of the log go.
    """
    energy_kev = raw.pha * (adu_ev / 1000)
    band = (energy_kev >= limits.loenergythresh) & (energy_kev <= limits.hienergythresh)
    found = find_bad_pixels(
        raw.rawx[band],
        raw.rawy[band],
        raw.time_s[raw.frame[band]],
        raw.gti.total,
        core_share,
        known=BadPixelMap.of(known).bad,
        limits=limits,
    )
    kinds = ", ".join(
        f"{sum(p.kind == kind for p in found)} {name}"
        for kind, name in ((HOT, "hot"), (FLICKERING, "flickering"), (DEAD, "dead"))
    )
    info(f" CCD {raw.ccd}: number of entries: {len(found)} ({kinds})")
    return found
