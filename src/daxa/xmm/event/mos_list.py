"""Event lists of MOS: their keywords and blocks in the order of real ones.

Source: lists of 2004 to 2006 (SAS 13.5 to 20), imaging mode. Lists of timing mode, of which none was at hand,
have the same order (assumed).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.event.gti import GTI_COLUMNS, TIME_KEYWORDS
from daxa.xmm.event.parts import CcdExposure, dss_keywords, livetime_keywords, plain_text, write_reference
from daxa.xmm.fits.file import block_bytes, hdu_bytes, primary_header
from daxa.xmm.fits.schema import Column, table
from daxa.xmm.formats.eventlist import (
    BADPIX_COLUMNS,
    EVENT_COLUMNS,
    EXPOSURE_COLUMNS,
    OFFSETS_COLUMNS,
    SKY_MAX,
    STEP_DEG,
)
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.notes import add_fallbacks

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU

Cards = Mapping[str, Any]

_TIME = "TIMEUNIT TIMESYS MJDREF TIMEREF TASSIGN TIMEZERO CLOCKAPP"
_OBSERVATION = (
    "LONGSTRN DATAMODE TELESCOP INSTRUME OBS_ID EXP_ID DATE-OBS DATE-END OBS_MODE REVOLUT OBJECT OBSERVER "
    "RA_OBJ DEC_OBJ RA_NOM DEC_NOM EXPIDSTR FILTER ATT_SRC ORB_RCNS TFIT_RPD TFIT_DEG TFIT_RMS TFIT_PFR "
    "TFIT_IGH SUBMODE"
)
_REFERENCE = " ".join(
    f"REF{axis}{key}"
    for axis in "XY"
    for key in ("CTYP", "CRPX", "CRVL", "CDLT", "LMIN", "LMAX", "DMIN", "DMAX", "CUNI")
)
_SKY = f"EQUINOX RADECSYS {_REFERENCE}"
_POINTING = "AVRG_PNT RA_PNT DEC_PNT PA_PNT"
_WINDOW = "WINDOWX0 WINDOWY0 WINDOWDX WINDOWDY"
_CCD = f"CCDID CCDNODE {_WINDOW} EDUID EDUMODE EDUTHR FRMTIME EMDHLOW EMDHUPP"
_FRAME_TIME = (
    "GATTI_ON TIMESYS MJDREF TIMEZERO TIMEUNIT CLOCKAPP TIMEREF TASSIGN TSTART TSTOP TELAPSE CHECKFRA "
    "CHECKNVA FLAGFIFO IN_FOV SETDEADT CRPAT1 CRPAT2 NUMGTI ONTIME LIVETIME"
)
#: CCD and redundant node (CCD + 10).
_CCDS = [f"{i:02d}" for i in range(1, 18)]
#: Keywords of each extension; each stands where it is first named.
ORDER = {
    "PRIMARY": f"CREATOR DATE {_OBSERVATION} {_SKY} {_POINTING} CONTENT",
    "EVENTS": (
        f"EXTNAME TSTART TSTOP DET_SYST {_TIME} "
        + " ".join(f"XMMEA_{bit}" for bit in [*range(32), "EM", "SM"])
        + f" TELAPSE {_OBSERVATION} {_SKY} {_POINTING} SLCTEXPR "
        + " ".join([*(f"ONTIME{i}" for i in _CCDS), "ONTIME", *(f"LIVETI{i}" for i in _CCDS), "LIVETIME"])
    ),
    "OFFSETS": f"EXTNAME TSTART TSTOP {_TIME} TELAPSE {_OBSERVATION} {_SKY} {_POINTING}",
    "EXPOSU": (
        f"EXTNAME EXTVER TELESCOP INSTRUME DATATYPE OBS_ID EXP_ID {_CCD} DATE-OBS DATE-END FILTER DATAMODE "
        f"GAIN_CCD EXPIDSTR CCDMODE {_FRAME_TIME} SETGATTI XMMEA_26 FLAGBADP XMMEA_21 SPLITDIA XMMEA_0 "
        "XMMEA_EM XMMEA_17 XMMEA_11 XMMEA_19 FLAGBADT SETCOORD XMMEA_25 DET_SYST RAND_XY SETTIMES RAND_TIM "
        "REJECTRO XMMEA_28 XMMEA_13 REJECTBA XMMEA_30 REJECTFL XMMEA_15 FLAGTRUN XMMEA_22 EQUINOX RADECSYS "
        f"REFPOINT ATTSRC {_REFERENCE} RA_PNT DEC_PNT PA_PNT XMMEA_1 XMMEA_9 XMMEA_10 XMMEA_8 XMMEA_6 "
        "XMMEA_5 XMMEA_16 FLAGEVEN XMMEA_29 BKGE1MIN BKGPERIP FILLCCDB NMAXFILL GETCCDBK MAKEPHA RAND_PI "
        f"CORRECTC CORRECTG XMMEA_SM {_OBSERVATION} {_POINTING}"
    ),
    "BADPIX": (
        f"EXTNAME TELESCOP INSTRUME CCDID EXP_ID OBS_ID CCDNODE {_WINDOW} {_OBSERVATION} {_SKY} {_POINTING}"
    ),
    "STDGTI": (
        f"EXTNAME EXTVER TELESCOP INSTRUME DATATYPE OBS_ID EXP_ID DATE-OBS DATE-END {_CCD} DATAMODE GAIN_CCD "
        f"EXPIDSTR FILTER CCDMODE {_FRAME_TIME} HDUCLASS HDUCLAS1 HDUCLAS2"
    ),
}  # fmt: skip
#: Keywords that stand behind those of real lists: in EVENTS, too, and in the primary header only.
_OWN_OF_EVENTS = ("BINODAL", "SRC_RAWX", "SRC_RAWY", "TIME_RES")
_OWN = (*_OWN_OF_EVENTS, "FILENAME", "ORIGIN", "VERIFIED")


def arranged(extension: str, cards: Cards) -> dict[str, Any]:
    """Those of the cards that an extension has, in their order.

    Parameters
    ----------
    extension
        One of the keys of `ORDER`.
    cards
        The cards, by keyword.
    """
    return {key: cards[key] for key in ORDER[extension].split() if key in cards}


def _reference(sky: Cards, columns: Cards) -> dict[str, Any]:
    cards: dict[str, Any] = {}
    if sky:
        write_reference(cards, sky["ra_deg"], sky["dec_deg"], columns)
    return cards


def _column_cards(
    schema: Sequence[Column], columns: Cards, sky: Cards, det_limits: Mapping[str, tuple[int, int]]
) -> Iterator[tuple[Any, ...]]:
    """Limits, extremes and coordinates of the columns, as real lists have them behind all else."""
    for i, column in enumerate(schema, start=1):
        name = column.name
        low, high = det_limits.get(name, (column.minimum, column.maximum))
        if column.null is not None:
            yield f"TNULL{i}", column.null, "null value"
        if low is None:
            continue
        measured = name not in ("PATTERN", "CCDNR")
        values = np.asarray(columns[name])
        if name in "XY":
            values = values[values > 0]
        some = measured and len(values) > 0
        yield f"TLMIN{i}", low, f"least legal {name}"
        if some:
            yield f"TDMIN{i}", int(values.min()), f"least {name}"
        yield f"TLMAX{i}", high, f"greatest legal {name}"
        if some:
            yield f"TDMAX{i}", int(values.max()), f"greatest {name}"
        if name in "XY" and sky:
            yield f"TCRPX{i}", SKY_MAX // 2 + 1, "reference pixel"
            yield f"TCTYP{i}", "RA---TAN" if name == "X" else "DEC--TAN", "projection"
            yield f"TCRVL{i}", sky["ra_deg" if name == "X" else "dec_deg"], "[deg] at the reference pixel"
            yield f"TCDLT{i}", -STEP_DEG if name == "X" else STEP_DEG, "[deg] pixel"
            yield f"TCUNI{i}", "deg", "unit"
        elif name in ("DETX", "DETY"):
            yield f"TCRPX{i}", 0, f"centre of {name}"
            yield f"TCTYP{i}", f"{name}_ANG", ""
            yield f"TCRVL{i}", 0.0, ""
            yield f"TCDLT{i}", STEP_DEG, "[deg] pixel"
            yield f"TCUNI{i}", "deg", "unit"


def _block(schema: Sequence[Column], data: Cards, name: str, cards: Cards, more: Any = ()) -> bytes:
    """A table with its cards, and others behind them."""
    bare = [Column(c.name, c.form, c.unit) for c in schema]
    made = table(bare, data, name)
    for key, value in cards.items():
        made.header[key] = value
    for card in more:
        made.header.append(card)
    return made.tobytes()


def span(ccds: Mapping[int, CcdExposure]) -> dict[str, Any]:
    """TSTART, TSTOP and TELAPSE of all CCDs together.

    Parameters
    ----------
    ccds
        CCD number -> its frames; those without frames do not count.

    Returns
    -------
    dict
        Keyword -> value and comment; empty without frames.
    """
    spans = [c.span_s for c in ccds.values() if len(c.frame_time_s)]
    if not spans:
        return {}
    start, stop = min(s[0] for s in spans), max(s[1] for s in spans)
    return {
        "TSTART": (start, "[s] start of the first frame"),
        "TSTOP": (stop, "[s] end of the last frame"),
        "TELAPSE": (stop - start, "[s] TSTOP - TSTART"),
    }


def ccd_cards(common: Cards, exposure: CcdExposure) -> dict[str, Any]:
    """All that the extensions of a CCD may say.

    Parameters
    ----------
    common
        Cards of all extensions.
    exposure
        Frames and good times of the CCD.
    """
    cards = {**common, **exposure.header, "EXTVER": (1, "version of the extension")}
    if "ATT_SRC" in cards:
        cards["ATTSRC"] = cards["ATT_SRC"]
    if len(exposure.frame_time_s):
        cards |= span({0: exposure})
    return cards | {
        "NUMGTI": (len(exposure.gti), "number of good intervals"),
        "ONTIME": (exposure.ontime_s, "[s] good time"),
        "LIVETIME": (exposure.mean_livetime_s, "[s] good time times the mean of FRACEXP"),
        "HDUCLASS": "OGIP",
        "HDUCLAS1": "GTI",
        "HDUCLAS2": "STANDARD",
    }


def write_mos_list(
    path: str | os.PathLike[str],
    *,
    primary: Cards,
    columns: Cards,
    ccds: Mapping[int, CcdExposure],
    sky: Cards,
    offsets: Cards | None,
    calindex: BinTableHDU | None,
    prime_ccd: int,
    more: tuple[Column, ...],
    det_limits: Mapping[str, tuple[int, int]] | None,
) -> None:
    """Write a list of MOS; see :func:`daxa.xmm.event.eventlist.write_event_list`.

    Parameters
    ----------
    path
        The file.
    primary
        Cards of the primary header.
    columns
        Column of EVENTS -> values, each of shape (n,).
    ccds
        CCD number -> its frames, good times and bad pixels.
    sky
        Cards that place X and Y on the sky.
    offsets
        Column of OFFSETS -> values; None for an empty table.
    calindex
        Index of the calibration files that were used.
    prime_ccd
        CCD whose times are those of the list.
    more
        Columns of EVENTS behind the usual ones.
    det_limits
        Lowest and highest value of DETX and DETY.
    """
    instrument, data_mode = (plain_text(primary[key]) for key in ("INSTRUME", "DATAMODE"))
    imaging = data_mode == "IMAGING"
    flags = {key: (text, comment) for key, text, comment in flag_keywords(instrument)}
    common = {
        "LONGSTRN": ("OGIP 1.0", "long string convention may be used"),
        **{k: v for k, v in primary.items() if not k.startswith("XPROC")},
        **TIME_KEYWORDS,
        "TIMEZERO": (0.0, "[s] offset of times"),
        **flags,
        **_reference(sky, columns),
        "CONTENT": f"EPIC MOS {data_mode} MODE EVENT LIST",
    }
    head = primary_header()
    rest = {
        k: v for k, v in primary.items() if k in _OWN or k.startswith(("XPROC", "LENOIS", "CALFB", "SYNTH"))
    }
    for key, value in {**arranged("PRIMARY", common), **rest}.items():
        head[key] = value
    if calindex is not None:
        # What stood in for parts that calibration files lack, where readers of the list see it first.
        add_fallbacks(head, calindex.header["CALFB*"].values())
    blocks = [block_bytes(head)]

    schema = (*EVENT_COLUMNS["EMOS", "IMAGING" if imaging else "TIMING"], *more)
    cards = arranged("EVENTS", {**common, **span(ccds), **livetime_keywords(ccds, prime_ccd, instrument)})
    cards |= {k: v for k, v in primary.items() if k in _OWN_OF_EVENTS or k.startswith("LENOIS")}
    behind = [*dss_keywords(ccds), *_column_cards(schema, columns, sky, det_limits or {})]
    blocks.append(_block(schema, columns, "EVENTS", cards, behind))

    offsets_schema = [c for c in OFFSETS_COLUMNS["EMOS"] if imaging or c.name != "OFFSETY"]
    offsets = offsets or {c.name: [] for c in offsets_schema}
    limits = [
        (f"TL{end}{i}", value, f"{end.lower()}imum of CCDNR")
        for i, c in enumerate(offsets_schema, start=1)
        if c.name == "CCDNR"
        for end, value in (("MIN", 1), ("MAX", 17))
    ]
    cards = arranged("OFFSETS", {**common, **span(ccds)})
    blocks.append(_block(offsets_schema, offsets, "OFFSETS", cards, limits))

    said = {ccd: ccd_cards(common, info) for ccd, info in sorted(ccds.items())}
    for ccd, own in said.items():
        info = ccds[ccd]
        frames = {"TIME": info.frame_time_s, "TIMEDEL": info.frame_length_s, "FRACEXP": info.fraction}
        cards = arranged("EXPOSU", {**own, **info.window_cards})
        blocks.append(_block(EXPOSURE_COLUMNS["EMOS"], frames, f"EXPOSU{ccd:02d}", cards))
        pixel_columns = [Column(c.name, c.form) for c in BADPIX_COLUMNS]
        blocks.append(_block(pixel_columns, info.badpix, f"BADPIX{ccd:02d}", arranged("BADPIX", own)))
    gti_columns = [Column(c.name, c.form, "SECONDS") for c in GTI_COLUMNS]
    for ccd, own in said.items():
        gti = ccds[ccd].gti
        cards = arranged("STDGTI", {**own, "DATATYPE": "GTI.EL"})
        times = {"START": gti.start, "STOP": gti.stop}
        blocks.append(_block(gti_columns, times, f"STDGTI{ccd:02d}", cards))
    if calindex is not None:
        blocks.append(hdu_bytes(calindex))
    with open(path, "wb") as file:
        file.writelines(blocks)
