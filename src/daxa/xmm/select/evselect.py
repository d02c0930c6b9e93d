"""Filter a table and accumulate products from the selected rows, in one pass over chunks of rows."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, Hdu, block_bytes, rewrite
from daxa.xmm.fits.rows import RawTable, RowWriter
from daxa.xmm.parameters import Parameters
from daxa.xmm.select import dss as dss_module
from daxa.xmm.select import nodes
from daxa.xmm.select.blocks import Files, split_block
from daxa.xmm.select.exposures import ccd_tables, exposure_keywords
from daxa.xmm.select.expression import Selection, compile, expand
from daxa.xmm.select.held import Nulls
from daxa.xmm.select.nodes import Const, Rows
from daxa.xmm.select.outputs import Outputs
from daxa.xmm.select.products import Counter, Extremes
from daxa.xmm.select.source import Restriction, Source
from daxa.xmm.task import TaskContext


def flag_value(table: RawTable, column: str, bit: int) -> tuple[bool, int]:
    """Whether the flag column exists already, and the value of its flag bit.

    Bit -1 is the most significant one of the column's type.

    Parameters
    ----------
    table
        The table.
    column
        Name of the flag column.
    bit
        Number of the bit, from 0.

    Returns
    -------
    exists, value
        Whether the table has the column, and the bit as a number of its type.

    Raises
    ------
    TaskError
        The column is not an integer, or too small for the bit.
    """
    exists = column in table.fields
    dtype = table.fields[column].dtype if exists else np.dtype("u1")
    if dtype.kind not in "iu" or dtype.shape:
        raise TaskError("badFlagColumn", f"column {column} of {table.path} does not hold integers")
    bits = 8 * dtype.itemsize
    if bit >= bits:
        raise TaskError("badFlagColumn", f"flagbit={bit}: column {column} has {bits} bits only")
    return exists, 1 << (bits - 1 if bit < 0 else bit)


def build_selection(ctx: TaskContext, p: Parameters, source: Source) -> Selection:
    """The condition asked for by expression, or by another block's data subspace.

    Parameters
    ----------
    ctx
        The running task.
    p
        Parameters of evselect.
    source
        The opened table.

    Raises
    ------
    SelectionError
        The expression is wrong.
    """
    exists, flag = flag_value(source.table, p.flagcolumn, p.flagbit)
    selected: nodes.Node = Const(False)
    if exists:
        top = flag == 1 << (8 * source.table.fields[p.flagcolumn].dtype.itemsize - 1)
        signed = source.table.fields[p.flagcolumn].dtype.kind == "i"
        column = nodes.Column(p.flagcolumn)
        selected = (
            nodes.Compare("<", column, Const(0))
            if top and signed
            else nodes.Compare("!=", nodes.Binary("&", column, Const(flag)), Const(0))
        )
    if p.filtertype == "expression":
        files = Files(ctx.cwd, source.path)
        return compile(p.expression, source.header, files, selected)
    path, block = split_block(p.dssblock)
    if not path:
        hdu = source.hdus[block if block is not None else source.table.hdu_index]
        subspace = dss_module.read(source.hdus, hdu.header)
    else:
        hdus = FitsFile(ctx.path(path))
        holders = [h for h in hdus if "DSTYP1" in h.header]
        hdu = hdus[block] if block is not None else (holders or [hdus[0]])[0]
        subspace = dss_module.read(hdus, hdu.header)
    try:
        return Selection(f"dataSubspace({p.dssblock})", "true", subspace.tree())
    except KeyError as error:
        raise TaskError("missingTable", f"dssblock={p.dssblock}: table {error} is missing") from error


def is_true(selection: Selection) -> bool:
    """Whether the expression selects every row whatever they are.

    Parameters
    ----------
    selection
        A compiled expression.
    """
    tree = selection.tree
    return isinstance(tree, Const) and tree.literal is True


def run(ctx: TaskContext, p: Parameters) -> None:
    """Do what the parameters of evselect ask for.

    Parameters
    ----------
    ctx
        The running task.
    p
        Parameters of evselect.

    Raises
    ------
    TaskError
        What was asked for cannot be done with this table.
    """
    with ExitStack() as scratch:
        source = Source(ctx, p.table, scratch)
        _check_files(ctx, p, source)
        selection = build_selection(ctx, p, source)
        restriction = Restriction(ctx, p, source, selection)
        if p.updateexposure and not restriction.gti and "INSTRUME" in source.header:
            ctx.warn("noExposureUpdate", f"{source.given}: no data subspace with good times per CCD")
        outputs = Outputs(ctx, p, source, restriction, slctexpr(p, source, selection))
        chosen = _first_pass(source, selection, outputs)
        counters = outputs.counters()
        writes = p.keepfilteroutput
        if not writes and not counters:
            ctx.warn("noOutput", "no output was asked for")
            return
        if not writes:
            kept = _walk(source, selection, chosen, counters, None, None)
        else:
            target = p.filteredset if p.withfilteredset else source.given
            if not p.withfilteredset:
                ctx.info(f"no filteredset is named: {source.given} itself is changed")
            if not p.withfilteredset and source.path != source.given:
                raise TaskError(
                    "compressedInput", f"{source.given} is compressed and cannot be changed in place"
                )
            flag = None
            if not p.destruct:
                exists, value = flag_value(source.table, p.flagcolumn, p.flagbit)
                flag = (source.table.spelled(p.flagcolumn) if exists else p.flagcolumn, exists, value)
            with ctx.output(target) as temporary:
                kept = _filtered(
                    ctx, p, source, selection, restriction, outputs, temporary, flag, chosen, counters
                )
        ctx.info(f"{kept} of {source.table.count} rows selected")
        outputs.check(kept, selection)
        outputs.write()


def _check_files(ctx: TaskContext, p: Parameters, source: Source) -> None:
    """Refuse products that would overwrite each other, or the list that they are made of.

    Raises
    ------
    TaskError
        ``sameFile``: two parameters name one file.
    """
    kinds = [
        k for k in ("filteredset", "imageset", "spectrumset", "rateset", "histogramset") if p[f"with{k}"]
    ]
    places: dict[Path, str] = {}
    for kind in kinds:
        place = ctx.path(p[kind]).resolve()
        if place in places:
            raise TaskError("sameFile", f"{places[place]} and {kind} both name {p[kind]}")
        if kind != "filteredset" and place == source.given.resolve():
            raise TaskError("sameFile", f"{kind} names {p[kind]}, the list that it is made of")
        places[place] = kind


def slctexpr(p: Parameters, source: Source, selection: Selection) -> str:
    """The expression for SLCTEXPR: macros replaced by their text; the old one if nothing was asked.

    Parameters
    ----------
    p
        Parameters of evselect.
    source
        The opened table.
    selection
        The compiled expression.
    """
    if is_true(selection):
        return str(source.header.get("SLCTEXPR", ""))
    if p.filtertype != "expression":
        return selection.text
    return expand(p.expression, source.header, parentheses=False)[0]


Bits = list[npt.NDArray[np.uint8]]


def _first_pass(source: Source, selection: Selection, outputs: Outputs) -> Bits | None:
    """Find the range of columns without limits; returns the selection, one bit per row."""
    extremes = Extremes(outputs.open_columns())
    if not extremes.columns:
        return None
    chosen: Bits = []
    for row0, part in source.table.chunks():
        rows = Rows(source.table.columns(part), len(part), row0)
        mask = selection.rows_mask(rows)
        chosen.append(np.packbits(mask))
        extremes.add(rows.subset(np.flatnonzero(mask)))  # type: ignore[arg-type]
    outputs.set_extremes(extremes)
    return chosen


def _walk(
    source: Source,
    selection: Selection,
    chosen: Bits | None,
    counters: list[Counter | Nulls],
    writer: RowWriter | None,
    flag: tuple[np.dtype, str, bool, int] | None,
) -> int:
    """Read all rows, count the selected ones and write them (or all of them with a flag)."""
    everything = is_true(selection)
    kept = 0
    for number, (row0, part) in enumerate(source.table.chunks()):
        rows = Rows(source.table.columns(part), len(part), row0)
        if everything:
            index, left = None, len(part)
        else:
            if chosen is None:
                mask = selection.rows_mask(rows)
            else:
                mask = np.unpackbits(chosen[number], count=len(part)).astype(bool)
            index = np.flatnonzero(mask)
            left = len(index)
        kept += left
        if writer is not None:
            if flag is not None:
                writer.write(_flagged(part, index, flag))
            else:
                writer.write(part if index is None or left == len(part) else part[index])
        if left and counters:
            used = rows if index is None or left == len(part) else rows.subset(index)
            for counter in counters:
                counter.add(used)  # type: ignore[arg-type]
    return kept


def _flagged(
    part: npt.NDArray[Any], index: npt.NDArray[Any] | None, flag: tuple[np.dtype, str, bool, int]
) -> npt.NDArray[Any]:
    """Rows with the flag bit set where selected and cleared elsewhere."""
    dtype, column, _, value = flag
    rows = np.zeros((len(part), dtype.itemsize), np.uint8)
    rows[:, : part.shape[1]] = part
    cells = rows.reshape(-1).view(dtype)[column]
    bits = cells.view(cells.dtype.str.replace("i", "u")) if cells.dtype.kind == "i" else cells
    bits &= bits.dtype.type(~value & ((1 << 8 * cells.dtype.itemsize) - 1))
    if index is None:
        bits |= bits.dtype.type(value)
    else:
        bits[index] |= bits.dtype.type(value)
    return rows


def _filtered(
    ctx: TaskContext,
    p: Parameters,
    source: Source,
    selection: Selection,
    restriction: Restriction,
    outputs: Outputs,
    temporary: Path,
    flag: tuple[str, bool, int] | None,
    chosen: Bits | None,
    counters: list[Counter | Nulls],
) -> int:
    """Write the filtered list: every extension of the input, with times and exposures brought in line."""
    table = source.table
    header = table.header.copy()
    header.discard("CHECKSUM", "DATASUM")
    flagging = None
    if flag is not None:
        column, exists, value = flag
        dtype = table.dtype
        if not exists:
            n = int(header["TFIELDS"]) + 1
            header["TFIELDS"] = n
            header[f"TTYPE{n}"] = (column, "selection flag")
            header[f"TFORM{n}"] = "B"
            header["NAXIS1"] = table.row_bytes + 1
            fields = {k: v[:2] for k, v in (table.dtype.fields or {}).items()}
            names = [*fields, column]
            dtype = np.dtype(
                {
                    "names": names,
                    "formats": [*(v[0] for v in fields.values()), np.dtype("u1")],
                    "offsets": [*(v[1] for v in fields.values()), table.row_bytes],
                    "itemsize": table.row_bytes + 1,
                }
            )
        flagging = (dtype, column, exists, value)
    elif p.writedss:
        restriction.subspace.write(header)
        if p.updateexposure:
            for key, card in exposure_keywords(header, restriction.ontime, restriction.live).items():
                header[key] = card
    if flag is None and outputs.slctexpr:
        header["SLCTEXPR"] = outputs.expression_card
        header["LONGSTRN"] = "OGIP 1.0"

    kept = 0

    def events(file: BinaryIO) -> None:
        nonlocal kept
        writer = RowWriter(file, header)
        kept = _walk(source, selection, chosen, counters, writer, flagging)
        writer.close()

    changed: dict[int, Any] = {table.hdu_index: events}
    if not source.primary.get("NAXIS"):
        primary = source.primary.copy()
        primary.discard("CHECKSUM", "DATASUM")
        number = sum(f"XPROC{i}" in primary for i in range(100))
        ctx.provenance(primary, number)
        primary["LONGSTRN"] = "OGIP 1.0"
        changed[0] = block_bytes(primary)
    appended: list[bytes] = []
    if flag is None and p.writedss:
        changed |= _times(p, source, restriction)
        for name in restriction.subspace.table_names():
            if name not in source.hdus:
                appended.append(outputs.table(name))
    rewrite(source.hdus, temporary, changed, appended)
    return kept


def _times(p: Parameters, source: Source, restriction: Restriction) -> dict[int, Any]:
    """The extensions of the CCDs whose good times have changed."""
    changed: dict[int, Any] = {}
    used = set(restriction.subspace.table_names())
    for name in restriction.old.table_names():
        if name not in used and name.startswith(("GTI", "REG")) and name in source.hdus:
            changed[source.hdus.index_of(name)] = None
    standard = ccd_tables(source.hdus, "STDGTI")
    for ccd in restriction.changed:
        gti = restriction.gti[ccd]
        if ccd in standard:
            # Kept in line with the data subspace, for readers that know only these tables.
            header = source.hdus[standard[ccd]].header.copy(strip=True)
            header.discard("TSTART", "TSTOP", "ONTIME", "EXTNAME")
            changed[standard[ccd]] = gti.to_bytes(f"STDGTI{ccd:02d}", more=header.cards)
        if p.filterexposure and ccd in restriction.exposures:
            hdu = source.hdus[restriction.exposures[ccd]]
            changed[hdu.index] = functools.partial(_write_frames, hdu, gti)
    return changed


def _write_frames(hdu: Hdu, gti: GTI, file: BinaryIO) -> None:
    """Write the frames of an EXPOSUnn table that lie in good times, as they stand in the file."""
    header = hdu.header.copy()
    header.discard("CHECKSUM", "DATASUM")
    writer = RowWriter(file, header)
    rows = np.asarray(hdu.data).view(np.uint8).reshape(hdu.rows, hdu.row_bytes)
    kept = gti.contains(np.asarray(hdu.data["TIME"], float))
    edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        writer.write(rows[first:last])
    writer.close()
