"""The task merge: merge two event lists, attitude files or orbit files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, block_bytes, rewrite
from daxa.xmm.fits.rows import RawTable, RowWriter
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import split_block
from daxa.xmm.select.dss import DataSubspace
from daxa.xmm.select.exposures import ccd_tables, exposure_keywords, read_frames
from daxa.xmm.select.merge import (
    common_plane,
    header_of_columns,
    merge_span,
    merge_subspaces,
    overlap,
    place,
    rows_of_columns,
    separation,
    stack,
    statistics,
    tables_of_times,
    write_plane,
)
from daxa.xmm.select.regions import ColumnSky
from daxa.xmm.select.source import Source
from daxa.xmm.task import TaskContext, task

#: Pointings further apart than this [deg] make a common image useless without care.
_FAR = 0.1
_MOST_COLUMNS = 12


def _shift_parameters(number: int) -> list[Parameter]:
    """A shift of one file's attitude; one that is given counts without its switch."""
    return [
        Parameter(
            f"withset{number}adjustpos", "bool", False, text=f"shift the sky coordinates of set{number}"
        ),
        Parameter(
            f"set{number}deltara", "real", 0.0, text="what is added to its right ascensions", unit="deg"
        ),
        Parameter(f"set{number}deltadec", "real", 0.0, text="what is added to its declinations", unit="deg"),
        Parameter(
            f"set{number}deltaposangle",
            "real",
            0.0,
            text="clockwise turn about its tangent point",
            unit="deg",
        ),
    ]


@task(
    "merge",
    "1.8",
    [
        Parameter("set1", "dataset", required=True, text="event list, attitude file or orbit file"),
        Parameter("set2", "dataset", required=True, text="another of the same kind"),
        Parameter("outset", "dataset", required=True, text="file to write"),
        Parameter(
            "withradec",
            "bool",
            False,
            text="whether ra and dec are the centre; else the files' centre or the mean of both",
        ),
        Parameter(
            "ra",
            "real",
            0.0,
            minimum=-360,
            maximum=360,
            text="right ascension of the centre of X and Y",
            unit="deg",
        ),
        Parameter(
            "dec",
            "real",
            0.0,
            minimum=-90,
            maximum=90,
            text="declination of the centre of X and Y",
            unit="deg",
        ),
        Parameter(
            "imagesize",
            "real",
            0.36,
            minimum=0.001,
            maximum=10,
            text="X and Y reach this far from the centre",
            unit="deg",
        ),
        *_shift_parameters(1),
        *_shift_parameters(2),
        Parameter(
            "columns",
            "list",
            (),
            text="columns to keep, at most 12; all that both files have if none is named",
        ),
        Parameter("mergedifferentobs", "bool", False, text="allow files of different observations"),
    ],
)
def merge(ctx: TaskContext, p: Parameters) -> None:
    """Merge two event lists, attitude files or orbit files."""
    if len(p.columns) > _MOST_COLUMNS:
        raise TaskError("tooManyColumns", f"columns: at most {_MOST_COLUMNS} may be named")
    with ExitStack() as scratch:
        sources = [Source(ctx, _main_table(ctx, name), scratch) for name in (p.set1, p.set2)]
        kinds = [s.table.name for s in sources]
        if kinds[0] != kinds[1]:
            raise TaskError("differentFileTypes", f"{p.set1} holds {kinds[0]}, {p.set2} holds {kinds[1]}")
        numbered = _in_time_order(ctx, sources)
        _check(ctx, p, sources)
        if kinds[0] == "EVENTS":
            shifts: dict[int, Any] = {}
            for n in (1, 2):
                names = [f"set{n}delta{k}" for k in ("ra", "dec", "posangle")]
                wanted = p[f"withset{n}adjustpos"] or p.given & set(names)
                shifts[n] = tuple(p[name] if wanted else 0.0 for name in names)
            _merge_events(ctx, p, [s for _, s in numbered], [shifts[n] for n, _ in numbered])
        else:
            _merge_rows(ctx, p, [s for _, s in numbered])


def _main_table(ctx: TaskContext, name: str) -> str:
    path, block = split_block(name)
    if block is not None:
        return name
    try:
        hdus = FitsFile(ctx.path(path))
    except OSError as error:
        raise TaskError("fileNotFound", f"{path}: {error}") from error
    for kind in ("EVENTS", "ATTHK", "ORBIT"):
        if kind in hdus:
            return f"{path}:{kind}"
    raise TaskError("unknownFileType", f"{path} has none of the tables EVENTS, ATTHK, ORBIT")


def _time_range(source: Source) -> tuple[float, float]:
    low, high = math.inf, -math.inf
    for _, part in source.table.chunks():
        time = source.table.columns(part)["TIME"]
        low, high = min(low, float(np.nanmin(time))), max(high, float(np.nanmax(time)))
    return low, high


def _in_time_order(ctx: TaskContext, sources: list[Source]) -> list[tuple[int, Source]]:
    if any("TIME" not in s.table.fields for s in sources):
        ctx.warn("noTimeColumn", "files without a column TIME are merged in the order given")
        return list(enumerate(sources, start=1))
    return sorted(enumerate(sources, start=1), key=lambda s: _time_range(s[1])[0])


def _keyword(source: Source, key: str) -> Any:
    return source.header.get(key, source.primary.get(key))


def _check(ctx: TaskContext, p: Parameters, sources: list[Source]) -> None:
    """Refuse what must not be merged, warn of what should not."""
    a, b = sources

    def differ(key: str) -> tuple[Any, Any] | None:
        values = tuple(_keyword(s, key) for s in (a, b))
        return values if values[0] != values[1] and None not in values else None

    if values := differ("DATAMODE"):
        raise TaskError("differentModes", f"DATAMODE is {values[0]} in {p.set1}, {values[1]} in {p.set2}")
    if (values := differ("OBS_ID")) and not p.mergedifferentobs:
        raise TaskError(
            "differentObservations",
            f"OBS_ID is {values[0]} in {p.set1}, {values[1]} in {p.set2}; mergedifferentobs=yes allows it",
        )
    for key in ("INSTRUME", "FILTER", "SUBMODE"):
        if values := differ(key):
            ctx.warn(
                f"different{key.capitalize()}", f"{key} is {values[0]} in one file, {values[1]} in the other"
            )
    pointing = [(_keyword(s, "RA_PNT"), _keyword(s, "DEC_PNT")) for s in sources]
    if all(v is not None for pair in pointing for v in pair):
        distance = separation(*map(float, (*pointing[0], *pointing[1])))
        if distance > _FAR:
            ctx.warn("largePointingOffset", f"the pointings are {distance:.3f} deg apart")


def _common_columns(ctx: TaskContext, p: Parameters, sources: list[Source]) -> list[str]:
    a, b = (dict(s.table.fields) for s in sources)
    wanted = list(p.columns) or list(a)
    for name in p.columns:
        if name not in a or name not in b:
            ctx.warn("missingColumn", f"column {name} is not in both files and is left out")
    lost = [n for n in {**a, **b} if (n not in a or n not in b)]
    if lost and not p.columns:
        ctx.warn("missingColumn", f"column(s) {', '.join(lost)} are not in both files and are left out")
    names = [n for n in wanted if n in a and n in b]
    if not names:
        raise TaskError("noColumns", "the files have no column in common")
    return names


def _plane(p: Parameters, table: RawTable, skies: list[ColumnSky]) -> tuple[ColumnSky, int]:
    """The common tangent plane and the largest coordinate on it."""
    first = skies[0]
    legal = table.keyword("TLMAX", first.names[0])
    size = int(legal) if legal and "imagesize" not in p.given else round(2 * p.imagesize / abs(first.step[0]))
    centre = (p.ra, p.dec) if p.withradec or {"ra", "dec"} <= p.given else None
    return common_plane(skies, size, centre), size


def _merge_events(
    ctx: TaskContext, p: Parameters, sources: list[Source], shifts: list[tuple[float, float, float]]
) -> None:
    first, second = sources
    names = _common_columns(ctx, p, sources)
    header, dtype, numbers = header_of_columns(first.table, names)
    header.discard("CHECKSUM", "DATASUM")
    skies = [ColumnSky.from_header(s.header) for s in sources]
    plane = None
    if all(s is not None and set(s.names) <= set(names) for s in skies):
        plane, size = _plane(p, first.table, skies)  # type: ignore[arg-type]
    else:
        ctx.warn("noSkyCoordinates", "not both files have X, Y with celestial coordinates: none are computed")
    same_camera = _keyword(first, "INSTRUME") == _keyword(second, "INSTRUME")
    changed: dict[int, Any] = {}
    appended: list[bytes] = []
    if same_camera:
        subspace, whole = merge_subspaces(first.subspace, second.subspace)
        if not whole:
            ctx.warn("incompleteDSS", "the filters of the two files differ: only CCDs and times are kept")
        gti, live = _unite_ccds(ctx, sources, subspace, changed, appended)
        subspace.write(header)
        if overlap(first.subspace, second.subspace):
            ctx.warn("overlap", "the exposures overlap in time: ONTIME and LIVETIME are those of the first")
        else:
            for key, card in exposure_keywords(header, {c: g.total for c, g in gti.items()}, live).items():
                header[key] = card
    else:
        ctx.warn("differentInstruments", "frames and good times of the second file are not merged")
    primary = first.primary.copy()
    primary.discard("CHECKSUM", "DATASUM")
    for head in (header, primary):
        merge_span(head, first.header, second.header, second.primary)
    if plane is not None:
        write_plane(header, primary, plane, size, numbers)
    number = sum(f"XPROC{i}" in primary for i in range(100))
    ctx.provenance(primary, number)
    primary["LONGSTRN"] = "OGIP 1.0"
    primary.append(("HISTORY", f"merged of {first.given.name} and {second.given.name}, in this order"))

    fallen: dict[Path, tuple[int, int]] = {}

    def events(file: BinaryIO) -> None:
        writer = RowWriter(file, header)
        for source, sky, shift in zip(sources, skies, shifts, strict=True):
            fallen[source.given] = (0, source.table.count)
            for _, part in source.table.chunks():
                rows = rows_of_columns(part, source.table.dtype, dtype, names)
                if plane is not None and (sky != plane or any(shift)):
                    lost = _place(rows, dtype, source.table, first.table, sky, plane, shift, size)  # type: ignore[arg-type]
                    fallen[source.given] = (fallen[source.given][0] + lost, source.table.count)
                writer.write(rows)
        writer.close()

    changed[first.table.hdu_index] = events
    changed[0] = block_bytes(primary)
    with ctx.output(p.outset) as path:
        rewrite(first.hdus, path, changed, appended)
        if plane is not None:
            _check_places(ctx, fallen, plane, size)


def _check_places(
    ctx: TaskContext, fallen: Mapping[Path, tuple[int, int]], plane: ColumnSky, size: int
) -> None:
    """Warn of events that have fallen off the common plane; refuse a list of which none is left on it.

    Raises
    ------
    TaskError
        ``largePointingOffset``: no event of any list lies on the plane.
    """
    ra, dec = plane.value
    where = f"the plane of {size * abs(plane.step[0]):.3g} deg about RA {ra:.4f}, Dec {dec:.4f}"
    if any(n for n, _ in fallen.values()) and all(lost == count for lost, count in fallen.values()):
        raise TaskError(
            "largePointingOffset",
            f"no event of either list lies on {where}; ra and dec move it, imagesize widens it",
        )
    for path, (lost, count) in fallen.items():
        if lost:
            ctx.warn("nullCoordinates", f"{lost} of {count} events of {path} lie outside {where}: no X, Y")


def _place(
    rows: npt.NDArray[Any],
    dtype: np.dtype,
    table: RawTable,
    target: RawTable,
    sky: ColumnSky,
    plane: ColumnSky,
    shift: tuple[float, float, float],
    size: int,
) -> int:
    """Put X, Y of rows onto another plane; undefined ones and those that fall off it become null.

    Returns
    -------
    int
        How many rows have fallen off.
    """
    view = rows.reshape(-1).view(dtype)
    x, y = (view[n].astype(np.float64) for n in plane.names)
    nulls = table.keyword("TNULL", sky.names[0]), table.keyword("TNULL", sky.names[1])
    new = place(x, y, nulls, sky, plane, shift, size)
    for name, values in zip(plane.names, new, strict=True):
        null = target.keyword("TNULL", name)
        view[name] = np.where(np.isnan(values), -99999999 if null is None else null, values)
    known = (x != nulls[0]) & (y != nulls[1])
    return int(np.count_nonzero(np.isnan(new[0]) & known))


def _unite_ccds(
    ctx: TaskContext,
    sources: list[Source],
    subspace: DataSubspace,
    changed: dict[int, Any],
    appended: list[bytes],
) -> tuple[dict[int, GTI], dict[int, float]]:
    """Unite frames, bad pixels and good times per CCD; returns good and live times."""
    first, second = sources
    gti = subspace.ccd_gti()
    live: dict[int, float] = {}
    for stem in ("EXPOSU", "BADPIX", "DLIMAP", "HKAUX"):
        one, two = (ccd_tables(s.hdus, stem) for s in sources)
        for ccd in sorted(one | two):
            found = [(s, s.hdus[t[ccd]]) for s, t in ((first, one), (second, two)) if ccd in t]
            if stem == "EXPOSU":
                good = gti.get(ccd, GTI())
                live[ccd] = sum(read_frames(h, s.header, str(s.given)).livetime(good) for s, h in found)
            if ccd not in one:
                appended.append(found[0][1].read())
            elif len(found) == 2 and stem != "DLIMAP":
                joined, missing = stack(*(np.asarray(h.data) for _, h in found))
                for name in missing:
                    ctx.warn("missingColumn", f"{found[1][1].name}: no column {name} in the second file")
                if stem == "BADPIX" and len(joined):
                    joined = np.unique(joined)
                header = found[0][1].header.copy()
                header.discard("CHECKSUM", "DATASUM")
                header["NAXIS2"] = len(joined)
                changed[one[ccd]] = block_bytes(header, joined)
    written = {h.name for h in first.hdus}
    for name, intervals in tables_of_times(subspace).items():
        if name in written:
            index = first.hdus.index_of(name)
            more = first.hdus[index].header.copy(strip=True).cards
            changed[index] = intervals.to_bytes(name, more=more)
        else:
            appended.append(intervals.to_bytes(name))
    for name in first.subspace.table_names():
        # Tables that nothing refers to any more would only mislead.
        if name not in subspace.table_names() and name.startswith(("GTI0", "REG")) and name in written:
            changed[first.hdus.index_of(name)] = None
    return gti, live


def _merge_rows(ctx: TaskContext, p: Parameters, sources: list[Source]) -> None:
    """Attitude and orbit files: rows in time order, and the statistics in the header renewed."""
    first = sources[0]
    names = _common_columns(ctx, p, sources)
    header, dtype, _ = header_of_columns(first.table, names)
    header.discard("CHECKSUM", "DATASUM")
    parts = []
    for source in sources:
        for _, part in source.table.chunks():
            parts.append(rows_of_columns(part, source.table.dtype, dtype, names))
    rows = np.concatenate(parts) if parts else np.zeros((0, dtype.itemsize), np.uint8)
    view = rows.reshape(-1).view(dtype)
    if "TIME" in names:
        _, keep = np.unique(view["TIME"].astype(np.float64), return_index=True)
        rows, view = rows[keep], view[keep]
    primary = first.primary.copy()
    primary.discard("CHECKSUM", "DATASUM")
    for head in (header, primary):
        merge_span(head, first.header, sources[1].header, sources[1].primary)
        for name in names:
            mean, median = statistics(view[name].astype(np.float64), name)
            for key, value in ((f"A{name}"[:8], mean), (f"M{name}"[:8], median)):
                if key in head and math.isfinite(value):
                    head[key] = value
    ctx.provenance(primary, sum(f"XPROC{i}" in primary for i in range(100)))

    def table(file: BinaryIO) -> None:
        writer = RowWriter(file, header)
        writer.write(rows)
        writer.close()

    with ctx.output(p.outset) as path:
        rewrite(
            first.hdus,
            path,
            {first.table.hdu_index: table, 0: block_bytes(primary)},
            [],
        )
