"""A table to select from, and what a selection does to its data subspace, good times and live times."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.rows import RawTable, plain_file
from daxa.xmm.parameters import Parameters
from daxa.xmm.select import dss as dss_module
from daxa.xmm.select.blocks import split_block
from daxa.xmm.select.conditions import Alternatives, alternatives, alternatives_by_ccd
from daxa.xmm.select.dss import DataSubspace, Filter
from daxa.xmm.select.exposures import ccd_tables, read_frames
from daxa.xmm.select.expression import Selection
from daxa.xmm.select.held import lost_times, missing_bands, missing_ccds
from daxa.xmm.task import TaskContext


class Source:
    """A table to select from, with what its file says about it.

    Parameters
    ----------
    ctx
        The running task.
    specification
        File, or file and block, as the user gives it.
    scratch
        Closed when the source is no longer read.

    Attributes
    ----------
    path
        Uncompressed file.
    table
        The table's rows.
    primary
        Header of the file.
    subspace
        Its data subspace.
    """

    def __init__(self, ctx: TaskContext, specification: str, scratch: ExitStack) -> None:
        name, block = split_block(specification)
        self.given = ctx.path(name)
        self.path = plain_file(self.given, scratch)
        try:
            self.hdus = FitsFile(self.path)
        except OSError as error:
            raise TaskError("notFits", f"{self.given}: {error}") from error
        tables = [h.index for h in self.hdus if h.is_table]
        if block is None:
            if not tables:
                raise TaskError("noTable", f"{self.given} holds no table")
            index = tables[0]
        else:
            try:
                index = self.hdus.index_of(block)
            except KeyError:
                names = ", ".join(self.hdus[i].name for i in tables)
                raise TaskError("noTable", f"{self.given} has no table {block}; it has {names}") from None
            if index not in tables:
                raise TaskError("noTable", f"{self.given}: {block} is not a table")
        self.table = RawTable(self.hdus[index])
        self.primary = self.hdus[0].header
        self.header = self.table.header
        self.subspace = dss_module.read(self.hdus, self.header)
        gti_tables = ccd_tables(self.hdus, "STDGTI")
        if not self.subspace.axes and gti_tables and "CCDNR" in self.table.fields:
            self.subspace = default_subspace({c: f"STDGTI{c:02d}" for c in gti_tables}, self.hdus)


def default_subspace(gti_tables: Mapping[int, str], hdus: Any) -> DataSubspace:
    """The data subspace of an event list without one: each CCD and its good times.

    Parameters
    ----------
    gti_tables
        CCD -> name of its table of good times.
    hdus
        The opened file.
    """
    subspace = DataSubspace([dss_module.Axis("CCDNR"), dss_module.Axis("TIME", "s")], [])
    for ccd, name in sorted(gti_tables.items()):
        subspace.components.append([Filter(str(ccd)), Filter("TABLE", "", f":{name}")])
        subspace.tables[name] = GTI.from_hdu(hdus[name])
    return subspace


def _with_tables(ctx: TaskContext, p: Parameters, source: Source) -> DataSubspace:
    """The data subspace of a source, whose tables are all there; filters by other tables are left out.

    Raises
    ------
    TaskError
        ``missingTable``: a table is missing, and the data subspace is to be written.
    """
    old = source.subspace
    missing = [n for n in old.table_names() if n not in old.tables]
    if not missing:
        return old
    said = f"{source.given}: the data subspace refers to {', '.join(missing)}, not in this file"
    if p.writedss:
        raise TaskError("missingTable", f"{said}; copy the extensions along, or give writedss=no")
    ctx.warn("missingTable", f"{said}: it counts as if they restricted nothing")
    components = [[Filter() if f.table in missing else f for f in c] for c in old.components]
    return DataSubspace(list(old.axes), components, dict(old.tables))


class Restriction:
    """What a selection does to the data subspace, the good times and the live times of a source.

    Parameters
    ----------
    ctx
        The running task.
    p
        Parameters of evselect.
    source
        The opened table.
    selection
        The selection.
    """

    def __init__(self, ctx: TaskContext, p: Parameters, source: Source, selection: Selection) -> None:
        conditions, complete = alternatives(selection.tree)
        self.old = _with_tables(ctx, p, source)
        written = conditions
        ccds = self.old.ccds()
        if not complete and ccds and None not in ccds:
            numbers = dict.fromkeys(c for c in ccds if c is not None)
            by_ccd, whole = alternatives_by_ccd(selection.tree, numbers)
            written, complete = (by_ccd, True) if whole else (conditions, False)
        self.subspace = self.old.restrict(written, source.table.units)
        if p.cleandss:
            self.subspace = self.subspace.clean()
        if p.writedss and not complete:
            ctx.warn("incompleteDSS", f"the data subspace cannot express all of {selection.text!r}")
        self.gti = self.subspace.ccd_gti()
        before = self.old.ccd_gti()
        self._check_against_the_list(ctx, conditions, before)
        self.changed = {c for c, g in self.gti.items() if g != before.get(c)}
        # Good times that this selection leaves alone keep the value in the header, which may count frames
        # that were lost.
        self.ontime = {
            ccd: float(source.header.get(f"ONTIME{ccd:02d}", gti.total))
            if ccd not in self.changed
            else gti.total
            for ccd, gti in self.gti.items()
        }
        self.live: dict[int, float] = {}
        self.exposures = ccd_tables(source.hdus, "EXPOSU")
        for ccd, gti in self.gti.items():
            given = source.header.get(f"LIVETI{ccd:02d}")
            if ccd in self.changed and ccd in self.exposures:
                hdu = source.hdus[self.exposures[ccd]]
                self.live[ccd] = read_frames(hdu, source.header, str(source.given)).livetime(gti)
            elif given is not None:
                self.live[ccd] = float(given)
            elif ccd in self.exposures:
                hdu = source.hdus[self.exposures[ccd]]
                self.live[ccd] = read_frames(hdu, source.header, str(source.given)).livetime(gti)

    def _check_against_the_list(
        self, ctx: TaskContext, conditions: Alternatives, before: Mapping[int, GTI]
    ) -> None:
        """Warn of CCDs, bands and times that are asked for and that the list does not hold."""
        ccds = missing_ccds(conditions, self.old)
        if ccds:
            ctx.warn("missingCCD", ccds)
        for band in missing_bands(conditions, self.old):
            ctx.warn("missingBand", band)
        times = lost_times(before, self.gti)
        if times:
            ctx.warn("noGoodTime", times)
