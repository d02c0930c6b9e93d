"""Chandra."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, text

# words in the catalogue's category -> target type
_CATEGORIES = {
    "CLUSTER": "GCL",
    "ACTIVE": "AGN",
    "NORMAL GAL": "NGS",
    "SUPERNOVA": "SNR",
    "SN": "SNR",
    "BH": "XRB",
    "WD": "CV",
    "STAR": "STR",
    "EXTRAGALACTIC": "EGS",
    "GALACTIC": "GS",
    "SOLAR": "SOL",
}


class Chandra(HeasarcMission):
    """Chandra observations.

    Without a grating among the instruments, observations made through one are left out.

    Examples
    --------
    >>> mission = daxa.Chandra("ACIS")
    """

    name = "chandra"
    pretty_name = "Chandra"
    id_regex = r"^[0-9]{1,5}$"
    frame_name = "icrs"
    instruments = ("ACIS", "HRC", "HETG", "LETG")
    default_instruments = ("ACIS", "HRC")
    aliases = {"ACIS-I": "ACIS", "ACIS-S": "ACIS", "HRC-I": "HRC", "HRC-S": "HRC"}
    one_inst_per_obs = True
    table = TapTable(
        "heasarc_tap",
        "chanmaster",
        columns={
            "ObsID": "obsid",
            "ra": "ra",
            "dec": "dec",
            "start": "time",
            "duration": "exposure",
            "proprietary_end_date": "public_date",
            "status": "status",
            "detector": "detector",
            "grating": "grating",
        },
        optional={"data_mode": "data_mode", "category": "category", "target": "name"},
        needed=("detector", "grating"),
    )
    # the archive's own event list and image lie in primary/, among what re-processing starts from
    skip = r"(^|/)index\.html$|\.(jpg|pdf|ps)(\.gz)?$"
    products = (
        Product("event list", r"^primary/acisf\d+.*_evt2\.fits$", ("ACIS",)),
        Product("event list", r"^primary/hrcf\d+.*_evt2\.fits$", ("HRC",)),
        Product("image", r"^primary/acisf\d+.*_full_img2\.fits$", ("ACIS",), (0.5, 7.0)),
        Product("image", r"^primary/hrcf\d+.*_full_img2\.fits$", ("HRC",), (0.06, 10.0)),
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        warnings.warn(
            "Chandra: the field of view depends on detector and aim point; it is approximate", stacklevel=3
        )
        return {"ACIS": Quantity(27.8, "arcmin"), "HRC": Quantity(49.5, "arcmin")}

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        if "status" in frame.columns:
            frame = frame[text(frame.pop("status")).isin(["PROCESSED", "ARCHIVED"])].copy()
        frame["instrument"] = text(frame.pop("detector")).str.split("-").str[0]
        frame["grating"] = text(frame["grating"])
        frame["science_usable"] = frame["instrument"].isin(["ACIS", "HRC"])
        if "category" in frame.columns:
            words = text(frame.pop("category"))
            known = [words.str.contains(word, regex=False) for word in _CATEGORIES]
            frame["target_category"] = np.select(known, list(_CATEGORIES.values()), "MISC")
        return frame

    def _initial_mask(self) -> np.ndarray:
        info = self._catalogue()
        gratings: list[str] = [g for g in ("HETG", "LETG") if g in self._chosen]
        detectors = [d for d in ("ACIS", "HRC") if d in self._chosen] or ["ACIS", "HRC"]
        suitable = info["grating"].isin(gratings or ["NONE"]) & info["instrument"].isin(detectors)
        return (info["science_usable"] & suitable).to_numpy(bool)

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"chandra/data/byobsid/{row.ObsID[-1]}/{row.ObsID}", "")]

    def assess_process_obs(self, obs_info: dict) -> dict:
        """Which instruments' data are worth processing: active, not alternating, one interval.

        Parameters
        ----------
        obs_info : dict
            Instrument -> what is known of its exposures.

        Returns
        -------
        dict
            Instrument -> bool.
        """
        use = {}
        for inst, info in obs_info.items():
            if info.get("multi_obi"):
                warnings.warn(
                    f"Chandra: {inst} data of several observation intervals are left out", stacklevel=2
                )
            good = info.get("active", False) and not info.get("alt_exp_mode") and not info.get("multi_obi")
            use[inst] = bool(good)
        return use
