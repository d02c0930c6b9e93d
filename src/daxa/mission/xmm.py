"""XMM-Newton pointed observations."""

from __future__ import annotations

import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa.exceptions import DAXADownloadError
from daxa.mission import local as local_files
from daxa.mission.base import BaseMission
from daxa.mission.download import Progress, Request, sizes_of
from daxa.mission.store import Part
from daxa.xmm.odf.summary import BLIND_FILTERS, NON_SCIENCE_MODES

SOURCES = ("auto", "xsa", "heasarc", "s3")


class XMMPointed(BaseMission):
    """Pointed XMM-Newton observations.

    Parameters
    ----------
    insts : str or list of str, optional
        Of M1, M2, PN (the default), R1, R2, OM.
    save_file_path : str or Path, optional
        A saved state to take up, without network.
    use_heasarc : bool
        The same as ``source="heasarc"``.
    local : str or Path, optional
        A folder with ODFs, packed or unpacked; the catalogue is then what this folder holds.
    source : {"auto", "xsa", "heasarc", "s3"}
        Where catalogue and data come from; "auto" is the XSA, or HEASARC when that does not answer.
    """

    name = "xmm_pointed"
    pretty_name = "XMM-Newton Pointed"
    id_regex = r"^[0-9]{10}$"
    instruments = ("M1", "M2", "PN", "OM", "R1", "R2")
    default_instruments = ("M1", "M2", "PN")
    aliases = {"MOS1": "M1", "MOS2": "M2", "RGS1": "R1", "RGS2": "R2"}

    def __init__(
        self,
        insts: str | list[str] | None = None,
        save_file_path: str | Path | None = None,
        use_heasarc: bool = False,
        local: str | Path | None = None,
        source: str = "auto",
    ):
        if source not in SOURCES:
            raise ValueError(f"source: expected one of {', '.join(SOURCES)}, got {source!r}")
        self._source = "heasarc" if use_heasarc and source == "auto" else source
        self._local: Path | None = None if local is None else Path(local).expanduser().resolve()
        self._found: dict[str, local_files.LocalObservation] | None = None
        super().__init__(insts, save_file_path)
        if save_file_path is None:
            self._catalogue()

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return Quantity(15, "arcmin")

    @property
    def local(self) -> Path | None:
        """The folder that the observations come from; None when they come from an archive."""
        return self._local

    @property
    def source(self) -> str:
        return "local" if self._local is not None else self._source

    # -- catalogue --------------------------------------------------------------------------

    def _query(self, refresh: bool) -> tuple[Any, str | None]:
        if self._local is not None:
            self._found = local_files.scan(self._local)
            return self._local_rows(), None
        raise NotImplementedError("only local data so far")

    def _local_rows(self) -> list[dict]:
        rows, unreadable = [], []
        for observation in self._local_observations().values():
            try:
                rows.append(local_files.read_summary(observation))
            except DAXADownloadError as err:
                unreadable.append(str(err))
        if unreadable:
            text = f"local: {len(unreadable)} observations cannot be used: " + "; ".join(unreadable)
            if not rows:
                raise DAXADownloadError(text)
            warnings.warn(text, stacklevel=4)
        return rows

    def _local_observations(self) -> dict[str, local_files.LocalObservation]:
        if self._found is None:
            self._found = local_files.scan(self._local)
        return self._found

    def _adjust(self, info: pd.DataFrame) -> pd.DataFrame:
        if "proprietary_end_date" not in info.columns:
            info["proprietary_end_date"] = np.full(len(info), np.datetime64("NaT", "us"))
        if self._local is not None:
            info["proprietary_usable"] = np.ones(len(info), bool)
        else:
            info["proprietary_usable"] = (
                info["proprietary_end_date"] <= np.datetime64("now", "us")
            ).to_numpy()
        return info

    # -- raw data ---------------------------------------------------------------------------

    def get_obs_path(self, obs_id: str) -> Path:
        """Folder with the ODF's unpacked files: the local one if it is unpacked, else our copy."""
        if self._local is not None:
            self._known(obs_id)
            found = self._local_observations().get(obs_id) if self._local.exists() else None
            if found is not None and found.folder is not None:
                return found.folder
        return super().get_obs_path(obs_id)

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        if self._local is not None:
            found = self._local_observations() if any(not self.store.has(o) for o in obs_ids) else {}
            return [
                Request(o, "raw", None, partial(_unpack_local, found.get(o), o))
                for o in obs_ids
                if o not in found or found[o].folder is None
            ]
        raise NotImplementedError("only local data so far")

    # -- processing -------------------------------------------------------------------------

    def assess_process_obs(self, obs_info: dict) -> dict:
        """Which exposures are worth processing.

        Parameters
        ----------
        obs_info : dict
            Instrument -> ``active``, ``num_exp``, ``exposures`` (id -> ``type``, ``filter``, ``mode``, ...).

        Returns
        -------
        dict
            Instrument -> exposure id -> bool, for the chosen instruments that were active.
        """
        use: dict[str, dict[str, bool]] = {}
        for inst, info in obs_info.items():
            if inst not in self._chosen or not info.get("active"):
                continue
            use[inst] = {e: _usable(inst, exposure) for e, exposure in info.get("exposures", {}).items()}
        return use

    # -- state ------------------------------------------------------------------------------

    def _extra_state(self) -> dict:
        return {
            "source": self._source,
            "local": None if self._local is None else str(self._local),
            "science_usable": self.filtered_obs_info["science_usable"].tolist(),
            "proprietary_usable": self.filtered_obs_info["proprietary_usable"].tolist(),
        }

    def _set_extra_state(self, saved: dict, folder: Path) -> None:
        if saved.get("source") in SOURCES and self._source == "auto":
            self._source = saved["source"]
        if self._local is None and saved.get("local"):
            self._local = Path(saved["local"])


def _usable(inst: str, exposure: dict) -> bool:
    """Whether an exposure shows the sky in a mode made for it."""
    blind = {name.upper() for name in BLIND_FILTERS} | {"", "NONE"}
    if str(exposure.get("type", "")).upper() != "SCIENCE" or exposure.get("mode") in NON_SCIENCE_MODES:
        return False
    return inst in ("R1", "R2") or str(exposure.get("filter") or "").upper() not in blind


def _unpack_local(
    observation: local_files.LocalObservation | None, obs_id: str, staging: Path, progress: Progress
) -> Part:
    """Put a plain copy of a packed ODF into a folder."""
    from daxa.mission import unpack
    from daxa.xmm.odf.names import OdfName

    if observation is None:
        raise DAXADownloadError("is not in the local folder any more")

    def wanted(name: str) -> bool:
        parsed = OdfName.parse(name)
        return name.upper().startswith("MANIFEST") or (parsed is not None and parsed.obs_id == obs_id)

    if observation.packed is not None:
        size = observation.packed.stat().st_size
        progress.expect(size)
        files = unpack.untar(observation.packed, staging, wanted=wanted, flat=True)
        progress.add(size)
    else:
        files = []
        for path in observation.files:
            size = path.stat().st_size
            progress.expect(size)
            if path.suffix.lower() == ".gz":
                target = staging / path.name[:-3]
                unpack.gunzip(path, target)
            else:
                target = staging / path.name
                with path.open("rb") as file:
                    unpack.write_atomically(file, target)
            files.append(target)
            progress.add(size)
    check_odf(files, obs_id)
    return Part(
        source=os.fspath(observation.packed or observation.files[0].parent), files=sizes_of(files, staging)
    )


def check_odf(files: list[Path], obs_id: str) -> None:
    """Refuse a set of files that is no complete ODF.

    Raises
    ------
    DAXADownloadError
        There is no summary file, or the summary lists files that are not there.
    """
    summary = next((f for f in files if local_files.is_summary(f.name)), None)
    if summary is None:
        raise DAXADownloadError(f"no summary file (*_{obs_id}_SCX00000SUM.ASC) among the {len(files)} files")
