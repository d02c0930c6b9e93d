"""What users read from an archive about its processing: views on the ledger."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daxa.archive.arguments import recordable
from daxa.archive.images import Images
from daxa.archive.legacy import NAMES
from daxa.archive.staleness import stale
from daxa.exceptions import (
    NoDependencyProcessError,
    NoProcessingError,
)

if TYPE_CHECKING:
    import numpy as np

    from daxa.archive.run import Run

Nested = dict[str, dict[str, dict[str, Any]]]


def error_text(error: dict[str, str]) -> str:
    """An error as one line.

    Parameters
    ----------
    error
        The error as the ledger keeps it: ``originator``, ``name`` and ``message``.
    """
    return f"{error['name']} raised by {error['originator']} - {error['message']}"


def _property(kind: str, doc: str) -> property:
    def read(self: ProcessViews) -> Nested:
        return self._view(kind)

    def write(self: ProcessViews, value: tuple[str, Nested]) -> None:
        self._set_view(kind, value)

    return property(read, write, doc=doc)


class ProcessViews(Images):
    """Properties and methods of an archive that tell how processing went.

    The nested dictionaries are mission -> process -> identifier -> value. They are copies: setting a
    property takes a tuple of process name and dictionary, and never replaces a value that is there.
    """

    _kinds: dict[str, Callable[[Any], Any]] = {
        "process_success": lambda run: run.ok,
        "process_errors": lambda run: [error_text(e) for e in run.errors],
        "process_warnings": lambda run: [dict(w) for w in run.warnings],
        "raw_process_errors": lambda run: run.stderr,
        "process_logs": lambda run: run.stdout,
    }

    # -- per identifier ---------------------------------------------------------------------

    def _view(self, kind: str) -> Nested:
        value = self._kinds.get(kind) or self._extra_of
        logs = kind in ("raw_process_errors", "process_logs")
        view: Nested = {name: {} for name in self.mission_names}
        for run in self.ledger.runs(logs=logs):
            view.setdefault(run.mission, {}).setdefault(run.process, {})[run.ident] = value(run)
        for mission, process, ident, entry in self.ledger.entries(kind):
            view.setdefault(mission, {}).setdefault(process, {}).setdefault(ident, entry)
        if kind in ("process_errors", "process_warnings", "raw_process_errors"):
            # Only what has some.
            view = {
                m: {p: {i: v for i, v in idents.items() if v} for p, idents in processes.items()}
                for m, processes in view.items()
            }
        if not any(view.values()) and kind in ("process_success", "process_logs"):
            raise NoProcessingError("no processing step has been run on this archive yet")
        return view

    def _extra_of(self, run: Run) -> dict[str, Any]:
        """Extra information with paths as they are now, also under the names that DAXA 0.3.7 gave them."""
        folder = self.obs_folder(run.mission, run.obs_id)
        found = {
            key: f"{folder}/{value['path']}" if isinstance(value, dict) and "path" in value else value
            for key, value in run.extra.items()
        }
        if isinstance(found.get("en_key"), str):  # what follows "en" in names of files
            found["en_key"] = found["en_key"].removeprefix("en")
        for old, new in NAMES.get(run.process, {}).items():
            if new in found:
                found.setdefault(old, found[new])
        return found

    def _set_view(self, kind: str, value: tuple[str, Nested]) -> None:
        process, missions = _named(value, kind, "mission -> identifier -> value")
        try:
            present = self._view(kind)
        except NoProcessingError:
            present = {}
        for mission, idents in missions.items():
            self._mission_name(mission)
            for ident, entry in idents.items():
                if kind == "process_success" and not isinstance(entry, bool):
                    raise TypeError(f"{kind}: expected True or False for {ident}, got {entry!r}")
                if ident in present.get(mission, {}).get(process, {}):
                    warnings.warn(
                        f"{kind}: {mission} has an entry of {process} for {ident} already; no change made",
                        stacklevel=3,
                    )
                    continue
                self.ledger.add_entry(mission, process, ident, kind, entry)

    process_success = _property("process_success", "Whether each run succeeded.")
    process_errors = _property("process_errors", "Errors as text, `NAME raised by TASK - message`.")
    process_warnings = _property(
        "process_warnings", "Warnings as dictionaries with `originator`, `name` and `message`."
    )
    raw_process_errors = _property("raw_process_errors", "Standard error of runs that wrote to it.")
    process_logs = _property("process_logs", "Standard output; its first line is the command.")
    process_extra_info = _property(
        "process_extra_info", "Paths and settings that a process passes on to later ones."
    )

    @property
    def process_names(self) -> dict[str, list[str]]:
        """Processes that have been run, by mission.

        Raises
        ------
        NoProcessingError
            None has.
        """
        return {m: list(processes) for m, processes in self.process_success.items()}

    def _run_so_far(self) -> dict[str, list[str]]:
        try:
            return self.process_names
        except NoProcessingError:
            return {}

    @property
    def process_configurations(self) -> dict[str, list[dict[str, Any]]]:
        """Arguments each process was last run with: mission -> list of {process: arguments}.

        Setting it takes a tuple of process name and dictionary mission -> arguments.
        """
        from daxa.mission.state import decode

        configurations: dict[str, list[dict[str, Any]]] = {name: [] for name in self.mission_names}
        for mission, process, arguments in self.ledger.configurations():
            configurations.setdefault(mission, []).append(
                {process: {k: decode(v) for k, v in arguments.items()}}
            )
        return configurations

    @process_configurations.setter
    def process_configurations(self, new: tuple[str, dict[str, dict[str, Any]]]) -> None:
        process, missions = _named(new, "process_configurations", "mission -> arguments")
        present = self.process_configurations
        for mission, arguments in missions.items():
            self._mission_name(mission)
            if not any(process in one for one in present[mission]):
                self.ledger.set_configuration(mission, process, recordable(arguments))

    @property
    def stale(self) -> dict[str, dict[str, dict[str, str]]]:
        """What is out of date, and why: mission -> process -> identifier -> reason.

        Products whose input has been made anew with another result, or has failed since, and everything made
        of them; products of an older generation of the engine. The steps, run again, bring them up to date.
        """
        found: dict[str, dict[str, dict[str, str]]] = {name: {} for name in self.mission_names}
        for (mission, process, ident), reason in stale(self.ledger).items():
            found.setdefault(mission, {}).setdefault(process, {})[ident] = reason
        return found

    # -- per observation --------------------------------------------------------------------

    @property
    def observation_summaries(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Mission -> ObsID -> instrument -> what was observed, for the chosen instruments."""
        return self._observation_view("summary")

    @property
    def process_observation(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The same shape with booleans: whether the data should be processed."""
        return self._observation_view("to_process")

    @property
    def final_process_success(self) -> dict[str, dict[str, bool]]:
        """Mission -> ObsID -> whether the observation went through to its final products."""
        return self._observation_view("final_success")

    def _observation_view(self, key: str) -> dict[str, dict[str, Any]]:
        view: dict[str, dict[str, Any]] = {name: {} for name in self.mission_names}
        for mission, obs_id, values in self.ledger.observations():
            if values[key] is not None:
                view.setdefault(mission, {})[obs_id] = values[key]
        return view

    def get_obs_to_process(self, mission_name: str, search_ident: str | None = None) -> list[list[str]]:
        """[ObsID, instrument, sub-exposure] of everything that should be processed.

        Parameters
        ----------
        mission_name : str
            Mission.
        search_ident : str, optional
            Only of this ObsID, or of this instrument.

        Raises
        ------
        ValueError
            The archive has neither of that name.
        """
        mission = self._missions[self._mission_name(mission_name)]
        if search_ident is not None and search_ident not in mission.chosen_instruments:
            self._checked(mission_name, search_ident)
        found: list[list[str]] = []
        for obs_id, instruments in self.process_observation.get(mission_name, {}).items():
            for inst, use in instruments.items():
                if search_ident is not None and search_ident not in (obs_id, inst):
                    continue
                if isinstance(use, dict):
                    found += [[obs_id, inst, exp_id] for exp_id, wanted in use.items() if wanted]
                elif use:
                    found.append([obs_id, inst])
        return found

    def check_dependence_success(
        self,
        mission_name: str,
        obs_ident: str | list[str] | list[list[str]],
        dep_proc: str | list[str],
        no_success_error: bool = True,
    ) -> np.ndarray:
        """Whether the processes that a step builds on have succeeded.

        Parameters
        ----------
        mission_name : str
            Mission.
        obs_ident
            Identifiers: an ObsID, or a list of [ObsID, instrument, sub-exposure] (or shorter).
        dep_proc : str or list of str
            Processes that must all have succeeded.
        no_success_error : bool
            Raise if nothing succeeded.

        Returns
        -------
        numpy.ndarray
            One boolean per identifier.

        Raises
        ------
        NoDependencyProcessError
            A process was not run, or nothing succeeded.
        ValueError
            There are no identifiers.

        Examples
        --------
        >>> good = archive.check_dependence_success("xmm_pointed", [["0800010101", "M1", "S001"]], "emchain")
        >>> good.tolist()
        [True]
        """
        import numpy as np

        self._mission_name(mission_name)
        idents: list[Any] = [obs_ident] if isinstance(obs_ident, str) else list(obs_ident)
        if idents and all(isinstance(i, str) for i in idents) and len(idents) > 1 and len(idents[1]) < 5:
            idents = [idents]  # one identifier given in parts
        if not idents:
            raise ValueError("obs_ident: expected at least one identifier")
        names = [i if isinstance(i, str) else "".join(i) for i in idents]
        processes = [dep_proc] if isinstance(dep_proc, str) else list(dep_proc)
        run = self._run_so_far().get(mission_name, [])
        missing = [p for p in processes if p not in run]
        if missing:
            raise NoDependencyProcessError(
                f"{mission_name}: {', '.join(missing)} must be run first; "
                f"run so far: {', '.join(run) or 'none'}"
            )
        success = self.process_success[mission_name]
        result = np.array([all(success[p].get(n, False) for p in processes) for n in names], dtype=bool)
        if no_success_error and not result.any():
            raise NoDependencyProcessError(
                f"{mission_name}: {', '.join(processes)} succeeded for none of the {len(names)} data sets"
            )
        return result

    # -- logs and failures ------------------------------------------------------------------

    def get_process_logs(
        self,
        process_name: str,
        mission_name: str | list[str] | None = None,
        obs_id: str | list[str] | None = None,
        inst: str | list[str] | None = None,
        full_ident: str | list[str] | None = None,
    ) -> dict[str, dict[str, str]]:
        r"""Standard output of a process, mission -> identifier -> text.

        It has the missions for which the process has been run. `full_ident` overrides `obs_id` and `inst`.

        Parameters
        ----------
        process_name : str
            The process.
        mission_name, obs_id, inst, full_ident : str or list of str, optional
            Only of these.

        Raises
        ------
        MissionNotAssociatedError
            The archive does not have a mission.

        Examples
        --------
        >>> archive.get_process_logs("emchain", obs_id="0800010101")
        {'xmm_pointed': {'0800010101M1S001': 'emchain odf=x\n'}}
        """
        return self._logs("stdout", process_name, mission_name, obs_id, inst, full_ident)

    def get_process_raw_error_logs(
        self,
        process_name: str,
        mission_name: str | list[str] | None = None,
        obs_id: str | list[str] | None = None,
        inst: str | list[str] | None = None,
        full_ident: str | list[str] | None = None,
    ) -> dict[str, dict[str, str]]:
        """Standard error of a process, mission -> identifier -> text; see `get_process_logs`.

        Parameters
        ----------
        process_name : str
            The process.
        mission_name, obs_id, inst, full_ident : str or list of str, optional
            Only of these.
        """
        return self._logs("stderr", process_name, mission_name, obs_id, inst, full_ident)

    def _logs(
        self, stream: str, process: str, missions: Any, obs_id: Any, inst: Any, full_ident: Any
    ) -> dict[str, dict[str, str]]:
        chosen, insts = _as_set(missions), _as_set(inst)
        for mission in chosen or ():
            self._mission_name(mission)
        obs_ids, idents = _as_set(obs_id), _as_set(full_ident)
        found: dict[str, dict[str, str]] = {}
        for run in self.ledger.runs(process=process):
            if idents is not None:
                wanted = run.ident in idents
            else:
                wanted = (obs_ids is None or run.obs_id in obs_ids) and (insts is None or run.inst in insts)
            if chosen is not None and run.mission not in chosen:
                continue
            text, texts = getattr(run, stream), found.setdefault(run.mission, {})
            if wanted and (text or stream == "stdout"):
                texts[run.ident] = text
        kind = "process_logs" if stream == "stdout" else "raw_process_errors"
        for mission, name, ident, text in self.ledger.entries(kind):
            if idents is not None:
                wanted = ident in idents
            else:
                wanted = (obs_ids is None or any(ident.startswith(o) for o in obs_ids)) and (
                    insts is None or any(i in ident for i in insts)
                )
            if name == process and (chosen is None or mission in chosen):
                texts = found.setdefault(mission, {})
                if wanted:
                    texts.setdefault(ident, text)
        for mission, name, _, _ in self.ledger.entries("process_success"):
            if name == process and (chosen is None or mission in chosen):
                found.setdefault(mission, {})
        return found

    def get_failed_processes(self, process_name: str) -> dict[str, list[str]]:
        """Mission -> identifiers for which a process failed; empty if it has not been run.

        Parameters
        ----------
        process_name : str
            The process.

        Examples
        --------
        >>> archive.get_failed_processes("emchain")
        {'xmm_pointed': ['0800010201M1S001']}
        """
        return {
            mission: [ident for ident, ok in processes[process_name].items() if not ok]
            for mission, processes in self.process_success.items()
            if process_name in processes
        }

    def get_failed_logs(
        self, process_name: str
    ) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
        """Standard output and standard error of the runs of a process that failed.

        Parameters
        ----------
        process_name : str
            The process.

        Returns
        -------
        outputs, errors : dict
            Mission -> identifier -> text.

        Examples
        --------
        >>> outputs, errors = archive.get_failed_logs("emchain")
        >>> outputs
        {'xmm_pointed': {'0800010201M1S001': 'emchain odf=x\\n'}}
        """
        failed = self.get_failed_processes(process_name)
        outputs: dict[str, dict[str, str]] = {}
        errors: dict[str, dict[str, str]] = {}
        for mission, idents in failed.items():
            if idents:
                outputs |= self.get_process_logs(process_name, mission, full_ident=idents)
                errors |= self.get_process_raw_error_logs(process_name, mission, full_ident=idents)
        return outputs, errors


def _named(value: Any, kind: str, shape: str) -> tuple[str, dict[str, Any]]:
    """What the setters of processes take, checked."""
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)):
        raise TypeError(f"{kind}: expected a tuple of process name and dictionary ({shape})")
    return value


def _as_set(value: str | list[str] | None) -> set[str] | None:
    if value is None:
        return None
    return {value} if isinstance(value, str) else set(value)
