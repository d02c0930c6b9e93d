"""Assembling event lists: the EPIC chains, their cleaned lists, and one final list per camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_band, check_bool
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, MOS, Piece, Recipe, Step
from daxa.process.xmm.check import check_states, parse_emanom_out
from daxa.process.xmm.clean import chain_of
from daxa.process.xmm.exposures import ExposureOptions, scheduling_wanted
from daxa.process.xmm.grating import (
    CLEANED_RGS_EVENT_LISTS,
    RGS_ANGLES,
    RGS_EVENTS,
    cleaned_rgs_event_lists,
    rgs_angles,
    rgs_events,
)
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

__all__ = [
    "CLEANED_EVT_LISTS",
    "CLEANED_RGS_EVENT_LISTS",
    "EMCHAIN",
    "EPCHAIN",
    "MERGE_SUBEXPOSURES",
    "RGS_ANGLES",
    "RGS_EVENTS",
    "cleaned_evt_lists",
    "cleaned_rgs_event_lists",
    "emchain",
    "epchain",
    "merge_subexposures",
    "rgs_angles",
    "rgs_events",
]

PN_FILTER = ("#XMMEA_EP", "(PATTERN <= 4)", "(FLAG .eq. 0)")
MOS_FILTER = ("#XMMEA_EM", "(PATTERN <= 12)", "(FLAG .eq. 0)")


def _filters(name: str, expression: Any) -> tuple[str, ...]:
    if isinstance(expression, str):
        return (expression,)
    if not isinstance(expression, (tuple, list)) or not all(isinstance(e, str) for e in expression):
        raise TypeError(f"{name}: expected text or a tuple of texts, got {expression!r}")
    if not expression:
        raise ValueError(f"{name}: expected at least one expression")
    return tuple(expression)


@dataclass(frozen=True, eq=False)
class CleanedOptions(StepOptions):
    """Options of `cleaned_evt_lists`."""

    lo_en: Quantity | None = argument(None, "Lower energy of the events to keep; everything by default.")
    hi_en: Quantity | None = argument(None, "Upper energy of the events to keep; everything by default.")
    pn_filt_expr: str | Sequence[str] = argument(
        PN_FILTER, "Selection expression of pn events, or several, all of which must hold."
    )
    mos_filt_expr: str | Sequence[str] = argument(
        MOS_FILTER, "Selection expression of MOS events, or several, all of which must hold."
    )
    filt_mos_anom_state: bool = argument(False, "Leave out MOS CCDs in an anomalous state; needs `emanom`.")
    acc_mos_anom_states: Sequence[str] = argument(("G", "I", "U"), "States that are kept then.")

    def check(self) -> None:
        check_bool("filt_mos_anom_state", self.filt_mos_anom_state)
        _ = self.band_ev, self.pn_filters, self.mos_filters, self.states

    @cached_property
    def band_ev(self) -> tuple[int, int] | None:
        """Energies of the events to keep [eV]; None for all."""
        return check_band(self.lo_en, self.hi_en)

    @property
    def energy(self) -> str:
        """The energies as names of files have them; empty for all."""
        return "" if self.band_ev is None else layout.energy_text(*(e / 1000 for e in self.band_ev))

    @cached_property
    def pn_filters(self) -> tuple[str, ...]:
        """Selection expressions of pn events."""
        return _filters("pn_filt_expr", self.pn_filt_expr)

    @cached_property
    def mos_filters(self) -> tuple[str, ...]:
        """Selection expressions of MOS events."""
        return _filters("mos_filt_expr", self.mos_filt_expr)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """States of CCDs to keep."""
        return check_states("acc_mos_anom_states", self.acc_mos_anom_states)


def _imaging_ccds(piece: Piece) -> list[int]:
    modes = piece.exposure.get("ccd_modes") or {}
    return sorted(ccd for ccd, mode in modes.items() if mode.upper() == "IMAGING")


def _pn_wanted(piece: Piece, options: ExposureOptions) -> bool:
    known = piece.exposure.get("ccd_modes")
    return scheduling_wanted(piece, options) and (not known or bool(_imaging_ccds(piece)))


def _fast_note(piece: Piece, options: ExposureOptions) -> str | None:
    """Which CCDs of an exposure are in fast modes, and what that means."""
    modes = piece.exposure.get("ccd_modes") or {}
    fast = {ccd: mode for ccd, mode in sorted(modes.items()) if mode.upper() != "IMAGING"}
    if not fast or not scheduling_wanted(piece, options):
        return None
    if len(fast) == len(modes):
        left_out = "it has no image and is left out"
    else:
        left_out = f"CCD {', '.join(map(str, fast))} has no image and is left out, the others are used"
    kinds = " and ".join(dict.fromkeys(mode.lower() for mode in fast.values()))
    return f"{piece.ident} ({piece.exposure.get('mode') or 'unknown mode'}): {kinds} data; {left_out}"


def _epchain(piece: Piece, options: ExposureOptions) -> Recipe:
    where = piece.where
    common: dict[str, Any] = {
        "odf": str(piece.raw),
        "odfaccess": "odf",
        "exposure": where[2][1:],
        "schedule": where[2][0],
    }
    if ccds := _imaging_ccds(piece):
        common["ccds"] = ",".join(map(str, ccds))
    stem = f"P{piece.ident}"
    attitude = layout.attitude(piece.obs_id)
    files = {
        "evt_list": layout.events(*where),
        "oot_evt_list": layout.events(*where, oot=True),
        "att_file": attitude,
    }
    return Recipe(
        [
            # Out-of-time events first: the second run uses the raw lists and the attitude of the first.
            Task("epchain", **common, runbackground="N", keepintermediate="raw", withoutoftime="Y"),
            Task("epchain", **common, runatthkgen="N", runepframes="N", runbadpixfind="N", runbadpix="N"),
        ],
        {
            f"{stem}PIEVLI0000.FIT": files["evt_list"],
            f"{stem}OOEVLI0000.FIT": files["oot_evt_list"],
            attitude: attitude,
        },
        shared=frozenset((attitude,)),
        env=piece.environment(),
        files=files,
    )


def _emchain(piece: Piece, options: ExposureOptions) -> Recipe:
    obs_id, inst, exp_id = piece.where
    attitude = layout.attitude(obs_id)
    files = {"evt_list": layout.events(obs_id, inst, exp_id), "att_file": attitude}
    return Recipe(
        [
            Task(
                "emchain",
                odf=str(piece.raw),
                instruments=inst,
                exposures=exp_id,
                addtaglenoise=False,
                makeflaregti=False,
            )
        ],
        {
            f"P{obs_id}{inst}{exp_id}MIEVLI0000.FIT": files["evt_list"],
            attitude: attitude,
        },
        shared=frozenset((attitude,)),
        env=piece.environment(),
        files=files,
    )


def _is_whole(expression: str) -> bool:
    """Whether an expression is a name, or wholly in brackets."""
    text = expression.strip()
    if re.fullmatch(r"#?\w+", text):
        return True
    depth, ends = 0, []
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            ends.append(place)
    return text.startswith("(") and ends[:1] == [len(text) - 1]


def clean_expression(
    filters: Sequence[str], gti: Path, ccds: Sequence[int] | None, band: tuple[int, int] | None
) -> str:
    """The selection of a cleaned event list, in the language of evselect.

    Every filter counts as a whole: an "or" in one of them takes in nothing that another, or the good times,
    leave out.

    Parameters
    ----------
    filters
        Selections, joined by "and".
    gti
        File of good times.
    ccds
        CCDs to keep; none of them if empty, None: all.
    band
        Lowest and highest PI channel [eV]; None: all.

    Examples
    --------
    >>> clean_expression(["(PATTERN <= 4)"], Path("gti.fits"), None, (500, 2000))
    '(PATTERN <= 4) && (PI in [500:2000]) && GTI(gti.fits,TIME)'
    """
    parts = [f if _is_whole(f) else f"({f})" for f in filters]
    if ccds is not None:
        parts.append(f"(CCDNR in {','.join(map(str, ccds))})" if ccds else "false")
    if band is not None:
        parts.append(f"(PI in [{band[0]}:{band[1]}])")
    return " && ".join([*parts, f"GTI({gti},TIME)"])


def _cleaned(piece: Piece, options: CleanedOptions) -> Recipe:
    where = piece.where
    chain = chain_of(piece.inst)
    gti = piece.made("espfilt", "gti_path")
    ccds = None
    if piece.inst in MOS and options.filt_mos_anom_state:
        log = piece.made("emanom", "log_path")
        ccds = parse_emanom_out(log, options.states)
    filters = options.pn_filters if piece.inst == "PN" else options.mos_filters
    expression = clean_expression(filters, gti, ccds, options.band_ev)
    energy = options.energy
    sources = {"evt_list": piece.made(chain, "evt_list")}
    if piece.inst == "PN" and (oot := piece.made_if_any(chain, "oot_evt_list")):
        sources["oot_evt_list"] = oot
    tasks, outputs, files = [], {}, {}
    for key, source in sources.items():
        name = f"{key}.fits"
        tasks.append(
            Task(
                "evselect",
                table=f"{source}:EVENTS",
                filteredset=name,
                expression=expression,
                updateexposure=True,
            )
        )
        outputs[name] = files[key] = layout.clean_events(*where, energy, oot=key.startswith("oot"))
    return Recipe(
        tasks, outputs, env=piece.environment(), files=files, settings={"en_key": _energy_key(energy)}
    )


def _energy_key(energy: str) -> str:
    return f"en{energy}" if energy else ""


def _merged(piece: Piece, options: StepOptions) -> Recipe:
    obs_id, inst = piece.obs_id, str(piece.inst)
    found = piece.records.of(piece.mission.name, obs_id)
    runs = [
        run
        for (process, _), (run, _) in found.items()
        if process == "cleaned_evt_lists" and run is not None and run.ok and run.inst == inst
    ]
    idents = [run.ident for run in runs]
    if not runs:
        raise ValueError(f"{piece.ident}: there is no cleaned event list")
    keys = {str(run.extra.get("en_key", "")).removeprefix("en") for run in runs}
    if len(keys) > 1:
        raise ValueError(
            f"{piece.ident}: the cleaned event lists are of different energies "
            f"({', '.join(k or 'all' for k in sorted(keys))})"
        )
    energy = keys.pop()
    kinds = {
        "final": ("cleaned_evt_lists", "evt_list", layout.final_events(obs_id, inst, energy)),
        "finaloot": (
            "cleaned_evt_lists",
            "oot_evt_list",
            layout.final_events(obs_id, inst, energy, oot=True),
        ),
        "allgood": ("espfilt", "allevc", layout.final_all_good_events(obs_id, inst, energy)),
        "allgoodoot": (
            "espfilt",
            "oot_allevc",
            layout.final_all_good_events(obs_id, inst, energy, oot=True),
        ),
    }
    tasks: list[Task] = []
    outputs, files, inputs = {}, {}, {}
    for kind, (process, key, target) in kinds.items():
        parts = [p for i in sorted(idents) if (p := piece.made_if_any(process, key, ident=i))]
        if not parts:
            continue
        result = str(parts[0])
        for number, part in enumerate(parts[1:], start=1):
            merged = f"{kind}{number}.fits"
            tasks.append(Task("merge", set1=result, set2=str(part), outset=merged))
            result = merged
        if len(parts) == 1:
            result = f"{kind}.fits"
            inputs[result] = parts[0]
        outputs[result] = files[kind] = target
    return Recipe(
        tasks,
        outputs,
        env=piece.environment(),
        inputs=inputs,
        files=files,
        settings={"en_key": _energy_key(energy), "sub_exposures": len(idents)},
    )


EPCHAIN = Step(
    "epchain",
    "Assembling PN and PN-OOT event lists",
    "exposure",
    _epchain,
    instruments=("PN",),
    needs=lambda inst, options: ("odf_ingest",),
    wants=_pn_wanted,
    note=_fast_note,
)
EMCHAIN = Step(
    "emchain",
    "Assembling MOS event lists",
    "exposure",
    _emchain,
    instruments=MOS,
    needs=lambda inst, options: ("odf_ingest",),
    wants=scheduling_wanted,
    note=_fast_note,
)
CLEANED_EVT_LISTS = Step(
    "cleaned_evt_lists",
    "Generating cleaned event lists",
    "exposure",
    _cleaned,
    instruments=EPIC,
    needs=lambda inst, options: (
        ("espfilt", "emanom") if inst in MOS and options.filt_mos_anom_state else ("espfilt",)
    ),
)
MERGE_SUBEXPOSURES = Step(
    "merge_subexposures",
    "Generating final event lists",
    "instrument",
    _merged,
    instruments=EPIC,
    needs=lambda inst, options: ("cleaned_evt_lists",),
)


@public(ExposureOptions)
def epchain(obs_archive: Archive, options: ExposureOptions, running: Running) -> None:
    """Make pn event lists, and lists of simulated out-of-time events (task epchain).

    Needs `odf_ingest`. CCDs that are not in an imaging mode are left out, and a warning names them; the task
    epchain itself makes their lists with `datamode=TIMING` or `datamode=BURST`.

    Examples
    --------
    >>> daxa.epchain(archive, process_unscheduled=False)
    """
    run_steps(obs_archive, [(EPCHAIN, options)], ALLOWED, running)


@public(ExposureOptions)
def emchain(obs_archive: Archive, options: ExposureOptions, running: Running) -> None:
    """Make MOS event lists (task emchain). Needs `odf_ingest`.

    Of exposures in timing mode the outer CCDs are used, and a warning names them.

    Examples
    --------
    >>> daxa.emchain(archive, process_unscheduled=False)
    """
    run_steps(obs_archive, [(EMCHAIN, options)], ALLOWED, running)


@public(CleanedOptions)
def cleaned_evt_lists(obs_archive: Archive, options: CleanedOptions, running: Running) -> None:
    """Select good events in the times without flares (task evselect). Needs `espfilt`.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.cleaned_evt_lists(archive, Quantity(0.3, "keV"), Quantity(7, "keV"))
    """
    run_steps(obs_archive, [(CLEANED_EVT_LISTS, options)], ALLOWED, running)


@public(StepOptions)
def merge_subexposures(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Join the cleaned lists of each camera's sub-exposures (task merge). Needs `cleaned_evt_lists`.

    The last step of the event lists: it decides which observations went through. Those of which no camera
    did are moved to the archive's failed data.

    Examples
    --------
    >>> daxa.merge_subexposures(archive)
    """
    run_steps(obs_archive, [(MERGE_SUBEXPOSURES, options)], ALLOWED, running)
