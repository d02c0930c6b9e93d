"""Sources as regions of ds9."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.response.psf import King

FloatArray = npt.NDArray[np.float64]
#: Least and largest radius of a point source [arcsec].
LIMITS_ARCSEC = (15.0, 60.0)
#: Radius of an extended source in units of its extent.
_EXTENTS = 3.0
#: A point source for the purpose of a radius, on axis at 1.5 keV.
_KING = King(6.0, 1.5)


def radii_arcsec(counts: npt.ArrayLike, background: npt.ArrayLike, extent: npt.ArrayLike) -> FloatArray:
    """Radius within which a source is brighter than the background.

    Parameters
    ----------
    counts
        Of each source.
    background
        Counts per square arcsec at its place.
    extent
        [arcsec]; 0 for a point.

    Returns
    -------
    array
        [arcsec]; 15 to 60 for points, at least three times the extent for others.

    Examples
    --------
    >>> radii_arcsec([10.0, 1e6], 0.01, 0.0).tolist()
    [15.0, 60.0]
    """
    number, ground, size = np.broadcast_arrays(*np.atleast_1d(counts, background, extent))
    distance = np.arange(*LIMITS_ARCSEC, 0.5)
    above = number[:, None] * _KING.brightness(distance**2) > np.maximum(ground, 1e-9)[:, None]
    point = np.where(above.all(axis=1), LIMITS_ARCSEC[1], distance[np.argmin(above, axis=1)])
    return np.maximum(point, _EXTENTS * size)


def ds9_lines(
    ra_deg: FloatArray,
    dec_deg: FloatArray,
    counts: FloatArray,
    background: FloatArray,
    extent_arcsec: FloatArray,
    *,
    labels: npt.NDArray[np.int64] | None = None,
    radius_arcsec: float | None = None,
) -> list[str]:
    """Lines of a region file: circles in RA and Dec, red for points, green for extended sources.

    Parameters
    ----------
    ra_deg, dec_deg
        Places [deg].
    counts, background, extent_arcsec
        As for :func:`radii_arcsec`.
    labels
        Numbers to show beside the circles.
    radius_arcsec
        One radius for all [arcsec].
    """
    radii = radii_arcsec(counts, background, extent_arcsec) if len(ra_deg) else np.array([])
    if radius_arcsec is not None:
        radii = np.full(len(ra_deg), radius_arcsec)
    lines = ["# Region file format: DS9 version 4.1", "fk5"]
    for k, (ra, dec, radius) in enumerate(zip(ra_deg, dec_deg, radii, strict=True)):
        colour = "green" if extent_arcsec[k] > 0 else "red"
        text = f" text={{{labels[k]}}}" if labels is not None else ""
        lines.append(f'circle({ra:.6f},{dec:.6f},{radius:.1f}") # color={colour}{text}')
    return lines
