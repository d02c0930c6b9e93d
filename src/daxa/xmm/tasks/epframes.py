"""The task epframes: make the raw event list and the good times of a CCD from its telemetry."""

from __future__ import annotations

from dataclasses import replace

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.exposure import FILE_TYPES, PnExposure
from daxa.xmm.instruments.pn.files import write_raw_list
from daxa.xmm.instruments.pn.options import Epframes
from daxa.xmm.instruments.pn.reduce import frames_of_ccd
from daxa.xmm.instruments.pn.timing import source_row
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration
from daxa.xmm.tasks.support_pn import camera_pixel


@task(
    "epframes",
    "8.116",
    [
        Parameter("set", "dataset", required=True, text="event file of a CCD in the ODF"),
        Parameter("eventset", "dataset", "rawevents.dat", text="raw event list to write"),
        Parameter("gtiset", "dataset", "gti.dat", text="file of good times to write"),
        Parameter(
            "radmonset",
            "dataset",
            "radmon.ds",
            text="file of the radiation monitor",
            without_effect="belongs to withradmon",
        ),
        Parameter(
            "eventmapset",
            "dataset",
            "eventmap.dat",
            text="file of diagnostic images",
            without_effect="belongs to witheventmap",
        ),
        *parameters_of(Epframes),
    ],
)
def epframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the raw event list and the good times of a CCD from its telemetry."""
    from daxa.xmm.event.gti import GTI
    from daxa.xmm.formats.odf_names import OdfName
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.select.goodtimes import gti_hdu, write_gti

    path = ctx.path(p.set)
    name = OdfName.parse(path.name)
    modes = {file_type: mode for mode, file_type in FILE_TYPES.items()}
    if name is None or name.instrument != "PN" or name.file_type not in modes:
        raise TaskError("wrongMode", f"set={p.set}: not the name of an event file of the pn")
    odf = Odf.from_environment({"SAS_ODF": str(path.parent), **ctx.env}, ctx.cwd)
    data_mode = modes[name.file_type]
    exposure = PnExposure.open(odf, name.exp_id, data_mode, [name.ccd], open_calibration(ctx), ctx.warn)
    lines = exposure.line_clock(name.ccd)
    options = options_of(Epframes, p)
    row = 0
    if lines is not None:
        pixel = camera_pixel(exposure)
        row = source_row(
            options.source, options.srcposition, data_mode, pixel, exposure.proposal, ctx.warn, ctx.info
        )
        options = replace(options, source_row=row)
    raw = frames_of_ccd(exposure, name.ccd, options, ctx.info)
    primary = exposure.keywords() | {"SRCPOS": (row or options.srcposition, "[pixel] RAWY of the source")}
    ctx.provenance(primary)
    times = None
    if lines is not None:
        times = lines.event_times(raw.stamp_s[raw.frame], raw.rawy - 1, row)
    with ctx.output(p.eventset) as temporary:
        write_raw_list(temporary, raw, primary, None, times)
    gti: GTI = raw.gti
    write_gti(ctx, p.gtiset, [gti_hdu(gti, f"STDGTI{name.ccd:02d}")])
