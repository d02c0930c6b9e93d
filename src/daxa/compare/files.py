"""Reading what is compared, and telling what kind of file it is."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from daxa.compare.events import EventData, compare_events
from daxa.compare.others import ImageData, compare_attitudes, compare_good_times, compare_images
from daxa.compare.verdict import Comparison, NotComparableError
from daxa.xmm.fits.hdus import unreadable

_EVENT_COLUMNS = ("TIME", "RAWX", "RAWY", "DETX", "DETY", "X", "Y", "PHA", "PI", "FLAG", "PATTERN", "CCDNR",
                  "M_LAMBDA", "XDSP_CORR")  # fmt: skip
#: Size of a raw pixel [arcsec] and length of a frame [s] where a list does not say how long its frames are.
_PIXEL = {"EPN": 4.1}
_FRAME = {"EPN": 0.0734, "RGS1": 4.6, "RGS2": 4.6}
#: Columns of RGS lists that tell what others tell of EPIC lists.
_OF_RGS = {"CHIPX": "RAWX", "CHIPY": "RAWY", "GRADE": "PATTERN"}
_ATTITUDE = ("TIME", "AHFRA", "AHFDEC", "AHFPA")
#: Keywords in which two files of the same exposure agree where both have them.
_IDENTITY = ("TELESCOP", "INSTRUME", "OBS_ID", "EXPIDSTR", "DATAMODE")


def compare_files(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Comparison:
    """Compare two event lists, images, exposure maps, good-time or attitude files.

    Parameters
    ----------
    a, b
        The files; differences are B minus A.

    Returns
    -------
    Comparison
        Lines with a verdict each, and findings in words.

    Raises
    ------
    NotComparableError
        A file cannot be read or is of no such kind, or they are not of the same exposure.
    """
    one, two = _read(Path(a)), _read(Path(b))
    if one[0] != two[0]:
        raise NotComparableError(f"{a} is an {one[0]} file, {b} an {two[0]} file: not comparable")
    for key in _IDENTITY:
        left, right = (str(w[1].get(key) or "").strip() for w in (one, two))
        if left and right and left != right:
            raise NotComparableError(f"not of the same exposure: {key} is {left} in {a}, {right} in {b}")
    compare: Any = {
        "event": compare_events,
        "image": compare_images,
        "interval": compare_good_times,
        "attitude": compare_attitudes,
    }[one[0]]
    return compare(one[2], two[2], str(a), str(b))


def _read(path: Path) -> tuple[str, Any, Any]:
    """Kind, header and content of a file."""
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as hdus:
                return _content(hdus, path)
    except FileNotFoundError:
        raise NotComparableError(f"{path}: no such file") from None
    except unreadable() as err:
        raise NotComparableError(f"{path}: cannot be read ({err})") from None


def _content(hdus: Any, path: Path) -> tuple[str, Any, Any]:
    names = [hdu.name for hdu in hdus]
    if "EVENTS" in names:
        return "event", hdus["EVENTS"].header, _events(hdus, path)
    if "ATTHK" in names:
        table = hdus["ATTHK"].data
        return "attitude", hdus[0].header, {n: np.asarray(table[n], float) for n in _ATTITUDE}
    for hdu in hdus:
        if getattr(hdu, "is_image", False) and hdu.header.get("NAXIS") == 2:
            return "image", hdu.header, _image(hdu)
    gtis = {
        hdu.name: np.stack([np.asarray(hdu.data[c], float) for c in ("START", "STOP")], axis=1)
        for hdu in hdus
        if {"START", "STOP"} <= set(getattr(getattr(hdu, "columns", None), "names", ()))
    }
    if not gtis:
        raise NotComparableError(f"{path}: no event list, image, good-time or attitude file")
    return "interval", hdus[0].header, gtis


def _events(hdus: Any, path: Path) -> EventData:
    table, header = hdus["EVENTS"].data, hdus["EVENTS"].header
    there = {n: n for n in hdus["EVENTS"].columns.names}
    camera = str(header.get("INSTRUME") or "").strip()
    if camera.startswith("RGS"):
        there |= {own: name for name, own in _OF_RGS.items() if name in there}
    if lacking := [n for n in ("TIME", "RAWX", "CCDNR") if n not in there]:
        raise NotComparableError(f"{path}[EVENTS]: no column {', '.join(lacking)}")
    columns = {n: np.asarray(table[there[n]]) for n in _EVENT_COLUMNS if n in there}
    columns["TIME"] = columns["TIME"].astype(np.float64)
    lengths = [
        float(np.median(hdu.data["TIMEDEL"]))
        for hdu in hdus
        if hdu.name.startswith("EXPOSU") and len(hdu.data) and "TIMEDEL" in hdu.columns.names
    ]
    frame = float(np.median(lengths)) if lengths else _FRAME.get(camera, 2.6)
    centre = None
    if "REFXCRVL" in header and "REFYCRVL" in header:
        centre = float(header["REFXCRVL"]), float(header["REFYCRVL"])
    good, live = (
        {n: float(header[f"{key}{n:02d}"]) for n in range(1, 13) if f"{key}{n:02d}" in header}
        for key in ("ONTIME", "LIVETI")
    )
    if not good:
        good = {
            int(hdu.name[6:]): float((hdu.data["STOP"] - hdu.data["START"]).sum())
            for hdu in hdus
            if hdu.name.startswith("STDGTI") and hdu.name[6:].isdigit()
        }
    return EventData(columns, centre, good, live, frame, _PIXEL.get(camera, 1.1))


def _image(hdu: Any) -> ImageData:
    from astropy.wcs import WCS

    pixels, header = np.asarray(hdu.data, np.float64), hdu.header
    wcs = WCS(header, naxis=2)
    rows, columns = np.indices(pixels.shape)
    middle = [(n - 1) / 2 for n in reversed(pixels.shape)]
    step = abs(float(wcs.proj_plane_pixel_scales()[0].to_value("arcsec"))) if wcs.has_celestial else 1.0
    centre: tuple[float, float] = (0.0, 0.0)
    axis = middle
    if wcs.has_celestial:
        ra, dec = wcs.wcs_pix2world([middle], 0)[0]
        centre = float(ra), float(dec)
        if "RA_PNT" in header and "DEC_PNT" in header:
            axis = wcs.wcs_world2pix([[header["RA_PNT"], header["DEC_PNT"]]], 0)[0]
    off = np.hypot(columns - axis[0], rows - axis[1]) * step / 60
    finite = pixels[np.isfinite(pixels)]
    counts = bool(np.all(finite == np.round(finite)))
    return ImageData(pixels, off, centre, step, counts)
