"""Event lists of the pn: their keywords and extensions.

Source: XMM-Newton Data Files Handbook. Order: EVENTS, OFFSETS, then EXPOSUnn, BADPIXnn, DLIMAPnn, HKAUXnn,
STDGTInn per CCD, CALINDEX.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.event.parts import (
    Cards,
    CcdExposure,
    EventList,
    as_cards,
    dss_keywords,
    livetime_keywords,
    write_reference,
    write_sky_wcs,
)
from daxa.xmm.fits.file import hdu_bytes
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.fits.schema import make_table, table_bytes
from daxa.xmm.formats.eventlist import (
    BADPIX_COLUMNS,
    DLIMAP_COLUMNS,
    EVENT_COLUMNS,
    EXPOSURE_COLUMNS,
    HKAUX_COLUMNS,
    IDENTITY,
    OFFSETS_COLUMNS,
)
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.notes import add_fallbacks

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, PrimaryHDU


def write_pn_list(path: str | os.PathLike[str], content: EventList) -> None:
    """Write a list of the pn; see :func:`daxa.xmm.event.eventlist.write_event_list`.

    Parameters
    ----------
    path
        The file.
    content
        What is in it.
    """
    write_hdus(path, [_primary(content), _events(content)])
    schema = OFFSETS_COLUMNS["EPN"]
    blocks = [table_bytes(schema, content.offsets or {c.name: [] for c in schema}, "OFFSETS")]
    identity = {k: v for k, v in content.primary.items() if k in IDENTITY}
    for ccd, exposure in sorted(content.ccds.items()):
        blocks += _extensions(ccd, exposure, identity)
    if content.calindex is not None:
        blocks.append(hdu_bytes(content.calindex))
    with open(path, "ab") as file:
        file.writelines(blocks)


def _primary(content: EventList) -> PrimaryHDU:
    hdu = primary_hdu()
    hdu.header["LONGSTRN"] = ("OGIP 1.0", "long string convention may be used")
    hdu.header.update(content.primary)
    if content.calindex is not None:
        # What stood in for parts that calibration files lack, where readers of the list see it first.
        add_fallbacks(hdu.header, content.calindex.header["CALFB*"].values())
    if content.sky:
        write_reference(hdu.header, content.sky["ra_deg"], content.sky["dec_deg"], content.columns)
    return hdu


def _events(content: EventList) -> BinTableHDU:
    """The events, with times, live times and sky coordinates in the header."""
    events = make_table((*EVENT_COLUMNS["EPN", content.kind], *content.more), content.columns, "EVENTS")
    head = events.header
    head["HDUCLASS"] = "OGIP"
    head["HDUCLAS1"] = "EVENTS"
    head["HDUCLAS2"] = "ACCEPTED"
    primary = content.primary.items()
    cards: Cards = {k: v for k, v in primary if not k.startswith(("XPROC", "DATE_CRE"))}
    cards |= TIME_KEYWORDS
    gtis = [c.gti for c in content.ccds.values() if len(c.gti)]
    if gtis:
        start, stop = min(g.start[0] for g in gtis), max(g.stop[-1] for g in gtis)
        cards["TSTART"] = (start, "[s] start of the first good interval")
        cards["TSTOP"] = (stop, "[s] end of the last good interval")
        cards["TELAPSE"] = (stop - start, "[s] TSTOP - TSTART")
    cards |= livetime_keywords(content.ccds, content.prime_ccd, content.instrument)
    head.update(cards)
    if content.sky:
        write_sky_wcs(head, content.sky["ra_deg"], content.sky["dec_deg"], content.columns)
    for key, expression, comment in flag_keywords(content.instrument):
        head[key] = (expression, comment)
    for key, value in dss_keywords(content.ccds):
        head[key] = value
    return events


def _extensions(ccd: int, exposure: CcdExposure, identity: Cards) -> Iterator[bytes]:
    """Frames, bad pixels, discarded lines, counters and good times of a CCD."""
    frames = {
        "TIME": exposure.frame_time_s,
        "TIMEDEL": exposure.frame_length_s,
        "FRACEXP": exposure.fraction,
    }
    cards: Cards = {**identity, **as_cards(exposure.header), "CCDNR": (ccd, "")}
    timing: Cards = {"TIMEPIXR": (0.5, ""), **cards, **TIME_KEYWORDS}
    yield table_bytes(EXPOSURE_COLUMNS["EPN"], frames, f"EXPOSU{ccd:02d}", timing)
    yield table_bytes(BADPIX_COLUMNS, exposure.badpix, f"BADPIX{ccd:02d}", cards)
    if exposure.discarded is not None:
        yield table_bytes(DLIMAP_COLUMNS, exposure.discarded, f"DLIMAP{ccd:02d}", cards)
    if exposure.counters is not None:
        yield table_bytes(HKAUX_COLUMNS, exposure.counters, f"HKAUX{ccd:02d}", cards)
    yield exposure.gti.to_bytes(f"STDGTI{ccd:02d}", cards)
