"""Swift."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, positive

_BAND = (0.01, 10.23)


class Swift(HeasarcMission):
    """Swift observations.

    Examples
    --------
    >>> mission = daxa.Swift("XRT")
    """

    name = "swift"
    pretty_name = "Swift"
    id_regex = r"^[0-9]{11}$"
    instruments = ("XRT", "BAT", "UVOT")
    default_instruments = ("XRT", "BAT")
    table = TapTable(
        "heasarc_tap",
        "swiftmastr",
        columns={"ObsID": "obsid", "ra": "ra", "dec": "dec", "start": "start_time", "end": "stop_time"},
        optional={
            "xrt_exposure": "xrt_exposure",
            "bat_exposure": "bat_exposure",
            "uvot_exposure": "uvot_exposure",
            "roll_angle": "roll_angle",
            "target": "name",
        },
        id_width=11,
    )
    inst_files = {"XRT": r"^xrt/", "BAT": r"^bat/", "UVOT": r"^uvot/"}
    product_files = r"^xrt/products/"
    products = (
        Product("event list", r"^xrt/event/sw\d{11}xpcw\dpo_cl\.evt$", ("XRT",)),
        Product("event list", r"^xrt/event/sw\d{11}xwtw\dpo_cl\.evt$", ("XRT",)),
        Product("image", r"^xrt/products/sw\d{11}xpc_sk\.img$", ("XRT",), _BAND),
        Product("exposure map", r"^xrt/products/sw\d{11}xpc_ex\.img$", ("XRT",), _BAND),
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        if "BAT" in self._chosen:
            warnings.warn(
                "Swift: BAT sees a large part of the sky, the default radius is 60 degrees", stacklevel=3
            )
        radii = {"XRT": Quantity(11.8, "arcmin"), "BAT": Quantity(50, "deg"), "UVOT": Quantity(8.5, "arcmin")}
        return {inst: radius.to("deg") for inst, radius in radii.items()}

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        exposures = [f"{inst.lower()}_exposure" for inst in self.instruments]
        frame["science_usable"] = positive(frame, exposures)
        frame["target_category"] = "MISC"
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"swift/data/obs/{row.start:%Y_%m}/{row.ObsID}", "")]
