"""Raw data of a mission: where they are kept, fetching them, and what came of it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from daxa import config
from daxa.exceptions import (
    DAXADownloadError,
    DAXANotDownloadedError,
    PreProcessedNotSupportedError,
    WrongTypeError,
)
from daxa.fetch.http import Client
from daxa.mission.download import MAX_PARALLEL, Report, Request, fetch_all
from daxa.mission.filtering import Filters
from daxa.mission.products import ArchiveProducts
from daxa.mission.store import RawStore


class RawData(ArchiveProducts, Filters):
    """The part of a mission that brings the raw data to disk and knows where they are."""

    # filled by BaseMission
    name: str
    client: Client
    products_by_default: bool
    _top_level_path: Path
    _report: Report | None
    _downloaded: dict[str, bool] | None

    # -- places -----------------------------------------------------------------------------

    @property
    def top_level_path(self) -> str:
        """Folder under which the raw data are kept."""
        return os.path.join(str(self._top_level_path), "")

    @top_level_path.setter
    def top_level_path(self, path: str | Path) -> None:
        if not Path(path).is_dir():
            raise FileNotFoundError(f"top_level_path: no such folder {path}")
        self._top_level_path = Path(path).resolve()

    @property
    def raw_data_path(self) -> str:
        """Folder that holds one folder per observation."""
        return os.path.join(str(self._top_level_path / f"{self.name}_raw"), "")

    @property
    def store(self) -> RawStore:
        """The raw-data folder of this mission."""
        return RawStore(self.raw_data_path)

    def get_obs_path(self, obs_id: str) -> Path:
        """Folder with the raw files of an observation.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.

        Raises
        ------
        DAXANotDownloadedError
            The raw data are not on disk, or not completely.
        """
        self._known(obs_id)
        if not self.store.has(obs_id, "raw", self._wanted_files()):
            raise DAXANotDownloadedError(f"ObsID {obs_id}: its raw {self.pretty_name} data are not on disk")
        return self.store.folder(obs_id)

    def _known(self, obs_id: str) -> None:
        if obs_id not in set(self.obs_ids):
            raise ValueError(f"obs_id: {obs_id!r} is not an observation of this {self.pretty_name} catalogue")

    def _wanted_files(self) -> tuple[str, ...] | None:
        """Instruments whose files must be there; None where the source has no instrument's files apart."""
        return None

    # -- download ---------------------------------------------------------------------------

    @property
    def _parts(self) -> tuple[str, ...]:
        """Parts an observation is fetched in."""
        return ("raw", "products") if self.has_products else ("raw",)

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        """What to fetch for these observations."""
        raise NotImplementedError(f"{type(self).__name__} does not define _requests")

    def _downloadable(self, credentials: Any) -> np.ndarray:
        """Which selected observations this user may have; mask on `filtered_obs_info`."""
        info = self.filtered_obs_info
        if "proprietary_usable" not in info.columns or credentials is not None:
            return np.ones(len(info), bool)
        return info["proprietary_usable"].to_numpy(bool)

    def download(
        self,
        num_cores: int | None = None,
        credentials: Any = None,
        download_products: bool | None = None,
        *,
        disable_progress: bool = False,
    ) -> Report:
        """Bring the raw data of the selected observations to disk.

        What is there already is not fetched again, and what an interrupted call began is continued.
        Observations that fail are named, with reasons, in a warning and in `download_report`;
        `retry_failed` tries just those again.

        Parameters
        ----------
        num_cores : int, optional
            Observations at once, at most 10.
        credentials
            What gives access to proprietary observations; without, they are left out with a warning. Of
            missions without such, ``download_products`` may stand here.
        download_products : bool, optional
            Fetch the archive's processed products as well, where there are any. Default: yes, except for
            XMM-Newton, whose raw data this package processes itself.
        disable_progress : bool
            No progress bar.

        Raises
        ------
        DAXADownloadError
            Nothing could be fetched at all.
        """
        if isinstance(credentials, bool):  # as in DAXA 0.3
            credentials, download_products = None, credentials
        if download_products is None:
            download_products = self.products_by_default
        if not isinstance(download_products, bool):
            raise TypeError(f"download_products: expected True or False, got {download_products!r}")
        obs_ids = self._allowed_ids(credentials)
        return self._download(obs_ids, num_cores, credentials, download_products, disable_progress)

    def fetch_products(
        self, num_cores: int | None = None, credentials: Any = None, *, disable_progress: bool = False
    ) -> Report:
        """Bring the archive's processed products to disk, as `download` does.

        Raw data come only where products need them, which those of XMM-Newton do not.

        Parameters
        ----------
        num_cores, credentials, disable_progress
            As for `download`.

        Raises
        ------
        PreProcessedNotSupportedError
            The archive offers no products of this mission.
        DAXADownloadError
            Nothing could be fetched at all.
        """
        if not self.has_products:
            raise PreProcessedNotSupportedError(f"{self.pretty_name} offers no processed products")
        obs_ids = self._allowed_ids(credentials)
        raw = not self.products_stand_alone
        return self._download(obs_ids, num_cores, credentials, True, disable_progress, raw)

    def _allowed_ids(self, credentials: Any) -> list[str]:
        allowed = self._downloadable(credentials)
        if not allowed.all():
            warnings.warn(
                f"{self.pretty_name}: {int((~allowed).sum())} of {len(allowed)} selected observations are "
                "proprietary and left out",
                stacklevel=3,
            )
        obs_ids = list(self.filtered_obs_ids[allowed])
        if not obs_ids:
            raise DAXADownloadError(f"{self.pretty_name}: all selected observations are proprietary")
        return obs_ids

    def retry_failed(self, num_cores: int | None = None, credentials: Any = None, **options: Any) -> Report:
        """Try the observations again that the last `download` did not get.

        Parameters
        ----------
        num_cores : int, optional
            Observations at once.
        credentials
            As for `download`.
        options
            Further arguments of `download`.

        Returns
        -------
        Report
            What became of them.
        """
        if not self.failed_downloads:
            return Report()
        products = options.pop("download_products", self._downloaded is None or self._downloaded["products"])
        return self._download(
            list(self.failed_downloads),
            num_cores,
            credentials,
            products,
            options.pop("disable_progress", False),
        )

    def _download(
        self,
        obs_ids: list[str],
        num_cores: int | None,
        credentials: Any,
        products: bool,
        quiet: bool,
        raw: bool = True,
    ) -> Report:
        if num_cores is not None and (not isinstance(num_cores, (int, np.integer)) or num_cores < 1):
            raise WrongTypeError(f"num_cores: expected a number of downloads at once, got {num_cores!r}")
        requests = self._requests(obs_ids, raw, products, credentials)
        self.client.stopped.clear()
        threads = config.num_cores() if num_cores is None else num_cores
        if num_cores is not None and num_cores > MAX_PARALLEL:
            warnings.warn(f"num_cores: at most {MAX_PARALLEL} downloads run at once", stacklevel=3)
        before = self._report
        report = fetch_all(
            requests,
            self.store,
            threads=threads,
            description=f"Downloading {self.pretty_name}",
            disable_progress=quiet,
            stop=self.client.stopped,
        )
        if before is not None:
            for name in ("failed", "failed_products"):
                untouched = {o: why for o, why in getattr(before, name).items() if o not in obs_ids}
                setattr(report, name, dict(sorted((untouched | getattr(report, name)).items())))
        self._report = report
        has_products = self.has_products and (products or "products" not in self._parts)
        before_raw = self._downloaded is not None and self._downloaded["raw"]
        self._downloaded = {"raw": raw or before_raw, "products": has_products}
        failed = report.failed if raw else report.failed_products
        if report.failed or report.failed_products:
            text = f"{self.pretty_name}: {len(failed)} observations did not come\n{report}"
            if not report.done and not report.present and set(obs_ids) <= set(failed):
                self._downloaded = None
                raise DAXADownloadError(text)
            warnings.warn(text, stacklevel=3)
        return report

    @property
    def download_report(self) -> Report | None:
        """What the last download brought and what not; None before a download."""
        return self._report

    @property
    def failed_downloads(self) -> dict[str, str]:
        """ObsID -> reason, for what the last download did not get."""
        return {} if self._report is None else dict(self._report.failed)

    @property
    def download_completed(self) -> bool:
        """Whether everything selected has been downloaded."""
        return self._downloaded is not None and not self.failed_downloads

    @property
    def any_downloaded(self) -> bool:
        """Whether something has been downloaded."""
        return self._downloaded is not None

    @property
    def downloaded_type(self) -> str:
        """``raw``, ``preprocessed`` or ``raw+preprocessed``."""
        if self._downloaded is None:
            raise DAXANotDownloadedError(f"{self.pretty_name}: nothing has been downloaded yet")
        return "+".join(n for k, n in (("raw", "raw"), ("products", "preprocessed")) if self._downloaded[k])

    def delete_raw_data(self, force_del: bool = False, all_raw_data: bool = False) -> None:
        """Delete the downloaded data of the selected observations, or of all; asks unless forced.

        Parameters
        ----------
        force_del : bool
            Do not ask.
        all_raw_data : bool
            Delete everything of this mission that is on disk, whether selected or not.
        """
        root = Path(self.raw_data_path)
        folders = [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
        gone = [o for o in folders if o != ".partial"] if all_raw_data else list(self.filtered_obs_ids)
        if not force_del:
            answer = input(f"Delete the raw {self.pretty_name} data of {len(gone)} observations? [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                return
        for obs_id in gone:
            self.store.delete(obs_id)
        self._downloaded = None
