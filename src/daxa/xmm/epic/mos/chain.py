"""The tasks emchain and emproc: MOS event lists from raw files.

Sources: manuals of emchain and emproc; parameters and defaults from a real run's log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.epic.keywords import exposure_summary, merge_headers, observation_keywords
from daxa.xmm.epic.mos.pipeline import REJECTION_FLAG, Camera, ExposureResult, Messages, Options, process
from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.odf.layout import INSTRUMENTS, MOS_AUXILIARY
from daxa.xmm.odf.odf import Odf
from daxa.xmm.task import Parameter, Parameters, TaskContext, TaskError, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

#: Constituents listed in the product's CALINDEX.
_SCOPES = {"M1": ("EMOS1", "XRT1", "XMM"), "M2": ("EMOS2", "XRT2", "XMM")}
_NOT_YET = {"TIE": "FastUncompressed (timing)", "CTE": "FastCompressed (timing)", "RIE": "reduced imaging"}


@dataclass
class Run:
    """One call of emchain or emproc."""

    ctx: TaskContext
    odf: Odf
    cal: Calibration
    options: Options
    atthk: Path
    ccds: list[int]
    event_name: Callable[[str, str], str]
    external_gti: GTI | None = None
    stop_on_error: bool = False
    tag_low_energy_noise: bool = False
    make_flare_gti: bool = False
    average_pointing: bool = False
    attitude_tolerance_deg: float | None = None


def _messages(ctx: TaskContext) -> Messages:
    def info(task_name: str, text: str) -> None:
        (replace(ctx, name=f"{ctx.name}::{task_name}") if task_name else ctx).info(text)

    def warn(task_name: str, code: str, text: str) -> None:
        name = ctx.name if task_name in ("", "emchain") else f"{ctx.name}::{task_name}"
        replace(ctx, name=name).warn(code, text)

    return Messages(info, warn)


def process_exposure(run: Run, instrument: str, exp_id: str) -> ExposureResult | None:
    """Process the imaging data of one exposure and write its event list.

    Returns
    -------
    ExposureResult or None
        None if the exposure has no imaging data.

    Raises
    ------
    TaskError
        Nothing of the exposure can be processed.
    NotImplementedError
        All of it is in a mode that the engine does not reduce.
    """
    from daxa.xmm.odf.times import TimeCorrelation, utc_to_tt
    from daxa.xmm.sky.attitude import AttHk, Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

    ctx, odf = run.ctx, run.odf
    say = _messages(ctx)
    ctx.info(f"Processing {exp_id}")
    science = odf.science_files(instrument, exp_id)
    if run.ccds:
        science = [f for f in science if f.name.ccd in run.ccds]
    files = [f for f in science if f.name.file_type == "IME"]
    other = sorted({f.name.file_type for f in science} - {"IME"})
    if not files:
        modes = ", ".join(_NOT_YET.get(t, t) for t in other)
        if other:
            raise NotImplementedError(f"{ctx.name}: {instrument} {exp_id}: data in the mode {modes} only")
        raise TaskError(
            "MissingData", f"{odf.folder}: {instrument} {exp_id} has no event file of the chosen CCDs"
        )
    for kind in other:
        ccds = sorted({f.name.ccd for f in science if f.name.file_type == kind})
        text = f"CCD {', '.join(map(str, ccds))} in the mode {_NOT_YET.get(kind, kind)} is not reduced"
        ctx.warn("ModeNotSupported", f"{instrument} {exp_id}: {text}")
    summary = exposure_summary(odf, instrument, exp_id, ctx.warn)
    submode = summary.mode or "UNDEFINED"
    if submode == "UNDEFINED":
        submode = _submode(run, instrument, exp_id)
    start, stop = utc_to_tt(summary.start), utc_to_tt(summary.end)
    correlation = TimeCorrelation.from_odf(odf, start, stop)
    scope = INSTRUMENTS[instrument]
    geometry = CameraGeometry.from_calibration(run.cal, scope, 0.5 * (start + stop))
    atthk = AttHk.read(run.atthk)
    pointing = atthk.mean if run.average_pointing else atthk.median
    camera = Camera(
        odf, instrument, exp_id, submode, run.cal, geometry, correlation, Attitude.from_odf(odf),
        pointing, run.options, say, _external_gti(run, atthk),
    )  # fmt: skip
    auxiliary = odf.one(instrument, "AUX", exp_id=exp_id).read(1, MOS_AUXILIARY)
    result = process(camera, files, auxiliary, stop_on_error=run.stop_on_error)
    primary = merge_headers(
        observation_keywords(
            odf,
            instrument,
            exp_id,
            data_mode="IMAGING",
            submode=submode,
            filter_name=summary.filter,
            start_tt_s=result.start_s,
            stop_tt_s=result.stop_s,
            pointing=pointing,
            correlation=correlation,
            average=run.average_pointing,
        ),
        result.headers,
        _noise_tags(camera, result) if run.tag_low_energy_noise else {},
    )
    _write(run, run.event_name(instrument, exp_id), instrument, primary, result, pointing)
    if run.make_flare_gti:
        _write_flares(run, f"P{odf.obs_id}{instrument}{exp_id}FBK", primary, [result])
    return result


def _submode(run: Run, instrument: str, exp_id: str) -> str:
    """Mode of an exposure that the summary calls undefined."""
    from daxa.xmm.odf.modes import ReadoutWindow, mos_mode

    types, windows, frame_time = {}, {}, None
    for file in run.odf.science_files(instrument, exp_id):
        try:
            primary, header = file.headers()
        except TaskError as error:
            # Reported when its turn comes; the mode is that of the files that can be read.
            run.ctx.warn(error.code, error.message)
            continue
        types[file.name.ccd] = file.name.file_type
        windows[file.name.ccd] = ReadoutWindow.from_header({**dict(primary), **dict(header)})
        if file.name.ccd == 1:
            frame_time = header.get("FRMTIME")
    table = run.cal.constituent(INSTRUMENTS[instrument], "MODEPARAM").table("MODEPARAM")
    mode = mos_mode(types, windows, frame_time, table)
    if mode is None:
        run.ctx.warn("UnknownInstrumentMode", f"{instrument} {exp_id}: the windows belong to no known mode")
    return mode or "UNDEFINED"


def _external_gti(run: Run, atthk: Any) -> GTI | None:
    """Good times from the user and from the attitude."""
    gti = run.external_gti
    if run.attitude_tolerance_deg is not None:
        time, off = atthk.columns["TIME"], atthk.columns["DAHFPNT"]
        step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
        good = np.nan_to_num(off, nan=np.inf) < run.attitude_tolerance_deg
        attitude = GTI(time[good] - 0.5 * step, time[good] + 0.5 * step * (1 + 1e-9))
        gti = attitude if gti is None else gti & attitude
    return gti


def _write(
    run: Run,
    name: str,
    instrument: str,
    primary: Mapping[str, Any],
    result: ExposureResult,
    pointing: tuple[float, float, float],
) -> None:
    from daxa.xmm.event.eventlist import write_event_list

    header = dict(primary)
    header["FILENAME"] = name
    header["ORIGIN"] = "DAXA"
    run.ctx.provenance(header)
    with run.ctx.output(name) as part:
        write_event_list(
            part,
            primary=header,
            columns=result.columns,
            ccds=result.ccds,
            sky={"ra_deg": pointing[0], "dec_deg": pointing[1]},
            calindex=run.cal.calindex_hdu(_SCOPES[instrument]),
            prime_ccd=1,
        )
    run.ctx.info(f"{name}: {len(result.columns['TIME'])} of {result.n_raw} events, {len(result.ccds)} CCDs")


def _noise_tags(camera: Camera, result: ExposureResult) -> dict[str, tuple[bool, str]]:
    """LENOISnn of CCDs with strong noise at low energies (emtaglenoise)."""
    try:
        table = camera.table("SCREENTHRESH", "SCREEN_THRESH")
    except TaskError as error:
        camera.messages.warn("emtaglenoise", error.code, error.message)
        return {}
    c = result.columns
    corner = camera.geometry.in_corner(c["DETX"], c["DETY"])
    tags = {}
    for ccd in sorted(n for n in result.ccds if n != 1 and n < 10):
        pi = c["PI"][corner & (c["CCDNR"] == ccd)]
        hard = int(((pi >= 2500) & (pi <= 5000)).sum())
        soft = int(((pi >= 400) & (pi <= 800)).sum())
        row = np.flatnonzero(table["CCD_ID"] == ccd)
        if soft and len(row):
            noisy = bool(hard / soft < float(table["BAD"][row[0]]))
            tags[f"LENOIS{ccd:02d}"] = (noisy, f"hardness of the corners {hard / soft:.3f}")
    return tags


def _write_flares(run: Run, stem: str, primary: Mapping[str, Any], results: list[ExposureResult]) -> None:
    """Write the flare curve and its good times."""
    from astropy.io import fits

    from daxa.xmm.epic.mos.flares import CURVE_COLUMNS
    from daxa.xmm.tables import make_table

    curve = results[0].flares
    head = {k: v for k, v in primary.items() if k not in ("FRMTIME",)} | TIME_KEYWORDS
    first = fits.PrimaryHDU()
    for key, value in head.items():
        first.header[key] = value
    run.ctx.provenance(first.header)
    extra = {"TIMEDEL": (curve.bin_s, "[s] bin"), "FLCUTTHR": (run.options.flare_max_rate, "threshold")}
    rate = make_table(CURVE_COLUMNS, curve.table(), "RATE", head | extra)
    with run.ctx.output(f"{stem}TSR0000.FIT") as part:
        fits.HDUList([first, rate]).writeto(part)
    gti = curve.gti(run.options.flare_max_rate).to_hdu("STDGTI")
    with run.ctx.output(f"{stem}GTI0000.FIT") as part:
        fits.HDUList([first.copy(), gti]).writeto(part)


def _attitude(ctx: TaskContext, odf: Odf, name: str, force: bool) -> Path:
    path = ctx.path(name)
    if force or not path.exists():
        env = {**ctx.env, "SAS_ODF": ctx.env.get("SAS_ODF") or str(odf.folder)}
        replace(ctx, env=env).call("atthkgen", atthkset=name, timestep=1.0)
    else:
        ctx.info(f"{name} exists. atthkgen will not be run again.")
    return path


def _gti_file(ctx: TaskContext, name: str) -> GTI:
    try:
        return GTI.read(ctx.path(name))
    except (OSError, KeyError) as error:
        raise TaskError("flagHk10", f"{name}: no good-time intervals: {error}") from error


def _calibration(ctx: TaskContext) -> Calibration:
    from daxa.xmm.ccf.calibration import Calibration

    return Calibration.from_environment(ctx.env, ctx.cwd)


def _run_all(run: Run, wanted: list[tuple[str, str]]) -> None:
    """Process exposures; one that fails does not stop the others, but the task fails in the end."""
    failures: list[Exception] = []
    for instrument, exp_id in wanted:
        try:
            process_exposure(run, instrument, exp_id)
        except (TaskError, NotImplementedError) as error:
            if run.stop_on_error or len(wanted) == 1:
                raise
            code = error.code if isinstance(error, TaskError) else "ModeNotSupported"
            run.ctx.warn(code, f"{instrument} {exp_id}: {error}")
            failures.append(error)
    if failures and len(failures) == len(wanted):
        raise failures[0]


def _select_exposures(
    odf: Odf, instruments: list[str], chosen: list[str], task_name: str
) -> list[tuple[str, str]]:
    """Exposures to process: all, or those named ``S001`` or ``1``."""
    found = [(i, e) for i in instruments for e in odf.exposures(i)]
    if not chosen:
        if not found:
            raise TaskError("MissingData", f"{odf.folder}: no event file of {' or '.join(instruments)}")
        return found
    result = []
    for text in chosen:
        match = [
            (i, e) for i, e in found if e == text.upper() or (text.isdigit() and int(e[1:]) == int(text))
        ]
        if not match:
            listed = ", ".join(f"{i} {e}" for i, e in found) or "none"
            raise TaskError("badParameter", f"{task_name}: no exposure {text!r}; the ODF has {listed}")
        result += match
    return sorted(set(result))


def _cameras(names: list[str], task_name: str) -> list[str]:
    """Instrument codes of ``M1``, ``EMOS2``, ...; both if none are named."""
    aliases = {"M1": "M1", "EMOS1": "M1", "MOS1": "M1", "M2": "M2", "EMOS2": "M2", "MOS2": "M2"}
    unknown = [n for n in names if n.upper() not in aliases]
    if unknown:
        raise TaskError("badParameter", f"{task_name}: parameter instruments: {unknown[0]!r} is not M1 or M2")
    return sorted({aliases[n.upper()] for n in names}) or ["M1", "M2"]


def _flag_mask(text: str, where: str) -> int:
    try:
        return int(str(text), 16)
    except ValueError:
        raise TaskError("badParameter", f"{where}: expected a hexadecimal number, got {text!r}") from None


def _ccd_numbers(texts: list[str], task_name: str) -> list[int]:
    try:
        numbers = sorted({int(t) for t in texts})
    except ValueError:
        numbers = [0]
    if any(not 1 <= n <= 7 for n in numbers):
        raise TaskError(
            "badParameter", f"{task_name}: parameter ccds: expected numbers from 1 to 7, got {texts}"
        )
    return numbers


#: ``subtask:parameter`` of emchain and emproc -> attribute of Options.
_SUBTASK = {
    "emevents:randomizeposition": "randomize_position",
    "emevents:randomizetime": "randomize_time",
    "emevents:rejectrows": "reject_rows",
    "emevents:maxeventsperrow": "max_events_per_row",
    "emevents:widthnexttorow": "width_next_to_row",
    "emevents:keepsifluor": "keep_silicon",
    "emenergy:randomizeenergy": "randomize_energy",
    "emenergy:correctcti": "correct_cti",
    "emenergy:correctgain": "correct_gain",
    "emenergy:minenergy": "min_background_adu",
    "embadpixfind:probathreshold": "probability",
    "embadpixfind:minratio": "min_ratio",
    "embadpixfind:maxratio": "max_ratio",
    "embadpixfind:niter": "iterations",
    "embadpixfind:halfwidth2d": "half_width_2d",
    "embadpixfind:halfwidth1d": "half_width_1d",
    "embadpixfind:findbright": "find_bright",
    "embadpixfind:finddead": "find_dark",
    "embadpixfind:findbadsegments": "find_segments",
}


def _subtask_options(options: Options, p: Parameters, task_name: str) -> Options:
    for name in sorted(n for n in p.given if ":" in n):
        attribute = _SUBTASK.get(name)
        if attribute is None:
            known = ", ".join(sorted(_SUBTASK))
            raise TaskError("unknownParameter", f"{task_name}: unknown parameter {name!r}; known are {known}")
        target = options.search if hasattr(options.search, attribute) else options
        kind = {bool: "bool", int: "int", float: "real"}[type(getattr(target, attribute))]
        setattr(target, attribute, Parameter(name, kind).parse(task_name, p[name]))
    return options


@task(
    "emchain",
    "12.0.1",
    [
        Parameter("odf", "string"),
        Parameter("exposures", "list", []),
        Parameter("instruments", "list", []),
        Parameter("ccds", "list", []),
        Parameter("ingtiset", "string", ""),
        Parameter("filteratt", "bool", False),
        Parameter("filterhk", "bool", False),
        Parameter("badpixfindalgo", "choice", "EM", ("EM", "EP", "NO")),
        Parameter("randomize", "string", "PET"),
        Parameter("applyflaregti", "bool", False),
        Parameter("runccdloop", "bool", True),
        Parameter("startfromodf", "bool", True),
        Parameter("stopafterbadpixfind", "bool", False),
        Parameter("runevlistcomb", "bool", True),
        Parameter("makeflaregti", "bool", True),
        Parameter("rejectbadevents", "bool", True),
        Parameter("rejectionflag", "string", f"{REJECTION_FLAG:x}"),
        Parameter("writeccdbackground", "bool", False),
        Parameter("processlowgain", "bool", False),
        Parameter("fulloutput", "bool", False),
        Parameter("applyccdgti", "bool", True),
        Parameter("withatthkgen", "bool", False),
        Parameter("atttol", "real", 0.05, minimum=0.0),
        Parameter("keepintermediate", "bool", False),
        Parameter("clobber", "bool", True),
        Parameter("stoponerror", "bool", False),
        Parameter("withbadpix", "bool", True),
        Parameter("withemevents", "bool", True),
        Parameter("withattcalc", "bool", True),
        Parameter("withemenergy", "bool", True),
        Parameter("lowenerbadpix", "bool", True),
        Parameter("globalflare", "bool", True),
        Parameter("flaretimebin", "real", 52.0, minimum=1e-3),
        Parameter("flaremaxrate", "real", 2.0, minimum=0.0),
        Parameter("addvigweight", "bool", False),
        Parameter("addtaglenoise", "bool", True),
    ],
    open_parameters=True,
)
def emchain(ctx: TaskContext, p: Parameters) -> None:
    "Make MOS event lists from raw files."
    _refuse(
        "emchain",
        p,
        on=(
            "filterhk",
            "applyflaregti",
            "stopafterbadpixfind",
            "writeccdbackground",
            "fulloutput",
            "addvigweight",
        ),
        off=("runccdloop", "startfromodf", "runevlistcomb", "withemevents", "withattcalc", "withemenergy"),
    )
    if p.badpixfindalgo == "EP":
        raise NotImplementedError(
            "emchain: badpixfindalgo=EP: the engine searches with embadpixfind (EM) only"
        )
    unknown = set(p.randomize.upper()) - set("PET")
    if unknown:
        raise TaskError(
            "badParameter", f"emchain: parameter randomize: expected letters of PET, got {p.randomize!r}"
        )
    if p.keepintermediate:
        ctx.info("All steps work in memory: there are no intermediate files to keep")
    instruments = _cameras(p.instruments, "emchain")
    mask = _flag_mask(p.rejectionflag, "emchain: parameter rejectionflag")
    ccds = _ccd_numbers(p.ccds, "emchain")
    odf = Odf.from_environment(ctx.env, ctx.cwd, p.odf)
    wanted = _select_exposures(odf, instruments, p.exposures, "emchain")
    options = Options(
        randomize_position="P" in p.randomize.upper(),
        randomize_time="T" in p.randomize.upper(),
        randomize_energy="E" in p.randomize.upper(),
        find_bad_pixels=p.badpixfindalgo != "NO",
        low_energy_search=p.lowenerbadpix,
        use_bad_pixels=p.withbadpix,
        reject_bad_events=p.rejectbadevents,
        rejection_flag=mask,
        apply_ccd_gti=p.applyccdgti,
        flare_bin_s=p.flaretimebin,
        flare_max_rate=p.flaremaxrate,
    )
    run = Run(
        ctx,
        odf,
        _calibration(ctx),
        _subtask_options(options, p, "emchain"),
        _attitude(ctx, odf, f"P{odf.obs_id}OBX000ATTTSR0000.FIT", p.withatthkgen),
        ccds,
        lambda instrument, exp_id: f"P{odf.obs_id}{instrument}{exp_id}MIEVLI0000.FIT",
        _gti_file(ctx, p.ingtiset) if p.ingtiset else None,
        p.stoponerror,
        p.addtaglenoise,
        p.makeflaregti,
        attitude_tolerance_deg=p.atttol if p.filteratt else None,
    )
    if not p.clobber:
        wanted = [w for w in wanted if not ctx.path(run.event_name(*w)).exists()]
    _run_all(run, wanted)


def _refuse(task_name: str, p: Parameters, on: tuple[str, ...], off: tuple[str, ...]) -> None:
    for name in on:
        if p[name]:
            raise NotImplementedError(f"{task_name}: {name}=yes is not supported by the embedded engine")
    for name in off:
        if not p[name]:
            raise NotImplementedError(f"{task_name}: {name}=no is not supported by the embedded engine")


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
        Parameter("parameters", "string", ""),
        Parameter("except", "bool", False),
        Parameter("withoverrideparameters", "bool", False),
        Parameter("overrideparameters", "string", ""),
        Parameter("analyzingSciSimdata", "bool", False),
        Parameter("findlowener", "bool", True),
        Parameter("timebin", "real", 52.0, minimum=1e-3),
    ],
    open_parameters=True,
)
def emproc(ctx: TaskContext, p: Parameters) -> None:
    "Make MOS event lists from raw files (the other driver)."
    _refuse(
        "emproc",
        p,
        on=("flagfilteredevents", "withbadpixgti", "useccfdarkframe", "ontimepha", "withparameters"),
        off=("runevlistcomb",),
    )
    if p.badpixfindalgo != "embadpixfind":
        raise NotImplementedError("emproc: badpixfindalgo=badpixfind: the engine has embadpixfind only")
    if p.referencepointing == "user":
        raise NotImplementedError("emproc: referencepointing=user is not supported by the embedded engine")
    if p.selectmodes and not p.imaging:
        raise NotImplementedError("emproc: imaging=no: the embedded engine reduces imaging modes only")
    mask = 0
    if p.filterevents:
        match = re.fullmatch(
            r"\(*\s*FLAG\s*&\s*(0x[0-9a-fA-F]+)\s*\)*\s*==\s*0\s*\)*", p.filterexpression.strip()
        )
        if match is None:
            raise NotImplementedError(
                f"emproc: filterexpression: only '(FLAG & 0x...) == 0' works, not {p.filterexpression!r}"
            )
        mask = int(match[1], 16)
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    cameras = (
        [i for i, on in (("M1", p.emos1), ("M2", p.emos2)) if on] if p.selectinstruments else ["M1", "M2"]
    )
    wanted = _select_exposures(odf, cameras, [], "emproc")
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
        randomize_position=p.randomizeposition,
        randomize_time=p.randomizetime,
        randomize_energy=p.randomizeenergy,
        find_bad_pixels=p.searchforbadpixels,
        low_energy_search=p.findlowener,
        reject_rows=p.rejectrows,
        max_events_per_row=p.maxeventsperrow,
        keep_silicon=p.keepsifluor,
        correct_cti=p.correctcti,
        correct_gain=p.correctgain,
        reject_bad_events=p.filterevents,
        rejection_flag=mask,
        apply_ccd_gti=p.applygti,
        flare_bin_s=p.timebin,
    )
    run = Run(
        ctx,
        odf,
        _calibration(ctx),
        _subtask_options(options, p, "emproc"),
        _attitude(ctx, odf, f"{stem}_AttHk.ds", False),
        [n for n in range(1, 8) if p[f"ccd{n}"]] if p.selectccds else [],
        lambda instrument, exp_id: f"{stem}_{INSTRUMENTS[instrument]}_{exp_id}_ImagingEvts.ds",
        _gti_file(ctx, p.gtiset) if p.withgtiset else None,
        average_pointing=p.referencepointing == "mean",
    )
    _run_all(run, wanted)
