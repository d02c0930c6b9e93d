"""The task epchain: make pn event lists: one exposure of an ODF, or all of a data mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.instruments.pn.options import Request
from daxa.xmm.instruments.pn.raw import parse_ccds
from daxa.xmm.instruments.pn.reduce import run_exposure
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_pn import (
    BADPIX,
    EVENTS,
    FRAMES,
    LOWER_THRESHOLD,
    OTHER_TASKS,
    calibration_options,
    choose,
    open_exposure,
    parts_of,
)

# --- tasks -------------------------------------------------------------------------------------------


@task(
    "epchain",
    "8.82.2",
    [
        Parameter("odf", "string"),
        Parameter("odfaccess", "choice", "oal", ("oal", "odf", "name", "all")),
        Parameter("schedule", "choice", "S", ("S", "U")),
        Parameter("datamode", "choice", "IMAGING", ("IMAGING", "TIMING", "BURST", "ALL")),
        Parameter("exposure", "int", 1, minimum=0, maximum=999),
        Parameter("ccds", "string", "1-12"),
        Parameter("keepintermediate", "choice", "none", ("all", "raw", "cal", "clean", "notmerged", "none")),
        Parameter("usecanonicalnames", "bool", True),
        Parameter("outset", "dataset", "events.fits"),
        Parameter("runradmonfix", "bool", True),
        Parameter("runatthkgen", "bool", True),
        Parameter("timestep", "real", 1.0, minimum=0.001),
        Parameter("runepframes", "bool", True),
        Parameter("runbadpixfind", "bool", True),
        Parameter("runbadpix", "bool", True),
        Parameter("runepevents", "bool", True),
        Parameter("runattcalc", "bool", True),
        Parameter("runbackground", "bool", True),
        Parameter("withrdpha", "bool", False),
        Parameter("screenlowthresh", "int", 150, minimum=0),
        Parameter("screenrejected", "bool", True),
        Parameter("withoffsetlist", "bool", False),
        Parameter("odilist", "dataset", "odilist.txt"),
        LOWER_THRESHOLD,
        *FRAMES,
        *BADPIX,
        *EVENTS,
        *OTHER_TASKS,
    ],
)
def epchain(ctx: TaskContext, p: Parameters) -> None:
    """Make pn event lists: one exposure of an ODF, or all of a data mode."""
    folder = str(Path(p.odf).parent) if p.odfaccess == "name" and p.odf else p.odf
    ccds = tuple(parse_ccds(p.ccds))
    for name in ("runepevents", "runattcalc"):
        if not p[name]:
            raise NotImplementedError(f"{name}=no: the chain cannot leave out this step")
    # As logs of real runs show it, the selection goes by energy and row alone: flagged events stay.
    mask = int(PnFlag.DETECTOR_NOISE) if p.screenrejected else 0
    options = parts_of(p, {"screenlowthresh": p.screenlowthresh, "mask": mask})
    if folder:
        # The tasks inside read the same files.
        ctx = replace(ctx, env={**ctx.env, "SAS_ODF": folder})
    odf, cal = open_exposure(ctx, folder)
    if p.runbackground and "runbackground" in p.given:
        ctx.warn("noBackground", "runbackground=yes: masks and light curve of the background are not made")
    imaging = {(False, False): "PI", (True, False): "OO", (False, True): "PS", (True, True): "OS"}[
        p.withoutoftime, p.withctisrcpos
    ]
    for exp_id, data_mode in choose(ctx, odf, p):
        root = f"P{odf.obs_id}PN{exp_id}"
        kind = imaging if data_mode == "IMAGING" else "TI"
        reuse = not (p.runepframes or p.runbadpixfind or p.runbadpix)
        if not reuse and not p.runepframes:
            ctx.info("runepframes=no: bad pixels are wanted anew, so the frames are read again")
        run_exposure(
            ctx,
            odf,
            cal,
            Request(
                exp_id,
                data_mode,
                ccds,
                f"{root}{kind}EVLI0000.FIT" if p.usecanonicalnames else p.outset,
                f"P{odf.obs_id}OBX000ATTTSR0000.FIT" if p.usecanonicalnames else "atthk.dat",
                f"rawevents_PN{exp_id}.npz",
                reuse=reuse,
                keep=p.keepintermediate in ("raw", "all"),
                run_atthkgen=p.runatthkgen,
                timestep=p.timestep,
                **{**options, **calibration_options(ctx, p, exp_id, data_mode, options["raw"])},
            ),
        )
