"""Source regions of observations: DS9 files in sky coordinates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from daxa.ds9 import is_physical, read_regions
from daxa.writing import write_text


def read_wcs(source: Any) -> Any:
    """The celestial WCS of an image file, a WCS object, or anything with a ``radec_wcs``.

    Parameters
    ----------
    source
        A WCS, or an image.

    Raises
    ------
    TypeError
        It is none of these.
    ValueError
        It has no coordinates on the sky.
    """
    from astropy.wcs import WCS

    if isinstance(source, WCS):
        found = source
    elif hasattr(source, "radec_wcs"):
        found = source.radec_wcs
    elif isinstance(source, (str, os.PathLike)):
        from astropy.io import fits

        if not Path(source).is_file():
            raise FileNotFoundError(f"wcs_src: no such file {source}")
        found = WCS(fits.getheader(source))
    else:
        raise TypeError(f"wcs_src: expected a WCS, an image object or a path, got {type(source).__name__}")
    if not found.has_celestial:
        raise ValueError(f"wcs_src: {source} has no coordinates on the sky in its primary header")
    return found


def sky_regions(regions: Any, wcs_src: Any = None) -> list[Any]:
    """Regions as a list of sky regions.

    Parameters
    ----------
    regions
        Path of a DS9 file, its text, or a list of ``regions`` objects.
    wcs_src
        Where pixel regions get their coordinates from.

    Raises
    ------
    FileNotFoundError, TypeError
        The regions are neither.
    ValueError
        Pixel regions without a WCS, or what is no region.
    """
    from regions import PixelRegion

    try:
        found = read_regions(regions)
    except (OSError, TypeError, ValueError) as error:
        raise type(error)(f"source_regions: {error}") from None
    if any(is_physical(r) for r in found):
        raise ValueError(
            "source_regions: physical coordinates, which ds9 also means where none are named; save the "
            "regions in fk5"
        )
    if any(isinstance(r, PixelRegion) for r in found):
        if wcs_src is None:
            raise ValueError("source_regions: pixel regions need a WCS, given as 'wcs_src'")
        wcs = read_wcs(wcs_src)
        found = [r.to_sky(wcs) if isinstance(r, PixelRegion) else r for r in found]
    return found


def write_regions(regions: list[Any], path: Path) -> None:
    """Write a DS9 file, whole or not at all.

    Parameters
    ----------
    regions
        Sky regions.
    path
        The file.
    """
    from regions import Regions

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, Regions(regions).serialize(format="ds9", precision=8))
