"""XRISM."""

from __future__ import annotations

from typing import Any

import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, positive, target_types

# what the four CCDs of Xtend do, two by two; no service takes a name with a dash
_XTEND = {
    "xtend_mode1-2": "xtd_datamode1",
    "xtend_mode3-4": "xtd_datamode2",
    "xtend_dataclass1-2": "xtd_dataclas1",
    "xtend_dataclass3-4": "xtd_dataclas2",
}


class XRISMPointed(HeasarcMission):
    """Pointed XRISM observations.

    Examples
    --------
    >>> mission = daxa.XRISMPointed("RSL")
    """

    name = "xrism_pointed"
    pretty_name = "XRISM Pointed"
    id_regex = r"^[0-9]{9}$"
    instruments = ("RESOLVE", "XTEND")
    default_instruments = ("RESOLVE", "XTEND")
    table = TapTable(
        "heasarc_tap",
        "xrismmastr",
        columns={
            "ObsID": "obsid",
            "ra": "ra",
            "dec": "dec",
            "start": ("time", "start_time"),
            "duration": ("duration", "exposure", "rsl_exposure", "xtd_exposure"),
        },
        optional={
            "end": ("end_time", "stop_time"),
            "proprietary_end_date": "public_date",
            "target": "name",
            "target_category": "subject_category",
            "exposure": "exposure",
            "xtend_exposure": "xtd_expo",
            "resolve_mode": "rsl_datamode",
            **{ours.replace("-", ""): theirs for ours, theirs in _XTEND.items()},
        },
        id_width=9,
    )
    inst_files = {"RESOLVE": r"^resolve/", "XTEND": r"^xtend/"}
    product_files = r"^(resolve|xtend)/(event_cl|products)/"
    products = (
        Product("event list", r"^resolve/event_cl/xa\d{9}rsl_p0px[1-4]\w*_cl\.evt$", ("RESOLVE",)),
        Product("event list", r"^xtend/event_cl/xa\d{9}xtd_p0\w*_cl\.evt$", ("XTEND",)),
        Product("image", r"^resolve/products/xa\d{9}rsl_\w*\.img$", ("RESOLVE",), (1.7, 12.0)),
        Product("image", r"^xtend/products/xa\d{9}xtd_\w*\.img$", ("XTEND",), (0.4, 20.0)),
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return {"XTEND": Quantity(19, "arcmin"), "RESOLVE": Quantity(1.5, "arcmin")}

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.rename(columns={ours.replace("-", ""): ours for ours in _XTEND})
        frame["science_usable"] = positive(frame, ["exposure" if "exposure" in frame.columns else "duration"])
        frame["target_category"] = target_types(frame)
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"xrism/data/obs/{row.ObsID[0]}/{row.ObsID}", "")]
