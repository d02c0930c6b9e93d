"""What the pn tasks share: parameters of the chains, the opened exposure, files between the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.xmm.ccf.pn_times import pn_times
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import PN_MODE_IDS, PN_SHAPE
from daxa.xmm.instruments.pn.clock import FAST_MODES, LineClock
from daxa.xmm.instruments.pn.exposure import FILE_TYPES, PnExposure
from daxa.xmm.instruments.pn.files import RawFile, write_raw_list
from daxa.xmm.instruments.pn.options import (
    BadpixOptions,
    EventOptions,
    FrameOptions,
    RawOptions,
    RejectOptions,
    SearchLimits,
)
from daxa.xmm.instruments.pn.steps.epreject import read_odilist
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration


#: Default of each, as SAS 22.1 prints it.
DEFAULTS: dict[str, bool | str] = {
    "removeintermediateeventlists": True,
    "flagfilteredevents": False,
    "applygti": True,
    "runevlistcomb": True,
    "deleteexposurecolumns": True,
    "columnsearchlabel": "median",
    "flickertimesteps": "1",
    "ctilongtermsoft": True,
    "withframecti": False,
    "checksasmip": False,
    "setupbpx": "nom3",
    "guessdeltap": False,
    "mipdist": False,
    "mipdiscard": True,
    "analyzingSciSimdata": False,
    "runepnoise": False,
    "badcolumnset": "badcolumns.tab",
    "withsoftflarescreening": False,
}

#: Default of parameters that change nothing here, whatever their value, and why.
WITHOUT_EFFECT: dict[str, tuple[bool | str, str]] = {
    "removetemporaries": (True, "no temporary files are written"),
    "spatialexposure": (True, "SAS 22.1 says of it that it is not yet enabled"),
    "patternanalysis": (True, "its manual says that it is not active"),
    "mappatterntype": ("sssd", "epproc makes no photon maps"),
    "withtempcorrection": (True, "no public text gives the law of EPN_CTI QBOXTEMP_GAIN"),
    "withbackgroundgain": (True, "no public text gives the law of EPN_CTI NDSCLIN_GAIN"),
    "backgroundtres": (True, "belongs to withbackgroundgain"),
    "backgroundtbin": ("100", "belongs to withbackgroundgain"),
    "rdphatimebinsize": ("100", "belongs to withrdpha"),
    "sigmacut": ("3", "belongs to runepnoise"),
    "noisecut": ("2", "belongs to runepnoise"),
    "savemasks": (False, "belongs to runepnoise"),
    "applyfilter": (True, "belongs to runepnoise"),
    "softflarethreshold1": ("10", "belongs to withsoftflarescreening"),
    "softflarethreshold2": ("1", "belongs to withsoftflarescreening"),
    "softflaresmooth": ("BOX", "belongs to withsoftflarescreening"),
    "softflareenergyrange": ("40 50", "belongs to withsoftflarescreening"),
    "softflaresmoothparams": ("2 0 0", "belongs to withsoftflarescreening"),
}


PARAMETERS = tuple(
    Parameter(name, "bool" if isinstance(default, bool) else "string", default)
    for name, default in (DEFAULTS | {n: d for n, (d, _) in WITHOUT_EFFECT.items()}).items()
)


def refuse_changes(p: Parameters) -> None:
    """Raise NotImplementedError for a parameter that has another value than its default."""
    for name, default in DEFAULTS.items():
        if p[name] != default:
            raise NotImplementedError(
                f"epproc: {name}={p[name]} is not implemented; only {name}={default} is"
            )


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
BADPIX = [
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
EVENTS = [
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

OTHER_TASKS = [
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


def calibration_options(
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
            raise TaskError("ThisIsNotFAST", f"runepfast=yes: PN{exp_id} is not an exposure in a fast mode")
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


def parts_of(p: Parameters, screening: Mapping[str, Any]) -> dict[str, Any]:
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


def open_exposure(ctx: TaskContext, folder: str | None) -> tuple[Any, Any]:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.odf import Odf

    odf = Odf.from_environment(ctx.env, ctx.cwd, folder)
    if odf.sas_summary is None and "SAS_ODF" in ctx.env and ctx.env["SAS_ODF"].endswith(".SAS"):
        summary = ctx.path(ctx.env["SAS_ODF"])
        odf = replace(odf, sas_summary=summary if summary.is_file() else None)
    return odf, Calibration.from_environment(ctx.env, ctx.cwd)


def exposures_of(odf: Any, data_mode: str) -> list[tuple[str, str]]:
    """Exposures of a data mode (or of all), with the mode of each."""
    modes = list(FILE_TYPES) if data_mode == "ALL" else [data_mode]
    return [
        (exp_id, mode)
        for mode in modes
        for exp_id in odf.exposures("PN")
        if odf.find("PN", FILE_TYPES[mode], exp_id)
    ]


def choose(ctx: TaskContext, odf: Any, p: Parameters) -> list[tuple[str, str]]:
    """Exposures that epchain's parameters select."""
    found = exposures_of(odf, p.datamode)
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
        rest = [f"{e} ({m})" for e, m in exposures_of(odf, "ALL") if (e, m) not in found]
        other = f", and in other modes {', '.join(rest)}" if rest else ""
        raise TaskError(
            "exposure",
            f"{odf.folder}: no {p.datamode} exposure {p.schedule}{p.exposure:03d}; "
            f"there are {', '.join(e for e, _ in found) or 'none'}{other}",
        )
    return chosen


LOWEST_PI = -32768


def open_calibration(ctx: TaskContext) -> Calibration:
    from daxa.xmm.ccf.calibration import Calibration

    return Calibration.from_environment(ctx.env, ctx.cwd)


def start_of(file: RawFile) -> float:
    from daxa.xmm.odf.times import utc_to_tt

    return float(utc_to_tt(str(file.primary["DATE-OBS"])))


def refuse(p: Parameters, task_name: str, only: dict[str, Any]) -> None:
    """Raise NotImplementedError for a parameter with a value other than the only one that works."""
    for name, value in only.items():
        if p[name] != value:
            raise NotImplementedError(f"{task_name}: {name}={p[name]} is not implemented; only {value} is")


def parameters(only: dict[str, Any]) -> list[Parameter]:
    kinds = {bool: "bool", int: "int", float: "real"}
    return [Parameter(name, kinds.get(type(value), "string"), value) for name, value in only.items()]


def camera_pixel(exposure: PnExposure) -> Any:
    """Where a direction falls, for the median pointing of the exposure."""
    from daxa.xmm.sky.attitude import Attitude, make_atthk
    from daxa.xmm.sky.geometry import CameraGeometry

    def pixel(ra: float, dec: float) -> tuple[int, float, float]:
        geometry = CameraGeometry.from_calibration(exposure.cal, "EPN", exposure.start_s)
        history = make_atthk(Attitude.from_odf(exposure.odf), exposure.start_s, exposure.stop_s, 10.0)
        ccd, x, y = geometry.det_to_raw(*geometry.sky_to_det(ra, dec, *history.median))
        return int(ccd), float(x), float(y)

    return pixel


def replace_table(ctx: TaskContext, name: str, file: RawFile) -> None:
    """Write a raw list that has changed; in fast modes with the times of its lines."""
    times = None
    if file.submode in FAST_MODES:
        clock = line_clock_of(open_calibration(ctx), file)
        times = clock.event_times(
            file.raw.stamp_s[file.raw.frame], file.raw.rawy - 1, int(file.primary["SRCPOS"])
        )
    primary = dict(file.primary)
    ctx.provenance(primary, sum(k.startswith("XPROC") for k in primary))
    with ctx.output(name) as temporary:
        write_raw_list(temporary, file.raw, primary, file.badpix, times)


def line_clock_of(cal: Calibration, file: RawFile) -> LineClock:
    times = pn_times(cal, file.submode, int(file.primary["REVOLUT"]))
    correction = times.correction_s[file.raw.ccd - 1]
    return LineClock.from_calibration(cal, PN_MODE_IDS[file.submode], PN_SHAPE[1], correction)
