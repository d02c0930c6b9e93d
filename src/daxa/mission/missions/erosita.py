"""eROSITA: the first all-sky survey (German half of the sky) and the performance-verification fields."""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
import shutil
import tempfile
import warnings
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa.exceptions import DAXADownloadError
from daxa.fetch import unpack
from daxa.fetch.http import RemoteFile
from daxa.mission import remote
from daxa.mission.catalogue import read_cache, write_cache
from daxa.mission.download import Progress, Report, Request, sizes_of
from daxa.mission.endpoints import address
from daxa.mission.heasarc import ArchiveMission, Product
from daxa.mission.selection import today
from daxa.mission.store import Part

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


class eRASS1DE(_ErositaMission):
    """Sky tiles of eRASS1, DE half, data release 1. Event lists hold all seven telescopes together."""

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
        cached = read_cache("erass1-tiles")
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
                write_cache("erass1-tiles", frame, date)
        return frame, date.isoformat(timespec="seconds")

    def _tiles(self) -> pd.DataFrame:
        """The published table of sky tiles (FITS)."""
        from astropy.table import Table

        try:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "erass1_tiles.fits"
                self.client.fetch(RemoteFile(address("erass_tiles"), path.name), path)
                table = Table.read(path, hdu=1)
            tile = np.asarray(table["SRVMAP"]).astype(int)
            columns = {
                "ObsID": np.array([f"{t:06d}" for t in tile]),
                "ra": np.asarray(table["RA_CEN"], float),
                "dec": np.asarray(table["DE_CEN"], float),
                **{
                    name.lower(): np.asarray(table[name], float)
                    for name in ("RA_MIN", "RA_MAX", "DE_MIN", "DE_MAX")
                },
                "owner": np.asarray(table["OWNER"]).astype(int),
            }
        except (OSError, KeyError, ValueError) as err:
            raise DAXADownloadError(f"{address('erass_tiles')}: not the table of sky tiles ({err})") from err
        frame = pd.DataFrame(columns)
        # the survey scanned every tile several times between these dates
        frame["start"] = np.datetime64("2019-12-12T00:00:00", "us")
        frame["end"] = np.datetime64("2020-06-11T00:00:00", "us")
        frame["target_category"] = "ASK"
        return frame

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

    The release has no catalogue that programs can query. The packaged table lists the fields whose
    ObsIDs and addresses are documented publicly; where no date is, that of the whole phase stands. `table`
    takes a longer one.

    Parameters
    ----------
    insts : str or list of str, optional
    fields : str or list of str, optional
        Field names (`all_mission_fields`) or types (`all_mission_field_types`).
    save_file_path : str or Path, optional
    table : str or Path, optional
        A CSV file to use instead of the packaged table of fields (also ``DAXA_EROSITA_CALPV_TABLE``), with
        the columns ObsID, ra, dec, start, end, Field_Name, Field_Type, active_insts, link.
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
        if self._table is not None:
            if not Path(self._table).is_file():
                raise FileNotFoundError(f"table: no such file {self._table}")
            source = Path(self._table).read_text(encoding="utf-8")
        else:
            source = (
                resources.files("daxa.mission").joinpath("data/erosita_calpv.csv").read_text(encoding="utf-8")
            )
        rows = list(csv.DictReader(io.StringIO(source)))
        return pd.DataFrame(rows), None

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
        """Names of the fields in use."""
        return self.all_mission_fields if self._fields is None else list(self._fields)

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
        by_key = {_key(n): [n] for n in info["Field_Name"]}
        for kind, names in info.groupby("Field_Type")["Field_Name"]:
            by_key.setdefault(_key(str(kind)), sorted(set(names)))
        fields_of_keys: list[str] = []
        for field in [fields] if isinstance(fields, str) else fields:
            if _key(field) not in by_key:
                near = difflib.get_close_matches(_key(field), by_key, n=3)
                hint = f"; near it: {', '.join(n for k in near for n in by_key[k][:1])}" if near else ""
                raise ValueError(f"fields: {field!r} is not an eROSITA CalPV field or field type{hint}")
            fields_of_keys += by_key[_key(field)]
        return sorted(set(fields_of_keys))

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

    def _download(self, *args: Any, **kwargs: Any) -> Report:
        report = super()._download(*args, **kwargs)
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


def _key(name: str) -> str:
    return re.sub(r"[\s_\-+]", "", str(name)).upper()
