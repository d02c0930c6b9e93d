"""The tasks epchain and epproc: pn event lists from an ODF.

Source: manuals of epchain and epicproc. Both are adapters of one pipeline, :mod:`daxa.xmm.epic.pn.pipeline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from daxa.xmm.epic.pn import fixed
from daxa.xmm.epic.pn.badpix import BadpixOptions
from daxa.xmm.epic.pn.badpixels import SearchLimits
from daxa.xmm.epic.pn.epframes import FrameOptions
from daxa.xmm.epic.pn.epreject import RejectOptions, read_odilist
from daxa.xmm.epic.pn.events import EventOptions
from daxa.xmm.epic.pn.exposure import FILE_TYPES, parse_ccds
from daxa.xmm.epic.pn.pipeline import Request, run_exposure
from daxa.xmm.epic.pn.raw import RawOptions
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import Files
from daxa.xmm.task import TaskContext, task

#: Parameters of epframes that the chains take, too; epproc hands 0 to it as lowerthreshold (real log).
LOWER_THRESHOLD = Parameter("lowerthreshold", "int", 20, minimum=0, maximum=4095)
FRAMES = [
    Parameter("mipthreshold", "int", 3000, minimum=0),
    Parameter("mipmethod", "choice", "onboard", ("none", "sas", "com", "onboard")),
    Parameter("wrongpixlimit", "int", 20, minimum=0),
    Parameter("anmaxfrc", "int", 20, minimum=1),
    Parameter("withsrccoords", "bool", False),
    Parameter("srcra", "real", 0.0, minimum=0, maximum=360),
    Parameter("srcdec", "real", 0.0, minimum=-90, maximum=90),
    Parameter("withsrcrawy", "bool", False),
    Parameter("srcposition", "int", 190, minimum=1, maximum=200),
]
_BADPIX = [
    Parameter("hithresh", "real", 0.0045, minimum=0),
    Parameter("lothresh", "real", 0.0, minimum=0),
    Parameter("hicolthresh", "real", 0.00105, minimum=0),
    Parameter("locolthresh", "real", 0.0, minimum=0),
    Parameter("thresholdlabel", "choice", "rate", ("rate", "counts")),
    Parameter("threshabovebackground", "bool", False),
    Parameter("narrowerthanpsf", "real", 1.5, minimum=0),
    Parameter("backgroundrate", "real", 0.00011, minimum=0),
    Parameter("loenergythresh", "real", 0.14, minimum=0),
    Parameter("hienergythresh", "real", 12.0, minimum=0),
    Parameter("flickerksthresh", "real", 0.55, minimum=0),
    Parameter("flickerchisqthresh", "real", 15.0, minimum=0),
    Parameter("getuplnkbadpix", "bool", True),
    Parameter("getotherbadpix", "bool", True),
    Parameter("getnewbadpix", "bool", True),
]
_EVENTS = [
    Parameter("randomizeenergy", "bool", True),
    Parameter("randomizeposition", "bool", True),
    Parameter("testenergywidth", "bool", True),
    Parameter("gainctiaccuracy", "int", 2, minimum=0, maximum=2),
    Parameter("reemissionthresh", "int", 0, minimum=0),
    Parameter("lowgainenergyscale", "bool", False),
    Parameter("withpatternoffset", "bool", True),
    Parameter("withctisrcpos", "bool", False),
    Parameter("withoutoftime", "bool", False),
]
#: The selection of epproc, and an energy that all events are above.
_FILTER = "(PI > 150 && RAWY > 0)"
_LOWEST_PI = -32768
_OTHER_TASKS = [
    Parameter("withdefaultcal", "bool", True),
    Parameter("runepreject", "bool", False),
    Parameter("withoffsetmap", "bool", True),
    Parameter("sigma", "real", 4.0, minimum=0),
    Parameter("withnoisehandling", "bool", False),
    Parameter("noiseparameters", "list", ("0.98", *("1",) * 12)),
    Parameter("withxrlcorrection", "bool", False),
    Parameter("runepfast", "bool", False),
    Parameter("runepxrlcorr", "bool", False),
    Parameter("runepexposure", "bool", True),
    Parameter("randomizetime", "bool", True),
    Parameter("withradmon", "bool", False),
]
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
#: What is asked for by a parameter and not done.
_NOT_DONE = {
    "runepxrlcorr": "the X-ray loading correction of epxrlcorr is not implemented",
    "lowgainenergyscale": "low-gain data are not told apart",
    "withradmon": "the radiation monitor (radmonfix) is not read",
}
#: What withdefaultcal sets by the kind of data (manual of epchain); the rest is as the user says.
_DEFAULT_CAL = {
    "IMAGING": {"withrdpha": False, "withxrlcorrection": False, "runepfast": False},
    "TIMING": {"withrdpha": True, "withxrlcorrection": True, "runepfast": False, "runepreject": True},
    "BURST": {"withrdpha": False, "withxrlcorrection": True, "runepfast": True, "runepreject": True},
}
_RDPHA = "no public text gives the law of the rate-dependent correction of amplitudes (RDPHA)"


# --- tasks -------------------------------------------------------------------------------------------


def _calibration_options(
    ctx: TaskContext, p: Parameters, exp_id: str, data_mode: str, raw: RawOptions
) -> dict[str, Any]:
    """The parts of a request that depend on the kind of data."""
    forced = _DEFAULT_CAL[data_mode] if p.withdefaultcal else {}
    switch = {n: forced.get(n, p[n]) for n in ("withrdpha", "withxrlcorrection", "runepfast", "runepreject")}
    imaging = data_mode == "IMAGING"
    options: dict[str, Any] = {"raw": raw}
    if imaging and p.withrdpha:
        # As in the log of a real run, whatever withdefaultcal says.
        ctx.warn("notUsefulModeRDCTI", f"PN{exp_id}: rate-dependent corrections only concern fast modes")
    elif switch["withrdpha"]:
        if "withrdpha" in p.given:
            raise NotImplementedError(f"withrdpha=yes: {_RDPHA}")
        ctx.warn("notDone", f"PN{exp_id}: amplitudes are not corrected for the rate of the source: {_RDPHA}")
    if switch["runepreject"]:
        try:
            noise = tuple(float(v) for v in p.noiseparameters)
        except ValueError:
            raise TaskError("noiseparameters", f"noiseparameters={p.noiseparameters}: not numbers") from None
        maps = read_odilist(ctx.path(p.odilist)) if p.get("withoffsetlist") else {}
        reject = RejectOptions(
            p.withoffsetmap,
            maps,
            p.withnoisehandling,
            noise,
            switch["withxrlcorrection"],
            p.sigma,
            needed=not forced.get("runepreject", False),
        )
        options["raw"] = replace(raw, reject=reject)
    if imaging:
        if p.runepfast and not forced:
            raise TaskError("ThisIsNotFAST", f"runepfast=yes: PN{exp_id} is no exposure in a fast mode")
    else:
        options["epfast"] = (switch["runepfast"], not forced.get("runepfast", False))
    source = (p.srcra, p.srcdec) if p.withsrccoords else None
    if source is None and p.withsrcrawy:
        source = p.srcposition
    if source is None and "timingsrcposition" in p.given and not imaging:
        source = p.timingsrcposition
    return {**options, "source": source, "default_row": p.srcposition}


def _named(p: Parameters, *names: str) -> dict[str, Any]:
    return {name: p[name] for name in names}


def _options(p: Parameters, screening: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a request that both tasks take from parameters of the same names.

    Parameters
    ----------
    screening
        Arguments of :class:`EventOptions` that say which events stay.
    """
    for name, what in _NOT_DONE.items():
        if p.get(name):
            raise NotImplementedError(f"{name}=yes: {what}")
    if p.reemissionthresh:
        raise NotImplementedError("reemissionthresh: the tables of re-emission (EPN_ADUCONV) are not read")
    search = SearchLimits(
        withsearchbadcolumn=p.get("searchforbadcolumns", True),
        **_named(
            p,
            "hithresh",
            "lothresh",
            "hicolthresh",
            "locolthresh",
            "thresholdlabel",
            "threshabovebackground",
            "narrowerthanpsf",
            "backgroundrate",
            "flickerksthresh",
            "flickerchisqthresh",
            "loenergythresh",
            "hienergythresh",
        ),
    )
    badpix = BadpixOptions(
        runbadpixfind=p.get("runbadpixfind", p.get("searchforbadpixels", True)),
        runbadpix=p.get("runbadpix", True),
        search=search,
        **_named(p, "getuplnkbadpix", "getotherbadpix", "getnewbadpix"),
    )
    frames = FrameOptions(
        **_named(p, "lowerthreshold", "mipthreshold", "mipmethod", "wrongpixlimit", "anmaxfrc")
    )
    events = EventOptions(
        **_named(
            p,
            "withoutoftime",
            "randomizeenergy",
            "randomizeposition",
            "randomizetime",
            "testenergywidth",
            "withpatternoffset",
        ),
        ctisrcpos=p.srcposition if p.withctisrcpos else None,
        **screening,
    )
    lowest = max(float(events.screenlowthresh), 0.0)
    return {
        "raw": RawOptions(frames, badpix, lowest),
        "events": events,
        "accuracy": p.gainctiaccuracy,
        "epexposure": p.runepexposure,
    }


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
        from daxa.xmm.select.hkgtigen import housekeeping_of_chain

        name = f"{root}_EPN_HkGti.ds"
        own = not ctx.path(name).is_file()
        names = ("withparameters", "parameters", "except", "withoverrideparameters", "overrideparameters")
        found = housekeeping_of_chain(ctx, "epn", name, {n: p[n] for n in names}, needed=p.rungtimerge)
        if p.rungtimerge and found is not None:
            gti = found if gti is None else gti & found
        if own and p.removeintermediategtis:
            ctx.path(name).unlink(missing_ok=True)
    return gti


def _open(ctx: TaskContext, folder: str | None) -> tuple[Any, Any]:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.odf import Odf

    odf = Odf.from_environment(ctx.env, ctx.cwd, folder)
    if odf.sas_summary is None and "SAS_ODF" in ctx.env and ctx.env["SAS_ODF"].endswith(".SAS"):
        summary = ctx.path(ctx.env["SAS_ODF"])
        odf = replace(odf, sas_summary=summary if summary.is_file() else None)
    return odf, Calibration.from_environment(ctx.env, ctx.cwd)


def _exposures(odf: Any, data_mode: str) -> list[tuple[str, str]]:
    """Exposures of a data mode (or of all), with the mode of each."""
    modes = list(FILE_TYPES) if data_mode == "ALL" else [data_mode]
    return [
        (exp_id, mode)
        for mode in modes
        for exp_id in odf.exposures("PN")
        if odf.find("PN", FILE_TYPES[mode], exp_id)
    ]


def _chosen(ctx: TaskContext, odf: Any, p: Parameters) -> list[tuple[str, str]]:
    """Exposures that epchain's parameters select."""
    found = _exposures(odf, p.datamode)
    if p.odfaccess == "all":
        chosen = found
    elif p.odfaccess == "odf":
        chosen = [e for e in found if e[0] == f"{p.schedule}{p.exposure:03d}"]
    elif p.odfaccess == "name":
        from daxa.xmm.formats.odf_names import OdfName

        name = OdfName.parse(Path(p.odf or "").name)
        if name is None:
            raise TaskError("exposure", f"odfaccess=name: {p.odf} is not the name of an AUX file")
        chosen = [e for e in found if e[0] == name.exp_id]
    else:
        chosen = found[p.exposure - 1 : p.exposure] if p.exposure >= 1 else []
    if not chosen:
        ctx.info(f"EXPOSURE = {p.exposure}")
        ctx.info(f"{len(found)} {p.datamode} exposures in ODF:")
        for i, (exp_id, mode) in enumerate(found, start=1):
            ctx.info(f"{i}: {odf.revolution:04d}_{odf.obs_id}_PN{exp_id} {mode[:2]}")
        rest = [f"{e} ({m})" for e, m in _exposures(odf, "ALL") if (e, m) not in found]
        other = f", and in other modes {', '.join(rest)}" if rest else ""
        raise TaskError(
            "exposure",
            f"{odf.folder}: no {p.datamode} exposure {p.schedule}{p.exposure:03d}; "
            f"there are {', '.join(e for e, _ in found) or 'none'}{other}",
        )
    return chosen


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
        *_BADPIX,
        *_EVENTS,
        *_OTHER_TASKS,
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
    options = _options(p, {"screenlowthresh": p.screenlowthresh, "mask": mask})
    if folder:
        # The tasks inside read the same files.
        ctx = replace(ctx, env={**ctx.env, "SAS_ODF": folder})
    odf, cal = _open(ctx, folder)
    if p.runbackground and "runbackground" in p.given:
        ctx.warn("noBackground", "runbackground=yes: masks and light curve of the background are not made")
    imaging = {(False, False): "PI", (True, False): "OO", (False, True): "PS", (True, True): "OS"}[
        p.withoutoftime, p.withctisrcpos
    ]
    for exp_id, data_mode in _chosen(ctx, odf, p):
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
                **{**options, **_calibration_options(ctx, p, exp_id, data_mode, options["raw"])},
            ),
        )


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
        *_BADPIX,
        *_EVENTS,
        *_OTHER_TASKS,
        *_GTIS,
        *fixed.PARAMETERS,
    ],
)
def epproc(ctx: TaskContext, p: Parameters) -> None:
    """Make the event lists of all pn exposures of an ODF."""
    fixed.refuse_changes(p)
    options = _options(p, _filter(p))
    left_out = {"EXPOSURE", "BADPIX", "STDGTI", "DLIMAP", "HKAUX"} - set(p.othertables)
    if not left_out <= {"DLIMAP", "HKAUX"} or len(p.othertables) + len(left_out) != 5:
        raise NotImplementedError(
            f"othertables={' '.join(p.othertables)}: only DLIMAP and HKAUX can be left out, and none added"
        )
    odf, cal = _open(ctx, None)
    ccds = tuple(i for i in range(1, 13) if p[f"ccd{i}"]) if p.selectccds else tuple(range(1, 13))
    if not ccds:
        raise TaskError("ccdlist", "selectccds=yes: none of ccd1 to ccd12 is set")
    wanted = {"IMAGING": p.imaging, "TIMING": p.timing, "BURST": p.burst}
    found = [(e, m) for e, m in _exposures(odf, "ALL") if wanted[m] or not p.selectmodes]
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
                **{**options, **_calibration_options(ctx, p, exp_id, data_mode, options["raw"])},
            ),
        )
