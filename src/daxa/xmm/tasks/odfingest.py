"""The task odfingest: make the summary file of an ODF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daxa._version import __version__
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.summary import AsciiSummary, read_ascii_summary
from daxa.xmm.odf.ingest import ODFINGEST_VERSION, Warn, ingest
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.summary_writer import write_sas_summary
from daxa.xmm.odf.times import TimeCorrelation
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task


@task(
    "odfingest",
    ODFINGEST_VERSION,
    [
        Parameter("odfdir", "string", ".", text="folder of the ODF"),
        Parameter("withodfdir", "bool", False, text="take odfdir instead of SAS_ODF; yes when it is given"),
        Parameter("outdir", "string", ".", text="folder to write to"),
        Parameter(
            "summaryfile",
            "string",
            "0000_0000000000_SCX000SUM.SAS",
            text="name of the summary, with usecanonicalname=no",
        ),
        Parameter("usecanonicalname", "bool", True, text="name the summary after the observation"),
        Parameter("writepath", "bool", True, text="write the folder of the ODF into it"),
        Parameter("findinstrumentmodes", "bool", True, text="find the modes of the exposures"),
        Parameter("usehousekeeping", "bool", True, text="look for resets of the clocks of the cameras"),
        Parameter(
            "oalcheck",
            "bool",
            False,
            text="check the raw files as SAS's access layer does",
            without_effect="they are checked as they are read",
        ),
    ],
)
def odfingest(ctx: TaskContext, p: Parameters) -> None:
    "Make the summary file of an ODF."
    odf = Odf.from_environment(ctx.env, ctx.cwd, p.odfdir if p.withodfdir else None)
    ctx.info(f"Looking for ODF constituents in {odf.folder}/")
    ctx.info(f"Identified the following ODF {odf.revolution:04d}_{odf.obs_id}: {len(odf.files)} files")
    ascii_summary = _ascii_summary(odf, ctx.warn)
    summary = ingest(
        odf,
        ascii_summary,
        calibration=_calibration(ctx) if p.findinstrumentmodes else None,
        correlation=_correlation(ctx, odf) if p.usehousekeeping else None,
        info=ctx.info,
        warn=ctx.warn,
        find_modes=p.findinstrumentmodes,
        use_housekeeping=p.usehousekeeping,
        path=f"{odf.folder.resolve()}/" if p.writepath else None,
    )
    name = f"{odf.revolution:04d}_{odf.obs_id}_SCX00000SUM.SAS" if p.usecanonicalname else p.summaryfile
    target = Path(p.outdir) / name
    with ctx.output(target) as part:
        write_sas_summary(summary, part, f"daxa-{__version__}", ODFINGEST_VERSION)
    ctx.info(f"Summary file {target} written")


def _ascii_summary(odf: Odf, warn: Warn) -> AsciiSummary:
    file = odf.ascii_summary
    if file is None:
        raise TaskError("OdfSummaryFileNotFound", f"{odf.folder}: the ODF has no SUM.ASC file")
    try:
        content = read_ascii_summary(file.path)
    except (ValueError, OSError, EOFError) as error:
        raise TaskError("damagedFile", str(error)) from error
    if not content.tail:
        warn("MissingData", f"{file.path.name}: no PROPOSAL record")
    if content.obs_id != odf.obs_id:
        raise TaskError(
            "MultipleObservations",
            f"{file.path.name} is of observation {content.obs_id}, the files of {odf.obs_id}",
        )
    present = set(odf.names)
    absent = [n for n in content.files if n.upper() not in present]
    if absent:
        warn(
            "MissingData",
            f"{len(absent)} of the {len(content.files)} files named in {file.path.name} are absent, "
            f"e.g. {absent[0]}",
        )
    return content


def _correlation(ctx: TaskContext, odf: Odf) -> TimeCorrelation | None:
    try:
        return TimeCorrelation.from_odf(odf)
    except TaskError as error:
        ctx.warn("MissingData", f"{error.message}: resets of the clocks of MOS stay unknown")
        return None


def _calibration(ctx: TaskContext) -> Any:
    if not (ctx.env.get("SAS_CCF") or ctx.env.get("SAS_CCFPATH")):
        ctx.warn("NoCifGiven", "SAS_CCF is not set: window modes of the MOS cameras stay undefined")
        return None
    from daxa.xmm.ccf.calibration import Calibration

    try:
        return Calibration.from_environment(ctx.env, ctx.cwd)
    except TaskError as error:
        if error.code == "syntheticCalibration":
            raise
        ctx.warn("NoCifGiven", f"{error.message}: window modes of the MOS cameras stay undefined")
        return None
