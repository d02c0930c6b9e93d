"""The EPIC event list: its extensions, and writing it.

Source: XMM-Newton Data Files Handbook (EPIC imaging and timing mode event lists) and the column lists
of evlistcomb. Extension order of pn lists: EVENTS, OFFSETS, then EXPOSUnn, BADPIXnn, DLIMAPnn, HKAUXnn,
STDGTInn per CCD, CALINDEX; those of MOS are in :mod:`daxa.xmm.event.mos_list`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.event.mos_list import write_mos_list
from daxa.xmm.event.parts import CcdExposure, dss_keywords, livetime_keywords, plain_text, write_reference
from daxa.xmm.fits.file import hdu_bytes
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.fits.schema import Column, make_table, table_bytes
from daxa.xmm.formats.eventlist import (
    BADPIX_COLUMNS,
    DLIMAP_COLUMNS,
    EVENT_COLUMNS,
    EXPOSURE_COLUMNS,
    HKAUX_COLUMNS,
    IDENTITY,
    IMAGE_SHAPES,
    OFFSETS_COLUMNS,
    RAW_COLUMNS,
    SKY_MAX,
    UNIT_ARCSEC,
)
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.notes import add_fallbacks

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, Header

__all__ = [
    "BADPIX_COLUMNS", "DLIMAP_COLUMNS", "EVENT_COLUMNS", "EXPOSURE_COLUMNS", "HKAUX_COLUMNS", "IMAGE_SHAPES",
    "OFFSETS_COLUMNS", "RAW_COLUMNS", "SKY_MAX", "UNIT_ARCSEC", "CcdExposure", "dss_keywords",
    "livetime_keywords", "write_event_list", "write_reference", "write_sky_wcs",
]  # fmt: skip


def write_event_list(
    path: str | os.PathLike[str],
    *,
    primary: Mapping[str, Any],
    columns: Mapping[str, npt.ArrayLike],
    ccds: Mapping[int, CcdExposure],
    sky: Mapping[str, Any],
    offsets: Mapping[str, npt.ArrayLike] | None = None,
    calindex: BinTableHDU | None = None,
    prime_ccd: int = 1,
    more: tuple[Column, ...] = (),
    det_limits: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Write an event list with every extension that SAS tasks and other readers expect.

    Parameters
    ----------
    path
        File to write; the caller renames it when it is complete.
    primary
        Keywords of the observation and exposure (TELESCOP, INSTRUME, DATAMODE, SUBMODE, FILTER, OBS_ID,
        EXP_ID, EXPIDSTR, RA_PNT, ...); they are copied into EVENTS, and those of :data:`IDENTITY` into the
        CCD extensions.
    columns
        Event columns by name; those of :data:`EVENT_COLUMNS` for this instrument and data mode.
    ccds
        Per CCD number: frames, good times, bad pixels.
    sky
        ``ra_deg`` and ``dec_deg`` of the tangent point of X, Y; empty for timing modes.
    offsets
        Columns of the OFFSETS table; none if empty.
    calindex
        Index of the calibration files used.
    prime_ccd
        CCD that ONTIME and LIVETIME of the header refer to (1 for MOS, 4 for pn).
    more
        Further columns of ``columns`` to write.
    det_limits
        MOS only: least and greatest DETX and DETY of the chips.
    """
    instrument, data_mode = (plain_text(primary[key]) for key in ("INSTRUME", "DATAMODE"))
    if instrument.startswith("EMOS"):
        write_mos_list(
            path, primary=primary, columns=columns, ccds=ccds, sky=sky, offsets=offsets, calindex=calindex,
            prime_ccd=prime_ccd, more=more, det_limits=det_limits,
        )  # fmt: skip
        return
    schema = (*EVENT_COLUMNS["EPN", "IMAGING" if data_mode == "IMAGING" else "TIMING"], *more)
    common = {k: v for k, v in primary.items() if not k.startswith(("XPROC", "DATE_CRE"))}
    identity = {k: v for k, v in primary.items() if k in IDENTITY}
    hdus = [primary_hdu()]
    hdus[0].header["LONGSTRN"] = ("OGIP 1.0", "long string convention may be used")
    hdus[0].header.update(dict(primary))
    if calindex is not None:
        # What stood in for parts that calibration files lack, where readers of the list see it first.
        add_fallbacks(hdus[0].header, calindex.header["CALFB*"].values())

    events = make_table(schema, columns, "EVENTS")
    head = events.header
    head["HDUCLASS"] = "OGIP"
    head["HDUCLAS1"] = "EVENTS"
    head["HDUCLAS2"] = "ACCEPTED"
    head.update(common)
    for key, value in TIME_KEYWORDS.items():
        head[key] = value
    starts = [c.gti.start[0] for c in ccds.values() if len(c.gti)]
    stops = [c.gti.stop[-1] for c in ccds.values() if len(c.gti)]
    if starts:
        head["TSTART"] = (min(starts), "[s] start of the first good interval")
        head["TSTOP"] = (max(stops), "[s] end of the last good interval")
        head["TELAPSE"] = (max(stops) - min(starts), "[s] TSTOP - TSTART")
    for key, card in livetime_keywords(ccds, prime_ccd, instrument).items():
        head[key] = card
    if sky:
        write_sky_wcs(head, sky["ra_deg"], sky["dec_deg"], columns)
        write_reference(hdus[0].header, sky["ra_deg"], sky["dec_deg"], columns)
    for key, expression, comment in flag_keywords(instrument):
        head[key] = (expression, comment)
    for key, value in dss_keywords(ccds):
        head[key] = value
    hdus.append(events)

    write_hdus(path, hdus)

    schema_offsets = OFFSETS_COLUMNS["EPN"]
    blocks = [table_bytes(schema_offsets, offsets or {c.name: [] for c in schema_offsets}, "OFFSETS")]
    for ccd, info in sorted(ccds.items()):
        frames = {"TIME": info.frame_time_s, "TIMEDEL": info.frame_length_s, "FRACEXP": info.fraction}
        cards = {**identity, **info.header, "CCDNR": ccd}
        timing = {"TIMEPIXR": 0.5, **cards, **TIME_KEYWORDS}
        blocks.append(table_bytes(EXPOSURE_COLUMNS["EPN"], frames, f"EXPOSU{ccd:02d}", timing))
        blocks.append(table_bytes(BADPIX_COLUMNS, info.badpix, f"BADPIX{ccd:02d}", cards))
        if info.discarded is not None:
            blocks.append(table_bytes(DLIMAP_COLUMNS, info.discarded, f"DLIMAP{ccd:02d}", cards))
        if info.counters is not None:
            blocks.append(table_bytes(HKAUX_COLUMNS, info.counters, f"HKAUX{ccd:02d}", cards))
        blocks.append(info.gti.to_bytes(f"STDGTI{ccd:02d}", cards))
    if calindex is not None:
        blocks.append(hdu_bytes(calindex))
    with open(path, "ab") as file:
        file.writelines(blocks)


def write_sky_wcs(header: Header, ra_deg: float, dec_deg: float, columns: Mapping[str, Any]) -> None:
    """Write the column WCS of X and Y (and the REFX*, REFY* copies) into an EVENTS header.

    A tangent-plane projection about the given point, pixels of 0.05 arcsec, reference pixel 25921.

    Parameters
    ----------
    header
        The header; changed.
    ra_deg, dec_deg
        The point that the plane touches the sky in [deg].
    columns
        Columns of the list, each of shape (n,); X and Y are looked at for the range of values.
    """
    write_reference(header, ra_deg, dec_deg, columns)
    number = {header[f"TTYPE{i}"]: i for i in range(1, header["TFIELDS"] + 1)}
    for axis in "XY":
        i = number[axis]
        for key in ("CTYP", "CRPX", "CRVL", "CDLT", "CUNI"):
            header[f"T{key}{i}"] = header[f"REF{axis}{key}"]
