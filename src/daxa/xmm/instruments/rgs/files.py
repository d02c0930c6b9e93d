"""Tables of RGS event lists, their flags, and how the files of the chain are read and written.

Sources: Data Files Handbook (RGS spectroscopy event list), manuals of rgsframes, rgsevents and evlistcomb,
a real run's log (columns and types of evlistcomb, numbers of flagged events).

Parameters
----------
ctx
    The running task.
hdus
    The data set.
where
    Its name, for messages.
extname
    Name of the table.
schema
    Its columns.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.fits.hdus import hdu_list, open_hdus
from daxa.xmm.fits.header import other_cards
from daxa.xmm.fits.schema import Column, column, make_table
from daxa.xmm.formats.rgs import BADPIX, Arrays
from daxa.xmm.instruments.rgs.badpixels import BadMap, Window
from daxa.xmm.notes import note_product
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList


def read_set(ctx: TaskContext, name: str) -> HDUList:
    """A data set, whole in memory.

    Parameters
    ----------
    name
        Name of the data set.

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
    """Write a data set; the task is added to its history (XPROCn).

    Parameters
    ----------
    name
        Name of the data set.
    """
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

    Parameters
    ----------
    name
        The keyword.

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
    """Put a table in the place of the one of the same name, or at the end; its other keywords stay.

    Parameters
    ----------
    data
        Column -> values.
    header
        Further keywords of the table.
    """
    schema = list(schema)
    if extname not in hdus:
        hdus.append(make_table(schema, data, extname, header))
        return
    kept = other_cards(hdus[extname].header)
    hdus[extname] = make_table(schema, data, extname, {**kept, **(header or {})})


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


def write_bad_pixels(hdus: HDUList, bad: BadMap, window: Window, ccd: int) -> None:
    """Put the tables BADPIX0 and BADPIX1 into a data set.

    Parameters
    ----------
    hdus
        The data set of a CCD.
    bad, window, ccd
        Bad pixels and window of telemetry of the CCD, and its number.
    """
    for node in (0, 1):
        first, last = window.span(node)
        rows = [bad.segments(first, last)]
        if window.abutted:
            # The other node's nearest column matters to this one's.
            other = window.size[0] + (1 if node == 0 else 0)
            rows.append(bad.segments(other, other))
        data = {c.name: np.concatenate([r[c.name] for r in rows]) for c in BADPIX}
        header = {
            "CCDNODE": (node, "read-out node"),
            "WINDOWX0": (first, "first column of the window (CHIPX)"),
            "WINDOWY0": (window.rows[0], "first row of the window"),
            "WINDOWDX": (last - first + 1, "columns of the window"),
            "WINDOWDY": (window.rows[1] - window.rows[0] + 1, "rows of the window"),
            "ABUTTED": (window.abutted, "the other node's window touches this one"),
            "CCDID": (ccd, "CCD"),
            "CCDOCB": (hdus[0].header.get("CCDOCB", 3), "on-chip binning"),
        }
        replace_table(hdus, BADPIX, data, f"BADPIX{node}", {**time_header(hdus), **header})


def read_bad_pixels(hdus: HDUList, window: Window, where: str) -> npt.NDArray[np.bool_]:
    """Map of the bad pixels of a data set's tables BADPIX0 and BADPIX1, indices CHIPY - 1 and CHIPX - 1.

    Parameters
    ----------
    window
        Window of the CCD.

    Raises
    ------
    TaskError
        ``missingTable``, ``missingColumn``.
    """
    result = np.zeros((window.size[1], 2 * window.size[0]), bool)
    for node in (0, 1):
        rows = table(hdus, f"BADPIX{node}", BADPIX, where)
        for x, y, n in zip(rows["CHIPX"], rows["CHIPY"], rows["YEXTENT"], strict=True):
            result[y - 1 : y - 1 + n, x - 1] = True
    return result
