"""The task rgsproc: make event lists of the RGS from raw files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.rgs import REJECTION_FLAGS
from daxa.xmm.instruments.rgs.files import OTHER_TABLES
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGES = ("1:events", "2:angles", "3:filter", "4:spectra", "5:fluxing", "6:lightcurve")
#: Stages of this engine.
LAST = 3
#: Housekeeping parameter (input buffer full) that counts only with includeinputfifofull=no.
_LEFT_OUT = {"R1": "G5063", "R2": "L5063"}
#: Switches that the engine does not have, and what they must be.
_FIXED: dict[str, bool] = {
    "withepicset": False,
    "calcoffsets": False,
    "withoffsethistogram": False,
    "withdetcoord": False,
    "embadpixalgo": False,
    "keepcool": True,
    "withpointingcolumn": False,
    "withmlambdacolumn": True,
}
#: Parameters that go to a sub-task under the same name.
_PASSED = {
    "rgsenergy": ("withdiagoffset", "withgain", "withcti"),
    "rgsbadpix": (
        "withadvisory", "withfoundhot", "pixnoiselimit", "colnoiselimit", "pixsharpness", "colsharpness",
    ),
    "rgsevents": ("reconstruct",),
    "rgsangles": (
        "betamin", "betamax", "betabinref", "betabinwidth", "betabinning", "nbetabins", "xdispmin",
        "xdispmax", "xdispbinref", "xdispbinwidth", "xdispbinning", "nxdispbins", "lambdabinref",
        "lambdabinwidth", "nlambdabins", "withheliocentriccorr",
    ),
    "rgsfilter": ("rejflags", "withcombmap", "driftbinsize", "spectrumbinning"),
}  # fmt: skip


class _Files:
    """Names of the files of one exposure."""

    def __init__(self, p: Parameters, odf: Odf, instrument: str, exp_id: str) -> None:
        self.prefix = p.prefix if p.withprefix else f"P{odf.obs_id}"
        self.stem = f"{self.prefix}{instrument}{exp_id}"

    def __call__(self, code: str, number: str = "0000") -> str:
        return f"{self.stem}{code}{number}.FIT"

    @property
    def attitude(self) -> str:
        return f"{self.prefix}OBX000ATTTSR0000.FIT"


def _chosen(odf: Odf, p: Parameters) -> list[tuple[str, str]]:
    found = [(i, e) for i in ("R1", "R2") for e in odf.exposures(i)]
    if not p.withinstexpids:
        if not found:
            raise TaskError("MissingData", f"{odf.folder}: no event file of R1 or R2")
        return found
    wanted = []
    for text in p.instexpids:
        name = OdfName.parse(Path(text).name)
        key = (name.instrument, name.exp_id) if name else (text[:2].upper(), text[2:].upper())
        if key not in found:
            listed = " ".join("".join(f) for f in found) or "none"
            raise TaskError("badParameter", f"rgsproc: parameter instexpids: no {text}; the ODF has {listed}")
        wanted.append(key)
    if not wanted:
        raise TaskError("badParameter", "rgsproc: parameter instexpids: no exposure is named")
    return sorted(set(wanted))


@task(
    "rgsproc",
    "1.39",
    [
        Parameter("entrystage", "choice", "1:events", STAGES),
        Parameter("finalstage", "choice", "5:fluxing", STAGES),
        Parameter("withinstexpids", "bool", False),
        Parameter("instexpids", "list", ()),
        Parameter("orders", "list", ("1", "2")),
        Parameter("expunge", "list", ("events",)),
        Parameter("spectrumbinning", "choice", "lambda", ("lambda", "beta")),
        Parameter("withprefix", "bool", False),
        Parameter("prefix", "string", ""),
        Parameter("timestep", "real", 1.0),
        Parameter("driftlimit", "real", 5.0, minimum=0.0),
        Parameter("onlylastatt", "bool", False),
        Parameter("withepicset", "bool", False),
        Parameter("epicset", "dataset", ""),
        Parameter("withsrc", "bool", False),
        Parameter("srclabel", "string", "USER"),
        Parameter("srcrate", "real", 0.0, minimum=0.0),
        Parameter("srcstyle", "choice", "radec", ("radec", "wrtatt")),
        Parameter("srcra", "real", -999.0),
        Parameter("srcdec", "real", -999.0),
        Parameter("srcdisp", "real", 0.0),
        Parameter("srcxdsp", "real", 0.0),
        Parameter("attstyle", "choice", "expmedian", ("start", "mean", "median", "expmedian", "user")),
        Parameter("attra", "real", -999.0),
        Parameter("attdec", "real", -999.0),
        Parameter("attapos", "real", -999.0),
        Parameter("includeinputfifofull", "bool", True),
        Parameter("calcoffsets", "bool", False),
        Parameter("withoffsethistogram", "bool", False),
        Parameter("withdiagoffset", "bool", True),
        Parameter("withgain", "bool", True),
        Parameter("withcti", "bool", True),
        Parameter("withadvisory", "bool", True),
        Parameter("badpixalgo", "string", "badpixalgo"),
        Parameter("embadpixalgo", "bool", False),
        Parameter("withfoundhot", "bool", True),
        Parameter("keepcool", "bool", True),
        Parameter("pixnoiselimit", "real", 0.0),
        Parameter("colnoiselimit", "real", 250.0),
        Parameter("pixsharpness", "real", 5.0),
        Parameter("colsharpness", "real", 8.0),
        Parameter("detcoord", "choice", "cam", ("cam", "sac", "row")),
        Parameter("withdetcoord", "bool", False),
        Parameter("reconstruct", "bool", True),
        Parameter("betabinning", "choice", "binSize", ("binSize", "binCount")),
        Parameter("betabinref", "real", 0.03578524),
        Parameter("betabinwidth", "real", 1.208e-05),
        Parameter("nbetabins", "int", 3400, minimum=1),
        Parameter("betamin", "real", 0.03),
        Parameter("betamax", "real", 0.08),
        Parameter("xdispbinning", "choice", "binSize", ("binSize", "binCount")),
        Parameter("xdispbinref", "real", -0.0009126),
        Parameter("xdispbinwidth", "real", 1.08e-05),
        Parameter("nxdispbins", "int", 170, minimum=1),
        Parameter("xdispmin", "real", -0.001),
        Parameter("xdispmax", "real", 0.001),
        Parameter("withpointingcolumn", "bool", False),
        Parameter("withmlambdacolumn", "bool", True),
        Parameter("withheliocentriccorr", "bool", True),
        Parameter("withsunanglecorr", "bool", True),
        Parameter("rejflags", "list", REJECTION_FLAGS),
        Parameter("driftbinsize", "real", 1.0),
        Parameter("withcombmap", "bool", True),
        Parameter("auxgtitables", "list", ()),
        *(
            # Stages 4 to 6: known, so that scripts with them are understood.
            Parameter(name, "string", default)
            for name, default in (
                ("spatialres", "5"),
                ("orderres", "3"),
                ("xpsfincl", "95"),
                ("xpsfexcl", "98"),
                ("pdistincl", "95"),
                ("withpicutoff", "no"),
                ("picutoff", "0"),
                ("xdspregions", ""),
                ("xdspbackground", ""),
                ("procsrcsexpr", "INDEX==#PRIMESRC"),
                ("exclsrcsexpr", "INDEX==#PRIMESRC"),
                ("bkgcorrect", "no"),
                ("withbkgset", "yes"),
                ("withbackgroundmodel", "no"),
                ("edgechannels", "2"),
                ("rebin", "1"),
                ("withfracexp", "no"),
                ("exposed", "0.1"),
                ("badquality", "1"),
                ("witharffile", "no"),
                ("rmfbins", "4000"),
                ("fftdim", "3"),
                ("withmirrorpsf", "yes"),
                ("withangdist", "no"),
                ("angdistset", "angdist.txt"),
                ("mergeorders", "no"),
                ("flxformat", "dal"),
                ("flxmode", "wavelength"),
                ("flxmin", "4"),
                ("flxmax", "40"),
                ("flxbins", "3600"),
                ("flxquality", "0"),
                ("withflxnan", "no"),
                ("flxnan", "0"),
                ("withdyneffarea", "yes"),
                ("withrectification", "yes"),
                ("witheffectiveareacorrection", "yes"),
            )
        ),
        Parameter("lambdabinref", "real", 4.005),
        Parameter("lambdabinwidth", "real", 0.01),
        Parameter("nlambdabins", "int", 3600, minimum=1),
        Parameter("withheliocorr", "bool", False),
        Parameter("timebinsize", "real", 1000.0),
        Parameter("withbkgsubtraction", "bool", True),
    ],
)
def rgsproc(ctx: TaskContext, p: Parameters) -> None:
    """Make event lists of the RGS from raw files."""
    from daxa.xmm.ccf.calibration import Calibration

    first, last = STAGES.index(p.entrystage) + 1, STAGES.index(p.finalstage) + 1
    if last < first:
        raise TaskError(
            "badParameter", f"rgsproc: finalstage={p.finalstage} comes before entrystage={p.entrystage}"
        )
    if last > LAST:
        raise NotImplementedError(
            f"rgsproc: finalstage={p.finalstage}: the embedded engine goes to {STAGES[LAST - 1]} "
            "(spectra and responses need constituents whose layout is not public)"
        )
    for name, value in _FIXED.items():
        if p[name] != value:
            text = "yes" if p[name] else "no"
            raise NotImplementedError(f"rgsproc: {name}={text} is not supported by the embedded engine")
    if p.withsunanglecorr and "withsunanglecorr" in p.given:
        raise NotImplementedError(
            "rgsproc: withsunanglecorr=yes: how the coefficients of SAACORR are used is not public"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    # If it does not belong to the observation nothing is made; else all files say what it is.
    Calibration.from_environment(ctx.env, ctx.cwd)
    exposures = _chosen(odf, p)
    for instrument, exp_id in exposures:
        # Files of good times name no instrument: what stood in for another's calibration is not theirs.
        ctx.fallbacks.clear()
        files = _Files(p, odf, instrument, exp_id)
        if first <= 1:
            _events(ctx, p, odf, files, instrument, exp_id)
        if first <= 2 <= last:
            _clone(ctx, files)
            chosen = {"withsunanglecorr": False} if not p.withsunanglecorr else {}
            ctx.call(
                "rgsangles",
                mergedset=files("merged"),
                srclist=files("SRCLI_"),
                **_arguments(p, "rgsangles"),
                **chosen,
            )
        if first <= 3 <= last:
            _clone(ctx, files)
            tables = [
                f"{files(code)}:STDGTI" for code in ("attgti", "hkgti_") if ctx.path(files(code)).is_file()
            ]
            ctx.call(
                "rgsfilter", mergedset=files("merged"), evlist=files("EVENLI"),
                auxgtitables=[*tables, *p.auxgtitables], withexpmaps=True, expimageset=files("EXPMAP"),
                **_arguments(p, "rgsfilter"),
            )  # fmt: skip
            if "merged" in p.expunge:
                ctx.path(files("merged")).unlink(missing_ok=True)


def _arguments(p: Parameters, name: str) -> dict[str, Any]:
    return {key: p[key] for key in _PASSED[name]}


def _clone(ctx: TaskContext, files: _Files) -> None:
    """The merged list of a run whose intermediate files are gone is the final one."""
    import shutil

    if ctx.path(files("merged")).is_file() or not ctx.path(files("EVENLI")).is_file():
        return
    with ctx.output(files("merged")) as part:
        shutil.copyfile(ctx.path(files("EVENLI")), part)


def _events(ctx: TaskContext, p: Parameters, odf: Odf, files: _Files, instrument: str, exp_id: str) -> None:
    """Stage 1: attitude, housekeeping, sources, and the events of every CCD."""
    science = odf.science_files(instrument, exp_id)
    sets = [f for f in science if f.name.file_type == "SPE"]
    if not sets:
        raise NotImplementedError(
            f"rgsproc: {instrument} {exp_id}: high-time-resolution data are not reduced"
        )
    if not ctx.path(files.attitude).is_file():
        ctx.call("atthkgen", atthkset=files.attitude, timestep=p.timestep)
    ctx.call(
        "attfilter", attset=files.attitude, instexpid=f"{instrument}{exp_id}",
        gtitable=f"{files('attgti')}:STDGTI", onlylastatt=p.onlylastatt, filtertype="cone",
        tolangles=f"{p.driftlimit:f}*#ARCMIN",
    )  # fmt: skip
    _housekeeping(ctx, files, instrument, all_parameters=not p.includeinputfifofull)
    _sources(ctx, p, files, f"{instrument}{exp_id}")
    lists = []
    for file in sets:
        name = files("events", f"{file.name.ccd}000")
        try:
            ctx.call("rgsframes", set=str(file.path), ccdset=name, instrument=f"rgs{instrument[1]}")
            lists.append(name)
        except TaskError as error:
            ctx.warn(error.code, f"{file.path.name} is left out: {error.message}")
    for name in list(lists):
        try:
            for sub in ("rgsenergy", "rgsbadpix", "rgsevents"):
                ctx.call(sub, ccdset=name, **_arguments(p, sub))
        except TaskError as error:
            ctx.warn(error.code, f"{name} is left out: {error.message}")
            lists.remove(name)
    if not lists:
        raise TaskError("MissingData", f"rgsproc: {instrument} {exp_id}: no CCD could be processed")
    ctx.call(
        "evlistcomb", eventsets=lists, imagingset=files("merged"), othertables=OTHER_TABLES, instrument="rgs"
    )
    if "events" in p.expunge:
        _remove(ctx, lists)


def _remove(ctx: TaskContext, names: Sequence[str]) -> None:
    for name in names:
        ctx.path(name).unlink(missing_ok=True)


def _housekeeping(ctx: TaskContext, files: _Files, instrument: str, *, all_parameters: bool) -> None:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.formats.instruments import INSTRUMENTS
    from daxa.xmm.select.housekeeping import Limits
    from daxa.xmm.tasks.support import housekeeping_of_chain

    scope = INSTRUMENTS[instrument]
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    try:
        limits = Limits.from_constituent(cal.constituent(scope, "HKPARMINT"))
    except TaskError as error:
        ctx.warn("noHkGti", f"no good times from housekeeping: {error.message}")
        return
    left_out = limits.column(_LEFT_OUT[instrument], limits.expressions)
    chosen: dict[str, Any] = {}
    if left_out is not None and not all_parameters:
        chosen = {"withparameters": True, "parameters": [left_out], "except": True}
    housekeeping_of_chain(replace(ctx), scope.lower(), files("hkgti_"), chosen, needed=False)


def _sources(ctx: TaskContext, p: Parameters, files: _Files, instexpid: str) -> None:
    arguments: dict[str, Any] = {
        "filemode": "create",
        "srclist": files("SRCLI_"),
        "instexpid": instexpid,
        "attstyle": p.attstyle,
        "medianset": files.attitude,
        "meanset": files.attitude,
        "expmediantable": f"{files('attgti')}:STDGTI",
    }
    if p.attstyle == "user":
        arguments |= {"attra": p.attra, "attdec": p.attdec, "attapos": p.attapos}
    if p.withsrc:
        arguments |= {
            "addusersource": True, "userasprime": True, "label": p.srclabel, "rate": p.srcrate,
            "positionstyle": p.srcstyle,
        }  # fmt: skip
        if p.srcstyle == "radec":
            arguments |= {"ra": p.srcra, "dec": p.srcdec}
        else:
            arguments |= {"deltadisp": p.srcdisp, "deltaxdsp": p.srcxdsp}
    ctx.call("rgssources", **arguments)
