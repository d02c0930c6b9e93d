"""Runs made again from their records: what their tasks saw, found anew and compared with what it was."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from daxa import config
from daxa.archive.files import raw_state
from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.archive.provenance import raw_place
from daxa.archive.run import Input, Run
from daxa.archive.staleness import generation
from daxa.backend.calibration import changed
from daxa.backend.contract import Job, Task
from daxa.backend.datasum import sums
from daxa.backend.job import RAW
from daxa.backend.select import why_no_sas
from daxa.backend.software import SOFTWARE
from daxa.process.recording import versions


@dataclass
class Again:
    """A recorded run, and what of it can be found today.

    Attributes
    ----------
    run, layout, ledger
        The run, and its archive.
    raw
        Folder of the raw files, where they are elsewhere than recorded; None for there.
    gone
        What is needed and not there: the run cannot be made again.
    changed
        What is there and not as it was: the result may be another.
    notes
        What differs and should not matter.
    """

    run: Run
    layout: Layout
    ledger: Ledger
    raw: Path | None = None
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.run.job:
            self.gone.append("its record: nothing is known of what its tasks saw")
            return
        self._check_versions()
        self._check_raw()
        for given in self.run.inputs:
            if given.kind not in ("raw", "calibration"):
                self._check_product(given)
        self._check_calibration()
        for path in self._read():
            if not path.exists():
                self._lacks(path)

    @property
    def folder(self) -> Path:
        """Folder of the observation."""
        return self._folder_of(self.run.obs_id)

    def raw_folder(self) -> Path | None:
        """Where the raw files are, if they are there."""
        place = self.raw or raw_place(self.ledger, self.run)
        return Path(place) if place and Path(place).is_dir() else None

    def calibration_folders(self) -> list[str]:
        """Where calibration files are searched: as then, then the folders of today."""
        then = self._index_run()
        recorded = "" if then is None else str(then.extra.get("ccf_path", ""))
        configured = config.calibration_path().split(os.pathsep)
        known = [*recorded.split(os.pathsep), *configured, *self.ledger.meta("calibration_folders", [])]
        return list(dict.fromkeys(os.path.abspath(f) for f in known if f))

    def job(self, target: Path, scratch: Path) -> Job:
        """The job that makes its products again.

        Parameters
        ----------
        target
            Where they go to, under their last names.
        scratch
            Folder in which the job works.
        """
        seen, folder, raw = self.run.job, self.folder, self.raw_folder()
        links = {name: folder / path for name, path in seen["links"].items()}
        summary = seen["summary"]
        return Job(
            self.run.ident,
            [Task(name, **parameters) for name, parameters in self.run.tasks],
            {name: target / Path(path).name for name, path in seen["outputs"].items()},
            env={**seen["env"], "SAS_CCFPATH": os.pathsep.join(self.calibration_folders())},
            optional=frozenset(seen["optional"]),
            renames={int(place): names for place, names in seen.get("renames", {}).items()},
            inputs={name: folder / path for name, path in seen["copies"].items()},
            links=links | ({seen.get("raw_name", RAW): raw} if raw is not None and seen["raw"] else {}),
            summary=None if summary is None else folder / summary,
            raw=raw,
            backend=self.run.backend,
            scratch=scratch,
        )

    # -- what is as it was -------------------------------------------------------------------

    def _folder_of(self, obs_id: str) -> Path:
        failed = self.layout.failed(self.run.mission, obs_id)
        return failed if failed.is_dir() else self.layout.processed(self.run.mission, obs_id)

    def _read(self) -> list[Path]:
        seen = self.run.job
        names = [*seen["links"].values(), *seen["copies"].values()]
        return [self.folder / n for n in [*names, *([] if seen["summary"] is None else [seen["summary"]])]]

    def _lacks(self, path: Path) -> None:
        text = os.path.relpath(path, self.layout.root)
        if text not in self.gone:
            self.gone.append(text)

    def _check_versions(self) -> None:
        run = self.run
        if run.backend == "sas" and (why := why_no_sas()):
            self.gone.append(f"SAS, which made it ({why})")
            return
        software = SOFTWARE.get(run.backend)
        if software is not None and (why := software.why_absent()):
            self.gone.append(f"{software.title}, which made it ({why})")
            return
        here = versions(run.backend)
        then, now = generation(run.versions), generation(here)
        if then != now:
            self.changed.append(f"it was made by {then}, this is {now}")
        for name, version in run.versions.items():
            if here.get(name) != version and f"{name} {version}" != then:
                self.notes.append(f"{name} was {version}, is {here.get(name, 'not there')}")

    def _check_raw(self) -> None:
        given = next((i for i in self.run.inputs if i.kind == "raw"), None)
        folder = self.raw_folder()
        if given is None:
            return
        if folder is None:
            self.gone.append("the raw files")
        elif raw_state(folder) != given.data:
            self.changed.append(f"names, sizes or times of the raw files in {folder} are others")

    def _check_product(self, given: Input) -> None:
        maker = self.ledger.latest(self.run.mission, given.process, given.ident)
        path = self._folder_of(self.run.obs_id if maker is None else maker.obs_id) / given.path
        if not path.is_file():
            self._lacks(path)
        elif given.data and sums(path)[1] != given.data:
            self.changed.append(f"{os.path.relpath(path, self.layout.root)} holds something else")

    def _index_run(self) -> Run | None:
        """The run that has made the index of calibration files which this one used."""
        if self.run.process == "cif_build":
            return self.run
        return self.ledger.latest(self.run.mission, "cif_build", self.run.obs_id)

    def _check_calibration(self) -> None:
        then = self._index_run()
        given = next((i for i in then.inputs if i.kind == "calibration"), None) if then is not None else None
        if given is None:
            return
        names = self.ledger.meta(f"calibration {given.data}", {})
        folders = self.calibration_folders()
        if names and not any((Path(f) / n).is_file() for f in folders for n in names):
            self.gone.append(f"the calibration files (searched {', '.join(folders)})")
            return
        # The archive is left as it is: checksums are neither looked up nor kept.
        if text := changed(names, folders, lambda *place: None, lambda *place: None):
            self.changed.append(text)
