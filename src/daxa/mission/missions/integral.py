"""INTEGRAL."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa.mission import remote
from daxa.mission.catalogue import TapTable
from daxa.mission.download import Progress, Request, sizes_of
from daxa.mission.endpoints import address
from daxa.mission.heasarc import HeasarcMission, positive
from daxa.mission.store import Part

_EXPOSURES = {inst: f"{inst.lower()}_exposure" for inst in ("JEMX1", "JEMX2", "ISGRI", "PICSIT", "SPI")}


class INTEGRALPointed(HeasarcMission):
    """Pointed INTEGRAL science windows.

    Data of the whole revolution, which every science window in it needs, are kept once, in folders
    ``revolution_RRRR`` beside those of the observations.

    Examples
    --------
    >>> mission = daxa.INTEGRALPointed("ISGRI")
    """

    name = "integral_pointed"
    pretty_name = "INTEGRAL Pointed"
    id_regex = r"^[0-9]{12}$"
    instruments = ("JEMX1", "JEMX2", "ISGRI", "PICsIT", "SPI")
    default_instruments = ("JEMX1", "JEMX2", "ISGRI")
    aliases = {"JEM-X1": "JEMX1", "JEM-X2": "JEMX2"}
    table = TapTable(
        "heasarc_tap",
        "intscwpub",
        columns={
            "ObsID": "scw_id",
            "ra": ("ra", "ra_x"),
            "dec": ("dec", "dec_x"),
            "start": ("start_date", "time"),
            "end": ("end_date", "end_time"),
            "scw_ver": "scw_ver",
        },
        optional={
            **{name: f"good_{inst.lower()}" for inst, name in _EXPOSURES.items()},
            "scw_type": "scw_type",
        },
        id_width=12,
        needed=("scw_ver",),
    )
    inst_files = {
        "JEMX1": r"(^|/)jmx1_",
        "JEMX2": r"(^|/)jmx2_",
        "ISGRI": r"(^|/)(isgri|ibis)_",
        "PICsIT": r"(^|/)(picsit|ibis|compton)_",
        "SPI": r"(^|/)spi_",
    }
    skip = r"(^|/)index\.html$|(^|/)omc_"

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        radii = {"JEMX1": 2.4, "JEMX2": 2.4, "ISGRI": 4.15, "PICsIT": 4.15, "SPI": 7.0}
        return {inst: Quantity(radius, "deg") for inst, radius in radii.items()}

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame["science_usable"] = positive(frame, _EXPOSURES.values())
        frame["scw_ver"] = frame["scw_ver"].astype(str).str.strip().str.zfill(3)
        frame["revolution"] = frame["ObsID"].str[:4]
        frame["target_category"] = "MISC"
        frame["proprietary_usable"] = True  # the table is of public science windows
        return frame

    def _initial_mask(self) -> np.ndarray:
        good = [_EXPOSURES[inst.upper()] for inst in self._chosen]
        return self.science_usable & positive(self._catalogue(), good).to_numpy(bool)

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"integral/data/scw/{row.revolution}/{row.ObsID}.{row.scw_ver}", "")]

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        info = self._catalogue()
        # what failed before may be data of a revolution
        again = {o.removeprefix("revolution_") for o in obs_ids if o.startswith("revolution_")}
        windows = [o for o in obs_ids if not o.startswith("revolution_")]
        requests = super()._requests(windows, raw, products, credentials)
        wanted = info["ObsID"].isin(windows) | info["revolution"].isin(again)
        needed = info.loc[wanted, ["revolution", "scw_ver"]].drop_duplicates("revolution")
        return [
            *(
                Request(f"revolution_{rev}", "raw", None, partial(self._bring_revolution, rev, version))
                for rev, version in needed.itertuples(index=False)
            ),
            *requests,
        ]

    def _bring_revolution(self, revolution: str, version: str, staging: Path, progress: Progress) -> Part:
        root = address("heasarc_ftp")
        got = []
        for below, folder in {
            "rev": f"integral/data/scw/{revolution}/rev.{version}",
            "aux": f"integral/data/aux/adp/{revolution}.{version}",
        }.items():
            files = remote.list_directory(
                self.client, f"{root}/{folder}", lambda path: not re.search(self.skip, path)
            )
            got += remote.fetch_files(self.client, files, staging, progress, below)
        return Part(source="archive", files=sizes_of(got, staging))
