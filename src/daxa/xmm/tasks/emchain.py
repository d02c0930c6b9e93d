"""The task emchain: make MOS event lists from raw files."""

from __future__ import annotations

from dataclasses import replace

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import MOS, code_of
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, STEPS, Emenergy, Emevents, Options, with_steps
from daxa.xmm.instruments.mos.products import Extras, FileNames, GoodTimes, Run, Selection, run_all
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import (
    attitude_file,
    gti_file,
    housekeeping_times,
    open_calibration,
    select_exposures,
)
from daxa.xmm.tasks.support_mos import flag_mask


def _cameras(names: list[str], task_name: str) -> list[str]:
    """Instrument codes of ``M1``, ``EMOS2``, ...; both if none are named."""
    codes = [code_of(name) for name in names]
    unknown = [name for name, code in zip(names, codes, strict=True) if code not in MOS]
    if unknown:
        raise TaskError("badParameter", f"{task_name}: parameter instruments: {unknown[0]!r} is not M1 or M2")
    return sorted({code for code in codes if code}) or list(MOS)


IN_ONE = "no step can be left out or repeated alone; the chain keeps the lists between them in memory"


@task(
    "emchain",
    "12.0.1",
    [
        Parameter("odf", "string", text="folder of the ODF; SAS_ODF if not given"),
        Parameter("exposures", "list", [], text="exposures to process, as S001 or 1; all if none are named"),
        Parameter("instruments", "list", [], text="cameras to process, M1 or M2; both if none are named"),
        Parameter("ccds", "ints", [], text="CCDs to process; all if none are named", minimum=1, maximum=7),
        Parameter(
            "ingtiset", "string", "", text="good times; frames outside are flagged, their events left out"
        ),
        Parameter("filteratt", "bool", False, text="flag frames off the median pointing (atttol)"),
        Parameter("filterhk", "bool", False, text="flag frames outside the good times of housekeeping"),
        Parameter(
            "badpixfindalgo",
            "choice",
            "EM",
            ("EM", "EP", "NO"),
            text="search for bad pixels: EM embadpixfind, NO none; EP, badpixfind, is refused",
        ),
        Parameter("randomize", "string", "PET", text="what is randomised: P position, E energy, T time"),
        Parameter(
            "applyflaregti",
            "bool",
            Options.apply_flare_gti,
            text="leave out events in flares, of CCDs that keep a tenth of their time",
        ),
        Parameter("runccdloop", "bool", True, text="process the CCDs", only=IN_ONE),
        Parameter("startfromodf", "bool", True, text="start with raw files", only=IN_ONE),
        Parameter("stopafterbadpixfind", "bool", False, text="make only the lists of bad pixels"),
        Parameter("runevlistcomb", "bool", True, text="merge the lists of the CCDs", only=IN_ONE),
        Parameter("makeflaregti", "bool", True, text="write a light curve of flares and its good times"),
        Parameter(
            "rejectbadevents",
            "bool",
            Options.reject_bad_events,
            text="leave out events with a flag of rejectionflag",
        ),
        Parameter(
            "rejectionflag", "string", f"{REJECTION_FLAG:x}", text="bits of FLAG that reject, hexadecimal"
        ),
        Parameter(
            "writeccdbackground", "bool", False, text="write the map of the local background of each CCD"
        ),
        Parameter(
            "processlowgain",
            "bool",
            False,
            text="process CCDs with low gain",
            without_effect="the gain of a CCD is not read",
        ),
        Parameter(
            "fulloutput",
            "bool",
            Options.full_output,
            text="keep the charges as they were sent (ENERGYE1 ...)",
        ),
        Parameter(
            "applyccdgti",
            "bool",
            Options.apply_ccd_gti,
            text="leave out events outside the good times of their CCD",
        ),
        Parameter(
            "withatthkgen",
            "bool",
            False,
            text="make the attitude file anew, not only where there is none",
        ),
        Parameter(
            "atttol",
            "real",
            0.05,
            unit="deg",
            minimum=0.0,
            text="greatest distance from the median pointing (filteratt)",
        ),
        Parameter(
            "keepintermediate",
            "bool",
            False,
            text="keep frames, good times and found bad pixels of each CCD",
        ),
        Parameter("clobber", "bool", True, text="also process exposures whose lists are there already"),
        Parameter("stoponerror", "bool", False, text="end with the first CCD or exposure that fails"),
        Parameter("withbadpix", "bool", Options.use_bad_pixels, text="use bad pixels, known or found"),
        Parameter("withemevents", "bool", True, text="run emevents", only=IN_ONE),
        Parameter("withattcalc", "bool", True, text="work out sky coordinates", only=IN_ONE),
        Parameter("withemenergy", "bool", True, text="run emenergy", only=IN_ONE),
        Parameter(
            "lowenerbadpix",
            "bool",
            Options.low_energy_search,
            text=f"search once more for bad pixels below {Options.low_energy_ev:g} eV",
        ),
        Parameter("globalflare", "bool", True, text="also write a light curve of flares of all exposures"),
        Parameter(
            "flaretimebin",
            "real",
            Options.flare_bin_s,
            unit="s",
            minimum=1e-3,
            text="bin of the light curve of flares",
        ),
        Parameter(
            "flaremaxrate",
            "real",
            Options.flare_max_rate,
            unit="count/ks/arcmin**2",
            minimum=0.0,
            text="a higher rate of truncated single events is a flare",
        ),
        Parameter(
            "addvigweight",
            "bool",
            False,
            text="add a column with the weight of vignetting",
            only="evigweight is not there",
        ),
        Parameter(
            "addtaglenoise",
            "bool",
            True,
            text="name CCDs with an excess of events of low energy in the header",
        ),
    ],
    steps=STEPS,
)
def emchain(ctx: TaskContext, p: Parameters) -> None:
    """Make MOS event lists from raw files.

    For each exposure of the two cameras: frames, bad pixels, events and energies of each CCD, one list of all
    in imaging mode, and one in timing mode.
    """
    if p.badpixfindalgo == "EP":
        raise NotImplementedError(
            "emchain: badpixfindalgo=EP: the engine searches with embadpixfind (EM) only"
        )
    instruments, options = _cameras(p.instruments, "emchain"), _options(p)
    if p.odf:
        # The tasks inside read the same files.
        ctx = replace(ctx, env={**ctx.env, "SAS_ODF": p.odf})
    odf = Odf.from_environment(ctx.env, ctx.cwd, p.odf)
    wanted = select_exposures(ctx, odf, instruments, p.exposures, "emchain")
    stem = f"P{odf.obs_id}{{instrument}}{{exp_id}}"
    housekeeping: dict[str, GTI] = {}
    if p.filterhk:
        housekeeping = housekeeping_times(
            ctx, wanted, lambda camera: f"P{odf.obs_id}{camera}X000HK_GTI0000.FIT", {}, needed=True
        )
    run = Run(
        ctx,
        odf,
        open_calibration(ctx),
        options,
        attitude_file(ctx, odf, f"P{odf.obs_id}OBX000ATTTSR0000.FIT", p.withatthkgen),
        FileNames(
            {"Imaging": f"{stem}MIEVLI0000.FIT", "Timing": f"{stem}TIEVLI0000.FIT"},
            _kept_files(p, stem, len(wanted) > 1),
        ),
        Selection(tuple(sorted(set(p.ccds)))),
        GoodTimes(
            gti_file(ctx, p.ingtiset) if p.ingtiset else None,
            housekeeping,
            p.atttol if p.filteratt else None,
        ),
        extras=Extras(
            stop_on_error=p.stoponerror,
            stop_after_search=p.stopafterbadpixfind,
            tag_low_energy_noise=p.addtaglenoise,
            flare_gti=p.makeflaregti,
            global_flare=p.globalflare,
        ),
    )
    if not p.clobber:
        wanted = [w for w in wanted if not is_there(run, *w)]
    run_all(run, wanted)


def _options(p: Parameters) -> Options:
    """What the parameters choose for the steps, those of single steps last."""
    letters = set(p.randomize.upper())
    if letters - set("PET"):
        raise TaskError(
            "badParameter", f"emchain: parameter randomize: expected letters of PET, got {p.randomize!r}"
        )
    options = Options(
        emevents=Emevents(randomizeposition="P" in letters, randomizetime="T" in letters),
        emenergy=Emenergy(randomizeenergy="E" in letters),
        find_bad_pixels=p.badpixfindalgo != "NO",
        low_energy_search=p.lowenerbadpix,
        use_bad_pixels=p.withbadpix,
        reject_bad_events=p.rejectbadevents,
        rejection_flag=flag_mask(p.rejectionflag, "emchain: parameter rejectionflag"),
        apply_ccd_gti=p.applyccdgti,
        apply_flare_gti=p.applyflaregti,
        flare_bin_s=p.flaretimebin,
        flare_max_rate=p.flaremaxrate,
        full_output=p.fulloutput,
    )
    return with_steps(options, p)


def is_there(run: Run, instrument: str, exp_id: str) -> bool:
    """Whether all event lists of an exposure exist; one that makes none is not done.

    Parameters
    ----------
    run
        What the chain was asked for.
    instrument
        ``M1`` or ``M2``.
    exp_id
        Identifier of the exposure, e.g. ``S001``.
    """
    names = run.event_lists(instrument, exp_id)
    there = bool(names) and all(run.ctx.path(name).exists() for name in names)
    if there:
        run.ctx.info(f"{' and '.join(names)} exist: {exp_id} is not processed again")
    return there


def _kept_files(p: Parameters, stem: str, several: bool) -> dict[str, str]:
    """Names of emchain's files between the steps, for those that are wanted."""
    # Files of one exposure must not overwrite those of the next.
    end = "{instrument}{exp_id}" if several else "mos"
    names: dict[str, str] = {}
    if p.keepintermediate:
        names |= {"frames": f"frame{{ccd:02d}}.out.{end}", "gti": f"ccdgti{{ccd:02d}}.in.{end}"}
    if p.keepintermediate or p.stopafterbadpixfind:
        names["badpix"] = f"badpix{{ccd:02d}}.out.{end}"
    if p.writeccdbackground:
        names["background"] = f"{stem}CCDBKG{{number}}{{node}}00.FIT"
    return names
