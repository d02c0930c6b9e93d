"""What was done, step by step, as it is listed: runs of many sources on one camera are one row."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from daxa.report.products import CAMERAS, Values

if TYPE_CHECKING:
    from daxa.archive.run import Run

#: Steps as people say them.
STEPS = {
    "cif_build": "choice of calibration files",
    "odf_ingest": "reading of the raw files",
    "epchain": "pn event list",
    "emchain": "MOS event list",
    "espfilt": "search for flares",
    "emanom": "state of the MOS CCDs",
    "cleaned_evt_lists": "event list without flares",
    "merge_subexposures": "exposures put together",
    "generate_images_expmaps": "images and exposure maps",
    "generate_mosaics": "mosaics",
    "find_sources": "search for sources",
    "generate_matrices": "redistribution matrix",
    "generate_spectra": "spectrum of a source",
    "generate_lightcurves": "light curve of a source",
    "rgs_events": "RGS event list",
    "rgs_angles": "RGS angles",
    "cleaned_rgs_event_lists": "RGS event list without flares",
    "chandra_repro": "calibrated event list",
    "deflare": "search for flares",
    "cleaned_chandra_evts": "event list without flares",
    "flux_image": "images of flux",
    "rate_image": "images of the count rate",
    "nupipeline_calibrate": "calibrated event list",
    "nupipeline_screen": "screened event list",
    "nuproducts": "spectra and light curves",
    "sky_images": "images",
    "flaregti": "search for flares",
}
#: Steps that make something of a finished reduction; what they warn of does not speak against it.
LATER = ("generate_mosaics", "find_sources", "generate_matrices", "generate_spectra", "generate_lightcurves")
#: Of them those that run once for each source.
_OF_SOURCES = ("generate_spectra", "generate_lightcurves")


def part(run: Run) -> str:
    """What of an instrument a run was of, e.g. the name of a source; empty where it was all of it.

    Parameters
    ----------
    run
        Its ``ident`` begins with observation, instrument and exposure.
    """
    whole = f"{run.obs_id}{run.inst or ''}{run.exp_id or ''}"
    return run.ident.removeprefix(whole).lstrip("-") if run.ident.startswith(whole) else ""


def listed(runs: Iterable[Run]) -> list[Values]:
    """Rows of the record: one for each run, of steps that run for each source one for each camera.

    Parameters
    ----------
    runs
        Of an observation.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        key = (run.process, run.inst or "", run.exp_id or "")
        groups.setdefault(key if run.process in _OF_SOURCES else (*key, run.ident), []).append(run)
    return [_row(group) for group in groups.values()]


def _row(runs: list[Run]) -> Values:
    """Runs of one step and camera."""
    first, states = runs[0], Counter(run.status for run in runs)
    return {
        "step": first.process,
        "what": STEPS.get(first.process, first.process),
        "inst": CAMERAS.get(first.inst or "", first.inst or ""),
        "exp": first.exp_id or "",
        "part": part(first) if len(runs) == 1 else _sources(runs),
        "parts": [(part(run), run.status) for run in runs] if len(runs) > 1 else [],
        "status": first.status if len(runs) == 1 else ", ".join(f"{n} {s}" for s, n in states.items()),
        "level": _level(set(states)),
        "started": min(run.started for run in runs)[:19].replace("T", " "),
        "seconds": sum(run.wall_s or 0.0 for run in runs),
        "megabytes": max(run.memory_bytes or 0 for run in runs) / 1e6,
        "messages": _messages(runs),
        "commands": [
            shlex.join([task, *(f"{k}={v}" for k, v in given.items())])
            for run in runs
            for task, given in run.tasks
        ],
        "config": {k: str(v) for run in runs for k, v in run.config.items()},
    }


def _sources(runs: list[Run]) -> str:
    """How many sources runs are of, some perhaps in several bands."""
    number = len({part(run).partition("-en")[0] for run in runs})
    return f"{number} source{'s' * (number != 1)}"


def _level(states: set[str]) -> str:
    """How a row is coloured."""
    if "failed" in states:
        return "unusable"
    return "usable" if states == {"done"} else "warnings"


def _messages(runs: list[Run]) -> list[dict[str, Any]]:
    """Errors, then warnings; equal ones once, with how often they came."""
    found = Counter(
        (kind, m["name"], m["originator"], m["message"])
        for kind in ("error", "warning")
        for run in runs
        for m in (run.errors if kind == "error" else run.warnings)
    )
    return [dict(zip(("kind", "name", "by", "text"), key, strict=True), times=n) for key, n in found.items()]


def warnings_of(rows: list[Values], steps: Iterable[str]) -> list[str]:
    """What some steps have warned of, each text once.

    Parameters
    ----------
    rows
        As :func:`listed` tells them.
    steps
        Names of the steps.
    """
    wanted = set(steps)
    told = [m for row in rows if row["step"] in wanted for m in row["messages"] if m["kind"] == "warning"]
    return list(dict.fromkeys(f"{m['name']}: {' '.join(m['text'].split())}" for m in told))
