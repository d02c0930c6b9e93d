"""Tables of RGS event lists, their flags, and how the files of the chain are read and written.

Sources: Data Files Handbook (RGS spectroscopy event list), manuals of rgsframes, rgsevents and evlistcomb,
a real run's log (columns and types of evlistcomb, numbers of flagged events).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from enum import IntFlag
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.tables import Column, column, columns, make_table
from daxa.xmm.task import TaskContext, TaskError, note_product

if TYPE_CHECKING:
    from astropy.io import fits

Arrays = dict[str, npt.NDArray[Any]]
IntArray = npt.NDArray[np.int64]

INSTRUMENTS = {"RGS1": "R1", "RGS2": "R2"}


class RgsFlag(IntFlag):
    """FLAG bits of RGS events and frames.

    Names are those of the manuals. No public text gives the numbers: IN_BAD_FRAME and ON_BADPIX are those of
    the EPIC cameras, the others are this engine's own. Every event list names them in its header (XMMEA_n).
    A public program rejects bits 18, 19, 21 and 27 of pipeline lists, an older version of it 17 instead of
    18; what 27 means is not known: this engine never sets it, and rgsfilter does not look at it.
    """

    ON_NODE_INTERFACE = 1 << 0
    NEXT_TO_BADPIX = 1 << 1
    ON_WINDOW_BORDER = 1 << 2
    ON_NODE0 = 1 << 3
    ON_NODE1 = 1 << 4
    ONBOARD_SER = 1 << 5
    IN_BAD_FRAME = 1 << 17
    BAD_SHAPE = 1 << 18
    BELOW_ACCEPTANCE = 1 << 19
    ON_BADPIX = 1 << 21


#: Flags that rgsfilter may reject, in the order of its default.
REJECTION_FLAGS = (
    "BAD_SHAPE", "ON_NODE_INTERFACE", "ON_BADPIX", "NEXT_TO_BADPIX", "ON_WINDOW_BORDER", "BELOW_ACCEPTANCE",
)  # fmt: skip

EXPOSURE = columns("""
FRAME 1J
NLOSTEVT 1I counts
ABORTFLG 1I
FLAG 1J
TIMEDEL 1E s
TIME 1D s
FRACEXP0 1E
FRACEXP1 1E
""")
#: Added by rgsangles.
EXPOSURE_DRIFT = columns("ASPCDSP 1E rad\nASPCXDSP 1E rad")
PIXELS = (
    *columns("""
FRAME 1J
TELX 1I pixel
TELY 1I pixel
RAWX 1I pixel
RAWY 1I pixel
ENERGY 1I chan
CCDNODE 1B
"""),
    Column("SHAPE", "1B", null=255),
    Column("GRADE", "1B"),
)
#: Added by rgsenergy and rgsevents.
PIXELS_PI = columns("PI 1E eV")
PIXELS_EVENT = (Column("EVENT", "1J", null=0),)
BADPIX = columns("CHIPX 1I pixel\nCHIPY 1I pixel\nYEXTENT 1I pixel\nTYPE 1I\nBADFLAG 1I")
REJPIX = columns("FRAME 1J\nFLAG 1J\nCHIPX 1I pixel\nCHIPY 1I pixel")
EVENTS = (
    *columns("""
TIME 1D s
FLAG 1J
BETA 1E rad
XDSP 1E rad
CHIPX 1I pixel
CHIPY 1I pixel
PHA 1I chan
"""),
    Column("SHAPE", "1B", null=255),
    Column("GRADE", "1B"),
    Column("PI", "1I", "eV", 0, 32767),
)
EVENTS_FRAME = columns("FRAME 1J")
EVENTS_CCD = (Column("CCDNR", "1B", "", 1, 9),)
EVENTS_ANGLES = columns("""
BETA_CORR 1E rad
XDSP_CORR 1E rad
M_LAMBDA 1E Angstrom
""")


def flag_keywords() -> dict[str, tuple[str, str]]:
    """XMMEA keywords of an event list: what the bits are called."""
    return {f"XMMEA_{f.bit_length() - 1}": (f"(FLAG & {f.value:#x}) != 0", f.name or "") for f in RgsFlag} | {
        "FLAGBITS": ("ASSUMED", "the numbers of most flag bits are not public")
    }


def read_set(ctx: TaskContext, name: str) -> fits.HDUList:
    """A data set, whole in memory.

    Raises
    ------
    TaskError
        ``noSuchSet``: it cannot be read.
    """
    from astropy.io import fits

    try:
        # Extensions keep the bytes that they were read from: what is not touched is written as it was.
        hdus = fits.open(io.BytesIO(ctx.path(name).read_bytes()), lazy_load_hdus=False)
    except OSError as error:
        raise TaskError("noSuchSet", f"{name}: cannot be read: {error}") from error
    note_product(hdus[0].header, name, is_list="EVENTS" in hdus)
    return hdus


def write_set(ctx: TaskContext, name: str, hdus: Iterable[Any]) -> None:
    """Write a data set; the task is added to its history (XPROCn)."""
    from astropy.io import fits

    extensions = fits.HDUList(list(hdus))
    primary = extensions[0].header
    number = sum(1 for key in primary if key.startswith("XPROC"))
    primary["LONGSTRN"] = ("OGIP 1.0", "long string convention may be used")
    ctx.provenance(primary, number)
    primary["FILENAME"] = Path(name).name
    with ctx.output(name) as part:
        extensions.writeto(part, output_verify="ignore")


def table(hdus: fits.HDUList, extname: str, schema: Iterable[Column], where: str) -> Arrays:
    """Columns of a table in native byte order.

    Raises
    ------
    TaskError
        ``missingTable``, ``missingColumn``.
    """
    if extname not in hdus:
        have = ", ".join(h.name for h in hdus[1:])
        raise TaskError("missingTable", f"{where}: no table {extname}; it has {have}")
    hdu = hdus[extname]
    try:
        return {c.name: column(hdu, c.name, where) for c in schema}
    except KeyError as error:
        raise TaskError("missingColumn", str(error.args[0])) from error


def keyword(hdus: fits.HDUList, name: str, where: str) -> Any:
    """A keyword of the primary header.

    Raises
    ------
    TaskError
        ``missingKeyword``.
    """
    if name not in hdus[0].header:
        raise TaskError("missingKeyword", f"{where}: no keyword {name}")
    return hdus[0].header[name]


def replace_table(
    hdus: fits.HDUList,
    schema: Iterable[Column],
    data: Mapping[str, Any],
    extname: str,
    header: Mapping[str, Any] | None = None,
) -> None:
    """Put a table in the place of the one of the same name, or at the end; its other keywords stay."""
    schema = list(schema)
    if extname not in hdus:
        hdus.append(make_table(schema, data, extname, header))
        return
    old = hdus[extname].header
    structural = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME")
    columnwise: tuple[str, ...] = (
        "TTYPE",
        "TFORM",
        "TUNIT",
        "TNULL",
        "TLMIN",
        "TLMAX",
        "TDIM",
        "TCRPX",
        "TCRVL",
        "TCDLT",
    )
    columnwise += ("TCUNI", "TSCAL", "TZERO", "TDISP")
    kept = {
        card.keyword: (card.value, card.comment)
        for card in old.cards
        if card.keyword
        and not card.keyword.startswith(structural)
        and not card.keyword.startswith(columnwise)
    }
    hdus[extname] = make_table(schema, data, extname, {**kept, **(header or {})})


def frame_gti(time_s: npt.ArrayLike, timedel_s: npt.ArrayLike, slack_s: float = 2e-3) -> GTI:
    """Intervals covered by frames; those that follow each other within ``slack_s`` are one interval."""
    time, half = np.asarray(time_s, float), np.asarray(timedel_s, float) / 2
    order = np.argsort(time, kind="stable")
    start, stop = (time - half)[order], (time + half)[order]
    near = np.abs(start[1:] - stop[:-1]) < slack_s
    stop[:-1][near] = start[1:][near]
    return GTI(start, stop)


def time_header(hdus: fits.HDUList) -> dict[str, Any]:
    """Keywords of the observation and of time that each table repeats."""
    primary = hdus[0].header
    names = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "DATE-OBS", "DATE-END")
    return {n: primary[n] for n in names if n in primary} | TIME_KEYWORDS
