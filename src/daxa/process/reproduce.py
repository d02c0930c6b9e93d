"""What was done to an observation, as a script for a shell.

The script makes every product again from the raw files with the recorded commands. It needs the raw files,
the calibration files and the programs, and nothing of the archive.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from daxa._version import __version__
from daxa.archive.ledger import Ledger
from daxa.archive.provenance import raw_place
from daxa.archive.run import Run
from daxa.archive.staleness import stale
from daxa.backend.job import RAW
from daxa.backend.launch import SINGLE_THREADED
from daxa.backend.software import SOFTWARE
from daxa.exceptions import DAXAError

#: What stands for the fields of an archive, which are made of several observations.
FIELDS = "mosaics"
#: What runs tasks of a back-end that are no programs.
_MODULES = {"embedded": "daxa.xmm", "python": "daxa.events"}
_PATTERN = re.compile(r"[*?\[]")
#: Writes a summary with the place of the raw files; the variable ``place`` has it.
_WITH_PLACE = """LC_ALL=C awk '/^PATH /{print "PATH " ENVIRON["place"]; next} {print}'"""


def reproduced(ledger: Ledger) -> list[tuple[str, str]]:
    """(mission, ObsID) of everything that has successful runs, mosaics of fields as `FIELDS` last.

    Parameters
    ----------
    ledger
        The archive's record.
    """
    runs = ledger.runs(logs=False, status="done")
    found = dict.fromkeys((_wide(r), r.mission, FIELDS if _wide(r) else r.obs_id) for r in runs)
    return [(mission, obs_id) for _, mission, obs_id in sorted(found)]


def reproduce(ledger: Ledger, archive: str, mission: str, obs_id: str) -> str:
    """A script that makes the products of an observation.

    Parameters
    ----------
    ledger
        The archive's record.
    archive
        Its name.
    mission
        Name of the mission.
    obs_id
        ObsID; `FIELDS` for the mosaics of several observations, which are made of the products of the scripts
        of these, in the same folder.

    Returns
    -------
    str
        For a POSIX shell. Products appear below the folder in which it is run, where they are in the archive.

    Raises
    ------
    DAXAError
        There are no successful runs, or of one the record does not tell enough.
    """
    wide = obs_id == FIELDS
    found = ledger.runs(logs=False, status="done", mission=mission, obs_id=None if wide else obs_id)
    runs = [r for r in found if _wide(r) == wide]
    if not runs:
        raise DAXAError(f"{archive}: no successful run of {obs_id} of {mission} is recorded")
    unknown = [f"{r.process} {r.ident}" for r in runs if not r.job]
    if unknown:
        raise DAXAError(
            f"{archive}: nothing is known of what the tasks of {', '.join(unknown)} saw: a version that did "
            "not keep it has run them, or their record is lost"
        )
    ordered = list(_in_order(runs))
    late = stale(ledger)
    lines = list(_head(ledger, archive, mission, obs_id, ordered))
    for run in ordered:
        lines += ["", *_run(run, late.get((run.mission, run.process, run.ident), ""))]
    return "\n".join([*lines, ""])


def _wide(run: Run) -> bool:
    """Whether a run makes something of several observations, beside their folders."""
    return bool(run.outputs) and all(name.startswith("../") for name in run.outputs)


def _in_order(runs: Iterable[Run]) -> Iterator[Run]:
    """Runs so that each comes after those that it builds on, else as they began."""
    known = {(r.process, r.ident): r for r in runs}
    graph = TopologicalSorter(
        {key: [k for i in r.inputs if (k := (i.process, i.ident)) in known] for key, r in known.items()}
    )
    graph.prepare()
    ready: list[Run] = []
    while graph.is_active():
        ready += [known[key] for key in graph.get_ready()]
        ready.sort(key=lambda r: r.id or 0)
        run = ready.pop(0)
        yield run
        graph.done((run.process, run.ident))


def _head(ledger: Ledger, archive: str, mission: str, obs_id: str, runs: list[Run]) -> Iterator[str]:
    index = ledger.latest(mission, "cif_build", runs[0].obs_id)
    calibration = "" if index is None else str(index.extra.get("ccf_path", ""))
    raw = next((place for run in runs if (place := raw_place(ledger, run))), "")
    made = sorted({f"{r.backend} ({_version(r)})" for r in runs})
    yield "#!/bin/sh"
    yield f"# {obs_id} of {mission}, as it is in the archive {archive}: every run that made something of it."
    yield f"# Made with: {', '.join(made)}. Written by DAXA {__version__}."
    yield "# Products appear below the folder in which this is run, where they are in the archive. Every part"
    yield "# can also be pasted into a shell, after this first one."
    yield "set -eu"
    yield "here=$PWD"
    yield f"python={shlex.quote(sys.executable)}  # has DAXA"
    yield f"raw={shlex.quote(raw)}  # the raw files"
    yield f"export SAS_CCFPATH={shlex.quote(calibration)}  # the calibration files"
    yield f"export {' '.join(f'{k}={v}' for k, v in SINGLE_THREADED.items())}"
    yield "unset SAS_CCF SAS_ODF"


def _version(run: Run) -> str:
    if run.backend == "sas" or run.backend in SOFTWARE:
        title = "SAS" if run.backend == "sas" else SOFTWARE[run.backend].title
        return f"{title} {run.versions.get(run.backend, 'unknown')}"
    return f"DAXA {run.versions.get('daxa', 'unknown')}"


def _run(run: Run, late: str) -> Iterator[str]:
    """The commands of one run, in a folder of its own, and where its files go."""
    seen = run.job
    folder = f"processed_data/{run.mission}/{run.obs_id}"

    def place(path: str) -> str:
        return _quoted(os.path.normpath(f"{folder}/{path}"))

    took = "" if run.wall_s is None else f", {run.wall_s:.1f} s"
    yield f"# {run.process} {run.ident}: {run.started}{took}"
    if late:
        yield f"# It is out of date: {' '.join(late.split())}"
    work = f'"$here"/{shlex.quote(f"work/{run.process}_{run.ident}")}'
    yield f"rm -rf {work} && mkdir -p {work} && cd {work}"
    if seen["raw"]:
        yield f'ln -s "$raw" {shlex.quote(seen.get("raw_name", RAW))}'
    for name, path in seen["links"].items():
        yield f"ln -s {place(path)} {shlex.quote(name)}"
    for name, path in seen["copies"].items():
        yield f"cp {place(path)} {shlex.quote(name)}"
    if seen["summary"] is not None:
        name = shlex.quote(Path(seen["summary"]).name)
        yield f'place="$PWD/odf/" {_WITH_PLACE} {place(seen["summary"])} > {name}'
    for variable, value in seen["env"].items():
        text = shlex.quote(value.replace("{work}/", "")) if "{work}" in value else shlex.quote(value)
        yield f"export {variable}=" + (f'"$PWD"/{text}' if "{work}" in value else text)
    renames = seen.get("renames", {})
    for number, (task, parameters) in enumerate(run.tasks):
        words = shlex.join([task, *(f"{k}={v}" for k, v in parameters.items())])
        yield f'"$python" -m {_MODULES[run.backend]} {words}' if run.backend in _MODULES else words
        for old, new in renames.get(str(number), {}).items():
            yield f"mv {shlex.quote(old)} {shlex.quote(new)}"
    yield from _kept(run, place)
    yield 'cd "$here"'


def _kept(run: Run, place: Callable[[str], str]) -> Iterator[str]:
    """Bring what was kept of a run to its place."""
    seen = run.job
    kept = {name: path for name, path in seen["outputs"].items() if path in run.outputs}
    for parent in sorted({os.path.dirname(path) for path in kept.values()}):
        yield f"mkdir -p {place(parent or '.')}"
    for name, path in kept.items():
        # Names in the scratch folder are plain; a pattern is for the shell to match.
        source = name if _PATTERN.search(name) else shlex.quote(name)
        if name in seen["shared"]:
            yield f"[ -e {place(path)} ] || mv {source} {place(path)}"
        elif path.endswith("SUM.SAS"):
            yield f'place="$raw/" {_WITH_PLACE} {source} > {place(path)}'
        else:
            yield f"mv {source} {place(path)}"


def _quoted(path: str) -> str:
    return f'"$here"/{shlex.quote(path)}'
