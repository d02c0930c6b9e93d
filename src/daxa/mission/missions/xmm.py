"""XMM-Newton pointed observations."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa.exceptions import DAXADownloadError, DAXANotDownloadedError
from daxa.fetch import unpack
from daxa.fetch.http import RemoteFile
from daxa.mission import catalogue, remote
from daxa.mission import local as local_files
from daxa.mission.base import BaseMission
from daxa.mission.catalogue import TapTable
from daxa.mission.download import Progress, Request, sizes_of
from daxa.mission.endpoints import address
from daxa.mission.pps import EPIC_CAMERAS, NO_EXPOSURE, PPS, PPS_BANDS, PpsName
from daxa.mission.ready import BACKGROUND, EXPOSURE, IMAGE, KINDS, Band, ReadyProduct
from daxa.mission.store import Part
from daxa.xmm.formats.instruments import EPIC, INSTRUMENTS, MOS, RGS, SHORT_NAMES
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import BLIND_FILTERS, NON_SCIENCE_MODES

SOURCES = ("auto", "xsa", "heasarc", "s3")
XSA = TapTable(
    service="xsa_tap",
    table="xsa.v_all_observations",
    columns={
        "ObsID": "observation_id",
        "ra": "ra",
        "dec": "dec",
        "start": "start_utc",
        "duration": "duration",
        "science_usable": "with_science",
        "proprietary_end_date": "proprietary_end_date",
        "revolution": "revolution",
    },
    optional={"target": "target", "end": "end_utc"},
    id_width=10,
)
XMMMASTER = TapTable(
    service="heasarc_tap",
    table="xmmmaster",
    columns={
        "ObsID": "obsid",
        "ra": "ra",
        "dec": "dec",
        "start": "time",
        "duration": "duration",
        "proprietary_end_date": "public_date",
        "revolution": ("xmm_revolution", "revolution"),
        "status": "status",
    },
    optional={"target": "name", "end": "end_time"},
    id_width=10,
)


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

    Examples
    --------
    >>> mission = daxa.XMMPointed(["M1", "PN"])
    >>> mission = daxa.XMMPointed("PN", local="my_odfs")
    """

    name = "xmm_pointed"
    pretty_name = "XMM-Newton Pointed"
    id_regex = r"^[0-9]{10}$"
    instruments = ("M1", "M2", "PN", "OM", "R1", "R2")
    default_instruments = ("M1", "M2", "PN")
    energy_bands = {inst: list(PPS_BANDS.values()) for inst in ("M1", "M2", "PN")}
    product_kinds = KINDS
    products_by_default = False
    products_stand_alone = True
    aliases = {
        **{SHORT_NAMES[code].upper(): code for code in (*MOS, *RGS)},
        **{INSTRUMENTS[code]: code for code in EPIC},
    }

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
        self._product_choice: tuple[str, ...] = self.product_kinds
        super().__init__(insts, save_file_path)

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return Quantity(15, "arcmin")

    @property
    def local(self) -> Path | None:
        """The folder that the observations come from; None when they come from an archive."""
        return self._local

    @local.setter
    def local(self, folder: str | Path) -> None:
        """Take the observations from another folder, to which they have been moved.

        Raises
        ------
        ValueError
            They are not there.
        """
        place = Path(folder).expanduser().resolve()
        found = local_files.scan(place) if place.is_dir() else {}
        missing = [str(o) for o in self.filtered_obs_ids if str(o) not in found]
        if missing:
            raise ValueError(f"local: {place} has no raw files of {', '.join(missing[:5])}")
        self._local, self._found = place, found

    @property
    def source(self) -> str:
        """Where the data come from: ``local``, or the archive that was chosen."""
        return "local" if self._local is not None else self._source

    # -- catalogue --------------------------------------------------------------------------

    @property
    def _names_are_ours(self) -> bool:
        return self._local is not None

    def _query(self, refresh: bool) -> tuple[Any, str | None]:
        if self._local is not None:
            self._found = local_files.scan(self._local)
            return self._local_rows(), None
        tables = {"auto": [XSA, XMMMASTER], "xsa": [XSA]}.get(self._source, [XMMMASTER])
        frame, date, table = catalogue.load(tables, refresh)
        if table is XMMMASTER:
            frame = _of_xmmmaster(frame)
        return frame, date.isoformat(timespec="seconds")

    def _local_rows(self) -> list[dict]:
        rows, unreadable = local_files.read_summaries(self._local_observations().values())
        if unreadable:
            text = f"local: {len(unreadable)} observations cannot be used: " + "; ".join(unreadable)
            if not rows:
                raise DAXADownloadError(text)
            warnings.warn(text, stacklevel=4)
        return rows

    def _local_observations(self) -> dict[str, local_files.LocalObservation]:
        if self._found is None:
            self._found = {} if self._local is None else local_files.scan(self._local)
        return self._found

    def _adjust(self, info: pd.DataFrame) -> pd.DataFrame:
        without_dates = "proprietary_end_date" not in info.columns
        if without_dates:
            info["proprietary_end_date"] = np.full(len(info), np.datetime64("NaT", "us"))
        info = super()._adjust(info)
        if without_dates:
            # the archive itself refuses what is not public
            info["proprietary_usable"] = True
        return info

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("raw", "products")

    @property
    def has_products(self) -> bool:
        """Whether there are processed products: of the archives, not of a folder of raw files."""
        return self._local is None

    # -- raw data ---------------------------------------------------------------------------

    def get_obs_path(self, obs_id: str) -> Path:
        """Folder with the ODF's unpacked files: the local one if it is unpacked, else our copy.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.

        Raises
        ------
        DAXANotDownloadedError
            It is not on disk.
        """
        if self._local is not None:
            self._known(obs_id)
            observation = self._local_observations().get(obs_id) if self._local.exists() else None
            if observation is not None and observation.folder is not None:
                return observation.folder
        try:
            return super().get_obs_path(obs_id)
        except DAXANotDownloadedError as err:
            if self._local is not None and not self._local.exists():
                raise DAXANotDownloadedError(
                    f"{err}; the folder {self._local} they were in is gone"
                ) from None
            raise

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        if self._local is not None:
            observations = self._local_observations() if any(not self.store.has(o) for o in obs_ids) else {}
            return [
                Request(o, "raw", None, partial(_unpack_local, observations.get(o), o))
                for o in obs_ids
                if o not in observations or observations[o].folder is None
            ]
        requests = []
        for obs_id in obs_ids:
            if raw:
                bring = partial(self._bring_raw, obs_id, credentials)
                requests.append(Request(obs_id, "raw", self._wanted_files(), bring))
            if products:
                bring = partial(self._bring_products, obs_id, credentials)
                requests.append(Request(obs_id, "products", self._product_cover(), bring))
        return requests

    def _wanted_files(self) -> tuple[str, ...]:
        return tuple(self._chosen)

    def _from_sources(self, ways: dict[str, Callable[[], Part]]) -> Part:
        """Try the sources that the user allows, in turn."""
        order = {"auto": ("xsa", "heasarc"), "xsa": ("xsa",)}.get(self._source, (self._source,))
        errors = []
        for source in order:
            try:
                return ways[source]()
            except DAXADownloadError as err:
                errors.append(str(err))
        raise DAXADownloadError("; then ".join(errors))

    def _bring_raw(self, obs_id: str, credentials: Any, staging: Path, progress: Progress) -> Part:
        def wanted(path: str) -> bool:
            name = OdfName.parse(path)
            if name is None:
                return "/" not in path and path.upper().startswith("MANIFEST")
            return name.obs_id == obs_id and name.instrument in {*self._chosen, "SC", "RM"}

        def from_xsa() -> Part:
            archive = staging / "xsa" / f"{obs_id}.tar.gz"
            unpacked: list[Path] = []

            def use(path: Path) -> None:
                unpacked[:] = unpack.untar(path, staging, wanted=partial(_is_of, obs_id), flat=True)
                check_odf(unpacked, obs_id)

            file = RemoteFile(address("xsa_aio"), archive.name)
            remote.fetch_checked(self.client, file, archive, progress, use, _aio(obs_id, "ODF", credentials))
            return Part(source="xsa", files=sizes_of(unpacked, staging))

        def from_listing(source: str) -> Part:
            files = self._listing(source, obs_id, "ODF", wanted)
            have = self.store.intact(obs_id)
            got = remote.fetch_files(self.client, files, staging, progress, have=have)
            check_odf([*got, *map(Path, have)], obs_id)
            return Part(source=source, files=sizes_of(got, staging), instruments=list(self._chosen))

        return self._from_sources(
            {"xsa": from_xsa, "heasarc": partial(from_listing, "heasarc"), "s3": partial(from_listing, "s3")}
        )

    def _bring_products(self, obs_id: str, credentials: Any, staging: Path, progress: Progress) -> Part:
        def wanted(path: str) -> bool:
            name = _pps(path)
            return (
                name is not None
                and name.obs_id == obs_id
                and name.wanted_for(self._chosen, self._product_choice)
            )

        def from_xsa() -> Part:
            archive = staging / "xsa" / f"{obs_id}_PPS.tar"
            unpacked: list[Path] = []

            def use(path: Path) -> None:
                unpacked[:] = unpack.untar(path, staging / PPS, wanted=wanted, flat=True)

            file = RemoteFile(address("xsa_aio"), archive.name)
            remote.fetch_checked(self.client, file, archive, progress, use, _aio(obs_id, "PPS", credentials))
            return Part("xsa", sizes_of(unpacked, staging), list(self._product_cover()))

        def from_listing(source: str) -> Part:
            files = self._listing(source, obs_id, "PPS", wanted)
            got = remote.fetch_files(self.client, files, staging, progress, PPS, decompress=False)
            return Part(source, sizes_of(got, staging), list(self._product_cover()))

        return self._from_sources(
            {"xsa": from_xsa, "heasarc": partial(from_listing, "heasarc"), "s3": partial(from_listing, "s3")}
        )

    def _listing(
        self, source: str, obs_id: str, folder: str, wanted: Callable[[str], bool]
    ) -> list[RemoteFile]:
        path = f"xmm/data/rev0/{obs_id}/{folder}"
        encrypted = []

        def wanted_or_encrypted(name: str) -> bool:
            encrypted.extend([name] if name.lower().endswith((".gpg", ".pgp")) else [])
            return wanted(name)

        if source == "s3":
            files = remote.list_bucket(self.client, address("s3"), path, wanted_or_encrypted)
        else:
            url = f"{address('heasarc_ftp')}/{path}"
            files = remote.list_directory(self.client, url, wanted_or_encrypted)
        if encrypted and not files:
            raise DAXADownloadError("its files at HEASARC are encrypted: the observation is proprietary")
        return files

    def list_products(self, obs_id: str, kind: str | None = None) -> list[str]:
        """Names of the processed (PPS) files that HEASARC holds of an observation.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        kind : str, optional
            One of `product_kinds`; files of every kind by default, pages and plots too.

        Raises
        ------
        DAXADownloadError
            The archive does not answer.
        """
        self._known(obs_id)
        if kind is not None:
            self._need_products(kind)
        source = "s3" if self._source == "s3" else "heasarc"
        names = sorted(f.path for f in self._listing(source, obs_id, "PPS", lambda path: True))
        return [n for n in names if kind is None or ((name := _pps(n)) is not None and name.kind == kind)]

    @property
    def chosen_products(self) -> list[str]:
        """Kinds of products that are fetched; all of `product_kinds` unless others are set."""
        return list(self._product_choice)

    @chosen_products.setter
    def chosen_products(self, kinds: str | list[str]) -> None:
        self._check_unlocked()
        given = [kinds] if isinstance(kinds, str) else list(kinds)
        for kind in given:
            self._need_products(kind)
        if not given:
            raise ValueError(f"chosen_products: none given, there are {', '.join(self.product_kinds)}")
        self._product_choice = tuple(k for k in self.product_kinds if k in given)
        self._downloaded = None

    def _product_cover(self) -> tuple[str, ...]:
        """What a set of products has to hold: every chosen kind of every chosen instrument."""
        return tuple(f"{inst} {kind}" for inst in self._chosen for kind in self._product_choice)

    def _bands_of(self, kind: str, inst: str | None) -> list[Band | None]:
        of_bands = kind in (IMAGE, EXPOSURE, BACKGROUND)
        return list(PPS_BANDS.values()) if of_bands and inst in (None, *EPIC_CAMERAS) else [None]

    def _held_products(self, obs_id: str) -> list[ReadyProduct]:
        held = self.store.parts(obs_id).get("products")
        names = [] if held is None else [n for f in held.files if (n := _pps(f)) is not None]
        folder = self.store.folder(obs_id) / PPS
        return [
            ReadyProduct(
                n.kind,
                folder / n.file_name,
                (n.instrument,),
                n.energies,
                None if n.exposure == NO_EXPOSURE else n.exposure,
            )
            # Scheduled exposures first.
            for n in sorted(names, key=lambda n: (n.exposure[0] != "S", n.exposure, n.file_name))
            if n.kind is not None and n.instrument in self._chosen
        ]

    def ready_companions(self, obs_id: str) -> list[ReadyProduct]:
        """Attitude, list and regions of sources, and summary of an observation, as the pipeline made them.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        """
        self._known(obs_id)
        held = self.store.parts(obs_id).get("products")
        names = [] if held is None else [n for f in held.files if (n := _pps(f)) is not None]
        folder = self.store.folder(obs_id) / PPS
        found = [ReadyProduct("companion", folder / n.file_name, ()) for n in names if n.kind is None]
        return [p for p in found if p.path.is_file()]

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
            "chosen_products": list(self._product_choice),
            "science_usable": self.filtered_obs_info["science_usable"].tolist(),
            "proprietary_usable": self.filtered_obs_info["proprietary_usable"].tolist(),
        }

    def _set_extra_state(self, saved: dict, folder: Path) -> None:
        if saved.get("source") in SOURCES and self._source == "auto":
            self._source = saved["source"]
        kinds = saved.get("chosen_products") or self.product_kinds
        self._product_choice = tuple(k for k in self.product_kinds if k in kinds)
        if self._local is None and saved.get("local"):
            self._local = Path(saved["local"])


def _pps(path: str) -> PpsName | None:
    return PpsName.parse(path.rpartition("/")[2])


def _usable(inst: str, exposure: dict) -> bool:
    """Whether an exposure shows the sky in a mode made for it."""
    blind = {name.upper() for name in BLIND_FILTERS} | {"", "NONE"}
    if str(exposure.get("type", "")).upper() != "SCIENCE" or exposure.get("mode") in NON_SCIENCE_MODES:
        return False
    return inst in ("R1", "R2") or str(exposure.get("filter") or "").upper() not in blind


def _of_xmmmaster(frame: pd.DataFrame) -> pd.DataFrame:
    """HEASARC's table without slews and without what has not been processed."""
    keep = ~frame["ObsID"].astype(str).str.startswith("9")
    if "status" in frame.columns:
        keep &= frame.pop("status").astype(str).str.strip().str.lower().isin(["processed", "archived"])
    return frame[keep]


def _aio(obs_id: str, level: str, credentials: Any) -> dict[str, str]:
    """The question put to the XSA's archive service."""
    params = {"obsno": obs_id, "level": level}
    if credentials is not None:
        try:
            user, password = credentials
        except (TypeError, ValueError):
            raise ValueError("credentials: expected the XSA user name and password as a pair") from None
        params |= {"AIOUSER": user, "AIOPWD": password}
    return params


def _is_of(obs_id: str, name: str) -> bool:
    """Whether a file of an ODF's archive file belongs to the observation."""
    parsed = OdfName.parse(name)
    return name.upper().startswith("MANIFEST") or (parsed is not None and parsed.obs_id == obs_id)


def _unpack_local(
    observation: local_files.LocalObservation | None, obs_id: str, staging: Path, progress: Progress
) -> Part:
    """Put a plain copy of a packed ODF into a folder."""
    if observation is None:
        raise DAXADownloadError("is not in the local folder any more")

    if observation.packed is not None:
        size = observation.packed.stat().st_size
        progress.expect(size)
        files = unpack.untar(observation.packed, staging, wanted=partial(_is_of, obs_id), flat=True)
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
    """Refuse a set of files without the summary, which none of the steps can do without.

    Which files the summary counts is not looked at: many ODFs of the archives lack some of them.

    Parameters
    ----------
    files
        All files of the observation, not packed.
    obs_id
        The observation.

    Raises
    ------
    DAXADownloadError
        There is no summary file.
    """
    summary = next((f for f in files if local_files.is_summary(f.name)), None)
    if summary is None:
        raise DAXADownloadError(f"no summary file (*_{obs_id}_SCX00000SUM.ASC) among the {len(files)} files")
