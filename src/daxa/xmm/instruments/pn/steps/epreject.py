"""epreject: dark levels and detector noise of a raw event list of the pn.

Source: manual of epreject. The algorithms stand in :mod:`daxa.xmm.instruments.pn.reject`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.pn_dark import brightness_shifts, largest_shift, pointed_map, rows_of_ccd
from daxa.xmm.errors import TaskError, UnknownLayout
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.options import Epreject
from daxa.xmm.instruments.pn.rawlist import RawList
from daxa.xmm.instruments.pn.reject import (
    band_image,
    brightness_shift,
    correction_area,
    loading_shift,
    noise_probability,
    residual_offsets,
)

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf

_CLOSED_MAPS = {"FastTiming": "TICLOSEDODI", "FastBurst": "BUCLOSEDODI"}
_SOFT = (30, 40)
#: Channel of the first column of noise maps: the lowest amplitude that is telemetered.
_FIRST_CHANNEL = 20
Map = npt.NDArray[np.float64]


def read_odilist(path: Path) -> dict[int, Path]:
    """Offset maps by CCD from a list of lines "CCD path".

    Raises
    ------
    TaskError
        ``odilist``: no such file, or a line of another form.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise TaskError("odilist", f"{path}: {error.strerror}") from error
    maps = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\d{1,2})\s+(\S.*?)\s*", line)
        if not match or not 1 <= int(match[1]) <= 12:
            raise TaskError("odilist", f"{path}, line {number}: expected a CCD number and a path: {line!r}")
        maps[int(match[1])] = path.parent / Path(match[2]).expanduser()
    return maps


# --- offset maps -------------------------------------------------------------------------------------


def offset_map_file(odf: Odf, ccd: int, start_s: float) -> OdfFile | None:
    """The offset map that was in use: the last one made before the exposure, else the first one after it.

    Parameters
    ----------
    start_s
        Mission time of the start of the exposure.
    """
    from daxa.xmm.odf.times import utc_to_tt

    dated = []
    for file in odf.find("PN", "ODI", ccd=ccd):
        try:
            texts = [h[k] for h in file.headers() for k in ("DATE-OBS", "DATE-END") if k in h]
            dated.append((float(utc_to_tt(str(texts[0]))), file))
        except (IndexError, ValueError, TaskError):
            dated.append((-np.inf, file))
    before = [entry for entry in dated if entry[0] <= start_s]
    if before:
        return max(before, key=lambda entry: entry[0])[1]
    return min(dated, key=lambda entry: entry[0])[1] if dated else None


def as_map(image: npt.ArrayLike, where: str) -> Map:
    """An image as a map with the axes (column, row).

    Raises
    ------
    TaskError
        ``illegalODF``: it has not the size of a CCD.
    """
    values = np.asarray(image, float)
    if values.shape == PN_SHAPE[::-1]:
        return values.T
    if values.shape == PN_SHAPE:
        return values
    raise TaskError("illegalODF", f"{where}: an image of {values.shape[::-1]} pixels, expected 64 x 200")


def _offset_map(raw: RawList, odf: Odf | None, start_s: float, options: Epreject) -> tuple[Map, str] | None:
    if raw.ccd in options.maps:
        path = options.maps[raw.ccd]
        try:
            with open_hdus(path) as hdus:
                image = next(h.data for h in hdus if h.is_image and h.data is not None)
        except (OSError, StopIteration) as error:
            raise TaskError("odilist", f"{path}: no offset map can be read: {error}") from error
        return as_map(image, path.name), path.name
    file = offset_map_file(odf, raw.ccd, start_s) if odf is not None and not options.maps else None
    return None if file is None else (as_map(file.image(), file.path.name), file.path.name)


def _columns(text: str) -> npt.NDArray[np.bool_]:
    """Columns (64) of a range such as ``1:64``; all of them for none."""
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    chosen = np.zeros(PN_SHAPE[0], bool)
    chosen[(numbers[0] if numbers else 1) - 1 : numbers[-1] if numbers else PN_SHAPE[0]] = True
    return chosen


# --- the task ----------------------------------------------------------------------------------------


def reject(
    raw: RawList,
    cal: Calibration,
    odf: Odf | None,
    submode: str,
    start_s: float,
    options: Epreject,
    random: Callable[[], np.random.Generator],
    warn: Callable[[str, str], None],
    info: Callable[[str], None],
) -> RawList:
    """Correct the amplitudes of a raw list for wrong dark levels, and flag noise.

    Parameters
    ----------
    raw
        The raw events.
    cal, odf
        Where calibration and offset maps are; without an ODF only those of ``odilist`` are used.
    submode, start_s
        SUBMODE and start [s] of the exposure.
    options
        Switches.
    random
        Gives the generator for the choice of noise events.
    warn, info
        Where warnings and lines of the log go.

    Returns
    -------
    RawList
        With other amplitudes and flags. Events that fall below the telemetry threshold stay.
    """
    if submode in FAST_MODES:
        return _loading(raw, cal, odf, submode, start_s, options, warn, info)
    if options.withxrlcorrection:
        warn("XRLcorrFastModeOnly", f"{submode} has no X-ray loading correction in epreject")
    constituent = cal.constituent("EPN", "REJECT")
    raw = _dark_levels(raw, constituent, odf, submode, start_s, options, warn, info)
    if options.withnoisehandling:
        raw = _noise(raw, constituent, submode, options, random, warn, info)
    return raw


def _dark_levels(
    raw: RawList,
    constituent: Constituent,
    odf: Odf | None,
    submode: str,
    start_s: float,
    options: Epreject,
    warn: Callable[[str, str], None],
    info: Callable[[str], None],
) -> RawList:
    found = _offset_map(raw, odf, start_s, options) if options.withoffsetmap or options.maps else None
    area = correction_area(band_image(raw.rawx, raw.rawy, raw.pha, *_SOFT), list(raw.offsets))
    if found is None:
        return _by_brightness(raw, constituent, submode, area, options.sigma, warn, info)
    values, name = found
    pointed = pointed_map(constituent, "MASTER_OFFSET_TABLE_INDEX", submode, raw.ccd)
    master = None if pointed is None else as_map(*pointed)
    limit = largest_shift(constituent, submode, raw.ccd)
    shift = np.where(area, residual_offsets(values, master, limit), 0.0)
    return _shifted(raw, shift[raw.rawx - 1, raw.rawy - 1], f"offset map {name}", info)


def _by_brightness(
    raw: RawList,
    constituent: Constituent,
    submode: str,
    area: npt.NDArray[np.bool_],
    sigma: float,
    warn: Callable[[str, str], None],
    info: Callable[[str], None],
) -> RawList:
    """Correct dark levels by the brightness of pixels at the lowest amplitude; there is no offset map."""
    known = brightness_shifts(constituent, submode, raw.ccd)
    if known is None:
        warn("NoOffsetMap", f"CCD {raw.ccd}: no offset map and no median map; amplitudes stay as they are")
        return raw
    median, name, shifts = known
    warn("NoOffsetMap", f"CCD {raw.ccd}: no offset map; dark levels are judged by the brightness at 20 adu")
    image = band_image(raw.rawx, raw.rawy, raw.pha, _FIRST_CHANNEL, _FIRST_CHANNEL)
    shift = brightness_shift(image, as_map(median, name), area, shifts.of, sigma)
    return _shifted(raw, shift[raw.rawx - 1, raw.rawy - 1], f"brightness over {name}", info)


def _shifted(raw: RawList, shift: Map, name: str, info: Callable[[str], None]) -> RawList:
    pha = np.rint(raw.pha + shift).astype(np.int32)
    below = int(np.count_nonzero((pha < _FIRST_CHANNEL) & (raw.pha >= _FIRST_CHANNEL)))
    shifted = int(np.count_nonzero(pha != raw.pha))
    info(
        f" CCD {raw.ccd}: {name}: {shifted} of {len(pha)} events shifted, {below} of them below "
        f"{_FIRST_CHANNEL} adu"
    )
    return replace(raw, pha=pha, off_cor=shift.astype(np.float32))


def _noise(
    raw: RawList,
    constituent: Constituent,
    submode: str,
    options: Epreject,
    random: Callable[[], np.random.Generator],
    warn: Callable[[str, str], None],
    info: Callable[[str], None],
) -> RawList:
    if len(options.noiseparameters) != 1 + 12:
        raise TaskError(
            "noiseparameters", "noiseparameters: expected a limit and a factor for each of 12 CCDs"
        )
    table = constituent.table("NOISE_MAP_INDEX")
    rows = rows_of_ccd(table, submode, raw.ccd)
    if not len(rows):
        warn("notCalibrated", f"{constituent.path.name}: no noise map for CCD {raw.ccd} in {submode}")
        return raw
    cutoff, factor = options.noiseparameters[0], options.noiseparameters[raw.ccd]
    chance = np.zeros(len(raw.pha))
    for row in rows:
        name = str(table["POINTER"][row]).strip()
        noise = constituent.image(name).astype(float)
        where = f"{constituent.path.name}[{name}]"
        if noise.ndim != 2 or noise.shape[0] != PN_SHAPE[1] or not table["EXPOSURE"][row] > 0:
            raise UnknownLayout(f"{where}: expected an image of channels x 200 rows with a positive EXPOSURE")
        noise *= raw.gti.total / float(table["EXPOSURE"][row])
        channel = raw.pha - _FIRST_CHANNEL
        mine = _columns(str(table["RAWX"][row]))[raw.rawx - 1]
        mine &= (channel >= 0) & (channel < noise.shape[1])
        cell = (raw.rawy[mine].astype(np.int64) - 1) * noise.shape[1] + channel[mine]
        spectra = np.bincount(cell, minlength=noise.size).reshape(noise.shape)
        chance[mine] = noise_probability(spectra, noise, cutoff, factor).ravel()[cell]
    # One number per event, so that the choice does not depend on the others'.
    flagged = random().random(len(chance)) < chance
    info(f" CCD {raw.ccd}: {np.count_nonzero(flagged)} events flagged as detector noise")
    return replace(raw, flag=raw.flag | np.where(flagged, int(PnFlag.DETECTOR_NOISE), 0).astype(np.int32))


def _loading(
    raw: RawList,
    cal: Calibration,
    odf: Odf | None,
    submode: str,
    start_s: float,
    options: Epreject,
    warn: Callable[[str, str], None],
    info: Callable[[str], None],
) -> RawList:
    if not options.withxrlcorrection:
        return raw
    found = _offset_map(raw, odf, start_s, options)
    if found is None:
        warn("NoOffsetMap", f"CCD {raw.ccd}: no offset map, no correction for X-ray loading")
        return raw
    constituent = cal.constituent("EPN", _CLOSED_MAPS[submode])
    closed = as_map(constituent.image("MASTER_CLOSED_OFFSET"), constituent.path.name)
    coefficient = constituent.keyword("XRL_COEF", "MASTER_CLOSED_OFFSET")
    if coefficient is None:
        return raw
    shift = loading_shift(found[0], closed, float(coefficient))
    info(f" CCD {raw.ccd}: X-ray loading: {shift.min():.2f} to {shift.max():.2f} adu are added back")
    return _shifted(raw, shift[raw.rawx - 1], f"offset map {found[1]}", info)
