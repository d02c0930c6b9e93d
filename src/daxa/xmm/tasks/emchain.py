"""The task emchain: make MOS event lists from raw files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, Emenergy, Emevents, Options, parse_subtasks
from daxa.xmm.instruments.mos.products import Run, run_all
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import (
    attitude_file,
    gti_file,
    housekeeping_times,
    open_calibration,
    refuse,
    select_exposures,
)

if TYPE_CHECKING:
    pass


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
    refuse(
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
    wanted = select_exposures(ctx, odf, instruments, p.exposures, "emchain")
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
        open_calibration(ctx),
        parse_subtasks(options, p, "emchain"),
        attitude_file(ctx, odf, f"P{odf.obs_id}OBX000ATTTSR0000.FIT", p.withatthkgen),
        ccds,
        lambda instrument, exp_id, kind: (
            f"P{odf.obs_id}{instrument}{exp_id}{'TI' if kind == 'Timing' else 'MI'}EVLI0000.FIT"
        ),
        gti_file(ctx, p.ingtiset) if p.ingtiset else None,
        housekeeping_times(
            ctx, wanted, lambda camera: f"P{odf.obs_id}{camera}X000HK_GTI0000.FIT", {}, needed=True
        )
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
