"""The task epproc: make the event lists of all pn exposures of an ODF."""

from __future__ import annotations

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.pn.options import Epframes, Request, Screening
from daxa.xmm.instruments.pn.reduce import run_exposure
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import Files
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import HOUSEKEEPING, for_each, housekeeping_of_chain, open_calibration
from daxa.xmm.tasks.support_pn import chain_options, common, exposures_of, open_odf, taken
from daxa.xmm.tasks.support_proc import proc_parameters

#: The selection of epproc, and what it means.
_FILTER = "(PI > 150 && RAWY > 0)"
_ABOVE_150_EV = Screening(lowest_pi=150)
_TABLES = ("EXPOSURE", "BADPIX", "STDGTI", "DLIMAP", "HKAUX")
#: Those that a list can do without.
_NOT_NEEDED = {"DLIMAP", "HKAUX"}

_NOISE = "belongs to runepnoise"
_FLARES = "belongs to withsoftflarescreening"

#: Good times besides those of the frames.
_GTIS = [
    Parameter("rungtimerge", "bool", False, text="use the good times by housekeeping, too"),
    Parameter("removeintermediategtis", "bool", True, text="remove the file of good times by housekeeping"),
]
#: What has only one value, or changes nothing.
_FIXED = [
    Parameter(
        "applygti",
        "bool",
        True,
        text="apply good times",
        only="events outside good times are always left out",
    ),
    Parameter(
        "deleteexposurecolumns",
        "bool",
        True,
        text="remove columns that only epexposure needs",
        only="such columns are not made",
    ),
    *taken(
        "columnsearchlabel flickertimesteps ctilongtermsoft withframecti checksasmip setupbpx guessdeltap "
        "mipdist mipdiscard"
    ),
    Parameter(
        "runepnoise",
        "bool",
        False,
        text="leave out frames with soft noise",
        only="epnoise is not implemented",
    ),
    *taken("badcolumnset withsoftflarescreening"),
    Parameter(
        "removetemporaries",
        "bool",
        True,
        text="remove temporary files",
        without_effect="no temporary files are written",
    ),
    *taken(
        "spatialexposure patternanalysis mappatterntype withtempcorrection withbackgroundgain backgroundtres "
        "backgroundtbin rdphatimebinsize"
    ),
    Parameter("sigmacut", "string", "3", text="significance of noise", without_effect=_NOISE),
    Parameter("noisecut", "string", "2", text="level of noise", without_effect=_NOISE),
    Parameter("savemasks", "bool", False, text="keep masks", without_effect=_NOISE),
    Parameter("applyfilter", "bool", True, text="leave out noisy frames", without_effect=_NOISE),
    Parameter("softflarethreshold1", "string", "10", text="first threshold", without_effect=_FLARES),
    Parameter("softflarethreshold2", "string", "1", text="second threshold", without_effect=_FLARES),
    Parameter("softflaresmooth", "string", "BOX", text="how the curve is smoothed", without_effect=_FLARES),
    Parameter("softflareenergyrange", "string", "40 50", text="range of the curve", without_effect=_FLARES),
    Parameter(
        "softflaresmoothparams", "string", "2 0 0", text="parameters of the smoothing", without_effect=_FLARES
    ),
]


@task(
    "epproc",
    "2.26.1",
    [
        *proc_parameters(ccds=12, instexpids=(), filterexpression=_FILTER),
        Parameter("burst", "bool", False, text="process CCDs in burst mode"),
        *taken("runatthkgen timestep"),
        Parameter(
            "timingsrcposition",
            "int",
            Epframes.srcposition,
            minimum=1,
            maximum=200,
            text="fast modes: RAWY of the source, if given",
            unit="pixel",
        ),
        Parameter("pileuptempfile", "bool", False, text="keep a raw list per CCD, for studies of pile-up"),
        Parameter("othertables", "list", _TABLES, text="extensions besides the events"),
        Parameter("searchforbadcolumns", "bool", True, text="search for bad columns, too"),
        *taken("withrdpha", withrdpha=True),
        *common(lowerthreshold=0),
        *_GTIS,
        *_FIXED,
    ],
)
def epproc(ctx: TaskContext, p: Parameters) -> None:
    """Make the event lists of all pn exposures of an ODF."""
    left_out = set(_TABLES) - set(p.othertables)
    if not left_out <= _NOT_NEEDED or len(p.othertables) + len(left_out) != len(_TABLES):
        raise NotImplementedError(
            f"othertables={' '.join(p.othertables)}: only DLIMAP and HKAUX can be left out, and none added"
        )
    odf, cal = open_odf(ctx, None), open_calibration(ctx)
    ccds = tuple(i for i in range(1, 13) if p[f"ccd{i}"] or not p.selectccds)
    if not ccds:
        raise TaskError("ccdlist", "selectccds=yes: none of ccd1 to ccd12 is set")
    chosen = _chosen(odf, p)
    root = f"{odf.revolution:04d}_{odf.obs_id}"
    gti = _good_times(ctx, p, root)
    made: list[str] = []

    def reduce(exposure: tuple[str, str]) -> None:
        exp_id, data_mode = exposure
        kind = "Imaging" if data_mode == "IMAGING" else "Timing"
        request = Request(
            exp_id,
            data_mode,
            ccds,
            chain_options(ctx, p, exp_id, data_mode, _screening(p)),
            output=f"{root}_EPN_{exp_id}_{kind}Evts.ds",
            attitude=f"{root}_AttHk.ds",
            stage=f"rawevents_PN{exp_id}.npz",
            run_atthkgen=p.runatthkgen and not made,
            timestep=p.timestep,
            gti=gti,
            reference=p.referencepointing,
            user=(p.ra, p.dec, p.posangle),
            leave_out=frozenset(left_out),
            pileup=f"{root}_EPN_{exp_id}" if p.pileuptempfile else "",
        )
        run_exposure(ctx, odf, cal, request)
        made.append(exp_id)

    for_each(ctx, chosen, lambda exposure: f"PN{exposure[0]}", reduce)


def _screening(p: Parameters) -> Screening:
    """Which events stay: by default those above 150 eV, whatever their flags."""
    if not p.filterevents:
        return Screening()
    if p.filterexpression.replace(" ", "") == _FILTER.replace(" ", ""):
        return _ABOVE_150_EV
    return Screening(expression=p.filterexpression)


def _chosen(odf: Odf, p: Parameters) -> list[tuple[str, str]]:
    """Exposures to process, with the data mode of each."""
    wanted = {"IMAGING": p.imaging, "TIMING": p.timing, "BURST": p.burst}
    found = [(e, m) for e, m in exposures_of(odf, "ALL") if wanted[m] or not p.selectmodes]
    if p.withinstexpids:
        ids = {name.upper().removeprefix("PN") for name in p.instexpids}
        found = [(e, m) for e, m in found if e in ids]
    if not found:
        raise TaskError("exposure", f"{odf.folder}: no pn exposure of the wanted modes")
    return found


def _good_times(ctx: TaskContext, p: Parameters, root: str) -> GTI | None:
    """Good times that epproc adds to those of the frames: the user's, and by housekeeping.

    As in SAS, those by housekeeping are found by default but used only with ``rungtimerge``.
    """
    gti = Files(ctx.cwd).gti(p.gtiset) if p.withgtiset else None
    if p.runhkgtigen:
        name = f"{root}_EPN_HkGti.ds"
        own = not ctx.path(name).is_file()
        chosen = {q.name: p[q.name] for q in HOUSEKEEPING}
        found = housekeeping_of_chain(ctx, "epn", name, chosen, needed=p.rungtimerge)
        if p.rungtimerge and found is not None:
            gti = found if gti is None else gti & found
        if own and p.removeintermediategtis:
            ctx.path(name).unlink(missing_ok=True)
    return gti
