"""The tasks emchain and emproc: MOS event lists from raw files.

Sources: manuals of emchain and emproc; parameters and defaults from a real run's log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.xmm.epic.mos.driver import Run, run_all
from daxa.xmm.epic.mos.options import REJECTION_FLAG, Emenergy, Emevents, Options, parse_subtasks
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration


def _attitude(ctx: TaskContext, odf: Odf, name: str, force: bool, allowed: bool = True) -> Path:
    path = ctx.path(name)
    if not allowed and not path.exists():
        raise TaskError("MissingData", f"{path}: absent, and runatthkgen=no")
    if force or not path.exists():
        env = {**ctx.env, "SAS_ODF": ctx.env.get("SAS_ODF") or str(odf.folder)}
        replace(ctx, env=env).call("atthkgen", atthkset=name, timestep=1.0)
    else:
        ctx.info(f"{name} exists. atthkgen will not be run again.")
    return path


def _housekeeping(
    ctx: TaskContext,
    wanted: list[tuple[str, str]],
    name: Callable[[str], str],
    chosen: Mapping[str, Any],
    *,
    needed: bool = False,
    keep: bool = True,
) -> dict[str, GTI]:
    """Good times of the housekeeping of each camera (hkgtigen), where there is any."""
    from daxa.xmm.select.hkgtigen import housekeeping_of_chain

    found = {}
    for camera in sorted({instrument for instrument, _ in wanted}):
        file = name(camera)
        own = not ctx.path(file).is_file()
        gti = housekeeping_of_chain(ctx, INSTRUMENTS[camera].lower(), file, chosen, needed=needed)
        if gti is not None:
            found[camera] = gti
        if own and not keep:
            ctx.path(file).unlink(missing_ok=True)
    return found


def _gti_file(ctx: TaskContext, name: str) -> GTI:
    try:
        return GTI.read(ctx.path(name))
    except (OSError, KeyError) as error:
        raise TaskError("flagHk10", f"{name}: no good-time intervals: {error}") from error


def _calibration(ctx: TaskContext) -> Calibration:
    from daxa.xmm.ccf.calibration import Calibration

    return Calibration.from_environment(ctx.env, ctx.cwd)


def _select_exposures(
    ctx: TaskContext, odf: Odf, instruments: list[str], chosen: list[str], task_name: str
) -> list[tuple[str, str]]:
    """Exposures to process: all, or those named ``S001`` or ``1``; those without event files are named."""
    found = [(i, e) for i in instruments for e in odf.exposures(i)]
    empty = [(i, e) for i in instruments for e in odf.without_events(i)]

    def named(exposures: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
        return [
            (i, e) for i, e in exposures if e == text.upper() or (text.isdigit() and int(e[1:]) == int(text))
        ]

    result = [] if chosen else found
    for text in chosen:
        if not named(found + empty, text):
            listed = ", ".join(f"{i} {e}" for i, e in found) or "none"
            raise TaskError("badParameter", f"{task_name}: no exposure {text!r}; the ODF has {listed}")
        result += named(found, text)
    without = [pair for text in chosen for pair in named(empty, text)] if chosen else empty
    lines = [f"{i} {e}: the ODF has an auxiliary file but no event file; no list is made" for i, e in without]
    if not result:
        raise TaskError(
            "MissingData", "; ".join(lines) or f"{odf.folder}: no event file of {' or '.join(instruments)}"
        )
    for line in lines:
        ctx.warn("MissingData", line)
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
        on=("addvigweight",),
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
    instruments = _cameras(p.instruments, "emchain")
    mask = _flag_mask(p.rejectionflag, "emchain: parameter rejectionflag")
    ccds = _ccd_numbers(p.ccds, "emchain")
    if p.odf:
        # The tasks inside read the same files.
        ctx = replace(ctx, env={**ctx.env, "SAS_ODF": p.odf})
    odf = Odf.from_environment(ctx.env, ctx.cwd, p.odf)
    wanted = _select_exposures(ctx, odf, instruments, p.exposures, "emchain")
    letters = p.randomize.upper()
    options = Options(
        emevents=Emevents(randomizeposition="P" in letters, randomizetime="T" in letters),
        emenergy=Emenergy(randomizeenergy="E" in letters),
        find_bad_pixels=p.badpixfindalgo != "NO",
        low_energy_search=p.lowenerbadpix,
        use_bad_pixels=p.withbadpix,
        reject_bad_events=p.rejectbadevents,
        rejection_flag=mask,
        apply_ccd_gti=p.applyccdgti,
        apply_flare_gti=p.applyflaregti,
        flare_bin_s=p.flaretimebin,
        flare_max_rate=p.flaremaxrate,
        full_output=p.fulloutput,
    )
    run = Run(
        ctx,
        odf,
        _calibration(ctx),
        parse_subtasks(options, p, "emchain"),
        _attitude(ctx, odf, f"P{odf.obs_id}OBX000ATTTSR0000.FIT", p.withatthkgen),
        ccds,
        lambda instrument, exp_id, kind: (
            f"P{odf.obs_id}{instrument}{exp_id}{'TI' if kind == 'Timing' else 'MI'}EVLI0000.FIT"
        ),
        _gti_file(ctx, p.ingtiset) if p.ingtiset else None,
        _housekeeping(ctx, wanted, lambda camera: f"P{odf.obs_id}{camera}X000HK_GTI0000.FIT", {}, needed=True)
        if p.filterhk
        else {},
        p.stoponerror,
        p.addtaglenoise,
        p.makeflaregti,
        p.globalflare,
        p.stopafterbadpixfind,
        _kept_files(p, odf.obs_id, len(wanted) > 1),
        attitude_tolerance_deg=p.atttol if p.filteratt else None,
    )
    if not p.clobber:
        wanted = [w for w in wanted if not all(ctx.path(n).exists() for n in run.names(*w))]
    run_all(run, wanted)


def _kept_files(p: Parameters, obs_id: str, several: bool) -> dict[str, Callable[[str, str, int], str]]:
    """Names of emchain's files between the steps, for those that are wanted."""

    def intermediate(stem: str, ending: str) -> Callable[[str, str, int], str]:
        # Files of one exposure must not overwrite those of the next.
        return lambda camera, exp_id, ccd: f"{stem}{ccd:02d}.{ending}.{camera + exp_id if several else 'mos'}"

    found: dict[str, Callable[[str, str, int], str]] = {}
    if p.keepintermediate:
        found |= {"frames": intermediate("frame", "out"), "gti": intermediate("ccdgti", "in")}
    if p.keepintermediate or p.stopafterbadpixfind:
        found["badpix"] = intermediate("badpix", "out")
    if p.writeccdbackground:
        found["background"] = lambda camera, exp_id, ccd: (
            f"P{obs_id}{camera}{exp_id}CCDBKG{ccd % 10}{ccd // 10}00.FIT"
        )
    return found


#: Parameters of emproc that go to hkgtigen.
_HOUSEKEEPING = ("withparameters", "parameters", "except", "withoverrideparameters", "overrideparameters")
#: Switch of emproc for each type of event file.
_MODES = {"IME": "imaging", "RIE": "rimaging", "TIE": "timing", "CTE": "ctiming"}


def _filter(expression: str) -> tuple[int, str]:
    """Mask of the flags that reject, for the usual form of filterexpression, else the expression itself."""
    match = re.fullmatch(r"\(*\s*FLAG\s*&\s*(0x[0-9a-fA-F]+)\s*\)*\s*==\s*0\s*\)*", expression.strip())
    return (int(match[1], 16), "") if match else (0, expression)


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
    _refuse(
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
    wanted = _select_exposures(ctx, odf, cameras, [], "emproc")
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
        bad_pixel_gti=_gti_file(ctx, p.badpixgti) if p.withbadpixgti else None,
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
        _calibration(ctx),
        parse_subtasks(options, p, "emproc"),
        _attitude(ctx, odf, f"{stem}_AttHk.ds", False, p.runatthkgen),
        [n for n in range(1, 8) if p[f"ccd{n}"]] if p.selectccds else [],
        lambda instrument, exp_id, kind: f"{stem}_{INSTRUMENTS[instrument]}_{exp_id}_{kind}Evts.ds",
        _gti_file(ctx, p.gtiset) if p.withgtiset else None,
        _housekeeping(
            ctx,
            wanted,
            lambda camera: f"{stem}_{INSTRUMENTS[camera]}_HkGti.ds",
            {n: p[n] for n in _HOUSEKEEPING},
            keep=not p.removeintermediategtis,
        )
        if p.runhkgtigen
        else {},
        keep={
            kind: (
                lambda camera, exp_id, ccd, end=end: (
                    f"{stem}_{INSTRUMENTS[camera]}_{exp_id}_{ccd:02d}_{end}.ds"
                )
            )
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
