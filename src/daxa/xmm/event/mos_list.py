"""Event lists of MOS: their keywords and blocks in the order of real ones.

Source: lists of 2004 to 2006 (SAS 13.5 to 20), imaging mode. Lists of timing mode, of which none was at hand,
have the same order (assumed).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI_COLUMNS, TIME_KEYWORDS
from daxa.xmm.event.parts import (
    Cards,
    CcdExposure,
    EventList,
    as_cards,
    dss_keywords,
    livetime_keywords,
    write_reference,
)
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


def arranged(extension: str, cards: Cards) -> Cards:
    """Those of the cards that an extension has, in their order.

    Parameters
    ----------
    extension
        One of the keys of `ORDER`.
    cards
        The cards, by keyword.
    """
    return {key: cards[key] for key in ORDER[extension].split() if key in cards}


def _column_cards(schema: Sequence[Column], content: EventList) -> Iterator[tuple[Any, ...]]:
    """Limits, extremes and coordinates of the columns, as real lists have them behind all else."""
    sky = content.sky
    for i, column in enumerate(schema, start=1):
        name = column.name
        low, high = content.det_limits.get(name, (column.minimum, column.maximum))
        if column.null is not None:
            yield f"TNULL{i}", column.null, "null value"
        if low is None:
            continue
        measured = name not in ("PATTERN", "CCDNR")
        values = np.asarray(content.columns[name])
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


def _block(
    schema: Sequence[Column],
    data: Mapping[str, npt.ArrayLike],
    name: str,
    cards: Cards,
    more: Iterable[tuple[Any, ...]] = (),
) -> bytes:
    """A table with its cards, and others behind them."""
    bare = [Column(c.name, c.form, c.unit) for c in schema]
    made = table(bare, data, name)
    for key, card in cards.items():
        made.header[key] = card
    for other in more:
        made.header.append(other)
    return made.tobytes()


def span(ccds: Mapping[int, CcdExposure]) -> Cards:
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


def ccd_cards(common: Cards, exposure: CcdExposure) -> Cards:
    """All that the extensions of a CCD may say.

    Parameters
    ----------
    common
        Cards of all extensions.
    exposure
        Frames and good times of the CCD.
    """
    cards = {**common, **as_cards(exposure.header), "EXTVER": (1, "version of the extension")}
    if "ATT_SRC" in cards:
        cards["ATTSRC"] = cards["ATT_SRC"]
    if len(exposure.frame_time_s):
        cards |= span({0: exposure})
    return cards | {
        "NUMGTI": (len(exposure.gti), "number of good intervals"),
        "ONTIME": (exposure.ontime_s, "[s] good time"),
        "LIVETIME": (exposure.mean_livetime_s, "[s] good time times the mean of FRACEXP"),
        "HDUCLASS": ("OGIP", ""),
        "HDUCLAS1": ("GTI", ""),
        "HDUCLAS2": ("STANDARD", ""),
    }


def write_mos_list(path: str | os.PathLike[str], content: EventList) -> None:
    """Write a list of MOS; see :func:`daxa.xmm.event.eventlist.write_event_list`.

    Parameters
    ----------
    path
        The file.
    content
        What is in it.
    """
    common = _common(content)
    blocks = [_primary(content, common), _events(content, common), _offsets(content, common)]
    blocks += _extensions(content, common)
    if content.calindex is not None:
        blocks.append(hdu_bytes(content.calindex))
    with open(path, "wb") as file:
        file.writelines(blocks)


def _common(content: EventList) -> Cards:
    """Cards that every extension may have."""
    cards: Cards = {
        "LONGSTRN": ("OGIP 1.0", "long string convention may be used"),
        **{k: v for k, v in content.primary.items() if not k.startswith("XPROC")},
        **TIME_KEYWORDS,
        "TIMEZERO": (0.0, "[s] offset of times"),
        **{key: (text, comment) for key, text, comment in flag_keywords(content.instrument)},
    }
    if content.sky:
        reference: dict[str, Any] = {}
        write_reference(reference, content.sky["ra_deg"], content.sky["dec_deg"], content.columns)
        cards |= as_cards(reference)
    return cards | {"CONTENT": (f"EPIC MOS {content.data_mode} MODE EVENT LIST", "")}


def _primary(content: EventList, common: Cards) -> bytes:
    head = primary_header()
    own = {
        k: v
        for k, v in content.primary.items()
        if k in _OWN or k.startswith(("XPROC", "LENOIS", "CALFB", "SYNTH"))
    }
    for key, card in {**arranged("PRIMARY", common), **own}.items():
        head[key] = card
    if content.calindex is not None:
        # What stood in for parts that calibration files lack, where readers of the list see it first.
        add_fallbacks(head, content.calindex.header["CALFB*"].values())
    return block_bytes(head)


def _events(content: EventList, common: Cards) -> bytes:
    """The events, with live times, good times and the limits of columns in the header."""
    ccds, primary = content.ccds, content.primary
    schema = (*EVENT_COLUMNS["EMOS", content.kind], *content.more)
    live = livetime_keywords(ccds, content.prime_ccd, content.instrument)
    cards = arranged("EVENTS", {**common, **span(ccds), **live})
    cards |= {k: v for k, v in primary.items() if k in _OWN_OF_EVENTS or k.startswith("LENOIS")}
    behind = [*dss_keywords(ccds), *_column_cards(schema, content)]
    return _block(schema, content.columns, "EVENTS", cards, behind)


def _offsets(content: EventList, common: Cards) -> bytes:
    """Lines with odd offsets; those of timing mode have no rows."""
    schema = [c for c in OFFSETS_COLUMNS["EMOS"] if content.imaging or c.name != "OFFSETY"]
    limits = [
        (f"TL{end}{i}", value, f"{end.lower()}imum of CCDNR")
        for i, c in enumerate(schema, start=1)
        if c.name == "CCDNR"
        for end, value in (("MIN", 1), ("MAX", 17))
    ]
    cards = arranged("OFFSETS", {**common, **span(content.ccds)})
    return _block(schema, content.offsets or {c.name: [] for c in schema}, "OFFSETS", cards, limits)


def _extensions(content: EventList, common: Cards) -> Iterator[bytes]:
    """Frames and bad pixels of each CCD, then the good times of each."""
    ccds = sorted(content.ccds.items())
    said = {ccd: ccd_cards(common, exposure) for ccd, exposure in ccds}
    bare = [Column(c.name, c.form) for c in BADPIX_COLUMNS]
    for ccd, info in ccds:
        frames = {"TIME": info.frame_time_s, "TIMEDEL": info.frame_length_s, "FRACEXP": info.fraction}
        cards = arranged("EXPOSU", said[ccd] | info.window_cards)
        yield _block(EXPOSURE_COLUMNS["EMOS"], frames, f"EXPOSU{ccd:02d}", cards)
        yield _block(bare, info.badpix, f"BADPIX{ccd:02d}", arranged("BADPIX", said[ccd]))
    in_seconds = [Column(c.name, c.form, "SECONDS") for c in GTI_COLUMNS]
    for ccd, info in ccds:
        cards = arranged("STDGTI", said[ccd] | {"DATATYPE": ("GTI.EL", "")})
        times = {"START": info.gti.start, "STOP": info.gti.stop}
        yield _block(in_seconds, times, f"STDGTI{ccd:02d}", cards)
