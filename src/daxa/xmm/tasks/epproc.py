"""The task epproc: make the event lists of all pn exposures of an ODF."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.pn.options import Request
from daxa.xmm.instruments.pn.reduce import run_exposure
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import Files
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks import support_pn as fixed
from daxa.xmm.tasks.support_pn import (
    BADPIX,
    EVENTS,
    FRAMES,
    LOWER_THRESHOLD,
    OTHER_TASKS,
    calibration_options,
    exposures_of,
    open_exposure,
    parts_of,
)

#: The selection of epproc, and an energy that all events are above.
_FILTER = "(PI > 150 && RAWY > 0)"
_LOWEST_PI = -32768

#: Good times besides those of the frames.
_GTIS = [
    Parameter("runhkgtigen", "bool", True),
    Parameter("withparameters", "bool", False),
    Parameter("parameters", "list", ()),
    Parameter("except", "bool", False),
    Parameter("withoverrideparameters", "bool", False),
    Parameter("overrideparameters", "list", ()),
    Parameter("withgtiset", "bool", False),
    Parameter("gtiset", "dataset", "gti.ds"),
    Parameter("rungtimerge", "bool", False),
    Parameter("removeintermediategtis", "bool", True),
]


def _filter(p: Parameters) -> dict[str, Any]:
    """Which events epproc keeps: by default those above 150 eV, whatever their flags."""
    if not p.filterevents:
        return {"screenlowthresh": _LOWEST_PI, "mask": 0}
    if p.filterexpression.replace(" ", "") == _FILTER.replace(" ", ""):
        return {"screenlowthresh": 150, "mask": 0}
    return {"screenlowthresh": _LOWEST_PI, "mask": 0, "filterexpression": p.filterexpression}


def _good_times(ctx: TaskContext, p: Parameters, root: str) -> GTI | None:
    """Good times that epproc adds to those of the frames: the user's, and by housekeeping.

    As in SAS, those by housekeeping are found by default but used only with ``rungtimerge``.
    """
    gti = Files(ctx.cwd).gti(p.gtiset) if p.withgtiset else None
    if p.runhkgtigen:
        from daxa.xmm.tasks.support import housekeeping_of_chain

        name = f"{root}_EPN_HkGti.ds"
        own = not ctx.path(name).is_file()
        names = ("withparameters", "parameters", "except", "withoverrideparameters", "overrideparameters")
        found = housekeeping_of_chain(ctx, "epn", name, {n: p[n] for n in names}, needed=p.rungtimerge)
        if p.rungtimerge and found is not None:
            gti = found if gti is None else gti & found
        if own and p.removeintermediategtis:
            ctx.path(name).unlink(missing_ok=True)
    return gti


@task(
    "epproc",
    "2.26.1",
    [
        Parameter("withinstexpids", "bool", False),
        Parameter("instexpids", "list", ()),
        Parameter("selectccds", "bool", False),
        *(Parameter(f"ccd{i}", "bool", False) for i in range(1, 13)),
        Parameter("selectmodes", "bool", True),
        Parameter("imaging", "bool", True),
        Parameter("timing", "bool", True),
        Parameter("burst", "bool", False),
        Parameter("runatthkgen", "bool", True),
        Parameter("timestep", "real", 1.0, minimum=0.001),
        Parameter("referencepointing", "choice", "median", ("median", "mean", "user")),
        Parameter("ra", "real", 0.0, minimum=0, maximum=360),
        Parameter("dec", "real", 0.0, minimum=-90, maximum=90),
        Parameter("posangle", "real", 0.0, minimum=0, maximum=360),
        Parameter("timingsrcposition", "int", 190, minimum=1, maximum=200),
        Parameter("pileuptempfile", "bool", False),
        Parameter("filterevents", "bool", True),
        Parameter("filterexpression", "string", _FILTER),
        Parameter("othertables", "list", ("EXPOSURE", "BADPIX", "STDGTI", "DLIMAP", "HKAUX")),
        Parameter("searchforbadpixels", "bool", True),
        Parameter("searchforbadcolumns", "bool", True),
        Parameter("withrdpha", "bool", True),
        replace(LOWER_THRESHOLD, default=0),
        *FRAMES,
        *BADPIX,
        *EVENTS,
        *OTHER_TASKS,
        *_GTIS,
        *fixed.PARAMETERS,
    ],
)
def epproc(ctx: TaskContext, p: Parameters) -> None:
    """Make the event lists of all pn exposures of an ODF."""
    fixed.refuse_changes(p)
    options = parts_of(p, _filter(p))
    left_out = {"EXPOSURE", "BADPIX", "STDGTI", "DLIMAP", "HKAUX"} - set(p.othertables)
    if not left_out <= {"DLIMAP", "HKAUX"} or len(p.othertables) + len(left_out) != 5:
        raise NotImplementedError(
            f"othertables={' '.join(p.othertables)}: only DLIMAP and HKAUX can be left out, and none added"
        )
    odf, cal = open_exposure(ctx, None)
    ccds = tuple(i for i in range(1, 13) if p[f"ccd{i}"]) if p.selectccds else tuple(range(1, 13))
    if not ccds:
        raise TaskError("ccdlist", "selectccds=yes: none of ccd1 to ccd12 is set")
    wanted = {"IMAGING": p.imaging, "TIMING": p.timing, "BURST": p.burst}
    found = [(e, m) for e, m in exposures_of(odf, "ALL") if wanted[m] or not p.selectmodes]
    if p.withinstexpids:
        ids = {name.upper().removeprefix("PN") for name in p.instexpids}
        found = [(e, m) for e, m in found if e in ids]
    if not found:
        raise TaskError("exposure", f"{odf.folder}: no pn exposure of the wanted modes")
    root = f"{odf.revolution:04d}_{odf.obs_id}"
    gti = _good_times(ctx, p, root)
    for number, (exp_id, data_mode) in enumerate(found):
        kind = "Imaging" if data_mode == "IMAGING" else "Timing"
        run_exposure(
            ctx,
            odf,
            cal,
            Request(
                exp_id,
                data_mode,
                ccds,
                f"{root}_EPN_{exp_id}_{kind}Evts.ds",
                f"{root}_AttHk.ds",
                f"rawevents_PN{exp_id}.npz",
                run_atthkgen=p.runatthkgen and number == 0,
                gti=gti,
                reference=p.referencepointing,
                user=(p.ra, p.dec, p.posangle),
                leave_out=frozenset(left_out),
                pileup=f"{root}_EPN_{exp_id}" if p.pileuptempfile else "",
                timestep=p.timestep,
                **{**options, **calibration_options(ctx, p, exp_id, data_mode, options["raw"])},
            ),
        )
