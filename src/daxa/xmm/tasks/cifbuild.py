"""The task cifbuild: select the constituents of an observation and write the calibration index."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.index import (
    CATEGORY,
    FILE_GLOB,
    CalibrationIndex,
    Entry,
    normal_date,
    read_index,
    select,
    write_index,
)
from daxa.xmm.ccf.scan import EntryCache, scan
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.ccf import required_of
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task


def missing_types(entries: Iterable[Entry], instruments: Iterable[str]) -> list[str]:
    """Constituents ``SCOPE_TYPEID`` that the reduction of some instruments needs and an index lacks.

    Parameters
    ----------
    entries
        Rows of the index.
    instruments
        Names of the instruments, e.g. ``EMOS1``.
    """
    have = {entry.key for entry in entries}
    wanted = dict.fromkeys(key for instrument in instruments for key in required_of(instrument))
    return [f"{scope}_{typeid}" for scope, typeid in wanted if (scope, typeid) not in have]


def _observation(ctx: TaskContext) -> tuple[str, str, list[str]]:
    """Start date, ``RRRR_OOOOOOOOOO`` and EPIC cameras of the observation of SAS_ODF."""
    from daxa.xmm.formats.instruments import INSTRUMENTS
    from daxa.xmm.formats.summary import read_ascii_summary, read_sas_summary

    if not ctx.env.get("SAS_ODF"):
        raise TaskError(
            "NoOdfFound", "no observation date: set SAS_ODF, or give withobservationdate and observationdate"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    cameras = [INSTRUMENTS[code] for code in ("M1", "M2", "PN") if odf.exposures(code)]
    ascii_summary = odf.ascii_summary
    try:
        if ascii_summary is not None:
            start = read_ascii_summary(ascii_summary.path).start
        elif odf.sas_summary is not None:
            start = read_sas_summary(odf.sas_summary).start
        else:
            raise TaskError(
                "noObservationDate", f"{odf.folder}: no summary file (SUM.ASC, SUM.SAS) to take the date from"
            )
        return normal_date(start), f"{odf.revolution:04d}_{odf.obs_id}", cameras
    except ValueError as err:
        raise TaskError("noObservationDate", f"{odf.folder}: summary file: {err}") from err


def _date(name: str, text: str) -> str:
    try:
        return normal_date(text)
    except ValueError:
        raise TaskError(
            "badParameter", f"cifbuild: parameter {name}: expected yyyy-mm-ddThh:mm:ss or now, got {text!r}"
        ) from None


def _folders(ctx: TaskContext, p: Parameters) -> list[Path]:
    if p.withccfpath:
        text, source = p.ccfpath, "ccfpath"
    else:
        text, source = ctx.env.get("SAS_CCFPATH", ""), "SAS_CCFPATH"
    folders = [ctx.path(part) for part in text.split(os.pathsep) if part]
    if not folders:
        raise TaskError(
            "noCcfPath", f"{source} is empty: it must list the folders that hold the calibration files"
        )
    absent = [folder for folder in folders if not folder.is_dir()]
    for folder in absent:
        ctx.warn("noCcfFolder", f"{source}: {folder} is not a folder")
    return folders


@task(
    "cifbuild",
    "1.0",
    [
        Parameter("calindexset", "dataset", "ccf.cif", text="calibration index to write"),
        Parameter("ccfpath", "string", ".", text="folders of calibration files, with : between them"),
        Parameter(
            "withccfpath", "bool", False, text="take ccfpath instead of SAS_CCFPATH; yes when it is given"
        ),
        Parameter("usecanonicalname", "bool", False, text="name the index after the observation"),
        Parameter("recurse", "bool", False, text="also look in the folders below"),
        Parameter(
            "fileglob",
            "string",
            FILE_GLOB,
            text="patterns of the names of calibration files, with | between them",
        ),
        Parameter("fullpath", "bool", False, text="write names of files with their folders"),
        Parameter(
            "observationdate",
            "string",
            "now",
            text="date that constituents must be valid on, as yyyy-mm-ddThh:mm:ss",
        ),
        Parameter(
            "withobservationdate",
            "bool",
            False,
            text="take observationdate instead of the ODF's; yes when it is given",
        ),
        Parameter("analysisdate", "string", "now", text="leave out what was released after this date"),
        Parameter("category", "string", CATEGORY, text="category of constituents"),
        Parameter("ignorecategory", "bool", False, text="take constituents of any category"),
        Parameter("masterindex", "bool", False, text="write all constituents, whatever their dates"),
        Parameter("masterindexset", "dataset", "ccf.mif", text="index that constituents are chosen from"),
        Parameter(
            "withmasterindexset",
            "bool",
            False,
            text="choose from masterindexset instead of folders; yes when it is given",
        ),
        Parameter("append", "bool", False, text="keep what the index holds already"),
    ],
)
def cifbuild(ctx: TaskContext, p: Parameters) -> None:
    """Select the constituents of an observation and write the calibration index."""
    cameras: list[str] = []
    canonical = ""
    analysis = _date("analysisdate", p.analysisdate)
    if p.masterindex:
        observation = analysis
    elif p.withobservationdate:
        observation = _date("observationdate", p.observationdate)
    else:
        observation, canonical, cameras = _observation(ctx)
        ctx.info(f"Using the ODF {canonical} found in {ctx.env['SAS_ODF']}")
    if not p.masterindex:
        ctx.info(f"Observation date: {observation}.000")
    ctx.info(f"Analysis date: {analysis}.000")
    if analysis < observation and not p.masterindex:
        ctx.warn("analysisBeforeObservation", f"analysis date {analysis} is before {observation}")
    category = None if p.ignorecategory else p.category
    chosen, count = _constituents(ctx, p, observation, analysis, category)
    name = f"{canonical}.cif" if p.usecanonicalname and canonical else p.calindexset
    if p.usecanonicalname and not canonical:
        ctx.warn("noCanonicalName", f"without an ODF there is no canonical name; writing {name}")
    header = {"CATEGORY": category or p.category, "OBSVDATE": observation, "ANALDATE": analysis}
    if p.append and ctx.path(name).is_file():
        before = read_index(ctx.path(name))
        present = {e.key for e in before.entries}
        chosen = sorted([*before.entries, *(e for e in chosen if e.key not in present)], key=lambda e: e.key)
        header = {**header, **before.header}
    lacking = missing_types(chosen, cameras)
    if lacking:
        ctx.warn(
            "missingConstituents",
            f"no valid constituent for {', '.join(lacking)}: tasks that need them will fail",
        )
    index = CalibrationIndex(chosen, header)
    if not p.masterindex:
        # Also where the date is given: the index is for the observation of SAS_ODF.
        Calibration(index).check_origin(ctx.env, ctx.cwd)
    primary: dict[str, Any] = {}
    ctx.provenance(primary)
    with ctx.output(name) as path:
        write_index(path, index, primary)
    ctx.info(f"{len(chosen)} constituents of {count} written to {name}")


def _constituents(
    ctx: TaskContext, p: Parameters, observation: str, analysis: str, category: str | None
) -> tuple[list[Entry], int]:
    """The constituents that go into the index, with checksums, and how many there were to choose from."""
    from daxa.config import cache_path

    cache = EntryCache(cache_path() / "constituents.json")
    if p.withmasterindexset:
        source = str(ctx.path(p.masterindexset))
        entries, looked_at, absent = read_index(source).entries, 0, []
    else:
        folders = _folders(ctx, p)
        source = os.pathsep.join(map(str, folders))
        absent = [str(folder) for folder in folders if not folder.is_dir()]
        entries, looked_at = scan(folders, p.fileglob, recurse=p.recurse, cache=cache, warn=ctx.warn)
    if not entries:
        gone = f"; there is no folder {', '.join(absent)}" if absent else ""
        raise TaskError(
            "noConstituents",
            f"no calibration constituent in {source} ({looked_at} files match {p.fileglob}{gone}); "
            "`daxa calibration fetch` brings the *.CCF files, or set SAS_CCFPATH to a folder with them; "
            "simulated data need those that were simulated with them",
        )
    if p.masterindex:
        chosen = [e for e in entries if category is None or e.category.upper() == category.upper()]
        chosen = sorted(chosen, key=lambda e: (e.scope, e.typeid, e.issue))
    else:
        chosen = select(entries, observation, analysis, category)
        if not chosen:
            raise TaskError(
                "noConstituents",
                f"{source}: none of {len(entries)} constituents is valid on {observation} with category "
                f"{category or 'any'} and submitted by {analysis}",
            )
    chosen = [
        replace(
            cache.entry(e.path, checksum=True) or e, fname=str(e.path.absolute()) if _full(p) else e.path.name
        )
        if e.path is not None
        else e
        for e in chosen
    ]
    cache.save()
    return chosen, len(entries)


def _full(p: Parameters) -> bool:
    return bool(p.fullpath and not p.masterindex)
