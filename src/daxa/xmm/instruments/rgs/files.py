"""Tables of RGS event lists, their flags, and how the files of the chain are read and written.

Sources: Data Files Handbook (RGS spectroscopy event list), manuals of rgsframes, rgsevents and evlistcomb,
a real run's log (columns and types of evlistcomb, numbers of flagged events).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.fits.hdus import hdu_list, open_hdus
from daxa.xmm.fits.header import other_cards
from daxa.xmm.fits.schema import Column, column, make_table
from daxa.xmm.formats.rgs import Arrays
from daxa.xmm.notes import note_product
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList


def read_set(ctx: TaskContext, name: str) -> HDUList:
    """A data set, whole in memory.

    Raises
    ------
    TaskError
        ``noSuchSet``: it cannot be read.
    """
    try:
        # Extensions keep the bytes that they were read from: what is not touched is written as it was.
        hdus = open_hdus(io.BytesIO(ctx.path(name).read_bytes()), lazy_load_hdus=False)
    except OSError as error:
        raise TaskError("noSuchSet", f"{name}: cannot be read: {error}") from error
    note_product(hdus[0].header, name, is_list="EVENTS" in hdus)
    return hdus


def write_set(ctx: TaskContext, name: str, hdus: Iterable[Any]) -> None:
    """Write a data set; the task is added to its history (XPROCn)."""
    extensions = hdu_list(hdus)
    primary = extensions[0].header
    number = sum(1 for key in primary if key.startswith("XPROC"))
    primary["LONGSTRN"] = ("OGIP 1.0", "long string convention may be used")
    ctx.provenance(primary, number)
    primary["FILENAME"] = Path(name).name
    with ctx.output(name) as part:
        extensions.writeto(part, output_verify="ignore")


def table(hdus: HDUList, extname: str, schema: Iterable[Column], where: str) -> Arrays:
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


def keyword(hdus: HDUList, name: str, where: str) -> Any:
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
    hdus: HDUList,
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
    kept = other_cards(hdus[extname].header)
    hdus[extname] = make_table(schema, data, extname, {**kept, **(header or {})})


def frame_gti(time_s: npt.ArrayLike, timedel_s: npt.ArrayLike, slack_s: float = 2e-3) -> GTI:
    """Intervals covered by frames; those that follow each other within ``slack_s`` are one interval."""
    time, half = np.asarray(time_s, float), np.asarray(timedel_s, float) / 2
    order = np.argsort(time, kind="stable")
    start, stop = (time - half)[order], (time + half)[order]
    near = np.abs(start[1:] - stop[:-1]) < slack_s
    stop[:-1][near] = start[1:][near]
    return GTI(start, stop)


def time_header(hdus: HDUList) -> dict[str, Any]:
    """Keywords of the observation and of time that each table repeats."""
    primary = hdus[0].header
    names = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "DATE-OBS", "DATE-END")
    return {n: primary[n] for n in names if n in primary} | TIME_KEYWORDS


#: Tables that are copied, in the order of a real run, and what they are called behind it.
OTHER_TABLES = ("STDGTI", "BADPIX0", "BADPIX1", "REJPIX0", "REJPIX1", "EXPOSURE")


def identity(hdus: HDUList, where: str) -> tuple[str, str, str, str]:
    """Observation, instrument, exposure and CCD of a data set, as its primary header has them."""
    obs_id, instrument, exp_id, ccd = (
        str(keyword(hdus, name, where)) for name in ("OBS_ID", "INSTRUME", "EXPIDSTR", "CCDID")
    )
    return obs_id, instrument, exp_id, ccd
