"""The ledger at hand: what is asked of it again and again while an archive is processed, read once.

Parameters
----------
mission
    Name of the mission.
obs_id
    The observation.
process
    Name of the process.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from daxa.archive.run import Run

if TYPE_CHECKING:
    from daxa.archive import Archive
    from daxa.mission import BaseMission

#: Observations whose runs are kept at a time; pieces are processed observation by observation.
_KEPT = 64


class Records:
    """What has been done to an archive, as the one process that changes it knows.

    Only how runs ended is kept of all of them; the runs themselves of a few observations.

    Parameters
    ----------
    archive
        The archive.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._runs: OrderedDict[tuple[str, str], dict[tuple[str, str], tuple[Run | None, int]]] = (
            OrderedDict()
        )
        self._observations: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._ends: dict[tuple[str, str, str], bool] | None = None
        self._parts: dict[tuple[str, str, str], dict[str, str | None]] = {}
        self._starts: dict[str, dict[str, Any]] = {}
        self.processes: set[tuple[str, str]] = set()
        #: What is worth working out once per call, by whoever wants it.
        self.notes: dict[Any, Any] = {}

    # -- of all pieces ----------------------------------------------------------------------

    @property
    def ends(self) -> dict[tuple[str, str, str], bool]:
        """(mission, process, identifier) -> whether its last finished run succeeded."""
        if self._ends is None:
            self._ends = {}
            for mission, process, ident, obs_id, inst, good in self.archive.ledger.endings():
                self._add(mission, process, ident, obs_id, inst, good)
        return self._ends

    def _add(self, mission: str, process: str, ident: str, obs_id: str, inst: str | None, good: bool) -> None:
        self.ends[mission, process, ident] = good
        self._parts.setdefault((mission, process, obs_id), {})[ident] = inst
        self.processes.add((mission, process))

    def has_run(self, mission: str, process: str) -> bool:
        """Whether a process has been run on anything, successfully or not."""
        return bool(self.ends) and (mission, process) in self.processes

    def success(
        self, mission: str, process: str, obs_id: str, inst: str | None, exp_id: str | None
    ) -> list[bool]:
        """Successes of a process on the data that a piece belongs to, or, if it has none, on its parts.

        Parameters
        ----------
        obs_id, inst, exp_id
            The piece of data; None for a whole observation or instrument.
        """
        for ident in (f"{obs_id}{inst or ''}{exp_id or ''}", f"{obs_id}{inst}", obs_id):
            good = self.ends.get((mission, process, ident))
            if good is not None:
                return [good]
        if exp_id is not None:
            return []
        parts = self._parts.get((mission, process, obs_id), {})
        return [
            self.ends[mission, process, ident] for ident, its in parts.items() if inst is None or its == inst
        ]

    # -- of one observation -----------------------------------------------------------------

    def of(self, mission: str, obs_id: str) -> dict[tuple[str, str], tuple[Run | None, int]]:
        """(process, identifier) -> last finished run, number of the newest one."""
        key = (mission, obs_id)
        if key not in self._runs:
            self._runs[key] = self.archive.ledger.of_observation(mission, obs_id)
            _trim(self._runs)
        return self._runs[key]

    def latest(self, mission: str, process: str, ident: str, obs_id: str) -> Run | None:
        """The last finished run of a process on a piece of data.

        Parameters
        ----------
        ident
            Identifier of the piece of data.
        obs_id
            The observation that it is of.
        """
        return self.of(mission, obs_id).get((process, ident), (None, 0))[0]

    def interrupted(self, run: Run) -> bool:
        """Whether a later run on the same data was begun and did not end.

        Parameters
        ----------
        run
            A finished run.
        """
        newest = self.of(run.mission, run.obs_id).get((run.process, run.ident), (None, 0))[1]
        return run.id is not None and newest > run.id

    def observation(self, mission: str, obs_id: str) -> dict[str, Any]:
        """Summary, what is to be processed, and final success."""
        key = (mission, obs_id)
        if key not in self._observations:
            self._observations[key] = self.archive.ledger.observation(mission, obs_id)
            _trim(self._observations)
        return self._observations[key]

    def start_of(self, mission: BaseMission, obs_id: str) -> Any:
        """When an observation began.

        Parameters
        ----------
        mission
            The mission.

        Raises
        ------
        KeyError
            The mission's selection does not have the observation.
        """
        if mission.name not in self._starts:
            info = mission.filtered_obs_info
            self._starts[mission.name] = dict(zip(info["ObsID"].astype(str), info["start"], strict=True))
        return self._starts[mission.name][obs_id]

    def note(self, run: Run) -> None:
        """Take in that a run has ended.

        Parameters
        ----------
        run
            The run, recorded in the ledger.
        """
        self._add(run.mission, run.process, run.ident, run.obs_id, run.inst, run.ok)
        self.forget(run.mission, run.obs_id)

    def forget(self, mission: str, obs_id: str) -> None:
        """Read an observation's record again when it is next asked for."""
        self._runs.pop((mission, obs_id), None)
        self._observations.pop((mission, obs_id), None)


def _trim(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > _KEPT:
        kept.popitem(last=False)
