"""Missions whose catalogue is a HEASARC table and whose data lie in HEASARC's directory tree.

Such a mission is a description: the table and its columns, which rows are of use, the folder of an
observation, and which of the files there are which instrument's and which product.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import RemoteFile
from daxa.mission import catalogue, remote
from daxa.mission.base import BaseMission
from daxa.mission.catalogue import TapTable
from daxa.mission.download import Progress, Request, sizes_of
from daxa.mission.endpoints import address
from daxa.mission.ready import IMAGE, KINDS, Band, ReadyProduct
from daxa.mission.store import Part
from daxa.mission.target_types import TARGET_TYPES


@dataclass(frozen=True)
class Product:
    """Files of the archive that users ask for by kind, instrument and energy band.

    Parameters
    ----------
    kind : {"event list", "image", "exposure map", "background map", "light curve"}
    pattern : str
        Regular expression searched in paths below the observation's folder.
    insts : tuple of str
        Instruments it is of; empty for all.
    band : (float, float), optional
        Energies in keV; None where a band makes no sense.
    """

    kind: str
    pattern: str
    insts: tuple[str, ...] = ()
    band: tuple[float, float] | None = None


def bands_of(products: Iterable[Product], instruments: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
    r"""Energy bands of the images, by instrument.

    Parameters
    ----------
    products
        Products of the archive.
    instruments
        All instruments, for products of no particular one.

    Returns
    -------
    dict
        Instrument -> pairs of energies [keV].

    Examples
    --------
    >>> bands_of([Product("image", r"\.img$", ("XIS0",), (0.2, 12.0))], ("XIS0", "XIS1"))
    {'XIS0': [(0.2, 12.0)]}
    """
    bands: dict[str, list[tuple[float, float]]] = {}
    for product in products:
        for inst in product.insts or instruments:
            if product.band is not None and product.band not in bands.setdefault(inst, []):
                bands[inst].append(product.band)
    return bands


class ArchiveMission(BaseMission):
    """A mission whose observations are folders of an archive.

    Class attributes, besides those of `BaseMission`:

    inst_files
        Instrument -> regular expression of the paths that are its own; files of instruments that are not
        chosen are not fetched, files that match none always are.
    skip
        Regular expression of paths that nobody needs.
    product_files
        Regular expression of the paths that belong to the products and not to the raw data.
    products
        The products that can be asked for.
    """

    inst_files: dict[str, str] = {}
    skip = r"(^|/)index\.html$"
    product_files = r"^$"
    products: tuple[Product, ...] = ()

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "products" in cls.__dict__:
            cls.product_kinds = tuple(k for k in KINDS if any(p.kind == k for p in cls.products))
            if "energy_bands" not in cls.__dict__:
                images = [p for p in cls.products if p.kind == IMAGE]
                cls.energy_bands = bands_of(images, cls.instruments)

    def _listings(self, row: Any) -> list[RemoteFile]:
        """Files of one observation (a row of the catalogue), with paths below its folder."""
        raise NotImplementedError(f"{type(self).__name__} does not define _listings")

    def _wanted_files(self) -> tuple[str, ...] | None:
        return tuple(self._chosen) if self.inst_files else None

    def _wanted(self, path: str, part: str) -> bool:
        if re.search(self.skip, path):
            return False
        if (re.search(self.product_files, path) is not None) != (part == "products"):
            return False
        owners = [inst for inst, pattern in self.inst_files.items() if re.search(pattern, path)]
        return not owners or any(inst in self._chosen for inst in owners)

    @property
    def _parts(self) -> tuple[str, ...]:
        """Parts an observation comes in; products that lie among the raw data are not a part of their own."""
        return ("raw",) if self.product_files == r"^$" else ("raw", "products")

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        if credentials is not None:
            raise NotImplementedError(
                f"credentials: {self.pretty_name} data that are not public cannot be fetched"
            )
        rows = self._catalogue().set_index("ObsID", drop=False).loc[obs_ids]
        return [
            Request(row.ObsID, part, self._wanted_files(), partial(self._bring, row, part))
            for row in rows.itertuples(index=False)
            for part in self._parts
            if products or part == "raw"
        ]

    def _bring(self, row: Any, part: str, staging: Path, progress: Progress) -> Part:
        files = self._listings(row)
        encrypted = [f for f in files if f.path.lower().endswith((".gpg", ".pgp"))]
        files = [f for f in files if f not in encrypted and self._wanted(f.path, part)]
        if encrypted and not files:
            raise DAXADownloadError("its files are encrypted: the observation is proprietary")
        have = self.store.intact(row.ObsID, part)
        got = remote.fetch_files(self.client, files, staging, progress, have=have)
        instruments = None if self._wanted_files() is None else list(self._chosen)
        return Part(source="archive", files=sizes_of(got, staging), instruments=instruments)

    def _bands_of(self, kind: str, inst: str | None) -> list[Band | None]:
        return [p.band for p in self.products if p.kind == kind and inst in (None, *(p.insts or (inst,)))]

    def _held_products(self, obs_id: str) -> list[ReadyProduct]:
        folder = self.store.folder(obs_id)
        held = sorted(name for part in self.store.parts(obs_id).values() for name in part.files)
        found: dict[tuple[str, str], ReadyProduct] = {}
        taken = set(self.instruments)
        if self.one_inst_per_obs:
            info = self._catalogue()
            taken &= set(info.loc[info["ObsID"] == obs_id, "instrument"])
        for product in self.products:
            insts = taken & set(product.insts or self.instruments)
            for name in filter(re.compile(product.pattern).search, held):
                # A file of several instruments may be described once for each.
                known = found.get((product.kind, name))
                every = tuple(i for i in self.instruments if i in insts or (known and i in known.insts))
                found[product.kind, name] = ReadyProduct(product.kind, folder / name, every, product.band)
        return [p for p in found.values() if set(p.insts) & set(self._chosen)]


class HeasarcMission(ArchiveMission):
    """A mission of HEASARC: `table` is its catalogue."""

    table: TapTable

    def _query(self, refresh: bool) -> tuple[Any, str | None]:
        frame, date, _ = catalogue.load([self.table], refresh)
        return self._rows(frame), date.isoformat(timespec="seconds")

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows that are observations of this mission, with `science_usable`."""
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        """Folders below HEASARC's root that an observation consists of, and where they go in its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define _folders")

    def _listings(self, row: Any) -> list[RemoteFile]:
        files = []
        for folder, below in self._folders(row):
            url = f"{address('heasarc_ftp')}/{folder}"
            files += [
                RemoteFile(f.url, f"{below}{f.path}", f.size, f.md5)
                for f in remote.list_directory(self.client, url, lambda path: not re.search(self.skip, path))
            ]
        return files


def text(column: pd.Series) -> pd.Series:
    """A column as upper-case text without blanks around it.

    Parameters
    ----------
    column
        Shape (n,).
    """
    return column.astype(str).str.strip().str.upper()


def target_types(frame: pd.DataFrame) -> pd.Series:
    """Types of target from a catalogue's ``target_category``: a key of the taxonomy, or what it stands for.

    Parameters
    ----------
    frame
        Rows of the catalogue.

    Examples
    --------
    >>> frame = pd.DataFrame({"target_category": ["GCL", "Active galaxies and quasars", "dust"]})
    >>> target_types(frame).tolist()
    ['GCL', 'AGN', 'MISC']
    """
    if "target_category" not in frame.columns:
        return pd.Series("MISC", index=frame.index)
    keys = {name.upper(): key for key, name in TARGET_TYPES.items()} | {key: key for key in TARGET_TYPES}
    return text(frame["target_category"]).map(keys).fillna("MISC")


def positive(frame: pd.DataFrame, columns: Iterable[str]) -> pd.Series:
    """Where any of the columns that exist is above zero (true if none exists).

    Parameters
    ----------
    frame
        Rows of the catalogue.
    columns
        Names; what is not a number is not above zero.

    Examples
    --------
    >>> positive(pd.DataFrame({"duration": [0.0, 10.0]}), ["duration", "exposure"]).tolist()
    [False, True]
    """
    present = [c for c in columns if c in frame.columns]
    if not present:
        return pd.Series(True, index=frame.index)
    return (frame[present].apply(pd.to_numeric, errors="coerce") > 0).any(axis=1)
