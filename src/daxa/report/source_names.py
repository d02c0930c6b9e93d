"""Which spectra and light curves are of which source of the list.

Products are named by the place that they were made at, e.g. ``J095805.7-110921``, not by the row of the list.
"""

from __future__ import annotations

import re

import numpy as np

from daxa.report.products import Values

#: Farther from a source [arcsec] a product is of something else.
_FARTHEST = 10.0
_NAME = re.compile(r"J(\d\d)(\d\d)(\d\d(?:\.\d+)?)([+-])(\d\d)(\d\d)(\d\d(?:\.\d+)?)")


def position(name: str) -> tuple[float, float] | None:
    """Right ascension and declination [deg] that a name tells; None where it is not of a position.

    Parameters
    ----------
    name
        E.g. ``J095805.7-110921``.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    hours, minutes, seconds, degrees, arcmin, arcsec = (float(found[k]) for k in (1, 2, 3, 5, 6, 7))
    ra = 15 * (hours + minutes / 60 + seconds / 3600)
    dec = degrees + arcmin / 60 + arcsec / 3600
    return ra, -dec if found[4] == "-" else dec


def with_products(sources: list[Values], figures: list[Values]) -> list[Values]:
    """Sources with their ``figures``: those whose product is nearer to them than to any other.

    Parameters
    ----------
    sources
        Each with ``ra`` and ``dec`` [deg].
    figures
        Each with the name of its ``source``.
    """
    of: dict[int, list[Values]] = {}
    ra, dec = (np.array([s[k] for s in sources], float) for k in ("ra", "dec"))
    for figure in figures if sources else []:
        place = position(figure["source"])
        if place is None:
            continue
        west = (np.mod(ra - place[0] + 180, 360) - 180) * np.cos(np.radians(place[1]))
        away = 3600 * np.hypot(west, dec - place[1])
        if away.min() < _FARTHEST:
            of.setdefault(int(away.argmin()), []).append(figure)
    return [s | {"figures": of.get(k, [])} for k, s in enumerate(sources)]
