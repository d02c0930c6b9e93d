"""What is told of an observation: what was planned, what was done to it, and what came of it.

Values of products are kept as JSON beside the pages and read again only where a product has changed; what was
done is asked of the archive's record each time.

Parameters
----------
mission
    Name of the mission.
obs_id
    The observation.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.archive import layout
from daxa.archive.run import Run
from daxa.report import drawing, products
from daxa.report.products import CAMERAS, Reader, Values
from daxa.report.source_curves import source_curves
from daxa.report.source_spectra import source_spectra
from daxa.report.spectra import expected_shares
from daxa.report.steps import LATER, STEPS, listed, part
from daxa.report.verdict import judge
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.index import read_index
from daxa.xmm.errors import TaskError

if TYPE_CHECKING:
    from daxa.archive import Archive
    from daxa.mission.base import BaseMission

#: Raised whenever what is kept of products changes its meaning.
_KEPT = 6
#: What is kept.
_OF_PRODUCTS = (
    "state", "header", "exposures", "finals", "gratings", "attitude", "sources", "calibration", "problems",
    "images", "source_spectra", "source_curves",
)  # fmt: skip


class Record:
    """What an archive's record says of all its observations, asked once.

    Parameters
    ----------
    archive
        The archive.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._summaries = archive.observation_summaries
        self._wanted = archive.process_observation
        self._runs: dict[tuple[str, str], list[Run]] = {}
        for run in archive.ledger.runs(logs=False):
            self._runs.setdefault((run.mission, run.obs_id), []).append(run)
        observed = {(r.mission, r.process, r.ident): r.obs_id for runs in self._runs.values() for r in runs}
        self._stale: dict[tuple[str, str], list[str]] = {}
        for mission, processes in archive.stale.items():
            for process, idents in processes.items():
                for ident, reason in idents.items():
                    place = (mission, observed.get((mission, process, ident), ""))
                    self._stale.setdefault(place, []).append(f"{process} {ident}: {reason}")

    def runs(self, mission: str, obs_id: str) -> list[Run]:
        """The last run of each step on each piece of an observation's data."""
        return self._runs.get((mission, obs_id), [])

    def stale(self, mission: str, obs_id: str) -> list[str]:
        """What is out of date, and why."""
        return self._stale.get((mission, obs_id), [])

    def summary(self, mission: str, obs_id: str) -> Values:
        """Instrument -> what was observed."""
        return self._summaries.get(mission, {}).get(obs_id) or {}

    def wanted(self, mission: str, obs_id: str) -> Values:
        """Instrument -> exposure -> whether it is to be reduced."""
        return self._wanted.get(mission, {}).get(obs_id) or {}


def observation(record: Record, mission: BaseMission, obs_id: str, folder: Path, scratch: Path) -> Values:
    """All that is told of one observation.

    Parameters
    ----------
    record
        The archive's record.
    mission
        The mission that it is of.
    obs_id
        The observation.
    folder
        Folder of the report; what was read of products before is under ``values``.
    scratch
        An empty folder for pixels.

    Returns
    -------
    values
        As the templates name them; ``fresh`` where pictures have to be drawn.
    """
    runs = record.runs(mission.name, obs_id)
    data = Path(record.archive.get_current_data_path(mission, obs_id))
    found = _products(data, mission, obs_id, folder, scratch)
    row = mission.filtered_obs_info.set_index("ObsID").loc[obs_id]
    found |= {
        "mission": mission.name,
        "pretty": mission.pretty_name,
        "obs_id": obs_id,
        "page": f"{mission.name}_{obs_id}.html",
        "start": _time(row.get("start")),
        "end": _time(row.get("end")),
        "duration_s": _seconds(row.get("duration")),
        "steps": listed(runs),
        "files": _files(data),
    }
    header = found["header"]
    header["target"] = header.get("target") or _plain(row.get("target")) or ""
    header["revolution"] = header.get("revolution") or _plain(row.get("revolution"))
    header["ra"], header["dec"] = header.get("ra", float(row["ra"])), header.get("dec", float(row["dec"]))
    summary, wanted = record.summary(mission.name, obs_id), record.wanted(mission.name, obs_id)
    found["cameras"] = [
        _camera(inst, found, summary.get(inst) or {}, wanted.get(inst) or {}, runs)
        for inst in mission.chosen_instruments
    ]
    found |= _done(runs) | {"stale": record.stale(mission.name, obs_id)}
    expected = _expected(data, found["calibration_dates"]["ccf_path"], found["exposures"])
    found["exposures"] = [e | {"expected": expected.get(e["inst"])} for e in found["exposures"]]
    found["synthetic"] = bool(header.get("synthetic"))
    found["simulated"] = header.get("chain") == "SIMU"
    found["known"] = mission.name.startswith("xmm")
    found["verdict"] = judge(found)
    return found


def _products(data: Path, mission: BaseMission, obs_id: str, folder: Path, scratch: Path) -> Values:
    """Values of the products, from what was kept of them where they have not changed."""
    kept = folder / "values" / f"{mission.name}_{obs_id}.json"
    state = f"{_KEPT} {products.signature(data)} {' '.join(mission.chosen_instruments)}"
    known = read_kept(kept)
    if known.get("state") == state:
        return known | {"fresh": False, "kept": kept}
    found = products.observation_values(data, obs_id, list(mission.chosen_instruments))
    reader = Reader(data)
    found["images"] = drawing.observation_pictures(reader, obs_id, found["sources"], scratch)
    found["source_spectra"] = source_spectra(reader, list(mission.chosen_instruments))
    found["source_curves"] = source_curves(reader, list(mission.chosen_instruments))
    found["problems"] += reader.problems
    return found | {"state": state, "fresh": True, "kept": kept}


def read_kept(path: Path) -> Values:
    """Values that were kept; empty where there are none that can be read.

    Parameters
    ----------
    path
        Their file.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _camera(inst: str, found: Values, summary: Values, wanted: Values, runs: Iterable[Run]) -> Values:
    """An instrument: what it was to do, what is left of it, and what went wrong."""
    exposures = [e for e in found["exposures"] if e["inst"] == inst]
    final = found["finals"].get(inst)
    planned = {exp: e for exp, e in (summary.get("exposures") or {}).items() if wanted.get(exp)}
    gratings = [g for g in found["gratings"] if g["inst"] == inst]
    if gratings:
        times = [g["ontime_s"] for g in gratings]
        final = {
            "events": sum(g["events"] for g in gratings),
            "livetime_s": sum(filter(None, times)) if any(t is not None for t in times) else None,
        }
    before = [e["before_s"] for e in exposures if e["before_s"] is not None]
    after = final["livetime_s"] if final else None
    lost = None
    if before and after is not None and sum(before) > 0:
        lost = max(0.0, 100 * (1 - after / sum(before)))
    ratios = [(e["exp"], e["flares"]) for e in exposures if e["flares"] and e["flares"].get("inout")]
    return {
        "inst": inst,
        "name": CAMERAS.get(inst, inst),
        "observed": any(wanted.values()) or bool(exposures),
        "exposures": [e["exp"] for e in exposures] or [g["exp"] for g in gratings],
        "modes": _distinct([e["mode"] for e in (*exposures, *gratings)], planned, "mode"),
        "filters": _distinct([e["filter"] for e in exposures], planned, "filter"),
        "final": final is not None,
        "before_s": sum(before) if before else None,
        "after_s": after,
        "lost": lost,
        "raw": sum(e["events_before"] for e in exposures) or None,
        "events": final["events"] if final else None,
        "ratios": [
            {"exp": exp, "inout": f["inout"], "error": f["inout_error"]} for exp, f in ratios
        ],
        "failures": [failure_text(run) for run in runs if run.status == "failed" and run.inst == inst],
    }  # fmt: skip


def _distinct(values: list[str], planned: Values, key: str) -> list[str]:
    """Values in the order in which they occur; those of the plan where products have none."""
    used = values or [e.get(key) for e in planned.values()]
    return list(dict.fromkeys(v for v in used if v))


def failure_text(run: Run) -> str:
    """A failure in a line.

    Parameters
    ----------
    run
        A run that failed.
    """
    step = STEPS.get(run.process, run.process)
    if run.timed_out:
        return f"{step} ({run.process}) took too long"
    reason = run.errors[0]["message"] if run.errors else "no reason is recorded"
    of = "".join(f" {name}" for name in (run.exp_id, part(run)) if name)
    return f"{step} ({run.process}{of}) failed: {' '.join(reason.split())}"


def _done(runs: list[Run]) -> Values:
    """What the record says of the whole observation."""
    versions: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.versions.items():
            versions.setdefault(name, set()).add(version)
    reduction = [run for run in runs if run.process not in LATER]
    warned = [w for run in reduction if run.backend == "embedded" for w in run.warnings]
    notes = Counter(w["name"] for w in warned)
    setup = {run.process: run.extra for run in runs}
    return {
        "runs": len(runs),
        "done": sum(run.ok for run in runs),
        "unfinished": [f"{r.process} {r.ident}" for r in runs if r.status in ("interrupted", "running")],
        "failures": [failure_text(r) for r in runs if r.status == "failed" and r.inst is None],
        "notes": dict(notes),
        "note_texts": {w["name"]: " ".join(w["message"].split()) for w in reversed(warned)},
        "warning_count": sum(len(run.warnings) for run in reduction),
        "versions": {name: sorted(values) for name, values in versions.items()},
        "backends": sorted({run.backend for run in runs}),
        "raw_data": str(setup.get("odf_ingest", {}).get("odf_path", "")),
        "calibration_dates": {
            k: str(setup.get("cif_build", {}).get(k, "")) for k in ("obs_date", "analysis_date", "ccf_path")
        },
    }


def _expected(data: Path, searched: str, exposures: list[Values]) -> Values:
    """Shares of patterns that the calibration expects, by camera, where its files are still there."""
    index = data / layout.cif()
    found: Values = {}
    for inst in {e["inst"] for e in exposures if e.get("patterns")}:
        try:
            calibration = Calibration(read_index(index), map(Path, searched.split(os.pathsep)))
            found[inst] = expected_shares(calibration, inst)
        except (TaskError, OSError, KeyError, ValueError):
            continue
    return found


def _files(data: Path) -> list[Values]:
    """Products, with the logs left out."""
    return [
        {"name": str(p.relative_to(data)), "bytes": p.stat().st_size}
        for p in sorted(data.rglob("*"))
        if p.is_file() and p.parent.name != "logs"
    ]


def _plain(value: Any) -> Any:
    """A cell of a table as Python knows it; None for what is missing."""
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _time(value: Any) -> str:
    return "" if _plain(value) is None else str(value)[:19].replace("T", " ")


def _seconds(value: Any) -> float | None:
    return None if _plain(value) is None else float(value.total_seconds())


def logs_text(runs: Iterable[Run]) -> str:
    """What all runs have written, one after the other.

    Parameters
    ----------
    runs
        Runs with their logs.
    """
    parts = []
    for run in runs:
        parts.append(f"===== {run.process} {run.ident}: {run.status}, {run.started}\n")
        parts.append(run.stdout)
        if run.stderr:
            parts.append(f"\n----- standard error\n{run.stderr}")
        parts.append("\n")
    return "".join(parts)


def keep(values: Values) -> None:
    """Keep the values of products beside the pages.

    Parameters
    ----------
    values
        Of an observation.
    """
    text = json.dumps(products.finite({name: values[name] for name in _OF_PRODUCTS}))
    part = values["kept"].with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, values["kept"])
