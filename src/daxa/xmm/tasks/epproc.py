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
from daxa.xmm.tasks.support import housekeeping_of_chain, open_calibration
from daxa.xmm.tasks.support_pn import chain_options, common, exposures_of, open_odf, taken

#: The selection of epproc, and what it means.
_FILTER = "(PI > 150 && RAWY > 0)"
_ABOVE_150_EV = Screening(lowest_pi=150)
_TABLES = ("EXPOSURE", "BADPIX", "STDGTI", "DLIMAP", "HKAUX")
#: Those that a list can do without.
_NOT_NEEDED = {"DLIMAP", "HKAUX"}

_NO_FILES = "there are no files between the steps"
_NOISE = "belongs to runepnoise"
_FLARES = "belongs to withsoftflarescreening"

#: Good times besides those of the frames.
_GTIS = [
    Parameter("runhkgtigen", "bool", True, text="find good times by housekeeping"),
    Parameter("withparameters", "bool", False, text="hkgtigen: only the housekeeping of parameters counts"),
    Parameter("parameters", "list", (), text="hkgtigen: names of housekeeping"),
    Parameter("except", "bool", False, text="hkgtigen: all but those count"),
    Parameter("withoverrideparameters", "bool", False, text="hkgtigen: other limits for some"),
    Parameter("overrideparameters", "list", (), text="hkgtigen: those limits"),
    Parameter("withgtiset", "bool", False, text="use the good times of gtiset, too"),
    Parameter("gtiset", "dataset", "gti.ds", text="file of good times"),
    Parameter("rungtimerge", "bool", False, text="use the good times by housekeeping, too"),
    Parameter("removeintermediategtis", "bool", True, text="remove the file of good times by housekeeping"),
]
#: What has only one value, or changes nothing.
_FIXED = [
    Parameter(
        "removeintermediateeventlists", "bool", True, text="remove lists of single CCDs", only=_NO_FILES
    ),
    Parameter(
        "flagfilteredevents",
        "bool",
        False,
        text="flag what the filter rejects",
        only="rejected events are left out",
    ),
    Parameter(
        "applygti",
        "bool",
        True,
        text="apply good times",
        only="events outside good times are always left out",
    ),
    Parameter(
        "runevlistcomb", "bool", True, text="join the CCDs", only="the list is always that of all CCDs"
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
        "analyzingSciSimdata",
        "bool",
        False,
        text="data are those of the simulator SciSim",
        only="such data are not told apart",
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
        Parameter("withinstexpids", "bool", False, text="only the exposures of instexpids"),
        Parameter("instexpids", "list", (), text="exposures, as in PNS003"),
        Parameter("selectccds", "bool", False, text="only the CCDs that are switched on below"),
        *(Parameter(f"ccd{i}", "bool", False, text=f"process CCD {i}") for i in range(1, 13)),
        Parameter("selectmodes", "bool", True, text="only the data modes that are switched on below"),
        Parameter("imaging", "bool", True, text="process imaging exposures"),
        Parameter("timing", "bool", True, text="process timing exposures"),
        Parameter("burst", "bool", False, text="process burst exposures"),
        *taken("runatthkgen timestep"),
        Parameter(
            "referencepointing",
            "choice",
            "median",
            ("median", "mean", "user"),
            text="pointing that sky coordinates refer to: of the attitude, or ra, dec and posangle (user)",
        ),
        Parameter(
            "ra", "real", 0.0, minimum=0, maximum=360, text="right ascension of that pointing", unit="deg"
        ),
        Parameter(
            "dec", "real", 0.0, minimum=-90, maximum=90, text="declination of that pointing", unit="deg"
        ),
        Parameter("posangle", "real", 0.0, minimum=0, maximum=360, text="its position angle", unit="deg"),
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
        Parameter("filterevents", "bool", True, text="leave out events"),
        Parameter("filterexpression", "string", _FILTER, text="which events stay"),
        Parameter("othertables", "list", _TABLES, text="extensions besides the events"),
        Parameter("searchforbadpixels", "bool", True, text="search for bad pixels"),
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
    for number, (exp_id, data_mode) in enumerate(chosen):
        kind = "Imaging" if data_mode == "IMAGING" else "Timing"
        request = Request(
            exp_id,
            data_mode,
            ccds,
            chain_options(ctx, p, exp_id, data_mode, _screening(p)),
            output=f"{root}_EPN_{exp_id}_{kind}Evts.ds",
            attitude=f"{root}_AttHk.ds",
            stage=f"rawevents_PN{exp_id}.npz",
            run_atthkgen=p.runatthkgen and number == 0,
            timestep=p.timestep,
            gti=gti,
            reference=p.referencepointing,
            user=(p.ra, p.dec, p.posangle),
            leave_out=frozenset(left_out),
            pileup=f"{root}_EPN_{exp_id}" if p.pileuptempfile else "",
        )
        run_exposure(ctx, odf, cal, request)


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
        names = ("withparameters", "parameters", "except", "withoverrideparameters", "overrideparameters")
        found = housekeeping_of_chain(ctx, "epn", name, {n: p[n] for n in names}, needed=p.rungtimerge)
        if p.rungtimerge and found is not None:
            gti = found if gti is None else gti & found
        if own and p.removeintermediategtis:
            ctx.path(name).unlink(missing_ok=True)
    return gti
