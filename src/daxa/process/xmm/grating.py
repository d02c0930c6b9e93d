"""Event lists of the grating spectrometers, by the stages of rgsproc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_bool
from daxa.process.runner import run_steps
from daxa.process.step import RGS, Options, Piece, Recipe, Step
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

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


def _wanted(piece: Piece, options: Options) -> bool:
    return options.get("process_unscheduled", True) or bool(piece.exposure["scheduled"])


RGS_EVENTS = Step(
    "rgs_events",
    "Processing RGS event lists",
    "exposure",
    lambda piece, options: _stage(piece, "1:events", None),
    instruments=RGS,
    needs=lambda inst, options: ("odf_ingest",),
    wants=_wanted,
)
RGS_ANGLES = Step(
    "rgs_angles",
    "Correcting RGS angles",
    "exposure",
    lambda piece, options: _stage(piece, "2:angles", "rgs_events"),
    instruments=RGS,
    needs=lambda inst, options: ("rgs_events",),
)
CLEANED_RGS_EVENT_LISTS = Step(
    "cleaned_rgs_event_lists",
    "Cleaning RGS event lists",
    "exposure",
    lambda piece, options: _stage(piece, "3:filter", "rgs_angles", final=True),
    instruments=RGS,
    needs=lambda inst, options: ("rgs_angles",),
)


def rgs_events(
    obs_archive: Archive,
    process_unscheduled: bool = True,
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Quantity | None = None,
) -> None:
    """First stage of the grating chain: calibrated event lists (task rgsproc). Needs `odf_ingest`.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    process_unscheduled : bool
        Process unscheduled sub-exposures too.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    disable_progress : bool
        No progress bar.
    timeout : Quantity, optional
        Time limit of each job.
    """
    run_steps(
        obs_archive,
        [(RGS_EVENTS, {"process_unscheduled": check_bool("process_unscheduled", process_unscheduled)})],
        ALLOWED,
        num_cores=num_cores,
        disable_progress=disable_progress,
        timeout=timeout,
    )


def rgs_angles(
    obs_archive: Archive,
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Quantity | None = None,
) -> None:
    """Second stage of the grating chain: corrected dispersion angles. Needs `rgs_events`.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    disable_progress : bool
        No progress bar.
    timeout : Quantity, optional
        Time limit of each job.
    """
    run_steps(
        obs_archive,
        [(RGS_ANGLES, {})],
        ALLOWED,
        num_cores=num_cores,
        disable_progress=disable_progress,
        timeout=timeout,
    )


def cleaned_rgs_event_lists(
    obs_archive: Archive,
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Quantity | None = None,
) -> None:
    """Third stage of the grating chain: the final event lists. Needs `rgs_angles`.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    disable_progress : bool
        No progress bar.
    timeout : Quantity, optional
        Time limit of each job.
    """
    run_steps(
        obs_archive,
        [(CLEANED_RGS_EVENT_LISTS, {})],
        ALLOWED,
        num_cores=num_cores,
        disable_progress=disable_progress,
        timeout=timeout,
    )
