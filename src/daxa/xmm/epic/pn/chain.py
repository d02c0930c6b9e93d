"""The tasks epchain and epproc: pn event lists from an ODF.

Source: manuals of epchain and epicproc. Both are adapters of one pipeline: raw stage
(:mod:`daxa.xmm.epic.pn.raw`), events (:mod:`daxa.xmm.epic.pn.events`), product. The raw stage can be kept
in the folder, so that the out-of-time run and the ordinary run after it share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.epic.pn import fixed
from daxa.xmm.epic.pn.badpixels import SearchLimits, badpix_columns
from daxa.xmm.epic.pn.energy import EnergyScale
from daxa.xmm.epic.pn.events import Columns, EventOptions, Sky, ccd_events, random_source
from daxa.xmm.epic.pn.exposure import FILE_TYPES, PnExposure, parse_ccds
from daxa.xmm.epic.pn.fast import fast_events, source_row
from daxa.xmm.epic.pn.raw import RawCcd, RawOptions, load_raw, raw_ccd, save_raw
from daxa.xmm.event.eventlist import EVENT_COLUMNS, CcdExposure, write_event_list
from daxa.xmm.task import Parameter, Parameters, TaskContext, TaskError, task

#: CCD with the aim point, which ONTIME and LIVETIME of the header refer to.
PRIME_CCD = 4

_FRAMES = [
    Parameter("lowerthreshold", "int", 0, minimum=0, maximum=4095),
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
    Parameter("screenlowthresh", "int", 150, minimum=0),
]
_OTHER_TASKS = [
    Parameter("withdefaultcal", "bool", True),
    Parameter("runepreject", "bool", False),
    Parameter("runepxrlcorr", "bool", False),
    Parameter("withxrlcorrection", "bool", False),
    Parameter("runepfast", "bool", False),
    Parameter("withrdpha", "bool", False),
    Parameter("withradmon", "bool", False),
]
#: What is asked for by a parameter and not done.
_NOT_DONE = {
    "runepreject": "the noise suppression of epreject (EPN_REJECT)",
    "runepxrlcorr": "the X-ray loading correction of epxrlcorr",
    "withctisrcpos": "charge-loss correction for a given source position",
    "lowgainenergyscale": "low-gain data",
    "withradmon": "the radiation monitor (radmonfix)",
}


#: The same in fast modes.
_FAST_NOT_DONE = {
    "runepfast": "the rate-dependent correction of epfast",
    "withrdpha": "the rate-dependent correction of amplitudes (RDPHA)",
    "withxrlcorrection": "the X-ray loading correction of epreject",
}


@dataclass(frozen=True)
class Request:
    """What a chain is asked to do with one exposure.

    Attributes
    ----------
    exp_id, data_mode, ccds
        Exposure, kind of data, CCDs.
    output, attitude, stage
        Names of the event list, the attitude file and the intermediate file.
    source, default_row
        Fast modes: RA and Dec [deg] of the source, its RAWY, or None for the proposal's target; RAWY to take
        if that is not on the CCD.
    """

    exp_id: str
    data_mode: str
    ccds: tuple[int, ...]
    output: str
    attitude: str
    stage: str
    reuse: bool = False
    keep: bool = False
    run_atthkgen: bool = True
    timestep: float = 1.0
    accuracy: int = 2
    source: tuple[float, float] | int | None = None
    default_row: int = 190
    raw: RawOptions = field(default_factory=RawOptions)
    events: EventOptions = field(default_factory=EventOptions)


def run_exposure(ctx: TaskContext, odf: Any, cal: Any, request: Request) -> None:
    """Make the event list of one exposure.

    Raises
    ------
    TaskError
        No CCD could be processed, or the exposure lacks something that all CCDs need.
    """
    fast = request.data_mode != "IMAGING"
    if fast and request.events.withoutoftime:
        ctx.warn(
            "notUsefulModeOOTE", f"PN{request.exp_id}: {request.data_mode} data have no out-of-time list"
        )
        request = replace(request, events=replace(request.events, withoutoftime=False))
    exposure = PnExposure.open(
        odf, request.exp_id, request.data_mode, request.ccds, cal, _sub(ctx, "epframes").warn
    )
    # Small window and the fast modes read one CCD.
    read = {PRIME_CCD} if fast or exposure.submode == "PrimeSmallWindow" else set(request.ccds)
    missing = sorted(set(request.ccds) & read - set(exposure.files))
    if missing:
        ctx.warn("notInODF", f"PN{request.exp_id}: no event file of CCD(s) {', '.join(map(str, missing))}")
    sky = _sky(ctx, exposure, request)
    if fast:
        row = source_row(
            request.source,
            request.default_row,
            request.data_mode,
            lambda ra, dec: sky.camera_pixel(ra, dec, _position_angle(ctx, request)),
            exposure.proposal,
            ctx,
        )
        request = replace(request, raw=replace(request.raw, source_row=row))
    stage = ctx.path(request.stage)
    identity = {
        "obs_id": odf.obs_id,
        "exp_id": request.exp_id,
        "files": {str(c): f.path.stat().st_size for c, f in exposure.files.items()},
        "calibration": {f"{s}_{t}": cal.constituent(s, t).path.name for s, t in _RAW_CONSTITUENTS},
        "lowest_ev": request.raw.lowest_ev,
        "source_row": request.raw.source_row,
    }
    if request.reuse:
        raws = load_raw(stage, identity)
        ctx.info(f"frames, bad pixels and patterns are those of {stage.name}")
    else:
        raws = _raw_stage(ctx, exposure, request)
    if request.keep and not request.reuse:
        with ctx.output(stage) as path:
            save_raw(path, raws, identity)

    random_of = {ccd: random_source(odf.obs_id, request.exp_id, ccd) for ccd in raws}
    log = _sub(ctx, "epevents").info
    log(
        "out-of-time event list: every event gets a random row"
        if request.events.withoutoftime
        else "event list"
    )
    lists: list[Columns] = []
    for ccd, raw in raws.items():
        scale = EnergyScale.from_calibration(
            cal, ccd, exposure.mode_id, exposure.start_s, accuracy=request.accuracy
        )
        lines = exposure.line_clock(ccd)
        if lines is not None:
            row = request.raw.source_row
            columns = fast_events(raw, scale, lines, row, random_of[ccd], request.events)
        else:
            window = tuple(int(raw.header[k][0]) for k in ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY"))
            columns = ccd_events(raw, scale, sky, window, random_of[ccd], request.events)  # type: ignore[arg-type]
        lists.append(columns)
        log(f" CCD {ccd}: selected {len(columns['TIME'])} of {len(raw.main)} patterns")
    _write(ctx, exposure, request, raws, lists, sky)
    if not request.keep:
        stage.unlink(missing_ok=True)


#: Constituents that the raw stage depends on.
_RAW_CONSTITUENTS = (
    ("EPN", "ADUCONV"),
    ("EPN", "BADPIX"),
    ("EPN", "TIMECORR"),
    ("EPN", "TIMEJUMPTOL"),
    ("EPN", "CTI"),
)


def _sub(ctx: TaskContext, name: str) -> TaskContext:
    """The context of a sub-task: same world, its own name in messages."""
    return replace(ctx, name=f"{ctx.name}::{name}")


def _raw_stage(ctx: TaskContext, exposure: PnExposure, request: Request) -> dict[int, RawCcd]:
    log = _sub(ctx, "epframes").info
    log(
        f" EPIC-pn frame time [ms] = {exposure.timing.frame_s * 1000:.5f}, {exposure.submode}, "
        f"{exposure.filter}"
    )
    raws = {}
    failure: TaskError | None = None
    for ccd in exposure.files:
        try:
            raws[ccd] = raw_ccd(exposure, ccd, request.raw, log)
        except TaskError as error:
            ctx.warn(error.code, f"CCD {ccd} is left out: {error.message}")
            failure = failure or error
    if not raws:
        message = failure.message if failure else "no CCD"
        raise TaskError(
            failure.code if failure else "noEvents", f"PN{request.exp_id}: no CCD is usable: {message}"
        )
    return raws


def _sky(ctx: TaskContext, exposure: PnExposure, request: Request) -> Sky:
    from daxa.xmm.sky.attitude import AttHk, Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

    if request.run_atthkgen:
        here = replace(ctx, env={**ctx.env, "SAS_ODF": str(exposure.odf.sas_summary or exposure.odf.folder)})
        here.call("atthkgen", atthkset=request.attitude, timestep=request.timestep)
    elif not ctx.path(request.attitude).is_file():
        raise TaskError(
            "attitude", f"runatthkgen=no needs {request.attitude} of an earlier run in this folder"
        )
    ra, dec, _ = AttHk.read(ctx.path(request.attitude)).median
    return Sky(
        CameraGeometry.from_calibration(exposure.cal, "EPN", exposure.start_s),
        Attitude.from_odf(exposure.odf),
        ra,
        dec,
    )


def _position_angle(ctx: TaskContext, request: Request) -> float:
    from daxa.xmm.sky.attitude import AttHk

    return AttHk.read(ctx.path(request.attitude)).median[2]


def _write(
    ctx: TaskContext,
    exposure: PnExposure,
    request: Request,
    raws: Mapping[int, RawCcd],
    lists: list[Columns],
    sky: Sky,
) -> None:
    from daxa.xmm.sky.attitude import AttHk

    fast = request.data_mode != "IMAGING"
    names = [c.name for c in EVENT_COLUMNS["EPN", "TIMING" if fast else "IMAGING"]]
    columns = {name: np.concatenate([c[name] for c in lists]) for name in names}
    length = exposure.timing.frame_s - exposure.timing.readout_s
    ccds = {
        ccd: CcdExposure(
            raw.time_s,
            np.full(len(raw.time_s), length),
            raw.fraction.astype(np.float64),
            raw.gti,
            badpix_columns(raw.badpix),
            dict(raw.header),
            None if raw.dli_odf is None else {"DLIODF": raw.dli_odf, "DLISAS": raw.dli_sas},
        )
        for ccd, raw in raws.items()
    }
    primary = exposure.keywords()
    ra, dec, pa = AttHk.read(ctx.path(request.attitude)).median
    primary["RA_PNT"] = (ra, "[deg] pointing, right ascension")
    primary["DEC_PNT"] = (dec, "[deg] pointing, declination")
    primary["PA_PNT"] = (pa, "[deg] position angle of the pointing")
    primary["AVRG_PNT"] = ("MEDIAN", "Meaning of the pointing values")
    primary.update(_source_position(primary, sky, pa))
    if fast:
        primary["SRCPOS"] = (request.raw.source_row, "[pixel] RAWY of the source")
    ctx.provenance(primary)
    offsets = {
        "RAWX": [c for raw in raws.values() for c in raw.offsets],
        "OFFSETX": [v for raw in raws.values() for v in raw.offsets.values()],
        "CCDNR": [ccd for ccd, raw in raws.items() for _ in raw.offsets],
    }
    with ctx.output(request.output) as path:
        write_event_list(
            path,
            primary=primary,
            columns=columns,
            ccds=ccds,
            sky={} if fast else {"ra_deg": sky.ra_deg, "dec_deg": sky.dec_deg},
            offsets=offsets,
            calindex=exposure.cal.calindex_hdu(("EPN", "XRT3", "XMM")),
            prime_ccd=PRIME_CCD,
        )
    ctx.info(
        f"{request.output}: {len(columns['TIME'])} events of {sum(r.n_raw for r in raws.values())} raw ones "
        f"on {len(raws)} CCDs"
    )


def _source_position(primary: Mapping[str, Any], sky: Sky, pa: float) -> dict[str, Any]:
    """Pixel of the proposal's target, as the fast modes need it."""
    cards: dict[str, Any] = {"SRCPOS": (190, "[pixel] RAWY of the source in fast modes")}
    if "RA_OBJ" not in primary:
        return cards
    ra, dec = primary["RA_OBJ"][0], primary["DEC_OBJ"][0]
    ccd, x, y = sky.camera_pixel(ra, dec, pa)
    if ccd:
        cards["SRCPOSX"] = (x, "[pixel] RAWX of the target")
        cards["SRCPOSY"] = (y, "[pixel] RAWY of the target")
        cards["CCDSRC"] = (ccd, "CCD of the target")
    return cards


# --- tasks -------------------------------------------------------------------------------------------


def _fast_options(ctx: TaskContext, p: Parameters, exp_id: str, data_mode: str) -> dict[str, Any]:
    """The parts of a request that only fast modes have."""
    if data_mode == "IMAGING":
        return {}
    for name, what in _FAST_NOT_DONE.items():
        if p.get(name):
            raise NotImplementedError(f"{name}=yes: {what} is not implemented")
    if p.withdefaultcal:
        ctx.warn(
            "notDone",
            f"PN{exp_id}: energies of {data_mode} data are not corrected for the rate of the source "
            "(withrdpha, epfast) and for X-ray loading",
        )
    source = (p.srcra, p.srcdec) if p.withsrccoords else p.srcposition if p.withsrcrawy else None
    return {"source": source, "default_row": p.srcposition}


def _options(p: Parameters) -> dict[str, Any]:
    """The parts of a request that both tasks take from parameters of the same names."""
    for name, what in _NOT_DONE.items():
        if p.get(name):
            raise NotImplementedError(f"{name}=yes: {what} is not implemented")
    if p.reemissionthresh:
        raise NotImplementedError("reemissionthresh: the tables of re-emission (EPN_ADUCONV) are not read")
    if p.lothresh or p.locolthresh:
        raise NotImplementedError("lothresh, locolthresh: the search for dead pixels is not implemented")
    search = SearchLimits(
        hithresh=p.hithresh,
        hicolthresh=p.hicolthresh,
        withsearchbadcolumn=p.get("searchforbadcolumns", True),
        narrowerthanpsf=p.narrowerthanpsf,
        backgroundrate=p.backgroundrate,
        flickerksthresh=p.flickerksthresh,
        flickerchisqthresh=p.flickerchisqthresh,
    )
    raw = RawOptions(
        **{
            name: p[name]
            for name in [
                "lowerthreshold",
                "mipthreshold",
                "mipmethod",
                "wrongpixlimit",
                "anmaxfrc",
                "getuplnkbadpix",
                "getotherbadpix",
                "getnewbadpix",
                "loenergythresh",
                "hienergythresh",
            ]
        },
        runbadpixfind=p.get("runbadpixfind", p.get("searchforbadpixels", True)),
        runbadpix=p.get("runbadpix", True),
        lowest_ev=float(p.screenlowthresh),
        search=search,
    )
    events = EventOptions(
        **{
            name: p[name]
            for name in [
                "withoutoftime",
                "randomizeenergy",
                "randomizeposition",
                "testenergywidth",
                "withpatternoffset",
                "screenlowthresh",
            ]
        }
    )
    return {"raw": raw, "events": events, "accuracy": p.gainctiaccuracy}


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
        from daxa.xmm.odf.names import OdfName

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
        Parameter("runepexposure", "bool", True),
        Parameter("runbackground", "bool", True),
        *_FRAMES,
        *_BADPIX,
        *_EVENTS,
        *_OTHER_TASKS,
    ],
)
def epchain(ctx: TaskContext, p: Parameters) -> None:
    """Make pn event lists: one exposure of an ODF, or all of a data mode."""
    folder = str(Path(p.odf).parent) if p.odfaccess == "name" and p.odf else p.odf
    ccds = tuple(parse_ccds(p.ccds))
    for name in ("runepevents", "runattcalc", "runepexposure"):
        if not p[name]:
            raise NotImplementedError(f"{name}=no: the chain cannot leave out this step")
    options = _options(p)
    odf, cal = _open(ctx, folder)
    if p.runbackground and "runbackground" in p.given:
        ctx.warn("noBackground", "runbackground=yes: masks and light curve of the background are not made")
    imaging = "OO" if p.withoutoftime else "PI"
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
                **_fast_options(ctx, p, exp_id, data_mode),
                **options,
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
        Parameter("searchforbadpixels", "bool", True),
        Parameter("searchforbadcolumns", "bool", True),
        *_FRAMES,
        *_BADPIX,
        *_EVENTS,
        *_OTHER_TASKS,
        *fixed.PARAMETERS,
    ],
)
def epproc(ctx: TaskContext, p: Parameters) -> None:
    """Make the event lists of all pn exposures of an ODF."""
    fixed.refuse_changes(p)
    options = _options(p)
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
                timestep=p.timestep,
                **_fast_options(ctx, p, exp_id, data_mode),
                **options,
            ),
        )
