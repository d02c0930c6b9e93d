"""A mission of two observations without network."""

from __future__ import annotations

import numpy as np
import pandas as pd

from daxa.archive.run import Run
from daxa.mission.base import BaseMission

X = "xmm_pointed"
OBS = ("0800010101", "0800010201")


class SmallMission(BaseMission):
    name = X
    pretty_name = "XMM-Newton Pointed"
    id_regex = r"^[0-9]{10}$"
    instruments = ("M1", "M2", "PN")
    default_instruments = ("M1", "PN")

    def __init__(self, insts=None, save_file_path=None):
        super().__init__(insts, save_file_path)
        if save_file_path is None:
            self._catalogue()

    def _query(self, refresh):
        start = np.datetime64("2017-06-01T10:00:00", "us")
        columns = {"ObsID": list(OBS), "ra": 149.6, "dec": -11.1, "start": start, "science_usable": True}
        return pd.DataFrame(
            {**columns, "end": start + np.timedelta64(3600, "s"), "duration": pd.Timedelta(3600, "s")}
        ), None

    def download(self, num_cores=None, credentials=None, download_products=True, **options):
        self._downloaded = {"raw": True, "products": False}

    def assess_process_obs(self, obs_info):
        return {i: dict.fromkeys(info["exposures"], True) for i, info in obs_info.items()}


class OtherMission(SmallMission):
    name = "other"


MISSIONS = {X: SmallMission, "other": OtherMission}


def record(archive, process="emchain", ident="0800010101M1S001", **values):
    run = Run(
        process,
        ident,
        X,
        ident[:10],
        ident[10:12] or None,
        ident[12:] or None,
        **{
            "status": "done",
            "started": "2026-01-01T00:00:00",
            "stdout": f"{process} odf=x\n",
            "versions": {"backend": "sas"},
            **values,
        },
    )
    archive.record(run)
    return run
