"""The task emproc: make MOS event lists from raw files (the other driver)."""

from __future__ import annotations

import re
from collections.abc import Callable

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.instruments.mos.options import Emenergy, Emevents, Options, parse_subtasks
from daxa.xmm.instruments.mos.products import Run, run_all
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import (
    attitude_file,
    gti_file,
    housekeeping_times,
    open_calibration,
    refuse,
    select_exposures,
)

#: Parameters of emproc that go to hkgtigen.
_HOUSEKEEPING = ("withparameters", "parameters", "except", "withoverrideparameters", "overrideparameters")
#: Switch of emproc for each type of event file.
_MODES = {"IME": "imaging", "RIE": "rimaging", "TIE": "timing", "CTE": "ctiming"}


def _filter(expression: str) -> tuple[int, str]:
    """Mask of the flags that reject, for the usual form of filterexpression, else the expression itself."""
    match = re.fullmatch(r"\(*\s*FLAG\s*&\s*(0x[0-9a-fA-F]+)\s*\)*\s*==\s*0\s*\)*", expression.strip())
    return (int(match[1], 16), "") if match else (0, expression)


@task(
    "emproc",
    "2.25.4",
    [
        Parameter("selectinstruments", "bool", False),
        Parameter("emos1", "bool", False),
        Parameter("emos2", "bool", False),
        Parameter("removetemporaries", "bool", True),
        Parameter("removeintermediategtis", "bool", True),
        Parameter("removeintermediateeventlists", "bool", True),
        Parameter("withinstexpids", "bool", False),
        Parameter("instexpids", "list", ["M1S001", "M2S001"]),
        Parameter("selectccds", "bool", False),
        *(Parameter(f"ccd{n}", "bool", False) for n in range(1, 8)),
        Parameter("selectmodes", "bool", True),
        Parameter("imaging", "bool", True),
        Parameter("rimaging", "bool", True),
        Parameter("timing", "bool", True),
        Parameter("ctiming", "bool", False),
        Parameter("withgtiset", "bool", False),
        Parameter("gtiset", "dataset", "gti.ds"),
        Parameter("runhkgtigen", "bool", True),
        Parameter("runatthkgen", "bool", True),
        Parameter("referencepointing", "choice", "median", ("median", "mean", "user")),
        Parameter("ra", "real", 0.0),
        Parameter("dec", "real", 0.0),
        Parameter("posangle", "real", 0.0),
        Parameter("filterevents", "bool", True),
        Parameter("filterexpression", "string", "(FLAG & 0x762aa000) == 0"),
        Parameter("flagfilteredevents", "bool", False),
        Parameter("rungtimerge", "bool", False),
        Parameter("applygti", "bool", True),
        Parameter("runevlistcomb", "bool", True),
        Parameter("searchforbadpixels", "bool", True),
        Parameter("badpixfindalgo", "choice", "embadpixfind", ("embadpixfind", "badpixfind")),
        Parameter("searchforbadcolumns", "bool", True),
        Parameter("withbadpixgti", "bool", False),
        Parameter("badpixgti", "dataset", "bapixgti.ds"),
        Parameter("thresholdlabel", "string", "rate"),
        Parameter("lothresh", "real", 0.0),
        Parameter("hithresh", "real", 0.005),
        Parameter("columnsearchlabel", "string", "median"),
        Parameter("locolthresh", "real", 0.0),
        Parameter("hicolthresh", "real", 0.002),
        Parameter("flickertimesteps", "int", 1),
        Parameter("flickerksthresh", "real", 0.55),
        Parameter("flickerchisqthresh", "real", 15.0),
        Parameter("backgroundrate", "real", -1.0),
        Parameter("narrowerthanpsf", "real", 3.0),
        Parameter("threshabovebackground", "bool", False),
        Parameter("loenergythresh", "real", 0.0),
        Parameter("hienergythresh", "real", 30.0),
        Parameter("useccfdarkframe", "bool", False),
        Parameter("randomizeenergy", "bool", True),
        Parameter("correctgain", "bool", True),
        Parameter("correctcti", "bool", True),
        Parameter("ontimepha", "bool", False),
        Parameter("keepsifluor", "bool", False),
        Parameter("randomizeposition", "bool", True),
        Parameter("rejectrows", "bool", True),
        Parameter("maxeventsperrow", "real", 4.0, minimum=0.0),
        Parameter("randomizetime", "bool", True),
        Parameter("withsrccoords", "bool", False),
        Parameter("srcra", "real", 0.0),
        Parameter("srcdec", "real", 0.0),
        Parameter("withparameters", "bool", False),
        Parameter("parameters", "list", ()),
        Parameter("except", "bool", False),
        Parameter("withoverrideparameters", "bool", False),
        Parameter("overrideparameters", "list", ()),
        Parameter("analyzingSciSimdata", "bool", False),
        Parameter("findlowener", "bool", True),
        Parameter("timebin", "real", 52.0, minimum=1e-3),
    ],
    open_parameters=True,
)
def emproc(ctx: TaskContext, p: Parameters) -> None:
    "Make MOS event lists from raw files (the other driver)."
    refuse(
        "emproc",
        p,
        on=("flagfilteredevents", "useccfdarkframe", "ontimepha", "analyzingSciSimdata"),
        off=("runevlistcomb", "removeintermediateeventlists"),
    )
    if p.badpixfindalgo != "embadpixfind":
        raise NotImplementedError("emproc: badpixfindalgo=badpixfind: the engine has embadpixfind only")
    mask, expression = _filter(p.filterexpression) if p.filterevents else (0, "")
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    cameras = (
        [i for i, on in (("M1", p.emos1), ("M2", p.emos2)) if on] if p.selectinstruments else ["M1", "M2"]
    )
    wanted = select_exposures(ctx, odf, cameras, [], "emproc")
    if p.withinstexpids:
        absent = [t for t in p.instexpids if (t[:2].upper(), t[2:].upper()) not in wanted]
        if absent:
            listed = " ".join("".join(w) for w in wanted)
            raise TaskError(
                "badParameter", f"emproc: parameter instexpids: no {absent[0]}; the ODF has {listed}"
            )
        wanted = sorted({(t[:2].upper(), t[2:].upper()) for t in p.instexpids})
    stem = f"{odf.revolution:04d}_{odf.obs_id}"
    options = Options(
        emevents=Emevents(
            keepsifluor=p.keepsifluor,
            randomizeposition=p.randomizeposition,
            rejectrows=p.rejectrows,
            maxeventsperrow=p.maxeventsperrow,
            randomizetime=p.randomizetime,
        ),
        emenergy=Emenergy(
            correctcti=p.correctcti, randomizeenergy=p.randomizeenergy, correctgain=p.correctgain
        ),
        find_bad_pixels=p.searchforbadpixels,
        low_energy_search=p.findlowener,
        bad_pixel_gti=gti_file(ctx, p.badpixgti) if p.withbadpixgti else None,
        reject_bad_events=p.filterevents,
        rejection_flag=mask,
        expression=expression,
        apply_ccd_gti=p.applygti,
        flare_bin_s=p.timebin,
        source=(p.srcra, p.srcdec) if p.withsrccoords else None,
    )
    run = Run(
        ctx,
        odf,
        open_calibration(ctx),
        parse_subtasks(options, p, "emproc"),
        attitude_file(ctx, odf, f"{stem}_AttHk.ds", False, p.runatthkgen),
        [n for n in range(1, 8) if p[f"ccd{n}"]] if p.selectccds else [],
        lambda instrument, exp_id, kind: f"{stem}_{INSTRUMENTS[instrument]}_{exp_id}_{kind}Evts.ds",
        gti_file(ctx, p.gtiset) if p.withgtiset else None,
        housekeeping_times(
            ctx,
            wanted,
            lambda camera: f"{stem}_{INSTRUMENTS[camera]}_HkGti.ds",
            {n: p[n] for n in _HOUSEKEEPING},
            keep=not p.removeintermediategtis,
        )
        if p.runhkgtigen
        else {},
        keep={
            kind: _between_steps(stem, end)
            for kind, end, wanted_ in (
                ("frames", "FramesTemp", not p.removetemporaries),
                ("badpix", "Badpixels", not p.removetemporaries),
                ("gti", "FrmGti", not p.removeintermediategtis),
            )
            if wanted_
        },
        average_pointing=p.referencepointing == "mean",
        pointing=(p.ra, p.dec, p.posangle) if p.referencepointing == "user" else None,
        types=tuple(t for t, name in _MODES.items() if p[name] or not p.selectmodes),
    )
    run_all(run, wanted)


def _between_steps(stem: str, end: str) -> Callable[[str, str, int], str]:
    """Name of a file between the steps, by camera, exposure and CCD."""
    return lambda camera, exp_id, ccd: f"{stem}_{INSTRUMENTS[camera]}_{exp_id}_{ccd:02d}_{end}.ds"
