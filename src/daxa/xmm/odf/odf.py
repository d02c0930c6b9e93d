"""Opening an Observation Data File set: a folder of files of one observation.

Files may be plain or gzipped, in upper or lower case, in the folder itself or in a sub-folder ``ODF``.

Parameters
----------
instrument
    Two-letter code, e.g. ``PN``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import read_ascii_summary, read_sas_summary
from daxa.xmm.notes import note_raw_files
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.origin import SIMULATOR

#: File types that hold events (or images, for OM) of an exposure, per instrument.
SCIENCE_TYPES = {
    "M1": ("IME", "RIE", "TIE", "CTE"),
    "M2": ("IME", "RIE", "TIE", "CTE"),
    "PN": ("IME", "RIE", "TIE", "BUE"),
    "R1": ("SPE", "HTE"),
    "R2": ("SPE", "HTE"),
    "OM": ("IMI", "FAE"),
}
#: Environment variables that choose among spacecraft files.
_PREFERENCES = ("SAS_ATTITUDE", "SAS_TIMECORR", "SAS_TIMECORR_TCX")


@dataclass(frozen=True)
class Odf:
    """The files of one observation.

    ``preferences`` are the environment variables that choose among spacecraft files (SAS_ATTITUDE,
    SAS_TIMECORR, SAS_TIMECORR_TCX); empty where the folder was opened by its name.
    """

    folder: Path
    obs_id: str
    revolution: int
    files: tuple[OdfFile, ...]
    sas_summary: Path | None = None
    preferences: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Odf:
        """Open an ODF folder, or the one a ``SUM.SAS`` file points to.

        Parameters
        ----------
        folder
            Folder with the files, or a ``SUM.SAS`` file: then its PATH, and if there are no files there
            (the summary may come from another machine) the folder it lies in.

        Raises
        ------
        TaskError
            ``NoOdfFound``, ``MultipleObservations``.
        """
        folder = Path(folder).expanduser()
        if folder.is_file():
            return cls._from_summary(folder)
        if not folder.is_dir():
            raise TaskError("NoOdfFound", f"{folder}: no such folder")
        found, summary = scan(folder)
        if not found:
            raise TaskError("NoOdfFound", f"{folder}: no ODF file (RRRR_OOOOOOOOOO_II...FIT) in it")
        observations = sorted({(n.revolution, n.obs_id) for n, _ in found})
        if len(observations) > 1:
            # Named by the first file of each: one that strayed in is soon seen.
            text = ", ".join(
                min(p.name for n, p in found if (n.revolution, n.obs_id) == which) for which in observations
            )
            raise TaskError("MultipleObservations", f"{folder}: files of more than one observation: {text}")
        revolution, obs_id = observations[0]
        files = tuple(OdfFile(n, p) for n, p in sorted(found, key=lambda item: str(item[0])))
        return cls(folder, obs_id, revolution, files, summary)

    @classmethod
    def _from_summary(cls, path: Path) -> Odf:
        match = re.search(r"^PATH[ \t]+(.+)$", path.read_text(encoding="latin-1"), re.MULTILINE)
        given = match[1].strip() if match else ""
        # As the file system has it; earlier summaries have Latin-1.
        names = dict.fromkeys((os.fsdecode(given.encode("latin-1")), given) if given else ())
        places = [Path(name).expanduser() for name in names]
        for place in places:
            try:
                odf = cls.open(place) if place.is_dir() else None
            except TaskError as error:
                if error.code != "NoOdfFound":
                    raise
                odf = None
            if odf is not None:
                return cls(odf.folder, odf.obs_id, odf.revolution, odf.files, path)
        try:
            odf = cls.open(path.parent)
        except TaskError as error:
            if error.code != "NoOdfFound" or not places:
                raise
            raise TaskError(
                "NoOdfFound",
                f"{path}: no ODF file (RRRR_OOOOOOOOOO_II...FIT) in the folder of its line PATH, "
                f"{places[0]}, nor in its own, {path.parent}; edit PATH, or run odfingest again",
            ) from None
        return cls(odf.folder, odf.obs_id, odf.revolution, odf.files, path)

    @classmethod
    def from_environment(cls, env: Mapping[str, str], cwd: Path, folder: str | None = None) -> Odf:
        """Open what a task's parameter or the variable SAS_ODF names.

        Parameters
        ----------
        env
            The environment; SAS_ODF is a folder or a SUM.SAS file.
        cwd
            Folder that relative paths begin at.
        folder
            What wins over SAS_ODF.

        Raises
        ------
        TaskError
            ``NoOdfFound``: neither is set; else see :meth:`open`. ``syntheticCalibration``: the running task
            has seen calibration that does not belong to these files.
        """
        place = folder or env.get("SAS_ODF")
        if not place:
            raise TaskError("NoOdfFound", "no ODF: set SAS_ODF to the ODF folder or to its SUM.SAS file")
        preferences = {name: env[name] for name in _PREFERENCES if env.get(name)}
        odf = replace(cls.open(cwd / Path(place).expanduser()), preferences=preferences)
        note_raw_files(odf.simulated, odf.folder)
        return odf

    @cached_property
    def simulated(self) -> bool:
        """Whether the files say that they are simulated: one of each instrument, or the summary alone.

        Real files among simulated ones make a real observation.
        """
        said: dict[str, bool] = {}
        for file in self.files:
            if file.name.extension == "FIT" and file.name.instrument not in said:
                origin = file.origin()
                if origin is not None:
                    said[file.name.instrument] = origin == SIMULATOR
        if said:
            return all(said.values())
        summary = self.ascii_summary
        try:
            return summary is not None and SIMULATOR.encode() in summary.bytes()
        except TaskError:
            return False

    @cached_property
    def names(self) -> list[str]:
        """Canonical file names, sorted."""
        return [str(f.name) for f in self.files]

    def find(
        self,
        instrument: str | None = None,
        file_type: str | None = None,
        exp_id: str | None = None,
        ccd: int | None = None,
        node: int | None = None,
    ) -> list[OdfFile]:
        """Files whose names have all the given fields, sorted by name; none is an empty list.

        Parameters
        ----------
        file_type
            Three-letter type, e.g. ``IME``.
        exp_id
            Identifier of the exposure, e.g. ``S003``.
        ccd
            Number of the CCD.
        node
            Read-out node.
        """
        wanted = {
            "instrument": instrument,
            "file_type": file_type,
            "exp_id": exp_id,
            "ccd": ccd,
            "node": node,
        }
        wanted = {k: v for k, v in wanted.items() if v is not None}
        return [f for f in self.files if all(getattr(f.name, k) == v for k, v in wanted.items())]

    def one(self, *args: Any, **kwargs: Any) -> OdfFile:
        """The only file with the given fields (as in :meth:`find`).

        Parameters
        ----------
        *args, **kwargs
            The fields.

        Raises
        ------
        TaskError
            ``MissingData``: there is none, or more than one.
        """
        found = self.find(*args, **kwargs)
        if len(found) == 1:
            return found[0]
        names = ("instrument", "file_type", "exp_id", "ccd", "node")
        fields = {
            k: v for k, v in {**dict(zip(names, args, strict=False)), **kwargs}.items() if v is not None
        }
        what = " ".join(str(v) for v in fields.values())
        if not found:
            raise TaskError("MissingData", f"{self.folder}: the ODF has no {what} file")
        listed = ", ".join(f.path.name for f in found)
        raise TaskError("MissingData", f"{self.folder}: more than one {what} file: {listed}")

    @cached_property
    def period(self) -> tuple[float, float] | None:
        """Mission times of the observation's start and end, by its summary; None if that is unreadable."""
        try:
            if self.ascii_summary is not None:
                text = read_ascii_summary(self.ascii_summary.path)
                return float(utc_to_tt(text.start)), float(utc_to_tt(text.end))
            if self.sas_summary is not None:
                summary = read_sas_summary(self.sas_summary)
                return float(utc_to_tt(summary.start)), float(utc_to_tt(summary.end))
        except (ValueError, OSError, EOFError):
            # Who needs more of the summary than this tells what is wrong with it.
            return None
        return None

    def candidates(self, variable: str, default: str, types: Mapping[str, str]) -> list[tuple[str, OdfFile]]:
        """The spacecraft files there are of one kind or another, in the order that SAS's access layer uses.

        Parameters
        ----------
        variable, default
            Environment variable that gives the kinds to try in order (``AHF:RAF``), and its default.
        types
            Kind -> file type.

        Raises
        ------
        TaskError
            ``badParameter``: the variable is not such a list.
        """
        order = self.preferences.get(variable, default)
        kinds = order.split(":")
        if len(set(kinds)) < len(kinds) or not set(kinds) <= set(types):
            raise TaskError(
                "badParameter",
                f"{variable}: expected {' or '.join(types)}, or both with a colon, got {order!r}",
            )
        return [(kind, file) for kind in kinds for file in self.find("SC", types[kind])[:1]]

    def preferred(self, variable: str, default: str, types: Mapping[str, str]) -> tuple[str, OdfFile | None]:
        """The first of :meth:`candidates`; the kind tried first and None if there is none.

        Parameters
        ----------
        variable
            Environment variable that chooses, e.g. ``SAS_ATTITUDE``.
        default
            Kinds in order, with colons between them, where it is not set.
        types
            Kind -> three-letter type of its files.
        """
        found = self.candidates(variable, default, types)
        return found[0] if found else (self.preferences.get(variable, default).split(":")[0], None)

    def exposures(self, instrument: str) -> list[str]:
        """Exposure identifiers with science event files, sorted (``S001`` before ``U002``).

        Exposures that hold only offset, noise, diagnostic or discarded-line files are left out.
        """
        types = SCIENCE_TYPES.get(instrument, ())
        return sorted(
            {f.name.exp_id for f in self.find(instrument) if f.name.is_science and f.name.file_type in types}
        )

    def without_events(self, instrument: str) -> list[str]:
        """Exposure identifiers with an auxiliary file but without event files, sorted."""
        listed = {f.name.exp_id for f in self.find(instrument, "AUX") if f.name.is_science}
        return sorted(listed - set(self.exposures(instrument)))

    def science_files(self, instrument: str, exp_id: str) -> list[OdfFile]:
        """Science event files of one exposure, sorted.

        Parameters
        ----------
        exp_id
            Identifier, e.g. ``S003``.
        """
        return [
            f for f in self.find(instrument, exp_id=exp_id) if f.name.file_type in SCIENCE_TYPES[instrument]
        ]

    @property
    def ascii_summary(self) -> OdfFile | None:
        """The ``SUM.ASC`` file, if there is one."""
        found = [f for f in self.find("SC", "SUM") if f.name.extension == "ASC"]
        return found[0] if found else None


def scan(folder: Path) -> tuple[list[tuple[OdfName, Path]], Path | None]:
    """ODF files in a folder, else in its sub-folder ODF; and the SUM.SAS file.

    Parameters
    ----------
    folder
        The folder.
    """
    places = [folder, *sorted(p for p in folder.iterdir() if p.is_dir() and p.name.upper() == "ODF")]
    for place in places:
        found: dict[str, tuple[OdfName, Path]] = {}
        summary = None
        # Reverse order: a plain file comes after its gzipped twin and replaces it.
        for path in sorted((p for p in place.iterdir() if p.is_file()), reverse=True):
            name = OdfName.parse(path.name)
            if name is None:
                continue
            if name.extension == "SAS":
                summary = path
            else:
                found[str(name)] = (name, path)
        if found:
            return list(found.values()), summary
    return [], None
