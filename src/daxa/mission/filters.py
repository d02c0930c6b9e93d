"""Selections on a catalogue of observations, as pure functions on arrays.

Angles are in degrees, times are ``numpy.datetime64``. Positions are compared as unit vectors in a
k-d tree, so that poles and right ascension 0 are nothing special and 17,000 observations against
100,000 positions take a fraction of a second.
"""

from __future__ import annotations

import numpy as np


def unit_vectors(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Directions as unit vectors.

    Parameters
    ----------
    ra_deg, dec_deg : array of shape (n,)

    Returns
    -------
    array of shape (n, 3)
    """
    ra, dec = np.radians(np.atleast_1d(ra_deg)), np.radians(np.atleast_1d(dec_deg))
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _chord(radius_deg: np.ndarray | float) -> np.ndarray:
    """Length of the chord that spans an angle; angles above 180 degrees span everything."""
    return 2 * np.sin(np.radians(np.clip(radius_deg, 0, 180)) / 2)


def near_positions(
    ra_deg: np.ndarray,
    dec_deg: np.ndarray,
    pos_ra_deg: np.ndarray,
    pos_dec_deg: np.ndarray,
    radius_deg: np.ndarray | float,
) -> np.ndarray:
    """Which observations lie within the radius of at least one position.

    Parameters
    ----------
    ra_deg, dec_deg : array of shape (n,)
        Pointings of the observations.
    pos_ra_deg, pos_dec_deg : array of shape (m,)
    radius_deg : float or array of shape (m,)
        Search radius, one for all or one per position; the edge belongs to the circle.

    Returns
    -------
    bool array of shape (n,)
    """
    from scipy.spatial import cKDTree

    observations = unit_vectors(ra_deg, dec_deg)
    positions = unit_vectors(pos_ra_deg, pos_dec_deg)
    radii = np.broadcast_to(np.asarray(radius_deg, float), (len(positions),))
    near = np.zeros(len(observations), bool)
    if not len(observations) or not len(positions):
        return near
    sizes = np.unique(radii)
    if len(sizes) <= 16:
        for size in sizes:
            distance, _ = cKDTree(positions[radii == size]).query(observations)
            near |= distance <= _chord(size)
        return near
    obs, _ = match_pairs(ra_deg, dec_deg, pos_ra_deg, pos_dec_deg, radii)
    near[obs] = True
    return near


def match_pairs(
    ra_deg: np.ndarray,
    dec_deg: np.ndarray,
    pos_ra_deg: np.ndarray,
    pos_dec_deg: np.ndarray,
    radius_deg: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of an observation and a position within the radius.

    Parameters
    ----------
    ra_deg, dec_deg, pos_ra_deg, pos_dec_deg, radius_deg
        As in `near_positions`.

    Returns
    -------
    obs_index, pos_index : integer arrays of equal length
        Sorted by position, then by observation.
    """
    from scipy.spatial import cKDTree

    positions = unit_vectors(pos_ra_deg, pos_dec_deg)
    if not len(np.atleast_1d(ra_deg)) or not len(positions):
        return np.zeros(0, int), np.zeros(0, int)
    radii = _chord(np.broadcast_to(np.asarray(radius_deg, float), (len(positions),)))
    tree = cKDTree(unit_vectors(ra_deg, dec_deg))
    neighbours = tree.query_ball_point(positions, radii, return_sorted=True)
    counts = np.fromiter((len(f) for f in neighbours), int, len(neighbours))
    obs = np.fromiter((i for f in neighbours for i in f), int, counts.sum())
    return obs, np.repeat(np.arange(len(positions)), counts)


def in_rectangle(
    ra_deg: np.ndarray, dec_deg: np.ndarray, ra_from: float, ra_to: float, dec_from: float, dec_to: float
) -> np.ndarray:
    """Which observations lie in a box of right ascension and declination, edges included.

    The box runs eastward from `ra_from` to `ra_to`, through right ascension 0 if `ra_from` is the larger.

    Parameters
    ----------
    ra_deg, dec_deg : array of shape (n,)
        Pointings of the observations.
    ra_from, ra_to, dec_from, dec_to : float
        Limits in degrees.

    Returns
    -------
    bool array

    Examples
    --------
    >>> in_rectangle(np.array([359.0, 1.0, 90.0]), np.zeros(3), 350.0, 10.0, -1.0, 1.0).tolist()
    [True, True, False]
    """
    ra, dec = np.mod(ra_deg, 360), np.asarray(dec_deg)
    if ra_to - ra_from >= 360:
        inside = np.ones(ra.shape, bool)
    else:
        low, high = ra_from % 360, ra_to % 360
        # 360 as the upper edge means the full turn, not 0
        if high == 0 and ra_to > ra_from:
            high = 360.0
        inside = (ra >= low) & (ra <= high) if low <= high else (ra >= low) | (ra <= high)
    return inside & (dec >= dec_from) & (dec <= dec_to)


def in_time(
    start: np.ndarray,
    end: np.ndarray,
    window_start: np.ndarray | np.datetime64,
    window_end: np.ndarray | np.datetime64,
    over_run: bool,
) -> np.ndarray:
    """Which observations overlap a window (`over_run`) or lie wholly inside it.

    Unknown times (NaT) are never selected.

    Parameters
    ----------
    start, end : array of datetime64, shape (n,)
        When observations begin and end.
    window_start, window_end : datetime64 or array of shape (n,)
        The window, or one for each observation.
    over_run : bool
        Whether an overlap is enough.

    Returns
    -------
    bool array
    """
    if over_run:
        return (start <= window_end) & (end >= window_start)
    return (start >= window_start) & (end <= window_end)
