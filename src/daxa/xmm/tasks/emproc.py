"""The task emproc: make MOS event lists from raw files (the other driver)."""

from __future__ import annotations

import re
from dataclasses import replace

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, STEPS, Emenergy, Emevents, Options, with_steps
from daxa.xmm.instruments.mos.products import FileNames, GoodTimes, Reference, Run, Selection, run_all
from daxa.xmm.instruments.pn.options import Badpixfind, Epframes
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import (
    HOUSEKEEPING,
    attitude_file,
    gti_file,
    housekeeping_times,
    open_calibration,
    select_exposures,
)
from daxa.xmm.tasks.support_mos import flag_mask
from daxa.xmm.tasks.support_proc import proc_parameters

#: Switch of emproc for each type of event file.
_MODES = {"IME": "imaging", "RIE": "rimaging", "TIE": "timing", "CTE": "ctiming"}


def _filter(expression: str) -> tuple[int, str]:
    """Mask of the flags that reject, for the usual form of filterexpression, else the expression itself."""
    match = re.fullmatch(r"\(*\s*FLAG\s*&\s*(0x[0-9a-fA-F]+)\s*\)*\s*==\s*0\s*\)*", expression.strip())
    return (flag_mask(match[1], "emproc: parameter filterexpression"), "") if match else (0, expression)


OTHER_SEARCH = "embadpixfind has its own parameters, given as embadpixfind:name=value"


#: Parameters of badpixfind, which does not search here, with emproc's defaults.
_OF_BADPIXFIND = [
    replace(p, without_effect=OTHER_SEARCH, only="", minimum=None)
    for p in parameters_of(
        Badpixfind, "thresholdlabel", "lothresh", "hithresh", "columnsearchlabel", "locolthresh",
        "hicolthresh", "flickertimesteps", "flickerksthresh", "flickerchisqthresh", "backgroundrate",
        "narrowerthanpsf", "threshabovebackground", "loenergythresh", "hienergythresh",
        hithresh=0.005, hicolthresh=0.002, backgroundrate=-1.0, narrowerthanpsf=3.0, loenergythresh=0.0,
        hienergythresh=30.0,
    )
]  # fmt: skip


@task(
    "emproc",
    "2.25.4",
    [
        *proc_parameters(
            ccds=7, instexpids=("M1S001", "M2S001"), filterexpression=f"(FLAG & {REJECTION_FLAG:#x}) == 0"
        ),
        Parameter("selectinstruments", "bool", False, text="process only cameras that are switched on"),
        Parameter("emos1", "bool", False, text="process EMOS1, with selectinstruments"),
        Parameter("emos2", "bool", False, text="process EMOS2, with selectinstruments"),
        Parameter(
            "removetemporaries", "bool", True, text="do not keep frames and found bad pixels of each CCD"
        ),
        Parameter(
            "removeintermediategtis",
            "bool",
            True,
            text="do not keep good times of frames and of housekeeping",
        ),
        Parameter("rimaging", "bool", True, text="process CCDs in reduced imaging mode"),
        Parameter("ctiming", "bool", False, text="process CCDs in compressed timing mode"),
        Parameter("runatthkgen", "bool", True, text="make the attitude file where there is none"),
        Parameter(
            "rungtimerge", "bool", False, text="merge good times", without_effect="they are, in memory"
        ),
        Parameter(
            "applygti",
            "bool",
            Options.apply_ccd_gti,
            text="leave out events outside the good times of their CCD",
        ),
        Parameter(
            "badpixfindalgo",
            "choice",
            "embadpixfind",
            ("embadpixfind", "badpixfind"),
            text="task that searches for bad pixels",
            only="badpixfind is for the pn",
        ),
        Parameter(
            "searchforbadcolumns", "bool", True, text="search for bad columns", without_effect=OTHER_SEARCH
        ),
        Parameter(
            "withbadpixgti", "bool", False, text="search for bad pixels in the times of badpixgti only"
        ),
        Parameter("badpixgti", "dataset", "bapixgti.ds", text="times in which bad pixels are searched"),
        *_OF_BADPIXFIND,
        Parameter(
            "useccfdarkframe",
            "bool",
            False,
            text="use dark frames of the calibration",
            only="the background is measured beside the events",
        ),
        *parameters_of(Emenergy, "randomizeenergy", "correctgain", "correctcti"),
        Parameter(
            "ontimepha",
            "bool",
            False,
            text="PHA in a way of which no public text tells",
            only="PHA is worked out in the documented way",
        ),
        *parameters_of(
            Emevents, "keepsifluor", "randomizeposition", "rejectrows", "maxeventsperrow", "randomizetime"
        ),
        *parameters_of(Epframes, "withsrccoords", "srcra", "srcdec"),
        Parameter(
            "findlowener",
            "bool",
            Options.low_energy_search,
            text=f"search once more for bad pixels below {Options.low_energy_ev:g} eV",
        ),
        Parameter(
            "timebin",
            "real",
            Options.flare_bin_s,
            unit="s",
            minimum=1e-3,
            text="bin of the light curve of flares, whose times the search for bad pixels leaves out",
        ),
    ],
    steps=STEPS,
)
def emproc(ctx: TaskContext, p: Parameters) -> None:
    """Make MOS event lists from raw files (the other driver).

    The same steps as in emchain, with other names of files and of parameters.
    """
    options = _options(ctx, p)
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
    housekeeping: dict[str, GTI] = {}
    if p.runhkgtigen:
        housekeeping = housekeeping_times(
            ctx,
            wanted,
            lambda camera: f"{stem}_{INSTRUMENTS[camera]}_HkGti.ds",
            {q.name: p[q.name] for q in HOUSEKEEPING},
            keep=not p.removeintermediategtis,
        )
    run = Run(
        ctx,
        odf,
        open_calibration(ctx),
        options,
        attitude_file(ctx, odf, f"{stem}_AttHk.ds", False, p.runatthkgen),
        FileNames(
            {kind: f"{stem}_{{scope}}_{{exp_id}}_{kind}Evts.ds" for kind in ("Imaging", "Timing")},
            _kept_files(p, f"{stem}_{{scope}}_{{exp_id}}_{{ccd:02d}}"),
        ),
        Selection(
            tuple(n for n in range(1, 8) if p[f"ccd{n}"]) if p.selectccds else (),
            tuple(t for t, name in _MODES.items() if p[name] or not p.selectmodes),
        ),
        GoodTimes(gti_file(ctx, p.gtiset) if p.withgtiset else None, housekeeping),
        Reference(
            (p.ra, p.dec, p.posangle) if p.referencepointing == "user" else None,
            p.referencepointing == "mean",
        ),
    )
    run_all(run, wanted)


def _options(ctx: TaskContext, p: Parameters) -> Options:
    """What the parameters choose for the steps, those of single steps last."""
    mask, expression = _filter(p.filterexpression) if p.filterevents else (0, "")
    options = Options(
        emevents=options_of(Emevents, p),
        emenergy=options_of(Emenergy, p),
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
    return with_steps(options, p)


def _kept_files(p: Parameters, stem: str) -> dict[str, str]:
    """Names of the files between the steps, for those that are wanted."""
    names: dict[str, str] = {}
    if not p.removetemporaries:
        names |= {"frames": f"{stem}_FramesTemp.ds", "badpix": f"{stem}_Badpixels.ds"}
    if not p.removeintermediategtis:
        names["gti"] = f"{stem}_FrmGti.ds"
    return names
