"""Planning: which steps run on which pieces, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from daxa.archive import Archive
from daxa.exceptions import NoDependencyProcessError
from daxa.process.done import done_before, satisfied
from daxa.process.graph import Node, related
from daxa.process.options import StepOptions
from daxa.process.records import Records
from daxa.process.step import Piece, Planned, Step
from daxa.process.tell import tell

if TYPE_CHECKING:
    from daxa.mission import BaseMission


class Planner:
    """The nodes of one call, as far as the content of the observations is known.

    Parameters
    ----------
    archive
        The archive.
    steps
        The steps with their options, in order.
    records
        What has been done so far.

    Attributes
    ----------
    nodes
        (mission, ObsID) -> its nodes.
    notes
        What users should know of pieces, or of their being left out.
    """

    def __init__(self, archive: Archive, steps: Sequence[Planned], records: Records) -> None:
        self.archive = archive
        self.steps = list(steps)
        self.records = records
        self.names = {step.name for step, _ in steps}
        self.nodes: dict[tuple[str, str], list[Node]] = {}
        self.notes: list[str] = []
        self._expanded: set[tuple[str, str]] = set()

    def everything(self) -> list[Node]:
        """All nodes, observation by observation."""
        return [n for group in self.nodes.values() for n in group]

    def tell_once(self, notes: Iterable[str]) -> None:
        """Keep what users should know, the same only once.

        Parameters
        ----------
        notes
            What they should know.
        """
        self.notes += [note for note in notes if note not in self.notes]

    def plan(self, mission: BaseMission, obs_id: str, number: int) -> list[Node]:
        """Make an observation's nodes, as far as its content is known; returns the new ones.

        Parameters
        ----------
        mission
            The mission.
        obs_id
            The observation.
        number
            Its place among the observations; those with lower ones are processed first.
        """
        key = (mission.name, obs_id)
        nodes = self.nodes.setdefault(key, [])
        before = len(nodes)
        known = self.records.observation(mission.name, obs_id)["to_process"]
        revealing = any(step.done is not None for step, _ in self.steps)
        first = key not in self._expanded
        for position, (step, options) in enumerate(self.steps):
            order = (number, position)
            if step.scope == "observation":
                if first:
                    self._add(nodes, step, options, self._piece(mission, obs_id), order)
                continue
            if known is None or (revealing and first):
                continue
            for inst, exposures in known.items():
                if inst not in step.instruments or exposures is False:
                    continue
                used: list[str | None] = (
                    [None] if step.scope == "instrument" else [e for e, use in exposures.items() if use]
                )
                for exp_id in used:
                    whole = self._piece(mission, obs_id, inst, exp_id)
                    for piece in step.parts(whole, options):
                        self._add(nodes, step, options, piece, order)
        self._expanded.add(key)
        return nodes[before:]

    def _piece(
        self, mission: BaseMission, obs_id: str, inst: str | None = None, exp_id: str | None = None
    ) -> Piece:
        return Piece(self.archive, mission, obs_id, inst, exp_id, self.records)

    def _add(
        self, nodes: list[Node], step: Step[Any], options: StepOptions, piece: Piece, order: tuple[int, int]
    ) -> None:
        note = step.note(piece, options)
        # What was processed before was told then.
        if note and not self.records.ends.get((piece.mission.name, step.name, piece.ident)):
            self.tell_once([note])
        if not step.wants(piece, options):
            return
        node = Node(step, options, piece, order)
        for name in step.needs(piece.inst, options):
            inside = [n for n in nodes if n.step.name == name and related(n.piece, piece)]
            node.needs += inside
            # What was left out on purpose, e.g. an unscheduled exposure, is left out of later steps too.
            if not inside and not done_before(name, piece):
                return
        nodes.append(node)
        for need in node.needs:
            need.dependents.append(node)

    def check_something_to_do(self, missions: list[BaseMission]) -> None:
        """Tell a caller whose step can do nothing, or only a part, why.

        Parameters
        ----------
        missions
            The missions that are to be processed.

        Raises
        ------
        NoDependencyProcessError
            Nothing that the step builds on is there.
        """
        if len(self.steps) > 1:
            return
        step, options = self.steps[0]
        nodes = self.everything()
        for mission in missions:
            instruments: list[str | None] = [i for i in mission.chosen_instruments if i in step.instruments]
            if step.instruments and not instruments:
                tell(
                    f"{step.name}: no {' or '.join(step.instruments)} chosen for {mission.pretty_name}: "
                    "nothing to do",
                )
                continue
            self._check_run(mission, step, options, instruments or [None])
            wanted = list(dict.fromkeys(n for i in instruments or [None] for n in step.needs(i, options)))
            # If nothing is left because of what the exposures are, the notes say so.
            if self.notes and not nodes:
                continue
            if wanted and not any(n.piece.mission is mission and satisfied(n) for n in nodes):
                raise NoDependencyProcessError(
                    f"{step.name}: {' and '.join(wanted)} succeeded for none of the {mission.name} data"
                )

    def _check_run(
        self, mission: BaseMission, step: Step[Any], options: StepOptions, instruments: list[str | None]
    ) -> None:
        """Refuse what builds on steps that were never run; warn of instruments that this leaves out."""
        unrun = {}
        for inst in instruments:
            needs = step.needs(inst, options)
            missing = [n for n in needs if not self.records.has_run(mission.name, n)]
            if missing and len(missing) < len(needs):
                raise NoDependencyProcessError(
                    f"{step.name}: {' and '.join(missing)} must be run on {mission.name} first"
                )
            if missing:
                unrun[inst] = missing
        names = list(dict.fromkeys(n for missing in unrun.values() for n in missing))
        if unrun and len(unrun) == len(instruments):
            raise NoDependencyProcessError(
                f"{step.name}: {' and '.join(names)} must be run on {mission.name} first"
            )
        if unrun:
            tell(
                f"{step.name}: {', '.join(map(str, unrun))} left out: {' and '.join(names)} has not been run",
            )
