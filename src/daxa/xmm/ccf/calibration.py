"""Typed access to the calibration of an observation.

A :class:`Calibration` knows which constituent serves each scope and type (SAS_CCF, SAS_CCFPATH and
SAS_CCFFILES as the SAS calibration layer reads them) and opens it at the first use. Tables are
read by :mod:`daxa.xmm.formats.ccf` and :mod:`daxa.xmm.ccf.readings`: columns by name, else by what they hold,
else what stands in for them; what a result needs and cannot be told is refused by name.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.ccf.constituent import AbsentConstituent, Constituent
from daxa.xmm.ccf.index import (
    CalibrationIndex,
    Entry,
    index_hdu,
    list_files,
    md5sum,
    normal_date,
    read_entry,
    read_index,
    select,
)
from daxa.xmm.ccf.readings import may_be_absent, reading_of
from daxa.xmm.errors import DamagedConstituent, MissingConstituent, TaskError, UnknownLayout
from daxa.xmm.notes import fallbacks_noted, has_seen_raw_files, mixture_allowed, note_calibration
from daxa.xmm.odf.odf import Odf
from daxa.xmm.origin import SIMULATOR, mixture, of_calibration, of_raw_files

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU


class Calibration:
    """The calibration constituents of one observation.

    Parameters
    ----------
    index
        Calibration index.
    search_path
        Folders searched, in order, for relative file names.
    replacements
        Files that stand in for the index's constituents of their scope and type.
    """

    def __init__(
        self, index: CalibrationIndex, search_path: Iterable[Path] = (), replacements: Iterable[Path] = ()
    ) -> None:
        self.index = index
        self.search_path = [Path(p) for p in search_path]
        self._entries = {entry.key: entry for entry in index.entries}
        for path in replacements:
            entry = read_entry(path) if path.is_file() else None
            if entry is None:
                raise MissingConstituent(f"SAS_CCFFILES: {path} is not a calibration constituent")
            self._entries[entry.key] = entry
        self._constituents: dict[tuple[str, str], Constituent] = {}
        self._checked: set[str] = set()

    @classmethod
    def from_environment(cls, env: Mapping[str, str], cwd: str | os.PathLike[str] = ".") -> Calibration:
        """The calibration that SAS_CCF, SAS_CCFPATH and SAS_CCFFILES describe.

        The same settings and files give the same object as long as the process lives.

        Parameters
        ----------
        env
            The environment.
        cwd
            Folder that relative paths begin at.

        Raises
        ------
        TaskError
            SAS_CCF is not set, or names no file with a CALINDEX.
        MissingConstituent
            A file of SAS_CCFFILES is not there.
        TaskError
            ``syntheticCalibration``: it is synthetic and what the running task reads, or the observation of
            SAS_ODF, is not, or the other way round.
        """
        name = env.get("SAS_CCF", "").strip()
        if not name:
            raise TaskError("noCalindex", "SAS_CCF is not set: run cifbuild and set SAS_CCF to its output")
        cwd = Path(cwd).absolute()
        path = cwd / Path(name).expanduser()
        is_folder = path.is_dir()
        index_path = path / "ccf.cif" if is_folder else path
        if not index_path.is_file():
            raise TaskError("noCalindex", f"SAS_CCF: {index_path} does not exist")
        folders = [str(cwd / Path(p).expanduser()) for p in env.get("SAS_CCFPATH", "").split(os.pathsep) if p]
        folders = folders or [str(index_path.parent)]
        extra = [
            str(cwd / Path(p).expanduser()) for p in re.split(r"[\s,:]+", env.get("SAS_CCFFILES", "")) if p
        ]
        stamps = tuple(os.stat(p).st_mtime_ns if os.path.exists(p) else 0 for p in [str(index_path), *extra])
        calibration = _cached(str(index_path), tuple(folders), tuple(extra), stamps)
        calibration.check_origin(env, cwd)
        return calibration

    @functools.cached_property
    def synthetic(self) -> str:
        """The first synthetic constituent; empty if there is none. A mixed set counts as synthetic."""
        return next((e.name for e in self._entries.values() if e.creator == SIMULATOR), "")

    def refuse(self, odf: Odf) -> None:
        """Refuse raw files that this calibration does not belong to.

        Parameters
        ----------
        odf
            The opened ODF.

        Raises
        ------
        TaskError
            ``syntheticCalibration``: synthetic calibration and real raw files, or real calibration and
            simulated ones, and ``DAXA_SYNTHETIC_CALIBRATION=allow`` is not set.
        """
        if bool(self.synthetic) != odf.simulated and not mixture_allowed():
            said = of_calibration(bool(self.synthetic), self._called)
            raise TaskError("syntheticCalibration", mixture(said, of_raw_files(odf.simulated, odf.folder)))

    @property
    def _called(self) -> str:
        return self.synthetic or f"{len(self._entries)} files"

    def check_origin(self, env: Mapping[str, str], cwd: Path) -> None:
        """Refuse calibration that does not belong to what a task has read or to the files of SAS_ODF.

        Parameters
        ----------
        env
            Environment of the task.
        cwd
            Folder that relative paths begin at.

        Raises
        ------
        TaskError
            ``syntheticCalibration``: one is synthetic or simulated, the other is not, and nothing allows
            both.
        """
        note_calibration(bool(self.synthetic), self._called)
        name = env.get("SAS_ODF", "")
        # What was allowed once is not allowed for ever: such an observation is not noted as checked.
        if not name or mixture_allowed(env) or has_seen_raw_files():
            return
        place = str((cwd / Path(name).expanduser()).resolve())
        if place in self._checked:
            return
        try:
            odf = Odf.open(place)
        except (TaskError, OSError):
            # The task that needs the observation tells what is wrong with it.
            return
        self.refuse(odf)
        self._checked.add(place)

    @classmethod
    def for_observation(
        cls,
        search_path: Iterable[str | os.PathLike[str]],
        observation_date: str,
        analysis_date: str = "now",
        category: str | None = "XMMCCF",
    ) -> Calibration:
        """The calibration of an observation, chosen among the files of some folders, without an index file.

        Parameters
        ----------
        search_path
            The folders.
        observation_date, analysis_date
            ISO dates, UTC; ``now`` is the present.
        category
            CATEGORY that files must have; None for any.

        Raises
        ------
        MissingConstituent
            There are no constituents in the folders.
        ValueError
            One of the dates is not a date.
        """
        folders = [Path(p) for p in search_path]
        entries = [entry for path in list_files(folders) if (entry := read_entry(path)) is not None]
        if not entries:
            raise MissingConstituent(
                f"no calibration constituents in {', '.join(map(str, folders)) or 'no folder'}"
            )
        observed, analysed = normal_date(observation_date), normal_date(analysis_date)
        chosen = select(entries, observed, analysed, category)
        header = {"CATEGORY": category or "", "OBSVDATE": observed, "ANALDATE": analysed}
        return cls(CalibrationIndex(chosen, header), folders)

    def _find(self, entry: Entry) -> Path:
        if entry.path is not None and entry.path.is_file():
            return entry.path
        name = Path(entry.fname or entry.name)
        if name.is_absolute():
            if name.is_file():
                return name
            raise MissingConstituent(f"{name}, named by the calibration index, does not exist")
        for folder in self.search_path:
            for candidate in (folder / name, folder / name.name.upper(), folder / name.name.lower()):
                if candidate.is_file():
                    return candidate
        folders = ", ".join(map(str, self.search_path))
        raise MissingConstituent(f"{name.name}, named by the calibration index, is in none of {folders}")

    def constituent(self, scope: str, typeid: str) -> Constituent:
        """The constituent of a scope (``EMOS1``, ``EPN``, ``XRT3``, ``XMM``) and type.

        Where something stands in for all of its tables, the index need not have it.

        Parameters
        ----------
        scope
            The scope.
        typeid
            The type, e.g. ``LINCOORD``.

        Raises
        ------
        MissingConstituent
            The index has none, or its file is not found.
        DamagedConstituent
            The file's size or checksum is not the one in the index.
        """
        key = (scope.upper(), typeid.upper())
        if key not in self._constituents:
            if key not in self._entries:
                observed = self.index.header.get("OBSVDATE", "this observation")
                reason = f"the calibration index has no {key[0]}_{key[1]} valid for {observed}"
                if not may_be_absent(*key):
                    raise MissingConstituent(reason)
                self._constituents[key] = AbsentConstituent(*key, reason)
                return self._constituents[key]
            entry = self._entries[key]
            path = self._find(entry)
            size = path.stat().st_size
            if entry.fsize and entry.fsize != size:
                raise DamagedConstituent(
                    f"{path}: {size} bytes, but {entry.fsize} in the calibration index; "
                    "fetch it again or rerun cifbuild"
                )
            if entry.md5 and entry.md5.lower() != md5sum(path):
                raise DamagedConstituent(
                    f"{path}: the checksum is not that of the calibration index; "
                    "fetch it again or rerun cifbuild"
                )
            self._constituents[key] = Constituent(entry, path)
        return self._constituents[key]

    def has(self, scope: str, typeid: str) -> bool:
        """Whether the index has a constituent of that scope and type.

        Parameters
        ----------
        scope
            The scope, e.g. ``EMOS1``.
        typeid
            The type, e.g. ``LINCOORD``.
        """
        return (scope.upper(), typeid.upper()) in self._entries

    @functools.cached_property
    def _misc(self) -> dict[tuple[str, str], float]:
        table = self.constituent("XMM", "MISCDATA").table("MISCDATA")
        keys = zip(np.char.strip(table["INSTRUMENT_ID"]), np.char.strip(table["PARM_ID"]), strict=True)
        values = zip(keys, table["PARM_VAL"], strict=True)
        return {(str(i), str(p)): float(v) for (i, p), v in values if np.isfinite(v)}

    def misc(self, instrument: str, parm_id: str) -> float:
        """A number of XMM_MISCDATA; a fallback that costs something is warned of in the running task.

        Parameters
        ----------
        instrument
            The instrument that the number is of, e.g. ``EMOS1`` or ``XRT3``.
        parm_id
            Name of the number, e.g. ``FOCAL_LENGTH``.

        Raises
        ------
        UnknownLayout
            MISCDATA has no such number, and nothing stands in for it.
        """
        if (instrument, parm_id) in self._misc:
            return self._misc[instrument, parm_id]
        constituent = self.constituent("XMM", "MISCDATA")
        items = reading_of("XMM", "MISCDATA", "MISCDATA").items
        if parm_id not in items:
            raise UnknownLayout(f"{constituent.path.name}: no {parm_id} for {instrument}")
        constituent.lacks_item("MISCDATA", parm_id, instrument)
        return float(items[parm_id].value)

    def calindex_hdu(self, scopes: Iterable[str] | None = None) -> BinTableHDU:
        """CALINDEX extension for a product: the constituents in force, of some scopes or of all.

        Parameters
        ----------
        scopes
            The scopes; None for all.
        """
        wanted = None if scopes is None else {s.upper() for s in scopes}
        entries = [
            entry if entry.md5 or entry.path is None else replace(entry, md5=md5sum(entry.path))
            for key, entry in sorted(self._entries.items())
            if wanted is None or key[0] in wanted
        ]
        hdu = index_hdu(entries, self.index.header)
        for number, text in enumerate(self.fallbacks(wanted), start=1):
            hdu.header[f"CALFB{number}"] = text
        return hdu

    def fallbacks(self, scopes: Iterable[str] | None = None) -> list[str]:
        """What stood in for parts that files lack, in the running task, of some scopes or of all.

        Parameters
        ----------
        scopes
            The scopes; None for all.
        """
        wanted = None if scopes is None else {s.upper() for s in scopes}
        return [text for text in fallbacks_noted() if wanted is None or text.split("_")[0] in wanted]


@functools.lru_cache(maxsize=8)
def _cached(
    index: str,
    folders: tuple[str, ...],
    extra: tuple[str, ...],
    stamps: tuple[int, ...],
) -> Calibration:
    return Calibration(read_index(index), map(Path, folders), map(Path, extra))
