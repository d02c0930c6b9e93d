"""The task rgsproc: make event lists of the RGS from raw files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.instruments.rgs.files import OTHER_TABLES
from daxa.xmm.instruments.rgs.options import (
    Attfilter,
    Rgsangles,
    Rgsbadpix,
    Rgsenergy,
    Rgsevents,
    Rgsfilter,
    Rgssources,
    passed_on,
)
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import for_each, housekeeping_of_chain, open_calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGES = ("1:events", "2:angles", "3:filter", "4:spectra", "5:fluxing", "6:lightcurve")
#: Stages of this engine.
LAST = 3
#: Housekeeping parameter (input buffer full) that counts only with includeinputfifofull=no.
_LEFT_OUT = {"R1": "G5063", "R2": "L5063"}
#: Parameters of sub-tasks that rgsproc sets in its own way.
_OWN = ("withsunanglecorr", "auxgtitables")
_OTHERS = "the chain ends with stage 3"
_NO_IMAGES = "offsets of diagnostic images come with the raw files"


def _later(name: str, default: str, text: str, unit: str = "") -> Parameter:
    """A parameter of stages 4 to 6: known, so that scripts with it are understood."""
    return Parameter(name, "string", default, text=text, unit=unit, without_effect=_OTHERS)


#: What stages 4 to 6 would be told, in the order of the real task.
_LATER = (
    _later("spatialres", "5", "vertices along the dispersion of a source's region, per node"),
    _later("orderres", "3", "vertices along the dispersion of the region of an order, per node"),
    _later("xpsfincl", "95", "part of the source's cross-dispersion profile within its region", "%"),
    _later("xpsfexcl", "98", "part of that profile which the background leaves out", "%"),
    _later("pdistincl", "95", "part of the energies of an order within its region", "%"),
    _later("withpicutoff", "no", "whether picutoff counts"),
    _later("picutoff", "0", "lowest energy of a region", "eV"),
    _later("xdspregions", "", "cross-dispersion regions of the sources"),
    _later("xdspbackground", "", "cross-dispersion regions of the background"),
    _later("procsrcsexpr", "INDEX==#PRIMESRC", "sources that spectra are extracted of"),
    _later("exclsrcsexpr", "INDEX==#PRIMESRC", "sources that the background leaves out"),
    _later("bkgcorrect", "no", "subtract the background from spectra"),
    _later("withbkgset", "yes", "write spectra of the background"),
    _later("withbackgroundmodel", "no", "model the background"),
    _later("edgechannels", "2", "channels at edges of CCDs that are marked as bad"),
    _later("rebin", "1", "channels that are taken together"),
    _later("withfracexp", "no", "whether exposed counts"),
    _later("exposed", "0.1", "a channel with a smaller part of the exposure is bad"),
    _later("badquality", "1", "quality from which a channel is bad"),
    _later("witharffile", "no", "write the effective area into a file of its own"),
    _later("rmfbins", "4000", "energies of a response"),
    _later("fftdim", "3", "size of the transforms behind a response"),
    _later("withmirrorpsf", "yes", "put the profile of the mirrors into responses"),
    _later("withangdist", "no", "whether angdistset counts"),
    _later("angdistset", "angdist.txt", "brightness of the source over the angle"),
    _later("mergeorders", "no", "take the orders together in fluxed spectra"),
    _later("flxformat", "dal", "format of fluxed spectra"),
    _later("flxmode", "wavelength", "axis of fluxed spectra"),
    _later("flxmin", "4", "beginning of fluxed spectra", "Angstrom"),
    _later("flxmax", "40", "end of fluxed spectra", "Angstrom"),
    _later("flxbins", "3600", "channels of fluxed spectra"),
    _later("flxquality", "0", "worst quality of channels in fluxed spectra"),
    _later("withflxnan", "no", "whether flxnan counts"),
    _later("flxnan", "0", "flux of channels without data"),
    _later("withdyneffarea", "yes", "correct the effective area for time"),
    _later("withrectification", "yes", "correct the effective area for the two spectrometers to agree"),
    _later("witheffectiveareacorrection", "yes", "correct the effective area empirically"),
)


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


#: Parameters of sub-tasks, in the order in which the real task lists them.
_OF_SUBTASKS = (
    (Rgsenergy, "withdiagoffset withgain withcti"),
    (Rgsbadpix, "withadvisory badpixalgo embadpixalgo withfoundhot keepcool"),
    (Rgsbadpix, "pixnoiselimit colnoiselimit pixsharpness colsharpness"),
    (Rgsevents, "detcoord withdetcoord reconstruct"),
    (Rgsangles, "betabinning betabinref betabinwidth nbetabins betamin betamax"),
    (Rgsangles, "xdispbinning xdispbinref xdispbinwidth nxdispbins xdispmin xdispmax"),
    (Rgsangles, "withpointingcolumn withmlambdacolumn withheliocentriccorr withsunanglecorr"),
    (Rgsfilter, "rejflags driftbinsize withcombmap auxgtitables"),
)


@task(
    "rgsproc",
    "1.39",
    [
        Parameter("entrystage", "choice", "1:events", STAGES, text="first stage"),
        Parameter(
            "finalstage", "choice", "5:fluxing", STAGES, text="last stage; no later one than 3:filter works"
        ),
        Parameter("withinstexpids", "bool", False, text="process only the exposures of instexpids"),
        Parameter("instexpids", "list", (), text="exposures, such as R1S004, or their raw files"),
        Parameter("orders", "list", ("1", "2"), text="orders of the spectra", without_effect=_OTHERS),
        Parameter(
            "expunge",
            "list",
            ("events",),
            text="intermediate files to remove: events (lists of CCDs), merged (their common list)",
        ),
        *parameters_of(Rgsfilter, "spectrumbinning"),
        Parameter("withprefix", "bool", False, text="whether prefix counts"),
        Parameter("prefix", "string", "", text="beginning of the names of files, P and the ObsID by default"),
        Parameter("timestep", "real", 1.0, text="interval of the attitude file", unit="s"),
        Parameter(
            "driftlimit",
            "real",
            5.0,
            minimum=0.0,
            unit="arcmin",
            text="times when the pointing is further from its median are left out",
        ),
        *parameters_of(Attfilter, "onlylastatt"),
        *parameters_of(Rgssources, "withepicset", "epicset"),
        Parameter("withsrc", "bool", False, text="add a source, and make it the prime one"),
        Parameter("srclabel", "string", "USER", text="label of the added source, at most 20 letters"),
        Parameter("srcrate", "real", 0.0, minimum=0.0, text="count rate of the added source", unit="ct/s"),
        Parameter(
            "srcstyle",
            "choice",
            "radec",
            ("radec", "wrtatt"),
            text="whether the position of the added source is on the sky or relative to the attitude",
        ),
        Parameter("srcra", "real", -999.0, text="right ascension of the added source", unit="deg"),
        Parameter("srcdec", "real", -999.0, text="declination of the added source", unit="deg"),
        Parameter(
            "srcdisp",
            "real",
            0.0,
            unit="arcmin",
            text="distance of the added source from the axis along the dispersion, with srcstyle=wrtatt",
        ),
        Parameter(
            "srcxdsp",
            "real",
            0.0,
            unit="arcmin",
            text="distance of the added source from the axis across the dispersion, with srcstyle=wrtatt",
        ),
        *parameters_of(
            Rgssources, "attstyle", "attra", "attdec", "attapos", attra=-999.0, attdec=-999.0, attapos=-999.0
        ),
        Parameter("includeinputfifofull", "bool", True, text="keep times when the input buffer was full"),
        Parameter("calcoffsets", "bool", False, text="work out offsets (rgsoffsetcalc)", only=_NO_IMAGES),
        Parameter("withoffsethistogram", "bool", False, text="histograms of offsets", only=_NO_IMAGES),
        *(p for options, names in _OF_SUBTASKS for p in parameters_of(options, *names.split())),
        *_LATER,
        *parameters_of(Rgsangles, "lambdabinref", "lambdabinwidth", "nlambdabins"),
        Parameter(
            "withheliocorr",
            "bool",
            False,
            text="correct times of light curves for the motion of the Earth",
            without_effect=_OTHERS,
        ),
        Parameter(
            "timebinsize", "real", 1000.0, text="bin of light curves", unit="s", without_effect=_OTHERS
        ),
        Parameter(
            "withbkgsubtraction",
            "bool",
            True,
            text="subtract the background from light curves",
            without_effect=_OTHERS,
        ),
    ],
)
def rgsproc(ctx: TaskContext, p: Parameters) -> None:
    """Make event lists of the RGS from raw files."""
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
    if p.withsunanglecorr and "withsunanglecorr" in p.given:
        raise NotImplementedError(
            "rgsproc: withsunanglecorr=yes: how the coefficients of SAACORR are used is not public"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    # If it does not belong to the observation nothing is made; else all files say what it is.
    open_calibration(ctx)

    def reduce(exposure: tuple[str, str]) -> None:
        # Files of good times name no instrument: what stood in for another's calibration is not theirs.
        ctx.fallbacks.clear()
        _reduce(ctx, p, odf, *exposure, range(first, last + 1))

    # A spectrometer in high time resolution does not cost the other one.
    for_each(ctx, _chosen(odf, p), "".join, reduce, bearable=(TaskError, NotImplementedError))


def _reduce(ctx: TaskContext, p: Parameters, odf: Odf, instrument: str, exp_id: str, stages: range) -> None:
    """The stages of one exposure."""
    files = _Files(p, odf, instrument, exp_id)
    if 1 in stages:
        _events(ctx, p, odf, files, instrument, exp_id)
    if 2 in stages:
        _clone(ctx, files)
        chosen = {"withsunanglecorr": False} if not p.withsunanglecorr else {}
        ctx.call(
            "rgsangles",
            mergedset=files("merged"),
            srclist=files("SRCLI_"),
            **_arguments(p, Rgsangles),
            **chosen,
        )
    if 3 in stages:
        _clone(ctx, files)
        tables = [f"{files(code)}:STDGTI" for code in ("attgti", "hkgti_") if ctx.path(files(code)).is_file()]
        ctx.call(
            "rgsfilter", mergedset=files("merged"), evlist=files("EVENLI"),
            auxgtitables=[*tables, *p.auxgtitables], withexpmaps=True, expimageset=files("EXPMAP"),
            **_arguments(p, Rgsfilter),
        )  # fmt: skip
        if "merged" in p.expunge:
            ctx.path(files("merged")).unlink(missing_ok=True)


def _arguments(p: Parameters, options: type) -> dict[str, Any]:
    """What rgsproc passes on to a sub-task under the same name."""
    return {name: p[name] for name in passed_on(options) if name in p and name not in _OWN}


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
            for options in (Rgsenergy, Rgsbadpix, Rgsevents):
                ctx.call(options.__name__.lower(), ccdset=name, **_arguments(p, options))
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
    from daxa.xmm.formats.instruments import INSTRUMENTS
    from daxa.xmm.select.housekeeping import Limits

    scope = INSTRUMENTS[instrument]
    cal = open_calibration(ctx)
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
