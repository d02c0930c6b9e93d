"""Suzaku."""

from __future__ import annotations

from typing import Any

import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, positive

_BAND = (0.2, 12.0)
# code of the proposal's category -> target type
_CATEGORIES = {1: "CAL", 4: "GS", 5: "GS", 7: "EGS", 8: "GCL", 9: "TOO"}
_XIS = ("XIS0", "XIS1", "XIS2", "XIS3")


class Suzaku(HeasarcMission):
    """Suzaku observations with the X-ray imaging spectrometers.

    Examples
    --------
    >>> mission = daxa.Suzaku("XIS0")
    """

    name = "suzaku"
    pretty_name = "Suzaku"
    id_regex = r"^[0-9]{9}$"
    instruments = _XIS
    default_instruments = _XIS
    aliases = {f"X{n}": f"XIS{n}" for n in range(4)}
    table = TapTable(
        "heasarc_tap",
        "suzamaster",
        columns={"ObsID": "obsid", "ra": "ra", "dec": "dec", "start": "time", "duration": "exposure"},
        optional={
            "end": ("stop_time", "end_time"),
            "proprietary_end_date": "public_date",
            "target": "name",
            "category": "category_code",
            **{f"xis{n}_expo": (f"xis{n}_expo", f"xis{n}_exposure") for n in range(4)},
            **{f"xis{n}_num_modes": f"xis{n}_num_modes" for n in range(4)},
        },
        id_width=9,
    )
    inst_files = {inst: rf"^xis/.*ae\d{{9}}xi{inst[-1]}_" for inst in _XIS}
    skip = r"(^|/)index\.html$|^hxd/"
    product_files = r"^xis/products/"
    products = tuple(
        product
        for inst in _XIS
        for product in (
            Product("event list", rf"^xis/event_cl/ae\d{{9}}xi{inst[-1]}_.*_cl\.evt$", (inst,)),
            Product("image", rf"^xis/products/ae\d{{9}}xi{inst[-1]}_.*_sk\.img$", (inst,), _BAND),
        )
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return Quantity(9.5, "arcmin")

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        exposures = [f"{inst.lower()}_expo" for inst in self.instruments]
        known = [c for c in exposures if c in frame.columns] or ["duration"]
        frame["science_usable"] = positive(frame, known)
        if "category" in frame.columns:
            codes = pd.to_numeric(frame.pop("category"), errors="coerce")
            frame["target_category"] = codes.map(_CATEGORIES).fillna("MISC")
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"suzaku/data/obs/{row.ObsID[0]}/{row.ObsID}", "")]
