"""Archives of DAXA 0.3.7: their history, taken into the ledger.

Such an archive keeps everything in ``process_info.json``, with absolute paths, and logs in files. A copy of
that file stays among the previous versions; products and logs stay where they are, under their names.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any, Protocol

from daxa.archive.layout import Layout, log_name
from daxa.archive.ledger import Ledger
from daxa.archive.run import Output, Run
from daxa.mission import BaseMission

#: The release whose archives these are, as it stands in the versions of a run.
RELEASE = "0.3.7"
#: Names of paths and settings there -> here, by process.
NAMES = {
    "cleaned_evt_lists": {"evt_clean_path": "evt_list", "oot_evt_clean_path": "oot_evt_list"},
    "espfilt": {"all_good_evts": "allevc", "all_good_oot_evts": "oot_allevc"},
    "merge_subexposures": {
        "final_evt": "final",
        "final_oot_evt": "finaloot",
        "final_allgood_evt": "allgood",
        "final_allgood_oot_evt": "allgoodoot",
    },
}
_ERROR = re.compile(r"^(?P<name>\S+) raised by (?P<originator>.+?) - (?P<message>.*)$", re.DOTALL)
_QUANTITY = re.compile(r"^Quantity (?P<value>\S+)(?: (?P<unit>.+))?$")


class Opened(Protocol):
    """What of an archive its history is taken into."""

    layout: Layout
    ledger: Ledger

    @property
    def archive_name(self) -> str: ...
    @property
    def mission_names(self) -> list[str]: ...
    @property
    def read_only(self) -> bool: ...
    def __getitem__(self, key: str | int) -> BaseMission: ...
    def obs_folder(self, mission: BaseMission | str, obs_id: str) -> Path: ...


def is_legacy(saved: dict[str, Any]) -> bool:
    """Whether an archive's state was written by DAXA 0.3.7 or before.

    Parameters
    ----------
    saved
        The archive's state as it was read from its file.
    """
    return "process_success" in saved and "daxa_version" not in saved


def migrate(archive: Opened, saved: dict[str, Any]) -> None:
    """Take the history of an old archive into its ledger; nothing of the archive is changed or removed.

    Runs have no fingerprint: nothing is known of what they were made of.

    Parameters
    ----------
    archive
        The archive, opened.
    saved
        Its state as DAXA 0.3.7 wrote it.

    Warns
    -----
    UserWarning
        Says what was taken over.
    """
    layout = archive.layout
    kept = layout.previous_versions / f"process_info_{RELEASE}.json"
    if not archive.read_only and not kept.exists():
        layout.previous_versions.mkdir(exist_ok=True)
        shutil.copyfile(layout.process_info, kept)
    count = 0
    with archive.ledger.at_once():
        for mission in archive.mission_names:
            _observations(archive, saved, mission)
            count += sum(archive.ledger.add_history(run) for run in _runs(archive, saved, mission))
            for entry in _of(saved, "process_run_config", mission, list):
                for process, arguments in entry.items():
                    archive.ledger.set_configuration(mission, process, _arguments(arguments))
    warnings.warn(
        f"the archive {archive.archive_name} was made by DAXA {RELEASE}: its history ({count} runs) is taken "
        f"over, its products stay as they are; its old state is kept as {kept}",
        stacklevel=5,
    )


def _of(saved: dict[str, Any], key: str, mission: str, kind: type = dict) -> Any:
    """One mission's part of a saved property; empty if there is none."""
    whole = saved.get(key)
    found = whole.get(mission) if isinstance(whole, dict) else None
    return found if isinstance(found, kind) else kind()


def _observations(archive: Opened, saved: dict[str, Any], mission: str) -> None:
    for key, name in (
        ("obs_summaries", "summary"),
        ("use_this_obs", "to_process"),
        ("final_process_success", "final_success"),
    ):
        for obs_id, value in _of(saved, key, mission).items():
            archive.ledger.set_observation(mission, obs_id, **{name: value})


def _runs(archive: Opened, saved: dict[str, Any], mission: str) -> list[Run]:
    runs = []
    for process, idents in _of(saved, "process_success", mission).items():
        for ident, success in idents.items():
            run = _identified(archive, mission, process, ident)
            run.status = "done" if success else "failed"
            folder = archive.obs_folder(mission, run.obs_id)

            def value(key: str, process: str = process, ident: str = ident) -> Any:
                return _of(saved, key, mission).get(process, {}).get(ident)

            run.errors = [_error(e, process) for e in _list(value("process_errors"))]
            run.warnings = [_warning(w, process) for w in _list(value("process_warnings"))]
            if not success and not run.errors:
                run.errors = [_error("failed; see its log", process)]
            _take_extra(run, value("process_extra_info") or {}, folder)
            for stream in ("stdout", "stderr"):
                path = folder / log_name(process, ident, stream)
                if path.is_file():
                    setattr(run, stream, path.read_text(encoding="utf-8", errors="backslashreplace"))
                    run.started = run.started or _time(path)
            runs.append(run)
    return runs


def _identified(archive: Opened, mission: str, process: str, ident: str) -> Run:
    chosen = archive[mission]
    try:
        obs_id = chosen.ident_to_obsid(ident)
    except ValueError:
        obs_id = ident
    rest = ident[len(obs_id) :]
    inst = next((i for i in chosen.all_mission_instruments if rest.startswith(i)), None)
    exp_id = rest[len(inst) :] if inst else ""
    return Run(
        process,
        ident,
        mission,
        obs_id,
        inst,
        exp_id or None,
        backend="sas" if mission.startswith("xmm") else "unknown",
        versions={"daxa": RELEASE},
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if not value else [value]


def _error(text: Any, process: str) -> dict[str, str]:
    match = _ERROR.match(str(text))
    if match is not None:
        return match.groupdict()
    return {"originator": process, "name": "error", "message": str(text)}


def _warning(value: Any, process: str) -> dict[str, str]:
    given = value if isinstance(value, dict) else {"message": value}
    known = {"originator": process, "name": "warning", "message": ""}
    return {k: str(given.get(k, default)) for k, default in known.items()}


def _take_extra(run: Run, extra: dict[str, Any], folder: Path) -> None:
    """Paths become relative to the observation's folder, wherever the archive was when they were written."""
    names = NAMES.get(run.process, {})
    for key, value in extra.items():
        relative = _inside(value, run.obs_id, folder)
        run.extra[names.get(key, key)] = value if relative is None else {"path": relative}
        if relative is not None and (folder / relative).is_file():
            # Its checksum was not recorded.
            run.outputs[relative] = Output("", (folder / relative).stat().st_size)


def _inside(value: Any, obs_id: str, folder: Path) -> str | None:
    if not isinstance(value, str) or "/" not in value:
        return None
    _, found, rest = value.rpartition(f"/{obs_id}/")
    return os.path.normpath(rest) if found and rest and (folder / rest).is_file() else None


def _time(path: Path) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="milliseconds")


def _arguments(arguments: Any) -> dict[str, Any]:
    """Arguments of a process; quantities were written as text."""
    from daxa.mission.state import encode

    left_out = ("num_cores", "disable_progress", "timeout")
    given = arguments if isinstance(arguments, dict) else {}
    return {k: encode(_argument(v)) for k, v in given.items() if k not in left_out}


def _argument(value: Any) -> Any:
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None:
        return value
    from astropy.units import Quantity

    try:
        return Quantity(float(match["value"]), match["unit"] or "")
    except ValueError:
        return value
