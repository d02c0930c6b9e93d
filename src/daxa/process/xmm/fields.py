"""Fields: observations that see the same part of the sky."""

from __future__ import annotations

from collections.abc import Sequence

#: Observations closer than this belong to one field [deg]: EPIC sees a circle of 15 arcmin radius.
LINK_DEG = 0.5


def group(ra_deg: Sequence[float], dec_deg: Sequence[float], link_deg: float = LINK_DEG) -> list[list[int]]:
    """Indices of directions that hang together by steps of less than ``link_deg``.

    Parameters
    ----------
    ra_deg, dec_deg
        The directions [deg], shape (n,).
    link_deg
        Greatest step [deg].

    Returns
    -------
    groups
        Each in rising order; in order of their first members.

    Examples
    --------
    >>> group([0.1, 180.0, 359.9], [0.0, 0.0, 0.0])
    [[0, 2], [1]]
    """
    import numpy as np

    ra, dec = np.radians(np.asarray(ra_deg, float)), np.radians(np.asarray(dec_deg, float))
    unit = np.stack([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)], axis=1)
    left, groups = set(range(len(unit))), []
    chord = 2 * np.sin(np.radians(link_deg) / 2)
    while left:
        edge = [min(left)]
        left.discard(edge[0])
        found = []
        while edge:
            here = edge.pop()
            found.append(here)
            near = [k for k in left if np.linalg.norm(unit[k] - unit[here]) < chord]
            left.difference_update(near)
            edge += near
        groups.append(sorted(found))
    return groups


def field_name(ra_deg: float, dec_deg: float) -> str:
    """Name of a field by its position.

    Parameters
    ----------
    ra_deg, dec_deg
        Its position [deg].

    Examples
    --------
    >>> field_name(149.5917, -11.0642)
    'J0958-1103'
    """
    minutes_of_time, arcmin = int(ra_deg * 4.0) % 1440, int(abs(dec_deg) * 60.0)
    sign = "-" if dec_deg < 0 else "+"
    return f"J{minutes_of_time // 60:02d}{minutes_of_time % 60:02d}{sign}{arcmin // 60:02d}{arcmin % 60:02d}"
