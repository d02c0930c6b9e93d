"""NuSTAR."""

from __future__ import annotations

from typing import Any

import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, positive, target_types, text


class NuSTARPointed(HeasarcMission):
    """Pointed NuSTAR observations.

    Examples
    --------
    >>> mission = daxa.NuSTARPointed(["FPMA", "FPMB"])
    """

    name = "nustar_pointed"
    pretty_name = "NuSTAR Pointed"
    id_regex = r"^[0-9]{11}$"
    instruments = ("FPMA", "FPMB")
    default_instruments = ("FPMA", "FPMB")
    aliases = {"FA": "FPMA", "FB": "FPMB"}
    table = TapTable(
        "heasarc_tap",
        "numaster",
        columns={
            "ObsID": "obsid",
            "ra": "ra",
            "dec": "dec",
            "start": "time",
            "end": "end_time",
            "proprietary_end_date": "public_date",
            "status": "status",
        },
        optional={
            "mode": "observation_mode",
            "pointing": "spacecraft_mode",
            "ontime_a": ("ontime_a", "exposure_a"),
            "ontime_b": ("ontime_b", "exposure_b"),
            "exposure_a": "exposure_a",
            "exposure_b": "exposure_b",
            "nupsdout": "nupsdout",
            "issue_flag": "issue_flag",
            "target_category": "subject_category",
            "target": "name",
            "target_name": "name",
        },
        id_width=11,
    )
    inst_files = {"FPMA": r"nu\d{11}A", "FPMB": r"nu\d{11}B"}
    product_files = r"^event_cl/"
    products = (
        Product("event list", r"^event_cl/nu\d{11}A01_cl\.evt$", ("FPMA",)),
        Product("event list", r"^event_cl/nu\d{11}B01_cl\.evt$", ("FPMB",)),
        Product("image", r"^event_cl/nu\d{11}A01_sk\.img$", ("FPMA",), (3.0, 78.0)),
        Product("image", r"^event_cl/nu\d{11}B01_sk\.img$", ("FPMB",), (3.0, 78.0)),
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return Quantity(6.5, "arcmin")

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        keep = pd.Series(True, index=frame.index)
        if "status" in frame.columns:
            keep &= text(frame["status"]).isin(["PROCESSED", "ARCHIVED"])
        if "mode" in frame.columns:
            keep &= text(frame["mode"]) == "SCIENCE"
        if "pointing" in frame.columns:
            keep &= text(frame["pointing"]) == "INERTIAL"
        frame = frame[keep].drop(columns=["status", "mode", "pointing"], errors="ignore")
        ontime = [f"ontime_{inst[-1].lower()}" for inst in self._chosen]
        frame["science_usable"] = positive(frame, ontime)
        frame["target_category"] = target_types(frame)
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        obs_id = row.ObsID
        base = f"nustar/data/obs/{obs_id[1:3]}/{obs_id[0]}/{obs_id}"
        return [(f"{base}/{sub}", f"{sub}/") for sub in ("auxil", "event_uf", "hk", "event_cl")]

    def assess_process_obs(self, obs_info: dict) -> dict:
        """Which instruments' data are worth processing: the active ones.

        Parameters
        ----------
        obs_info : dict
            Instrument -> what is known of its exposures.
        """
        return {inst: bool(info.get("active")) for inst, info in obs_info.items() if inst in self._chosen}
