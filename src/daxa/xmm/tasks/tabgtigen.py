"""The task tabgtigen: make good times of the rows of time series that fulfil an expression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.hdus import is_table, open_hdus
from daxa.xmm.fits.schema import column, name_of_column
from daxa.xmm.notes import note_product
from daxa.xmm.odf.times import housekeeping_times
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.select.blocks import Files, split_block
from daxa.xmm.select.expression import compile
from daxa.xmm.select.goodtimes import RowTimes, gti_hdu, intervals_of_rows, write_gti
from daxa.xmm.task import TaskContext, task


def _open_table(ctx: TaskContext, specification: str, needed: Sequence[str]) -> tuple[Any, Any, Path]:
    """The file and table named; without a block the first one with the needed columns."""
    name, block = split_block(specification)
    path = ctx.path(name)
    try:
        hdus = open_hdus(path)
    except OSError as error:
        raise TaskError("fileNotFound", f"{path}: {error}") from error
    note_product(hdus[0].header, path)
    try:
        if block is not None:
            if not is_table(hdus[block]):
                hdus.close()
                raise TaskError("noTable", f"{path}: {block} is not a table")
            return hdus, hdus[block], path
        for hdu in hdus:
            if is_table(hdu) and all(name_of_column(hdu.columns.names, n) for n in needed):
                return hdus, hdu, path
    except (KeyError, IndexError):
        hdus.close()
        raise TaskError("noTable", f"{path} has no table {block}") from None
    hdus.close()
    raise TaskError("noTable", f"{path} has no table with column(s) {', '.join(needed)}")


@task(
    "tabgtigen",
    "2.13",
    [
        Parameter(
            "table",
            "list",
            required=True,
            text="time series, as file or file:table; times must be good in all",
        ),
        Parameter("gtiset", "dataset", "gti.ds", text="good times to write, as file or file:table"),
        Parameter("expression", "string", "true", text="true of good rows, in evselect's language"),
        *parameters_of(RowTimes),
        Parameter("mingtisize", "real", 0.0, minimum=0, unit="s", text="shorter intervals are left out"),
    ],
)
def tabgtigen(ctx: TaskContext, p: Parameters) -> None:
    """Make good times of the rows of time series that fulfil an expression."""
    gti: GTI | None = None
    name, block = split_block(p.gtiset)
    for specification in p.table:
        if ctx.path(split_block(specification)[0]).resolve() == ctx.path(name).resolve():
            raise TaskError("sameFile", f"gtiset names {p.gtiset}, the table that it is made of")
        hdus, hdu, path = _open_table(ctx, specification, [p.timecolumn])
        with hdus:
            selection = compile(p.expression, hdu.header, Files(ctx.cwd, path))
            if name_of_column(hdu.columns.names, p.timecolumn) is None:
                raise TaskError("noColumn", f"{path}[{hdu.name}] has no column {p.timecolumn} (timecolumn)")
            # Raw housekeeping has dates.
            time = housekeeping_times(column(hdu, p.timecolumn, str(path)), str(path), p.timecolumn)
            good = selection.mask(
                {p.timecolumn: time, **{n: column(hdu, n, str(path)) for n in selection.names}}
            )
            names = hdu.columns.names
            length: Any = hdu.header.get("TIMEDEL") or None
            if "TIMEDEL" in names:
                length = column(hdu, "TIMEDEL", str(path))
            known = np.isfinite(time)
            if not known.all():
                ctx.warn("nullTimes", f"{path.name}: {np.count_nonzero(~known)} rows have no {p.timecolumn}")
                time, good = time[known], good[known]
                length = length[known] if np.ndim(length) else length
            part = intervals_of_rows(time, good, length, before=p.prefraction, after=p.postfraction)
        ctx.info(f"{path.name}: {np.count_nonzero(good)} of {len(good)} rows are good")
        gti = part if gti is None else gti & part
    gti = gti if gti is not None else GTI()
    length = gti.stop - gti.start
    short = length < p.mingtisize
    dropped = float(length[short].sum())
    gti = GTI(gti.start[~short], gti.stop[~short])
    if not len(gti):
        ctx.warn("noGoodTime", f"no row fulfils {p.expression!r}")
    write_gti(
        ctx,
        name,
        [
            gti_hdu(
                gti,
                str(block) if block is not None else "STDGTI",
                [
                    ("MINGTISZ", float(p.mingtisize), "[s] minimum allowed GTI length"),
                    ("SUMSHORT", dropped, "[s] sum of all GTIs shorter than MINGTISZ"),
                ],
            )
        ],
    )
