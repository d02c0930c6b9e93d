"""What a processing step is: which tasks run on which piece of data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from daxa import config
from daxa.archive import layout
from daxa.archive.archive import Archive
from daxa.archive.run import SHARED, Input, Run
from daxa.backend.contract import Task
from daxa.backend.job import RAW
from daxa.exceptions import DAXANotDownloadedError, NoDependencyProcessError
from daxa.process.options import StepOptions
from daxa.process.records import Records
from daxa.xmm.formats.instruments import EPIC, MOS, RGS, SHORT_NAMES

if TYPE_CHECKING:
    from daxa.mission import BaseMission

Options = TypeVar("Options", bound=StepOptions)


@dataclass
class Piece:
    """The data that one job works on: an observation, an instrument of it or a sub-exposure.

    Attributes
    ----------
    records
        What has been done so far.
    used
        Products of earlier runs that the job builds on: path -> what it is, and its checksum.
    part
        What of it, where a step has several jobs for one: e.g. the name of a source.
    """

    archive: Archive
    mission: BaseMission
    obs_id: str
    inst: str | None = None
    exp_id: str | None = None
    records: Records = field(default=None, repr=False)  # type: ignore[assignment]
    used: dict[Path, tuple[Input, str]] = field(default_factory=dict)
    part: str = ""

    def __post_init__(self) -> None:
        if self.records is None:
            self.records = Records(self.archive)

    @property
    def ident(self) -> str:
        """ObsID, instrument and sub-exposure in one, as far as the piece has them; behind a dash its part."""
        whole = f"{self.obs_id}{self.inst or ''}{self.exp_id or ''}"
        return f"{whole}-{self.part}" if self.part else whole

    def split(self, part: str, exp_id: str | None = None) -> Piece:
        """A part of the piece, as a piece of its own.

        Parameters
        ----------
        part
            Its name.
        exp_id
            The sub-exposure that it is of; None for that of the piece.
        """
        return replace(self, part=part, exp_id=exp_id or self.exp_id, used={})

    @property
    def where(self) -> tuple[str, str, str]:
        """ObsID, instrument and sub-exposure."""
        return self.obs_id, str(self.inst), str(self.exp_id)

    @cached_property
    def folder(self) -> Path:
        """The observation's folder in the archive."""
        return self.archive.obs_folder(self.mission, self.obs_id)

    @property
    def raw(self) -> Path:
        """The observation's raw data.

        Raises
        ------
        DAXANotDownloadedError
            They are not there.
        """
        folder = Path(self.mission.get_obs_path(self.obs_id))
        if not folder.is_dir():
            raise DAXANotDownloadedError(
                f"ObsID {self.obs_id}: its raw data are not there (no folder {folder})"
            )
        return folder

    @property
    def start(self) -> Any:
        """When the observation began."""
        return self.records.start_of(self.mission, self.obs_id)

    @property
    def exposure(self) -> dict[str, Any]:
        """What the observation's summary says about this sub-exposure."""
        summary = self.records.observation(self.mission.name, self.obs_id)["summary"]
        return summary[self.inst]["exposures"][self.exp_id]

    def run_of(self, process: str, *, ident: str | None = None) -> Run | None:
        """The last run of a process on this piece (or another of the observation), if it succeeded.

        Parameters
        ----------
        process
            Name of the process.
        ident
            Identifier; that of the piece by default.
        """
        run = self.records.latest(self.mission.name, process, ident or self.ident, self.obs_id)
        return run if run is not None and run.ok else None

    def made(self, process: str, key: str, *, ident: str | None = None) -> Path:
        """A file that a process has made.

        Parameters
        ----------
        process
            Name of the process.
        key
            Name of the file in the recipe's ``files``.
        ident
            Identifier; that of the piece by default.

        Raises
        ------
        NoDependencyProcessError
            It has not.
        """
        run = self.run_of(process, ident=ident)
        if run is None or key not in run.extra:
            raise NoDependencyProcessError(f"{ident or self.ident}: {process} has not made its {key}")
        return self._use(run, run.extra[key]["path"])

    def made_if_any(self, process: str, key: str, *, ident: str | None = None) -> Path | None:
        """The same, None if there is no such file.

        Parameters
        ----------
        process, key, ident
            As for :meth:`made`.
        """
        run = self.run_of(process, ident=ident)
        if run is None or key not in run.extra or run.extra[key]["path"] not in run.outputs:
            return None
        return self._use(run, run.extra[key]["path"])

    def attitude(self, by: str | None = None) -> Path | None:
        """The observation's attitude file, which several steps make alike; of all or of one step.

        Parameters
        ----------
        by
            Name of the step that has made it.
        """
        name = layout.attitude(self.obs_id)
        runs = self.records.of(self.mission.name, self.obs_id)
        for (process, ident), (run, _) in sorted(runs.items()):
            if by is not None and (process, ident) != (by, self.ident):
                continue
            if run is not None and run.ok and name in run.outputs:
                return self._use(run, name, SHARED)
        if by is not None:
            return None
        return self.folder / name if (self.folder / name).exists() else None

    def _use(self, run: Run, name: str, kind: str = "product") -> Path:
        path = self.folder / name
        output = run.outputs.get(name)
        data = "" if output is None else output.data or output.sha256
        self.used[path] = (
            Input(kind, run.process, run.ident, name, data),
            "" if output is None else output.sha256,
        )
        return path

    def environment(self, *, cif: bool = True, summary: bool = True) -> dict[str, str]:
        """Environment variables that tasks read.

        Parameters
        ----------
        cif
            Whether tasks need the index of calibration files.
        summary
            Whether tasks need the summary of the observation.

        Raises
        ------
        NoDependencyProcessError
            What is needed has not been made.
        """
        env = {"SAS_CCFPATH": os.pathsep.join(self.calibration_folders())}
        if cif:
            env["SAS_CCF"] = str(self.made("cif_build", "cif", ident=self.obs_id))
        if summary:
            env["SAS_ODF"] = str(self.made("odf_ingest", "sum_path", ident=self.obs_id))
        return env

    def calibration_folders(self) -> list[str]:
        """Where calibration files are searched: the configured folders, then those the archive remembers."""
        known = self.records.notes.get("folders")
        if known is None:
            # The cache exists only once something has been fetched; without, there is nothing to search.
            cache = os.path.abspath(config.cache_path() / "ccf")
            configured = [*config.calibration_path().split(os.pathsep), *self.archive.calibration_folders]
            folders = list(dict.fromkeys(os.path.abspath(f) for f in configured))
            present = [f for f in folders if f != cache or os.path.isdir(cache)]
            known = self.records.notes["folders"] = present or folders
        return list(known)


@dataclass
class Recipe:
    """The tasks of a job, and what becomes of their files.

    Attributes
    ----------
    outputs
        Name in the scratch folder -> path relative to the observation's folder.
    files
        Names under which later steps find outputs: name -> relative path.
    settings
        Further information kept with the run.
    reads_raw
        The tasks find the raw files through ``SAS_ODF``.
    renames
        As those of a job.
    notes
        What users should know of the way in which the tasks are called.
    raw_name
        Name under which the tasks find the folder of the raw files.
    """

    tasks: list[Task]
    outputs: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    inputs: dict[str, Path] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    reads_raw: bool = False
    renames: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    raw_name: str = RAW


def _always(piece: Piece, options: StepOptions) -> bool:
    return True


def _whole(piece: Piece, options: StepOptions) -> list[Piece]:
    return [piece]


def _no_note(piece: Piece, options: StepOptions) -> str | None:
    return None


@dataclass(frozen=True)
class Step(Generic[Options]):
    """A processing step.

    Attributes
    ----------
    name
        Name of its public function.
    message
        For the progress bar.
    scope
        ``observation``, ``exposure`` or ``instrument``: what one job works on.
    instruments
        Instruments it is for; empty for steps on whole observations.
    needs
        (instrument, options) -> steps that must have succeeded. A step on exposures needs them all for the
        same exposure, one on instruments for at least one exposure.
    recipe
        What runs on a piece.
    wants
        Whether the step applies to a piece.
    note
        What the user should know of a piece, or of its being left out; a warning tells it.
    parts
        Pieces that a piece is split into, each of which is a job (`Piece.split`).
    done
        Called after a success to take what the job found out of the observation's content into the archive;
        steps on instruments and sub-exposures are planned after it.
    backend
        The back-end of a step that only one of them can do: ``embedded``, ``python``, or a software of
        :data:`daxa.backend.software.SOFTWARE`; None for the configured one, of XMM-Newton.
    """

    name: str
    message: str
    scope: str
    recipe: Callable[[Piece, Options], Recipe]
    instruments: tuple[str, ...] = ()
    needs: Callable[[str | None, Options], tuple[str, ...]] = lambda inst, options: ()
    wants: Callable[[Piece, Options], bool] = _always
    note: Callable[[Piece, Options], str | None] = _no_note
    parts: Callable[[Piece, Options], Sequence[Piece]] = _whole
    done: Callable[[Piece], None] | None = None
    backend: str | None = None


#: A step with its options.
Planned = tuple[Step[Any], StepOptions]

__all__ = ["EPIC", "MOS", "RGS", "SHORT_NAMES", "Piece", "Planned", "Recipe", "Step", "layout"]
