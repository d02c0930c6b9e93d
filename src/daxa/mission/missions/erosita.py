"""eROSITA: the first all-sky survey (German half of the sky) and the performance-verification fields."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa.exceptions import DAXADownloadError, DAXAError, PreProcessedNotAvailableError
from daxa.fetch import unpack
from daxa.fetch.http import RemoteFile
from daxa.mission import calpv_fields, remote
from daxa.mission.catalogue import read_cache, write_cache
from daxa.mission.download import Progress, Report, Request, sizes_of
from daxa.mission.endpoints import address
from daxa.mission.erass_tiles import public_tiles
from daxa.mission.heasarc import ArchiveMission, Product
from daxa.mission.ready import EVENTS, ReadyProduct
from daxa.mission.selection import today
from daxa.mission.store import Part

_CACHE = "erass1-public-tiles"
_TMS = tuple(f"TM{n}" for n in range(1, 8))
# energy band digit in the file names -> keV
_BANDS = {
    1: (0.2, 0.6),
    2: (0.6, 2.3),
    3: (2.3, 5.0),
    4: (0.2, 2.3),
    5: (0.2, 0.5),
    6: (0.5, 1.0),
    7: (1.0, 2.0),
}


class _ErositaMission(ArchiveMission):
    id_regex = r"^[0-9]{6}$"
    instruments = _TMS
    default_instruments = _TMS

    def assess_process_obs(self, obs_info: dict) -> dict:
        """Which instruments' data are worth processing: those that saw the sky."""
        use = {}
        for inst, info in obs_info.items():
            if inst in self._chosen:
                sky = str(info.get("filter", "OPEN")).upper() in ("OPEN", "FILTER")
                use[inst] = bool(info.get("active")) and sky
        return use

    def active_instruments(self, obs_id: str) -> list[str]:
        """Which of the chosen telescope modules observed, as far as the catalogue says.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        """
        self._known(obs_id)
        there = self._active(obs_id)
        return [inst for inst in self._chosen if inst in there]

    def _active(self, obs_id: str) -> set[str]:
        info = self._catalogue()
        if "active_insts" not in info.columns:
            return set(self.instruments)
        row = info.loc[info["ObsID"] == obs_id, "active_insts"].iloc[0]
        return set(re.split(r"[\s,;]+", str(row).strip()))

    def _modules(self, obs_id: str, inst: str | None) -> tuple[int, ...] | None:
        """Numbers of the modules whose events are wanted; None if those are all of the list."""
        wanted = self._chosen if inst is None else self.check_inst_names(inst, show_warn=False)
        there = self._active(obs_id)
        if there <= set(wanted):
            return None
        return tuple(int(name[2:]) for name in wanted if name in there)

    def ready_products(self, obs_id: str) -> list[ReadyProduct]:
        """As of every mission; event lists are those of the chosen telescope modules.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        """
        found = super().ready_products(obs_id)
        modules = self._modules(obs_id, None)
        if not modules:
            return found
        names = tuple(f"TM{n}" for n in modules)
        return [
            replace(p, path=Path(self.get_evt_list_path(obs_id)), insts=names) if p.kind == EVENTS else p
            for p in found
        ]

    def get_evt_list_path(self, obs_id: str, inst: str | None = None) -> str:
        """Path of the event list of the chosen telescope modules, or of one.

        The archive's list holds the events of all modules. Where not all are wanted, one of those that are is
        made beside it, whose name ends in ``_if_`` and their numbers.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        inst : str, optional
            A telescope module; the chosen ones by default.

        Raises
        ------
        PreProcessedNotAvailableError
            There is no list on disk, or the module was not active.
        """
        from daxa.events.erosita import Selection, TaskError, select_list

        whole = Path(super().get_evt_list_path(obs_id, inst))
        modules = self._modules(obs_id, inst)
        if modules is None:
            return str(whole)
        if not modules:
            raise PreProcessedNotAvailableError(
                f"ObsID {obs_id}: {inst or ', '.join(self._chosen)} was not active"
            )
        numbers = "".join(map(str, modules))
        made = whole.with_name(f"{whole.stem}_if_{numbers}.fits")
        if not _newer(made, whole):
            with self.store.adding(obs_id):
                if not _newer(made, whole):
                    try:
                        select_list(whole, made, Selection(modules=modules))
                    except TaskError as failure:
                        raise DAXAError(failure.message) from None
        return str(made)

    def _download(self, obs_ids: list[str], *args: Any, **kwargs: Any) -> Report:
        report = super()._download(obs_ids, *args, **kwargs)
        if set(self._chosen) != set(self.instruments):
            faults = []
            for obs_id in (o for o in obs_ids if o not in report.failed):
                try:
                    self.get_evt_list_path(obs_id)
                except DAXAError as failure:
                    faults.append(str(failure))
            if faults:
                warnings.warn(
                    f"{self.pretty_name}: events of {', '.join(self._chosen)} could not be chosen: "
                    + "; ".join(faults[:5]),
                    stacklevel=4,
                )
        return report


def _newer(made: Path, source: Path) -> bool:
    return made.is_file() and made.stat().st_mtime_ns >= source.stat().st_mtime_ns


class eRASS1DE(_ErositaMission):
    """Sky tiles of eRASS1, DE half, data release 1. Event lists hold all seven telescopes together.

    Examples
    --------
    >>> mission = daxa.eRASS1DE(["TM1", "TM2"])
    """

    name = "erosita_all_sky_de_dr1"
    pretty_name = "eRASS DE:1"
    # products come as EXP_nnn (event lists, images, exposure maps) and DET_nnn (source detection)
    product_files = r"_(Image|ExposureMap|BackgrImage)_"
    products = (
        Product("event list", r"_\d2?0_EventList_c\d+\.fits$"),
        *(Product("image", rf"_\d2{n}_Image_c\d+\.fits$", (), band) for n, band in _BANDS.items()),
        *(
            Product("exposure map", rf"_\d2{n}_ExposureMap_c\d+\.fits$", (), band)
            for n, band in _BANDS.items()
        ),
        *(Product("background map", rf"_\d2{n}_BackgrImage_c\d+\.fits$", (), b) for n, b in _BANDS.items()),
    )
    _pipeline_version: str | None = None

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return Quantity(1.8, "deg")

    def _query(self, refresh: bool) -> tuple[Any, str | None]:
        cached = read_cache(_CACHE)
        if cached is not None and not refresh:
            frame, date = cached
        else:
            try:
                frame, date = self._tiles(), today()
            except DAXADownloadError as err:
                if cached is None:
                    raise DAXADownloadError(
                        f"no catalogue of sky tiles: {err}; and none is in the cache"
                    ) from err
                warnings.warn(f"{err}; the catalogue in the cache is used", stacklevel=4)
                frame, date = cached
            else:
                write_cache(_CACHE, frame, date)
        return frame, date.isoformat(timespec="seconds")

    def _tiles(self) -> pd.DataFrame:
        """The published table of sky tiles (FITS)."""
        from astropy.table import Table

        try:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "erass1_tiles.fits"
                self.client.fetch(RemoteFile(address("erass_tiles"), path.name), path)
                return public_tiles(Table.read(path, hdu=1))
        except (OSError, KeyError, ValueError) as err:
            raise DAXADownloadError(f"{address('erass_tiles')}: not the table of sky tiles ({err})") from err

    def neighbours(self, obs_id: str) -> list[str]:
        """ObsIDs of the public tiles around one, which it overlaps by a few arcminutes.

        Parameters
        ----------
        obs_id : str
            A tile of the catalogue.
        """
        self._known(obs_id)
        info = self._catalogue()
        around = info.loc[info["ObsID"] == obs_id, "neigh_obs"].iloc[0]
        return around.split(",") if around else []

    def download(
        self,
        num_cores: int | None = None,
        credentials: Any = None,
        download_products: bool | None = None,
        *,
        pipeline_version: int | None = None,
        disable_progress: bool = False,
    ) -> Any:
        """As `BaseMission.download`, of the newest processing or of `pipeline_version` (such as 10).

        Parameters
        ----------
        num_cores, credentials, download_products, disable_progress
            As for `BaseMission.download`.
        pipeline_version : int, optional
            The processing.
        """
        if isinstance(credentials, bool):  # as in DAXA 0.3: what are products here, and the version behind it
            pipeline_version = download_products if pipeline_version is None else pipeline_version
            credentials, download_products = None, credentials
        self._pipeline_version = None if pipeline_version is None else f"{int(pipeline_version):03d}"
        return super().download(num_cores, credentials, download_products, disable_progress=disable_progress)

    def _listings(self, row: Any) -> list[RemoteFile]:
        tile = row.ObsID
        base = f"{address('erass_dr1')}/{tile[3:]}/{tile[:3]}"
        page = self.client.get_text(f"{base}/")
        files = []
        for kind in ("EXP", "DET"):
            versions = sorted(set(re.findall(rf"{kind}_(\d{{3}})/", page)))
            version = self._pipeline_version or (versions[-1] if versions else None)
            if version is None or version not in versions:
                if kind == "DET":
                    continue
                text = f"version {version}" if version else "data"
                raise DAXADownloadError(f"{base}/: no {text}, there are {', '.join(versions) or 'none'}")
            files += remote.list_directory(
                self.client, f"{base}/{kind}_{version}", lambda p: p.endswith((".gz", ".fits"))
            )
        return files


class eROSITACalPV(_ErositaMission):
    """Fields of eROSITA's calibration and performance-verification phase (early data release).

    The release has no catalogue that programs can query; the package has a table of its 170 observations in
    32 fields (facts of the release, as tabulated in the DAXA package of D. J. Turner and contributors, BSD
    3-Clause licence).

    Parameters
    ----------
    insts : str or list of str, optional
    fields : str or list of str, optional
        Field names (`all_mission_fields`) or types (`all_mission_field_types`), in any spelling; ``crab``
        means all four fields around it.
    save_file_path : str or Path, optional
    table : str or Path, optional
        A CSV file to use instead of the package's table (also ``DAXA_EROSITA_CALPV_TABLE``), with
        the columns ObsID, ra, dec, start, end, Field_Name, Field_Type, active_insts, link.

    Examples
    --------
    >>> mission = daxa.eROSITACalPV(fields=["47 Tuc", "crab iii"])
    """

    name = "erosita_calpv"
    pretty_name = "eROSITA CalPV"
    products = (Product("event list", r"_EventList_c\d+\.fits$"),)

    def __init__(
        self,
        insts: str | list[str] | None = None,
        fields: str | list[str] | None = None,
        save_file_path: str | Path | None = None,
        table: str | Path | None = None,
    ):
        self._table = table or os.environ.get("DAXA_EROSITA_CALPV_TABLE")
        self._fields: list[str] | None = None
        super().__init__(insts, save_file_path)
        if fields is not None:
            self._fields = self.check_fields(fields)
            if save_file_path is None:
                self._mask = self._initial_mask()

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        warnings.warn("eROSITA CalPV: fields differ in size, the field of view is approximate", stacklevel=3)
        return Quantity(4.5, "deg")

    def _query(self, refresh: bool) -> tuple[Any, str | None]:
        return pd.DataFrame(calpv_fields.read_table(self._table)), None

    @property
    def all_mission_fields(self) -> list[str]:
        """Names of the fields."""
        return sorted(self._catalogue()["Field_Name"].unique())

    @property
    def all_mission_field_types(self) -> list[str]:
        """Types of the fields."""
        return sorted(self._catalogue()["Field_Type"].unique())

    @property
    def chosen_fields(self) -> list[str]:
        """Names of the fields in use; setting them keeps the observations of these."""
        return self.all_mission_fields if self._fields is None else list(self._fields)

    @chosen_fields.setter
    def chosen_fields(self, fields: str | list[str]) -> None:
        self.filter_on_fields(fields)

    def check_fields(self, fields: str | list[str]) -> list[str]:
        """Field names for names or types in any spelling.

        Parameters
        ----------
        fields : str or list of str
            Names or types, in any spelling.

        Raises
        ------
        ValueError
            There is no such field or type; similar ones are named.
        """
        info = self._catalogue()
        columns = ("Field_Name", "Field_Type", "link")
        return calpv_fields.find(fields, zip(*(info[c] for c in columns), strict=True))

    def filter_on_fields(self, fields: str | list[str]) -> None:
        """Keep the observations of these fields, or types of field.

        Parameters
        ----------
        fields : str or list of str
            Names or types, in any spelling.

        Raises
        ------
        ValueError
            There is no such field or type.
        """
        names = self.check_fields(fields)
        mask = self._catalogue()["Field_Name"].isin(names).to_numpy()
        self._apply("filter_on_fields", {"fields": names}, mask)
        self._fields = names

    def filter_on_obs_ids(self, allowed_obs_ids: Any, invert: bool = False) -> None:
        """As for every mission; an ObsID that the release gives by mistake means the ones that are there.

        Parameters
        ----------
        allowed_obs_ids : str or list of str
            Observations.
        invert : bool
            Leave them out instead.

        Warns
        -----
        UserWarning
            An ObsID was misprinted.
        """
        known = set(self.obs_ids)
        given = [allowed_obs_ids] if isinstance(allowed_obs_ids, str) else allowed_obs_ids
        if isinstance(given, (list, tuple, set, np.ndarray, pd.Series)):
            wrong = [str(o) for o in given if str(o) in calpv_fields.MISPRINTS and str(o) not in known]
            for obs_id in wrong:
                meant = calpv_fields.MISPRINTS[obs_id]
                warnings.warn(
                    f"{obs_id} is a misprint of the release and means {' and '.join(meant)}", stacklevel=2
                )
            if wrong:
                allowed_obs_ids = [m for o in given for m in calpv_fields.MISPRINTS.get(str(o), (o,))]
        super().filter_on_obs_ids(allowed_obs_ids, invert)

    def _initial_mask(self) -> np.ndarray:
        info = self._catalogue()
        active = info["active_insts"].str.split(r"[\s,;]+", regex=True)
        mask = self.science_usable & active.map(lambda have: bool(set(have) & set(self._chosen))).to_numpy(
            bool
        )
        if self._fields is not None:
            mask &= info["Field_Name"].isin(self._fields).to_numpy()
        return mask

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        rows = self._catalogue().set_index("ObsID", drop=False).loc[obs_ids]
        return [
            Request(row.ObsID, "raw", None, partial(self._bring_field, row))
            for row in rows.itertuples(index=False)
        ]

    def _download(self, obs_ids: list[str], *args: Any, **kwargs: Any) -> Report:
        report = super()._download(obs_ids, *args, **kwargs)
        if not report.failed:
            shutil.rmtree(self.store.root / ".partial" / "fields", ignore_errors=True)
        return report

    def _bring_field(self, row: Any, staging: Path, progress: Progress) -> Part:
        """A field's archive file holds all its observations; each keeps its own files."""
        name = row.link.rpartition("/")[2]
        shared = self.store.root / ".partial" / "fields"
        link = row.link if "://" in row.link else f"{address('erosita_edr')}/{row.link}"
        got: list[Path] = []

        def use(path: Path) -> None:
            got[:] = unpack.untar(path, staging, wanted=lambda file: row.ObsID in file, flat=True)
            if not got:
                raise DAXADownloadError(f"no files of ObsID {row.ObsID} in it")

        with self.store.lock(f"field_{name}"):
            remote.fetch_checked(self.client, RemoteFile(link, name), shared / name, progress, use)
        return Part(source="archive", files=sizes_of(got, staging))

    def _extra_state(self) -> dict:
        return {"chos_field": self._fields}

    def _set_extra_state(self, saved: dict, folder: Path) -> None:
        self._fields = saved.get("chos_field")
