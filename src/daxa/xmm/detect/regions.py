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


def radii_arcsec(
    counts: npt.ArrayLike,
    background: npt.ArrayLike,
    extent: npt.ArrayLike,
    share: npt.ArrayLike,
    within_arcsec: npt.ArrayLike,
) -> FloatArray:
    """Radius within which a source is brighter than the background.

    Parameters
    ----------
    counts
        Of each source.
    background
        Counts per square arcsec at its place.
    extent
        [arcsec]; 0 for a point.
    share, within_arcsec
        Share of a point source that lies within a radius [arcsec], which tells its profile; those of which
        it is not known get the least radius.

    Returns
    -------
    array
        [arcsec]; 15 to 60 for points, at least three times the extent for others.

    Examples
    --------
    >>> radii_arcsec([10.0, 1e6], 0.01, 0.0, 0.64, 15.0).tolist()
    [15.0, 60.0]
    """
    rows = np.broadcast_arrays(*np.atleast_1d(counts, background, extent, share, within_arcsec))
    distance = np.arange(*LIMITS_ARCSEC, 0.5)
    radii = np.full(len(rows[0]), LIMITS_ARCSEC[0])
    for k, (number, ground, _, part, within) in enumerate(zip(*rows, strict=True)):
        if 0 < part < 1 and within > 0:
            above = number * King.with_share(part, within).brightness(distance**2) > max(ground, 1e-9)
            radii[k] = LIMITS_ARCSEC[1] if above.all() else distance[np.argmin(above)]
    return np.maximum(radii, _EXTENTS * rows[2])


def ds9_lines(
    ra_deg: FloatArray,
    dec_deg: FloatArray,
    radii: FloatArray,
    extended: npt.NDArray[np.bool_],
    *,
    labels: npt.NDArray[np.int64] | None = None,
) -> list[str]:
    """Lines of a region file: circles in RA and Dec, red for points, green for extended sources.

    Parameters
    ----------
    ra_deg, dec_deg
        Places [deg].
    radii
        Their radii [arcsec].
    extended
        Which of them are extended.
    labels
        Numbers to show beside the circles.
    """
    lines = ["# Region file format: DS9 version 4.1", "fk5"]
    for k, (ra, dec, radius) in enumerate(zip(ra_deg, dec_deg, radii, strict=True)):
        colour = "green" if extended[k] else "red"
        text = f" text={{{labels[k]}}}" if labels is not None else ""
        lines.append(f'circle({ra:.6f},{dec:.6f},{radius:.1f}") # color={colour}{text}')
    return lines
