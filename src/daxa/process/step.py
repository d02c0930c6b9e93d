"""What a processing step is: which tasks run on which piece of data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa import config
from daxa.archive import layout
from daxa.archive.archive import Archive
from daxa.archive.ledger import Run
from daxa.backend.contract import Task
from daxa.exceptions import NoDependencyProcessError

if TYPE_CHECKING:
    from daxa.mission import BaseMission

Options = Mapping[str, Any]


@dataclass
class Piece:
    """The data that one job works on: an observation, an instrument of it or a sub-exposure.

    ``used`` collects the earlier runs whose products the job builds on.
    """

    archive: Archive
    mission: BaseMission
    obs_id: str
    inst: str | None = None
    exp_id: str | None = None
    used: list[Run] = field(default_factory=list)

    @property
    def ident(self) -> str:
        return f"{self.obs_id}{self.inst or ''}{self.exp_id or ''}"

    @property
    def where(self) -> tuple[str, str, str]:
        """ObsID, instrument and sub-exposure."""
        return self.obs_id, str(self.inst), str(self.exp_id)

    @property
    def folder(self) -> Path:
        """The observation's folder in the archive."""
        return self.archive.obs_folder(self.mission, self.obs_id)

    @property
    def raw(self) -> Path:
        """The observation's raw data."""
        return Path(self.mission.get_obs_path(self.obs_id))

    @property
    def exposure(self) -> dict[str, Any]:
        """What the observation's summary says about this sub-exposure."""
        summary = self.archive.ledger.observation(self.mission.name, self.obs_id)["summary"]
        return summary[self.inst]["exposures"][self.exp_id]

    def run_of(self, process: str, *, ident: str | None = None) -> Run | None:
        """The last run of a process on this piece (or another), if it succeeded."""
        run = self.archive.ledger.latest(self.mission.name, process, ident or self.ident)
        if run is None or not run.ok:
            return None
        self.used.append(run)
        return run

    def made(self, process: str, key: str, *, ident: str | None = None) -> Path:
        """A file that a process has made.

        Raises
        ------
        NoDependencyProcessError
            It has not.
        """
        run = self.run_of(process, ident=ident)
        if run is None or key not in run.extra:
            raise NoDependencyProcessError(f"{ident or self.ident}: {process} has not made its {key}")
        return self.folder / run.extra[key]["path"]

    def made_if_any(self, process: str, key: str, *, ident: str | None = None) -> Path | None:
        """The same, None if there is no such file."""
        run = self.run_of(process, ident=ident)
        if run is None or key not in run.extra or run.extra[key]["path"] not in run.outputs:
            return None
        return self.folder / run.extra[key]["path"]

    def environment(self, *, cif: bool = True, summary: bool = True) -> dict[str, str]:
        """Environment variables that tasks read."""
        # The cache exists only once something has been fetched; without, there is nothing to search.
        cache = config.cache_path() / "ccf"
        configured = [*config.calibration_path().split(os.pathsep), *self.archive.calibration_folders]
        folders = list(dict.fromkeys(os.path.abspath(f) for f in configured))
        present = [f for f in folders if f != os.path.abspath(cache) or cache.is_dir()]
        env = {"SAS_CCFPATH": os.pathsep.join(present or folders)}
        if cif:
            env["SAS_CCF"] = str(self.made("cif_build", "cif", ident=self.obs_id))
        if summary:
            env["SAS_ODF"] = str(self.made("odf_ingest", "sum_path", ident=self.obs_id))
        return env


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
    """

    tasks: list[Task]
    outputs: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    inputs: dict[str, Path] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def _always(piece: Piece, options: Options) -> bool:
    return True


def _no_note(piece: Piece, options: Options) -> str | None:
    return None


@dataclass(frozen=True)
class Step:
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
        Whether a piece is to be processed at all.
    note
        What the user should know of a piece, or of its being left out; a warning tells it.
    done
        Called after a success, e.g. to take what the job found out into the archive.
    backend
        The back-end of a step that only one of them can do; None for the configured one.
    """

    name: str
    message: str
    scope: str
    recipe: Callable[[Piece, Options], Recipe]
    instruments: tuple[str, ...] = ()
    needs: Callable[[str | None, Options], tuple[str, ...]] = lambda inst, options: ()
    wants: Callable[[Piece, Options], bool] = _always
    note: Callable[[Piece, Options], str | None] = _no_note
    done: Callable[[Piece], None] | None = None
    backend: str | None = None


#: Names that the tasks write for instruments.
SAS_NAMES = {"M1": "mos1", "M2": "mos2", "PN": "pn"}
EPIC = ("M1", "M2", "PN")
MOS = ("M1", "M2")
RGS = ("R1", "R2")

__all__ = ["EPIC", "MOS", "RGS", "SAS_NAMES", "Options", "Piece", "Recipe", "Step", "layout"]
