"""The task epframes: make the raw event list and the good times of a CCD from its telemetry."""

from __future__ import annotations

from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.exposure import FILE_TYPES, PnExposure
from daxa.xmm.instruments.pn.files import write_raw_list
from daxa.xmm.instruments.pn.options import FrameOptions
from daxa.xmm.instruments.pn.steps.epframes import frames_of_ccd
from daxa.xmm.instruments.pn.timing import source_row
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_pn import (
    FRAMES,
    LOWER_THRESHOLD,
    camera_pixel,
    open_calibration,
    parameters,
    refuse,
)

# --- epframes ----------------------------------------------------------------------------------------

#: What has only one value here, that of real chains. Set-up values (f1294 and on) replace missing
#: housekeeping in SAS; here the ODF must have it.
EPFRAMES_ONLY: dict[str, Any] = {
    "withradmon": False, "withfinetime": True, "withfifogti": False, "qualmax": 0, "witheventmap": False,
    "mipdist": False, "mipdiscard": True, "automode": False, "autofilter": False, "odfok": True, "hkok": True,
    "ccfok": True, "withinvalidobt": True, "withallobtgti": True, "guessdeltap": False, "fifogtithresh": 76,
    "nomipthresholdlow": 40, "nomipthresholdhigh": 1600, "softthresholdlow": 20, "softthresholdhigh": 30,
    "f1294": 0, "f1052": 32400, "f1118": "UNKNOWN", "anchop": 0, "ancmloth": 532, "ancmcorr": 512,
    "aneamipsel": 1, "anmaxmip": 63, "anmip": 3512, "ansendmode": "MIP CORREC.2", "ecntempqb1": -9999.9,
    "hcettmpfpf": -89.965, "setupbpx": "nom3", "showccx": False, "showaux": False, "showpmh": False,
    "showpah": False, "showve": False,
}  # fmt: skip


@task(
    "epframes",
    "8.116",
    [
        Parameter("set", "dataset", required=True),
        Parameter("eventset", "dataset", "rawevents.dat"),
        Parameter("gtiset", "dataset", "gti.dat"),
        Parameter("radmonset", "dataset", "radmon.ds"),
        Parameter("eventmapset", "dataset", "eventmap.dat"),
        LOWER_THRESHOLD,
        *FRAMES,
        *parameters(EPFRAMES_ONLY),
    ],
)
def epframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the raw event list and the good times of a CCD from its telemetry."""
    from daxa.xmm.event.gti import GTI
    from daxa.xmm.formats.odf_names import OdfName
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.select.goodtimes import gti_hdu, write_gti

    refuse(p, "epframes", EPFRAMES_ONLY)
    path = ctx.path(p.set)
    name = OdfName.parse(path.name)
    modes = {file_type: mode for mode, file_type in FILE_TYPES.items()}
    if name is None or name.instrument != "PN" or name.file_type not in modes:
        raise TaskError("wrongMode", f"set={p.set}: not the name of an event file of the pn")
    odf = Odf.from_environment({"SAS_ODF": str(path.parent), **ctx.env}, ctx.cwd)
    data_mode = modes[name.file_type]
    exposure = PnExposure.open(odf, name.exp_id, data_mode, [name.ccd], open_calibration(ctx), ctx.warn)
    lines = exposure.line_clock(name.ccd)
    row = 0
    if lines is not None:
        source = (p.srcra, p.srcdec) if p.withsrccoords else p.srcposition if p.withsrcrawy else None
        row = source_row(source, p.srcposition, data_mode, camera_pixel(exposure), exposure.proposal, ctx)
    options = FrameOptions(p.lowerthreshold, p.mipthreshold, p.mipmethod, p.wrongpixlimit, p.anmaxfrc, row)
    raw = frames_of_ccd(exposure, name.ccd, options, ctx.info)
    primary = exposure.keywords() | {"SRCPOS": (row or p.srcposition, "[pixel] RAWY of the source")}
    ctx.provenance(primary)
    times = None
    if lines is not None:
        times = lines.event_times(raw.stamp_s[raw.frame], raw.rawy - 1, row)
    with ctx.output(p.eventset) as temporary:
        write_raw_list(temporary, raw, primary, None, times)
    gti: GTI = raw.gti
    write_gti(ctx, p.gtiset, [gti_hdu(gti, f"STDGTI{name.ccd:02d}")])


# --- epreject ----------------------------------------------------------------------------------------


# --- badpixfind, badpix ------------------------------------------------------------------------------


# --- epevents ----------------------------------------------------------------------------------------


# --- epexposure --------------------------------------------------------------------------------------
