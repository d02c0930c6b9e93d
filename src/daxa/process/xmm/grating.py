"""Event lists of the grating spectrometers, by the stages of rgsproc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.options import Running, StepOptions
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import RGS, Piece, Recipe, Step
from daxa.process.xmm.exposures import ExposureOptions, scheduling_wanted
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Files that stages hand on to each other: code in rgsproc's file name -> ours.
_CARRIED = {"merged": "merged", "SRCLI_": "srclist", "attgti": "attgti", "hkgti_": "hkgti"}


def _stage(piece: Piece, stage: str, after: str | None, final: bool = False) -> Recipe:
    where = piece.where
    stem = f"P{piece.ident}"
    names = {kind: f"{stem}{code}0000.FIT" for code, kind in _CARRIED.items()}
    inputs = {}
    if after is not None:
        for kind, name in names.items():
            # Angles change the merged list only; the rest is what the first stage made.
            for process in (after, "rgs_events"):
                if path := piece.made_if_any(process, kind):
                    inputs[name] = path
                    break
    if final:
        files = {"final_evt_list": layout.rgs_file(*where, "finalevents")}
        outputs = {f"{stem}EVENLI0000.FIT": files["final_evt_list"]}
    else:
        label = "" if after is None else "angles-"
        kinds = list(names) if after is None else ["merged", "srclist"]
        files = {kind: layout.rgs_file(*where, label + kind) for kind in kinds}
        outputs = {names[kind]: files[kind] for kind in kinds}
    attitude = layout.attitude(piece.obs_id)
    if after is None:
        outputs[attitude] = attitude
    # Not that of another instrument's chain, which may or may not be there yet.
    elif existing := piece.attitude(by="rgs_events"):
        inputs[attitude] = existing
    return Recipe(
        [
            Task(
                "rgsproc",
                entrystage=stage,
                finalstage=stage,
                withinstexpids=True,
                instexpids=f"{piece.inst}{piece.exp_id}",
            )
        ],
        outputs,
        optional=frozenset(names[k] for k in ("srclist", "attgti", "hkgti")) | {attitude},
        shared=frozenset((attitude,)) if attitude in outputs else frozenset(),
        env=piece.environment(),
        inputs=inputs,
        files=files,
        reads_raw=True,
    )


RGS_EVENTS = Step(
    "rgs_events",
    "Processing RGS event lists",
    "exposure",
    lambda piece, options: _stage(piece, "1:events", None),
    instruments=RGS,
    needs=lambda inst, options: ("odf_ingest",),
    wants=scheduling_wanted,
)
RGS_ANGLES: Step[StepOptions] = Step(
    "rgs_angles",
    "Correcting RGS angles",
    "exposure",
    lambda piece, options: _stage(piece, "2:angles", "rgs_events"),
    instruments=RGS,
    needs=lambda inst, options: ("rgs_events",),
)
CLEANED_RGS_EVENT_LISTS: Step[StepOptions] = Step(
    "cleaned_rgs_event_lists",
    "Cleaning RGS event lists",
    "exposure",
    lambda piece, options: _stage(piece, "3:filter", "rgs_angles", final=True),
    instruments=RGS,
    needs=lambda inst, options: ("rgs_angles",),
)


@public(ExposureOptions)
def rgs_events(obs_archive: Archive, options: ExposureOptions, running: Running) -> None:
    """First stage of the grating chain: calibrated event lists (task rgsproc). Needs `odf_ingest`.

    Examples
    --------
    >>> daxa.rgs_events(archive)
    """
    run_steps(obs_archive, [(RGS_EVENTS, options)], ALLOWED, running)


@public(StepOptions)
def rgs_angles(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Second stage of the grating chain: corrected dispersion angles. Needs `rgs_events`.

    Examples
    --------
    >>> daxa.rgs_angles(archive)
    """
    run_steps(obs_archive, [(RGS_ANGLES, options)], ALLOWED, running)


@public(StepOptions)
def cleaned_rgs_event_lists(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Third stage of the grating chain: the final event lists. Needs `rgs_angles`.

    Examples
    --------
    >>> daxa.cleaned_rgs_event_lists(archive)
    """
    run_steps(obs_archive, [(CLEANED_RGS_EVENT_LISTS, options)], ALLOWED, running)
